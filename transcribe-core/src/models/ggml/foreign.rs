//! Names for the files that people take for ggml models: other formats' signatures.

/// Bytes of the file's start that [`recognise`] wants to see.
pub(super) const PREFIX: usize = 512;

/// What a file of `len` bytes that starts so is, if it is something known and no ggml file of Whisper.
pub(super) fn recognise(start: &[u8], len: u64) -> Option<&'static str> {
    let found = match start {
        [b'G', b'G', b'U', b'F', ..] => "a GGUF file",
        [b't' | b'f' | b'a', b'j' | b'm' | b'l', b'g', b'g', ..] => "a llama.cpp file of the time before GGUF",
        [b'g', b'g', b'm', b'l', ..] => "a big-endian ggml file",
        [b'l', b'm', b'g', b'g', _, _, _, _, b's', b'i', b'l', b'e', b'r', b'o', ..] => {
            "whisper.cpp's voice activity detector, not a speech model"
        }
        [b'l', b'm', b'g', b'g', ..] => return None,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => "a PyTorch checkpoint or another zip archive",
        [0x80, 2..=5, ..] => "a Python pickle, as of PyTorch before 1.6",
        [0x1f, 0x8b, ..] => "a gzip archive",
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => "a TensorFlow Lite file",
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file",
        _ if is_safetensors(start, len) => "a safetensors file",
        _ if contains(start, b"WhisperSpec") => "a CTranslate2 (faster-whisper) file",
        _ if start.starts_with(b"version https://git-lfs") => "a Git LFS pointer, not the file it stands for",
        _ if is_text(start) && contains(start, b"<html") || contains(start, b"<!DOCTYPE") => "a web page",
        _ if is_text(start) => "a text file",
        _ => return None,
    };
    Some(found)
}

/// A safetensors file starts with the length of the JSON object that follows.
fn is_safetensors(start: &[u8], len: u64) -> bool {
    let Some((length, json)) = start.split_first_chunk::<8>() else {
        return false;
    };
    json.starts_with(b"{") && u64::from_le_bytes(*length) < len
}

fn is_text(start: &[u8]) -> bool {
    let printable = |b: &u8| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..);
    // A multi-byte character may be cut by the end of what we see.
    let text = std::str::from_utf8(start).map_or_else(|e| e.error_len().is_none(), |_| true);
    !start.is_empty() && text && start.iter().all(printable)
}

fn contains(start: &[u8], needle: &[u8]) -> bool {
    start.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_called_by_its_name() {
        let mut safetensors = 5000u64.to_le_bytes().to_vec();
        safetensors.extend(b"{\"__metadata__\":{\"format\":\"pt\"}");
        let mut ctranslate2 = 6u32.to_le_bytes().to_vec();
        ctranslate2.extend(12u16.to_le_bytes());
        ctranslate2.extend(b"WhisperSpec\0\x03\0\0\0");
        for (start, name) in [
            (&b"GGUF\x03\0\0\0"[..], "GGUF"),
            (b"tjgg\x03\0\0\0", "llama.cpp"),
            (b"ggml\0\0\xca\x98", "big-endian"),
            (b"lmgg\x0a\0\0\0silero-16k\x05\0\0\0", "voice activity"),
            (b"PK\x03\x04\0\0", "PyTorch"),
            (b"\x80\x02\x8a\x0al\xfc\x9cF", "pickle"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"\x1c\0\0\0TFL3\0\0", "TensorFlow"),
            (&safetensors, "safetensors"),
            (&ctranslate2, "CTranslate2"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "LFS"),
            (b"<!DOCTYPE html>\n<html>", "web page"),
            ("Größe: 42\n".as_bytes(), "text"),
        ] {
            let found = recognise(start, 1 << 20);
            assert!(found.is_some_and(|found| found.contains(name)), "{name}: {found:?}");
        }
    }

    #[test]
    fn ggml_and_noise_are_left_to_the_reader() {
        assert_eq!(recognise(b"lmgg\x98\xca\0\0\xdc\x05\0\0\x80\x01", 1 << 20), None);
        assert_eq!(recognise(b"\x00\x01\x02\x03\xff\xfe", 6), None);
        assert_eq!(recognise(b"", 0), None);
    }
}

//! WAV files: samples in, a file that every program reads out.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::to_i16;

/// Writes frames of interleaved samples as a 16-bit PCM file.
pub fn write_wav(path: &Path, signal: &[f32], rate: u32, channels: u16) -> io::Result<()> {
    let frame_size = 2 * channels;
    let size = 2 * signal.len() as u32;
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"RIFF")?;
    file.write_all(&(size + 36).to_le_bytes())?;
    file.write_all(b"WAVEfmt ")?;
    file.write_all(&16_u32.to_le_bytes())?;
    let pcm = 1_u16;
    file.write_all(&pcm.to_le_bytes())?;
    file.write_all(&channels.to_le_bytes())?;
    file.write_all(&rate.to_le_bytes())?;
    file.write_all(&(rate * u32::from(frame_size)).to_le_bytes())?;
    file.write_all(&frame_size.to_le_bytes())?;
    file.write_all(&16_u16.to_le_bytes())?;
    file.write_all(b"data")?;
    file.write_all(&size.to_le_bytes())?;
    for sample in to_i16(signal) {
        file.write_all(&sample.to_le_bytes())?;
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_a_header_of_44_bytes_and_the_samples() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.wav");
        write_wav(&path, &[0.5, -0.5, 0.0, 1.0], 8_000, 2).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 44 + 8);
        assert_eq!(&bytes[..4], b"RIFF");
        assert_eq!(bytes[22], 2);
        assert_eq!(u32::from_le_bytes(bytes[28..32].try_into().unwrap()), 32_000);
        assert_eq!(bytes[44..48], [0x00, 0x40, 0x00, 0xc0]);
    }
}

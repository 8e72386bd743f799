//! The models that can be asked for by name, with the SHA-256 of the official ggml files.
//!
//! The names are those of the files `ggml-<name>.bin` in the Hugging Face repository `ggerganov/whisper.cpp`.

use super::error::ModelError;

/// Name and SHA-256 of each official file; a size's full weights stand before its quantised ones.
#[rustfmt::skip]
const KNOWN: [(&str, &str); 33] = [
    ("tiny.en", "921e4cf8686fdd993dcd081a5da5b6c365bfde1162e72b08d75ac75289920b1f"),
    ("tiny.en-q5_1", "c77c5766f1cef09b6b7d47f21b546cbddd4157886b3b5d6d4f709e91e66c7c2b"),
    ("tiny.en-q8_0", "5bc2b3860aa151a4c6e7bb095e1fcce7cf12c7b020ca08dcec0c6d018bb7dd94"),
    ("tiny", "be07e048e1e599ad46341c8d2a135645097a538221678b7acdd1b1919c6e1b21"),
    ("tiny-q5_1", "818710568da3ca15689e31a743197b520007872ff9576237bda97bd1b469c3d7"),
    ("tiny-q8_0", "c2085835d3f50733e2ff6e4b41ae8a2b8d8110461e18821b09a15c40c42d1cca"),
    ("base.en", "a03779c86df3323075f5e796cb2ce5029f00ec8869eee3fdfb897afe36c6d002"),
    ("base.en-q5_1", "4baf70dd0d7c4247ba2b81fafd9c01005ac77c2f9ef064e00dcf195d0e2fdd2f"),
    ("base.en-q8_0", "a4d4a0768075e13cfd7e19df3ae2dbc4a68d37d36a7dad45e8410c9a34f8c87e"),
    ("base", "60ed5bc3dd14eea856493d334349b405782ddcaf0028d4b5df4088345fba2efe"),
    ("base-q5_1", "422f1ae452ade6f30a004d7e5c6a43195e4433bc370bf23fac9cc591f01a8898"),
    ("base-q8_0", "c577b9a86e7e048a0b7eada054f4dd79a56bbfa911fbdacf900ac5b567cbb7d9"),
    ("small.en", "c6138d6d58ecc8322097e0f987c32f1be8bb0a18532a3f88f734d1bbf9c41e5d"),
    ("small.en-q5_1", "bfdff4894dcb76bbf647d56263ea2a96645423f1669176f4844a1bf8e478ad30"),
    ("small.en-q8_0", "67a179f608ea6114bd3fdb9060e762b588a3fb3bd00c4387971be4d177958067"),
    ("small", "1be3a9b2063867b937e64e2ec7483364a79917e157fa98c5d94b5c1fffea987b"),
    ("small-q5_1", "ae85e4a935d7a567bd102fe55afc16bb595bdb618e11b2fc7591bc08120411bb"),
    ("small-q8_0", "49c8fb02b65e6049d5fa6c04f81f53b867b5ec9540406812c643f177317f779f"),
    ("medium.en", "cc37e93478338ec7700281a7ac30a10128929eb8f427dda2e865faa8f6da4356"),
    ("medium.en-q5_0", "76733e26ad8fe1c7a5bf7531a9d41917b2adc0f20f2e4f5531688a8c6cd88eb0"),
    ("medium.en-q8_0", "43fa2cd084de5a04399a896a9a7a786064e221365c01700cea4666005218f11c"),
    ("medium", "6c14d5adee5f86394037b4e4e8b59f1673b6cee10e3cf0b11bbdbee79c156208"),
    ("medium-q5_0", "19fea4b380c3a618ec4723c3eef2eb785ffba0d0538cf43f8f235e7b3b34220f"),
    ("medium-q8_0", "42a1ffcbe4167d224232443396968db4d02d4e8e87e213d3ee2e03095dea6502"),
    ("large-v1", "7d99f41a10525d0206bddadd86760181fa920438b6b33237e3118ff6c83bb53d"),
    ("large-v2", "9a423fe4d40c82774b6af34115b8b935f34152246eb19e80e376071d3f999487"),
    ("large-v2-q5_0", "3a214837221e4530dbc1fe8d734f302af393eb30bd0ed046042ebf4baf70f6f2"),
    ("large-v2-q8_0", "fef54e6d898246a65c8285bfa83bd1807e27fadf54d5d4e81754c47634737e8c"),
    ("large-v3", "64d182b440b98d5203c4f9bd541544d84c605196c4f7b845dfa11fb23594d1e2"),
    ("large-v3-q5_0", "d75795ecff3f83b5faa89d1900604ad8c780abd5739fae406de19f23ecd98ad1"),
    ("large-v3-turbo", "1fc70f774d38eb169993ac391eea357ef47c88757ef72ee5943879b7e8e2bc69"),
    ("large-v3-turbo-q5_0", "394221709cd5ad1f40c46e6031ca61bce88931e6e088c188294c6d5a55ffa7e2"),
    ("large-v3-turbo-q8_0", "317eb69c11673c9de1e1f0d459b253999804ec71ac4c23c17ecf5fbe24e259a1"),
];

/// Short names, and what they stand for.
const ALIASES: [(&str, &str); 2] = [("large", "large-v3"), ("turbo", "large-v3-turbo")];

/// The names a model can be asked for by, aliases last.
pub fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().chain(&ALIASES).map(|(name, _)| *name)
}

/// The name of the official file behind `name`.
pub(super) fn canonical(name: &str) -> Result<&'static str, ModelError> {
    let unaliased = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, full)| full);
    match KNOWN.iter().find(|(known, _)| *known == unaliased) {
        Some((known, _)) => Ok(known),
        None => Err(ModelError::UnknownName { name: name.into(), close: close_to(name) }),
    }
}

/// SHA-256 of the official file of this canonical name.
pub(super) fn digest(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, digest)| *digest)
}

/// What the file of this canonical name is called.
pub(super) fn file_name(name: &str) -> String {
    format!("ggml-{name}.bin")
}

/// The known name in the file name `ggml-<name>.bin`.
pub(super) fn named_by_file(file: &str) -> Option<&'static str> {
    canonical(file.strip_prefix("ggml-")?.strip_suffix(".bin")?).ok()
}

/// Up to three known names that differ from `name` in case, separators or two letters.
fn close_to(name: &str) -> Vec<&'static str> {
    let plain = |s: &str| s.to_lowercase().replace(['_', '.', ' '], "-");
    let wanted: String = plain(name).chars().take(64).collect();
    let wanted = wanted.strip_prefix("ggml-").unwrap_or(&wanted);
    let mut close: Vec<(usize, &str)> =
        names().map(|known| (distance(wanted, &plain(known)), known)).filter(|(d, _)| *d <= 2).collect();
    close.sort_by_key(|(d, _)| *d);
    let least = close.first().map_or(0, |(d, _)| *d);
    close.into_iter().filter(|(d, _)| *d == least).map(|(_, known)| known).take(3).collect()
}

/// Letters to insert, delete or replace to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_promised_are_known() {
        for name in [
            "tiny.en",
            "tiny",
            "base.en",
            "base",
            "small.en",
            "small",
            "medium.en",
            "medium",
            "large-v1",
            "large-v2",
            "large-v3",
            "large-v3-turbo",
            "base-q5_1",
            "tiny.en-q8_0",
            "large-v3-turbo-q5_0",
        ] {
            assert_eq!(canonical(name).unwrap(), name);
        }
        assert!(canonical(super::super::DEFAULT_MODEL).is_ok());
    }

    #[test]
    fn aliases_stand_for_the_latest() {
        assert_eq!(canonical("large").unwrap(), "large-v3");
        assert_eq!(canonical("turbo").unwrap(), "large-v3-turbo");
    }

    #[test]
    fn names_and_digests_are_distinct_and_well_formed() {
        let all: std::collections::HashSet<_> = names().collect();
        assert_eq!(all.len(), KNOWN.len() + ALIASES.len());
        let digests: std::collections::HashSet<_> = KNOWN.iter().map(|(_, digest)| digest).collect();
        assert_eq!(digests.len(), KNOWN.len());
        assert!(digests.iter().all(|d| d.len() == 64 && d.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))));
    }

    #[test]
    fn an_unknown_name_is_answered_with_its_neighbours() {
        let close = |name: &str| match canonical(name) {
            Err(ModelError::UnknownName { close, .. }) => close,
            other => panic!("{other:?}"),
        };
        assert_eq!(close("Tiny.EN"), ["tiny.en"]);
        assert_eq!(close("tiny-en"), ["tiny.en"]);
        assert_eq!(close("base-q5-1"), ["base-q5_1"]);
        assert_eq!(close("ggml-small"), ["small"]);
        assert_eq!(close("mediun"), ["medium"]);
        assert!(close("parakeet").is_empty());
        let message = canonical("mediun").unwrap_err().to_string();
        assert!(message.contains("did you mean medium?") && message.contains("large-v3-turbo-q8_0"), "{message}");
        assert!(!canonical("parakeet").unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn a_file_name_tells_the_name() {
        assert_eq!(named_by_file("ggml-tiny.en.bin"), Some("tiny.en"));
        assert_eq!(named_by_file("tiny.en.bin"), None);
    }
}

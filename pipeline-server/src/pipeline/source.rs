//! What an argument means: a file, stdin or a URI.

use std::path::Path;

use gst::glib;

use super::Error;

/// Where the audio comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Whatever GStreamer has a source for.
    Uri(String),
    /// A file or stream of any container on stdin.
    Stdin,
}

impl Source {
    /// The source that an argument means: `-`, a file, or a URI. Files are looked at here, so that the error is plain.
    pub(crate) fn from_argument(argument: &str) -> Result<Self, Error> {
        if argument == "-" {
            return Ok(Self::Stdin);
        }
        let path = Path::new(argument);
        if !path.exists() && is_uri(argument) {
            return Ok(Self::Uri(argument.to_owned()));
        }
        let unreadable = |reason: String| Error::Unreadable { input: argument.to_owned(), reason };
        let file = std::fs::File::open(path).map_err(|e| unreadable(e.to_string()))?;
        if file.metadata().is_ok_and(|m| m.is_dir()) {
            return Err(unreadable("it is a folder".into()));
        }
        let absolute = std::path::absolute(path).map_err(|e| unreadable(e.to_string()))?;
        let uri = glib::filename_to_uri(absolute, None).map_err(|e| unreadable(e.to_string()))?;
        Ok(Self::Uri(uri.into()))
    }
}

fn is_uri(argument: &str) -> bool {
    argument.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart() {
        assert_eq!(Source::from_argument("-").unwrap(), Source::Stdin);
        let uri = "rtsp://camera.example/stream";
        assert_eq!(Source::from_argument(uri).unwrap(), Source::Uri(uri.into()));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("with space.wav");
        std::fs::write(&file, b"").unwrap();
        let Source::Uri(uri) = Source::from_argument(file.to_str().unwrap()).unwrap() else { panic!("not a URI") };
        assert!(uri.starts_with("file:///") && uri.ends_with("with%20space.wav"), "{uri}");
    }

    #[test]
    fn what_can_not_be_read_is_said_at_once() {
        for argument in ["no/such/file.wav", ".", "1://x"] {
            assert!(matches!(Source::from_argument(argument), Err(Error::Unreadable { .. })), "{argument}");
        }
    }
}

//! What an argument means: a file, stdin or a URI.

use std::path::Path;

use gst::glib;

use super::Error;
use crate::sources::pulled::{Address, Protocol, Stream};

/// Where the audio comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A stream from elsewhere.
    Stream(Box<Stream>),
    /// A file, or whatever else GStreamer has a source for.
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
            return Self::from_uri(argument);
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

    fn from_uri(uri: &str) -> Result<Self, Error> {
        let is_ours = Protocol::of_uri(uri).is_some_and(|protocol| protocol != Protocol::File);
        if !is_ours {
            return Ok(Self::Uri(uri.to_owned()));
        }
        let address: Address = uri.parse().map_err(Error::Address)?;
        let mut stream = Stream::new(address);
        // A person who mistyped is not to wait.
        stream.policy.insists = false;
        Ok(Self::Stream(Box::new(stream)))
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
        let Source::Stream(stream) = Source::from_argument(uri).unwrap() else { panic!("no stream") };
        assert_eq!(stream.address.reveal(), uri);
        assert_eq!(Source::from_argument("cdda://4").unwrap(), Source::Uri("cdda://4".into()));
        assert!(matches!(Source::from_argument("rtsp:///x"), Err(Error::Address(_))));
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

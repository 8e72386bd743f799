//! Why a pipeline failed, and which exit code that is.

use std::io;

use gst::glib;

use super::MissingPlugin;
use crate::exit::Exit;

/// Why an input could not be transcribed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file is not there or may not be read.
    #[error("cannot read {input}: {reason}")]
    Unreadable {
        /// As given.
        input: String,
        /// The system's words.
        reason: String,
    },
    /// An address that leads nowhere; what stands in it is not repeated.
    #[error("the address {0}")]
    Address(String),
    /// GStreamer can't open or decode it.
    #[error("{message}")]
    Input {
        /// Cause and mend.
        message: String,
        /// Where it happened.
        debug: Option<String>,
    },
    /// It was opened, but there is no audio in it.
    #[error("there is no audio in it")]
    NoAudio,
    /// A GStreamer plugin is not installed.
    #[error("{0}")]
    MissingPlugin(String),
    /// The element can't get its model, or a library that it needs.
    #[error("{message}")]
    Model {
        /// Cause and mend.
        message: String,
        /// Where it happened.
        debug: Option<String>,
    },
    /// A setting that the element does not take, or that the model can't meet.
    #[error("{0}")]
    Setting(String),
    /// Anything else that broke the pipeline.
    #[error("{message}")]
    Failed {
        /// Cause and mend.
        message: String,
        /// Where it happened.
        debug: Option<String>,
    },
    /// The text could not be written.
    #[error("cannot write the text: {0}")]
    Output(#[source] io::Error),
}

impl Error {
    /// From an error message on the bus. `ours` says that it came from the transcribing element: its resource and
    /// library errors are about the model, everybody else's resource and stream errors about the input. Where a plugin
    /// was `missing` before, that is the cause.
    pub(crate) fn from_message(
        error: &glib::Error,
        debug: Option<&str>,
        ours: bool,
        missing: Option<&MissingPlugin>,
    ) -> Self {
        if !ours {
            if let Some(missing) = missing {
                return Self::MissingPlugin(missing.to_string());
            }
            // No plugin turns it into audio, yet none is missing: it holds none.
            if error.matches(gst::CoreError::MissingPlugin) {
                return Self::NoAudio;
            }
        }
        let message = error.message().to_owned();
        let debug = debug.map(str::to_owned);
        if ours {
            if error.matches(gst::LibraryError::Settings) {
                return Self::Setting(message);
            }
            if error.is::<gst::ResourceError>() || error.is::<gst::LibraryError>() {
                return Self::Model { message, debug };
            }
        } else if error.is::<gst::ResourceError>() || error.is::<gst::StreamError>() {
            return Self::Input { message, debug };
        }
        Self::Failed { message, debug }
    }

    /// GStreamer's note for developers.
    pub(crate) fn debug(&self) -> Option<&str> {
        match self {
            Self::Input { debug, .. } | Self::Model { debug, .. } | Self::Failed { debug, .. } => debug.as_deref(),
            _ => None,
        }
    }

    /// Whether it is only that nobody reads the text any more.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Unreadable { .. }
            | Self::Address(_)
            | Self::Input { .. }
            | Self::NoAudio
            | Self::MissingPlugin(_) => Exit::Input,
            Self::Setting(_) => Exit::Usage,
            Self::Model { .. } => Exit::Model,
            Self::Failed { .. } | Self::Output(_) => Exit::Failed,
        }
    }
}

impl From<glib::BoolError> for Error {
    fn from(error: glib::BoolError) -> Self {
        Self::Failed { message: error.to_string(), debug: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_said_it_decides_the_exit_code() {
        let not_found = glib::Error::new(gst::ResourceError::NotFound, "?");
        let stream = glib::Error::new(gst::StreamError::Decode, "?");
        let settings = glib::Error::new(gst::LibraryError::Settings, "?");
        let library = glib::Error::new(gst::LibraryError::Init, "?");
        let exit = |error, ours| Error::from_message(error, None, ours, None).exit();
        assert_eq!(exit(&not_found, true), Exit::Model);
        assert_eq!(exit(&library, true), Exit::Model);
        assert_eq!(exit(&settings, true), Exit::Usage);
        assert_eq!(exit(&stream, true), Exit::Failed);
        assert_eq!(exit(&not_found, false), Exit::Input);
        assert_eq!(exit(&stream, false), Exit::Input);
        assert_eq!(exit(&library, false), Exit::Failed);
        assert_eq!(exit(&glib::Error::new(gst::CoreError::MissingPlugin, "?"), false), Exit::Input);
        let missing = MissingPlugin::element("opusdec");
        let told = Error::from_message(&stream, None, false, Some(&missing)).to_string();
        assert!(told.contains("opusdec"), "{told}");
    }
}

//! Why a connection is not there any more, or never was.

use gst::glib;
use schemars::JsonSchema;
use serde::Serialize;
use utoipa::ToSchema;

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    /// User name or password are missing or wrong.
    Unauthorized,
    /// The other side is not known to be what it says it is.
    Untrusted,
    /// The server is there, but not what was asked for.
    NotFound,
    /// There is no audio in it, or no audio track of that number.
    NoAudio,
    /// A plugin is missing, or the server asks for what can't be done.
    Unsupported,
    /// Nobody answers.
    Unreachable,
    /// It broke off.
    Broken,
    /// Nothing came any more, or always the same.
    Stalled,
    /// The other side ended it.
    Ended,
}

impl FaultKind {
    const ALL: [Self; 9] = [
        Self::Unauthorized,
        Self::Untrusted,
        Self::NotFound,
        Self::NoAudio,
        Self::Unsupported,
        Self::Unreachable,
        Self::Broken,
        Self::Stalled,
        Self::Ended,
    ];

    /// As in JSON, for logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Untrusted => "untrusted",
            Self::NotFound => "not_found",
            Self::NoAudio => "no_audio",
            Self::Unsupported => "unsupported",
            Self::Unreachable => "unreachable",
            Self::Broken => "broken",
            Self::Stalled => "stalled",
            Self::Ended => "ended",
        }
    }

    /// The kind of that name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it stays as it is until somebody changes something.
    pub(crate) fn is_lasting(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Untrusted | Self::NotFound | Self::NoAudio | Self::Unsupported)
    }
}

/// Why a connection is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// For people: what happened, and what to do about it.
    pub(crate) detail: String,
}

impl Fault {
    /// A fault.
    pub(crate) fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// What an element's error comes to.
    pub(crate) fn of_message(message: &gst::message::Error) -> Self {
        let error = message.error();
        let kind = Self::kind(&error);
        let detail = match kind {
            FaultKind::Unauthorized => "the user name or the password is missing or wrong".to_owned(),
            FaultKind::NotFound => "the server does not have what the address names".to_owned(),
            FaultKind::Unreachable => {
                "no data comes from there; is the address right, and does the server answer?".to_owned()
            }
            _ => error.message().to_owned(),
        };
        Self { kind, detail }
    }

    fn kind(error: &glib::Error) -> FaultKind {
        if error.matches(gst::ResourceError::NotAuthorized) {
            return FaultKind::Unauthorized;
        }
        if error.matches(gst::ResourceError::NotFound) {
            return FaultKind::NotFound;
        }
        if error.matches(gst::ResourceError::OpenRead) || error.matches(gst::ResourceError::OpenReadWrite) {
            return FaultKind::Unreachable;
        }
        if error.matches(gst::CoreError::MissingPlugin)
            || error.matches(gst::StreamError::CodecNotFound)
            || error.matches(gst::StreamError::TypeNotFound)
        {
            return FaultKind::Unsupported;
        }
        FaultKind::Broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json() {
        for kind in FaultKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(FaultKind::of_name(kind.name()), Some(kind));
        }
    }

    #[test]
    fn the_codes_of_errors_tell_what_trying_again_is_good_for() {
        let kind = |error: glib::Error| Fault::kind(&error);
        assert_eq!(kind(glib::Error::new(gst::ResourceError::NotAuthorized, "401")), FaultKind::Unauthorized);
        assert_eq!(kind(glib::Error::new(gst::ResourceError::NotFound, "404")), FaultKind::NotFound);
        assert_eq!(kind(glib::Error::new(gst::ResourceError::OpenReadWrite, "?")), FaultKind::Unreachable);
        assert_eq!(kind(glib::Error::new(gst::ResourceError::Read, "?")), FaultKind::Broken);
        assert_eq!(kind(glib::Error::new(gst::StreamError::Failed, "?")), FaultKind::Broken);
        assert!(FaultKind::Unauthorized.is_lasting() && !FaultKind::Unreachable.is_lasting());
    }
}

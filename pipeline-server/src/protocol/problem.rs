//! What went wrong, in the form of RFC 9457: the body of HTTP errors and part of the message `error`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;
use utoipa::ToSchema;

/// Stem of the types.
const STEM: &str = "urn:pipeline-server:problem:";

/// The kinds of problems; each has a type, a title and an HTTP status of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A parameter in the address.
    InvalidParameter,
    /// Bytes that are no audio of the kind announced.
    InvalidAudio,
    /// A text message that is none of the protocol's.
    InvalidMessage,
    /// A message over the limit.
    MessageTooLarge,
    /// A setting that the transcription does not take, or not any more.
    InvalidSetting,
    /// The request should have been for a WebSocket.
    NotAWebSocket,
    /// There is nothing at that address.
    NotFound,
    /// Not with that method.
    MethodNotAllowed,
    /// The model is still being loaded.
    NotReady,
    /// The server is about to end.
    ShuttingDown,
    /// All places are taken.
    TooManySessions,
    /// The engine has enough to do.
    Overloaded,
    /// The client's key or address has as many sessions as it may.
    TooManyOfClient,
    /// The client's address comes too often.
    TooManyRequests,
    /// No key or token, or a wrong one.
    Unauthorized,
    /// No signature, or a wrong one.
    BadSignature,
    /// A web page from elsewhere.
    ForeignOrigin,
    /// The session that a client wants to come back to is not there, or messages of it are gone.
    NotResumable,
    /// The client does not read what it is sent.
    SlowReader,
    /// Nothing came from the client.
    IdleTimeout,
    /// There is something of that name already.
    AlreadyExists,
    /// The server can't keep what was declared.
    NotKept,
    /// The source that the server pulls can't be had.
    SourceFailed,
    /// The body is of another kind than the address takes.
    UnsupportedMediaType,
    /// A session description that is none.
    InvalidOffer,
    /// A session description without what is needed.
    UnacceptableOffer,
    /// A change of something that has changed meanwhile.
    OtherState,
    /// A change without saying of what.
    NoCondition,
    /// There is no way to the client, or none back.
    NoConnection,
    /// The pipeline broke.
    TranscriptionFailed,
}

impl Kind {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 30] = [
        Self::InvalidParameter,
        Self::InvalidAudio,
        Self::InvalidMessage,
        Self::MessageTooLarge,
        Self::InvalidSetting,
        Self::NotAWebSocket,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotReady,
        Self::ShuttingDown,
        Self::TooManySessions,
        Self::Overloaded,
        Self::TooManyOfClient,
        Self::TooManyRequests,
        Self::Unauthorized,
        Self::BadSignature,
        Self::ForeignOrigin,
        Self::NotResumable,
        Self::SlowReader,
        Self::IdleTimeout,
        Self::AlreadyExists,
        Self::NotKept,
        Self::SourceFailed,
        Self::UnsupportedMediaType,
        Self::InvalidOffer,
        Self::UnacceptableOffer,
        Self::OtherState,
        Self::NoCondition,
        Self::NoConnection,
        Self::TranscriptionFailed,
    ];

    /// Its name: the end of `type`, and a label of metrics.
    pub(crate) fn name(self) -> &'static str {
        self.describe().0
    }

    fn describe(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::InvalidParameter => ("invalid-parameter", 400, "The address has a parameter that is not understood"),
            Self::InvalidAudio => ("invalid-audio", 400, "The audio cannot be read"),
            Self::InvalidMessage => ("invalid-message", 400, "The message is not understood"),
            Self::MessageTooLarge => ("message-too-large", 413, "The message is too large"),
            Self::InvalidSetting => ("invalid-setting", 422, "The setting is not possible"),
            Self::NotAWebSocket => ("not-a-websocket", 426, "This address is for WebSockets"),
            Self::NotFound => ("not-found", 404, "There is nothing here"),
            Self::MethodNotAllowed => ("method-not-allowed", 405, "This address does not take that method"),
            Self::NotReady => ("not-ready", 503, "The server is not ready yet"),
            Self::ShuttingDown => ("shutting-down", 503, "The server is shutting down"),
            Self::TooManySessions => ("too-many-sessions", 503, "The server has no place for another session"),
            Self::Overloaded => ("overloaded", 503, "The server is too busy for another session"),
            Self::TooManyOfClient => ("too-many-of-client", 429, "You have as many sessions as you may"),
            Self::TooManyRequests => ("too-many-requests", 429, "You come too often"),
            Self::Unauthorized => ("unauthorized", 401, "A key or token is needed"),
            Self::BadSignature => ("bad-signature", 403, "The signature is missing or wrong"),
            Self::ForeignOrigin => ("foreign-origin", 403, "Pages from there may not connect"),
            Self::NotResumable => ("not-resumable", 410, "The session cannot be resumed"),
            Self::SlowReader => ("slow-reader", 408, "Results are not being read"),
            Self::IdleTimeout => ("idle-timeout", 408, "Nothing came for too long"),
            Self::AlreadyExists => ("already-exists", 409, "There is one of that name already"),
            Self::NotKept => ("not-kept", 500, "It cannot be kept"),
            Self::SourceFailed => ("source-failed", 502, "The source cannot be had"),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", 415, "The body is not of the kind that is taken here")
            }
            Self::InvalidOffer => ("invalid-offer", 400, "The session description is not understood"),
            Self::UnacceptableOffer => ("unacceptable-offer", 422, "The offer cannot be accepted"),
            Self::OtherState => ("other-state", 412, "It has changed meanwhile"),
            Self::NoCondition => ("no-condition", 428, "It has to be said which state is changed"),
            Self::NoConnection => ("no-connection", 408, "There is no connection between client and server"),
            Self::TranscriptionFailed => ("transcription-failed", 500, "The transcription failed"),
        }
    }
}

/// A problem as RFC 9457 has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, ToSchema)]
pub(crate) struct Problem {
    /// Which kind of problem it is, as a URI.
    pub(crate) r#type: Cow<'static, str>,
    /// The kind in words.
    pub(crate) title: Cow<'static, str>,
    /// The HTTP status that goes with it.
    pub(crate) status: u16,
    /// What happened this time, and what to do about it.
    pub(crate) detail: String,
    #[serde(skip)]
    kind: Kind,
}

impl Problem {
    /// A problem of that kind; `detail` says what is wrong and how to mend it.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (name, status, title) = kind.describe();
        Self { r#type: format!("{STEM}{name}").into(), title: title.into(), status, detail: detail.into(), kind }
    }
}

impl Problem {
    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_a_type_of_its_own_and_an_error_status() {
        let names: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| (400..600).contains(&kind.describe().1)));
    }

    #[test]
    fn the_members_are_those_of_the_rfc() {
        let problem = serde_json::to_value(Problem::new(Kind::InvalidAudio, "why")).unwrap();
        assert_eq!(
            problem,
            serde_json::json!({
                "type": "urn:pipeline-server:problem:invalid-audio",
                "title": "The audio cannot be read",
                "status": 400,
                "detail": "why",
            })
        );
    }
}

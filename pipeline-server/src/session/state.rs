//! The life of a session: `connecting → live → draining → closed`, never back.

use schemars::JsonSchema;
use serde::Serialize;

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The pipeline is there, audio is not.
    Connecting,
    /// Audio comes in.
    Live,
    /// No more audio is taken; what came is being transcribed.
    Draining(Reason),
    /// Over; the pipeline is being taken down or gone.
    Closed(Reason),
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// The client asked for it.
    ClientClosed,
    /// The connection broke off or was ended without `close`.
    ClientGone,
    /// The source came to its end by itself.
    EndOfStream,
    /// Nothing came from the client for too long.
    IdleTimeout,
    /// The session lasted as long as one may.
    MaxDuration,
    /// The server ends.
    Shutdown,
    /// The client did not read what it was sent.
    SlowReader,
    /// The client sent what is not understood.
    InvalidInput,
    /// The source that the server pulls can't be had.
    SourceFailed,
    /// The transcription failed.
    Failed,
}

impl Reason {
    /// As in JSON, for logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ClientGone => "client_gone",
            Self::EndOfStream => "end_of_stream",
            Self::IdleTimeout => "idle_timeout",
            Self::MaxDuration => "max_duration",
            Self::Shutdown => "shutdown",
            Self::SlowReader => "slow_reader",
            Self::InvalidInput => "invalid_input",
            Self::SourceFailed => "source_failed",
            Self::Failed => "failed",
        }
    }
}

impl State {
    /// For people and programs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Draining(_) => "draining",
            Self::Closed(_) => "closed",
        }
    }

    /// Whether audio is taken.
    pub(crate) fn takes_audio(self) -> bool {
        matches!(self, Self::Connecting | Self::Live)
    }

    /// Whether it is over.
    pub(crate) fn is_closed(self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// Audio begins; `false` if it can't.
    pub(crate) fn go_live(&mut self) -> bool {
        let may = matches!(self, Self::Connecting);
        if may {
            *self = Self::Live;
        }
        may
    }

    /// No more audio; `false` if there was none to end.
    pub(crate) fn drain(&mut self, reason: Reason) -> bool {
        let may = matches!(self, Self::Live);
        if may {
            *self = Self::Draining(reason);
        }
        may
    }

    /// The end, whatever was going on; `false` if it was over.
    pub(crate) fn close(&mut self, reason: Reason) -> bool {
        match *self {
            Self::Closed(_) => false,
            Self::Connecting | Self::Live | Self::Draining(_) => {
                *self = Self::Closed(reason);
                true
            }
        }
    }

    /// The pipeline has come to the end of its audio; `false` if it was over.
    pub(crate) fn end(&mut self) -> bool {
        match *self {
            Self::Draining(reason) => self.close(reason),
            _ => self.close(Reason::EndOfStream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_goes_from_connecting_to_closed() {
        let mut state = State::Connecting;
        assert!(state.go_live() && state.takes_audio());
        assert!(state.drain(Reason::ClientClosed) && !state.takes_audio());
        assert!(state.end());
        assert_eq!(state, State::Closed(Reason::ClientClosed));
    }

    #[test]
    fn nothing_leads_back() {
        let mut state = State::Connecting;
        assert!(!state.drain(Reason::Shutdown), "there is nothing to drain");
        assert!(state.close(Reason::Shutdown));
        assert!(!state.go_live() && !state.drain(Reason::Failed) && !state.close(Reason::Failed) && !state.end());
        assert_eq!(state, State::Closed(Reason::Shutdown));
        let mut state = State::Draining(Reason::MaxDuration);
        assert!(!state.go_live() && !state.drain(Reason::Shutdown));
        assert_eq!(state, State::Draining(Reason::MaxDuration));
    }

    #[test]
    fn a_source_may_end_by_itself_or_break() {
        let mut state = State::Live;
        assert!(state.end());
        assert_eq!(state, State::Closed(Reason::EndOfStream));
        let mut state = State::Draining(Reason::ClientClosed);
        assert!(state.close(Reason::Failed));
        assert_eq!(state, State::Closed(Reason::Failed));
    }

    #[test]
    fn names_are_those_of_the_json() {
        for reason in [
            Reason::ClientClosed,
            Reason::ClientGone,
            Reason::EndOfStream,
            Reason::IdleTimeout,
            Reason::MaxDuration,
            Reason::Shutdown,
            Reason::SlowReader,
            Reason::InvalidInput,
            Reason::SourceFailed,
            Reason::Failed,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}

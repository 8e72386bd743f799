//! What the server says.

use schemars::JsonSchema;
use serde::Serialize;
use transcribe_core::transcript::{Final, Partial};
use utoipa::ToSchema;

use super::call::{CallEnd, CallStart, Dtmf, Hold};
use super::problem::Problem;
use crate::session::Reason;
use crate::supervise::decide::Status;
use crate::supervise::{Fault, FaultKind};

/// A text message from the server.
///
/// `seq` counts up from 1 over all messages of a session; numbers that are left out belong to partial results that
/// newer ones replaced before they were sent. Times are seconds of audio since the start of the session.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Message {
    /// The first message: audio may come.
    Ready(Ready),
    /// The first message to a client that came back to its session; what it missed follows.
    Resumed(Resumed),
    /// The answer to `keepalive`.
    Alive(Alive),
    /// Somebody began to speak.
    SpeechStart(SpeechStart),
    /// Text so far of an utterance that goes on.
    Partial(PartialResult),
    /// The speech ended; its final follows.
    SpeechEnd(SpeechEnd),
    /// Text of an utterance for good.
    Final(FinalResult),
    /// How a source is that the server pulls.
    SourceStatus(SourceStatus),
    /// A call was answered.
    CallStart(CallStart),
    /// A party put the call on hold or took it back.
    Hold(Hold),
    /// A party pressed a key.
    Dtmf(Dtmf),
    /// The call was hung up; what was said before still comes.
    CallEnd(CallEnd),
    /// Something went wrong.
    Error(ErrorMessage),
    /// The last message.
    Closed(Closed),
}

/// What the client has to know of its session.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Ready {
    /// Number of this message.
    pub(crate) seq: u64,
    /// Version of the protocol, 1.
    pub(crate) protocol: u32,
    /// Names the session, in logs and for `resume`.
    pub(crate) session_id: String,
    /// The model that transcribes.
    pub(crate) model: String,
    /// How audio is read.
    pub(crate) audio: AudioFormat,
    /// What the server allows.
    pub(crate) limits: Limits,
}

/// The session goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Resumed {
    /// The number that the client gave as `after`.
    pub(crate) seq: u64,
    /// The session.
    pub(crate) session_id: String,
    /// Bytes of audio that the server has of all connections together: the next binary message is to begin there.
    pub(crate) audio_bytes: u64,
}

/// The connection and the session are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Alive {
    /// Number of this message.
    pub(crate) seq: u64,
    /// Bytes of audio that the server has: all that was sent before the `keepalive`; 0 where audio comes over WebRTC.
    pub(crate) audio_bytes: u64,
}

/// How binary messages are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct AudioFormat {
    /// `f32le`, `s16le`, `mulaw`, `alaw` or `auto`; over WebRTC `opus`, `pcmu` or `pcma`.
    pub(crate) encoding: String,
    /// Frames a second; not there with `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sample_rate: Option<u32>,
    /// Samples in a frame, interleaved; with `auto` only where the client named them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channels: Option<u32>,
    /// Whether each channel is transcribed by itself.
    pub(crate) multichannel: bool,
}

/// What the server allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Limits {
    /// Bytes of a binary message.
    pub(crate) max_message_bytes: usize,
    /// Seconds without a message from the client after which the session is closed; 0 for never.
    pub(crate) idle_timeout_seconds: u64,
    /// Seconds after which the session is closed whatever happens.
    pub(crate) max_duration_seconds: u64,
    /// Seconds that the session waits for a client whose connection broke off; 0 without `resumable=true`.
    pub(crate) resume_seconds: u64,
}

/// Whose words something is about, and when they were said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Origin {
    /// The channel, from 0; only where each is transcribed by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<u32>,
    /// Who is heard, in a call: `caller` (SIP), `inbound` or `outbound` (Twilio's tracks).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) party: Option<&'static str>,
    /// When the audio at `start` was captured, as in RFC 3339, in UTC; only where the source tells (cameras by RTCP
    /// sender reports, HLS by `PROGRAM-DATE-TIME`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) captured_at: Option<String>,
}

/// Somebody began to speak.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct SpeechStart {
    /// Number of this message.
    pub(crate) seq: u64,
    /// Whose words, and when.
    #[serde(flatten)]
    pub(crate) origin: Origin,
    /// Number of the utterance in its channel, from 0.
    pub(crate) utterance: u64,
    /// When, seconds.
    pub(crate) start: f64,
}

/// Text so far.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct PartialResult {
    /// Number of this message.
    pub(crate) seq: u64,
    /// Whose words, and when.
    #[serde(flatten)]
    pub(crate) origin: Origin,
    /// The text.
    #[serde(flatten)]
    pub(crate) partial: Partial,
}

/// The speech ended.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct SpeechEnd {
    /// Number of this message.
    pub(crate) seq: u64,
    /// Whose words, and when.
    #[serde(flatten)]
    pub(crate) origin: Origin,
    /// The utterance.
    pub(crate) utterance: u64,
    /// When it began, seconds.
    pub(crate) start: f64,
    /// When it ended, seconds.
    pub(crate) end: f64,
}

/// Text for good.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct FinalResult {
    /// Number of this message.
    pub(crate) seq: u64,
    /// Whose words, and when.
    #[serde(flatten)]
    pub(crate) origin: Origin,
    /// The text.
    #[serde(flatten)]
    pub(crate) result: Final,
    /// All finals of the channel so far, this one among them; left out with `full_transcript=false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) full_transcript: Option<String>,
}

/// How a source is that the server pulls. Whatever happens to it, times in its session go on.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct SourceStatus {
    /// Number of this message.
    pub(crate) seq: u64,
    /// How it is.
    #[serde(flatten)]
    pub(crate) status: StatusReport,
}

/// How a source is that the server pulls.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema, ToSchema)]
pub(crate) struct StatusReport {
    /// How it is.
    pub(crate) status: SourceState,
    /// Number of the attempt that goes on or comes next, from 1 since a connection lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<u32>,
    /// Seconds until the next attempt, counted from when this was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_in_seconds: Option<f64>,
    /// Why there is no connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<FaultKind>,
    /// The same for people, or why there is no session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// How a source is that the server pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SourceState {
    /// It is being connected.
    Connecting,
    /// Audio comes.
    Streaming,
    /// There is no connection, or no session, and there will be another attempt.
    Waiting,
    /// There is no connection and there won't be another attempt: something has to be changed.
    Failed,
    /// It came to its end.
    Finished,
}

impl SourceStatus {
    /// Of what the supervisor says.
    pub(crate) fn new(seq: u64, status: &Status) -> Self {
        Self { seq, status: StatusReport::new(status) }
    }
}

impl StatusReport {
    /// A state that has nothing to do with a connection.
    pub(crate) fn without_fault(status: SourceState, detail: String) -> Self {
        Self { status, attempt: None, retry_in_seconds: None, fault: None, detail: Some(detail) }
    }

    /// Of what the supervisor says.
    pub(crate) fn new(status: &Status) -> Self {
        let plain = |status| Self { status, attempt: None, retry_in_seconds: None, fault: None, detail: None };
        let with = |status, fault: &Fault| Self {
            fault: Some(fault.kind),
            detail: Some(fault.detail.clone()),
            ..plain(status)
        };
        match status {
            Status::Connecting { attempt } => Self { attempt: Some(*attempt), ..plain(SourceState::Connecting) },
            Status::Streaming => plain(SourceState::Streaming),
            Status::Waiting { attempt, retry_in, fault } => Self {
                attempt: Some(*attempt),
                retry_in_seconds: Some(retry_in.as_secs_f64()),
                ..with(SourceState::Waiting, fault)
            },
            Status::Failed(fault) => with(SourceState::Failed, fault),
            Status::Finished => plain(SourceState::Finished),
        }
    }
}

/// Something went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ErrorMessage {
    /// Number of this message.
    pub(crate) seq: u64,
    /// What, in the form of RFC 9457.
    pub(crate) problem: Problem,
    /// Whether it ends the session; `closed` follows then.
    pub(crate) fatal: bool,
}

/// The session is over.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Closed {
    /// Number of this message.
    pub(crate) seq: u64,
    /// Why.
    pub(crate) reason: Reason,
    /// Whether all audio that came in was transcribed.
    pub(crate) complete: bool,
    /// What there was.
    pub(crate) totals: Totals,
}

/// What there was in a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Totals {
    /// Seconds of audio that were listened to.
    pub(crate) audio_seconds: f64,
    /// Finals that hold words.
    pub(crate) finals: u64,
    /// Words in them.
    pub(crate) words: u64,
}

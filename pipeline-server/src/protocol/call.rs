//! What is told of a call beside what is said in it, the same for all ways in which calls come.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use utoipa::ToSchema;

/// A call was answered: who calls, and what carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct CallStart {
    /// Number of this message.
    pub(crate) seq: u64,
    /// The call.
    #[serde(flatten)]
    pub(crate) call: Call,
}

/// A call, as its transport names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema, ToSchema)]
pub(crate) struct Call {
    /// Its name: the Call-ID of SIP, the call's SID at Twilio.
    pub(crate) call_id: String,
    /// Who calls, as the transport says: a SIP URI, a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// Who is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    /// How the audio is coded, as in SDP: `PCMU`, `opus`.
    pub(crate) codec: String,
    /// Whose audio there is.
    #[schema(value_type = Vec<String>)]
    pub(crate) parties: Vec<&'static str>,
    /// What the caller's side gave along (Twilio's custom parameters).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub(crate) parameters: BTreeMap<String, String>,
}

/// A party put the call on hold or took it back.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Hold {
    /// Number of this message.
    pub(crate) seq: u64,
    /// Who did.
    pub(crate) party: &'static str,
    /// Whether it is on hold now.
    pub(crate) held: bool,
    /// When, seconds of audio since the start of the session.
    pub(crate) at: f64,
}

/// A party pressed a key.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Dtmf {
    /// Number of this message.
    pub(crate) seq: u64,
    /// Who did.
    pub(crate) party: &'static str,
    /// The key: `0` to `9`, `*`, `#`, `A` to `D`.
    pub(crate) digit: char,
    /// When, seconds of audio since the start of the session.
    pub(crate) at: f64,
}

/// The call was hung up.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct CallEnd {
    /// Number of this message.
    pub(crate) seq: u64,
    /// Why.
    pub(crate) reason: CallEndReason,
    /// Seconds since it was answered.
    pub(crate) duration_seconds: f64,
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CallEndReason {
    /// The other side hung up.
    RemoteHangup,
    /// The server hung up: it ends, or the session does.
    LocalHangup,
    /// No audio came for too long.
    MediaTimeout,
    /// The signalling or the media broke.
    Failed,
}

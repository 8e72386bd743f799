//! What a session tells of the call that it listens to.

use std::sync::OnceLock;
use std::time::Instant;

use super::Session;
use crate::protocol::call::{Call, CallEnd, CallEndReason, CallStart, Dtmf, Hold};
use crate::protocol::results::Message;

/// The call of a session, if it is one.
#[derive(Debug, Default)]
pub(super) struct OfCall(OnceLock<(Call, Instant)>);

impl Session {
    /// A call was answered. Told once; later calls of this change nothing.
    pub(crate) fn call_started(&self, call: Call) {
        if self.call.0.set((call.clone(), Instant::now())).is_ok() {
            tracing::info!(session = %self.id, call = call.call_id, codec = call.codec, "call answered");
            self.log.push(|seq| Message::CallStart(CallStart { seq, call }));
        }
    }

    /// The call, if it is one.
    pub(crate) fn call(&self) -> Option<&Call> {
        self.call.0.get().map(|(call, _)| call)
    }

    /// A party put it on hold or took it back.
    pub(crate) fn call_held(&self, party: &'static str, held: bool) {
        let at = self.heard();
        self.log.push(|seq| Message::Hold(Hold { seq, party, held, at }));
    }

    /// A party pressed a key.
    pub(crate) fn call_dtmf(&self, party: &'static str, digit: char) {
        let at = self.heard();
        self.log.push(|seq| Message::Dtmf(Dtmf { seq, party, digit, at }));
    }

    /// It was hung up. What was said before still has to come.
    pub(crate) fn call_ended(&self, reason: CallEndReason) {
        let Some((call, since)) = self.call.0.get() else { return };
        let duration_seconds = since.elapsed().as_secs_f64();
        tracing::info!(session = %self.id, call = call.call_id, duration_seconds, ?reason, "call ended");
        self.log.push(|seq| Message::CallEnd(CallEnd { seq, reason, duration_seconds }));
    }
}

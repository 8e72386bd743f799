//! Silence where no packets come.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

/// Silence is added once so much is missing, which is longer than the packets of any codec.
const LEAST: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// Fills what is missing behind a pad with raw audio, whose packets wait up to `held` for those before them.
#[derive(Debug, Clone)]
pub(super) struct Silence {
    pad: gst::Pad,
    held: gst::ClockTime,
    /// Running time up to which there is audio.
    end: Arc<Mutex<Option<gst::ClockTime>>>,
}

impl Silence {
    /// Behind `pad`.
    pub(super) fn new(pad: &gst::Pad, held: gst::ClockTime) -> Self {
        let end = Arc::new(Mutex::new(None));
        let reached = end.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some((pts, buffer)) = info.buffer().and_then(|buffer| Some((buffer.pts()?, buffer))) {
                let until = pts + buffer.duration().unwrap_or_default();
                let mut reached = reached.lock().unwrap_or_else(PoisonError::into_inner);
                *reached = (*reached).max(Some(until));
            }
            gst::PadProbeReturn::Ok
        });
        Self { pad: pad.clone(), held, end }
    }

    /// Says that there is silence up to where no packet can come any more. Returns at once.
    pub(super) fn fill(&self) {
        let Some(element) = self.pad.parent_element() else { return };
        let Some(until) = element.current_running_time().and_then(|now| now.checked_sub(self.held)) else { return };
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the first audio there is nothing that waits for an end.
        let Some(from) = *end else { return };
        let missing = until.saturating_sub(from);
        if missing < LEAST {
            return;
        }
        *end = Some(until);
        drop(end);
        let pad = self.pad.clone();
        element.call_async(move |_| {
            pad.push_event(gst::event::Gap::builder(from).duration(missing).build());
        });
    }
}

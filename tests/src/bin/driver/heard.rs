//! The pad behind the element: its custom events become a list, EOS and errors wake whoever waits.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{bail, Result};

/// Which of the element's events it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Somebody began to speak.
    SpeechStart,
    /// Somebody ceased to speak.
    SpeechEnd,
    /// Text so far.
    Partial,
    /// Text for good.
    Final,
}

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// Which.
    pub(crate) kind: Kind,
    /// Number of the utterance.
    pub(crate) utterance: u64,
    /// Its start, in seconds of stream time.
    pub(crate) start: f64,
    /// Its end, or that of what was heard of it, in seconds of stream time; the start if there is none yet.
    pub(crate) end: f64,
    /// The text.
    pub(crate) text: String,
    /// When it came.
    pub(crate) at: Instant,
    /// Seconds of audio that were pushed by then.
    pub(crate) pushed: f64,
}

#[derive(Default)]
struct Inner {
    said: Vec<Said>,
    pushed: f64,
    eos: bool,
    error: Option<String>,
}

/// Shared by the pad and the driver.
#[derive(Default)]
pub(super) struct Heard {
    inner: Mutex<Inner>,
    ended: Condvar,
}

impl Heard {
    /// A pad that takes everything.
    pub(super) fn pad(self: &Arc<Self>) -> gst::Pad {
        let heard = self.clone();
        gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function(|_, _, _| Ok(gst::FlowSuccess::Ok))
            .event_function(move |_, _, event| {
                heard.event(&event);
                true
            })
            .build()
    }

    fn event(&self, event: &gst::Event) {
        match event.view() {
            gst::EventView::CustomDownstream(custom) => {
                if let Some(said) = custom.structure().and_then(read) {
                    let mut inner = self.lock();
                    let pushed = inner.pushed;
                    inner.said.push(Said { pushed, ..said });
                }
            }
            gst::EventView::Eos(_) => {
                self.lock().eos = true;
                self.ended.notify_all();
            }
            _ => {}
        }
    }

    pub(super) fn pushed(&self, seconds: f64) {
        self.lock().pushed = seconds;
    }

    pub(super) fn flushed(&self) {
        self.lock().eos = false;
    }

    pub(super) fn fail(&self, error: String) {
        self.lock().error.get_or_insert(error);
        self.ended.notify_all();
    }

    pub(super) fn error(&self) -> Option<String> {
        self.lock().error.clone()
    }

    pub(super) fn take(&self) -> Vec<Said> {
        std::mem::take(&mut self.lock().said)
    }

    pub(super) fn ended(&self) -> Result<bool> {
        let inner = self.lock();
        match &inner.error {
            Some(error) => bail!("the element gave up: {error}"),
            None => Ok(inner.eos),
        }
    }

    pub(super) fn wait_for_eos(&self, patience: Duration) -> Result<()> {
        let goes_on = |inner: &mut Inner| !inner.eos && inner.error.is_none();
        let (inner, timeout) =
            self.ended.wait_timeout_while(self.lock(), patience, goes_on).unwrap_or_else(PoisonError::into_inner);
        match &inner.error {
            Some(error) => bail!("the element gave up: {error}"),
            None if timeout.timed_out() => bail!("EOS did not come out within {patience:?}"),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The event that a structure tells of, if it is one of ours.
fn read(structure: &gst::StructureRef) -> Option<Said> {
    let kind = match structure.name().as_str() {
        "whispertranscribe/speech-start" => Kind::SpeechStart,
        "whispertranscribe/speech-end" => Kind::SpeechEnd,
        "whispertranscribe/partial" => Kind::Partial,
        "whispertranscribe/final" => Kind::Final,
        _ => return None,
    };
    let seconds = |name| structure.get::<u64>(name).ok().map(|ns| ns as f64 / 1e9);
    let start = seconds("start")?;
    Some(Said {
        kind,
        utterance: structure.get("utterance").ok()?,
        start,
        end: seconds("end").unwrap_or(start),
        text: structure.get("text").unwrap_or_default(),
        at: Instant::now(),
        pushed: 0.0,
    })
}

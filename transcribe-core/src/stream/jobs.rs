//! What a stream asks of the engine, and when: partials while somebody speaks, early finals in pauses, finals.

use std::ops::Range;
use std::sync::Arc;

use super::utterance::{Early, State};
use super::{numbered, speaking, JobId, JobKind, Request, Stream};
use crate::engine::{CancelToken, ContextPolicy, DecodeOptions, Job, Search};
use crate::Position;

/// A final that isn't asked for yet.
pub(super) struct Held {
    id: JobId,
    job: Job,
    age: u64,
    new: u64,
}

impl Stream {
    /// The utterance is over: its final is asked for, unless it is there or on its way already.
    pub(super) fn finish(&mut self, number: u64, speech: Range<Position>, audio: Range<Position>, forced: bool) {
        let age = self.segmenter.position().saturating_sub(speech.end);
        let Some(u) = numbered(&mut self.pending, number).filter(|u| u.is_speaking()) else { return };
        u.speech = speech;
        u.partials.cancel();
        self.requests.push_back(Request::DropPartial);
        if forced {
            self.carried = u.split_off(audio.end);
        }
        match u.take_early() {
            Some(Early { audio: of, cancel, result }) if of.end == audio.end && !forced => {
                let job = JobKind::Early { from: of.start, end: of.end };
                u.state = State::Decoding { cancel, audio: of.clone(), forced, job };
                if let Some(hypothesis) = result {
                    u.finish(Ok(hypothesis), &of, self.config.may_revise);
                    self.settle();
                }
                return;
            }
            Some(early) => early.cancel.cancel(),
            None => {}
        }
        let audio = u.window.min(audio.end)..audio.end;
        let job = Job {
            options: self.final_options.clone(),
            audio: self.audio.slice(audio.clone()),
            cancel: CancelToken::new(),
        };
        let new = claim(&mut self.asked, &audio);
        u.state = State::Decoding { cancel: job.cancel.clone(), audio, forced, job: JobKind::Final };
        let id = JobId { epoch: self.epoch, utterance: number, kind: JobKind::Final };
        self.held.push_back(Held { id, job, age, new });
        self.release();
    }

    /// Asks for finals that wait for nothing: all of them, or where the decoder goes on from what was said before, the
    /// first.
    pub(super) fn release(&mut self) {
        while let Some(held) = self.held.front() {
            if held.job.options.previous.is_some() && self.is_behind_another(held.id.utterance) {
                break;
            }
            let Some(Held { id, mut job, age, new }) = self.held.pop_front() else { break };
            if let Some(u) = numbered(&mut self.pending, id.utterance) {
                job.options = u.going_on_from(&self.previous, &job.options);
            }
            self.requests.push_back(Request::Decode { id, job, age, new });
        }
    }

    /// Whether an utterance before this one has no final yet.
    fn is_behind_another(&self, number: u64) -> bool {
        self.utterances().any(|u| u.number < number)
    }

    /// In a pause, the final is made before it is known that the utterance ends here: where it does, nobody waits for
    /// it; where it doesn't, it was a partial.
    pub(super) fn request_early(&mut self) {
        let Some(u) = speaking(&mut self.pending) else { return };
        if self.segmenter.pause().is_none() {
            u.drop_early();
        }
        let Some(audio) = self.segmenter.foreseen() else { return };
        if u.early().is_some_and(|early| early.audio.end == audio.end) {
            return;
        }
        u.drop_early();
        if !self.early_finals && self.config.partials.interval().is_none() {
            return;
        }
        let number = u.number;
        if self.final_options.previous.is_some() && self.is_behind_another(number) {
            return; // It is asked again with the next frame.
        }
        let Some(u) = speaking(&mut self.pending) else { return };
        let audio = u.window..audio.end;
        let job = Job {
            options: u.going_on_from(&self.previous, &self.final_options),
            audio: self.audio.slice(audio.clone()),
            cancel: CancelToken::new(),
        };
        u.asked = audio.end;
        let kind = JobKind::Early { from: audio.start, end: audio.end };
        let id = JobId { epoch: self.epoch, utterance: u.number, kind };
        let age = self.segmenter.position().saturating_sub(audio.end);
        let new = claim(&mut self.asked, &audio);
        u.state = State::Speaking { early: Some(Early { audio, cancel: job.cancel.clone(), result: None }) };
        self.requests.push_back(Request::DropPartial);
        self.requests.push_back(Request::Decode { id, job, age, new });
    }

    pub(super) fn request_partial(&mut self) {
        let Some(interval) = self.config.partials.interval() else { return };
        // In a pause there is nothing new to hear.
        if self.segmenter.pause().is_some() {
            return;
        }
        let now = self.segmenter.position();
        if self.asked_partial.is_some_and(|asked| now < asked + self.least_partial_interval) {
            return;
        }
        let Some(u) = speaking(&mut self.pending).filter(|u| now >= u.asked + interval) else { return };
        u.asked = now;
        self.asked_partial = Some(now);
        let options = u.partial_options(&u.going_on_from(&self.previous, &self.partial_options));
        let (audio, cancel) = (u.window..now, u.partials.clone());
        let kind = JobKind::Partial { from: audio.start, end: audio.end };
        let id = JobId { epoch: self.epoch, utterance: u.number, kind };
        let job = Job { audio: self.audio.slice(audio), options, cancel };
        self.requests.push_back(Request::Decode { id, job, age: 0, new: 0 });
    }
}

/// Samples of `audio` behind `asked`, up to which finals were asked for already; now they are for all of it.
fn claim(asked: &mut Position, audio: &Range<Position>) -> u64 {
    let new = audio.end.saturating_sub(audio.start.max(*asked));
    *asked = audio.end.max(*asked);
    new
}

/// Options for finals, and those for partials made from them: one quick attempt.
pub(super) fn options(
    decode: &DecodeOptions,
    context: Option<ContextPolicy>,
) -> (Arc<DecodeOptions>, Arc<DecodeOptions>) {
    let context = context.unwrap_or(decode.context);
    let partial = DecodeOptions { fallback: false, search: Search::Greedy, context, ..decode.clone() };
    (Arc::new(decode.clone()), Arc::new(partial))
}

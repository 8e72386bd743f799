//! One speaker: audio and results in, jobs and outputs out (sans-IO).
//!
//! The caller mutates, then drains: after any `push_*` it calls [`Stream::next_frame`] until that gives `None` (running
//! the detector on each frame and handing it to [`Stream::push_lane`]), takes all [`requests`](Stream::poll_request) to
//! the scheduler and all [`outputs`](Stream::poll) to the user. Outputs are in the order of the audio: a final that is
//! ready early waits for the ones before it. What comes out depends on the audio alone, not on how it was cut up.

mod audio;
mod config;
mod jobs;
mod output;
mod previous;
mod utterance;

use std::collections::VecDeque;
use std::sync::Arc;

pub use config::StreamConfig;
pub use output::{FinalText, JobId, JobKind, Output, PartialText, Progress, Request};

use crate::engine::{DecodeOptions, EngineError, Hypothesis};
use crate::partials::window::ends_sentence;
use crate::partials::PartialPolicy;
use crate::segmenter::{ConfigError, SegmentEvent, Segmenter};
use crate::vad::gate::Gate;
use crate::vad::{Lane, Memory, FRAME};
use crate::{samples_from_ms, Position};
use audio::AudioBuffer;
use jobs::{options, Held};
use previous::Previous;
use utterance::{Carried, State, Utterance};

/// Progress is reported at least this often while audio comes in.
const PROGRESS_STEP: u64 = samples_from_ms(100);
/// A gap longer than this (and than twice the end-pointing silence) is jumped over instead of listened to.
const LONGEST_HEARD_GAP: u64 = samples_from_ms(2_000);

/// Something that must happen when all audio before it was dealt with.
#[derive(Debug)]
struct Barrier {
    at: Position,
    action: Action,
}

#[derive(Debug)]
enum Action {
    /// End the running utterance and report the marker once its final is out.
    Mark(u64),
    /// End the running utterance and go on this many samples later.
    Skip(u64),
    /// End the running utterance.
    End,
}

/// A line of things to give out in order: utterances' finals and markers.
enum Pending {
    Utterance(Box<Utterance>),
    Marker(u64),
}

/// The utterance of this number.
fn numbered(pending: &mut VecDeque<Pending>, number: u64) -> Option<&mut Utterance> {
    pending.iter_mut().find_map(|p| match p {
        Pending::Utterance(u) if u.number == number => Some(u.as_mut()),
        _ => None,
    })
}

/// The utterance under way.
fn speaking(pending: &mut VecDeque<Pending>) -> Option<&mut Utterance> {
    match pending.back_mut() {
        Some(Pending::Utterance(u)) if u.is_speaking() => Some(u),
        _ => None,
    }
}

/// See the module.
pub struct Stream {
    config: StreamConfig,
    partial_options: Arc<DecodeOptions>,
    final_options: Arc<DecodeOptions>,
    gate: Gate,
    segmenter: Segmenter,
    /// `None` while the detector has it.
    memory: Option<Memory>,
    audio: AudioBuffer,
    barriers: VecDeque<Barrier>,
    pending: VecDeque<Pending>,
    requests: VecDeque<Request>,
    outputs: VecDeque<Output>,
    progress: Progress,
    epoch: u64,
    /// Utterances that are over, since the stream was opened.
    ended: u64,
    /// What is stable behind a forced cut, for the utterance that goes on from there.
    carried: Option<Carried>,
    /// Samples; partials come no more often, whatever the policy asks for.
    least_partial_interval: u64,
    /// End of the audio in the latest partial job, of whichever utterance.
    asked_partial: Option<Position>,
    /// Whether finals are made in pauses though there are no partials.
    early_finals: bool,
    /// End of the audio in the latest final or early job.
    asked: Position,
    /// What the decoder goes on from, if it is to.
    previous: Previous,
    /// The final that waits for the text of the utterance before it, and those behind it.
    held: VecDeque<Held>,
}

impl Stream {
    /// A stream at position 0.
    pub fn new(config: StreamConfig) -> Result<Self, ConfigError> {
        let (final_options, partial_options) = options(&config.decode, config.partial_context);
        Ok(Self {
            gate: Gate::new(config.noise_floor_dbfs),
            segmenter: Segmenter::new(config.segmenter.clone())?,
            final_options,
            partial_options,
            config,
            memory: Some(Memory::default()),
            audio: AudioBuffer::default(),
            barriers: VecDeque::new(),
            pending: VecDeque::new(),
            requests: VecDeque::new(),
            outputs: VecDeque::new(),
            progress: Progress::default(),
            epoch: 0,
            ended: 0,
            carried: None,
            least_partial_interval: 0,
            asked_partial: None,
            early_finals: false,
            asked: 0,
            previous: Previous::default(),
            held: VecDeque::new(),
        })
    }

    /// Changes how utterances are decoded and shown from now on; the running utterance's final already follows it.
    pub fn configure(&mut self, decode: DecodeOptions, partials: PartialPolicy) {
        (self.final_options, self.partial_options) = options(&decode, self.config.partial_context);
        self.config.decode = decode;
        self.config.partials = partials;
        speaking(&mut self.pending).map(Utterance::drop_early);
    }

    /// From now on at least so many samples lie between two partials: the engine is busy. An utterance's first one comes
    /// as soon as ever if the last one of the utterance before was that long ago.
    pub fn set_least_partial_interval(&mut self, samples: u64) {
        self.least_partial_interval = samples;
    }

    /// Whether a pause has a final made of what was said before it is known that it ends the utterance. Somebody who
    /// waits for finals gets them sooner by that, for the price of those that are made in vain. With partials it is done
    /// anyway, since one that is made in vain is a partial still.
    pub fn set_early_finals(&mut self, early: bool) {
        self.early_finals = early;
    }

    /// Changes the length limit of utterances, in samples.
    pub fn set_max_utterance(&mut self, samples: u64) -> Result<(), ConfigError> {
        self.segmenter.set_max_utterance(samples)
    }

    /// Settings in force.
    pub fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// Position behind all audio that was pushed.
    pub fn end(&self) -> Position {
        let skipped: u64 = self.barriers.iter().map(|b| if let Action::Skip(n) = b.action { n } else { 0 }).sum();
        self.audio.end() + skipped
    }

    /// Adds mono audio at [`SAMPLE_RATE`](crate::SAMPLE_RATE).
    pub fn push_audio(&mut self, samples: &[f32]) {
        self.audio.push(samples);
    }

    /// Adds `n` samples of silence. The speaker's last utterance ends by it as by real silence; the rest of a long
    /// gap costs nothing.
    pub fn push_silence(&mut self, n: u64) {
        let heard = n.min(LONGEST_HEARD_GAP.max(2 * self.config.segmenter.min_silence));
        self.audio.push_silence(heard);
        if n > heard {
            self.barriers.push_back(Barrier { at: self.audio.end(), action: Action::Skip(n - heard) });
        }
    }

    /// Ends the running utterance here, forgets what the detector remembers and gives out [`Output::Marker`] once
    /// everything before it is out: the barrier behind end of stream, discontinuities and new segments.
    pub fn push_marker(&mut self, marker: u64) {
        self.barriers.push_back(Barrier { at: self.audio.end(), action: Action::Mark(marker) });
    }

    /// Ends the running utterance here, if there is one: its final comes without waiting for a pause.
    pub fn finalize(&mut self) {
        self.barriers.push_back(Barrier { at: self.audio.end(), action: Action::End });
    }

    /// Throws away all audio, jobs and outputs. Positions and utterance numbers go on.
    pub fn reset(&mut self) {
        let end = self.end();
        for pending in self.pending.drain(..) {
            if let Pending::Utterance(mut u) = pending {
                u.cancel();
            }
        }
        self.epoch += 1;
        self.carried = None;
        self.asked_partial = None;
        self.previous = Previous::default();
        self.held.clear();
        self.segmenter.finish(self.segmenter.position());
        while self.segmenter.poll().is_some() {}
        self.segmenter.resume(end);
        self.memory = Some(Memory::default());
        self.gate = Gate::new(self.config.noise_floor_dbfs);
        self.audio.restart(end);
        self.barriers.clear();
        self.outputs.clear();
        self.requests.clear();
        self.requests.push_back(Request::DropAll);
        self.progress = Progress { settled: end, heard: end };
    }

    /// Whether [`next_frame`](Self::next_frame) has something to do.
    pub fn has_work(&self) -> bool {
        let at = self.segmenter.position();
        self.memory.is_some() && (!self.barriers.is_empty() || self.audio.end().saturating_sub(at) >= FRAME as u64)
    }

    /// The next frame for the detector; `None` when more audio is needed first. Frames that need no detector, and
    /// barriers, are dealt with on the way. The lane must come back by [`push_lane`](Self::push_lane).
    pub fn next_frame(&mut self) -> Option<(u64, Lane)> {
        let mut frame = [0.0; FRAME];
        loop {
            let at = self.segmenter.position();
            let limit = self.barriers.front().map_or(self.audio.end(), |b| b.at);
            if at + FRAME as u64 <= limit {
                self.memory.as_ref()?;
                self.audio.read(at, &mut frame);
                let mut memory = self.memory.take()?;
                if !self.gate.skips(&frame, !self.segmenter.is_idle()) {
                    return Some((self.epoch, Lane::new(frame, memory)));
                }
                Gate::pass_over(&frame, &mut memory);
                self.memory = Some(memory);
                self.segmenter.push(0.0);
                self.advance();
            } else {
                self.memory.as_ref()?;
                let barrier = self.barriers.pop_front()?;
                self.pass(&barrier);
            }
        }
    }

    /// Takes a lane back from the detector, with the epoch it was given out with.
    pub fn push_lane(&mut self, epoch: u64, lane: Lane) {
        if epoch != self.epoch {
            return; // A reset came between.
        }
        self.memory = Some(lane.memory);
        self.segmenter.push(lane.probability);
        self.advance();
    }

    /// Takes the engine's result for a job.
    pub fn push_result(&mut self, id: JobId, result: Result<Hypothesis, EngineError>) {
        if id.epoch != self.epoch {
            return;
        }
        let may_revise = self.config.may_revise;
        let Some(utterance) = numbered(&mut self.pending, id.utterance) else { return };
        if let Some(audio) = utterance.waits_for(id.kind) {
            utterance.finish(result, &audio, may_revise);
            self.settle();
            return;
        }
        // Late, cancelled or failed: the final will tell.
        let (true, Ok(hypothesis)) = (utterance.is_speaking(), result) else { return };
        match id.kind {
            JobKind::Final => {}
            JobKind::Partial { from, end } => {
                utterance.drafted(from, &hypothesis);
                self.outputs.extend(utterance.show(&hypothesis, from..end));
                utterance.trim(&self.audio);
            }
            JobKind::Early { from, end } => {
                utterance.drafted(from, &hypothesis);
                if self.config.partials.interval().is_some() {
                    self.outputs.extend(utterance.show(&hypothesis, from..end));
                }
                if let Some(early) = utterance.early().filter(|early| early.audio == (from..end)) {
                    early.result = Some(hypothesis);
                }
                self.end_at_sentence();
            }
        }
    }

    /// The next thing to ask of the scheduler.
    pub fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// The next output.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Samples pushed but not yet dealt with: audio the detector has not seen, and utterances without their final.
    pub fn backlog(&self) -> u64 {
        let unheard = self.audio.end().saturating_sub(self.segmenter.position());
        let undecoded: u64 = self
            .utterances()
            .map(|u| if let State::Decoding { audio, .. } = &u.state { audio.end - audio.start } else { 0 })
            .sum();
        unheard + undecoded
    }

    /// Counts the resets; results for jobs from before one are ignored.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Finals that were asked for and are not given out yet.
    pub fn unfinished(&self) -> u64 {
        self.utterances().filter(|u| !u.is_speaking()).count() as u64
    }

    /// Utterances that are over, so many finals were asked for, since the stream was opened.
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// Whether nobody speaks and nothing is pending.
    pub fn is_idle(&self) -> bool {
        self.segmenter.is_idle() && self.pending.is_empty()
    }

    fn utterances(&self) -> impl Iterator<Item = &Utterance> {
        self.pending.iter().filter_map(|p| if let Pending::Utterance(u) = p { Some(u.as_ref()) } else { None })
    }

    /// After each frame: what the segmenter found, results that are due, audio no longer needed, progress.
    fn advance(&mut self) {
        self.drain_segmenter();
        self.request_early();
        self.request_partial();
        self.end_at_sentence();
        self.audio.trim(self.segmenter.earliest_start());
        self.report_progress();
    }

    fn drain_segmenter(&mut self) {
        while let Some(event) = self.segmenter.poll() {
            match event {
                SegmentEvent::SpeechStart { utterance, at, audio_start } => {
                    self.outputs.push_back(Output::SpeechStart { utterance, at });
                    let mut started = Utterance::new(utterance, at, audio_start, self.config.partials);
                    self.outputs.extend(self.carried.take().map(|carried| started.adopt(carried)));
                    self.pending.push_back(Pending::Utterance(Box::new(started)));
                }
                SegmentEvent::SpeechEnd { utterance, speech, audio, forced } => {
                    self.outputs.push_back(Output::SpeechEnd { utterance, speech: speech.clone() });
                    self.ended += 1;
                    self.finish(utterance, speech, audio, forced);
                }
            }
        }
    }

    /// Ends an utterance whose text ends a sentence when its pause is long enough for that.
    fn end_at_sentence(&mut self) {
        let (Some(silence), Some(pause)) = (self.config.sentence_silence, self.segmenter.pause()) else { return };
        let position = self.segmenter.position();
        if position < pause + silence {
            return;
        }
        let result = speaking(&mut self.pending).and_then(Utterance::early).and_then(|early| early.result.as_ref());
        if result.and_then(|r| r.words().last()).is_some_and(|word| ends_sentence(&word.text)) {
            self.segmenter.finish(position);
            self.drain_segmenter();
        }
    }

    /// Ends the running utterance at the barrier and does what it asks for.
    fn pass(&mut self, barrier: &Barrier) {
        self.segmenter.finish(barrier.at);
        self.drain_segmenter();
        if !matches!(barrier.action, Action::End) {
            self.memory = Some(Memory::default());
            self.gate = Gate::new(self.config.noise_floor_dbfs);
        }
        match barrier.action {
            Action::End => {}
            Action::Mark(marker) => {
                self.audio.trim(barrier.at);
                self.segmenter.resume(barrier.at);
                self.pending.push_back(Pending::Marker(marker));
                self.settle();
            }
            Action::Skip(n) => {
                self.audio.jump(barrier.at, n);
                for later in &mut self.barriers {
                    later.at += n;
                }
                self.segmenter.resume(barrier.at + n);
            }
        }
        self.report_progress();
    }

    /// Gives out what is ready at the front of the line.
    fn settle(&mut self) {
        loop {
            let ready = match self.pending.front() {
                Some(Pending::Marker(_)) => true,
                Some(Pending::Utterance(u)) => matches!(u.state, State::Done(_)),
                None => false,
            };
            if !ready {
                break;
            }
            match self.pending.pop_front() {
                Some(Pending::Marker(marker)) => {
                    self.report_progress();
                    self.outputs.push_back(Output::Marker(marker));
                }
                Some(Pending::Utterance(utterance)) => {
                    if let State::Done(output) = utterance.state {
                        if let Output::Final(FinalText { hypothesis, speech, .. }) = &output {
                            self.previous.add(hypothesis, speech);
                        }
                        self.outputs.push_back(output);
                    }
                }
                None => break,
            }
        }
        self.release();
        self.report_progress();
    }

    fn report_progress(&mut self) {
        let heard = self.segmenter.position();
        let settled = self.utterances().next().map_or(self.segmenter.earliest_start(), |u| u.speech.start.min(heard));
        // A marker that waits holds back what lies behind it, too.
        let settled = settled.max(self.progress.settled);
        let new = Progress { settled, heard: heard.max(self.progress.heard) };
        if new.settled < self.progress.settled + PROGRESS_STEP && new.heard < self.progress.heard + PROGRESS_STEP {
            return;
        }
        self.progress = new;
        match self.outputs.back_mut() {
            Some(Output::Progress(last)) => *last = new,
            _ => self.outputs.push_back(Output::Progress(new)),
        }
    }
}

#[cfg(test)]
mod tests;

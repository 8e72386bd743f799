//! One speaker: audio and results in, jobs and outputs out (sans-IO).
//!
//! The caller mutates, then drains: after any `push_*` it calls [`Stream::next_frame`] until that gives `None` (running
//! the detector on each frame and handing it to [`Stream::push_lane`]), takes all [`requests`](Stream::poll_request) to
//! the scheduler and all [`outputs`](Stream::poll) to the user. Outputs are in the order of the audio: a final that is
//! ready early waits for the ones before it. What comes out depends on the audio alone, not on how it was cut up.

mod audio;
mod output;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

pub use output::{FinalText, JobId, JobKind, Output, PartialText, Progress, Request};

use crate::engine::{join_words, CancelToken, DecodeOptions, EngineError, Hypothesis, Job};
use crate::partials::{PartialPolicy, Policy};
use crate::segmenter::{ConfigError, SegmentEvent, Segmenter, SegmenterConfig};
use crate::vad::gate::{Gate, DEFAULT_NOISE_FLOOR_DBFS};
use crate::vad::{Lane, Memory, FRAME};
use crate::{samples_from_ms, Position};
use audio::AudioBuffer;

/// Progress is reported at least this often while audio comes in.
const PROGRESS_STEP: u64 = samples_from_ms(100);
/// A gap longer than this (and than twice the end-pointing silence) is jumped over instead of listened to.
const LONGEST_HEARD_GAP: u64 = samples_from_ms(2_000);

/// Settings of a stream; may be changed between any two calls with [`Stream::configure`], but for the segmenter's.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamConfig {
    /// How speech is cut into utterances.
    pub segmenter: SegmenterConfig,
    /// Frames under this level (dBFS, RMS) are not looked at by the detector while nobody speaks.
    pub noise_floor_dbfs: f32,
    /// When there are partial results.
    pub partials: PartialPolicy,
    /// How utterances are decoded.
    pub decode: DecodeOptions,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            segmenter: SegmenterConfig::default(),
            noise_floor_dbfs: DEFAULT_NOISE_FLOOR_DBFS,
            partials: PartialPolicy::default(),
            decode: DecodeOptions::default(),
        }
    }
}

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
}

/// An utterance from its announcement to its final.
struct Utterance {
    number: u64,
    audio_start: Position,
    speech: Range<Position>,
    revision: u32,
    /// Stops all its partial jobs.
    partials: CancelToken,
    /// End of the audio in the latest partial job.
    asked: Position,
    /// End of the audio in the latest partial that was given out.
    shown: Position,
    policy: Box<dyn Policy>,
    /// Language the first hypothesis was in; later partials need not detect it again.
    language: Option<String>,
    state: State,
}

enum State {
    Speaking,
    Decoding { cancel: CancelToken, samples: u64, forced: bool },
    Done(Output),
}

/// A line of things to give out in order: utterances' finals and markers.
enum Pending {
    Utterance(Box<Utterance>),
    Marker(u64),
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
    /// Samples; partials come no more often, whatever the policy asks for.
    least_partial_interval: u64,
}

impl Stream {
    /// A stream at position 0.
    pub fn new(config: StreamConfig) -> Result<Self, ConfigError> {
        let (final_options, partial_options) = options(&config.decode);
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
            least_partial_interval: 0,
        })
    }

    /// Changes how utterances are decoded and shown from now on; the running utterance's final already follows it.
    pub fn configure(&mut self, decode: DecodeOptions, partials: PartialPolicy) {
        (self.final_options, self.partial_options) = options(&decode);
        self.config.decode = decode;
        self.config.partials = partials;
    }

    /// From now on partials come after at least so many samples of new audio: the engine is busy.
    pub fn set_least_partial_interval(&mut self, samples: u64) {
        self.least_partial_interval = samples;
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

    /// Throws away all audio, jobs and outputs. Positions and utterance numbers go on.
    pub fn reset(&mut self) {
        let end = self.end();
        for pending in self.pending.drain(..) {
            if let Pending::Utterance(u) = pending {
                u.partials.cancel();
                if let State::Decoding { cancel, .. } = u.state {
                    cancel.cancel();
                }
            }
        }
        self.epoch += 1;
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
        let utterance = self.pending.iter_mut().find_map(|p| match p {
            Pending::Utterance(u) if u.number == id.utterance => Some(u),
            _ => None,
        });
        let Some(utterance) = utterance else { return };
        match (id.kind, result, &utterance.state) {
            (JobKind::Final, result, _) => {
                utterance.finish(result);
                self.settle();
            }
            (JobKind::Partial { end }, Ok(hypothesis), State::Speaking) => {
                let partial = utterance.show(hypothesis, end);
                self.outputs.extend(partial);
            }
            // Late, cancelled or failed: the final will tell.
            (JobKind::Partial { .. }, ..) => {}
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
        let undecoded: u64 =
            self.utterances().map(|u| if let State::Decoding { samples, .. } = u.state { samples } else { 0 }).sum();
        unheard + undecoded
    }

    /// Counts the resets; results for jobs from before one are ignored.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Finals that were asked for and are not given out yet.
    pub fn unfinished(&self) -> u64 {
        self.utterances().filter(|u| !matches!(u.state, State::Speaking)).count() as u64
    }

    /// Whether nobody speaks and nothing is pending.
    pub fn is_idle(&self) -> bool {
        self.segmenter.is_idle() && self.pending.is_empty()
    }

    fn utterances(&self) -> impl Iterator<Item = &Utterance> {
        self.pending.iter().filter_map(|p| if let Pending::Utterance(u) = p { Some(u.as_ref()) } else { None })
    }

    /// After each frame: what the segmenter found, a partial that is due, audio no longer needed, progress.
    fn advance(&mut self) {
        self.drain_segmenter();
        self.request_partial();
        self.audio.trim(self.segmenter.earliest_start());
        self.report_progress();
    }

    fn drain_segmenter(&mut self) {
        while let Some(event) = self.segmenter.poll() {
            match event {
                SegmentEvent::SpeechStart { utterance, at, audio_start } => {
                    self.outputs.push_back(Output::SpeechStart { utterance, at });
                    self.pending.push_back(Pending::Utterance(Box::new(Utterance::new(
                        utterance,
                        at,
                        audio_start,
                        self.config.partials,
                    ))));
                }
                SegmentEvent::SpeechEnd { utterance, speech, audio, forced } => {
                    self.outputs.push_back(Output::SpeechEnd { utterance, speech: speech.clone() });
                    self.request_final(utterance, speech, audio, forced);
                }
            }
        }
    }

    fn request_final(&mut self, number: u64, speech: Range<Position>, audio: Range<Position>, forced: bool) {
        let job = Job {
            audio: self.audio.slice(audio.clone()),
            options: self.final_options.clone(),
            cancel: CancelToken::new(),
        };
        let age = self.segmenter.position().saturating_sub(speech.end);
        for pending in &mut self.pending {
            if let Pending::Utterance(u) = pending {
                if u.number == number {
                    u.partials.cancel();
                    u.speech = speech.clone();
                    u.audio_start = audio.start;
                    u.state = State::Decoding { cancel: job.cancel.clone(), samples: job.audio.len() as u64, forced };
                }
            }
        }
        self.requests.push_back(Request::DropPartial);
        let id = JobId { epoch: self.epoch, utterance: number, kind: JobKind::Final };
        self.requests.push_back(Request::Decode { id, job, age });
    }

    fn request_partial(&mut self) {
        let Some(interval) = self.config.partials.interval() else { return };
        let interval = interval.max(self.least_partial_interval);
        let now = self.segmenter.position();
        let Some(Pending::Utterance(u)) = self.pending.back_mut() else { return };
        if !matches!(u.state, State::Speaking) || now < u.asked + interval {
            return;
        }
        u.asked = now;
        let options = match (&self.partial_options.language, &u.language) {
            (None, Some(language)) => {
                Arc::new(DecodeOptions { language: Some(language.clone()), ..(*self.partial_options).clone() })
            }
            _ => self.partial_options.clone(),
        };
        let job = Job { audio: self.audio.slice(u.audio_start..now), options, cancel: u.partials.clone() };
        let id = JobId { epoch: self.epoch, utterance: u.number, kind: JobKind::Partial { end: now } };
        self.requests.push_back(Request::Decode { id, job, age: 0 });
    }

    /// Ends the running utterance at the barrier and does what it asks for.
    fn pass(&mut self, barrier: &Barrier) {
        self.segmenter.finish(barrier.at);
        self.drain_segmenter();
        self.memory = Some(Memory::default());
        self.gate = Gate::new(self.config.noise_floor_dbfs);
        match barrier.action {
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
                        self.outputs.push_back(output);
                    }
                }
                None => break,
            }
        }
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

impl Utterance {
    fn new(number: u64, at: Position, audio_start: Position, policy: PartialPolicy) -> Self {
        Self {
            number,
            audio_start,
            speech: at..at,
            revision: 0,
            partials: CancelToken::new(),
            asked: at,
            shown: at,
            policy: policy.start(),
            language: None,
            state: State::Speaking,
        }
    }

    /// The partial made of the audio up to `end`, unless it says nothing or a later one was shown already.
    fn show(&mut self, hypothesis: Hypothesis, end: Position) -> Option<Output> {
        if hypothesis.is_empty() || end <= self.shown {
            return None;
        }
        self.shown = end;
        self.language.get_or_insert_with(|| hypothesis.language.clone());
        self.revision += 1;
        let words: Vec<_> = hypothesis.words().cloned().collect();
        let (stable, unstable) = words.split_at(self.policy.update(&hypothesis).stable.min(words.len()));
        Some(Output::Partial(PartialText {
            utterance: self.number,
            revision: self.revision,
            span: self.speech.start..end,
            audio_start: self.audio_start,
            stable: join_words(stable),
            unstable: join_words(unstable),
            language: hypothesis.language,
            words,
        }))
    }

    fn finish(&mut self, result: Result<Hypothesis, EngineError>) {
        let forced = matches!(self.state, State::Decoding { forced: true, .. });
        self.state = State::Done(match result {
            Ok(hypothesis) => Output::Final(FinalText {
                utterance: self.number,
                revision: self.revision + 1,
                speech: self.speech.clone(),
                audio_start: self.audio_start,
                forced,
                hypothesis,
            }),
            Err(error) => {
                Output::Failed { utterance: self.number, speech: self.speech.clone(), error: error.to_string() }
            }
        });
    }
}

/// Options for finals, and those for partials made from them: one quick attempt.
fn options(decode: &DecodeOptions) -> (Arc<DecodeOptions>, Arc<DecodeOptions>) {
    let partial = DecodeOptions { fallback: false, search: crate::engine::Search::Greedy, ..decode.clone() };
    (Arc::new(decode.clone()), Arc::new(partial))
}

#[cfg(test)]
mod tests;

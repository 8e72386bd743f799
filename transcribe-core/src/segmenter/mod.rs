//! The segmenter: speech probabilities in, utterances out (a sans-IO state machine over frames).
//!
//! Each push is the probability of speech in the next [`FRAME`] samples; nothing else moves time, so the events are the
//! same however the audio arrived. The rules are those of Silero's `get_speech_timestamps`
//! (<https://github.com/snakers4/silero-vad>, `utils_vad.py`), made to work while the audio still comes in:
//!
//! - **Hysteresis.** A frame at or over `threshold` begins speech. A frame under the negative threshold begins a pause;
//!   only a frame at or over `threshold` ends the pause.
//! - **Start.** Speech is announced when `min_speech` of it has come, pauses not counted, so that a click is never
//!   announced. Its start is dated back to the first frame and padded.
//! - **End.** A pause of `min_silence` ends the utterance where the pause began, padded. Speech that was never
//!   announced is dropped without a trace.
//! - **Length.** When another frame would make an utterance longer than `max_utterance`, it is cut in the middle of
//!   the least speech-like frame of the last `cut_reach`, and the next begins at that very sample. If a pause is under
//!   way at that moment, it is waited out: either it ends the utterance anyway or it is a good place for the cut.
//!
//! Audio ranges add a pre-roll before the reported start and a little after the end; neither they nor the reported
//! ranges of two utterances ever overlap.

mod config;
mod history;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, ops::Range};

pub use config::{ConfigError, SegmenterConfig};

use self::history::History;
use crate::{samples_from_ms, vad::FRAME, Position};

/// Length of a frame on the time line.
const FRAME_LENGTH: u64 = FRAME as u64;

/// What the segmenter found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentEvent {
    /// Enough speech for an utterance to have begun.
    SpeechStart {
        /// Number of the utterance in its stream, from 0.
        utterance: u64,
        /// Where the speech began (padded); lies before the frame that proved it.
        at: Position,
        /// Where the audio to decode begins.
        audio_start: Position,
    },
    /// The utterance is over.
    SpeechEnd {
        /// The utterance.
        utterance: u64,
        /// Where speech was reported from and to (padded).
        speech: Range<Position>,
        /// The audio to decode; never overlaps that of another utterance.
        audio: Range<Position>,
        /// Cut at the length limit: speech goes on in the next utterance, whose start follows at once.
        forced: bool,
    },
}

/// An utterance that has been announced and is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Its number.
    pub utterance: u64,
    /// Where its speech began, as announced.
    pub start: Position,
    /// Where its audio begins.
    pub audio_start: Position,
}

/// The state machine of one stream. Push frames, then poll until there is nothing more.
#[derive(Debug)]
pub struct Segmenter {
    config: SegmenterConfig,
    state: State,
    /// End of the frames consumed.
    position: Position,
    /// End of the last utterance's audio, or the stream's start: nothing to come begins before this.
    taken: Position,
    /// Number of the next utterance.
    next: u64,
    history: History,
    events: VecDeque<SegmentEvent>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// No speech.
    Idle,
    /// Speech that isn't long enough yet.
    Candidate {
        span: Span,
        /// Samples outside pauses.
        speech: u64,
        /// Where the latest stretch without a pause began.
        stretch: Position,
    },
    /// An announced utterance.
    Speaking { span: Span, utterance: u64 },
}

/// Speech under way.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// Start of the first frame of speech, or the cut it goes on from.
    onset: Position,
    /// The reported start.
    start: Position,
    audio_start: Position,
    /// Where the pause under way began.
    pause: Option<Position>,
    /// The latest stretch behind a long pause, as long as it is too short to be speech by itself.
    burst: Option<Burst>,
}

/// A sound behind a long pause: a door, a breath, the first of the applause. It is decoded with the utterance, but if
/// nothing more comes the utterance is reported to end before it.
#[derive(Debug, Clone, Copy)]
struct Burst {
    /// Where the pause before it began.
    pause: Position,
    /// Where it began.
    start: Position,
}

/// A pause of this length parts what comes after it from what was said before: stops inside of words are shorter.
const LONG_PAUSE: u64 = samples_from_ms(200);

impl Segmenter {
    /// A segmenter at the start of a stream, position 0.
    pub fn new(config: SegmenterConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            history: History::new(config.cut_reach + config.min_silence),
            config,
            state: State::Idle,
            position: 0,
            taken: 0,
            next: 0,
            events: VecDeque::new(),
        })
    }

    /// Advances by one frame of this probability; what is no number counts as 0.
    pub fn push(&mut self, probability: f32) {
        let frame = self.position;
        self.position += FRAME_LENGTH;
        let probability = if probability.is_nan() { 0.0 } else { probability };
        let loud = probability >= self.config.threshold;
        let quiet = probability < self.config.negative_threshold();
        if let State::Idle = self.state {
            if !loud {
                return;
            }
            self.state = State::Candidate { span: self.span(frame), speech: 0, stretch: frame };
        }
        self.history.push(probability, self.position);
        self.follow(frame, loud, quiet);
        self.announce_if_proven();
        match self.span_under_way() {
            Some(Span { pause: Some(pause), .. }) if self.position - pause >= self.config.min_silence => self.end(),
            Some(Span { pause: None, audio_start, .. }) if self.is_full(audio_start) => self.cut(),
            _ => {}
        }
    }

    /// Advances by `frames` silent frames: the same as as many pushes of 0, but at no cost once nobody speaks.
    pub fn skip(&mut self, frames: u64) {
        let mut left = frames;
        while left > 0 && !self.is_idle() {
            self.push(0.0);
            left -= 1;
        }
        self.position += left * FRAME_LENGTH;
    }

    /// The next event, oldest first.
    pub fn poll(&mut self) -> Option<SegmentEvent> {
        self.events.pop_front()
    }

    /// The audio ends at `end` (or everything up to there has to come out): closes the utterance that is running. Up to
    /// a frame may lie between the last push and `end`; it counts as what came before it. Speech that wasn't announced
    /// is dropped unless that rest makes it long enough. Pushes then go on from `end`.
    pub fn finish(&mut self, end: Position) {
        let rest = end.saturating_sub(self.position);
        self.position += rest;
        if let State::Candidate { span: Span { pause: None, .. }, speech, .. } = &mut self.state {
            *speech += rest;
        }
        self.announce_if_proven();
        self.end();
        self.taken = self.position;
    }

    /// Goes on at `at`, no earlier than the position reached: what lies between was never seen and belongs to no
    /// utterance. Call it after [`finish`](Self::finish); an utterance that still runs is closed first.
    pub fn resume(&mut self, at: Position) {
        if !self.is_idle() {
            self.finish(self.position);
        }
        self.position = self.position.max(at);
        self.taken = self.position;
    }

    /// End of the audio that has been judged.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The announced utterance under way.
    pub fn speaking(&self) -> Option<Running> {
        match self.state {
            State::Speaking { span, utterance } => {
                Some(Running { utterance, start: span.start, audio_start: span.audio_start })
            }
            _ => None,
        }
    }

    /// Where the pause under way in an announced utterance began.
    pub fn pause(&self) -> Option<Position> {
        match self.state {
            State::Speaking { span, .. } => span.pause,
            _ => None,
        }
    }

    /// The audio that [`SpeechEnd`](SegmentEvent::SpeechEnd) will name if the pause under way lasts; `None` while
    /// somebody speaks or not all of it has been seen.
    pub fn foreseen(&self) -> Option<Range<Position>> {
        match self.state {
            State::Speaking { span, .. } => {
                let end = span.pause? + self.config.speech_pad + self.config.tail();
                let fits = end <= span.audio_start + self.config.max_utterance;
                (end <= self.position && fits).then_some(span.audio_start..end)
            }
            _ => None,
        }
    }

    /// Whether no speech is under way, not even some that is too short yet.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Nothing that later pushes bring begins before this, neither reported speech nor audio; while an utterance runs,
    /// its audio begins here. It never moves back. Audio before it can be let go, a gap up to it reported.
    pub fn earliest_start(&self) -> Position {
        match self.span_under_way() {
            Some(span) => span.audio_start,
            None => self.span(self.position).audio_start,
        }
    }

    /// The configuration, with the length limit as it now is.
    pub fn config(&self) -> &SegmenterConfig {
        &self.config
    }

    /// Sets the length limit, samples, also for the utterance under way: if that is longer already, the next frame that
    /// is no pause cuts it.
    pub fn set_max_utterance(&mut self, max_utterance: u64) -> Result<(), ConfigError> {
        let config = SegmenterConfig { max_utterance, ..self.config.clone() };
        config.check()?;
        self.config = config;
        Ok(())
    }

    /// Speech from `onset` on.
    fn span(&self, onset: Position) -> Span {
        let back = |from: Position, by: u64| from.saturating_sub(by).max(self.taken);
        let start = back(onset, self.config.speech_pad);
        Span { onset, start, audio_start: back(start, self.config.pre_roll), pause: None, burst: None }
    }

    fn span_under_way(&self) -> Option<Span> {
        match self.state {
            State::Idle => None,
            State::Candidate { span, .. } | State::Speaking { span, .. } => Some(span),
        }
    }

    /// Whether another frame would make an utterance too long.
    fn is_full(&self, audio_start: Position) -> bool {
        self.position - audio_start + FRAME_LENGTH > self.config.max_utterance
    }

    /// Takes a frame into the speech under way: begins and ends pauses, counts speech.
    fn follow(&mut self, frame: Position, loud: bool, quiet: bool) {
        let (span, progress) = match &mut self.state {
            State::Idle => return,
            State::Candidate { span, speech, stretch } => (span, Some((speech, stretch))),
            State::Speaking { span, .. } => (span, None),
        };
        let paused = span.pause.is_some();
        if loud {
            if let Some(pause) = span.pause.take().filter(|pause| frame - pause >= LONG_PAUSE) {
                // A burst that is followed by another ends where the first one began.
                span.burst = Some(Burst { pause: span.burst.map_or(pause, |b| b.pause), start: frame });
            }
            if span.burst.is_some_and(|b| frame + FRAME_LENGTH - b.start >= self.config.min_speech) {
                span.burst = None;
            }
        } else if quiet {
            span.pause = span.pause.or(Some(frame));
        }
        if let (None, Some((speech, stretch))) = (span.pause, progress) {
            *speech += FRAME_LENGTH;
            if paused {
                *stretch = frame;
            }
        }
    }

    fn announce_if_proven(&mut self) {
        match self.state {
            State::Candidate { span, speech, .. } if span.pause.is_none() && speech >= self.config.min_speech => {
                self.announce(span);
            }
            _ => {}
        }
    }

    fn announce(&mut self, span: Span) {
        let utterance = self.next;
        self.next += 1;
        let Span { start, audio_start, .. } = span;
        self.events.push_back(SegmentEvent::SpeechStart { utterance, at: start, audio_start });
        self.state = State::Speaking { span, utterance };
    }

    /// Ends what is under way: where its pause began, or here.
    fn end(&mut self) {
        if let State::Speaking { span, utterance } = self.state {
            let spoken = span.pause.unwrap_or(self.position);
            // Padding may not make the utterance longer than it may be; speech was cut before it could.
            let limit = self.position.min(spoken.max(span.audio_start + self.config.max_utterance));
            let padded = |by: u64| limit.min(spoken + by);
            let reported = span.burst.map_or(spoken, |b| b.pause);
            let speech = span.start..limit.min(reported + self.config.speech_pad);
            let audio = span.audio_start..padded(self.config.speech_pad + self.config.tail());
            self.taken = audio.end;
            self.events.push_back(SegmentEvent::SpeechEnd { utterance, speech, audio, forced: false });
        }
        self.state = State::Idle;
        self.history.clear();
    }

    /// The length limit is reached and speech goes on.
    fn cut(&mut self) {
        match self.state {
            State::Idle => {}
            // Rare sounds, each too short for speech: only the latest may still become an utterance.
            State::Candidate { speech, stretch, .. } => {
                let speech = speech.min(self.position - stretch);
                self.state = State::Candidate { span: self.span(stretch), speech, stretch };
            }
            State::Speaking { span, utterance } => {
                let at = self.cutting_point(&span);
                self.events.push_back(SegmentEvent::SpeechEnd {
                    utterance,
                    speech: span.start..at,
                    audio: span.audio_start..at,
                    forced: true,
                });
                self.taken = at;
                self.announce(Span { onset: at, start: at, audio_start: at, pause: None, burst: None });
            }
        }
    }

    fn cutting_point(&self, span: &Span) -> Position {
        let limit = span.audio_start + self.config.max_utterance;
        // Past the limit by more than a pause: the limit has been lowered since, so the cut is looked for here.
        let latest = if self.position > limit + self.config.min_silence { self.position } else { limit };
        let earliest = (span.onset + self.config.min_speech).max(latest - self.config.reach());
        self.history.least_speech_like(earliest..latest + 1).unwrap_or(self.position.min(latest))
    }
}

//! An utterance from its announcement to its final.

use std::ops::Range;
use std::sync::Arc;

use super::audio::AudioBuffer;
use super::output::{FinalText, JobKind, Output, PartialText};
use super::previous::Previous;
use crate::engine::{join_words, CancelToken, DecodeOptions, EngineError, Hypothesis, Segment, Word};
use crate::partials::{window, PartialPolicy, Policy, View};
use crate::Position;

/// See the module.
pub(super) struct Utterance {
    pub(super) number: u64,
    pub(super) audio_start: Position,
    pub(super) speech: Range<Position>,
    pub(super) state: State,
    /// What is decoded begins here; behind `audio_start` once committed words have been trimmed.
    pub(super) window: Position,
    /// Stops all its partial jobs.
    pub(super) partials: CancelToken,
    /// End of the audio in the latest partial or early job.
    pub(super) asked: Position,
    revision: u32,
    /// End of the audio in the latest partial that was given out.
    shown: Position,
    policy: Box<dyn Policy>,
    /// Language the first hypothesis was in; later partials need not detect it again.
    language: Option<String>,
    /// Tokens of the latest hypothesis, and where its audio began.
    draft: (Position, Vec<i32>),
    /// Words behind its end were stable already, and are the next utterance's.
    all_committed: bool,
}

pub(super) enum State {
    /// Going on.
    Speaking {
        /// The final, should the pause under way be its end.
        early: Option<Early>,
    },
    /// Over; the final is being made.
    Decoding {
        cancel: CancelToken,
        /// What is decoded.
        audio: Range<Position>,
        forced: bool,
        /// Which job makes it.
        job: JobKind,
    },
    /// The final, which may have to wait for those before it.
    Done(Output),
}

/// Words that are stable behind a forced cut.
pub(super) struct Carried {
    /// Their spans are positions.
    words: Vec<Word>,
    language: String,
    /// End of the audio that they were heard in.
    to: Position,
}

/// A final that was asked for before the utterance was known to be over.
pub(super) struct Early {
    /// What it was asked for.
    pub(super) audio: Range<Position>,
    pub(super) cancel: CancelToken,
    /// What the engine made of it, once it is there.
    pub(super) result: Option<Hypothesis>,
}

impl Utterance {
    pub(super) fn new(number: u64, at: Position, audio_start: Position, policy: PartialPolicy) -> Self {
        Self {
            number,
            audio_start,
            speech: at..at,
            state: State::Speaking { early: None },
            window: audio_start,
            partials: CancelToken::new(),
            asked: at,
            revision: 0,
            shown: at,
            policy: policy.start(),
            language: None,
            draft: (audio_start, Vec::new()),
            all_committed: false,
        }
    }

    pub(super) fn is_speaking(&self) -> bool {
        matches!(self.state, State::Speaking { .. })
    }

    /// The audio of the final, if it waits for this job.
    pub(super) fn waits_for(&self, kind: JobKind) -> Option<Range<Position>> {
        match &self.state {
            State::Decoding { audio, job, .. } if *job == kind => Some(audio.clone()),
            _ => None,
        }
    }

    /// The early final while nobody knows yet whether it is one.
    pub(super) fn early(&mut self) -> Option<&mut Early> {
        match &mut self.state {
            State::Speaking { early } => early.as_mut(),
            _ => None,
        }
    }

    /// Takes the early final.
    pub(super) fn take_early(&mut self) -> Option<Early> {
        match &mut self.state {
            State::Speaking { early } => early.take(),
            _ => None,
        }
    }

    /// Stops the early final: somebody goes on speaking, or it would not be made like that any more.
    pub(super) fn drop_early(&mut self) {
        if let Some(early) = self.take_early() {
            early.cancel.cancel();
        }
    }

    /// Stops all its jobs.
    pub(super) fn cancel(&mut self) {
        self.partials.cancel();
        self.drop_early();
        if let State::Decoding { cancel, .. } = &self.state {
            cancel.cancel();
        }
    }

    /// `base` with what was said before, if the decoder is to go on from it. (Not so where audio was let go: what was said
    /// in it is missing between the two.)
    pub(super) fn going_on_from(&self, previous: &Previous, base: &Arc<DecodeOptions>) -> Arc<DecodeOptions> {
        if base.previous.is_none() {
            return base.clone();
        }
        let text = if self.window == self.audio_start { previous.text(self.speech.start) } else { String::new() };
        Arc::new(DecodeOptions { previous: Some(text), ..(**base).clone() })
    }

    /// `base` for a partial of this utterance: the language is known once a hypothesis has shown it, and the last
    /// hypothesis is the draft of the next. (Finals do without: where two words are as good as equal, rounding may let
    /// the one win that is in the draft, and what was a draft depends on the engine's load.)
    pub(super) fn partial_options(&self, base: &Arc<DecodeOptions>) -> Arc<DecodeOptions> {
        let (from, draft) = &self.draft;
        let draft = if *from == self.window { draft.as_slice() } else { &[] };
        if draft.is_empty() && (base.language.is_some() || self.language.is_none()) {
            return base.clone();
        }
        let language = base.language.clone().or_else(|| self.language.clone());
        Arc::new(DecodeOptions { language, draft: draft.to_vec(), ..(**base).clone() })
    }

    /// Keeps the tokens of a hypothesis of audio that began there as a draft.
    pub(super) fn drafted(&mut self, from: Position, hypothesis: &Hypothesis) {
        self.draft = (from, hypothesis.tokens.clone());
    }

    /// The partial made of this audio, unless it says nothing or a later one was shown already.
    pub(super) fn show(&mut self, hypothesis: &Hypothesis, audio: Range<Position>) -> Option<Output> {
        if hypothesis.is_empty() || audio.end <= self.shown {
            return None;
        }
        self.shown = audio.end;
        self.language.get_or_insert_with(|| hypothesis.language.clone());
        self.revision += 1;
        let words = self.words(hypothesis, &audio);
        let split = self.policy.update(self.view(&words, &audio));
        let (unstable, tail) = split.unstable.split_at(split.unstable.len().saturating_sub(1));
        Some(Output::Partial(PartialText {
            utterance: self.number,
            revision: self.revision,
            span: self.speech.start..audio.end,
            audio_start: self.audio_start,
            stable: join_words(&split.committed),
            unstable: join_words(unstable),
            tail: join_words(tail),
            language: hypothesis.language.clone(),
            words: [split.committed, split.unstable].concat(),
        }))
    }

    /// Lets audio go whose words are committed, if more is decoded than has to be.
    pub(super) fn trim(&mut self, audio: &AudioBuffer) {
        let from = self.window - self.audio_start;
        let Some(gap) = window::gap(self.policy.committed(), from, self.shown.saturating_sub(self.audio_start)) else {
            return;
        };
        let start = self.audio_start + gap.start;
        let quiet = window::quietest(&audio.slice(start..self.audio_start + gap.end)) as u64;
        self.window = self.window.max(start + quiet);
    }

    /// What is stable behind `at`, which a forced cut leaves to the next utterance.
    pub(super) fn split_off(&mut self, at: Position) -> Option<Carried> {
        let words = self.policy.split_off(at.saturating_sub(self.audio_start));
        let language = self.language.clone().filter(|_| !words.is_empty())?;
        self.all_committed = true;
        Some(Carried { words: shifted(words, |position| position + self.audio_start), language, to: self.shown })
    }

    /// Begins with what was stable in the utterance before; shows it again at once, so that it is never out of sight.
    pub(super) fn adopt(&mut self, carried: Carried) -> Output {
        let Carried { words, language, to } = carried;
        let words = shifted(words, |position| position.saturating_sub(self.audio_start));
        self.revision += 1;
        self.shown = to;
        self.language = Some(language.clone());
        self.policy.adopt(words.clone());
        Output::Partial(PartialText {
            utterance: self.number,
            revision: self.revision,
            span: self.speech.start..to,
            audio_start: self.audio_start,
            stable: join_words(&words),
            unstable: String::new(),
            tail: String::new(),
            language,
            words,
        })
    }

    /// The final, made of this audio.
    pub(super) fn finish(
        &mut self,
        result: Result<Hypothesis, EngineError>,
        audio: &Range<Position>,
        may_revise: bool,
    ) {
        let forced = matches!(self.state, State::Decoding { forced: true, .. });
        self.state = State::Done(match result {
            Ok(hypothesis) => Output::Final(FinalText {
                utterance: self.number,
                revision: self.revision + 1,
                speech: self.speech.clone(),
                audio_start: self.audio_start,
                forced,
                hypothesis: self.complete(hypothesis, audio, may_revise),
            }),
            Err(error) => {
                Output::Failed { utterance: self.number, speech: self.speech.clone(), error: error.to_string() }
            }
        });
    }

    /// The hypothesis with what was committed before.
    fn complete(&self, hypothesis: Hypothesis, audio: &Range<Position>, may_revise: bool) -> Hypothesis {
        if self.policy.committed().is_empty() && !self.all_committed {
            return hypothesis;
        }
        // A word that is heard anew where the cut is might be the next utterance's first.
        let words = if self.all_committed && !may_revise {
            self.policy.committed().to_vec()
        } else {
            let heard = self.words(&hypothesis, audio);
            self.policy.finish(self.view(&heard, audio), may_revise)
        };
        let span = words.first().map_or(0, |w| w.span.start)..words.last().map_or(0, |w| w.span.end);
        let segments = vec![Segment { text: join_words(&words), span, words }];
        Hypothesis { segments, ..hypothesis }
    }

    /// The words of a hypothesis of this audio, with spans that count from the utterance's first sample.
    fn words(&self, hypothesis: &Hypothesis, audio: &Range<Position>) -> Vec<Word> {
        let offset = audio.start - self.audio_start;
        shifted(hypothesis.words().cloned().collect(), |position| position + offset)
    }

    fn view<'a>(&self, words: &'a [Word], audio: &Range<Position>) -> View<'a> {
        View { words, from: audio.start - self.audio_start, to: audio.end.saturating_sub(self.audio_start) }
    }
}

fn shifted(mut words: Vec<Word>, to: impl Fn(u64) -> u64) -> Vec<Word> {
    for word in &mut words {
        word.span = to(word.span.start)..to(word.span.end);
        word.attended = word.attended.map(&to);
    }
    words
}

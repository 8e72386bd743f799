//! Which attempts a job gets, and which one is taken.
//!
//! 1. At temperature 0 in the context that the [`ContextPolicy`](crate::engine::ContextPolicy) allows.
//! 2. If a guard trips: again in the full context, where one phrase may be said twice. Likewise if all guards are
//!    passed, but with little confidence, or if it found no speech: on noisy speech, that is where the short context may
//!    cost words. Of two that pass the guards, the likelier is taken. And likewise if it begins some seconds into the audio; then the one is taken that doesn't.
//! 3. If it still does: at temperatures 0.2 … 1.0, the likeliest of five samplings each, as the reference.
//!
//! The first attempt that passes the guards is taken, as is one that says there is no speech.
//! If none passes, the likeliest of those that don't loop is taken; if all loop, the least repetitive one, cut behind
//! the first occurrence of what it repeats, and no text at all if that still repeats. Partials get the first attempt
//! only, and no text if it loops.

use std::ops::Range;

use super::call::{Call, Decoded, Decoder};
use super::pauses::trim;
use super::words::words;
use crate::engine::languages::is_unspaced;
use crate::engine::{join_words, CancelToken, DecodeOptions, EngineError, Hypothesis, Segment, Task, Timestamps, Word};
use crate::guards::{annotated, compression_ratio, doubled, is_stock_phrase, judge, loops, Measures, Verdict};
use crate::SAMPLE_RATE;

/// Temperatures after the first, as in the reference.
const TEMPERATURES: [f32; 5] = [0.2, 0.4, 0.6, 0.8, 1.0];
/// Half of the decoder's positions less the task tokens; whisper.cpp's own limit.
const MOST_TOKENS: usize = 220;
/// Tokens that speech can't exceed: some, and so many a second. Nobody speaks more than 8 English tokens a second;
/// other scripts take up to three tokens a character.
const TOKENS: (usize, usize) = (20, 12);
const TOKENS_OTHER_SCRIPTS: (usize, usize) = (20, 30);
/// Beside them two timestamps for each stretch of text, few of which are shorter than a second.
const TIMESTAMPS_A_SECOND: usize = 2;

/// Audio begins with speech, but for some silence in front of it; a text whose first word begins later than this (2 s)
/// leaves some of it out.
const LATEST_START: u64 = 2 * SAMPLE_RATE as u64;
/// Of fewer words than this the mean log-probability says little, and so short an utterance fills a short context least.
const ENOUGH_WORDS: usize = 4;

/// A job, made ready for the decoder.
pub(super) struct Work<'a> {
    /// Padded.
    pub(super) audio: &'a [f32],
    /// Length without padding, samples.
    pub(super) samples: usize,
    pub(super) options: &'a DecodeOptions,
    /// `None` for English-only models.
    pub(super) language: Option<&'static str>,
    pub(super) prompt: &'a [i32],
    pub(super) full_context: usize,
    /// As far as the engine can.
    pub(super) timestamps: Timestamps,
    pub(super) threads: usize,
    pub(super) cancel: &'a CancelToken,
}

/// Runs the attempts.
pub(super) fn run(decoder: &mut impl Decoder, work: &Work<'_>) -> Result<Hypothesis, EngineError> {
    let mut attempts = Attempts { decoder, work, made: 0 };
    let first = attempts.make(work.first_context(), 0.0)?;
    if first.passes() {
        let late = work.can_hear_the_start() && work.starts_late(&first);
        if attempts.is_shaky(&first) || late {
            let second = attempts.make(work.full_context, 0.0)?;
            let heard = late && second.verdict == Verdict::Good && !work.starts_late(&second);
            let likelier = second.avg_logprob > first.avg_logprob || first.verdict == Verdict::Silence;
            if second.passes() && (heard || likelier) {
                return Ok(attempts.believe(&second));
            }
        }
        return Ok(attempts.believe(&first));
    }
    if !work.options.fallback {
        let words = if first.verdict == Verdict::Loop { Vec::new() } else { first.words.clone() };
        return Ok(attempts.hypothesis(&first, words));
    }
    let mut failed = vec![first];
    if work.first_context() < work.full_context {
        let attempt = attempts.make(work.full_context, 0.0)?;
        if attempt.passes() {
            return Ok(attempts.believe(&attempt));
        }
        failed.push(attempt);
    }
    if let Some(hypothesis) = attempts.sample(&mut failed)? {
        return Ok(hypothesis);
    }
    let best = best(&failed);
    let words = if best.verdict == Verdict::Loop { unlooped(best, work.options) } else { best.words.clone() };
    Ok(attempts.hypothesis(best, words))
}

impl Work<'_> {
    /// A call for this work.
    pub(super) fn call(&self, positions: usize, temperature: f32, timestamps: bool) -> Call<'_> {
        Call {
            audio: self.audio,
            positions,
            temperature,
            search: self.options.search,
            language: self.language,
            translate: self.options.task == Task::Translate,
            prompt: self.prompt,
            draft: if temperature > 0.0 { &[] } else { &self.options.draft },
            max_tokens: self.most_tokens(timestamps),
            timestamps,
            suppress_annotations: !self.options.guards.keep_annotations,
            threads: self.threads,
            cancel: self.cancel,
        }
    }

    /// Whether an attempt has no text for the start of the audio, which is speech.
    fn starts_late(&self, attempt: &Attempt) -> bool {
        attempt.verdict == Verdict::Good && attempt.words.first().is_some_and(|word| word.span.start > LATEST_START)
    }

    /// Whether a second attempt may hear what the first has left out: one with timestamps has to begin at the start.
    fn can_hear_the_start(&self) -> bool {
        self.options.fallback && self.timestamps == Timestamps::Retries
    }

    /// Encoder positions of the first attempt.
    pub(super) fn first_context(&self) -> usize {
        let least = self.audio.len().div_ceil(SAMPLE_RATE as usize / 50);
        self.options.context.positions(self.samples, self.full_context).max(least).min(self.full_context)
    }

    fn most_tokens(&self, timestamps: bool) -> usize {
        let english = self.language.is_none_or(|code| code == "en") || self.options.task == Task::Translate;
        let (some, a_second) = if english { TOKENS } else { TOKENS_OTHER_SCRIPTS };
        let seconds = self.samples / SAMPLE_RATE as usize;
        let timestamps = if timestamps { 2 + TIMESTAMPS_A_SECOND * seconds } else { 0 };
        (some + a_second * seconds + timestamps).min(MOST_TOKENS)
    }
}

/// One attempt, judged.
struct Attempt {
    words: Vec<Word>,
    /// Where the stretches between timestamps lie, and the start of the first word of each.
    stretches: Vec<(u64, Range<u64>)>,
    tokens: Vec<i32>,
    verdict: Verdict,
    compression_ratio: f32,
    avg_logprob: f32,
    no_speech: f32,
    temperature: f32,
    context: usize,
}

impl Attempt {
    /// Whether it can be taken as it is.
    fn passes(&self) -> bool {
        match self.verdict {
            Verdict::Good | Verdict::Silence => true,
            Verdict::Unsure | Verdict::Loop => false,
        }
    }
}

struct Attempts<'w, D> {
    decoder: &'w mut D,
    work: &'w Work<'w>,
    made: u32,
}

impl<D: Decoder> Attempts<'_, D> {
    fn make(&mut self, positions: usize, temperature: f32) -> Result<Attempt, EngineError> {
        let work = self.work;
        if work.cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        self.made += 1;
        let timestamps = match work.timestamps {
            Timestamps::Never => false,
            Timestamps::Retries => self.made > 1,
            Timestamps::Always => true,
        };
        let decoded = self.decoder.decode(&work.call(positions, temperature, timestamps))?;
        Ok(self.judge(decoded, positions, temperature))
    }

    fn judge(&self, decoded: Decoded, context: usize, temperature: f32) -> Attempt {
        let options = &self.work.options;
        let unspaced = options.task == Task::Transcribe && self.work.language.is_some_and(is_unspaced);
        let (mut words, stretches) = spoken(&decoded, unspaced, self.work.samples as u64);
        trim(&mut words, &self.work.audio[..self.work.samples]);
        let text = join_words(&words);
        let cut_short = context < self.work.full_context;
        let twice = doubled(&texts(&words));
        let compression_ratio = match &twice {
            Some(second) if !cut_short => ratio_once(&words, second),
            _ => compression_ratio(&text),
        };
        let measures = Measures {
            compression_ratio,
            avg_logprob: decoded.avg_logprob,
            no_speech: decoded.no_speech,
            finished: decoded.finished,
            loops: loops(&texts(&words)).is_some() || cut_short && twice.is_some(),
            stock_phrase: is_stock_phrase(&text),
        };
        if !options.guards.keep_annotations {
            let mut marks = annotated(&texts(&words)).into_iter();
            words.retain(|_| !marks.next().unwrap_or(false));
        }
        tracing::trace!(context, temperature, ?measures, "attempt");
        Attempt {
            words,
            stretches,
            tokens: decoded.numbers,
            verdict: judge(&measures, &options.guards),
            compression_ratio: measures.compression_ratio,
            avg_logprob: measures.avg_logprob,
            no_speech: measures.no_speech,
            temperature,
            context,
        }
    }

    /// Rising temperatures, up to the first attempt that can be taken.
    fn sample(&mut self, failed: &mut Vec<Attempt>) -> Result<Option<Hypothesis>, EngineError> {
        self.decoder.begin_sampling()?;
        let sampled = self.sample_all(failed);
        self.decoder.end_sampling();
        sampled
    }

    fn sample_all(&mut self, failed: &mut Vec<Attempt>) -> Result<Option<Hypothesis>, EngineError> {
        for temperature in TEMPERATURES {
            let attempt = self.make(self.work.full_context, temperature)?;
            if attempt.passes() {
                return Ok(Some(self.believe(&attempt)));
            }
            failed.push(attempt);
        }
        Ok(None)
    }

    /// Whether a shortened context may be to blame for how little the model believes in what it wrote, or that it
    /// found no speech where the detector did.
    fn is_shaky(&self, attempt: &Attempt) -> bool {
        let work = self.work;
        let doubtful = match attempt.verdict {
            Verdict::Good => {
                attempt.words.len() >= ENOUGH_WORDS && attempt.avg_logprob < work.options.guards.short_context_logprob
            }
            Verdict::Silence => true,
            Verdict::Unsure | Verdict::Loop => false,
        };
        doubtful && work.options.fallback && attempt.context < work.full_context
    }

    /// The hypothesis of an attempt that passes: its words, or none where there is no speech.
    fn believe(&self, attempt: &Attempt) -> Hypothesis {
        let words = if attempt.verdict == Verdict::Silence { Vec::new() } else { attempt.words.clone() };
        self.hypothesis(attempt, words)
    }

    fn hypothesis(&self, attempt: &Attempt, words: Vec<Word>) -> Hypothesis {
        Hypothesis {
            segments: segments(words, &attempt.stretches),
            language: self.work.language.unwrap_or("en").to_owned(),
            no_speech_probability: attempt.no_speech,
            avg_logprob: attempt.avg_logprob,
            temperature: attempt.temperature,
            context: attempt.context,
            attempts: self.made,
            tokens: attempt.tokens.clone(),
        }
    }
}

/// The words of all stretches between timestamps, and where these lie, with the start of the first word of each.
fn spoken(decoded: &Decoded, unspaced: bool, samples: u64) -> (Vec<Word>, Vec<(u64, Range<u64>)>) {
    if decoded.stretches.is_empty() {
        return (words(&decoded.tokens, unspaced, 0, samples), Vec::new());
    }
    let ends = decoded.stretches.iter().skip(1).map(|stretch| stretch.first).chain([decoded.tokens.len()]);
    let (mut all, mut stretches) = (Vec::new(), Vec::new());
    for (stretch, end) in decoded.stretches.iter().zip(ends) {
        let start = decoded.tokens[..stretch.first].iter().rev().find_map(|token| token.end).unwrap_or(0).min(samples);
        all.extend(words(&decoded.tokens[stretch.first..end], unspaced, start, samples));
        stretches.push((start, stretch.span.start.min(samples)..stretch.span.end.min(samples)));
    }
    (all, stretches)
}

/// One segment of all words, or one for each stretch that has some.
fn segments(words: Vec<Word>, stretches: &[(u64, Range<u64>)]) -> Vec<Segment> {
    let segment = |words: Vec<Word>, span: Option<&Range<u64>>| {
        let said = words.first().map_or(0, |w| w.span.start)..words.last().map_or(0, |w| w.span.end);
        Segment { text: join_words(&words), span: span.cloned().unwrap_or(said), words }
    };
    let mut segments = Vec::new();
    let mut rest = words;
    for (n, (_, span)) in stretches.iter().enumerate().rev() {
        // Words only get later when pauses are taken out of them.
        let first = if n == 0 { 0 } else { rest.partition_point(|word| word.span.start < stretches[n].0) };
        let own = rest.split_off(first);
        segments.extend((!own.is_empty()).then(|| segment(own, Some(span))));
    }
    segments.extend((!rest.is_empty()).then(|| segment(rest, None)));
    segments.reverse();
    segments
}

/// The compression ratio of words without the second time of what they say twice, as announcements do; of all of them if
/// that is not the only repetition.
fn ratio_once(words: &[Word], second: &Range<usize>) -> f32 {
    let once = [&words[..second.start], &words[second.end..]].concat();
    let only = doubled(&texts(&once)).is_none();
    compression_ratio(&join_words(if only { &once } else { words }))
}

/// The likeliest attempt of those that don't loop, or the least repetitive.
fn best(failed: &[Attempt]) -> &Attempt {
    let unsure = failed.iter().filter(|a| a.verdict == Verdict::Unsure);
    let likeliest = unsure.max_by(|a, b| a.avg_logprob.total_cmp(&b.avg_logprob));
    let least = failed.iter().min_by(|a, b| a.compression_ratio.total_cmp(&b.compression_ratio));
    likeliest.or(least).unwrap_or(&failed[0])
}

/// The words without what they say over and over; none if they still repeat themselves.
fn unlooped(attempt: &Attempt, options: &DecodeOptions) -> Vec<Word> {
    let mut words = attempt.words.clone();
    while let Some(found) = loops(&texts(&words)) {
        words.drain(found.surplus());
    }
    if compression_ratio(&join_words(&words)) > options.guards.compression_ratio {
        words.clear();
    }
    words
}

fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|w| w.text.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::call::Token;
    use super::*;

    fn attempt(text: &str, verdict: Verdict, avg_logprob: f32) -> Attempt {
        let word = |text: &str| Word {
            text: text.to_owned(),
            space_before: true,
            span: 0..0,
            probability: 1.0,
            attended: None,
        };
        Attempt {
            words: text.split(' ').map(word).collect(),
            stretches: Vec::new(),
            tokens: Vec::new(),
            verdict,
            compression_ratio: compression_ratio(text),
            avg_logprob,
            no_speech: 0.0,
            temperature: 0.0,
            context: 1500,
        }
    }

    #[test]
    fn the_likeliest_guess_beats_other_guesses_and_every_loop() {
        let attempts = [
            attempt(&"and so on ".repeat(20), Verdict::Loop, -0.1),
            attempt("he was", Verdict::Unsure, -1.4),
            attempt("it was", Verdict::Unsure, -1.2),
        ];
        assert_eq!(join_words(&best(&attempts).words), "it was");
    }

    #[test]
    fn of_loops_the_least_repetitive_is_taken() {
        let attempts = [
            attempt(&"and so on ".repeat(20), Verdict::Loop, -0.1),
            attempt("he was never seen again and so on and so on", Verdict::Loop, -0.9),
        ];
        assert!(join_words(&best(&attempts).words).starts_with("he was"));
    }

    #[test]
    fn a_loop_is_cut_behind_its_first_occurrence() {
        let options = DecodeOptions::default();
        let text = format!("the reader will excuse me {}", "if I say nothing ".repeat(12));
        let words = unlooped(&attempt(text.trim(), Verdict::Loop, -0.1), &options);
        assert_eq!(join_words(&words), "the reader will excuse me if I say nothing");
    }

    #[test]
    fn what_repeats_itself_all_the_same_is_dropped() {
        let options = DecodeOptions::default();
        let text = "a phrase of more than eight words is not one that anybody looks for ".repeat(4);
        assert_eq!(unlooped(&attempt(text.trim(), Verdict::Loop, -0.1), &options), []);
    }

    #[test]
    fn the_token_limit_grows_with_the_audio() {
        let options = DecodeOptions::default();
        let cancel = CancelToken::new();
        let limit = |seconds: usize, language| {
            let work = Work {
                audio: &[],
                samples: seconds * SAMPLE_RATE as usize,
                options: &options,
                language,
                prompt: &[],
                full_context: 1500,
                timestamps: Timestamps::Never,
                threads: 1,
                cancel: &cancel,
            };
            (work.most_tokens(false), work.most_tokens(true))
        };
        assert_eq!([limit(1, None), limit(10, Some("en")), limit(30, None)], [(32, 36), (140, 162), (220, 220)]);
        assert_eq!([limit(1, Some("th")), limit(10, Some("th"))], [(50, 54), (220, 220)]);
    }

    /// A decoder that says what it is told to, and notes context and timestamps of each call.
    struct Scripted {
        texts: Vec<(&'static str, f32, u64)>,
        calls: Vec<(usize, bool)>,
    }

    impl Decoder for Scripted {
        fn decode(&mut self, call: &Call<'_>) -> Result<Decoded, EngineError> {
            self.calls.push((call.positions, call.timestamps));
            let (text, avg_logprob, start) = self.texts.remove(0);
            let token = |(n, word): (usize, &str)| Token {
                bytes: format!(" {word}").into_bytes(),
                probability: 0.9,
                end: Some(start * 16_000 + 3_200 * (n as u64 + 1)),
                attended: None,
            };
            let tokens = text.split(' ').enumerate().map(token).collect();
            let (numbers, stretches) = (Vec::new(), Vec::new());
            Ok(Decoded { tokens, numbers, stretches, finished: true, avg_logprob, no_speech: 0.0 })
        }

        fn detect(&mut self, _: &Call<'_>) -> Result<(usize, f32), EngineError> {
            Ok((0, 1.0))
        }
    }

    /// What is made of ten seconds of noise with these attempts, and the calls.
    fn attempted(timestamps: Timestamps, texts: &[(&'static str, f32, u64)]) -> (String, Vec<(usize, bool)>) {
        let audio: Vec<f32> = (0..160_000).map(|n| ((n * 7919 % 1000) as f32 / 1000.0 - 0.5) * 0.1).collect();
        let options = DecodeOptions { timestamps, ..DecodeOptions::default() };
        let cancel = CancelToken::new();
        let work = Work {
            audio: &audio,
            samples: audio.len(),
            options: &options,
            language: None,
            prompt: &[],
            full_context: 1500,
            timestamps,
            threads: 1,
            cancel: &cancel,
        };
        let mut decoder = Scripted { texts: texts.to_vec(), calls: Vec::new() };
        (run(&mut decoder, &work).unwrap().text(), decoder.calls)
    }

    #[test]
    fn retries_have_timestamps_where_they_are_to() {
        let texts = [("it was all so very long ago", -0.6, 0), ("it was a long time ago then", -0.3, 0)];
        for (timestamps, flags) in [
            (Timestamps::Never, [false, false]),
            (Timestamps::Retries, [false, true]),
            (Timestamps::Always, [true, true]),
        ] {
            let (text, calls) = attempted(timestamps, &texts);
            assert_eq!(text, "it was a long time ago then", "the likelier");
            assert_eq!(calls, [(700, flags[0]), (1500, flags[1])]);
        }
    }

    #[test]
    fn a_text_that_leaves_out_the_start_gives_way_to_one_that_begins_there() {
        let late = ("the reader will excuse me", -0.05, 6);
        let (text, calls) = attempted(Timestamps::Retries, &[late, ("he was not and the reader", -0.3, 0)]);
        assert_eq!((text.as_str(), calls), ("he was not and the reader", vec![(700, false), (1500, true)]));
        // Nor is it given up for one that is no better.
        let (text, _) = attempted(Timestamps::Retries, &[late, ("will excuse me all the same", -0.3, 7)]);
        assert_eq!(text, "the reader will excuse me");
        assert_eq!(attempted(Timestamps::Never, &[late]).1.len(), 1, "a retry would hear the same");
    }

    #[test]
    fn what_is_said_twice_is_believed_in_the_full_context_only() {
        let once = "the reader will excuse me if nothing is said of how I came to leave my own native country there";
        let (twice, thrice) = (format!("{once} {once}").leak() as &str, format!("{once} {once} {once}").leak() as &str);
        // Whatever zlib makes of it.
        assert!(compression_ratio(&twice.repeat(2)) > 2.4);
        let (text, calls) = attempted(Timestamps::Never, &[(twice, -0.05, 0); 2]);
        assert_eq!((text.as_str(), calls), (twice, vec![(700, false), (1500, false)]));
        let (text, calls) = attempted(Timestamps::Never, &[(thrice, -0.05, 0); 7]);
        assert_eq!((text.as_str(), calls.len()), ("", 7), "a decoder that loops");
    }
}

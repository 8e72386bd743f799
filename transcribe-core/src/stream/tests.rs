//! A stream over a virtual detector (loud is speech) and scripted results: order, positions, and nothing lost.

use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::engine::{Job, Segment, Word};
use crate::SAMPLE_RATE;

/// Runs a stream as hub and scheduler would, with an engine that "hears" the length of the audio.
struct Rig {
    stream: Stream,
    outputs: Vec<Output>,
    /// Jobs without result yet.
    jobs: Vec<(JobId, Job)>,
    /// Give results at once.
    prompt: bool,
}

fn config() -> StreamConfig {
    let mut config = StreamConfig { partials: PartialPolicy::None, ..StreamConfig::default() };
    config.segmenter.max_utterance = samples_from_ms(8_000);
    config
}

fn hypothesis(job: &Job) -> Hypothesis {
    let text = format!("{} samples", job.audio.len());
    let span = 0..job.audio.len() as u64;
    let word = Word { text: text.clone(), space_before: true, span, probability: 0.9, attended: None };
    let segment = Segment { text, span: word.span.clone(), words: vec![word] };
    Hypothesis { segments: vec![segment], language: "en".into(), ..Hypothesis::default() }
}

impl Rig {
    fn new(config: StreamConfig) -> Self {
        Self { stream: Stream::new(config).unwrap(), outputs: Vec::new(), jobs: Vec::new(), prompt: true }
    }

    fn run(&mut self) {
        while let Some((epoch, mut lane)) = self.stream.next_frame() {
            let loud = lane.frame.iter().map(|x| x.abs()).fold(0.0, f32::max) > 0.1;
            lane.probability = if loud { 0.9 } else { 0.05 };
            self.stream.push_lane(epoch, lane);
            self.requests();
        }
        self.requests();
    }

    fn requests(&mut self) {
        while let Some(request) = self.stream.poll_request() {
            match request {
                Request::Decode { id, job, .. } if self.prompt => {
                    let result = hypothesis(&job);
                    self.stream.push_result(id, Ok(result));
                }
                Request::Decode { id, job, .. } => self.jobs.push((id, job)),
                Request::DropPartial => self.jobs.retain(|(id, _)| !matches!(id.kind, JobKind::Partial { .. })),
                Request::DropAll => self.jobs.clear(),
            }
        }
        while let Some(output) = self.stream.poll() {
            self.outputs.push(output);
        }
    }

    fn push(&mut self, audio: &[f32]) {
        self.stream.push_audio(audio);
        self.run();
    }

    fn finals(&self) -> Vec<(u64, Range<Position>, Position, String)> {
        let of = |o: &Output| match o {
            Output::Final(f) => Some((f.utterance, f.speech.clone(), f.audio_start, f.hypothesis.text())),
            _ => None,
        };
        self.outputs.iter().filter_map(of).collect()
    }
}

/// Speech and pauses in turn, seconds each.
fn talk(seconds: &[f32]) -> Vec<f32> {
    let mut audio = Vec::new();
    for (i, s) in seconds.iter().enumerate() {
        let n = (s * SAMPLE_RATE as f32) as usize;
        audio.extend((0..n).map(|k| if i % 2 == 0 { 0.0 } else { 0.5 * ((k * 7) as f32).sin().signum() }));
    }
    audio
}

#[test]
fn two_utterances_give_two_finals_at_their_places() {
    let mut rig = Rig::new(config());
    rig.push(&talk(&[1.0, 2.0, 1.0, 1.5]));
    rig.stream.push_marker(7);
    rig.run();
    let finals = rig.finals();
    assert_eq!(finals.len(), 2);
    for ((_, speech, ..), (start, end)) in finals.iter().zip([(1.0, 3.0), (4.0, 5.5)]) {
        assert!((seconds(speech.start) - start).abs() < 0.07 && (seconds(speech.end) - end).abs() < 0.07, "{speech:?}");
    }
    assert_eq!(rig.outputs.last(), Some(&Output::Marker(7)));
}

fn seconds(samples: u64) -> f64 {
    crate::seconds(samples)
}

#[test]
fn finals_come_in_order_even_if_results_do_not() {
    let mut rig = Rig::new(config());
    rig.prompt = false;
    rig.push(&talk(&[0.5, 1.0, 1.0, 1.0, 1.0]));
    assert_eq!(rig.jobs.len(), 2);
    for (id, job) in std::mem::take(&mut rig.jobs).into_iter().rev() {
        rig.stream.push_result(id, Ok(hypothesis(&job)));
    }
    rig.run();
    let order: Vec<u64> = rig.finals().iter().map(|f| f.0).collect();
    assert_eq!(order, [0, 1]);
}

#[test]
fn progress_never_passes_an_utterance_without_its_final() {
    let mut rig = Rig::new(config());
    rig.prompt = false;
    rig.push(&talk(&[1.0, 1.0, 3.0]));
    let settled = |rig: &Rig| {
        rig.outputs.iter().rev().find_map(|o| if let Output::Progress(p) = o { Some(p.settled) } else { None }).unwrap()
    };
    assert!(seconds(settled(&rig)) < 1.01);
    let (id, job) = rig.jobs.remove(0);
    rig.stream.push_result(id, Ok(hypothesis(&job)));
    rig.run();
    assert!(seconds(settled(&rig)) > 4.5);
}

#[test]
fn partials_come_at_the_interval_and_cease_with_the_utterance() {
    let mut rig =
        Rig::new(StreamConfig { partials: PartialPolicy::Interval { every: samples_from_ms(500) }, ..config() });
    rig.push(&talk(&[1.0, 2.2, 1.0]));
    let partials: Vec<_> = rig
        .outputs
        .iter()
        .filter_map(|o| if let Output::Partial(p) = o { Some((p.revision, p.span.end)) } else { None })
        .collect();
    assert!((4..=5).contains(&partials.len()), "{partials:?}");
    for (i, (revision, end)) in partials.iter().enumerate() {
        assert_eq!(*revision, i as u32 + 1);
        assert!((seconds(*end) - (1.0 + 0.5 * (i + 1) as f64)).abs() < 0.1);
    }
    assert!(
        matches!(rig.outputs.iter().rfind(|o| !matches!(o, Output::Progress(_))), Some(Output::Final(f)) if f.revision == partials.len() as u32 + 1)
    );
}

#[test]
fn a_busy_engine_makes_partials_rarer_and_an_idle_one_as_frequent_as_asked_for() {
    let partials = |least: u64| {
        let mut rig = Rig::new(StreamConfig { partials: PartialPolicy::default(), ..config() });
        rig.stream.set_least_partial_interval(samples_from_ms(least));
        rig.push(&talk(&[1.0, 4.0, 1.0]));
        rig.outputs.iter().filter(|o| matches!(o, Output::Partial(_))).count()
    };
    assert_eq!(partials(0), partials(200));
    assert!((4..=5).contains(&partials(1_200)), "{}", partials(1_200));
    // The first, and the one that is made in the pause, which may be the final.
    assert_eq!(partials(5_000), 2);
}

#[test]
fn a_busy_engine_spares_the_first_partial_of_who_had_none_for_long() {
    let mut rig =
        Rig::new(StreamConfig { partials: PartialPolicy::Interval { every: samples_from_ms(500) }, ..config() });
    rig.stream.set_least_partial_interval(samples_from_ms(3_000));
    // They begin at 1, 4 and 9 s.
    rig.push(&talk(&[1.0, 1.0, 2.0, 1.0, 4.0, 1.0, 1.0]));
    let firsts = rig.outputs.iter().filter_map(|o| match o {
        Output::Partial(p) if p.revision == 1 => Some((p.utterance, (10.0 * seconds(p.span.end)).round() / 10.0)),
        _ => None,
    });
    assert_eq!(firsts.collect::<Vec<_>>(), [(0, 1.5), (1, 4.5), (2, 9.5)], "seconds");
}

#[test]
fn a_partial_is_cancelled_when_its_utterance_ends() {
    let mut rig =
        Rig::new(StreamConfig { partials: PartialPolicy::Interval { every: samples_from_ms(500) }, ..config() });
    rig.prompt = false;
    rig.push(&talk(&[0.5, 1.2]));
    let partial = rig.jobs.last().unwrap().clone();
    rig.push(&talk(&[1.0]));
    assert!(partial.1.cancel.is_cancelled());
    assert!(
        matches!(&rig.jobs[..], [(id, job)] if matches!(id.kind, JobKind::Early { .. }) && !job.cancel.is_cancelled())
    );
}

fn with_partials() -> StreamConfig {
    StreamConfig { partials: PartialPolicy::default(), ..config() }
}

fn count(rig: &Rig, what: fn(&Output) -> bool) -> usize {
    rig.outputs.iter().filter(|o| what(o)).count()
}

#[test]
fn the_final_is_made_in_the_pause_and_not_again() {
    let mut rig = Rig::new(with_partials());
    rig.prompt = false;
    rig.push(&talk(&[0.5, 1.2, 0.35]));
    let (id, job) = rig.jobs.pop().unwrap();
    assert!(matches!(id.kind, JobKind::Early { .. }) && count(&rig, |o| matches!(o, Output::SpeechEnd { .. })) == 0);
    rig.stream.push_result(id, Ok(hypothesis(&job)));
    rig.jobs.clear();
    rig.push(&talk(&[0.3]));
    assert_eq!(rig.finals().len(), 1);
    assert_eq!((rig.jobs.len(), rig.finals()[0].3.clone()), (0, format!("{} samples", job.audio.len())));
    // Finals alone are made of the same audio.
    let mut plain = Rig::new(config());
    plain.push(&talk(&[0.5, 1.2, 0.65]));
    assert_eq!(plain.finals(), rig.finals());
}

#[test]
fn finals_alone_are_made_in_the_pause_where_somebody_waits_for_them() {
    let kinds = |early: bool| {
        let mut rig = Rig::new(config());
        rig.stream.set_early_finals(early);
        rig.prompt = false;
        rig.push(&talk(&[0.5, 1.2, 0.35]));
        let jobs = std::mem::take(&mut rig.jobs);
        for (id, job) in &jobs {
            rig.stream.push_result(*id, Ok(hypothesis(job)));
        }
        rig.push(&talk(&[0.3]));
        assert_eq!(count(&rig, |o| matches!(o, Output::Partial(_))), 0);
        (jobs.len(), rig.jobs.len(), rig.finals().len())
    };
    assert_eq!(kinds(true), (1, 0, 1));
    assert_eq!(kinds(false), (0, 1, 0));
}

#[test]
fn a_final_made_in_vain_is_stopped_though_no_more_are_to_be_made() {
    let mut rig = Rig::new(config());
    rig.stream.set_early_finals(true);
    rig.prompt = false;
    let talk = talk(&[0.5, 1.2, 0.4, 1.0]);
    let (first, rest) = talk.split_at(2 * SAMPLE_RATE as usize);
    rig.push(first);
    let (_, job) = rig.jobs.pop().unwrap();
    rig.stream.set_early_finals(false);
    rig.push(rest);
    assert!(job.cancel.is_cancelled());
}

#[test]
fn a_final_on_its_way_is_waited_for() {
    let mut rig = Rig::new(with_partials());
    rig.prompt = false;
    rig.push(&talk(&[0.5, 1.2, 0.7]));
    assert_eq!(count(&rig, |o| matches!(o, Output::SpeechEnd { .. })), 1);
    assert_eq!((rig.jobs.len(), rig.finals().len(), rig.stream.unfinished()), (1, 0, 1));
    let (id, job) = rig.jobs.pop().unwrap();
    rig.stream.push_result(id, Ok(hypothesis(&job)));
    rig.run();
    assert_eq!((rig.finals().len(), rig.stream.unfinished(), rig.stream.ended()), (1, 0, 1));
}

#[test]
fn whoever_goes_on_speaking_stops_the_final_and_gets_one_of_everything() {
    let mut rig = Rig::new(with_partials());
    rig.prompt = false;
    let talk = talk(&[0.5, 1.2, 0.4, 1.0, 1.0]);
    let (first, rest) = talk.split_at(2 * SAMPLE_RATE as usize);
    rig.push(first);
    let (id, job) = rig.jobs.pop().unwrap();
    rig.push(rest);
    assert!(job.cancel.is_cancelled());
    // Even if it came through all the same.
    rig.stream.push_result(id, Ok(hypothesis(&job)));
    assert_eq!(rig.finals().len(), 0);
    let (id, job) = rig.jobs.pop().unwrap();
    rig.stream.push_result(id, Ok(hypothesis(&job)));
    rig.run();
    assert_eq!(rig.finals().len(), 1);
    assert!(job.audio.len() > 2 * SAMPLE_RATE as usize + 9000);
}

#[test]
fn a_sentence_ends_sooner_where_it_may() {
    let ends = |text: &str| {
        let sentence_silence = Some(samples_from_ms(300));
        let mut rig = Rig::new(StreamConfig { sentence_silence, ..with_partials() });
        rig.prompt = false;
        rig.push(&talk(&[0.5, 1.2, 0.32]));
        let (id, job) = rig.jobs.pop().unwrap();
        let mut said = hypothesis(&job);
        said.segments[0].words[0].text = text.into();
        rig.stream.push_result(id, Ok(said));
        rig.push(&talk(&[0.06]));
        rig.finals().len()
    };
    assert_eq!((ends("done."), ends("done,")), (1, 0));
}

#[test]
fn a_final_comes_on_request() {
    let mut rig = Rig::new(with_partials());
    rig.push(&talk(&[0.5, 1.2]));
    assert_eq!(rig.finals().len(), 0);
    rig.stream.finalize();
    rig.run();
    assert_eq!(rig.finals().len(), 1);
    rig.stream.finalize();
    rig.run();
    assert_eq!(rig.finals().len(), 1);
    rig.push(&talk(&[0.0, 1.0, 1.0]));
    let finals = rig.finals();
    assert_eq!((finals.len(), finals[0].1.end), (2, finals[1].1.start));
}

/// An engine that hears "a b c …", a letter every half second of the stream, if the middle of it is in the audio.
fn letters(audio: Range<Position>) -> Hypothesis {
    let half = samples_from_ms(500);
    let place = |position: u64| position.clamp(audio.start, audio.end) - audio.start;
    let word = |i: u64| Word {
        text: char::from(b'a' + (i % 26) as u8).to_string(),
        space_before: true,
        span: place(i * half)..place((i + 1) * half),
        probability: 0.9,
        attended: Some(place(i * half)),
    };
    let heard = (0..=audio.end / half).filter(|i| audio.contains(&(i * half + half / 2)));
    let words: Vec<Word> = heard.map(word).collect();
    let segment = Segment { text: crate::engine::join_words(&words), span: 0..audio.end - audio.start, words };
    Hypothesis { segments: vec![segment], language: "en".into(), ..Hypothesis::default() }
}

/// Runs speech whose words are [`letters`] through a stream; also gives the longest job.
fn hear(audio: &[f32]) -> (Rig, u64) {
    let mut config = StreamConfig { partials: PartialPolicy::default(), ..config() };
    config.segmenter.max_utterance = samples_from_ms(25_000);
    let mut rig = Rig::new(config);
    rig.prompt = false;
    let mut longest = 0;
    for packet in audio.chunks(512) {
        rig.push(packet);
        for (id, job) in std::mem::take(&mut rig.jobs) {
            longest = longest.max(job.audio.len() as u64);
            let audio = match id.kind {
                JobKind::Partial { from, end } | JobKind::Early { from, end } => from..end,
                JobKind::Final => {
                    let end = rig.outputs.iter().rev().find_map(|o| match o {
                        Output::SpeechEnd { speech, .. } => Some(speech.end),
                        _ => None,
                    });
                    end.unwrap() - job.audio.len() as u64..end.unwrap()
                }
            };
            rig.stream.push_result(id, Ok(letters(audio)));
        }
        rig.run();
    }
    (rig, longest)
}

#[test]
fn long_speech_is_trimmed_and_cut_without_losing_or_doubling_a_word() {
    let (rig, longest) = hear(&talk(&[0.0, 60.0, 1.0]));
    let said: Vec<String> = rig.finals().iter().map(|f| f.3.clone()).collect();
    assert!(said.len() >= 3, "{said:?}");
    let all = said.join(" ");
    let expected = letters(0..samples_from_ms(60_000)).text();
    assert!(all.starts_with(&expected[..expected.len() - 4]), "{said:?}");
    assert!(crate::seconds(longest) < 15.0, "{}", crate::seconds(longest));
    stays(&rig.outputs);
}

/// The quietest place in reach is seconds before the end, and what is stable ends nearer to it.
#[test]
fn a_cut_before_stable_words_leaves_them_to_the_next_utterance() {
    let mut seconds = vec![0.0];
    seconds.extend([4.4, 0.1].repeat(13));
    seconds.extend([1.5, 1.0]);
    let (rig, _) = hear(&talk(&seconds));
    assert!(stays(&rig.outputs) >= 2, "{:?}", rig.finals());
    let all = rig.finals().iter().map(|f| f.3.clone()).collect::<Vec<_>>().join(" ");
    let expected = letters(0..samples_from_ms(60_000)).text();
    assert!(all.starts_with(&expected[..expected.len() - 4]), "{all}");
}

/// Fails unless stable words stay, up to and in the final; behind a forced cut they begin the next utterance, at once.
/// Returns how many were cut before stable words.
fn stays(outputs: &[Output]) -> usize {
    let mut cut = 0;
    let mut stable = std::collections::BTreeMap::<u64, &str>::new();
    for output in outputs {
        match output {
            Output::Partial(p) => {
                let before = stable.insert(p.utterance, &p.stable);
                assert!(p.stable.starts_with(before.unwrap_or_default()), "{before:?} {p:?}");
            }
            Output::Final(f) => {
                let (text, shown) = (f.hypothesis.text(), stable.remove(&f.utterance).unwrap_or_default());
                if !text.starts_with(shown) {
                    let behind = shown.strip_prefix(text.as_str()).filter(|_| f.forced);
                    let behind = behind.unwrap_or_else(|| panic!("{shown:?} {f:?}"));
                    assert!(stable[&(f.utterance + 1)].starts_with(behind.trim_start()), "{behind:?} {stable:?}");
                    cut += 1;
                }
            }
            _ => {}
        }
    }
    cut
}

#[test]
fn a_reset_forgets_everything_and_late_results_are_ignored() {
    let mut rig = Rig::new(config());
    rig.prompt = false;
    rig.push(&talk(&[0.5, 1.0, 1.0]));
    let (id, job) = rig.jobs.remove(0);
    rig.stream.reset();
    assert!(job.cancel.is_cancelled());
    rig.run();
    rig.outputs.clear();
    rig.stream.push_result(id, Ok(hypothesis(&job)));
    rig.prompt = true;
    let before = rig.stream.end();
    rig.push(&talk(&[0.5, 1.0, 1.0]));
    let finals = rig.finals();
    assert_eq!(finals.len(), 1);
    assert!(finals[0].1.start > before && finals[0].0 == 1);
}

#[test]
fn a_failed_final_is_told_in_its_place() {
    let mut rig = Rig::new(config());
    rig.prompt = false;
    rig.push(&talk(&[0.5, 1.0, 1.0]));
    let (id, _) = rig.jobs.remove(0);
    rig.stream.push_result(id, Err(EngineError::Inference("out of memory".into())));
    rig.stream.push_marker(1);
    rig.run();
    let told: Vec<_> = rig.outputs.iter().filter(|o| matches!(o, Output::Failed { .. } | Output::Marker(_))).collect();
    assert!(matches!(told[..], [Output::Failed { error, .. }, Output::Marker(1)] if error.contains("out of memory")));
}

#[test]
fn a_long_gap_ends_the_utterance_and_keeps_time() {
    let mut rig = Rig::new(config());
    rig.push(&talk(&[0.5, 1.0]));
    rig.stream.push_silence(3600 * u64::from(SAMPLE_RATE));
    rig.push(&talk(&[0.5, 1.0, 1.0]));
    let finals = rig.finals();
    assert_eq!(finals.len(), 2);
    assert!((seconds(finals[1].1.start) - 3602.0).abs() < 0.1, "{finals:?}");
    assert_eq!(rig.stream.end(), rig.stream.audio.end());
}

#[test]
fn the_audio_of_a_job_is_the_audio_of_its_place() {
    let mut rig = Rig::new(config());
    rig.prompt = false;
    let audio: Vec<f32> =
        talk(&[1.0, 1.0, 1.0, 1.0, 1.0]).iter().enumerate().map(|(i, x)| x * (0.5 + i as f32 / 4e5)).collect();
    rig.push(&audio);
    for (id, job) in std::mem::take(&mut rig.jobs) {
        rig.stream.push_result(id, Ok(hypothesis(&job)));
        rig.run();
        let start = rig.finals().last().unwrap().2 as usize;
        assert_eq!(&job.audio[..], &audio[start..start + job.audio.len()]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any cutting of the same audio into pieces, gaps among them, gives the same finals.
    #[test]
    fn chunking_does_not_matter(
        parts in prop::collection::vec(0.05f32..2.5, 1..8),
        cuts in prop::collection::vec(1usize..6000, 1..40),
    ) {
        let audio = talk(&parts);
        let mut whole = Rig::new(config());
        whole.push(&audio);
        whole.stream.push_marker(0);
        whole.run();

        let mut pieces = Rig::new(config());
        let (mut rest, mut i) = (&audio[..], 0);
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(cuts[i % cuts.len()].min(rest.len()));
            if piece.iter().all(|&x| x == 0.0) {
                pieces.stream.push_silence(piece.len() as u64);
                pieces.run();
            } else {
                pieces.push(piece);
            }
            (rest, i) = (left, i + 1);
        }
        pieces.stream.push_marker(0);
        pieces.run();
        prop_assert_eq!(whole.finals(), pieces.finals());
    }

    /// Whatever happens, each utterance is started, ended and finished once, in order.
    #[test]
    fn every_utterance_gets_its_final(
        steps in prop::collection::vec((0u8..4, 0.05f32..3.0), 1..20)
    ) {
        let mut rig = Rig::new(StreamConfig { partials: PartialPolicy::default(), ..config() });
        for (marker, (kind, length)) in steps.into_iter().enumerate() {
            match kind {
                0 => rig.push(&talk(&[length])),
                1 => rig.push(&talk(&[0.0, length])),
                2 => rig.stream.push_silence((length * 30_000.0) as u64),
                _ => rig.stream.push_marker(marker as u64),
            }
            rig.run();
        }
        rig.stream.push_marker(99);
        rig.run();
        let numbers = |f: fn(&Output) -> Option<u64>| rig.outputs.iter().filter_map(f).collect::<Vec<_>>();
        let starts = numbers(|o| if let Output::SpeechStart { utterance, .. } = o { Some(*utterance) } else { None });
        let ends = numbers(|o| if let Output::SpeechEnd { utterance, .. } = o { Some(*utterance) } else { None });
        let finals = numbers(|o| if let Output::Final(f) = o { Some(f.utterance) } else { None });
        prop_assert_eq!(&starts, &(0..starts.len() as u64).collect::<Vec<_>>());
        prop_assert_eq!(&starts, &ends);
        prop_assert_eq!(&starts, &finals);
        prop_assert!(rig.stream.is_idle());
        prop_assert!(matches!(rig.outputs.iter().rfind(|o| !matches!(o, Output::Progress(_))), Some(Output::Marker(99))));
    }
}

/// Takes the result of the only job there is, and tells what its decoder went on from.
fn heard(rig: &mut Rig, temperature: f32) -> Option<String> {
    assert_eq!(rig.jobs.len(), 1, "a final waits for the one before it");
    let (id, job) = rig.jobs.remove(0);
    rig.stream.push_result(id, Ok(Hypothesis { temperature, ..hypothesis(&job) }));
    rig.run();
    job.options.previous.clone()
}

#[test]
fn the_decoder_goes_on_from_finals_if_it_is_to() {
    let decode = DecodeOptions { previous: Some(String::new()), ..DecodeOptions::default() };
    let mut rig = Rig::new(StreamConfig { decode, ..config() });
    rig.prompt = false;
    // All is said before the first result is there.
    rig.push(&talk(&[0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]));
    assert_eq!(heard(&mut rig, 0.0).as_deref(), Some(""));
    let first = rig.finals()[0].3.clone();
    assert_eq!(heard(&mut rig, 0.8), Some(first), "the text of the final before");
    assert_eq!(heard(&mut rig, 0.0).as_deref(), Some(""), "a guess is nothing to go on from");
    let third = rig.finals()[2].3.clone();
    assert_eq!(heard(&mut rig, 0.0), Some(third));
    assert_eq!(rig.finals().iter().map(|f| f.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    // A reset forgets it.
    rig.push(&talk(&[0.5, 1.0, 0.1]));
    rig.stream.reset();
    rig.push(&talk(&[0.5, 1.0, 1.0]));
    assert_eq!(heard(&mut rig, 0.0).as_deref(), Some(""));
    // Nor does it go on from finals unless it is told to.
    rig.stream.configure(DecodeOptions::default(), PartialPolicy::None);
    rig.push(&talk(&[0.5, 1.0, 1.0]));
    assert_eq!(heard(&mut rig, 0.0), None);
}

#[test]
fn an_early_final_waits_for_the_text_before_it_and_partials_do_not() {
    let decode = DecodeOptions { previous: Some(String::new()), ..DecodeOptions::default() };
    let partials = PartialPolicy::Interval { every: samples_from_ms(500) };
    let mut rig = Rig::new(StreamConfig { decode, partials, ..config() });
    rig.prompt = false;
    rig.push(&talk(&[0.5, 1.0, 1.0, 1.3]));
    let kinds = |rig: &Rig| rig.jobs.iter().map(|(id, _)| (id.utterance, id.kind)).collect::<Vec<_>>();
    assert!(kinds(&rig).iter().any(|(utterance, kind)| *utterance == 1 && matches!(kind, JobKind::Partial { .. })));
    rig.push(&talk(&[0.3]));
    let early =
        |rig: &Rig| kinds(rig).iter().filter(|(u, kind)| *u == 1 && matches!(kind, JobKind::Early { .. })).count();
    assert_eq!(early(&rig), 0);
    let first = rig.jobs.iter().position(|(id, _)| id.utterance == 0).unwrap();
    let (id, job) = rig.jobs.remove(first);
    rig.stream.push_result(id, Ok(hypothesis(&job)));
    rig.push(&talk(&[0.05]));
    assert_eq!(early(&rig), 1);
    let (_, job) = rig.jobs.iter().find(|(id, _)| matches!(id.kind, JobKind::Early { .. })).unwrap();
    assert_eq!(job.options.previous.as_deref(), Some(&*rig.finals()[0].3));
}

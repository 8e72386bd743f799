//! The engine on ONNX Runtime on real speech, beside whisper.cpp: words, their times, hard conditions, concurrency.

mod common;
#[path = "../examples/context_floor/sound.rs"]
#[allow(dead_code)]
mod sound;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{assert_sound, clips, errors, job, root, tiny_en, words, Clip};
use transcribe_core::engine::device::Device;
use transcribe_core::engine::onnx::{Onnx, Precision};
use transcribe_core::engine::whisper_cpp::WhisperCpp;
use transcribe_core::engine::{
    CancelToken, ContextPolicy, DecodeOptions, Engine, EngineError, Hypothesis, Job, Search, Task, Timestamps,
};
use transcribe_core::guards::compression_ratio;

fn onnx(precision: Precision) -> Onnx {
    let model = root().join("models/ggml-tiny.en-q8_0.bin");
    Onnx::load(&model, &Device::Cpu, precision, None, 2).expect("the model loads")
}

fn decode(engine: &dyn Engine, audio: &[f32], options: &DecodeOptions) -> Hypothesis {
    engine.transcribe(&[job(audio, options)], 1).remove(0).expect("the job is decoded")
}

fn plain(engine: &dyn Engine, audio: &[f32]) -> Hypothesis {
    decode(engine, audio, &DecodeOptions::default())
}

fn full() -> DecodeOptions {
    DecodeOptions { context: ContextPolicy::FULL, ..DecodeOptions::default() }
}

/// Wrong words of all clips, and words in all.
fn wrong(engine: &dyn Engine, clips: &[Clip], options: &DecodeOptions) -> (usize, usize) {
    clips.iter().fold((0, 0), |(wrong, total), clip| {
        let heard = decode(engine, &clip.audio, options).text();
        (wrong + errors(&heard, &clip.text), total + words(&clip.text).len())
    })
}

/// The multilingual model with both engines, if it is at hand.
fn base() -> Option<(Onnx, WhisperCpp)> {
    let path = root().join("../shared/models/ggml-base-q5_1.bin");
    if !path.exists() {
        println!("skipped: there is no {}", path.display());
        return None;
    }
    let onnx = Onnx::load(&path, &Device::Cpu, Precision::Int8, None, 1).expect("the model loads");
    Some((onnx, WhisperCpp::load(&path, &Device::Cpu, 1).expect("the model loads")))
}

#[test]
fn at_the_full_context_it_writes_what_whisper_cpp_writes() {
    let (ours, theirs) = (onnx(Precision::F32), tiny_en(1));
    let options = full();
    for clip in clips() {
        let (ours, theirs) = (decode(&ours, &clip.audio, &options), decode(&theirs, &clip.audio, &options));
        assert_sound(&ours, &clip.audio);
        assert_eq!(ours.text(), theirs.text());
        assert!((ours.avg_logprob - theirs.avg_logprob).abs() < 0.03, "{ours:?} {theirs:?}");
        assert!((ours.no_speech_probability - theirs.no_speech_probability).abs() < 0.03, "{ours:?} {theirs:?}");
    }
}

#[test]
fn words_lie_where_whisper_cpp_hears_them() {
    let (ours, theirs) = (onnx(Precision::F32), tiny_en(1));
    let mut distances = Vec::new();
    for clip in clips() {
        let (ours, theirs) = (decode(&ours, &clip.audio, &full()), decode(&theirs, &clip.audio, &full()));
        for (ours, theirs) in ours.words().zip(theirs.words()) {
            assert_eq!(ours.text, theirs.text);
            distances.push(ours.span.start.abs_diff(theirs.span.start));
            distances.push(ours.span.end.abs_diff(theirs.span.end));
        }
    }
    distances.sort_unstable();
    let at = |share: usize| distances[distances.len() * share / 100] / 16;
    println!("median {} ms, nine in ten {} ms, all {} ms", at(50), at(90), at(99));
    assert!(at(50) <= 80 && at(90) <= 200);
}

#[test]
fn real_speech_becomes_its_words_in_eight_bits() {
    let engine = onnx(Precision::Int8);
    let clips = clips();
    for clip in &clips {
        let hypothesis = plain(&engine, &clip.audio);
        assert_sound(&hypothesis, &clip.audio);
        assert_eq!((hypothesis.language.as_str(), hypothesis.temperature), ("en", 0.0));
    }
    let (wrong, total) = wrong(&engine, &clips, &DecodeOptions::default());
    assert!(wrong * 20 <= total, "{wrong} of {total} words wrong");
}

#[test]
fn what_is_said_twice_is_written_twice() {
    let engine = onnx(Precision::Int8);
    let all = clips();
    let clip = all.iter().find(|clip| clip.text.starts_with("if the reader")).expect("a long clip with common words");
    let hypothesis = plain(&engine, &[&clip.audio[..], &clip.audio[..]].concat());
    let twice = [clip.text.as_str(), clip.text.as_str()].join(" ");
    assert!(compression_ratio(&hypothesis.text()) > 2.4, "the guard trips: {hypothesis:?}");
    assert!(errors(&hypothesis.text(), &twice) <= 2, "{hypothesis:?}");
    assert_eq!(hypothesis.temperature, 0.0);
}

#[test]
fn eight_bits_and_a_short_context_cost_little_on_hard_speech() {
    let (short, exact) = (onnx(Precision::Int8), onnx(Precision::F32));
    let clips = clips();
    let hard = |name: &str, noise: &dyn Fn(&Clip, u64) -> Vec<f32>| {
        let hear = |(n, clip): (usize, &Clip)| Clip { audio: noise(clip, n as u64 + 1), ..clip.clone() };
        (name.to_owned(), clips.iter().enumerate().map(hear).collect::<Vec<_>>())
    };
    let others = |clip: &Clip| -> Vec<Vec<f32>> {
        clips.iter().filter(|c| c.name != clip.name).map(|c| c.audio.clone()).collect()
    };
    let conditions = [
        hard("pink noise", &|clip, n| sound::mixed(&clip.audio, &sound::pink(clip.audio.len(), n), 10.0)),
        hard("music", &|clip, n| sound::mixed(&clip.audio, &sound::music(clip.audio.len(), n), 10.0)),
        hard("babble", &|clip, n| {
            let others = others(clip);
            let others: Vec<&[f32]> = others.iter().map(Vec::as_slice).collect();
            sound::mixed(&clip.audio, &sound::babble(clip.audio.len(), &others, n), 10.0)
        }),
        hard("a large room", &|clip, n| sound::reverberant(&clip.audio, n)),
    ];
    let (mut all_short, mut all_exact, mut words) = (0, 0, 0);
    for (name, clips) in conditions {
        let (short, total) = wrong(&short, &clips, &DecodeOptions::default());
        let (exact, _) = wrong(&exact, &clips, &full());
        println!("{name}: {short} and {exact} of {total} words wrong");
        (all_short, all_exact, words) = (all_short + short, all_exact + exact, words + total);
    }
    assert!((all_short as f64 - all_exact as f64) / words as f64 <= 0.02, "{all_short} and {all_exact} of {words}");
}

/// In 8 bits, a draft may turn the balance where two words are as good as equal: attention adds up in another order over
/// many rows than over one, and a step that is rounded the other way makes more of it.
#[test]
fn a_draft_saves_steps_and_changes_next_to_nothing() {
    for precision in [Precision::F32, Precision::Int8] {
        let (mut changed, mut all) = (0, 0);
        let engine = onnx(precision);
        let (mut plainly, mut drafted) = (0, 0);
        let (mut plain_time, mut drafted_time) = (Duration::ZERO, Duration::ZERO);
        for clip in &clips()[..4] {
            let mut draft = Vec::new();
            // As partials do: more and more of the utterance, each time with the hypothesis before as the draft.
            for end in (12_000..clip.audio.len()).step_by(12_000).chain([clip.audio.len()]) {
                let audio = &clip.audio[..end];
                let options = DecodeOptions { fallback: false, ..DecodeOptions::default() };
                let before = engine.spent();
                let expected = decode(&engine, audio, &options);
                let between = engine.spent();
                let hypothesis = decode(&engine, audio, &DecodeOptions { draft, ..options });
                let after = engine.spent();
                (plainly, drafted) = (plainly + between.steps - before.steps, drafted + after.steps - between.steps);
                plain_time += between.decoder - before.decoder;
                drafted_time += after.decoder - between.decoder;
                all += 1;
                let same = hypothesis.tokens == expected.tokens;
                if !same {
                    println!("{} to {end}: {} for {}", clip.name, hypothesis.text(), expected.text());
                    changed += 1;
                }
                assert!(!same || hypothesis.text() == expected.text(), "{} to {end}", clip.name);
                let (drafted, plain) = (hypothesis.avg_logprob, expected.avg_logprob);
                let near = if same { 0.01 } else { 0.05 };
                assert!((drafted - plain).abs() < near, "{} to {end}: {drafted} for {plain}", clip.name);
                draft = hypothesis.tokens;
            }
        }
        println!(
            "{precision:?}: without drafts {plainly} steps, {plain_time:?}, with them {drafted}, {drafted_time:?}"
        );
        assert!(drafted * 5 <= plainly * 3, "{drafted} of {plainly}");
        let most = if precision == Precision::F32 { 0 } else { all / 20 };
        assert!(changed <= most, "{precision:?}: {changed} of {all} changed");
    }
}

#[test]
fn a_draft_that_makes_no_sense_is_borne() {
    let engine = onnx(Precision::Int8);
    let clip = &clips()[1].audio;
    let expected = plain(&engine, clip);
    for draft in [vec![-5, 99_999_999, 50_256, 50_300], vec![50_256; 1_000], expected.tokens.repeat(20)] {
        let hypothesis = decode(&engine, clip, &DecodeOptions { draft, ..DecodeOptions::default() });
        assert_eq!(hypothesis.tokens, expected.tokens);
    }
}

#[test]
fn beams_and_samplings_hear_the_words_too() {
    let engine = onnx(Precision::Int8);
    let clip = &clips()[0];
    let beams = DecodeOptions { search: Search::Beam(3), ..DecodeOptions::default() };
    assert_eq!(errors(&decode(&engine, &clip.audio, &beams).text(), &clip.text), 0);
    let mut guess = DecodeOptions::default();
    guess.guards.logprob = -1e-6; // all is a guess
    let first = decode(&engine, &clip.audio, &guess);
    assert_eq!(first.attempts, 7);
    assert!(errors(&first.text(), &clip.text) <= 4, "the likeliest is taken: {}", first.text());
    assert_eq!(decode(&engine, &clip.audio, &guess), first, "the same of the same audio");
}

#[test]
fn what_is_no_speech_gives_no_text() {
    let engine = onnx(Precision::Int8);
    let tone: Vec<f32> = (0..48_000).map(|n| 0.3 * (0.17 * n as f32).sin()).collect();
    let noise = |gain: f32, n: usize| sound::white(n, 1).iter().map(|sample| gain * sample).collect::<Vec<_>>();
    for (name, audio) in [
        ("silence", vec![0.0; 80_000]),
        ("a click", [vec![0.0; 8_000], vec![0.9; 3], vec![0.0; 8_000]].concat()),
        ("faint noise", noise(0.001, 80_000)),
        ("noise", noise(0.05, 48_000)),
        ("short noise", noise(0.1, 16_000)),
        ("tone", tone),
    ] {
        let hypothesis = plain(&engine, &audio);
        assert!(hypothesis.is_empty(), "{name}: {hypothesis:?}");
    }
}

#[test]
fn odd_audio_is_borne() {
    let engine = onnx(Precision::Int8);
    let options = DecodeOptions::default();
    for audio in [vec![], vec![0.5], vec![0.1; 1_000], vec![f32::NAN; 20_000], vec![f32::INFINITY; 100]] {
        assert_sound(&decode(&engine, &audio, &options), &audio);
    }
    let limit = vec![0.01; 480_000];
    assert_sound(&decode(&engine, &limit, &DecodeOptions { fallback: false, ..options.clone() }), &limit);
    let longer = vec![0.01; 480_001];
    assert!(matches!(engine.transcribe(&[job(&longer, &options)], 1)[0], Err(EngineError::Options(_))));
}

#[test]
fn a_prompt_spells_names() {
    let engine = onnx(Precision::Int8);
    let clip = &clips()[0];
    let prompt = |text: &str| {
        let options = DecodeOptions { prompt: Some(text.to_owned()), ..DecodeOptions::default() };
        decode(&engine, &clip.audio, &options).text()
    };
    assert!(prompt("A story of Mister Jon Dashwoode, and what Mister Jon Dashwoode did.").contains("Dashwoode"));
    for odd in ["", " ", "a\0b", "naïve 漢字 😀 \u{FFFD}", &"a".repeat(100_000)] {
        assert!(!prompt(odd).is_empty(), "{:?}", odd.chars().take(20).collect::<String>());
    }
}

#[test]
fn what_was_said_before_spells_names_behind_a_prompt() {
    let engine = onnx(Precision::Int8);
    let clip = &clips()[0];
    let said = "A story of Mister Jon Dashwoode, and what Mister Jon Dashwoode did.";
    let options = |prompt: &str| DecodeOptions {
        prompt: Some(prompt.to_owned()),
        previous: Some(said.to_owned()),
        ..DecodeOptions::default()
    };
    assert!(decode(&engine, &clip.audio, &options("Names.")).text().contains("Dashwoode"));
    // A prompt that takes all the tokens there are leaves none.
    assert!(!decode(&engine, &clip.audio, &options(&"names and more ".repeat(100))).text().contains("Dashwoode"));
}

#[test]
fn timestamps_set_segments_apart_and_leave_the_words() {
    let engine = onnx(Precision::F32);
    let clips = clips();
    // Three clips in one utterance, half a second between them.
    let pause = vec![0.0; 8_000];
    let audio: Vec<f32> = clips[1..4].iter().flat_map(|clip| [&clip.audio[..], &pause].concat()).collect();
    let text = clips[1..4].iter().map(|clip| clip.text.as_str()).collect::<Vec<_>>().join(" ");
    let with = DecodeOptions { timestamps: Timestamps::Always, ..full() };
    let (plainly, stamped) = (decode(&engine, &audio, &full()), decode(&engine, &audio, &with));
    println!("{}\n{}", plainly.text(), stamped.text());
    assert_eq!(plainly.segments.len(), 1);
    assert!(stamped.segments.len() >= 3, "{:?}", stamped.segments);
    assert!(errors(&stamped.text(), &text) <= errors(&plainly.text(), &text) + 2, "{}", stamped.text());
    assert_sound(&stamped, &audio);
    let mut end = 0;
    for segment in &stamped.segments {
        assert!(end <= segment.span.start && segment.span.start < segment.span.end, "{segment:?}");
        assert!(segment.span.end <= audio.len() as u64, "{segment:?}");
        // The words lie in it, by quite another measure.
        for word in &segment.words {
            let middle = (word.span.start + word.span.end) / 2;
            assert!(segment.span.start <= middle + 8_000 && middle <= segment.span.end + 8_000, "{word:?} {segment:?}");
        }
        end = segment.span.end;
    }
    // A draft with timestamps changes nothing, and beams obey the rules as well.
    let drafted = DecodeOptions { draft: stamped.tokens.clone(), ..with.clone() };
    assert_eq!(decode(&engine, &audio, &drafted).text(), stamped.text());
    let beams = decode(&engine, &audio, &DecodeOptions { search: Search::Beam(2), ..with.clone() });
    assert!(beams.segments.len() >= 2 && errors(&beams.text(), &text) <= 8, "{}", beams.text());
    // Where retries have them, the first attempt has none.
    let never = DecodeOptions { timestamps: Timestamps::Never, ..full() };
    assert_eq!(decode(&engine, &audio, &never), plainly);
    let theirs = tiny_en(1);
    assert!(theirs.check(&full()).is_ok());
    // The other engine says that it can't.
    let Err(EngineError::Options(reason)) = theirs.check(&with) else { panic!("it is refused") };
    assert!(reason.contains("ONNX Runtime"), "{reason}");
}

#[test]
fn streams_share_the_sessions_of_a_pool() {
    let engine = onnx(Precision::Int8);
    let clips: Vec<Clip> = clips().into_iter().skip(1).take(4).collect();
    let alone: Vec<Hypothesis> = clips.iter().map(|c| plain(&engine, &c.audio)).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = clips.iter().map(|c| scope.spawn(|| plain(&engine, &c.audio))).collect();
        let together: Vec<Hypothesis> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(together, alone, "the same to the last bit");
    });
    let two = engine.transcribe(&[job(&clips[0].audio, &DecodeOptions::default())], 2).remove(0).unwrap();
    assert_eq!(two.text(), alone[0].text());
}

#[test]
fn a_cancelled_job_ends_soon_and_spoils_nothing() {
    let engine = onnx(Precision::Int8);
    let clips = clips();
    let before = plain(&engine, &clips[1].audio);
    let audio: Arc<[f32]> = clips[..6].iter().flat_map(|c| c.audio.iter().copied()).take(470_000).collect();
    // A wide beam, so that it isn't done before it is cancelled.
    let options = Arc::new(DecodeOptions { search: Search::Beam(8), ..full() });
    for wait in [0, 50, 400] {
        let cancel = CancelToken::new();
        let job = Job { audio: audio.clone(), options: options.clone(), cancel: cancel.clone() };
        let (result, delay) = std::thread::scope(|scope| {
            let running = scope.spawn(|| engine.transcribe(&[job], 1).remove(0));
            std::thread::sleep(Duration::from_millis(wait));
            let start = Instant::now();
            cancel.cancel();
            (running.join().unwrap(), start.elapsed())
        });
        println!("cancelled after {wait} ms: {delay:?}");
        assert!(matches!(result, Err(EngineError::Cancelled)), "{result:?}");
        assert_eq!(plain(&engine, &clips[1].audio), before);
    }
}

#[test]
fn what_does_not_fit_is_refused_with_a_mend() {
    let engine = onnx(Precision::Int8);
    let check = |options: DecodeOptions| match engine.check(&options) {
        Err(EngineError::Options(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert!(check(DecodeOptions { language: Some("de".into()), ..Default::default() }).contains("multilingual"));
    assert!(check(DecodeOptions { task: Task::Translate, ..Default::default() }).contains("multilingual"));
    assert!(check(DecodeOptions { search: Search::Beam(9), ..Default::default() }).contains('8'));
    for path in ["/nonexistent/model.bin", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
        let error = Onnx::load(path.as_ref(), &Device::Cpu, Precision::Int8, None, 1).err();
        assert!(matches!(error, Some(EngineError::Load { .. })), "{error:?}");
    }
}

#[test]
fn a_multilingual_model_detects_and_translates_as_whisper_cpp_does() {
    let Some((ours, theirs)) = base() else { return };
    let clips = clips();
    for clip in &clips[..3] {
        let (ours, theirs) = (plain(&ours, &clip.audio), plain(&theirs, &clip.audio));
        assert_eq!((ours.language.as_str(), theirs.language.as_str()), ("en", "en"));
        assert!(errors(&ours.text(), &clip.text) <= 2, "{}", ours.text());
    }
    let options =
        |language: &str, task| DecodeOptions { language: Some(language.to_owned()), task, ..DecodeOptions::default() };
    let translated = decode(&ours, &clips[0].audio, &options("en", Task::Translate));
    assert!(errors(&translated.text(), &clips[0].text) <= 6, "{}", translated.text());
    assert_eq!(decode(&ours, &clips[6].audio, &options("german", Task::Transcribe)).language, "de");
}

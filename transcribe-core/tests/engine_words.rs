//! The whisper.cpp engine on real speech: words, their times, cancelling, concurrency, memory.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{assert_sound, clips, errors, job, root, tiny_en, words, Clip};
use transcribe_core::engine::device::Device;
use transcribe_core::engine::whisper_cpp::WhisperCpp;
use transcribe_core::engine::{
    CancelToken, ContextPolicy, DecodeOptions, Engine, EngineError, Hypothesis, Job, Search, Task,
};
use transcribe_core::guards::compression_ratio;

const SECOND: u64 = 16_000;

fn decode(engine: &WhisperCpp, audio: &[f32], options: &DecodeOptions) -> Hypothesis {
    engine.transcribe(&[job(audio, options)], 1).remove(0).expect("the job is decoded")
}

fn plain(engine: &WhisperCpp, audio: &[f32]) -> Hypothesis {
    decode(engine, audio, &DecodeOptions::default())
}

/// The multilingual model, if it is at hand.
fn base() -> Option<WhisperCpp> {
    let path = root().join("../shared/models/ggml-base-q5_1.bin");
    if !path.exists() {
        println!("skipped: there is no {}", path.display());
        return None;
    }
    Some(WhisperCpp::load(&path, &Device::Cpu, 1).expect("the model loads"))
}

#[test]
fn real_speech_becomes_its_words() {
    let engine = tiny_en(1);
    let (mut wrong, mut total) = (0, 0);
    for clip in clips() {
        let hypothesis = plain(&engine, &clip.audio);
        assert_sound(&hypothesis, &clip.audio);
        assert!(hypothesis.no_speech_probability < 0.3 && hypothesis.avg_logprob > -0.8, "{hypothesis:?}");
        // At most a second look at the full context; no guard trips on clean speech.
        assert_eq!((hypothesis.language.as_str(), hypothesis.temperature), ("en", 0.0));
        assert!(hypothesis.attempts <= 2, "{hypothesis:?}");
        wrong += errors(&hypothesis.text(), &clip.text);
        total += words(&clip.text).len();
    }
    assert!(wrong * 20 <= total, "{wrong} of {total} words wrong");
}

#[test]
fn beam_search_hears_the_words_too() {
    let engine = tiny_en(1);
    let options = DecodeOptions { search: Search::Beam(3), ..DecodeOptions::default() };
    let clip = &clips()[0];
    assert_eq!(errors(&decode(&engine, &clip.audio, &options).text(), &clip.text), 0);
}

#[test]
fn words_lie_where_they_are_said() {
    let engine = tiny_en(1);
    let clips: Vec<Clip> = clips().into_iter().take(5).collect();
    let mut audio = Vec::new();
    let mut said = Vec::new(); // each word with the range of its clip
    for clip in &clips {
        let range = audio.len() as u64..(audio.len() + clip.audio.len()) as u64;
        said.extend(words(&clip.text).into_iter().map(|word| (word, range.clone())));
        audio.extend_from_slice(&clip.audio);
        audio.extend_from_slice(&vec![0.0; SECOND as usize / 2]);
    }
    let hypothesis = plain(&engine, &audio);
    assert_sound(&hypothesis, &audio);
    let mut next = 0;
    let mut placed = 0;
    for word in hypothesis.words() {
        let heard = words(&word.text).concat();
        let Some(n) = said[next..].iter().take(4).position(|(word, _)| *word == heard) else { continue };
        let range = &said[next + n].1;
        assert!(
            word.span.start + SECOND / 4 >= range.start && word.span.end <= range.end + SECOND / 4,
            "{word:?} {range:?}"
        );
        assert!(word.span.end - word.span.start <= 3 * SECOND / 2, "{word:?}");
        next += n + 1;
        placed += 1;
    }
    assert!(placed * 10 >= said.len() * 9, "{placed} of {} words placed: {}", said.len(), hypothesis.text());
}

#[test]
fn what_is_no_speech_gives_no_text() {
    let engine = tiny_en(1);
    let seconds = |n: u64| 0..n * SECOND;
    let tone = |hertz: f32| -> Vec<f32> {
        seconds(3).map(|n| 0.3 * (std::f32::consts::TAU * hertz * n as f32 / 16_000.0).sin()).collect()
    };
    let noise = |gain: f32, n: u64| -> Vec<f32> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        seconds(n).map(|_| gain * next()).collect()
    };
    let sounds = [
        ("silence", vec![0.0; 5 * SECOND as usize]),
        ("a click", [vec![0.0; 8_000], vec![0.9; 3], vec![0.0; 8_000]].concat()),
        ("faint noise", noise(0.001, 5)),
        ("noise", noise(0.05, 3)),
        ("long noise", noise(0.05, 15)),
        ("loud noise", noise(0.5, 3)),
        ("short noise", noise(0.1, 1)),
        ("hum", tone(50.0)),
        ("tone", tone(440.0)),
        ("beep", tone(1_000.0)),
    ];
    let mut heard = Vec::new();
    for (name, audio) in &sounds {
        let hypothesis = plain(&engine, audio);
        println!("{name}: {hypothesis:?}");
        if !hypothesis.is_empty() {
            heard.push((name, hypothesis.text()));
        }
    }
    assert!(heard.is_empty(), "{heard:?}");
}

#[test]
fn loops_in_a_context_that_is_too_short_are_noticed_and_mended() {
    let engine = tiny_en(1);
    let context = ContextPolicy { floor: 0, margin: 0 };
    let (mut wrong, mut total, mut mended) = (0, 0, 0);
    for clip in clips().iter().take(5) {
        let hypothesis = decode(&engine, &clip.audio, &DecodeOptions { context, ..DecodeOptions::default() });
        println!("{} attempts, context {}: {}", hypothesis.attempts, hypothesis.context, hypothesis.text());
        wrong += errors(&hypothesis.text(), &clip.text);
        total += words(&clip.text).len();
        mended += u32::from(hypothesis.attempts > 1);
        let partial = DecodeOptions { context, fallback: false, ..DecodeOptions::default() };
        let partial = decode(&engine, &clip.audio, &partial);
        assert_eq!(partial.attempts, 1);
        assert!(compression_ratio(&partial.text()) <= 2.4, "{}", partial.text());
    }
    assert!(mended > 0, "the context is not too short for this model after all");
    assert!(wrong * 10 <= total, "{wrong} of {total} words wrong");
}

#[test]
fn sampling_makes_the_same_of_the_same_audio() {
    let engine = tiny_en(1);
    let clip = &clips()[1];
    let mut options = DecodeOptions::default();
    options.guards.logprob = -1e-6; // all is a guess
    let first = decode(&engine, &clip.audio, &options);
    assert_eq!(first.attempts, 7);
    assert!(errors(&first.text(), &clip.text) <= 4, "the likeliest is taken: {}", first.text());
    assert_eq!(decode(&engine, &clip.audio, &options), first);
}

#[test]
fn odd_audio_is_borne() {
    let engine = tiny_en(1);
    let options = DecodeOptions::default();
    for audio in [vec![], vec![0.5], vec![0.1; 1_000], vec![f32::NAN; 20_000], vec![f32::INFINITY; 100]] {
        assert_sound(&decode(&engine, &audio, &options), &audio);
    }
    let limit = vec![0.01; 30 * SECOND as usize];
    assert_sound(&decode(&engine, &limit, &DecodeOptions { fallback: false, ..options.clone() }), &limit);
    let longer = vec![0.01; 30 * SECOND as usize + 1];
    assert!(matches!(engine.transcribe(&[job(&longer, &options)], 1)[0], Err(EngineError::Options(_))));
}

#[test]
fn a_short_word_is_heard() {
    let engine = tiny_en(1);
    let clip = &clips()[1].audio; // "He was not …"
    let hypothesis = plain(&engine, &clip[..14_400]);
    assert!(!hypothesis.is_empty());
}

#[test]
fn a_cancelled_job_ends_at_once_and_spoils_nothing() {
    let engine = tiny_en(1);
    let clips = clips();
    let clip = &clips[1];
    let audio: Arc<[f32]> = clips[..6].iter().flat_map(|c| c.audio.iter().copied()).take(470_000).collect();
    let options = Arc::new(DecodeOptions { context: ContextPolicy::FULL, ..DecodeOptions::default() });
    let before = plain(&engine, &clip.audio).text();
    let start = Instant::now();
    engine.transcribe(&[Job { audio: audio.clone(), options: options.clone(), cancel: CancelToken::new() }], 1);
    let whole = start.elapsed();
    for part in [0.0, 0.1, 0.4] {
        let cancel = CancelToken::new();
        let job = Job { audio: audio.clone(), options: options.clone(), cancel: cancel.clone() };
        let (result, delay) = std::thread::scope(|scope| {
            let running = scope.spawn(|| engine.transcribe(&[job], 1).remove(0));
            std::thread::sleep(whole.mul_f64(part));
            let start = Instant::now();
            cancel.cancel();
            (running.join().unwrap(), start.elapsed())
        });
        println!("cancelled at {part} of {whole:?}: {delay:?}");
        assert!(matches!(result, Err(EngineError::Cancelled)), "{result:?}");
        // The encoder runs to its end, which is half of the work here.
        assert!(delay < Duration::from_millis(500).max(whole.mul_f64(0.8)), "{delay:?} of {whole:?}");
        assert_eq!(plain(&engine, &clip.audio).text(), before, "the state is as good as new");
    }
}

#[test]
fn results_do_not_depend_on_threads_or_on_what_went_before() {
    let engine = tiny_en(1);
    let clips = clips();
    let jobs: Vec<Job> = clips.iter().take(4).map(|c| job(&c.audio, &DecodeOptions::default())).collect();
    let one: Vec<_> = engine.transcribe(&jobs, 1).into_iter().map(Result::unwrap).collect();
    let two: Vec<_> = engine.transcribe(&jobs, 2).into_iter().map(Result::unwrap).collect();
    let mut backwards: Vec<Job> = jobs;
    backwards.reverse();
    let mut again: Vec<_> = engine.transcribe(&backwards, 1).into_iter().map(Result::unwrap).collect();
    again.reverse();
    assert_eq!(one, again, "the same to the last bit");
    for (one, two) in one.iter().zip(&two) {
        assert_eq!(one.text(), two.text());
        assert!((one.avg_logprob - two.avg_logprob).abs() < 0.02, "sums are split among threads");
    }
}

#[test]
fn streams_share_the_states_of_a_pool() {
    let engine = tiny_en(2);
    let clips: Vec<Clip> = clips().into_iter().skip(1).take(4).collect();
    let alone: Vec<String> = clips.iter().map(|c| plain(&engine, &c.audio).text()).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = clips.iter().map(|c| scope.spawn(|| plain(&engine, &c.audio).text())).collect();
        let together: Vec<String> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(together, alone);
    });
}

#[test]
fn a_prompt_spells_names() {
    let engine = tiny_en(1);
    let clip = &clips()[0];
    let prompt = |text: &str| {
        let options = DecodeOptions { prompt: Some(text.to_owned()), ..DecodeOptions::default() };
        decode(&engine, &clip.audio, &options).text()
    };
    assert!(prompt("A story of Mister Jon Dashwoode, and what Mister Jon Dashwoode did.").contains("Dashwoode"));
    for odd in
        ["", " ", "a\0b", "naïve 漢字 😀 \u{FFFD}", &"A story of Mr. Dashwood. ".repeat(4_000), &"a".repeat(100_000)]
    {
        let text = prompt(odd);
        assert!(!text.is_empty(), "{:?}", odd.chars().take(20).collect::<String>());
    }
}

#[test]
fn options_that_do_not_fit_are_refused_with_a_mend() {
    let engine = tiny_en(1);
    let check = |options: DecodeOptions| match engine.check(&options) {
        Err(EngineError::Options(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let language = |code: &str| DecodeOptions { language: Some(code.to_owned()), ..DecodeOptions::default() };
    assert!(check(language("de")).contains("multilingual"));
    assert!(check(language("klingon")).contains("haw"));
    assert!(check(DecodeOptions { task: Task::Translate, ..DecodeOptions::default() }).contains("multilingual"));
    assert!(check(DecodeOptions { search: Search::Beam(1), ..DecodeOptions::default() }).contains('8'));
    for fine in ["en", "en-GB", "English"] {
        assert!(engine.check(&language(fine)).is_ok());
    }
}

#[test]
fn files_that_are_no_models_are_refused() {
    for path in ["/nonexistent/model.bin", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
        let error = WhisperCpp::load(path.as_ref(), &Device::Cpu, 1).err();
        assert!(matches!(error, Some(EngineError::Load { .. })), "{error:?}");
    }
}

#[test]
fn a_multilingual_model_detects_and_translates() {
    let Some(engine) = base() else { return };
    assert!(engine.info().multilingual);
    let clips = clips();
    for clip in &clips[..3] {
        let hypothesis = plain(&engine, &clip.audio);
        assert_eq!(hypothesis.language, "en");
        assert!(errors(&hypothesis.text(), &clip.text) <= 2, "{}", hypothesis.text());
    }
    let options = |language: Option<&str>, task| DecodeOptions {
        language: language.map(str::to_owned),
        task,
        ..DecodeOptions::default()
    };
    let translated = decode(&engine, &clips[0].audio, &options(Some("en"), Task::Translate));
    assert!(errors(&translated.text(), &clips[0].text) <= 6, "{}", translated.text());
    let german = decode(&engine, &clips[6].audio, &options(Some("german"), Task::Transcribe));
    assert_eq!(german.language, "de");
    assert!(matches!(engine.check(&options(Some("yue"), Task::Transcribe)), Err(EngineError::Options(_))));
}

#[test]
fn detection_does_not_depend_on_what_went_before() {
    let Some(engine) = base() else { return };
    let clips = clips();
    let first = plain(&engine, &clips[1].audio);
    decode(&engine, &clips[2].audio, &DecodeOptions { context: ContextPolicy::FULL, ..DecodeOptions::default() });
    assert_eq!(plain(&engine, &clips[1].audio), first);
}

#[test]
fn two_models_run_side_by_side() {
    let (Some(base), tiny) = (base(), tiny_en(1)) else { return };
    let clip = &clips()[4];
    std::thread::scope(|scope| {
        let other = scope.spawn(|| plain(&base, &clip.audio).text());
        assert!(errors(&plain(&tiny, &clip.audio).text(), &clip.text) <= 1);
        assert!(errors(&other.join().unwrap(), &clip.text) <= 1);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat() {
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }
    // Alone in a process, or the other tests' models would be measured.
    if std::env::var_os("MEMORY_TEST").is_none() {
        let this = std::env::current_exe().unwrap();
        let arguments = ["--exact", "memory_stays_flat", "--nocapture"];
        let status = std::process::Command::new(this).args(arguments).env("MEMORY_TEST", "1").status().unwrap();
        assert!(status.success());
        return;
    }
    let engine = tiny_en(1);
    let clip = &clips()[1].audio;
    let context = ContextPolicy { floor: 100, margin: 30 };
    let options = DecodeOptions { context, fallback: false, prompt: Some("Dashwood".into()), ..Default::default() };
    let mut before = 0;
    for n in 0..220 {
        if n == 20 {
            before = resident();
        }
        decode(&engine, &clip[..16_000 + 100 * (n % 50)], &options);
    }
    let growth = resident().saturating_sub(before);
    println!("{} MiB, grown by {} KiB in 200 calls", before >> 20, growth >> 10);
    assert!(growth < 4 << 20, "{growth} bytes");
}

//! The whisper.cpp engine on a GPU against the same engine on the CPU: words, their times, memory, many jobs at once,
//! stopping, and what happens when the GPU is not there.
//!
//! No machine without a GPU can run these, so they are ignored unless asked for: `make test-gpu`. The GPU is number 0 of
//! the kind that the build has a feature for.
#![cfg(any(feature = "cuda", feature = "vulkan", feature = "metal", feature = "hipblas"))]

mod common;

use std::sync::mpsc::channel;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{assert_sound, clips, errors, job, root, tiny_en, words, Clip};
use transcribe_core::engine::device::{Backend, Device};
use transcribe_core::engine::whisper_cpp::{gpus, jobs_at_once, WhisperCpp};
use transcribe_core::engine::{
    CancelToken, ContextPolicy, DecodeOptions, Engine, EngineError, Hypothesis, Job, Search,
};
use transcribe_core::runtime::{EngineKind, Model, ModelKey};
use transcribe_core::scheduler::run::Due;

const MIB: usize = 1 << 20;
/// Least memory of the bundled model's weights on the GPU.
const WEIGHTS: usize = 40 * MIB;
/// Two positions of the encoder, which word times are multiples of.
const TWO_FRAMES: i64 = 640;

fn gpu(index: usize) -> Device {
    Device::Gpu { backend: Backend::WHISPER_CPP.into_iter().find(|backend| backend.is_built_in()), index }
}

fn bundled() -> std::path::PathBuf {
    root().join("models/ggml-tiny.en-q8_0.bin")
}

fn on_gpu(max_states: usize) -> WhisperCpp {
    WhisperCpp::load(&bundled(), &gpu(0), max_states).expect("the model loads on the GPU")
}

fn decode(engine: &WhisperCpp, audio: &[f32], options: &DecodeOptions) -> Hypothesis {
    engine.transcribe(&[job(audio, options)], 1).remove(0).expect("the job is decoded")
}

fn plain(engine: &WhisperCpp, audio: &[f32]) -> Hypothesis {
    decode(engine, audio, &DecodeOptions::default())
}

fn free() -> usize {
    gpus()[0].free
}

fn error_of(device: &Device) -> String {
    match WhisperCpp::load(&bundled(), device, 1) {
        Ok(_) => panic!("{device} was taken for something else"),
        Err(EngineError::Device { reason, .. }) => reason,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn real_speech_becomes_its_words() {
    let engine = on_gpu(1);
    let (mut wrong, mut total) = (0, 0);
    for clip in clips() {
        let hypothesis = plain(&engine, &clip.audio);
        println!("{}: {}", clip.name, hypothesis.text());
        assert_sound(&hypothesis, &clip.audio);
        assert!(hypothesis.no_speech_probability < 0.3 && hypothesis.avg_logprob > -0.8, "{hypothesis:?}");
        assert_eq!((hypothesis.language.as_str(), hypothesis.temperature), ("en", 0.0));
        wrong += errors(&hypothesis.text(), &clip.text);
        total += words(&clip.text).len();
    }
    println!("{wrong} of {total} words wrong");
    assert!(wrong * 20 <= total, "{wrong} of {total} words wrong");
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn words_and_their_times_are_those_of_the_cpu() {
    let (gpu, cpu) = (on_gpu(1), tiny_en(1));
    let (mut different, mut all, mut off, mut worst) = (0, 0, 0, 0);
    for clip in clips() {
        let (ours, theirs) = (plain(&gpu, &clip.audio), plain(&cpu, &clip.audio));
        different += errors(&ours.text(), &theirs.text());
        let mut theirs = theirs.words().peekable();
        for word in ours.words() {
            all += 1;
            let Some(other) = theirs.find(|other| other.text == word.text) else { break };
            for (ours, theirs) in [(word.span.start, other.span.start), (word.span.end, other.span.end)] {
                let apart = (ours as i64 - theirs as i64).abs();
                worst = worst.max(apart);
                if apart > TWO_FRAMES {
                    println!("{}: {} at {ours}, {theirs} on the CPU", clip.name, word.text);
                    off += 1;
                }
            }
        }
    }
    println!("{different} of {all} words differ, {off} times are off, {} ms at most", worst / 16);
    assert!(all >= 120 && different <= 2, "{different} of {all} words differ");
    assert!(off * 20 <= all, "{off} times are more than two frames off, {} ms at most", worst / 16);
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn weights_lie_on_the_gpu_and_leave_it_with_the_model() {
    drop(on_gpu(1)); // what the driver keeps for the process comes with the first
    let before = free();
    for _ in 0..3 {
        let engine = on_gpu(3);
        assert!(before - free() >= WEIGHTS, "{} of {before} bytes are free", free());
        std::thread::scope(|scope| {
            for clip in clips().into_iter().take(3) {
                let engine = &engine;
                scope.spawn(move || plain(engine, &clip.audio));
            }
        });
        println!("three states: {} MiB", (before - free()) / MIB);
        drop(engine);
        println!("afterwards: {} MiB", (before as i64 - free() as i64) / MIB as i64);
        assert!(free() + 4 * MIB >= before, "{} of {before} bytes are free", free());
    }
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn the_cpu_in_a_build_for_gpus_is_the_cpu() {
    drop(on_gpu(1));
    let before = free();
    let engine = tiny_en(1);
    let clip = &clips()[0];
    assert_eq!(errors(&plain(&engine, &clip.audio).text(), &clip.text), 0);
    assert!(free() + MIB >= before, "{} bytes of the GPU are taken", before - free());
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn auto_is_the_gpu() {
    drop(on_gpu(1));
    let before = free();
    let engine = WhisperCpp::load(&bundled(), &Device::Auto, 1).unwrap();
    assert!(before - free() >= WEIGHTS);
    drop(engine);
    assert_eq!(jobs_at_once(&Device::Cpu, 1_000).unwrap(), 1_000);
    assert!((2..100).contains(&jobs_at_once(&Device::Auto, 1_000).unwrap()), "a GPU gains nothing from so many");
    assert_eq!(jobs_at_once(&Device::Auto, 3).unwrap(), 3);
    let load = |device| Model::load(&ModelKey { path: bundled(), engine: EngineKind::Auto, device }).unwrap();
    assert!(Arc::ptr_eq(&load(Device::Auto), &load(Device::Cpu)), "one model for both");
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn the_same_audio_gives_the_same_whatever_went_before_or_beside_it() {
    let engine = on_gpu(8);
    let clips = clips();
    let alone: Vec<Hypothesis> = clips.iter().map(|c| plain(&engine, &c.audio)).collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (engine, clips, alone) = (&engine, &clips, &alone);
            scope.spawn(move || {
                for n in (0..2 * clips.len()).map(|n| (n + thread) % clips.len()) {
                    let heard = plain(engine, &clips[n].audio);
                    assert_eq!(heard.text(), alone[n].text());
                    let spans = |h: &Hypothesis| h.words().map(|w| w.span.clone()).collect::<Vec<_>>();
                    assert_eq!(spans(&heard), spans(&alone[n]));
                }
            });
        }
    });
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn beams_and_sampling_work() {
    let engine = on_gpu(1);
    let clip = &clips()[0];
    let beam = DecodeOptions { search: Search::Beam(3), ..DecodeOptions::default() };
    assert_eq!(errors(&decode(&engine, &clip.audio, &beam).text(), &clip.text), 0);
    let mut guesses = DecodeOptions::default();
    guesses.guards.logprob = -1e-6; // all is a guess, so that all temperatures are tried
    let first = decode(&engine, &clips()[1].audio, &guesses);
    assert_eq!(first.attempts, 7);
    assert_eq!(decode(&engine, &clips()[1].audio, &guesses).text(), first.text());
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn a_cancelled_job_ends_soon_and_spoils_nothing() {
    let engine = on_gpu(1);
    let clips = clips();
    let clip = &clips[1];
    let audio: Arc<[f32]> = clips[..6].iter().flat_map(|c| c.audio.iter().copied()).take(470_000).collect();
    let mut options = DecodeOptions { context: ContextPolicy::FULL, ..DecodeOptions::default() };
    options.guards.logprob = -1e-6; // all temperatures: long enough to be stopped in the midst
    let options = Arc::new(options);
    let before = plain(&engine, &clip.audio).text();
    let start = Instant::now();
    engine.transcribe(&[Job { audio: audio.clone(), options: options.clone(), cancel: CancelToken::new() }], 1);
    let whole = start.elapsed();
    for part in [0.0, 0.02, 0.1, 0.4, 0.7] {
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
        assert!(delay < Duration::from_millis(500).max(whole.mul_f64(0.5)), "{delay:?} of {whole:?}");
        assert_eq!(plain(&engine, &clip.audio).text(), before, "the state is as good as new");
    }
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn two_models_and_two_devices_run_side_by_side() {
    let path = root().join("../shared/models/ggml-base-q5_1.bin");
    let base = path.exists().then(|| WhisperCpp::load(&path, &gpu(0), 1).expect("the model loads"));
    let (tiny, again, cpu) = (on_gpu(1), on_gpu(1), tiny_en(1));
    let mut engines = vec![&tiny, &again, &cpu];
    match &base {
        Some(base) => engines.push(base),
        None => println!("NOT RUN with a second file: there is no {}", path.display()),
    }
    let clip: &Clip = &clips()[4];
    std::thread::scope(|scope| {
        for engine in engines {
            scope.spawn(move || {
                for _ in 0..3 {
                    assert!(errors(&plain(engine, &clip.audio).text(), &clip.text) <= 1);
                }
            });
        }
    });
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn a_multilingual_model_detects_the_language() {
    let path = root().join("../shared/models/ggml-base-q5_1.bin");
    if !path.exists() {
        println!("NOT RUN: there is no {}", path.display());
        return;
    }
    let engine = WhisperCpp::load(&path, &gpu(0), 1).unwrap();
    let (mut wrong, mut total) = (0, 0);
    for clip in clips() {
        let hypothesis = plain(&engine, &clip.audio);
        println!("{}: {}", clip.name, hypothesis.text());
        assert_eq!(hypothesis.language, "en");
        wrong += errors(&hypothesis.text(), &clip.text);
        total += words(&clip.text).len();
    }
    println!("{wrong} of {total} words wrong");
    assert!(wrong * 25 <= total, "{wrong} of {total} words wrong");
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn the_scheduler_runs_the_finals_of_many_streams_on_one_model() {
    let key = ModelKey { path: bundled(), engine: EngineKind::Auto, device: gpu(0) };
    let model = Model::load(&key).unwrap();
    assert!(Arc::ptr_eq(&model, &Model::load(&key).unwrap()), "one set of weights for all");
    let clips = clips();
    let (sender, results) = channel();
    for stream in 0..40u64 {
        let clip = &clips[stream as usize % clips.len()];
        let due = Due { within: Duration::from_secs(1), new_seconds: 0.0 };
        let (sender, truth) = (sender.clone(), clip.text.clone());
        let reply = Box::new(move |result: Result<Hypothesis, EngineError>| {
            let heard = result.map(|hypothesis| hypothesis.text());
            sender.send((truth, heard)).expect("the test waits for all");
        });
        model.executor().submit_final(stream, job(&clip.audio, &DecodeOptions::default()), None, due, reply);
    }
    drop(sender);
    let (mut wrong, mut total, mut finals) = (0, 0, 0);
    for (truth, heard) in results {
        wrong += errors(&heard.expect("the job is decoded"), &truth);
        total += words(&truth).len();
        finals += 1;
    }
    assert_eq!(finals, 40);
    assert!(wrong * 20 <= total, "{wrong} of {total} words wrong");
}

#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn a_gpu_that_is_not_there_is_an_error_that_names_those_that_are() {
    let name = &gpus()[0].name;
    for device in [gpu(7), Device::Gpu { backend: None, index: 99 }] {
        let reason = error_of(&device);
        println!("{device}: {reason}");
        assert!(reason.contains("only") && reason.contains(name.as_str()), "{reason}");
    }
}

/// The driver shows no GPU to a process with this variable, so that this one starts another.
#[cfg(feature = "cuda")]
#[test]
#[ignore = "needs a GPU: make test-gpu"]
fn without_a_gpu_cuda_is_an_error_and_auto_is_the_cpu() {
    let this = std::env::current_exe().unwrap();
    let arguments = ["--exact", "without_any_gpu", "--ignored", "--nocapture"];
    let output = std::process::Command::new(this).args(arguments).env("CUDA_VISIBLE_DEVICES", "").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success() && text.contains("1 passed") && !text.contains("NOT RUN"), "{text}");
}

/// Runs where there is none: started by the test above, or by hand on a machine without.
#[cfg(feature = "cuda")]
#[test]
#[ignore = "for machines and processes without a GPU"]
fn without_any_gpu() {
    if !gpus().is_empty() {
        println!("NOT RUN: there is a GPU");
        return;
    }
    for device in ["cuda:0", "cuda:7", "gpu"] {
        let reason = error_of(&device.parse().unwrap());
        println!("{device}: {reason}");
        assert!(reason.contains("driver"), "{reason}");
    }
    let engine = WhisperCpp::load(&bundled(), &Device::Auto, 1).unwrap();
    let clip = &clips()[0];
    assert_eq!(errors(&plain(&engine, &clip.audio).text(), &clip.text), 0);
    assert_eq!(jobs_at_once(&Device::Auto, 3).unwrap(), 3);
    let load = |device| Model::load(&ModelKey { path: bundled(), engine: EngineKind::Auto, device }).unwrap();
    assert!(Arc::ptr_eq(&load(Device::Auto), &load(Device::Cpu)), "one model for both");
}

//! The clips over and over, so many jobs at once for so long: audio seconds a second, time a job takes, CPU, memory.

use std::sync::Mutex;
use std::time::Instant;

use transcribe_core::engine::whisper_cpp::WhisperCpp;
use transcribe_core::engine::{DecodeOptions, Engine};

use crate::clock::cpu_seconds;
use crate::common::{clips, errors, job, words, Clip};
use crate::{quantile, used, Args};

#[derive(Default)]
struct Done {
    audio: f64,
    took: Vec<f64>,
    wrong: usize,
    words: usize,
}

pub(crate) fn measure(args: &Args) {
    let clips = clips();
    println!("| jobs at once | × real time | ms a job p50 / p95 | CPU s a minute of audio | cores busy | GPU MiB loaded / at work | word errors |");
    println!("|{}", " --- |".repeat(7));
    for &jobs in &args.jobs {
        let before = used();
        let engine =
            WhisperCpp::load(args.model.as_ref(), &args.device, jobs).unwrap_or_else(|error| panic!("{error}"));
        let loaded = used();
        run(&engine, &clips, args, jobs, 0.0); // makes all states
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let mut done = run(&engine, &clips, args, jobs, args.seconds);
        let (took, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        done.took.sort_by(f64::total_cmp);
        println!(
            "| {jobs} | {:.0} | {:.0} / {:.0} | {:.2} | {:.1} | {} / {} | {:.1} % |",
            done.audio / took,
            1e3 * quantile(&done.took, 0.5),
            1e3 * quantile(&done.took, 0.95),
            cpu * 60.0 / done.audio,
            cpu / took,
            loaded - before,
            used() - before,
            100.0 * done.wrong as f64 / done.words as f64,
        );
    }
}

/// Each of `jobs` threads decodes clips, every one another first, until `seconds` are over; at least one.
fn run(engine: &WhisperCpp, clips: &[Clip], args: &Args, jobs: usize, seconds: f64) -> Done {
    let language = engine.info().multilingual.then(|| "en".to_owned());
    let options = DecodeOptions { language, fallback: args.retries, ..DecodeOptions::default() };
    let done = Mutex::new(Done::default());
    let start = Instant::now();
    std::thread::scope(|scope| {
        for first in 0..jobs {
            let (done, options) = (&done, &options);
            scope.spawn(move || {
                for clip in clips.iter().cycle().skip(first % clips.len()) {
                    let began = Instant::now();
                    let heard = engine.transcribe(&[job(&clip.audio, options)], args.threads.unwrap_or(1)).remove(0);
                    let heard = heard.expect("the clip is decoded").text();
                    let mut done = done.lock().expect("no thread panics with the lock");
                    done.took.push(began.elapsed().as_secs_f64());
                    done.audio += transcribe_core::seconds(clip.audio.len() as u64);
                    done.wrong += errors(&heard, &clip.text);
                    done.words += words(&clip.text).len();
                    if start.elapsed().as_secs_f64() >= seconds {
                        break;
                    }
                }
            });
        }
    });
    done.into_inner().expect("no thread panics with the lock")
}

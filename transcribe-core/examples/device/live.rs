//! People who speak at the same time, each on a stream of their own, at the speed of speech: how long after the end of
//! an utterance was known its final comes, and how many partials there are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use transcribe_core::engine::whisper_cpp::WhisperCpp;
use transcribe_core::engine::{DecodeOptions, Engine};
use transcribe_core::runtime::{Hub, Model, Next, StreamHandle};
use transcribe_core::samples_from_ms;
use transcribe_core::stream::{Output, StreamConfig};
use transcribe_core::vad::VadKind;

use crate::clock::cpu_seconds;
use crate::common::{clips, errors, words, Clip};
use crate::{quantile, Args};

/// Clips that each says.
const CLIPS: usize = 3;
/// Silence behind each clip.
const PAUSE: Duration = Duration::from_millis(1500);
/// Voices begin within so many seconds, spread evenly by multiples of the golden ratio.
const SPREAD: f64 = 8.4;
const GOLDEN: f64 = 0.618_033_988_749_895;
/// Audio comes in pieces of this length.
const PIECE: usize = 1_600;

/// What was heard of one voice.
#[derive(Default)]
struct Heard {
    latencies: Vec<f64>,
    partials: usize,
    text: String,
    failed: usize,
}

pub(crate) fn measure(args: &Args) {
    let clips = clips();
    println!(
        "| people | jobs at once | end-point decision → final s, p50 / p95 | partials a speaker a minute | \
         jobs busy | cores busy | word errors | failed |"
    );
    println!("|{}", " --- |".repeat(8));
    for &jobs in &args.jobs {
        for &streams in &args.streams {
            row(args, &clips, jobs, streams);
        }
    }
}

fn row(args: &Args, clips: &[Clip], jobs: usize, streams: usize) {
    let engine = WhisperCpp::load(args.model.as_ref(), &args.device, jobs).unwrap_or_else(|error| panic!("{error}"));
    let language = engine.info().multilingual.then(|| "en".to_owned());
    let model = Model::unshared(Arc::new(engine), jobs).expect("workers start");
    let hub = Hub::shared(VadKind::Silero, None).unwrap_or_else(|error| panic!("{error}"));
    let decode = DecodeOptions { language, ..DecodeOptions::default() };
    let mut config = StreamConfig { decode, ..StreamConfig::default() };
    config.segmenter.max_utterance = samples_from_ms(8_500); // as the element has it in live pipelines
    let voices: Vec<(Vec<f32>, String)> = (0..streams).map(|n| voice(clips, n)).collect();
    let handles: Vec<StreamHandle> = (0..streams)
        .map(|_| {
            StreamHandle::open(hub.clone(), config.clone(), Duration::from_secs(1), args.threads)
                .expect("sound settings")
        })
        .collect();
    for handle in &handles {
        handle.set_live();
        handle.attach(model.clone());
    }
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let heard: Vec<Heard> = std::thread::scope(|scope| {
        let readers: Vec<_> = handles.iter().map(|handle| scope.spawn(|| read(handle))).collect();
        feed(&handles, &voices, start);
        readers.into_iter().map(|reader| reader.join().expect("readers don't panic")).collect()
    });
    let (took, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let stats = model.executor().stats();
    let mut latencies: Vec<f64> = heard.iter().flat_map(|h| h.latencies.iter().copied()).collect();
    latencies.sort_by(f64::total_cmp);
    let minutes: f64 = voices.iter().map(|(audio, _)| audio.len() as f64 / 16_000.0 / 60.0).sum();
    let said: usize = voices.iter().map(|(_, text)| words(text).len()).sum();
    let wrong: usize = heard.iter().zip(&voices).map(|(heard, (_, text))| errors(&heard.text, text)).sum();
    println!(
        "| {streams} | {jobs} | {:.2} / {:.2} | {:.0} | {:.1} | {:.1} | {:.1} % | {} |",
        quantile(&latencies, 0.5),
        quantile(&latencies, 0.95),
        heard.iter().map(|h| h.partials).sum::<usize>() as f64 / minutes,
        stats.core_seconds / took,
        cpu / took,
        100.0 * wrong as f64 / said as f64,
        heard.iter().map(|h| h.failed).sum::<usize>(),
    );
}

/// The n-th voice and what it says: another clip first than the one before, and a start of its own.
fn voice(clips: &[Clip], n: usize) -> (Vec<f32>, String) {
    let lead = 16_000.0 * (1.0 + SPREAD * (n as f64 * GOLDEN).fract());
    let (mut audio, mut text) = (vec![0.0; lead as usize], String::new());
    for clip in clips.iter().cycle().skip(n % clips.len()).take(CLIPS) {
        audio.extend_from_slice(&clip.audio);
        audio.resize(audio.len() + (16_000.0 * PAUSE.as_secs_f64()) as usize, 0.0);
        text = text + " " + &clip.text;
    }
    (audio, text)
}

/// Pushes each voice's audio when it is spoken, and a marker behind it.
fn feed(handles: &[StreamHandle], voices: &[(Vec<f32>, String)], start: Instant) {
    let longest = voices.iter().map(|(audio, _)| audio.len().div_ceil(PIECE)).max().unwrap_or(0);
    for piece in 0..=longest {
        let due = start + Duration::from_secs_f64(piece as f64 * PIECE as f64 / 16_000.0);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for (handle, (audio, _)) in handles.iter().zip(voices) {
            let last = audio.len().div_ceil(PIECE);
            if piece < last {
                handle.push_audio(&audio[piece * PIECE..audio.len().min((piece + 1) * PIECE)]);
            } else if piece == last {
                handle.push_marker(0);
            }
        }
    }
}

/// Reads up to the marker.
fn read(handle: &StreamHandle) -> Heard {
    let mut heard = Heard::default();
    let mut ended = std::collections::VecDeque::new();
    loop {
        match handle.next(Duration::from_secs(120)) {
            Next::Output(Output::SpeechEnd { .. }) => ended.push_back(Instant::now()),
            Next::Output(Output::Final(text)) => {
                let waited = ended.pop_front().map_or(0.0, |end: Instant| end.elapsed().as_secs_f64());
                heard.latencies.push(waited);
                heard.text = heard.text + " " + &text.hypothesis.text();
            }
            Next::Output(Output::Failed { error, .. }) => {
                println!("failed: {error}");
                ended.pop_front();
                heard.failed += 1;
            }
            Next::Output(Output::Partial(_)) => heard.partials += 1,
            Next::Output(Output::Marker(_)) => return heard,
            Next::Output(_) => {}
            other => panic!("a stream ended early: {other:?}"),
        }
    }
}

//! The pipeline around the element: samples in, text buffers and messages out, until EOS, an error or a hang.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gst::prelude::*;
use serde_json::json;

use crate::recording::RATE;

/// Samples in a buffer: 100 ms.
const PACKET: usize = RATE as usize / 10;

/// Everything that defines a run.
pub struct Run {
    /// Number of the stream, for the lines it prints.
    pub stream: usize,
    /// Mono at 16 kHz.
    pub samples: Vec<f32>,
    /// Whether each packet is pushed when a microphone would have it.
    pub live: bool,
    /// Properties of the element, in the words of gst-launch.
    pub properties: Vec<(String, String)>,
    /// How long nothing may come out before the run counts as hung.
    pub patience: Duration,
    /// How long after the last of the audio of a live run the rest of the text may come.
    pub grace: Option<Duration>,
}

/// How a run ended, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// All audio went through.
    Eos,
    /// Text was still to come when the grace was over.
    Behind,
    /// The pipeline posted an error.
    Error,
    /// Nothing came out for too long.
    Hung,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eos => "eos",
            Self::Behind => "behind",
            Self::Error => "error",
            Self::Hung => "hung",
        })
    }
}

/// What a run gave.
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// All text, as it came.
    pub text: String,
}

/// What came out so far, shared with the streaming thread.
struct Progress {
    text: String,
    last_sign_of_life: Instant,
}

impl Run {
    /// Runs to the end and prints everything as it comes.
    pub fn run(self) -> Result<Outcome> {
        let start = Instant::now();
        let progress = Arc::new(Mutex::new(Progress { text: String::new(), last_sign_of_life: start }));

        let caps = gst::Caps::builder("audio/x-raw")
            .field("format", "F32LE")
            .field("layout", "interleaved")
            .field("rate", RATE as i32)
            .field("channels", 1_i32)
            .build();
        let source = gst_app::AppSrc::builder()
            .caps(&caps)
            .format(gst::Format::Time)
            .is_live(self.live)
            .block(true)
            .max_bytes(64 * PACKET as u64)
            .build();
        let transcriber = gst::ElementFactory::make("whispertranscriber").build()?;
        for (name, text) in &self.properties {
            let property =
                transcriber.find_property(name).with_context(|| format!("the element has no property {name:?}"))?;
            let value = gst::glib::Value::deserialize_with_pspec(text, &property)
                .with_context(|| format!("{name} can't be {text:?}"))?;
            transcriber.set_property(name, value);
        }
        // The element keeps its upstream waiting during an inference; a live source must not wait.
        let queue = gst::ElementFactory::make("queue")
            .property("max-size-time", 0_u64)
            .property("max-size-bytes", 0_u32)
            .property("max-size-buffers", 0_u32)
            .build()?;
        let sink = gst_app::AppSink::builder()
            .sync(self.live)
            .callbacks(callbacks(self.stream, progress.clone(), start))
            .build();

        let pipeline = gst::Pipeline::new();
        let elements = [source.upcast_ref(), &queue, &transcriber, sink.upcast_ref()];
        pipeline.add_many(elements)?;
        gst::Element::link_many(elements)?;
        let bus = pipeline.bus().context("a pipeline has a bus")?;
        pipeline.set_state(gst::State::Playing)?;

        let Self { samples, live, patience, grace, .. } = self;
        let audio = Duration::from_secs_f64(samples.len() as f64 / f64::from(RATE));
        let deadline = grace.filter(|_| live).map(|grace| start + audio + grace);
        let feeder = thread::spawn(move || feed(&source, &samples, live));
        let end = watch(&pipeline, &bus, &progress, patience, start, deadline);
        if matches!(end, End::Hung | End::Behind) {
            // A hung element may hang its state change as well, so that the pipeline is left as it is.
            std::mem::forget(pipeline);
        } else {
            pipeline.set_state(gst::State::Null)?;
            let _ = feeder.join();
        }
        let text = lock(&progress).text.clone();
        Ok(Outcome { end, text })
    }
}

fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Pushes all samples and EOS; stops early if the pipeline no longer takes them.
fn feed(source: &gst_app::AppSrc, samples: &[f32], live: bool) {
    let start = Instant::now();
    let time = |position: usize| Duration::from_secs_f64(position as f64 / f64::from(RATE));
    for (i, packet) in samples.chunks(PACKET).enumerate() {
        let (from, to) = (i * PACKET, i * PACKET + packet.len());
        if live {
            thread::sleep(time(to).saturating_sub(start.elapsed()));
        }
        let bytes: Vec<u8> = packet.iter().flat_map(|s| s.to_le_bytes()).collect();
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(time(from).as_nanos() as u64));
            let duration = time(to) - time(from);
            buffer.set_duration(gst::ClockTime::from_nseconds(duration.as_nanos() as u64));
        }
        if source.push_buffer(buffer).is_err() {
            return;
        }
    }
    let _ = source.end_of_stream();
}

/// Prints each buffer of text.
fn callbacks(stream: usize, progress: Arc<Mutex<Progress>>, start: Instant) -> gst_app::AppSinkCallbacks {
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            let map = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            let text = String::from_utf8_lossy(&map);
            let seconds = |time: Option<gst::ClockTime>| time.map(|t| t.nseconds() as f64 / 1e9);
            let line = json!({
                "type": "text",
                "stream": stream,
                "pts": seconds(buffer.pts()),
                "duration": seconds(buffer.duration()),
                "arrived": start.elapsed().as_secs_f64(),
                "text": text,
            });
            println!("{line}");
            let mut progress = lock(&progress);
            progress.text.push_str(&text);
            progress.last_sign_of_life = Instant::now();
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

/// Follows the bus until the end.
fn watch(
    pipeline: &gst::Pipeline,
    bus: &gst::Bus,
    progress: &Mutex<Progress>,
    patience: Duration,
    start: Instant,
    deadline: Option<Instant>,
) -> End {
    let at = || start.elapsed().as_secs_f64();
    while lock(progress).last_sign_of_life.elapsed() < patience {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return End::Behind;
        }
        let Some(message) = bus.timed_pop(gst::ClockTime::from_mseconds(100)) else {
            continue;
        };
        match message.view() {
            gst::MessageView::Eos(_) => return End::Eos,
            gst::MessageView::Error(error) => {
                let (text, debug) = (error.error().to_string(), error.debug());
                let debug = debug.map(|debug| debug.to_string());
                println!("{}", json!({"type": "error", "at": at(), "text": text, "debug": debug}));
                return End::Error;
            }
            gst::MessageView::Warning(warning) => {
                let text = warning.error().to_string();
                println!("{}", json!({"type": "warning", "at": at(), "text": text}));
            }
            gst::MessageView::Progress(message) => {
                let (kind, code, text) = message.get();
                let kind = format!("{kind:?}").to_lowercase();
                println!("{}", json!({"type": "progress", "at": at(), "kind": kind, "code": code, "text": text}));
                lock(progress).last_sign_of_life = Instant::now();
            }
            gst::MessageView::Latency(_) => {
                let _ = pipeline.recalculate_latency();
            }
            _ => {}
        }
    }
    End::Hung
}

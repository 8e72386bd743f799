//! One element between two pads of our own: audio in, what it says out, with the time of each arrival.
//!
//! The caller's thread is the streaming thread, so that back-pressure, flushes and jumps happen just when they are
//! asked for. Shared by `bench` and `soak`, neither of which needs all of it.
#![allow(dead_code)]

mod heard;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use e2e_tests::audio::{self, SAMPLE_RATE};
use gst::prelude::*;

pub(crate) use heard::{Kind, Said};

use heard::Heard;

/// Samples in a buffer: 20 ms, as a microphone gives them.
pub(crate) const PACKET: usize = SAMPLE_RATE as usize / 50;
/// Nothing takes longer than this between EOS and its arrival at the other end, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Makes GStreamer and the element known to this process.
pub(crate) fn init() -> Result<()> {
    gst::init()?;
    gstwhispertranscribe::plugin_register_static()?;
    Ok(())
}

/// Where the workspace is.
pub(crate) fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// The bundled model.
pub(crate) fn tiny_en() -> PathBuf {
    workspace().join("models/ggml-tiny.en-q8_0.bin")
}

/// An element that runs.
pub(crate) struct Driver {
    element: gst::Element,
    source: gst::Pad,
    /// Behind the element; nobody else keeps it.
    sink: gst::Pad,
    heard: Arc<Heard>,
    live: bool,
    started: Instant,
    /// Samples of stream time so far, jumps among them.
    position: u64,
    discont: bool,
}

impl Driver {
    /// Starts an element with these properties, in gst-launch's words.
    pub(crate) fn start(properties: &[(&str, &str)], live: bool) -> Result<Self> {
        let element = gst::ElementFactory::make("whispertranscribe").build()?;
        for (name, value) in properties {
            element.set_property_from_str(name, value);
        }
        let heard = Arc::new(Heard::default());
        let bus = gst::Bus::new();
        bus.set_sync_handler({
            let heard = heard.clone();
            move |_, message| {
                if let gst::MessageView::Error(error) = message.view() {
                    heard.fail(format!("{} ({:?})", error.error(), error.debug()));
                }
                gst::BusSyncReply::Drop
            }
        });
        element.set_bus(Some(&bus));

        let source = gst::Pad::builder(gst::PadDirection::Src)
            .query_function(move |pad, parent, query| match query.view_mut() {
                gst::QueryViewMut::Latency(latency) => {
                    latency.set(live, gst::ClockTime::ZERO, gst::ClockTime::NONE);
                    true
                }
                _ => gst::Pad::query_default(pad, parent, query),
            })
            .build();
        let sink = heard.pad();
        source.link(&element.static_pad("sink").context("the element has a sink pad")?)?;
        element.static_pad("src").context("the element has a source pad")?.link(&sink)?;

        let mut driver =
            Self { element, source, sink, heard, live, started: Instant::now(), position: 0, discont: false };
        driver.play()?;
        Ok(driver)
    }

    /// The moment at which the sample at position 0 was due.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Seconds of stream time that were pushed.
    pub(crate) fn seconds(&self) -> f64 {
        audio::seconds(self.position as usize)
    }

    /// The element's property `stats`.
    pub(crate) fn stats(&self) -> gst::Structure {
        self.element.property("stats")
    }

    /// What was heard since the last call.
    pub(crate) fn take(&self) -> Vec<Said> {
        self.heard.take()
    }

    /// Pushes audio in buffers of `packet` samples: at the speed of the clock if live, else as fast as it is taken.
    pub(crate) fn push(&mut self, samples: &[f32], packet: usize) -> Result<()> {
        for packet in samples.chunks(packet.max(1)) {
            if self.live {
                std::thread::sleep(self.due(packet.len()).saturating_sub(self.started.elapsed()));
            }
            self.push_buffer(packet)?;
        }
        Ok(())
    }

    /// Pushes those packets of `signal`, which began at position 0, that a microphone would have by now; false once
    /// all of it is pushed. So one thread can feed many elements.
    pub(crate) fn feed(&mut self, signal: &[f32]) -> Result<bool> {
        while let Some(rest) = signal.get(self.position as usize..).filter(|rest| !rest.is_empty()) {
            let packet = &rest[..rest.len().min(PACKET)];
            if self.due(packet.len()) > self.started.elapsed() {
                return Ok(true);
            }
            self.push_buffer(packet)?;
        }
        Ok(false)
    }

    /// When the next so many samples are due, since the start.
    fn due(&self, samples: usize) -> Duration {
        Duration::from_secs_f64(audio::seconds(self.position as usize + samples))
    }

    fn push_buffer(&mut self, packet: &[f32]) -> Result<()> {
        let mut buffer = buffer(self.position, packet);
        if std::mem::take(&mut self.discont) {
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_flags(gst::BufferFlags::DISCONT);
            }
        }
        self.position += packet.len() as u64;
        self.heard.pushed(self.seconds());
        if let Err(flow) = self.source.push(buffer) {
            bail!("the element takes no more audio: {flow:?} {}", self.heard.error().unwrap_or_default());
        }
        Ok(())
    }

    /// Lets so many seconds of stream time go by without audio; the next buffer is marked as discontinuous.
    pub(crate) fn jump(&mut self, seconds: f64) {
        self.position += audio::samples(seconds) as u64;
        self.discont = true;
    }

    /// A flush, as a seek makes one; stream time starts again.
    pub(crate) fn flush(&mut self) {
        self.source.push_event(gst::event::FlushStart::new());
        self.source.push_event(gst::event::FlushStop::builder(true).build());
        self.heard.flushed();
        self.segment();
    }

    /// Sends EOS and waits until it comes out behind everything else.
    pub(crate) fn drain(&mut self) -> Result<()> {
        self.end();
        self.heard.wait_for_eos(PATIENCE)
    }

    /// Sends EOS.
    pub(crate) fn end(&self) {
        self.source.push_event(gst::event::Eos::new());
    }

    /// Whether EOS has come out; an error of the element is one here.
    pub(crate) fn ended(&self) -> Result<bool> {
        self.heard.ended()
    }

    /// READY and PLAYING again: all that is pending is gone.
    pub(crate) fn cycle(&mut self) -> Result<()> {
        self.stop()?;
        self.heard.flushed();
        self.play()
    }

    fn stop(&self) -> Result<()> {
        let _ = self.element.set_state(gst::State::Ready)?;
        Ok(())
    }

    fn play(&mut self) -> Result<()> {
        let clock = gst::SystemClock::obtain();
        self.element.set_clock(Some(&clock))?;
        self.element.set_base_time(clock.time());
        for pad in [&self.sink, &self.source] {
            pad.set_active(false)?;
            pad.set_active(true)?;
        }
        self.element.set_state(gst::State::Playing)?;
        self.source.push_event(gst::event::StreamStart::new("audio"));
        let caps = gst::Caps::builder("audio/x-raw")
            .field("format", "F32LE")
            .field("layout", "interleaved")
            .field("rate", SAMPLE_RATE as i32)
            .field("channels", 1_i32)
            .build();
        self.source.push_event(gst::event::Caps::new(&caps));
        self.segment();
        Ok(())
    }

    fn segment(&mut self) {
        self.source.push_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
        self.started = Instant::now();
        self.position = 0;
        self.heard.pushed(0.0);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.element.set_state(gst::State::Null);
        for pad in [&self.sink, &self.source] {
            let _ = pad.set_active(false);
        }
    }
}

/// What a microphone gives at this position.
pub(crate) fn buffer(position: u64, packet: &[f32]) -> gst::Buffer {
    let (from, to) = (clock_time(position), clock_time(position + packet.len() as u64));
    let mut buffer = gst::Buffer::from_mut_slice(bytes(packet));
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(from);
        buffer.set_duration(to - from);
    }
    buffer
}

fn bytes(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn clock_time(position: u64) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(position * 1_000_000_000 / u64::from(SAMPLE_RATE))
}

//! Runs the element on a signal and collects everything that comes out.

pub mod feed;
pub mod heard;

use std::sync::Once;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_check::Harness;

pub use feed::{Feed, Format};
pub use heard::{Heard, Text};

/// Longest that a test waits for the element.
const PATIENCE: Duration = Duration::from_secs(300);

/// Initialises GStreamer and registers the element; warnings of GLib end the test.
pub fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        if std::env::var_os("G_DEBUG").is_none() {
            std::env::set_var("G_DEBUG", "fatal_warnings");
        }
        gst::init().unwrap();
        gstwhispertranscribe::plugin_register_static().unwrap();
    });
}

/// An element in a harness with a bus of its own.
pub struct Rig {
    pub harness: Harness,
    pub bus: gst::Bus,
    pub heard: Heard,
}

impl Rig {
    /// A rig for audio of `feed`'s format, playing. `properties` are as in a launch line.
    pub fn new(feed: &Feed, properties: &str) -> Self {
        Self::with_output(feed, properties, "text/x-raw, format=utf8")
    }

    /// The same with downstream caps.
    pub fn with_output(feed: &Feed, properties: &str, output: &str) -> Self {
        init();
        let element = gst::parse::launch(&format!("whispertranscribe {properties}")).unwrap();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        harness.set_live(feed.live);
        harness.set_sink_caps_str(output);
        harness.play();
        harness.set_src_caps(feed.caps());
        Self { harness, bus, heard: Heard::default() }
    }

    /// The element.
    pub fn element(&self) -> gst::Element {
        self.harness.element().unwrap()
    }

    /// Pushes mono 16 kHz audio in the feed's format; the first sample has timestamp `at`.
    pub fn push(&mut self, feed: &Feed, audio: &[f32], at: gst::ClockTime) {
        for buffer in feed.buffers(audio, at) {
            self.harness.push(buffer).unwrap();
            self.collect();
        }
    }

    /// Sends EOS and waits for it to come out.
    pub fn finish(&mut self) {
        assert!(self.harness.push_event(gst::event::Eos::new()));
        self.wait("the end of stream", |heard| heard.eos);
    }

    /// Collects until `done` holds.
    pub fn wait(&mut self, what: &str, done: impl Fn(&Heard) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.collect();
            if done(&self.heard) {
                return;
            }
            if let Some(error) = self.heard.errors.first() {
                panic!("an error while waiting for {what}: {error}");
            }
            assert!(Instant::now() < deadline, "{what} did not come; heard so far: {:#?}", self.heard);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Takes what has come out so far.
    pub fn collect(&mut self) {
        while let Some(message) = self.bus.pop() {
            self.heard.message(&message);
        }
        // An event comes before the buffers that were pushed after it, but for their order among each other the
        // timestamps tell.
        while let Some(event) = self.harness.try_pull_event() {
            self.heard.event(event);
        }
        while self.harness.buffers_in_queue() > 0 {
            let buffer = self.harness.pull().unwrap();
            self.heard.buffer(&buffer);
        }
    }
}

/// The whole of a signal through a fresh element.
pub fn transcribe(audio: &[f32], feed: &Feed, properties: &str) -> Heard {
    let mut rig = Rig::new(feed, properties);
    rig.push(feed, audio, gst::ClockTime::ZERO);
    rig.finish();
    std::mem::take(&mut rig.heard)
}

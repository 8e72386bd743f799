//! The engines' own log as a GStreamer debug category: lines in, `GST_DEBUG=whisper.cpp:LEVEL` shows them.

use std::sync::LazyLock;

use transcribe_core::engine::log::{observe, Level};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("whisper.cpp", gst::DebugColorFlags::empty(), Some("Log of the engine whisper.cpp"))
});

/// Has the lines shown from now on.
pub(crate) fn show() {
    LazyLock::force(&CAT); // so that it is in gst-launch-1.0 --gst-debug-help
    observe(|level, line| {
        let level = match level {
            Level::Error => gst::DebugLevel::Error,
            Level::Warning => gst::DebugLevel::Warning,
            Level::Info => gst::DebugLevel::Info,
            Level::Debug => gst::DebugLevel::Debug,
        };
        gst::log_with_level!(CAT, level, "{line}");
    });
}

//! GStreamer plugin `whispertranscribe`: the element of the same name, see [`transcribe`].

mod engine_log;
pub mod transcribe;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    engine_log::show();
    // Plugins are mostly loaded before there are threads that read the environment.
    transcribe_core::vad::library::disable_telemetry();
    transcribe::register(plugin)
}

pub use plugin::{plugin_desc, plugin_register_static};

mod plugin {
    // The macro's functions are GStreamer's entry points; its docs tell of them.
    #![allow(missing_docs)]

    use super::plugin_init;

    gst::plugin_define!(
        whispertranscribe,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        "MPL",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        "Unknown package origin",
        env!("BUILD_REL_DATE")
    );
}

//! GStreamer plugin `whispertranscribe`: the element of the same name, see [`transcribe`].

pub mod transcribe;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    transcribe::register(plugin)
}

gst::plugin_define!(
    whispertranscribe,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
    "MPL",
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_REPOSITORY"),
    env!("BUILD_REL_DATE")
);

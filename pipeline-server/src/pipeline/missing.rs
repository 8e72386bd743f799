//! GStreamer plugins that are not installed: what is missing in words, and the Debian package that has it.

use std::fmt;

/// Something that no installed plugin does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MissingPlugin {
    what: String,
    package: &'static str,
}

impl MissingPlugin {
    /// An element by its name.
    pub(crate) fn element(factory: &str) -> Self {
        Self { what: format!("the element {factory}"), package: package_of_element(factory) }
    }

    /// From the `missing-plugin` message that decodebin and its like post.
    pub(crate) fn from_structure(structure: &gst::StructureRef) -> Option<Self> {
        if structure.name() != "missing-plugin" {
            return None;
        }
        let name = structure.get::<&str>("name").unwrap_or("a plugin");
        let package = match structure.get::<&str>("type").ok()? {
            "decoder" | "encoder" => package_of_caps(&structure.get::<gst::Caps>("detail").ok()?),
            "urisource" => package_of_protocol(structure.get::<&str>("detail").ok()?),
            _ => package_of_element(structure.get::<&str>("detail").ok()?),
        };
        Some(Self { what: name.to_owned(), package })
    }
}

impl fmt::Display for MissingPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, package } = self;
        write!(f, "GStreamer lacks {what}: install the plugins that have it (on Debian: apt-get install {package})")
    }
}

fn package_of_caps(caps: &gst::Caps) -> &'static str {
    let Some(format) = caps.structure(0) else { return "gstreamer1.0-libav" };
    match format.name().as_str() {
        "audio/mpeg" => match format.get::<i32>("mpegversion") {
            Ok(1) => "gstreamer1.0-plugins-good",
            _ => "gstreamer1.0-plugins-bad",
        },
        "audio/x-opus" | "audio/x-vorbis" | "application/ogg" => "gstreamer1.0-plugins-base",
        "audio/x-flac" | "audio/x-wav" | "audio/x-mulaw" | "audio/x-alaw" | "audio/x-speex" | "audio/x-wavpack"
        | "audio/x-au" | "video/quicktime" | "video/x-matroska" | "audio/x-matroska" | "video/webm" | "audio/webm"
        | "video/x-msvideo" | "video/x-flv" | "application/x-rtp" => "gstreamer1.0-plugins-good",
        "video/mpegts"
        | "audio/x-gsm"
        | "audio/G722"
        | "audio/x-mod"
        | "application/x-hls"
        | "application/dash+xml"
        | "application/mxf" => "gstreamer1.0-plugins-bad",
        "audio/AMR" | "audio/AMR-WB" | "video/x-ms-asf" => "gstreamer1.0-plugins-ugly",
        _ => "gstreamer1.0-libav",
    }
}

fn package_of_protocol(protocol: &str) -> &'static str {
    match protocol {
        "srt" | "rtmp" | "rtmps" | "rist" => "gstreamer1.0-plugins-bad",
        _ => "gstreamer1.0-plugins-good",
    }
}

fn package_of_element(factory: &str) -> &'static str {
    match factory {
        "fdsrc" | "fakesink" | "clocksync" => "libgstreamer1.0-0",
        "decodebin" | "uridecodebin" => "gstreamer1.0-plugins-base",
        _ => "gstreamer1.0-plugins-bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(caps: gst::Caps) -> String {
        let message = gst::Structure::builder("missing-plugin")
            .field("type", "decoder")
            .field("detail", caps)
            .field("name", "a decoder")
            .build();
        MissingPlugin::from_structure(&message).unwrap().to_string()
    }

    #[test]
    fn the_package_to_install_is_named() {
        gst::init().unwrap();
        let aac = gst::Caps::builder("audio/mpeg").field("mpegversion", 4i32).build();
        assert!(decoder(aac).ends_with("apt-get install gstreamer1.0-plugins-bad)"));
        let ac3 = gst::Caps::builder("audio/x-ac3").build();
        assert!(decoder(ac3).ends_with("apt-get install gstreamer1.0-libav)"));
        let mp3 = gst::Caps::builder("audio/mpeg").field("mpegversion", 1i32).build();
        assert!(decoder(mp3).ends_with("apt-get install gstreamer1.0-plugins-good)"));
        assert!(MissingPlugin::element("decodebin").to_string().contains("gstreamer1.0-plugins-base"));
    }

    #[test]
    fn other_messages_are_none_of_its_business() {
        gst::init().unwrap();
        assert_eq!(MissingPlugin::from_structure(&gst::Structure::new_empty("level")), None);
    }
}

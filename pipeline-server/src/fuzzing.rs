//! What the fuzz targets run: whatever a client or Twilio may send over a WebSocket, or a caller by SIP, up to where it goes into a
//! pipeline.

use std::io::{self, Cursor, Read, Write};
use std::sync::LazyLock;

use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use crate::protocol::control::{Configure, Control};
pub use crate::sources::sip::fuzzing::sip;
pub use crate::sources::twilio::fuzzing::twilio;
pub use crate::sources::websocket::fuzzing::websocket;
pub use crate::sources::whip::fuzzing::whip;

/// Bytes of a message at most.
const LARGEST: usize = 1 << 16;

/// A text message. What is understood means the same when it is written and read again, and its settings are taken or
/// refused by the element.
#[allow(clippy::expect_used)]
pub fn control(input: &[u8]) {
    let Ok(control) = serde_json::from_slice::<Control>(input) else { return };
    let written = serde_json::to_string(&control).expect("plain structs");
    assert_eq!(serde_json::from_str::<Control>(&written).expect("it was read before"), control);
    if let Control::Configure(configure) = control {
        apply(&configure);
    }
}

/// Has the element take or refuse what a client asks for.
#[allow(clippy::expect_used)]
pub(crate) fn apply(configure: &Configure) {
    static ELEMENT: LazyLock<gst::Element> = LazyLock::new(|| {
        gst::init().expect("GStreamer");
        gstwhispertranscribe::plugin_register_static().expect("the plugin");
        gst::ElementFactory::make("whispertranscribe").build().expect("the element")
    });
    // Here for everybody: what follows makes caps, for which GStreamer has to be there.
    let element = &*ELEMENT;
    for (name, setting) in configure.properties().unwrap_or_default() {
        let _ = setting.apply(element, name);
    }
}

/// The messages in the bytes of a connection, until one is broken.
pub(crate) fn messages(bytes: &[u8]) -> impl Iterator<Item = Message> + '_ {
    let limits = WebSocketConfig::default()
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST))
        // A mask would hide what is in a frame from the fuzzer.
        .accept_unmasked_frames(true);
    let mut socket = WebSocket::from_raw_socket(Connection(Cursor::new(bytes)), Role::Server, Some(limits));
    std::iter::from_fn(move || socket.read().ok())
}

/// Bytes from a client; what goes to the client is thrown away.
struct Connection<'a>(Cursor<&'a [u8]>);

impl Read for Connection<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Connection<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

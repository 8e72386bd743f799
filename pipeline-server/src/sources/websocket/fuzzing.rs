//! What the fuzz target of the WebSocket runs.

use axum::extract::Query;
use axum::http::Uri;
use tungstenite::Message;

use super::audio::Wire;
use super::params::Params;
use crate::fuzzing;

/// A connection: the address's query up to the first line end, then frames. Messages that are taken for raw audio are whole
/// frames, and their times go on from one to the next.
#[allow(clippy::expect_used)]
pub fn websocket(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (query, frames) = input.split_at(end);
    let Ok(query) = std::str::from_utf8(query) else { return };
    let Ok(uri) = format!("/ws/transcribe?{query}").parse::<Uri>() else { return };
    let Ok(Query(params)) = Query::<Params>::try_from_uri(&uri) else { return };
    let (Ok(wire), Ok(tracks)) = (params.wire(), params.tracks()) else { return };
    assert!(!tracks.is_empty());
    fuzzing::apply(&params.configure());

    let (mut taken, mut total) = (0, 0);
    for message in fuzzing::messages(frames.strip_prefix(b"\n").unwrap_or_default()) {
        match message {
            Message::Binary(bytes) if wire.check(&bytes).is_ok() => {
                total += bytes.len();
                let Wire::Raw(format) = wire else { continue };
                let start = format.time(taken);
                taken += (bytes.len() / format.frame()) as u64;
                assert!(format.time(taken) >= start);
            }
            Message::Text(text) => fuzzing::control(text.as_bytes()),
            _ => {}
        }
    }
    if let Wire::Raw(format) = wire {
        assert_eq!(taken * format.frame() as u64, total as u64);
        format.caps();
    }
}

//! WebRTC by WHIP: a browser, GStreamer's `webrtcbin`, and a client of our own that can do what those can't be brought to.

mod browser;
mod gstreamer;
mod ice;
mod many;
mod refusals;
mod sessions;

use e2e_tests::clips::Composition;
use e2e_tests::wer::word_errors;

use crate::support::client::{f32le, Client};
use crate::support::server::Server;
use crate::support::verdict::text;

/// Seconds of silence in front of what is said: the detector's frames are of 32 ms, and begin elsewhere in it each time.
const LEADS: [f64; 4] = [0.0, 0.008, 0.016, 0.024];

/// How many there are, in `/metrics`.
const SESSIONS: &str = "pipeline_server_sessions{source=\"whip\"}";

/// Why they ended, in `/metrics`.
fn closed(reason: &str) -> String {
    format!("pipeline_server_sessions_closed_total{{source=\"whip\",reason=\"{reason}\"}}")
}

/// The most words that are wrong over a WebSocket, percent. What a model makes of the same words depends on where they are
/// cut: in sixteen places, 1.6 to 5.5 % of those of [`Composition::long`] were wrong. A WebRTC client's audio begins anywhere.
async fn wrong_over_websocket(server: &Server, said: &Composition) -> f64 {
    let mut most = 0.0;
    for lead in LEADS {
        let audio = Composition::new().silence(lead).sound(&said.samples).samples;
        let heard = text(&Client::connect(server, "").await.transcribe(f32le(&audio)).await);
        most = word_errors(&said.text(), &heard).percent().max(most);
    }
    most
}

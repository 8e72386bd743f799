//! WebRTC by WHIP: a browser, GStreamer's `webrtcbin`, and a client of our own that can do what those can't be brought to.

mod browser;
mod gstreamer;
mod ice;
mod many;
mod refusals;
mod sessions;

/// How many there are, in `/metrics`.
const SESSIONS: &str = "pipeline_server_sessions{source=\"whip\"}";

/// Why they ended, in `/metrics`.
fn closed(reason: &str) -> String {
    format!("pipeline_server_sessions_closed_total{{source=\"whip\",reason=\"{reason}\"}}")
}

//! How calls end that do not end with `stop`, and what is left of them.

use e2e_tests::clips::{named, Composition};
use serde_json::{json, Value};

use super::peer::{frames, one, seconds, watch, Stream};
use crate::support::client::Receiver;
use crate::support::http::{metric_becomes, nobody_is_left};
use crate::support::server::Server;
use crate::support::verdict::words_are_right;

const ERRORS: f64 = 15.0;

/// Somebody who is cut off in the last word.
fn cut_off() -> Composition {
    let clip = named("librivox-sense-0920");
    Composition::new().sound(&clip.samples[..(clip.speech.end * 16_000.0) as usize])
}

async fn speaking(server: &Server) -> (Stream, Receiver) {
    let mut stream = Stream::begin(server, &["inbound"], json!({})).await;
    let log = watch(server).await;
    stream.play(&frames("inbound", 0, &cut_off())).await;
    (stream, log)
}

fn assert_ends(messages: &[Value], call: &str, session: &str) {
    words_are_right(&named("librivox-sense-0920").text, messages, ERRORS);
    assert_eq!(one(messages, "call_end")["reason"], call);
    let closed = messages.last().unwrap();
    assert_eq!((&closed["reason"], &closed["complete"]), (&json!(session), &json!(true)));
}

#[tokio::test]
async fn when_the_connection_breaks_off_what_was_said_is_heard() {
    let server = Server::start(&["--max-sessions", "2"]);
    for _ in 0..3 {
        let (stream, mut log) = speaking(&server).await;
        stream.vanish();
        assert_ends(&log.rest().await, "failed", "client_gone");
        nobody_is_left(&server).await;
    }
    // And there is a place.
    let (stream, _log) = speaking(&server).await;
    stream.stop().await;
}

#[tokio::test]
async fn a_signal_lets_calls_finish() {
    let server = Server::start(&[]);
    let (stream, mut log) = speaking(&server).await;
    let audio = "pipeline_server_audio_seconds_total{source=\"twilio\"}";
    metric_becomes(&server, audio, seconds(&frames("inbound", 0, &cut_off()))).await;
    server.signal(libc::SIGTERM);
    let close = stream.end().await;
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1001, "shutdown"));
    assert_ends(&log.rest().await, "local_hangup", "shutdown");
    let ended = server.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("ERROR") && !ended.stderr.contains("WARN"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_call_without_signs_of_life_and_one_that_is_too_long_are_ended() {
    for (setting, call, reason) in
        [("--idle-timeout", "media_timeout", "idle_timeout"), ("--max-duration", "local_hangup", "max_duration")]
    {
        let server = Server::start(&[setting, "3"]);
        let (stream, mut log) = speaking(&server).await;
        let close = stream.end().await;
        assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, reason));
        assert_ends(&log.rest().await, call, reason);
    }
}

#[tokio::test]
async fn a_call_takes_as_many_places_as_it_has_tracks() {
    let server = Server::start(&["--max-sessions", "3"]);
    let both = Stream::begin(&server, &["inbound", "outbound"], json!({})).await;
    let refusal = Stream::refusal(&server, &[]).await;
    refusal.problem("too-many-sessions", 503);
    watch(&server).await;
    drop(both);
    nobody_is_left(&server).await;
    // One track gives the place of the other back.
    let one = Stream::begin(&server, &["inbound"], json!({})).await;
    watch(&server).await;
    let two = Stream::request(&server, &[]).await.unwrap();
    Stream::refusal(&server, &[]).await.problem("too-many-sessions", 503);
    drop((one, two));
}

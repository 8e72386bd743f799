//! `multichannel=true`: a transcript for each channel.

use e2e_tests::audio::{interleave, write_wav, SAMPLE_RATE};
use e2e_tests::clips::{named, Composition};
use serde_json::Value;

use crate::support::client::{f32le, Client};
use crate::support::http::{metric_becomes, Response};
use crate::support::server::Server;
use crate::support::verdict::{finals, words_are_right};

/// Two people who take turns, and begin before the other has ended.
fn dialogue() -> (Composition, Composition, Vec<f32>) {
    let left = Composition::new()
        .silence(0.5)
        .clip(named("librivox-sense-0920"))
        .silence(6.0)
        .clip(named("librivox-sense-0930"))
        .silence(1.0);
    let right = Composition::new().silence(5.0).clip(named("librivox-sense-0870")).silence(1.0);
    let length = left.samples.len().max(right.samples.len());
    let padded = |signal: &Composition| {
        let mut samples = signal.samples.clone();
        samples.resize(length, 0.0);
        samples
    };
    let both = interleave(&[&padded(&left), &padded(&right)]);
    (left, right, both)
}

fn of_channel(messages: &[Value], channel: u64) -> Vec<Value> {
    messages.iter().filter(|m| m["channel"] == channel).cloned().collect()
}

fn check(left: &Composition, right: &Composition, messages: &[Value]) {
    words_are_right(&left.text(), &of_channel(messages, 0), 5.0);
    words_are_right(&right.text(), &of_channel(messages, 1), 15.0);
    let starts: Vec<f64> = finals(messages).iter().map(|m| m["start"].as_f64().unwrap()).collect();
    assert!(starts.windows(2).all(|pair| pair[0] <= pair[1]), "not in the order of speech: {starts:?}");
    let channels: Vec<u64> = finals(messages).iter().map(|m| m["channel"].as_u64().unwrap()).collect();
    assert!(channels.windows(2).filter(|pair| pair[0] != pair[1]).count() >= 2, "no turns: {channels:?}");
    assert!(messages.iter().filter(|m| !m["utterance"].is_null()).all(|m| m["channel"].is_u64()));
}

#[tokio::test]
async fn each_channel_has_its_transcript_and_all_are_in_the_order_of_speech() {
    let server = Server::start(&[]);
    let (left, right, both) = dialogue();
    let client = Client::connect(&server, "channels=2&multichannel=true").await;
    let messages = client.transcribe(f32le(&both)).await;
    check(&left, &right, &messages);
    let seconds = messages.last().unwrap()["totals"]["audio_seconds"].as_f64().unwrap();
    assert!((seconds - both.len() as f64 / 32_000.0).abs() < 0.001, "{seconds}");
}

#[tokio::test]
async fn channels_of_a_file_are_told_apart_too() {
    let server = Server::start(&[]);
    let (left, right, both) = dialogue();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dialogue.wav");
    write_wav(&path, &both, SAMPLE_RATE, 2).unwrap();
    let pieces = std::fs::read(path).unwrap().chunks(10_007).map(<[u8]>::to_vec).collect();
    let client = Client::connect(&server, "encoding=auto&channels=2&multichannel=true").await;
    check(&left, &right, &client.transcribe(pieces).await);
}

#[tokio::test]
async fn a_channel_takes_the_place_of_a_session() {
    let server = Server::start(&["--max-sessions", "3"]);
    let two = Client::connect(&server, "channels=2&multichannel=true").await;
    let Err(error) = Client::request(&server, "channels=2&multichannel=true").await else { panic!("too many") };
    Response::refusal(error).problem("too-many-sessions", 503);
    let one = Client::connect(&server, "").await;
    drop((one, two));
    metric_becomes(&server, "pipeline_server_sessions{source=\"websocket\"}", 0.0).await;
}

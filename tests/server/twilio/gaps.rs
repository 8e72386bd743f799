//! Tracks from which nothing comes: nobody is dialled yet, the call is on hold, frames are missing.

use e2e_tests::clips::{named, Composition};
use serde_json::json;

use super::peer::{frames, of_party, watch, Stream};
use crate::support::server::Server;
use crate::support::verdict::{finals, times_are_right, words_are_right};

const ERRORS: f64 = 15.0;

#[tokio::test]
async fn a_track_without_media_holds_nobody_up() {
    let server = Server::start(&[]);
    let said = Composition::new().silence(0.5).clip(named("librivox-sense-0920")).silence(2.0);
    let mut stream = Stream::begin(&server, &["inbound", "outbound"], json!({})).await;
    let mut log = watch(&server).await;
    // Nobody is dialled: of the outbound track nothing comes.
    stream.play(&frames("inbound", 0, &said)).await;
    let last = log.next_of("final").await;
    words_are_right(&said.text(), &[last], ERRORS);
    stream.stop().await;
    assert!(finals(&log.rest().await).is_empty());
}

#[tokio::test]
async fn when_nothing_comes_at_all_what_was_said_gets_its_finals() {
    let server = Server::start(&[]);
    // Both are cut off in their last word, as somebody puts the call on hold.
    let clip = named("librivox-sense-0920");
    let spoken = (clip.speech.end * 16_000.0) as usize;
    let caller = Composition::new().sound(&clip.samples[..spoken]);
    let other = named("librivox-sense-0930");
    let called = Composition::new().sound(&other.samples[..(other.speech.end * 16_000.0) as usize]);
    let mut stream = Stream::begin(&server, &["inbound", "outbound"], json!({})).await;
    let mut log = watch(&server).await;
    stream.play(&frames("inbound", 0, &caller)).await;
    stream.play(&frames("outbound", 0, &called)).await;
    let mut said = Vec::new();
    // No more media, and no stop: that nothing comes has to be enough.
    while of_party(&said, "inbound").is_empty() || of_party(&said, "outbound").is_empty() {
        said.push(log.next_of("final").await);
    }
    words_are_right(&clip.text, &of_party(&said, "inbound"), ERRORS);
    words_are_right(&other.text, &of_party(&said, "outbound"), ERRORS);

    // An hour later the call goes on where its timestamps say.
    let hour = Composition::new().silence(0.2).clip(clip).silence(1.0);
    stream.play(&frames("inbound", 3_600_000, &hour)).await;
    let mut again = log.next_of("final").await;
    words_are_right(&clip.text, std::slice::from_ref(&again), ERRORS);
    for field in ["start", "end"] {
        again[field] = (again[field].as_f64().unwrap() - 3_600.0).into();
    }
    again["words"] = json!([]);
    times_are_right(&hour, &[again]);
    stream.stop().await;
    assert!(finals(&log.rest().await).is_empty());
}

#[tokio::test]
async fn where_frames_are_missing_times_are_right_behind_it() {
    let server = Server::start(&[]);
    let clip = named("librivox-sense-0920");
    let said = Composition::new().silence(0.5).clip(clip).silence(4.0).clip(clip).silence(1.0);
    let pause = 600 + (clip.seconds() * 1_000.0) as u64..(clip.seconds() * 1_000.0) as u64 + 4_400;
    let mut sent = frames("inbound", 0, &said);
    let all = sent.len();
    sent.retain(|frame| !pause.contains(&frame.at));
    assert!(all - sent.len() > 150, "nothing is missing");
    let mut stream = Stream::begin(&server, &["inbound"], json!({})).await;
    let mut log = watch(&server).await;
    stream.play(&sent).await;
    stream.stop().await;
    let messages = log.rest().await;
    words_are_right(&said.text(), &messages, ERRORS);
    times_are_right(&said, &messages);
}

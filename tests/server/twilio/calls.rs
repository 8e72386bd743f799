//! What is said in a call: both parties, in order, with their times, and what else happens.

use std::process::Stdio;

use e2e_tests::clips::{named, Composition};
use e2e_tests::wer::word_errors;
use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::peer::{frames, of_party, one, together, view, watch, Stream, CALL};
use crate::support::http::{metric, nobody_is_left};
use crate::support::server::Server;
use crate::support::verdict::{finals, times_are_right, words_are_right};
use crate::support::{within, workspace};

/// Percent of the words that may be wrong over a telephone line.
const ERRORS: f64 = 15.0;

/// A caller and who is called: they take turns, and one begins before the other has ended.
fn dialogue() -> (Composition, Composition) {
    let caller = Composition::new()
        .silence(0.5)
        .clip(named("librivox-sense-0920"))
        .silence(6.0)
        .clip(named("librivox-sense-0930"))
        .silence(1.0);
    let called = Composition::new().silence(5.0).clip(named("librivox-sense-0870")).silence(1.0);
    (caller, called)
}

fn assert_is_in_order(messages: &[Value]) {
    let starts: Vec<f64> = finals(messages).iter().map(|m| m["start"].as_f64().unwrap()).collect();
    assert!(starts.windows(2).all(|pair| pair[0] <= pair[1]), "not in the order of speech: {starts:?}");
}

#[tokio::test]
async fn both_parties_have_their_transcripts_in_the_order_of_speech() {
    let server = Server::start(&[]);
    let (caller, called) = dialogue();
    let all = together([frames("inbound", 0, &caller), frames("outbound", 0, &called)]);
    let parameters = json!({ "from": "+15005550006", "to": "+15005550009", "Campaign": "spring" });
    let mut stream = Stream::begin(&server, &["inbound", "outbound"], parameters.clone()).await;
    let listed = view(&server).await;
    assert_eq!((&listed["source"], &listed["call"]["call_id"]), (&json!("twilio"), &json!(CALL)));
    let mut log = watch(&server).await;
    let (before, behind) = all.split_at(all.len() / 2);
    // A burst: all that was said in half a minute in one go.
    stream.play(before).await;
    stream.send("dtmf", json!({ "track": "inbound_track", "digit": "5" })).await;
    stream.send("mark", json!({ "name": "my label" })).await;
    stream.send("news", json!({ "of": "Twilio" })).await;
    stream.play(behind).await;
    let close = stream.stop().await;
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1000, "client_closed"));

    let messages = log.rest().await;
    let call = &messages[0];
    assert_eq!(
        call,
        &json!({
            "type": "call_start", "seq": 1, "call_id": CALL, "from": "+15005550006", "to": "+15005550009",
            "codec": "PCMU", "parties": ["inbound", "outbound"], "parameters": parameters,
        })
    );
    for (said, party, channel) in [(&caller, "inbound", 0), (&called, "outbound", 1)] {
        let messages = of_party(&messages, party);
        assert!(messages.iter().all(|message| message["channel"] == channel));
        words_are_right(&said.text(), &messages, ERRORS);
        times_are_right(said, &messages);
    }
    assert_is_in_order(&messages);
    let parties: Vec<&Value> = finals(&messages).iter().map(|last| &last["party"]).collect();
    assert!(parties.windows(2).filter(|pair| pair[0] != pair[1]).count() >= 2, "no turns: {parties:?}");
    let key = one(&messages, "dtmf");
    assert_eq!((&key["party"], &key["digit"]), (&json!("inbound"), &json!("5")));
    assert_eq!(one(&messages, "call_end")["reason"], "remote_hangup");
    assert!(!messages.iter().any(|message| message["type"] == "error"), "{messages:#?}");
    let closed = one(&messages, "closed");
    assert_eq!((&closed["reason"], &closed["complete"]), (&json!("client_closed"), &json!(true)));
    let seconds = closed["totals"]["audio_seconds"].as_f64().unwrap();
    let longest = caller.seconds().max(called.seconds());
    assert!((seconds - longest).abs() < 0.05, "{seconds} of {longest}: something was lost");
    nobody_is_left(&server).await;
    assert_eq!(metric(&server, "pipeline_server_sessions{source=\"twilio\"}").await, 0.0);
}

#[tokio::test]
async fn at_the_pace_of_speech_it_is_the_same() {
    let server = Server::start(&[]);
    let caller = Composition::new().silence(0.3).clip(named("librivox-sense-0920")).silence(0.5);
    let called = Composition::new().clip(named("librivox-sense-0930")).silence(0.7);
    // Nobody was dialled until then: the track begins late, and its times tell.
    let late = 3_000;
    let mut stream = Stream::begin(&server, &["inbound", "outbound"], json!({})).await;
    let mut log = watch(&server).await;
    stream.speak(&together([frames("inbound", 0, &caller), frames("outbound", late, &called)])).await;
    stream.stop().await;
    let messages = log.rest().await;
    words_are_right(&caller.text(), &of_party(&messages, "inbound"), ERRORS);
    times_are_right(&caller, &of_party(&messages, "inbound"));
    words_are_right(&called.text(), &of_party(&messages, "outbound"), ERRORS);
    times_are_right(
        &Composition::new().silence(3.0).clip(named("librivox-sense-0930")),
        &of_party(&messages, "outbound"),
    );
    assert_is_in_order(&messages);
    assert!(messages.iter().any(|message| message["type"] == "partial"), "nothing is told before the finals");
}

#[tokio::test]
async fn frames_that_are_mixed_up_on_the_way_are_put_in_order() {
    let server = Server::start(&[]);
    let said = Composition::new().silence(0.5).clip(named("librivox-sense-0920")).silence(0.5);
    let mut stream = Stream::begin(&server, &["inbound"], json!({})).await;
    let mut log = watch(&server).await;
    stream.play_mixed_up(&frames("inbound", 0, &said), 8).await;
    stream.stop().await;
    let messages = log.rest().await;
    words_are_right(&said.text(), &messages, ERRORS);
    times_are_right(&said, &messages);
    let party = &finals(&messages)[0]["party"];
    assert_eq!((party, &messages[0]["parties"]), (&json!("inbound"), &json!(["inbound"])));
    assert!(messages.iter().all(|message| message["channel"].is_null()), "there is only one");
}

#[tokio::test]
async fn a_call_may_say_how_it_is_to_be_heard() {
    let server = Server::start(&[]);
    let said = Composition::new().silence(0.5).clip(named("librivox-sense-0920")).silence(0.5);
    let parameters =
        json!({ "partials": "none", "initial_prompt": "Sense and Sensibility.", "min_silence_ms": "soon" });
    let mut stream = Stream::begin(&server, &["inbound"], parameters).await;
    let mut log = watch(&server).await;
    stream.speak(&frames("inbound", 0, &said)).await;
    stream.stop().await;
    let messages = log.rest().await;
    words_are_right(&said.text(), &messages, ERRORS);
    assert!(!messages.iter().any(|message| message["type"] == "partial"), "{messages:#?}");
    // What can't be set is told, and the call is heard all the same.
    let error = one(&messages, "error");
    assert_eq!(
        (&error["problem"]["type"], &error["fatal"]),
        (&json!("urn:pipeline-server:problem:invalid-setting"), &json!(false))
    );
    assert!(error["problem"]["detail"].as_str().unwrap().contains("min_silence_ms"), "{error}");
}

#[tokio::test]
async fn the_example_shows_who_says_what() {
    let server = Server::start(&[]);
    let (caller, called) = dialogue();
    let all = together([frames("inbound", 0, &caller), frames("outbound", 0, &called)]);
    let mut stream = Stream::begin(&server, &["inbound", "outbound"], json!({})).await;
    view(&server).await;
    let mut watching = Command::new("examples/twilio/watch.sh")
        .args([CALL, &format!("http://{}", server.address)])
        .current_dir(workspace())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let (before, behind) = all.split_at(all.len() / 2);
    stream.play(before).await;
    let first = within("a line", lines.next_line()).await.unwrap();
    stream.play(behind).await;
    stream.stop().await;
    let mut shown = vec![first.expect("the script ended")];
    while let Some(line) = within("a line", lines.next_line()).await.unwrap() {
        shown.push(line);
    }
    assert!(within("the script", watching.wait()).await.unwrap().success());
    for (party, said) in [("inbound", &caller), ("outbound", &called)] {
        let lines = shown.iter().filter_map(|line| line.strip_prefix(party)?.strip_prefix(':'));
        let errors = word_errors(&said.text(), &lines.collect::<Vec<_>>().join(" "));
        assert!(errors.percent() <= ERRORS, "{party}: {errors}");
    }
}

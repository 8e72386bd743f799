//! A session's life: words over the data channel and to subscribers, messages both ways, and how it ends.

use std::time::{Duration, Instant};

use e2e_tests::clips::named;
use serde_json::json;

use crate::support::events::Events;
use crate::support::http::{metric, metric_becomes, request};
use crate::support::publisher::Publisher;
use crate::support::server::Server;
use crate::support::verdict::{text, words_are_right};
use crate::support::within;
use crate::transcripts::two_sentences;
use crate::whip::{closed, SESSIONS};

/// What telephone audio may have of errors.
const TELEPHONE: f64 = 15.0;

/// Waits until a publication is not there any more.
async fn is_forgotten(server: &Server, location: &str) {
    within("the publication going", async {
        while request(server, "DELETE", location).await.status != 404 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn words_come_over_the_data_channel_and_to_subscribers() {
    let server = Server::start(&[]);
    let said = two_sentences();
    let mut publisher = Publisher::publish(&server, true).await;
    let link = publisher.answer.headers["link"].clone();
    let events = link.strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
    let events = Events::request(&server, &events, "").await;
    publisher.connect().await;
    publisher.speak(&said.samples).await;
    let session = publisher.session().to_owned();
    let messages = publisher.finish().await;
    words_are_right(&said.text(), &messages, TELEPHONE);
    assert_eq!(messages[0]["type"], "ready");
    assert_eq!((&messages[0]["session_id"], &messages[0]["model"]), (&json!(session), &json!("tiny.en")));
    assert_eq!(messages[0]["audio"], json!({ "encoding": "pcmu", "sample_rate": 8_000, "multichannel": false }));
    let last = messages.last().unwrap();
    assert_eq!((&last["reason"], &last["complete"]), (&json!("client_closed"), &json!(true)));
    assert!((last["totals"]["audio_seconds"].as_f64().unwrap() - said.seconds()).abs() < 1.0, "{last}");
    assert!(messages.iter().any(|message| message["type"] == "partial"));

    let told: Vec<_> = events.rest().await.into_iter().map(|sent| sent.data).collect();
    assert_eq!(text(&told), text(&messages));
    assert_eq!(told.last().unwrap()["type"], "closed");
    metric_becomes(&server, SESSIONS, 0.0).await;
}

#[tokio::test]
async fn messages_go_up_the_data_channel_too() {
    let server = Server::start(&[]);
    let clip = named("librivox-sense-0920");
    let mut publisher = Publisher::publish(&server, true).await;
    publisher.connect().await;
    publisher.control(json!({ "type": "keepalive" })).await;
    assert_eq!(publisher.next_of("alive").await["audio_bytes"], 0);
    publisher.control(json!({ "type": "configure", "partials": "none" })).await;
    publisher.control(json!({ "type": "configure", "language": "xx" })).await;
    assert_eq!(publisher.next_of("error").await["fatal"], false);
    let end = (clip.speech.end * 16_000.0) as usize;
    publisher.speak(&clip.samples[..end]).await;
    // Nothing tells that the sentence is over but this.
    publisher.control(json!({ "type": "finalize" })).await;
    publisher.next_of("final").await;
    assert!(!publisher.messages().iter().any(|message| message["type"] == "partial"));
    publisher.text("nonsense").await;
    let problem = publisher.next_of("error").await;
    assert_eq!((&problem["fatal"], &problem["problem"]["status"]), (&json!(true), &json!(400)));
    assert_eq!(publisher.next_of("closed").await["reason"], "invalid_input");
    words_are_right(&clip.text, publisher.messages(), TELEPHONE);
    metric_becomes(&server, SESSIONS, 0.0).await;
}

#[tokio::test]
async fn who_takes_the_publication_back_gets_the_last_words() {
    let server = Server::start(&[]);
    let clip = named("librivox-sense-0920");
    let mut publisher = Publisher::publish(&server, true).await;
    publisher.connect().await;
    publisher.speak(&clip.samples).await;
    assert_eq!(publisher.delete(&server).await.status, 200);
    let last = publisher.next_of("closed").await;
    assert_eq!((&last["reason"], &last["complete"]), (&json!("client_closed"), &json!(true)));
    words_are_right(&clip.text, publisher.messages(), TELEPHONE);
    metric_becomes(&server, SESSIONS, 0.0).await;
    publisher.wait(0.5).await;
    is_forgotten(&server, publisher.location()).await;
}

#[tokio::test]
async fn who_hangs_up_or_vanishes_is_missed_and_leaves_the_words() {
    let server = Server::start(&[]);
    let clip = named("librivox-sense-0920");
    for vanishes in [false, true] {
        let mut publisher = Publisher::publish(&server, false).await;
        let events = format!("/v1/sessions/{}/events?after=0", publisher.session());
        let events = Events::request(&server, &events, "").await;
        publisher.connect().await;
        publisher.speak(&clip.samples[..(clip.speech.end * 16_000.0) as usize]).await;
        let since = Instant::now();
        match vanishes {
            true => drop(publisher),
            false => publisher.hang_up().await,
        }
        let told: Vec<_> = events.rest().await.into_iter().map(|sent| sent.data).collect();
        let noticed = since.elapsed().as_secs_f64();
        println!("vanishes: {vanishes}, over after {noticed:.1} s");
        words_are_right(&clip.text, &told, TELEPHONE);
        let reason = if vanishes { "client_gone" } else { "client_closed" };
        let last = told.last().unwrap();
        assert_eq!((&last["reason"], &last["complete"]), (&json!(reason), &json!(true)));
        assert!(noticed < 15.0, "it took {noticed} s");
        metric_becomes(&server, SESSIONS, 0.0).await;
    }
}

#[tokio::test]
async fn a_connection_that_never_comes_about_is_given_up() {
    let server = Server::start(&[]);
    let publisher = Publisher::publish(&server, true).await;
    let events = format!("/v1/sessions/{}/events?after=0", publisher.session());
    let location = publisher.location().to_owned();
    drop(publisher);
    let told: Vec<_> = Events::request(&server, &events, "").await.rest().await;
    let [.., problem, last] = &told[..] else { panic!("{told:?}") };
    assert_eq!(problem.data["problem"]["type"], "urn:pipeline-server:problem:no-connection");
    assert_eq!(last.data["reason"], "client_gone");
    metric_becomes(&server, SESSIONS, 0.0).await;
    is_forgotten(&server, &location).await;
}

#[tokio::test]
async fn a_session_lasts_as_long_as_one_may_and_a_signal_lets_it_finish() {
    let server = Server::start(&["--max-duration", "6"]);
    let clip = named("librivox-sense-0920");
    let mut publisher = Publisher::publish(&server, true).await;
    publisher.connect().await;
    publisher.speak(&clip.samples).await;
    assert_eq!(publisher.next_of("closed").await["reason"], "max_duration");
    assert!(metric(&server, &closed("max_duration")).await > 0.0);

    let server = Server::start(&[]);
    let mut publisher = Publisher::publish(&server, true).await;
    publisher.connect().await;
    publisher.speak(&clip.samples[..(clip.speech.end * 16_000.0) as usize]).await;
    server.signal(libc::SIGTERM);
    let last = publisher.next_of("closed").await;
    assert_eq!((&last["reason"], &last["complete"]), (&json!("shutdown"), &json!(true)));
    words_are_right(&clip.text, publisher.messages(), TELEPHONE);
    publisher.wait(0.5).await;
    let ended = server.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("ERROR") && !ended.stderr.contains("WARN"), "{}", ended.stderr);
}

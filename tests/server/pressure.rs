//! Clients that send too fast, and clients that don't read.

use e2e_tests::clips::Composition;
use e2e_tests::rss::Footprint;
use serde_json::json;
use tokio::net::TcpSocket;
use tokio_tungstenite::client_async;

use crate::support::client::{f32le, Client};
use crate::support::http::metric_becomes;
use crate::support::server::{Server, Transport};
use crate::support::verdict::words_are_right;

/// Ten minutes of speech.
fn ten_minutes() -> Vec<f32> {
    Composition::long().samples.repeat(10)
}

#[tokio::test]
async fn a_client_that_sends_too_fast_is_slowed_down() {
    let server = Server::start(&[]);
    let Client { mut sender, mut receiver } = Client::connect(&server, "partials=none").await;
    let (told, mut sent) = tokio::sync::watch::channel(0_usize);
    let sending = tokio::spawn(async move {
        for (i, chunk) in f32le(&ten_minutes()).into_iter().enumerate() {
            if sender.try_binary(chunk).await.is_err() {
                break;
            }
            let _ = told.send(i + 1);
        }
    });
    // With the third final, some ten seconds have their text; what has been sent by then is what may wait for the
    // element, in the server and in the system.
    for _ in 0..3 {
        receiver.next_of("final").await;
    }
    let seconds = *sent.borrow_and_update() as f64 / 10.0;
    assert!(seconds > 10.0 && seconds < 300.0, "{seconds} s were taken");
    sending.abort();
    drop(receiver);
    let gone = "pipeline_server_sessions_closed_total{source=\"websocket\",reason=\"client_gone\"}";
    metric_becomes(&server, gone, 1.0).await;
}

#[tokio::test]
async fn what_waits_for_a_fast_client_has_a_bound() {
    let server = Server::start(&[]);
    let Client { mut sender, mut receiver } = Client::connect(&server, "partials=none").await;
    let before = Footprint::of(server.id()).unwrap().rss;
    let sending = tokio::spawn(async move {
        for chunk in f32le(&ten_minutes()) {
            if sender.try_binary(chunk).await.is_err() {
                break;
            }
        }
    });
    receiver.next_of("final").await;
    let grown = Footprint::of(server.id()).unwrap().rss.saturating_sub(before) >> 20;
    // The engine's own state is most of it; all of the audio would be 36 MiB more.
    assert!(grown < 200, "{grown} MiB");
    sending.abort();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_with_a_reason() {
    let server = Server::start(&["--max-unread", "8", "--partial-interval", "100"]);
    let socket = TcpSocket::new_v4().unwrap();
    // The smallest buffer there is, so that what is not read stays with the server.
    socket.set_recv_buffer_size(1).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    let url = format!("ws://{}/ws/transcribe", server.address);
    let (socket, _) = client_async(url, Box::new(stream) as Box<dyn Transport>).await.unwrap();
    let Client { mut sender, mut receiver } = Client::over(socket);
    let sending = tokio::spawn(async move {
        for chunk in f32le(&ten_minutes()) {
            if sender.try_binary(chunk).await.is_err() {
                break;
            }
        }
        sender
    });
    let slow = "pipeline_server_sessions_closed_total{source=\"websocket\",reason=\"slow_reader\"}";
    metric_becomes(&server, slow, 1.0).await;
    // It reads after all, in time to be told.
    let messages = receiver.rest().await;
    let [.., error, closed] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:slow-reader");
    assert_eq!(closed["reason"], "slow_reader");
    assert_eq!(receiver.close_code(), 1008);
    sending.abort();

    // Others go on.
    let signal = Composition::long();
    let messages = Client::connect(&server, "").await.transcribe(f32le(&signal.samples)).await;
    words_are_right(&signal.text(), &messages, 5.0);
}

#[tokio::test]
async fn whoever_reads_late_loses_partials_only() {
    let server = Server::start(&["--partial-interval", "100"]);
    let signal = Composition::long();
    let mut client = Client::connect(&server, "").await;
    // Everything is sent, and more than the audio is done, before anything is read.
    let Client { sender, receiver } = &mut client;
    sender.audio(&signal.samples).await;
    sender.control(json!({ "type": "close" })).await;
    let closed = "pipeline_server_sessions_closed_total{source=\"websocket\",reason=\"client_closed\"}";
    metric_becomes(&server, closed, 1.0).await;
    let messages = receiver.rest().await;
    words_are_right(&signal.text(), &messages, 5.0);
    assert_eq!(messages.last().unwrap()["complete"], true);
}

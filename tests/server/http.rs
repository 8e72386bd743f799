//! Plain HTTP, and requests for a WebSocket that is not to be had.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::client::Client;
use crate::support::http::{metric_becomes, request, Response};
use crate::support::server::{refuse, Server};
use crate::support::{within, workspace};

#[tokio::test]
async fn health_readiness_and_documents_are_there() {
    let server = Server::start(&[]);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(request(&server, "GET", path).await.status, 200, "{path}");
    }
    let metrics = request(&server, "GET", "/metrics").await;
    assert!(metrics.headers["content-type"].starts_with("application/openmetrics-text"), "{metrics:?}");
    assert!(metrics.body.ends_with("# EOF\n"));
    for name in ["v1.schema.json", "v1.asyncapi.json"] {
        let served: Value =
            serde_json::from_str(&request(&server, "GET", &format!("/protocol/{name}")).await.body).unwrap();
        let file = std::fs::read_to_string(workspace().join("pipeline-server/protocol").join(name)).unwrap();
        assert_eq!(served, serde_json::from_str::<Value>(&file).unwrap());
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_a_websocket_is_a_problem() {
    let server = Server::start(&[]);
    request(&server, "GET", "/nothing").await.problem("not-found", 404);
    request(&server, "POST", "/healthz").await.problem("method-not-allowed", 405);
    request(&server, "GET", "/ws/transcribe").await.problem("not-a-websocket", 426);
}

#[tokio::test]
async fn parameters_that_are_not_understood_are_named() {
    let server = Server::start(&[]);
    for (query, kind, status, named) in [
        ("sample_rte=8000", "invalid-parameter", 400, "sample_rte"),
        ("encoding=pcm", "invalid-parameter", 400, "pcm"),
        ("sample_rate=100", "invalid-parameter", 400, "sample_rate"),
        ("channels=0", "invalid-parameter", 400, "channels"),
        ("min_silence_ms=1", "invalid-setting", 422, "min-silence"),
    ] {
        let Err(error) = Client::request(&server, query).await else { panic!("{query} was taken") };
        let problem = Response::refusal(error).problem(kind, status);
        assert!(problem["detail"].as_str().unwrap().contains(named), "{problem}");
    }
    metric_becomes(&server, "pipeline_server_sessions{source=\"websocket\"}", 0.0).await;
}

#[tokio::test]
async fn when_all_places_are_taken_the_next_is_told_to_come_back() {
    let server = Server::start(&["--max-sessions", "2"]);
    let first = Client::connect(&server, "").await;
    let second = Client::connect(&server, "").await;
    let Err(error) = Client::request(&server, "").await else { panic!("there was a third place") };
    let response = Response::refusal(error);
    response.problem("too-many-sessions", 503);
    assert!(response.headers["retry-after"].parse::<u32>().unwrap() > 0);
    drop(first);
    metric_becomes(&server, "pipeline_server_sessions_closed_total{source=\"websocket\",reason=\"client_gone\"}", 1.0)
        .await;
    let third = loop {
        // The place is free when the pipeline is gone.
        match Client::request(&server, "").await {
            Ok(client) => break client,
            Err(error) => drop(Response::refusal(error).problem("too-many-sessions", 503)),
        }
    };
    drop((second, third));
}

#[tokio::test]
async fn others_are_not_let_in_by_accident() {
    let ended = refuse(&["--listen", "0.0.0.0:0"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--allow-anonymous"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_model_that_is_not_there_ends_the_server() {
    let ended = refuse(&["--model", "/no/such/model.bin"]);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("/no/such/model.bin"), "{}", ended.stderr);
}

#[tokio::test]
async fn requests_that_do_not_get_on_are_given_up_and_hold_nobody_up() {
    let server = Server::start(&["--request-timeout", "1"]);
    let connect = async || TcpStream::connect(server.address).await.unwrap();
    let mut silent = connect().await;
    let mut begun = connect().await;
    begun.write_all(b"GET /ws/transcribe HTTP/1.1\r\nHost: x\r\nX-").await.unwrap();
    // A header now and then, for as long as the connection takes them.
    let (mut dripped, mut to) = connect().await.into_split();
    let dripping = tokio::spawn(async move {
        to.write_all(b"GET /ws/transcribe HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        while to.write_all(b"X-A: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    // One that asks, and does not read what it gets.
    let mut unread = connect().await;
    let asking =
        tokio::spawn(
            async move { while unread.write_all(b"GET /page.js HTTP/1.1\r\nHost: x\r\n\r\n").await.is_ok() {} },
        );
    assert_eq!(request(&server, "GET", "/readyz").await.status, 200);
    let streams: [&mut (dyn AsyncRead + Unpin); 3] = [&mut silent, &mut begun, &mut dripped];
    for stream in streams {
        // It ends, with or without an answer.
        let mut rest = Vec::new();
        let _ = within("an end", stream.read_to_end(&mut rest)).await;
        assert!(!String::from_utf8_lossy(&rest).contains(" 101 "), "{rest:?}");
    }
    within("an end", dripping).await.unwrap();
    within("an end", asking).await.unwrap();
    assert_eq!(request(&server, "GET", "/readyz").await.status, 200);
}

#[tokio::test]
async fn an_address_that_opens_many_connections_takes_nobody_elses() {
    let server = Server::start(&["--request-timeout", "600"]);
    let mut open = Vec::new();
    for _ in 0..256 {
        open.push(TcpStream::connect(server.address).await.unwrap());
    }
    // The next ones are not kept.
    let mut next = TcpStream::connect(server.address).await.unwrap();
    let ended = within("an end", next.read(&mut [0])).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    // For others there is room.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(server.address).await.unwrap();
    other.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within("an answer", other.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(open);
}

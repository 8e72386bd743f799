//! Subscriptions: a session's messages over a WebSocket or as server-sent events.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;

use super::client::{Client, Receiver};
use super::server::Server;
use super::within;

/// Over a WebSocket, from the message behind `after` on.
pub(crate) async fn subscribe(server: &Server, session: &str, after: u64) -> Receiver {
    let address = format!("ws://{}/v1/sessions/{session}/events?after={after}", server.address);
    let connecting = async { client_async(address, server.open().await?).await };
    let (socket, _) = within("a connection", connecting).await.unwrap();
    Client::over(socket).receiver
}

/// An event as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) id: Option<u64>,
    pub(crate) event: String,
    pub(crate) data: Value,
}

/// Server-sent events.
pub(crate) struct Events {
    stream: BufReader<TcpStream>,
    pub(crate) status: u16,
    pub(crate) head: String,
}

impl Events {
    /// Asks for them, with more headers, each with its line end. HTTP/1.0 has no chunks.
    pub(crate) async fn request(server: &Server, path: &str, headers: &str) -> Self {
        within("an answer", async {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let head = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n{headers}\r\n", server.address);
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert_ne!(stream.read_line(&mut head).await.unwrap(), 0, "{head}");
            }
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            Self { stream, status, head: head.to_lowercase() }
        })
        .await
    }

    /// The next one; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Sent> {
        within("an event", async {
            let mut sent = Sent { id: None, event: String::new(), data: Value::Null };
            loop {
                let mut line = String::new();
                if self.stream.read_line(&mut line).await.unwrap() == 0 {
                    return None;
                }
                match line.trim_end().split_once(':') {
                    // A sign of life, or the end of an event.
                    None if sent.event.is_empty() => {}
                    None => return Some(sent),
                    Some(("", _)) => {}
                    Some(("id", id)) => sent.id = Some(id.trim().parse().unwrap()),
                    Some(("event", event)) => sent.event = event.trim().to_owned(),
                    Some(("data", data)) => sent.data = serde_json::from_str(data.trim()).unwrap(),
                    Some(_) => panic!("{line}"),
                }
            }
        })
        .await
    }

    /// The next one of a type.
    pub(crate) async fn next_of(&mut self, event: &str) -> Sent {
        loop {
            let sent = self.next().await.unwrap_or_else(|| panic!("no {event} came"));
            if sent.event == event {
                return sent;
            }
        }
    }

    /// All until the end of the stream.
    pub(crate) async fn rest(mut self) -> Vec<Sent> {
        let mut rest = Vec::new();
        while let Some(sent) = self.next().await {
            rest.push(sent);
        }
        rest
    }
}

//! A WebSocket client that checks every message against the JSON Schema and the order that all sessions keep.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use jsonschema::Validator;
use serde_json::{json, Value};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{client_async, WebSocketStream};

use super::server::{Server, Transport};
use super::{within, workspace};

type Socket = WebSocketStream<Box<dyn Transport>>;

/// 0.1 s, as microphones send it; the pace is the server's.
const CHUNK: usize = 1_600;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let path = workspace().join("pipeline-server/protocol/v1.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
});

/// A validator for one side of the protocol.
fn validator(side: &str) -> Validator {
    let mut schema = SCHEMA.clone();
    schema.as_object_mut().unwrap().remove("anyOf");
    schema["$ref"] = json!(format!("#/$defs/{side}"));
    jsonschema::validator_for(&schema).unwrap()
}

static SERVER_MESSAGES: LazyLock<Validator> = LazyLock::new(|| validator("ServerMessage"));
static CLIENT_MESSAGES: LazyLock<Validator> = LazyLock::new(|| validator("ClientMessage"));

/// Fails unless it is a message that clients may send.
pub(crate) fn assert_is_of_the_protocol(message: &Value) {
    assert!(CLIENT_MESSAGES.is_valid(message), "{message}");
}

/// Fails unless it is a message that the server may send.
pub(crate) fn assert_is_of_the_server(message: &Value) {
    assert!(SERVER_MESSAGES.is_valid(message), "{message}");
}

/// Both halves of a connection.
pub(crate) struct Client {
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
}

/// The way up.
pub(crate) struct Sender(SplitSink<Socket, Message>);

/// The way down.
pub(crate) struct Receiver {
    stream: SplitStream<Socket>,
    order: Order,
    close: Option<CloseFrame>,
}

impl Client {
    /// Connects; `query` is what comes behind the `?`. The first message, `ready`, has been taken.
    pub(crate) async fn connect(server: &Server, query: &str) -> Self {
        let mut client = Self::request(server, query).await.unwrap();
        let ready = client.receiver.next().await;
        assert_eq!(ready["type"], "ready", "{ready}");
        client
    }

    /// Connects, or tells what the server answered instead.
    pub(crate) async fn request(server: &Server, query: &str) -> Result<Self, tungstenite::Error> {
        Self::request_with(server, query, &[]).await
    }

    /// The same with headers.
    pub(crate) async fn request_with(
        server: &Server,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        let mut request = format!("ws://{}/ws/transcribe?{query}", server.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let connecting = async { client_async(request, server.open().await?).await };
        let (socket, _) = within("a connection", connecting).await?;
        Ok(Self::over(socket))
    }

    /// Over a connection that is there.
    pub(crate) fn over(socket: Socket) -> Self {
        let (sink, stream) = socket.split();
        Self { sender: Sender(sink), receiver: Receiver { stream, order: Order::default(), close: None } }
    }

    /// Comes back to the session `id` of a client that heard what `order` tells; also returns the first message.
    pub(crate) async fn resume(server: &Server, id: &str, order: Order) -> (Self, Value) {
        let mut client = Self::request(server, &format!("resume={id}&after={}", order.seq)).await.unwrap();
        let resumed = client.receiver.expect_resumed().await;
        assert_eq!(resumed["seq"], order.seq);
        client.receiver.order = order;
        (client, resumed)
    }

    /// Speaks at twice the pace of speech, over and over, until a message of a type comes, and returns it. What comes before
    /// it is thrown away. Audio that is sent as fast as possible has no partials: the finals are there first.
    pub(crate) async fn speak_until(&mut self, samples: &[f32], kind: &str) -> Value {
        let Self { sender, receiver } = self;
        let speaking = async {
            for chunk in f32le(samples).into_iter().cycle() {
                sender.binary(chunk).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            unreachable!("it goes on for ever")
        };
        tokio::select! {
            message = receiver.next_of(kind) => message,
            message = speaking => message,
        }
    }

    /// Sends audio and `close`, and returns all messages until the end.
    pub(crate) async fn transcribe(self, audio: Vec<Vec<u8>>) -> Vec<Value> {
        let Self { mut sender, mut receiver } = self;
        let sending = tokio::spawn(async move {
            for chunk in audio {
                sender.binary(chunk).await;
            }
            sender.control(json!({ "type": "close" })).await;
            sender
        });
        let messages = receiver.rest().await;
        sending.await.unwrap();
        messages
    }
}

impl Sender {
    /// Floats in messages of 0.1 s.
    pub(crate) async fn audio(&mut self, samples: &[f32]) {
        for chunk in f32le(samples) {
            self.binary(chunk).await;
        }
    }

    /// A binary message.
    pub(crate) async fn binary(&mut self, bytes: Vec<u8>) {
        within("sending audio", self.0.send(Message::Binary(bytes.into()))).await.unwrap();
    }

    /// A binary message, if the connection takes it.
    pub(crate) async fn try_binary(&mut self, bytes: Vec<u8>) -> Result<(), tungstenite::Error> {
        self.0.send(Message::Binary(bytes.into())).await
    }

    /// A text message, if the connection takes it.
    pub(crate) async fn try_text(&mut self, text: &str) -> Result<(), tungstenite::Error> {
        self.0.send(Message::Text(text.into())).await
    }

    /// A text message of the protocol.
    pub(crate) async fn control(&mut self, message: Value) {
        assert_is_of_the_protocol(&message);
        self.text(&message.to_string()).await;
    }

    /// Any text message.
    pub(crate) async fn text(&mut self, text: &str) {
        within("sending text", self.0.send(Message::Text(text.into()))).await.unwrap();
    }
}

impl Receiver {
    /// The first message to a client that came back.
    pub(crate) async fn expect_resumed(&mut self) -> Value {
        let resumed = self.next().await;
        assert_eq!(resumed["type"], "resumed", "{resumed}");
        resumed
    }

    /// What was heard so far.
    pub(crate) fn order(&self) -> Order {
        self.order.clone()
    }

    /// The connection is gone without a farewell; tells what was heard.
    pub(crate) fn cut(self) -> Order {
        self.order
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        match self.poll().await {
            Some(message) => message,
            None => panic!("the connection ended: {:?}", self.close),
        }
    }

    /// The next message of a type; what comes before it is thrown away.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
            assert_ne!(message["type"], "closed", "no {kind} came: {message}");
        }
    }

    /// All messages until the connection ends, which it must do behind `closed` and with a close frame.
    pub(crate) async fn rest(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        while let Some(message) = self.poll().await {
            messages.push(message);
        }
        let last = messages.last().unwrap_or_else(|| panic!("no message: {:?}", self.close));
        assert_eq!(last["type"], "closed", "{last}");
        let close = self.close.as_ref().unwrap_or_else(|| panic!("no close frame behind {last}"));
        assert_eq!(close.reason.as_str(), last["reason"].as_str().unwrap());
        messages
    }

    /// The code of the close frame.
    pub(crate) fn close_code(&self) -> u16 {
        self.close.as_ref().unwrap().code.into()
    }

    /// The next message, until the connection is over.
    pub(crate) async fn poll(&mut self) -> Option<Value> {
        // Pings are no messages.
        within("a message", async {
            loop {
                match self.stream.next().await? {
                    Ok(Message::Text(text)) => return Some(self.checked(&text)),
                    Ok(Message::Close(frame)) => self.close = frame,
                    Ok(Message::Ping(_)) => {}
                    Ok(other) => panic!("unexpected: {other:?}"),
                    Err(_) => return None,
                }
            }
        })
        .await
    }

    fn checked(&mut self, text: &str) -> Value {
        let message: Value = serde_json::from_str(text).unwrap();
        if let Err(error) = SERVER_MESSAGES.validate(&message) {
            panic!("{error}: {message}");
        }
        self.order.check(&message);
        message
    }
}

/// The order of messages in a session: `seq` rises; in each channel an utterance starts, shows rising revisions whose
/// stable text stays, ends, and gets its one final, which begins with what was stable. What is stable behind a forced cut
/// is what the next utterance begins with.
#[derive(Clone, Default)]
pub(crate) struct Order {
    seq: u64,
    channels: HashMap<u64, Channel>,
}

#[derive(Clone, Default)]
struct Channel {
    /// Number of the next utterance.
    next: u64,
    /// Started and without final, in order.
    open: Vec<Utterance>,
    transcript: String,
}

#[derive(Clone)]
struct Utterance {
    number: u64,
    revision: u64,
    stable: String,
    ended: bool,
}

impl Order {
    /// Fails unless that message may come next.
    pub(crate) fn check(&mut self, message: &Value) {
        let seq = message["seq"].as_u64().unwrap();
        assert!(seq > self.seq, "{seq} behind {}: {message}", self.seq);
        self.seq = seq;
        let Some(number) = message["utterance"].as_u64() else { return };
        let channel = self.channels.entry(message["channel"].as_u64().unwrap_or_default()).or_default();
        let text = |field: &str| message[field].as_str().unwrap();
        if message["type"] == "speech_start" {
            assert_eq!(number, channel.next, "{message}");
            channel.next += 1;
            channel.open.push(Utterance { number, revision: 0, stable: String::new(), ended: false });
            return;
        }
        let at = channel.open.iter().position(|utterance| utterance.number == number);
        let Some(at) = at else { panic!("not under way: {message}") };
        let utterance = &mut channel.open[at];
        if let Some(revision) = message["revision"].as_u64() {
            assert!(revision > utterance.revision, "{message}");
            utterance.revision = revision;
        }
        match text("type") {
            "partial" => {
                let stable = text("stable");
                assert!(stable.starts_with(&utterance.stable), "{:?} changed: {message}", utterance.stable);
                utterance.stable = stable.to_owned();
            }
            "speech_end" => utterance.ended = true,
            "final" => {
                assert_eq!(at, 0, "finals come in order: {message}");
                assert!(utterance.ended, "{message}");
                let stable = channel.open.remove(0).stable;
                if !text("text").starts_with(&stable) {
                    let behind = stable.strip_prefix(text("text")).filter(|_| message["forced"] == true);
                    let Some(behind) = behind else { panic!("{stable:?} changed: {message}") };
                    let next = &channel.open[0].stable;
                    assert!(
                        next.starts_with(behind.trim_start()),
                        "{behind:?} is not carried on in {next:?}: {message}"
                    );
                }
                let said = text("text").trim();
                if !said.is_empty() {
                    channel.transcript += if channel.transcript.is_empty() { "" } else { " " };
                    channel.transcript += said;
                }
                if let Some(transcript) = message["full_transcript"].as_str() {
                    assert_eq!(transcript, channel.transcript);
                }
            }
            other => panic!("{other}"),
        }
    }
}

/// Samples as messages of 0.1 s.
pub(crate) fn f32le(samples: &[f32]) -> Vec<Vec<u8>> {
    samples.chunks(CHUNK).map(|chunk| chunk.iter().flat_map(|s| s.to_le_bytes()).collect()).collect()
}

//! What Twilio sends, as its documentation has it: <https://www.twilio.com/docs/voice/media-streams/websocket-messages>.
//! Twilio itself can't be reached from a test.

use std::time::Duration;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use e2e_tests::audio::{mulaw_encode, resample, SAMPLE_RATE};
use e2e_tests::clips::Composition;
use futures_util::{SinkExt, StreamExt};
use ring::hmac;
use serde_json::{json, Value};
use tokio::time::{sleep_until, Instant};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{client_async, WebSocketStream};

use crate::support::client::Receiver;
use crate::support::events::subscribe;
use crate::support::http::{request, Response};
use crate::support::server::{Server, Transport};
use crate::support::within;

/// The call that all tests make.
pub(crate) const CALL: &str = "CA5f1e2d3c4b5a69788796a5b4c3d2e1f0";
const ACCOUNT: &str = "AC00112233445566778899aabbccddeeff";
const STREAM: &str = "MZ0123456789abcdef0123456789abcdef";
/// Bytes of a frame, and milliseconds.
const FRAME: usize = 160;
const MILLISECONDS: u64 = 20;

/// A piece of a track: 20 ms, when they were said.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) track: &'static str,
    pub(crate) at: u64,
    payload: Vec<u8>,
}

/// What is said on a track, from `at` (milliseconds) on.
pub(crate) fn frames(track: &'static str, at: u64, said: &Composition) -> Vec<Frame> {
    let narrow = resample(&said.samples, SAMPLE_RATE, 8_000);
    let audio = mulaw_encode(&narrow);
    let frame = |(i, payload): (u64, &[u8])| Frame { track, at: at + i * MILLISECONDS, payload: payload.to_vec() };
    (0..).zip(audio.chunks(FRAME)).map(frame).collect()
}

/// How long they are together.
pub(crate) fn seconds(frames: &[Frame]) -> f64 {
    frames.iter().map(|frame| frame.payload.len()).sum::<usize>() as f64 / 8_000.0
}

/// Frames of both tracks as they come off the line.
pub(crate) fn together(tracks: impl IntoIterator<Item = Vec<Frame>>) -> Vec<Frame> {
    let mut all: Vec<Frame> = tracks.into_iter().flatten().collect();
    all.sort_by_key(|frame| frame.at);
    all
}

/// `start` as for a `<Stream>` of these tracks, with its `<Parameter>`s.
pub(crate) fn start(tracks: &[&str], parameters: Value) -> Value {
    json!({
        "streamSid": STREAM,
        "accountSid": ACCOUNT,
        "callSid": CALL,
        "tracks": tracks,
        "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
        "customParameters": parameters,
    })
}

/// The signature of the account with that auth token, for the address that it was told.
pub(crate) fn signature(token: &str, address: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    STANDARD.encode(hmac::sign(&key, address.as_bytes()))
}

/// A connection of Twilio.
pub(crate) struct Stream {
    socket: WebSocketStream<Box<dyn Transport>>,
    number: u64,
    chunks: [u64; 2],
}

impl Stream {
    /// Connects and says no more.
    pub(crate) async fn request(server: &Server, headers: &[(&'static str, &str)]) -> Result<Self, tungstenite::Error> {
        let mut request = format!("ws://{}/twilio/stream", server.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let connecting = async { client_async(request, server.open().await?).await };
        let (socket, _) = within("a connection", connecting).await?;
        Ok(Self { socket, number: 0, chunks: [0; 2] })
    }

    /// What the server answers to a request that it refuses.
    pub(crate) async fn refusal(server: &Server, headers: &[(&'static str, &str)]) -> Response {
        match Self::request(server, headers).await {
            Ok(_) => panic!("{headers:?} was let in"),
            Err(error) => Response::refusal(error),
        }
    }

    /// Connects, and says `connected` and `start`.
    pub(crate) async fn begin(server: &Server, tracks: &[&str], parameters: Value) -> Self {
        let mut stream = Self::request(server, &[]).await.unwrap();
        stream.hello(start(tracks, parameters)).await;
        stream
    }

    /// `connected` and `start`.
    pub(crate) async fn hello(&mut self, start: Value) {
        self.text(&json!({ "event": "connected", "protocol": "Call", "version": "1.0.0" }).to_string()).await;
        self.send("start", start).await;
    }

    /// A message with its number.
    pub(crate) async fn send(&mut self, event: &str, body: Value) {
        self.number += 1;
        let number = self.number;
        self.send_as(event, body, number).await;
    }

    async fn send_as(&mut self, event: &str, body: Value, number: u64) {
        let mut message = json!({ "event": event, "sequenceNumber": number.to_string(), "streamSid": STREAM });
        message[event] = body;
        self.text(&message.to_string()).await;
    }

    /// Any text message.
    pub(crate) async fn text(&mut self, text: &str) {
        within("sending", self.socket.send(Message::Text(text.into()))).await.unwrap();
    }

    /// A binary message, which Twilio has none of.
    pub(crate) async fn binary(&mut self, bytes: Vec<u8>) {
        within("sending", self.socket.send(Message::Binary(bytes.into()))).await.unwrap();
    }

    /// Sends frames as fast as the server takes them.
    pub(crate) async fn play(&mut self, frames: &[Frame]) {
        for frame in frames {
            let (number, media) = self.media(frame);
            self.send_as("media", media, number).await;
        }
    }

    /// The same, but they are mixed up on the way: each group of so many comes from behind.
    pub(crate) async fn play_mixed_up(&mut self, frames: &[Frame], group: usize) {
        let numbered: Vec<(u64, Value)> = frames.iter().map(|frame| self.media(frame)).collect();
        for group in numbered.chunks(group) {
            for (number, media) in group.iter().rev() {
                self.send_as("media", media.clone(), *number).await;
            }
        }
    }

    /// Sends frames when they are due.
    pub(crate) async fn speak(&mut self, frames: &[Frame]) {
        let began = Instant::now();
        let first = frames.first().map_or(0, |frame| frame.at);
        for frame in frames {
            sleep_until(began + Duration::from_millis(frame.at + MILLISECONDS - first)).await;
            self.play(std::slice::from_ref(frame)).await;
        }
    }

    fn media(&mut self, Frame { track, at, payload }: &Frame) -> (u64, Value) {
        self.number += 1;
        let chunk = &mut self.chunks[usize::from(*track == "outbound")];
        *chunk += 1;
        let (chunk, timestamp) = (chunk.to_string(), at.to_string());
        let media =
            json!({ "track": track, "chunk": chunk, "timestamp": timestamp, "payload": STANDARD.encode(payload) });
        (self.number, media)
    }

    /// Says `stop`, and waits for the end of the connection.
    pub(crate) async fn stop(mut self) -> CloseFrame {
        self.send("stop", json!({ "accountSid": ACCOUNT, "callSid": CALL })).await;
        self.end().await
    }

    /// How the server closes the connection.
    pub(crate) async fn end(mut self) -> CloseFrame {
        within("the end of a stream", async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.expect("a close frame without a reason"),
                    Some(Ok(Message::Ping(_))) => {}
                    other => panic!("the server says {other:?}"),
                }
            }
        })
        .await
    }

    /// The connection breaks off.
    pub(crate) fn vanish(self) {}
}

/// The call in `GET /v1/sessions`, once it is there.
pub(crate) async fn view(server: &Server) -> Value {
    within("the call being listed", async {
        loop {
            let listed = request(server, "GET", &format!("/v1/sessions?call_id={CALL}")).await;
            let listed: Vec<Value> = serde_json::from_str(&listed.body).unwrap();
            if let Some(view) = listed.into_iter().next() {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// What is said in the call, from its beginning.
pub(crate) async fn watch(server: &Server) -> Receiver {
    let view = view(server).await;
    subscribe(server, view["session_id"].as_str().unwrap(), 0).await
}

/// What is said by a party.
pub(crate) fn of_party(messages: &[Value], party: &str) -> Vec<Value> {
    messages.iter().filter(|message| message["party"] == party && !message["utterance"].is_null()).cloned().collect()
}

/// The one message of that type.
pub(crate) fn one<'a>(messages: &'a [Value], kind: &str) -> &'a Value {
    let mut of_kind = messages.iter().filter(|message| message["type"] == kind);
    let one = of_kind.next().unwrap_or_else(|| panic!("no {kind}: {messages:#?}"));
    assert!(of_kind.next().is_none(), "several of {kind}");
    one
}

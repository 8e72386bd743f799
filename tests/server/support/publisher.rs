//! A WebRTC client that publishes G.711 by WHIP and hears the server over a data channel. It is made of the same library as
//! the server: how browsers and GStreamer get along with the server is tested with those.

use std::time::{Duration, Instant};

use e2e_tests::audio::{mulaw_encode, resample};
use serde_json::{json, Value};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use tokio::net::UdpSocket;

use super::client::{assert_is_of_the_protocol, assert_is_of_the_server, Order};
use super::http::{request, send_text, Response};
use super::server::Server;
use super::within;

pub(crate) const SDP: &str = "application/sdp";
pub(crate) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// Samples of a packet, 20 ms.
const PACKET: usize = 160;
const PCMU: u8 = 0;

/// Before the answer.
pub(crate) struct Offer {
    rtc: Rtc,
    socket: UdpSocket,
    pending: SdpPendingOffer,
    mid: Mid,
    channel: Option<ChannelId>,
    pub(crate) sdp: String,
}

/// A client whose offer was answered.
pub(crate) struct Publisher {
    rtc: Rtc,
    socket: UdpSocket,
    mid: Mid,
    channel: Option<ChannelId>,
    is_open: bool,
    is_connected: bool,
    order: Order,
    messages: Vec<Value>,
    /// Of them, how many were asked for.
    seen: usize,
    packets: u64,
    pub(crate) answer: Response,
}

impl Offer {
    /// Audio, and a data channel if wanted.
    pub(crate) async fn new(with_channel: bool) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut rtc = RtcConfig::new().clear_codecs().enable_pcmu(true, false).set_rtp_mode(true).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap());
        let mut changes = rtc.sdp_api();
        let mid = changes.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
        let channel = with_channel.then(|| changes.add_channel("captions".into()));
        let (offer, pending) = changes.apply().unwrap();
        Self { rtc, socket, pending, mid, channel, sdp: offer.to_sdp_string() }
    }

    /// Posts it; `query` is what comes behind the `?`.
    pub(crate) async fn post(&self, server: &Server, query: &str, headers: &str) -> Response {
        send_text(server, "POST", &format!("/whip?{query}"), SDP, headers, &self.sdp).await
    }

    /// Takes the answer.
    pub(crate) fn answered(mut self, answer: Response) -> Publisher {
        assert_eq!(answer.status, 201, "{answer:?}");
        let sdp = SdpAnswer::from_sdp_string(&answer.body).unwrap();
        self.rtc.sdp_api().accept_answer(self.pending, sdp).unwrap();
        Publisher {
            rtc: self.rtc,
            socket: self.socket,
            mid: self.mid,
            channel: self.channel,
            is_open: false,
            is_connected: false,
            order: Order::default(),
            messages: Vec::new(),
            seen: 0,
            packets: 0,
            answer,
        }
    }
}

impl Publisher {
    /// One that has its answer.
    pub(crate) async fn publish(server: &Server, with_channel: bool) -> Self {
        let offer = Offer::new(with_channel).await;
        let answer = offer.post(server, "", "").await;
        offer.answered(answer)
    }

    /// Where it is changed and ended.
    pub(crate) fn location(&self) -> &str {
        &self.answer.headers["location"]
    }

    /// Whose results are its text.
    pub(crate) fn session(&self) -> &str {
        &self.answer.headers["x-session-id"]
    }

    /// What it was told so far.
    pub(crate) fn messages(&self) -> &[Value] {
        &self.messages
    }

    /// Goes on until the connection is there, its data channel too.
    pub(crate) async fn connect(&mut self) {
        within("a WebRTC connection", async {
            while !self.is_connected || (self.channel.is_some() && !self.is_open) {
                self.step(None).await;
            }
        })
        .await;
    }

    /// Speaks at the pace of speech.
    pub(crate) async fn speak(&mut self, samples: &[f32]) {
        let coded = mulaw_encode(&resample(samples, 16_000, 8_000));
        let begin = Instant::now();
        for (number, packet) in coded.chunks(PACKET).enumerate() {
            let at = begin + Duration::from_millis(20) * number as u32;
            while Instant::now() < at {
                self.step(Some(at)).await;
            }
            let (sequence, time) = (self.packets, self.packets as usize * PACKET);
            self.packets += 1;
            let (mut direct, mid) = (self.rtc.direct_api(), self.mid);
            let stream = direct.stream_tx_by_mid(mid, None).unwrap();
            let packet = RtpWrite::new(Pt::from(PCMU), sequence.into(), time as u32, Instant::now(), packet);
            stream.write_rtp(packet);
            self.drain().await;
            self.tick(Instant::now()).await;
        }
    }

    /// Sends a message of the protocol over the data channel.
    pub(crate) async fn control(&mut self, message: Value) {
        assert_is_of_the_protocol(&message);
        self.text(&message.to_string()).await;
    }

    /// Sends any text over the data channel.
    pub(crate) async fn text(&mut self, text: &str) {
        assert!(self.rtc.channel(self.channel.unwrap()).unwrap().write(false, text.as_bytes()).unwrap());
        self.drain().await;
    }

    /// The next message of a type; what came before it is passed over.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        within(&format!("a message {kind}"), async {
            loop {
                while let Some(message) = self.messages.get(self.seen).cloned() {
                    self.seen += 1;
                    if message["type"] == kind {
                        return message;
                    }
                }
                assert!(self.rtc.is_alive(), "no {kind} came: {:?}", self.messages);
                self.step(None).await;
            }
        })
        .await
    }

    /// Goes on for so long.
    pub(crate) async fn wait(&mut self, seconds: f64) {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        while Instant::now() < end {
            self.step(Some(end)).await;
        }
    }

    /// Says that there is no more audio, and returns all that it was told.
    pub(crate) async fn finish(mut self) -> Vec<Value> {
        self.control(json!({ "type": "close" })).await;
        self.next_of("closed").await;
        self.messages
    }

    /// Takes the publication back.
    pub(crate) async fn delete(&self, server: &Server) -> Response {
        request(server, "DELETE", self.location()).await
    }

    /// Closes the connection properly, without taking the publication back.
    pub(crate) async fn hang_up(mut self) {
        self.rtc.close().unwrap();
        self.drain().await;
    }

    /// Looks for another way to the server: a new socket, and an ICE restart by PATCH.
    pub(crate) async fn move_on(&mut self, server: &Server) -> Response {
        self.socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let candidate = Candidate::host(self.socket.local_addr().unwrap(), "udp").unwrap();
        let line = candidate.to_sdp_string();
        let mut changes = self.rtc.sdp_api();
        let credentials = changes.ice_restart(false);
        let (_, pending) = changes.apply().unwrap();
        let body = format!(
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na={line}\r\n",
            credentials.ufrag, credentials.pass
        );
        let response = send_text(server, "PATCH", self.location(), FRAGMENT, "If-Match: *\r\n", &body).await;
        let value = |body: &str, name: &str| {
            body.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
        };
        let mut answer = self.answer.body.clone();
        for name in ["a=ice-ufrag:", "a=ice-pwd:"] {
            answer = answer.replace(&value(&answer, name), &value(&response.body, name));
        }
        self.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer).unwrap()).unwrap();
        self.drain().await;
        self.rtc.add_local_candidate(candidate);
        self.drain().await;
        response
    }

    /// Waits for a datagram or until something is due, at most until `until`.
    async fn step(&mut self, until: Option<Instant>) {
        let due = self.drain().await;
        let due = until.map_or(due, |until| until.min(due)).max(Instant::now());
        let mut datagram = [0; 2_000];
        tokio::select! {
            came = self.socket.recv_from(&mut datagram) => {
                let (length, source) = came.unwrap();
                let destination = self.socket.local_addr().unwrap();
                let contents = datagram[..length].try_into().unwrap();
                let receive = Receive { proto: Protocol::Udp, source, destination, contents };
                self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
            }
            () = tokio::time::sleep_until(due.into()) => self.tick(Instant::now()).await,
        }
        self.drain().await;
    }

    async fn tick(&mut self, now: Instant) {
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
        self.drain().await;
    }

    /// Sends what is to be sent; returns when something is due.
    async fn drain(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => return at,
                Output::Transmit(datagram) => {
                    self.socket.send_to(&datagram.contents, datagram.destination).await.unwrap();
                }
                Output::Event(Event::Connected) => self.is_connected = true,
                Output::Event(Event::ChannelOpen(id, _)) => (self.channel, self.is_open) = (Some(id), true),
                Output::Event(Event::ChannelData(data)) => {
                    let message: Value = serde_json::from_slice(&data.data).unwrap();
                    assert_is_of_the_server(&message);
                    self.order.check(&message);
                    self.messages.push(message);
                }
                Output::Event(_) => {}
            }
        }
    }
}

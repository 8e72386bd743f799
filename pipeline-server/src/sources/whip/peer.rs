//! One client's end of a connection: `str0m` has ICE, DTLS, SRTP and SCTP, and reads no clock and owns no socket; this hands
//! it what comes and takes away what it says. Nothing here waits.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::channel::ChannelId;
use str0m::net::{DatagramRecv, Protocol, Receive};
use str0m::rtp::RtpPacket;
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::sync::{mpsc, oneshot, watch};

use super::padding::Padding;
use super::wire::Wire;
use crate::sources::rtp::{Format, RtpInlet};

/// How long a connection may take to come about.
pub(super) const CONNECT: Duration = Duration::from_secs(15);
/// Without any datagram: a client answers checks every second, whatever it says.
const SILENCE: Duration = Duration::from_secs(12);
/// Without audio, after which there is silence instead, again and again.
const IDLE: Duration = Duration::from_millis(100);
/// For the client to take its last messages.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Messages of the client that wait to be understood.
const WAITING: usize = 64;
/// Addresses that are known of one client.
const MOST_ADDRESSES: usize = 16;

/// How far a connection is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Phase {
    /// Datagrams go both ways: audio may come any moment.
    pub(super) is_reached: bool,
    /// There is a data channel.
    pub(super) has_channel: bool,
    /// It is over.
    pub(super) gone: Option<Gone>,
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gone {
    /// The client closed it.
    Left,
    /// Nothing comes from the client any more.
    Silent,
    /// It never came about.
    NeverThere,
    /// More messages came than can be understood.
    Flooded,
    /// It broke.
    Failed(String),
}

/// What a client says.
#[derive(Debug)]
pub(super) enum Note {
    /// A text message.
    Control(String),
    /// Its audio is coded differently from now on; none is taken until [`Peer::changed`].
    Codec(Format),
}

/// What its session hears of it.
pub(super) struct Line {
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) notes: mpsc::Receiver<Note>,
}

/// See the module.
pub(super) struct Peer {
    rtc: Rtc,
    /// Where the client sends to, as far as it knows.
    local: SocketAddr,
    /// Where it sends from, the newest last.
    pub(super) addresses: Vec<SocketAddr>,
    /// Whom its STUN requests are for.
    pub(super) name: String,
    inlet: RtpInlet,
    formats: Vec<Format>,
    /// The format that the inlet takes; none while it changes.
    takes: Option<u8>,
    padding: Padding,
    phase: watch::Sender<Phase>,
    notes: mpsc::Sender<Note>,
    channel: Option<ChannelId>,
    /// The message that the channel has no room for yet.
    saying: Option<(String, oneshot::Sender<bool>)>,
    born: Instant,
    is_connected: bool,
    heard: Instant,
    /// When audio or silence came last; none before audio may come.
    sounded: Option<Instant>,
    finishing: Option<(Instant, oneshot::Sender<()>)>,
    timeout: Instant,
    is_over: bool,
}

impl Peer {
    /// With what was negotiated: `formats` by preference, of which `inlet` takes the first.
    pub(super) fn new(mut rtc: Rtc, local: SocketAddr, inlet: RtpInlet, formats: Vec<Format>) -> (Self, Line) {
        let now = Instant::now();
        let (phase, phases) = watch::channel(Phase::default());
        let (notes, noted) = mpsc::channel(WAITING);
        let peer = Self {
            name: rtc.direct_api().local_ice_credentials().ufrag,
            rtc,
            local,
            addresses: Vec::new(),
            inlet,
            takes: formats.first().map(|format| format.payload_type),
            padding: Padding::default(),
            formats,
            phase,
            notes,
            channel: None,
            saying: None,
            born: now,
            is_connected: false,
            heard: now,
            sounded: None,
            finishing: None,
            timeout: now,
            is_over: false,
        };
        (peer, Line { phase: phases, notes: noted })
    }

    /// When it has to be looked after again.
    pub(super) fn due(&self) -> Instant {
        let dead = if self.is_connected { self.heard + SILENCE } else { self.born + CONNECT };
        let dead = (self.phase.borrow().gone.is_none()).then_some(dead);
        let idle = self.sounded.map(|sounded| sounded + IDLE);
        let finish = self.finishing.as_ref().map(|(end, _)| *end);
        [dead, idle, finish].into_iter().flatten().fold(self.timeout, Instant::min)
    }

    /// Whether nobody needs it any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes a datagram that is for it; `false` if it is not.
    pub(super) fn receive(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) -> bool {
        let Ok(contents) = DatagramRecv::try_from(datagram) else { return false };
        let input =
            Input::Receive(now, Receive { proto: Protocol::Udp, source: from, destination: self.local, contents });
        if !self.rtc.accepts(&input) {
            return false;
        }
        self.heard = now;
        // A datagram that makes no sense may be anybody's; what is in earnest wrong shows when nothing comes any more.
        if let Err(error) = self.rtc.handle_input(input) {
            tracing::debug!(%error, "a datagram is not understood");
        }
        true
    }

    /// Notes an address; returns one that is to be forgotten.
    pub(super) fn seen_at(&mut self, address: SocketAddr) -> Option<SocketAddr> {
        self.addresses.push(address);
        (self.addresses.len() > MOST_ADDRESSES).then(|| self.addresses.remove(0))
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        if now >= self.timeout {
            if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
                return self.fail(error.to_string());
            }
        }
        if !self.is_connected && now >= self.born + CONNECT {
            self.end(Gone::NeverThere);
        }
        if self.is_connected && now >= self.heard + SILENCE {
            self.end(Gone::Silent);
        }
        if self.sounded.is_some_and(|sounded| now >= sounded + IDLE) {
            self.sounded = Some(now);
            self.inlet.idle();
        }
    }

    /// Another way to the client.
    pub(super) fn trickle(&mut self, candidate: Candidate) {
        self.rtc.add_remote_candidate(candidate);
    }

    /// The client has other ways from now on: takes its offer with them, and returns the answer.
    pub(super) fn restart(&mut self, offer: str0m::change::SdpOffer) -> Result<String, String> {
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(|error| error.to_string())?;
        self.name = self.rtc.direct_api().local_ice_credentials().ufrag;
        Ok(answer.to_sdp_string())
    }

    /// Sends a text message over the data channel, as soon as there is room. One at a time.
    pub(super) fn say(&mut self, text: String, said: oneshot::Sender<bool>) {
        self.saying = Some((text, said));
    }

    /// The inlet takes that format now.
    pub(super) fn changed(&mut self, payload_type: u8) {
        self.padding.restart();
        self.takes = Some(payload_type);
    }

    /// Closes the connection, once the client has its last messages.
    pub(super) fn finish(&mut self, done: oneshot::Sender<()>, now: Instant) {
        self.finishing = Some((now + LAST_WORDS, done));
    }

    /// Sends what is to be sent, and tells what happened. Has to follow everything else.
    pub(super) fn settle(&mut self, wire: &Wire, now: Instant) {
        self.drain(wire, now);
        if self.speak() {
            self.drain(wire, now);
        }
        let is_done = self.finishing.as_ref().is_some_and(|(end, _)| now >= *end) || self.has_said_all();
        if is_done && self.finishing.is_some() {
            if let Err(error) = self.rtc.close() {
                tracing::debug!(%error, "a connection can't be closed properly");
            }
            self.drain(wire, now);
            self.is_over = true;
            if let Some((_, done)) = self.finishing.take() {
                let _ = done.send(());
            }
        }
        // Its session is not there any more.
        self.is_over |= self.phase.is_closed();
    }

    /// Whether the client has all that was said.
    fn has_said_all(&mut self) -> bool {
        let gone = self.phase.borrow().gone.is_some();
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        gone || self.saying.is_none() && channel.is_none_or(|mut channel| channel.buffered_amount() == 0)
    }

    /// Tries to send what waits; `false` if there is nothing or no room.
    fn speak(&mut self) -> bool {
        let Some((text, said)) = self.saying.take() else { return false };
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        match channel.map(|mut channel| channel.write(false, text.as_bytes())) {
            Some(Ok(false)) => {
                self.saying = Some((text, said));
                false
            }
            written => {
                let is_said = matches!(written, Some(Ok(true)));
                let _ = said.send(is_said);
                is_said
            }
        }
    }

    fn drain(&mut self, wire: &Wire, now: Instant) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.timeout = at;
                    return;
                }
                Ok(Output::Transmit(datagram)) => wire.send(&datagram.contents, datagram.destination),
                Ok(Output::Event(event)) => self.happened(event, now),
                Err(error) => self.fail(error.to_string()),
            }
        }
    }

    fn happened(&mut self, event: Event, now: Instant) {
        match event {
            Event::RtpPacket(packet) => self.hear(&packet, now),
            Event::IceConnectionStateChange(state) if state.is_connected() => {
                self.sounded.get_or_insert(now);
                self.change(|phase| phase.is_reached = true);
            }
            Event::Connected => self.is_connected = true,
            Event::ChannelOpen(id, _) if self.channel.is_none() => {
                self.channel = Some(id);
                self.change(|phase| phase.has_channel = true);
            }
            Event::ChannelClose(id) if self.channel == Some(id) => self.channel = None,
            Event::ChannelData(data) if !data.binary => {
                self.note(Note::Control(String::from_utf8_lossy(&data.data).into_owned()));
            }
            Event::Closed => self.end(Gone::Left),
            _ => {}
        }
    }

    fn hear(&mut self, packet: &RtpPacket, now: Instant) {
        let number = *packet.header.payload_type;
        if self.takes == Some(number) {
            self.sounded = Some(now);
            let (timestamp, is_empty) = (packet.header.timestamp, packet.payload.is_empty());
            if let Some(sequence) = self.padding.number(*packet.seq_no, timestamp, is_empty) {
                self.inlet.push(&bytes(packet, sequence));
            }
            return;
        }
        let other = self.formats.iter().find(|format| format.payload_type == number).copied();
        if let (Some(format), Some(_)) = (other, self.takes) {
            self.takes = None;
            self.note(Note::Codec(format));
        }
    }

    fn note(&mut self, note: Note) {
        if self.notes.try_send(note).is_err() {
            self.end(Gone::Flooded);
        }
    }

    fn fail(&mut self, error: String) {
        // From now on it says nothing, but that it has nothing to do.
        self.rtc.disconnect();
        self.end(Gone::Failed(error));
    }

    fn end(&mut self, why: Gone) {
        self.sounded = None;
        self.change(|phase| {
            phase.gone.get_or_insert(why);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Phase)) {
        self.phase.send_if_modified(|phase| {
            let before = phase.clone();
            change(phase);
            *phase != before
        });
    }
}

/// A packet as it is on the wire, but for its number and without extensions, of which nobody here knows anything.
fn bytes(packet: &RtpPacket, sequence: u16) -> Vec<u8> {
    let header = &packet.header;
    let mut bytes = Vec::with_capacity(12 + packet.payload.len());
    bytes.extend([0x80, (u8::from(header.marker) << 7) | (*header.payload_type & 0x7f)]);
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(header.timestamp.to_be_bytes());
    bytes.extend((*header.ssrc).to_be_bytes());
    bytes.extend_from_slice(&packet.payload);
    bytes
}

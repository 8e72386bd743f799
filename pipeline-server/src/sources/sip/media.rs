//! The audio of a call off the network: two UDP ports, and who is believed on them.
//!
//! Packets have to come from the address that the description names or that the signalling comes from; which port, the first
//! packet tells, and then all others are dropped (symmetric RTP, RFC 4961). If that one falls silent, another port of the
//! same hosts may take over.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rtp_types::RtpPacket;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{interval, Instant};

use super::dtmf::Keys;
use crate::metrics::Metrics;
use crate::sources::rtp::RtpInlet;

/// How often it is looked whether anything comes.
const TICK: Duration = Duration::from_millis(100);
/// Without packets, after which another port may take over.
const QUIET: Duration = Duration::from_secs(2);
/// Bytes of a packet at most; those of audio are far smaller.
const LARGEST: usize = 2048;
/// What is heard beside audio and not taken yet.
const TOLD: usize = 64;

/// Ports for RTP and RTCP.
#[derive(Debug)]
pub(super) struct Ports {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// That of RTP; that of RTCP is the next.
    pub(super) port: u16,
}

impl Ports {
    /// Two that are free in a range that begins with an even one. The search begins anywhere, so that packets of a call that
    /// is over don't come to the next.
    pub(super) async fn bind(address: IpAddr, range: &RangeInclusive<u16>) -> io::Result<Self> {
        let pairs = (range.end() - range.start()).div_ceil(2);
        let first = fastrand::u16(0..pairs.max(1));
        let mut why = io::Error::from(io::ErrorKind::AddrInUse);
        for pair in (first..pairs).chain(0..first) {
            let port = range.start() + 2 * pair;
            let bind = async {
                let rtp = UdpSocket::bind((address, port)).await?;
                Ok(Self { rtp, rtcp: UdpSocket::bind((address, port + 1)).await?, port })
            };
            match bind.await {
                Ok(ports) => return Ok(ports),
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

/// What packets are expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    /// Where they come from.
    pub(super) from: Vec<IpAddr>,
    /// The number of the codec in them.
    pub(super) payload_type: u8,
    /// The number of keys in them.
    pub(super) dtmf: Option<u8>,
    /// On hold: what comes is not listened to.
    pub(super) held: bool,
}

/// What is heard beside audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// A key.
    Key(char),
    /// Nothing for too long.
    Nothing,
}

/// Listens until it is dropped.
pub(super) struct Ear {
    task: JoinHandle<()>,
    expected: watch::Sender<Expected>,
    heard: mpsc::Receiver<Heard>,
}

impl Ear {
    /// Has what comes to `ports` go to `inlet`.
    pub(super) fn listen(
        ports: Ports,
        inlet: RtpInlet,
        expected: Expected,
        timeout: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (sender, expected) = watch::channel(expected);
        let (told, heard) = mpsc::channel(TOLD);
        let listening = Listening {
            expected,
            inlet,
            told,
            timeout,
            metrics,
            keys: Keys::default(),
            learned: None,
            last: Instant::now(),
        };
        Self { task: tokio::spawn(listening.run(ports)), expected: sender, heard }
    }

    /// What is expected now.
    pub(super) fn expected(&self) -> Expected {
        self.expected.borrow().clone()
    }

    /// Something else is expected from now on.
    pub(super) fn expect(&self, expected: Expected) {
        self.expected.send_replace(expected);
    }

    /// The next thing that is heard.
    pub(super) async fn hear(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Listening {
    expected: watch::Receiver<Expected>,
    inlet: RtpInlet,
    told: mpsc::Sender<Heard>,
    timeout: Duration,
    metrics: Arc<Metrics>,
    keys: Keys,
    learned: Option<SocketAddr>,
    /// When the last packet came.
    last: Instant,
}

impl Listening {
    async fn run(mut self, ports: Ports) {
        let (mut packet, mut report) = ([0; LARGEST], [0; LARGEST]);
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                received = ports.rtp.recv_from(&mut packet) => {
                    // An error is what came back of nothing that we sent: the next one.
                    if let Ok((length, from)) = received {
                        self.take(&packet[..length], from);
                    }
                }
                // Reports are taken so that nobody is told that the port is closed.
                _ = ports.rtcp.recv_from(&mut report) => {}
                changed = self.expected.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // It may come from somewhere else now.
                    self.learned = None;
                    self.last = Instant::now();
                }
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], from: SocketAddr) {
        let Ok(packet) = RtpPacket::parse(bytes) else { return self.metrics.rtp_dropped("malformed") };
        let expected = self.expected.borrow_and_update().clone();
        let payload_type = packet.payload_type();
        if !self.is_believed(from, &expected) {
            return self.metrics.rtp_dropped("foreign");
        }
        let is_audio = payload_type == expected.payload_type;
        let is_key = Some(payload_type) == expected.dtmf;
        // Comfort noise (13, and 19 of old) is a sign of life and of silence.
        if !is_audio && !is_key && !matches!(payload_type, 13 | 19) {
            return self.metrics.rtp_dropped("unexpected");
        }
        self.learned = Some(from);
        if is_key {
            if let Some(digit) = self.keys.pressed(packet.timestamp(), packet.payload()) {
                let _ = self.told.try_send(Heard::Key(digit));
            }
        }
        if is_audio && !expected.held {
            self.inlet.push(bytes);
        }
        self.last = Instant::now();
    }

    fn is_believed(&self, from: SocketAddr, expected: &Expected) -> bool {
        match self.learned {
            Some(learned) if learned == from => true,
            Some(_) if self.last.elapsed() < QUIET => false,
            _ => expected.from.contains(&from.ip()),
        }
    }

    fn tick(&mut self) {
        let quiet = self.last.elapsed();
        let held = self.expected.borrow().held;
        if quiet >= TICK || held {
            self.inlet.idle();
        }
        if held {
            self.last = Instant::now();
        } else if quiet >= self.timeout {
            self.last = Instant::now();
            let _ = self.told.try_send(Heard::Nothing);
        }
    }
}

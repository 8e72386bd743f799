//! The task that owns the UDP socket and all peers. Datagrams come in, and commands from those who serve the sessions; it
//! waits for nothing else, and does what the peers have to do in time.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};

use str0m::change::SdpOffer;
use str0m::Candidate;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::peer::Peer;
use super::stun;
use super::wire::Wire;

/// Bytes of a datagram at most.
const LONGEST: usize = 2_000;
/// Datagrams that are taken before anybody else gets a turn.
const BATCH: usize = 64;
/// Commands that wait; who has one more waits.
const WAITING: usize = 256;
/// Where there are no peers, until it looks again.
const NEVER: Duration = Duration::from_secs(3_600);
/// Behind an error of the socket.
const PAUSE: Duration = Duration::from_millis(100);

/// What it is asked for.
enum Command {
    Add(Uuid, Box<Peer>),
    Trickle(Uuid, Vec<Candidate>),
    Restart(Uuid, Box<SdpOffer>, oneshot::Sender<Result<String, String>>),
    Say(Uuid, String, oneshot::Sender<bool>),
    Changed(Uuid, u8),
    Finish(Uuid, oneshot::Sender<()>),
}

/// The way to it. Each call waits while it has enough to do.
#[derive(Clone)]
pub(super) struct Agent(mpsc::Sender<Command>);

impl Agent {
    /// Starts it; it ends when nobody has the way to it any more.
    pub(super) fn start(wire: Wire) -> Self {
        let (commands, commanded) = mpsc::channel(WAITING);
        let peers =
            Peers { wire, all: HashMap::new(), names: HashMap::new(), addresses: HashMap::new(), due: BTreeSet::new() };
        tokio::spawn(run(peers, commanded));
        Self(commands)
    }

    /// Looks after a peer from now on.
    pub(super) async fn add(&self, id: Uuid, peer: Peer) -> bool {
        self.0.send(Command::Add(id, Box::new(peer))).await.is_ok()
    }

    /// A peer can be reached in other ways, too.
    pub(super) async fn trickle(&self, id: Uuid, candidates: Vec<Candidate>) {
        let _ = self.0.send(Command::Trickle(id, candidates)).await;
    }

    /// A peer is reached in other ways from now on; returns the answer to its renewed offer. None where it is gone.
    pub(super) async fn restart(&self, id: Uuid, offer: SdpOffer) -> Option<Result<String, String>> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Command::Restart(id, Box::new(offer), answer)).await.ok()?;
        answered.await.ok()
    }

    /// Sends a peer a text message, and waits until there is room for it; `false` if it has no data channel any more.
    pub(super) async fn say(&self, id: Uuid, text: String) -> bool {
        let (said, answer) = oneshot::channel();
        let _ = self.0.send(Command::Say(id, text, said)).await;
        answer.await.unwrap_or(false)
    }

    /// A peer's inlet takes that format now.
    pub(super) async fn changed(&self, id: Uuid, payload_type: u8) {
        let _ = self.0.send(Command::Changed(id, payload_type)).await;
    }

    /// Lets go of a peer, and waits until it has its last messages.
    pub(super) async fn finish(&self, id: Uuid) {
        let (done, is_done) = oneshot::channel();
        let _ = self.0.send(Command::Finish(id, done)).await;
        let _ = is_done.await;
    }
}

/// All peers, and how they are found.
struct Peers {
    wire: Wire,
    all: HashMap<Uuid, (Box<Peer>, Instant)>,
    /// By the name that their STUN requests are for.
    names: HashMap<String, Uuid>,
    /// By where they send from.
    addresses: HashMap<SocketAddr, Uuid>,
    /// Who has to be looked after when.
    due: BTreeSet<(Instant, Uuid)>,
}

async fn run(mut peers: Peers, mut commands: mpsc::Receiver<Command>) {
    let mut buffer = [0; LONGEST];
    loop {
        let next = peers.due.first().map_or_else(|| Instant::now() + NEVER, |(at, _)| *at);
        tokio::select! {
            came = peers.wire.receive(&mut buffer) => match came {
                Ok((length, from)) => {
                    peers.receive(from, &buffer[..length]);
                    for _ in 1..BATCH {
                        let Some((length, from)) = peers.wire.try_receive(&mut buffer) else { break };
                        peers.receive(from, &buffer[..length]);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "no datagrams can be received");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            command = commands.recv() => match command {
                Some(command) => peers.obey(command),
                None => return,
            },
            () = tokio::time::sleep_until(next.into()) => {}
        }
        peers.look_after();
    }
}

impl Peers {
    fn receive(&mut self, from: SocketAddr, datagram: &[u8]) {
        let named = stun::addressee(datagram).and_then(|name| self.names.get(name)).copied();
        let known = self.addresses.get(&from).copied();
        // Only a request that names its peer may come from an address that is not known.
        let Some(id) = named.or(known) else { return };
        let now = Instant::now();
        let mut is_theirs = false;
        self.turn(id, now, |peer| is_theirs = peer.receive(from, datagram, now));
        if is_theirs && known != Some(id) {
            self.addresses.insert(from, id);
            let forgotten = self.all.get_mut(&id).and_then(|(peer, _)| peer.seen_at(from));
            if let Some(address) = forgotten {
                self.addresses.remove(&address);
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Add(id, peer) => {
                self.names.insert(peer.name.clone(), id);
                self.due.insert((now, id));
                self.all.insert(id, (peer, now));
            }
            Command::Trickle(id, candidates) => {
                for candidate in candidates {
                    self.turn(id, now, |peer| peer.trickle(candidate));
                }
            }
            Command::Restart(id, offer, answer) => {
                let before = self.all.get(&id).map(|(peer, _)| peer.name.clone());
                let mut answered = None;
                self.turn(id, now, |peer| answered = Some(peer.restart(*offer)));
                if let (Some(before), Some((peer, _))) = (before, self.all.get(&id)) {
                    self.names.remove(&before);
                    self.names.insert(peer.name.clone(), id);
                }
                if let Some(answered) = answered {
                    let _ = answer.send(answered);
                }
            }
            Command::Say(id, text, said) => self.turn(id, now, |peer| peer.say(text, said)),
            Command::Changed(id, payload_type) => self.turn(id, now, |peer| peer.changed(payload_type)),
            Command::Finish(id, done) => self.turn(id, now, |peer| peer.finish(done, now)),
        }
    }

    fn look_after(&mut self) {
        let now = Instant::now();
        while let Some((at, id)) = self.due.first().copied() {
            if at > now {
                return;
            }
            self.due.pop_first();
            self.turn(id, now, |peer| peer.tick(now));
        }
    }

    /// Has something happen to a peer, and sees to what follows from it.
    fn turn(&mut self, id: Uuid, now: Instant, act: impl FnOnce(&mut Peer)) {
        let Some((peer, due)) = self.all.get_mut(&id) else { return };
        let wire = &self.wire;
        // What breaks over something that one client sent must not take all others along.
        let turned = catch_unwind(AssertUnwindSafe(|| {
            act(peer);
            peer.settle(wire, now);
        }));
        self.due.remove(&(*due, id));
        if turned.is_err() {
            tracing::error!("a WebRTC connection broke over something that its client sent");
        }
        if turned.is_err() || peer.is_over() {
            return self.forget(id);
        }
        *due = peer.due();
        self.due.insert((*due, id));
    }

    fn forget(&mut self, id: Uuid) {
        let Some((peer, _)) = self.all.remove(&id) else { return };
        self.names.remove(&peer.name);
        for address in &peer.addresses {
            // Another peer may have it by now.
            if self.addresses.get(address) == Some(&id) {
                self.addresses.remove(address);
            }
        }
    }
}

//! A network between a WebRTC client and the server that loses datagrams.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// Of a thousand.
const WHOLE: u64 = 1_000;

/// Datagrams that come to `address` get to the server and the answers back, but for those that are lost.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    came: AtomicU64,
    lost: AtomicU64,
    state: AtomicU64,
}

impl Counts {
    /// Whether the next datagram is lost: by chance, but the same chance each time.
    fn loses(&self, of_thousand: u64) -> bool {
        // Knuth's generator; its high bits are good enough for this.
        let next = |state: u64| state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let state = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |s| Some(next(s))).unwrap();
        let lost = (next(state) >> 33) % WHOLE < of_thousand;
        self.came.fetch_add(1, Ordering::Relaxed);
        self.lost.fetch_add(u64::from(lost), Ordering::Relaxed);
        lost
    }
}

impl Relay {
    /// Loses so many of a thousand, each way.
    pub(crate) async fn start(server: SocketAddr, of_thousand: u64) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let (address, counts) = (front.local_addr().unwrap(), Arc::new(Counts::default()));
        let mut tasks = JoinSet::new();
        let counting = counts.clone();
        tasks.spawn(async move {
            let backs: Mutex<HashMap<SocketAddr, Arc<UdpSocket>>> = Mutex::default();
            let mut ways = JoinSet::new();
            let mut datagram = [0; 2_000];
            loop {
                let Ok((length, client)) = front.recv_from(&mut datagram).await else { continue };
                let known = backs.lock().unwrap().get(&client).cloned();
                let back = match known {
                    Some(back) => back,
                    None => {
                        let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                        backs.lock().unwrap().insert(client, back.clone());
                        ways.spawn(answers(back.clone(), front.clone(), client, counting.clone(), of_thousand));
                        back
                    }
                };
                if !counting.loses(of_thousand) {
                    let _ = back.send_to(&datagram[..length], server).await;
                }
            }
        });
        Self { address, counts, _tasks: tasks }
    }

    /// Percent that were lost so far.
    pub(crate) fn lost(&self) -> f64 {
        100.0 * self.counts.lost.load(Ordering::Relaxed) as f64 / self.counts.came.load(Ordering::Relaxed) as f64
    }
}

async fn answers(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    counts: Arc<Counts>,
    of_thousand: u64,
) {
    let mut datagram = [0; 2_000];
    loop {
        let Ok((length, _)) = back.recv_from(&mut datagram).await else { continue };
        if !counts.loses(of_thousand) {
            let _ = front.send_to(&datagram[..length], client).await;
        }
    }
}

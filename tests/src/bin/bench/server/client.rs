//! A client that speaks at the pace of speech: samples up, messages down with the moments at which they came.

use std::time::Duration;

use anyhow::{bail, Context, Result};
use e2e_tests::audio::{seconds, SAMPLE_RATE};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::time::{interval_at, timeout, Instant};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// 100 ms of audio, as the peers got it.
const PACKET: usize = SAMPLE_RATE as usize / 10;
const EVERY: Duration = Duration::from_millis(100);
/// For a connection and its first message.
const CONNECT: Duration = Duration::from_secs(20);
/// So long behind the end of the audio the rest of the text may come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message of the server.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    /// When it came, in seconds since the first sample was spoken.
    pub(super) at: f64,
    /// What it is.
    pub(super) message: Value,
}

/// Speaks and returns all that was heard until the connection ended, or patience did.
pub(super) async fn speak(url: &str, samples: &[f32]) -> Result<Vec<Heard>> {
    let connected = timeout(CONNECT, connect_async(url)).await.context("no connection in time")?;
    let (mut up, mut down) = connected.context("no connection")?.0.split();
    let first = timeout(CONNECT, down.next()).await.context("no first message in time")?;
    let first = first.context("the connection ended at once")??;
    if json(&first)?["type"] != "ready" {
        bail!("not ready: {first}");
    }

    let started = Instant::now();
    let speaking = async {
        // A packet can be sent when its last sample was spoken.
        let mut pace = interval_at(started + EVERY, EVERY);
        for packet in samples.chunks(PACKET) {
            pace.tick().await;
            let bytes: Vec<u8> = packet.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            up.send(Message::Binary(bytes.into())).await?;
        }
        up.send(Message::Text(r#"{"type":"close"}"#.into())).await
    };
    let mut heard = Vec::new();
    let listening = async {
        while let Some(message) = down.next().await {
            let message = message?;
            if message.is_text() {
                heard.push(Heard { at: started.elapsed().as_secs_f64(), message: json(&message)? });
            }
        }
        anyhow::Ok(())
    };
    let limit = Duration::from_secs_f64(seconds(samples.len())) + PATIENCE;
    // Out of patience: what is missing is seen in what was heard.
    if let Ok((spoken, listened)) = timeout(limit, async { tokio::join!(speaking, listening) }).await {
        spoken.context("the audio was not taken")?;
        listened.context("the connection broke")?;
    }
    Ok(heard)
}

fn json(message: &Message) -> Result<Value> {
    let text = message.to_text().context("a message that is no text")?;
    serde_json::from_str(text).with_context(|| format!("a message that is no JSON: {text}"))
}

//! Sends raw audio from standard input (mono, 16 kHz, 32-bit floats) to pipeline-server and prints what comes back.

use std::error::Error;
use std::io::{self, Read};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// 0.1 s.
const CHUNK: u64 = 6_400;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:8765/ws/transcribe".into());
    let (socket, _) = connect_async(url).await?;
    let (mut sink, mut stream) = socket.split();

    // Standard input has a thread of its own: reading it can't be broken off.
    let (read, mut chunks) = mpsc::channel(1);
    std::thread::spawn(move || loop {
        let mut chunk = Vec::new();
        let got = io::stdin().lock().take(CHUNK).read_to_end(&mut chunk);
        if !matches!(got, Ok(1..)) || read.blocking_send(chunk).is_err() {
            break;
        }
    });
    let sending = tokio::spawn(async move {
        while let Some(chunk) = chunks.recv().await {
            sink.send(Message::Binary(chunk.into())).await?;
        }
        sink.send(Message::Text(r#"{"type":"close"}"#.into())).await
    });

    while let Some(message) = stream.next().await {
        let Message::Text(text) = message? else { continue };
        let event: Value = serde_json::from_str(&text)?;
        let said = event["text"].as_str().unwrap_or_default();
        match event["type"].as_str() {
            Some("partial") => println!("... {said}"),
            Some("final") => println!("> {said}"),
            Some("error") => println!("! {}", event["problem"]["detail"]),
            _ => {}
        }
    }
    sending.await??;
    Ok(())
}

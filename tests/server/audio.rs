//! Audio in every encoding, and cut in every way.

use e2e_tests::audio::{mulaw_encode, resample, to_i16};
use e2e_tests::clips::named;

use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::verdict::words_are_right;

const CLIP: &str = "librivox-sense-0920";

fn s16le(samples: &[f32]) -> Vec<u8> {
    to_i16(samples).iter().flat_map(|s| s.to_le_bytes()).collect()
}

/// In messages of so many bytes.
fn cut(bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
    bytes.chunks(size).map(<[u8]>::to_vec).collect()
}

/// G.711 A-law.
fn alaw(sample: f32) -> u8 {
    let linear = (sample.clamp(-1.0, 1.0) * 32_635.0) as i32;
    let (sign, magnitude) = if linear < 0 { (0, -linear - 1) } else { (0x80, linear) };
    let magnitude = magnitude >> 4;
    let code = if magnitude < 32 {
        magnitude >> 1
    } else {
        let exponent = 31 - magnitude.leading_zeros() as i32 - 4;
        ((exponent) << 4) | ((magnitude >> exponent) & 0x0f)
    };
    (sign | code as u8) ^ 0x55
}

#[tokio::test]
async fn integers_at_48_khz_in_stereo_are_heard() {
    let server = Server::start(&[]);
    let clip = named(CLIP);
    let stereo: Vec<f32> = resample(&clip.samples, 16_000, 48_000).iter().flat_map(|s| [*s, *s]).collect();
    let client = Client::connect(&server, "encoding=s16le&sample_rate=48000&channels=2").await;
    let messages = client.transcribe(cut(&s16le(&stereo), 9_600)).await;
    words_are_right(&clip.text, &messages, 0.0);
}

#[tokio::test]
async fn telephone_audio_is_heard() {
    let server = Server::start(&[]);
    let clip = named(CLIP);
    let narrow = resample(&clip.samples, 16_000, 8_000);
    let alaw: Vec<u8> = narrow.iter().map(|s| alaw(*s)).collect();
    for (encoding, bytes) in [("mulaw", mulaw_encode(&narrow)), ("alaw", alaw)] {
        let client = Client::connect(&server, &format!("encoding={encoding}&sample_rate=8000")).await;
        let messages = client.transcribe(cut(&bytes, 160)).await;
        words_are_right(&clip.text, &messages, 15.0);
    }
}

#[tokio::test]
async fn the_cutting_into_messages_changes_nothing() {
    let server = Server::start(&[]);
    let clip = named(CLIP);
    let bytes: Vec<u8> = clip.samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let mut texts = Vec::new();
    for size in [4 * 37, 4 * 1_600, 4 * 100_000] {
        let client = Client::connect(&server, "partials=none").await;
        let messages = client.transcribe(cut(&bytes, size)).await;
        words_are_right(&clip.text, &messages, 0.0);
        let last = messages.iter().find(|m| m["type"] == "final").unwrap();
        texts.push((last["text"].clone(), last["start"].clone(), last["end"].clone()));
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "{texts:#?}");
}

//! Recordings: a file in, samples at 16 kHz mono out.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Result};

/// The only rate that the element takes.
pub const RATE: u32 = 16_000;

/// Reads WAV (16-bit or float), FLAC, or raw F32LE samples; which one, the file's ending says.
pub fn read(path: &Path) -> Result<Vec<f32>> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("wav") => read_wav(path),
        Some("flac") => read_flac(path),
        _ => {
            let bytes = fs::read(path)?;
            let sample = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            Ok(bytes.chunks_exact(4).map(sample).collect())
        }
    }
}

fn read_wav(path: &Path) -> Result<Vec<f32>> {
    let mut reader = hound::WavReader::open(path)?;
    let spec = reader.spec();
    check(spec.channels.into(), spec.sample_rate)?;
    Ok(match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>()?,
        hound::SampleFormat::Int => {
            let full_scale = full_scale(spec.bits_per_sample.into());
            let samples = reader.samples::<i32>();
            samples.map(|s| s.map(|s| s as f32 / full_scale)).collect::<Result<_, _>>()?
        }
    })
}

fn read_flac(path: &Path) -> Result<Vec<f32>> {
    let mut reader = claxon::FlacReader::open(path)?;
    let info = reader.streaminfo();
    check(info.channels, info.sample_rate)?;
    let full_scale = full_scale(info.bits_per_sample);
    let samples = reader.samples();
    Ok(samples.map(|s| s.map(|s| s as f32 / full_scale)).collect::<Result<_, _>>()?)
}

fn check(channels: u32, rate: u32) -> Result<()> {
    ensure!((channels, rate) == (1, RATE), "{channels} channels at {rate} Hz instead of one at {RATE} Hz");
    Ok(())
}

fn full_scale(bits: u32) -> f32 {
    (1_u64 << (bits - 1)) as f32
}

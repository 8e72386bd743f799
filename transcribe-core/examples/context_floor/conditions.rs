//! Speech as it is heard under hard conditions.

use std::process::Command;

use crate::common::Clip;
use crate::sound;

/// The clips as they are heard under `name`; none if they can't be made here.
pub(crate) fn condition(name: &str, clips: &[Clip]) -> Vec<Clip> {
    if let Some(voice) = name.strip_prefix("flite-") {
        return clips.iter().filter_map(|clip| flite(voice, clip)).collect();
    }
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let decibels: f32 = digits.parse().unwrap_or(0.0);
    let degrade = |(n, clip): (usize, &Clip)| {
        let (seed, samples) = (n as u64 + 1, clip.audio.len());
        let others: Vec<&[f32]> = clips.iter().filter(|c| c.name != clip.name).map(|c| &c.audio[..]).collect();
        let noise = match name.trim_end_matches(digits) {
            "white" => sound::white(samples, seed),
            "pink" => sound::pink(samples, seed),
            "babble" => sound::babble(samples, &others, seed),
            "music" => sound::music(samples, seed),
            "reverb" => return Clip { audio: sound::reverberant(&clip.audio, seed), ..clip.clone() },
            _ => return clip.clone(),
        };
        Clip { audio: sound::mixed(&clip.audio, &noise, decibels), ..clip.clone() }
    };
    clips.iter().enumerate().map(degrade).collect()
}

/// The clip's text in the voice of `flite`, whose RIFF files hold 16-bit samples behind a header of 44 bytes.
fn flite(voice: &str, clip: &Clip) -> Option<Clip> {
    let file = std::env::temp_dir().join(format!("context-floor-{}.wav", std::process::id()));
    let status = Command::new("flite").args(["-voice", voice, "-t", &clip.text, "-o"]).arg(&file).status().ok()?;
    let bytes = status.success().then(|| std::fs::read(&file).ok()).flatten()?;
    std::fs::remove_file(&file).ok()?;
    let rate = u32::from_le_bytes(bytes.get(24..28)?.try_into().ok()?) as f64;
    let samples: Vec<f32> =
        bytes.get(44..)?.chunks_exact(2).map(|s| f32::from(i16::from_le_bytes([s[0], s[1]])) / 32_768.0).collect();
    let length = (samples.len() as f64 * 16_000.0 / rate) as usize;
    let audio: Vec<f32> =
        (0..length).filter_map(|n| samples.get((n as f64 * rate / 16_000.0) as usize)).copied().collect();
    (!audio.is_empty()).then(|| Clip { audio, ..clip.clone() })
}

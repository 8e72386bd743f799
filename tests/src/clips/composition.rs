//! Signals composed of clips and gaps, with the truth about them: which words, from when to when.

use super::{all, Clip};
use crate::audio::{self, mix_at_snr, silence, Room};

/// One utterance of a composed signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    /// The clip's name.
    pub name: String,
    /// What is said.
    pub text: String,
    /// Start of the speech in the composed signal, in seconds.
    pub start: f64,
    /// End of the speech in the composed signal, in seconds.
    pub end: f64,
}

/// A signal that grows piece by piece and keeps its truth.
///
/// ```
/// use e2e_tests::audio::pink_noise;
/// use e2e_tests::clips::{named, Composition};
///
/// let signal = Composition::new()
///     .silence(1.0)
///     .clip(named("jfk-inaugural"))
///     .sound(&pink_noise(-40.0, 2.0, 1))
///     .clip(named("librivox-sense-0880"));
/// assert_eq!(signal.spoken.len(), 2);
/// assert!(signal.spoken[1].start > 14.0);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Composition {
    /// Mono at 16 kHz.
    pub samples: Vec<f32>,
    /// The utterances in it, in order.
    pub spoken: Vec<Spoken>,
}

impl Composition {
    /// An empty signal.
    pub fn new() -> Self {
        Self::default()
    }

    /// 1 s of silence and the seven clips with 1.5 s of silence after each, 58.9 s together: what is measured most.
    pub fn long() -> Self {
        Self::new().silence(1.0).clips(all(), 1.5)
    }

    /// Appends clips with a pause of so many seconds after each.
    pub fn clips<'a>(self, clips: impl IntoIterator<Item = &'a Clip>, pause: f64) -> Self {
        clips.into_iter().fold(self, |signal, clip| signal.clip(clip).silence(pause))
    }

    /// Appends a clip.
    pub fn clip(mut self, clip: &Clip) -> Self {
        let offset = self.seconds();
        self.samples.extend(&clip.samples);
        self.spoken.push(Spoken {
            name: clip.name.clone(),
            text: clip.text.clone(),
            start: offset + clip.speech.start,
            end: offset + clip.speech.end,
        });
        self
    }

    /// Appends silence.
    pub fn silence(self, seconds: f64) -> Self {
        self.sound(&silence(seconds))
    }

    /// Appends something in which nobody speaks: noise, music …
    pub fn sound(mut self, samples: &[f32]) -> Self {
        self.samples.extend(samples);
        self
    }

    /// Mixes noise into all of it, `snr_db` below the speech; the noise is looped.
    pub fn with_noise(mut self, noise: &[f32], snr_db: f32) -> Self {
        self.samples = mix_at_snr(&self.samples, noise, snr_db);
        self
    }

    /// Puts all of it into a room. The truth is that of the direct sound.
    pub fn in_room(mut self, room: &Room) -> Self {
        self.samples = room.reverberate(&self.samples);
        self
    }

    /// Makes all of it louder.
    pub fn with_gain(mut self, db: f32) -> Self {
        self.samples = audio::gain(&self.samples, db);
        self
    }

    /// Sends all of it through a telephone line (8 kHz, µ-law).
    pub fn through_telephone(mut self) -> Self {
        self.samples = audio::through_mulaw(&self.samples, audio::SAMPLE_RATE);
        self
    }

    /// Duration in seconds.
    pub fn seconds(&self) -> f64 {
        audio::seconds(self.samples.len())
    }

    /// All that is said.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.spoken.iter().map(|spoken| spoken.text.as_str()).collect();
        texts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{level, pink_noise, samples};

    #[test]
    fn long_has_seven_utterances_of_128_words() {
        let long = Composition::long();
        assert!((long.seconds() - 58.9).abs() < 0.05, "{}", long.seconds());
        assert_eq!(long.spoken.len(), 7);
        assert_eq!(long.text().split_whitespace().count(), 128);
    }

    #[test]
    fn the_truth_is_where_the_energy_is() {
        let long = Composition::long();
        let part = |from: f64, to: f64| &long.samples[samples(from)..samples(to)];
        let mut before = -1.0;
        for spoken in &long.spoken {
            let speech = level(part(spoken.start, spoken.end));
            assert!(level(part(before + 1.0, spoken.start)) < speech - 20.0, "{spoken:?}");
            assert!(level(part(spoken.start, spoken.start + 0.2)) > speech - 12.0, "{spoken:?}");
            before = spoken.end;
        }
    }

    #[test]
    fn spoiling_keeps_length_and_truth() {
        let clean = Composition::new().silence(0.5).clip(super::super::named("librivox-sense-0880"));
        let spoilt = clean
            .clone()
            .in_room(&Room::new(0.5, 1))
            .with_noise(&pink_noise(-30.0, 1.0, 1), 10.0)
            .through_telephone()
            .with_gain(-6.0);
        assert_eq!(spoilt.spoken, clean.spoken);
        assert_eq!(spoilt.samples.len(), clean.samples.len());
        assert_ne!(spoilt.samples, clean.samples);
    }
}

//! Other sample formats: 16-bit, G.711 µ-law, several channels.

use super::resample;

/// 16-bit samples; values beyond full scale are clipped.
pub fn to_i16(signal: &[f32]) -> Vec<i16> {
    signal.iter().map(|s| (s * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16).collect()
}

/// Floating-point samples of 16-bit ones.
pub fn from_i16(signal: &[i16]) -> Vec<f32> {
    signal.iter().map(|s| f32::from(*s) / 32_768.0).collect()
}

/// Channels of one length to frames: left, right, left, right …
pub fn interleave(channels: &[&[f32]]) -> Vec<f32> {
    let frames = channels.iter().map(|channel| channel.len()).min().unwrap_or(0);
    (0..frames).flat_map(|frame| channels.iter().map(move |channel| channel[frame])).collect()
}

/// Added to the magnitude before its logarithm is taken (G.711, µ-law, at 16 bits).
const MULAW_BIAS: i32 = 132;
/// The greatest magnitude that can be encoded.
const MULAW_LIMIT: i32 = 32_635;

/// G.711 µ-law octets of a signal, whatever its rate.
pub fn mulaw_encode(signal: &[f32]) -> Vec<u8> {
    let encode = |sample: i16| {
        let magnitude = i32::from(sample).abs().min(MULAW_LIMIT) + MULAW_BIAS;
        // The magnitude has 8 to 15 bits now: the position of the first is the segment, the next four the step.
        let segment = (24 - magnitude.leading_zeros()) as i32;
        let step = (magnitude >> (segment + 3)) & 0x0f;
        let sign = if sample < 0 { 0x80 } else { 0 };
        !((sign | (segment << 4) | step) as u8)
    };
    to_i16(signal).into_iter().map(encode).collect()
}

/// The signal of G.711 µ-law octets.
pub fn mulaw_decode(octets: &[u8]) -> Vec<f32> {
    let decode = |octet: &u8| {
        let code = i32::from(!octet);
        let (segment, step) = ((code >> 4) & 0x07, code & 0x0f);
        let magnitude = (((step << 3) + MULAW_BIAS) << segment) - MULAW_BIAS;
        if code & 0x80 == 0 {
            magnitude as i16
        } else {
            -magnitude as i16
        }
    };
    from_i16(&octets.iter().map(decode).collect::<Vec<i16>>())
}

/// A signal as it sounds after a telephone line: 8 kHz and µ-law, back at the rate it came with.
pub fn through_mulaw(signal: &[f32], rate: u32) -> Vec<f32> {
    let line = mulaw_decode(&mulaw_encode(&resample(signal, rate, 8_000)));
    let mut out = resample(&line, 8_000, rate);
    out.resize(signal.len(), 0.0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{level, sine, white_noise, SAMPLE_RATE};

    #[test]
    fn sixteen_bits_are_kept_and_clipped() {
        let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        assert_eq!(to_i16(&from_i16(&all)), all);
        assert_eq!(to_i16(&[1.5, -1.5]), [i16::MAX, i16::MIN]);
    }

    #[test]
    fn mulaw_has_the_codes_of_g711() {
        assert_eq!(mulaw_encode(&[0.0]), [0xff]);
        assert_eq!(mulaw_encode(&[1.0, -1.0]), [0x80, 0x00]);
        assert_eq!(mulaw_decode(&[0xff, 0x7f]), [0.0, 0.0]);
        assert_eq!(to_i16(&mulaw_decode(&[0x80, 0x00])), [32_124, -32_124]);
    }

    #[test]
    fn decoded_mulaw_is_encoded_to_itself() {
        // 0x7f is a second zero.
        for octet in (0..=u8::MAX).filter(|octet| *octet != 0x7f) {
            assert_eq!(mulaw_encode(&mulaw_decode(&[octet])), [octet]);
        }
    }

    #[test]
    fn mulaw_noise_is_38_db_down() {
        let signal = white_noise(-20.0, 1.0, 1);
        let noise: Vec<f32> =
            mulaw_decode(&mulaw_encode(&signal)).iter().zip(&signal).map(|(out, s)| out - s).collect();
        assert!((level(&signal) - level(&noise) - 38.0).abs() < 2.0);
    }

    #[test]
    fn a_telephone_line_keeps_length_and_low_tones_and_loses_high_ones() {
        let low = sine(1000.0, -10.0, 0.5);
        let high = sine(5000.0, -10.0, 0.5);
        assert_eq!(through_mulaw(&low, SAMPLE_RATE).len(), low.len());
        assert!((level(&through_mulaw(&low, SAMPLE_RATE)) - level(&low)).abs() < 0.2);
        assert!(level(&through_mulaw(&high, SAMPLE_RATE)) < level(&high) - 40.0);
    }

    #[test]
    fn channels_alternate() {
        assert_eq!(interleave(&[&[1.0, 2.0], &[3.0, 4.0]]), [1.0, 3.0, 2.0, 4.0]);
    }
}

//! The mel filters, where a model's files don't bring them: triangles on Slaney's mel scale, each of the same area, as
//! librosa makes them and OpenAI's `mel_filters.npz` has them.

/// Frequencies of the spectrum, from 0 to 8 kHz.
pub(crate) const FREQUENCIES: usize = 201;
/// The highest.
const NYQUIST: f64 = 8_000.0;
/// Up to here a mel is 200/3 Hz, above it the 27th part of a factor of 6.4.
const BREAK: f64 = 1_000.0;
const LINEAR: f64 = 200.0 / 3.0;

/// Filters for `bands` mel bands: rows of [`FREQUENCIES`] weights.
pub(crate) fn slaney(bands: usize) -> Vec<f32> {
    let step = mel(NYQUIST) / (bands + 1) as f64;
    let corner = |n: usize| hertz(step * n as f64);
    let row = |band: usize| {
        let (low, middle, high) = (corner(band), corner(band + 1), corner(band + 2));
        (0..FREQUENCIES).map(move |n| {
            let frequency = NYQUIST * n as f64 / (FREQUENCIES - 1) as f64;
            let (rise, fall) = ((frequency - low) / (middle - low), (high - frequency) / (high - middle));
            (rise.min(fall).max(0.0) * 2.0 / (high - low)) as f32
        })
    };
    (0..bands).flat_map(row).collect()
}

fn mel(hertz: f64) -> f64 {
    BREAK / LINEAR + 27.0 * (hertz / BREAK).ln() / 6.4f64.ln()
}

fn hertz(mel: f64) -> f64 {
    let straight = LINEAR * mel;
    if straight < BREAK {
        straight
    } else {
        BREAK * (6.4f64.ln() / 27.0 * (mel - BREAK / LINEAR)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `whisper/assets/mel_filters.npz` of openai-whisper 20250625: bands, then of some rows the row's number, its
    /// first frequency that counts, and the weights from there on.
    const REFERENCE: &str = include_str!("filters.tsv");

    #[test]
    fn they_are_whispers() {
        let mut rows = [0, 0];
        for line in REFERENCE.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            let mut whole = || fields.next().unwrap().parse::<usize>().unwrap();
            let (bands, row, first) = (whole(), whole(), whole());
            let weights: Vec<f32> = fields.map(|field| field.parse().unwrap()).collect();
            let ours = &slaney(bands)[row * FREQUENCIES..][..FREQUENCIES];
            for (n, ours) in ours.iter().enumerate() {
                let theirs = n.checked_sub(first).and_then(|n| weights.get(n)).copied().unwrap_or(0.0);
                assert!((ours - theirs).abs() < 1e-7, "{bands} bands, row {row}, {n}: {ours} {theirs}");
            }
            rows[usize::from(bands == 128)] += 1;
        }
        assert_eq!(rows, [80, 128]);
    }

    #[test]
    fn they_are_those_of_the_ggml_file() {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ggml-tiny.en-q8_0.bin");
        let file = crate::models::ggml::GgmlFile::open(model.as_ref()).unwrap();
        assert_eq!(file.filters().len(), slaney(80).len());
        assert!(file.filters().iter().zip(slaney(80)).all(|(a, b)| (a - b).abs() < 1e-7));
    }
}

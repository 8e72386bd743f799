//! From logits to choices: tokens that must not come, log-probabilities, the likeliest, random ones.

use super::tokens::Tokens;

/// Log-probability of a token that must not come.
pub(super) const NEVER: f32 = f32::NEG_INFINITY;

/// Takes away the tokens that must not come: all special ones but the end and timestamps, signs that nobody says if
/// `annotations` are to be suppressed, and at the start the end and a space alone (`SuppressBlank`, `SuppressTokens` in
/// `whisper/decoding.py`).
pub(super) fn suppress(logits: &mut [f32], tokens: &Tokens, at_start: bool, annotations: bool) {
    let signs = tokens.annotations().iter().filter(|_| annotations);
    let start = tokens.at_start().iter().filter(|_| at_start);
    for token in tokens.never().iter().chain(signs).chain(start) {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit = NEVER;
        }
    }
}

/// Logarithm of the sum of the exponentials: what makes log-probabilities of logits.
pub(super) fn log_sum(logits: &[f32]) -> f32 {
    let highest = highest(logits);
    // Several sums at once, which the compiler makes vector code of.
    let mut sums = [0.0f32; 16];
    let chunks = logits.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|logit| exp(logit - highest)).sum();
    for chunk in chunks {
        for (sum, logit) in sums.iter_mut().zip(chunk) {
            *sum += exp(logit - highest);
        }
    }
    highest + (sums.iter().sum::<f32>() + rest).ln()
}

pub(super) fn highest(logits: &[f32]) -> f32 {
    let mut peaks = [NEVER; 16];
    let chunks = logits.chunks_exact(16);
    let rest = chunks.remainder().iter().copied().fold(NEVER, f32::max);
    for chunk in chunks {
        for (peak, logit) in peaks.iter_mut().zip(chunk) {
            *peak = if *logit > *peak { *logit } else { *peak };
        }
    }
    peaks.iter().copied().fold(rest, f32::max)
}

/// eˣ for x ≤ 0 to five digits, and 0 under −80: 2 to the whole part times a polynomial of the rest, without the branches
/// that keep the library's from being done for several numbers at once.
fn exp(x: f32) -> f32 {
    let clamped = if x > -80.0 { x } else { -80.0 };
    let y = clamped * std::f32::consts::LOG2_E;
    let whole = (y - 0.5) as i32; // towards zero, so that the rest is in −0.5 … 0.5
    let rest = (y - whole as f32) * std::f32::consts::LN_2;
    let power = 1.0
        + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0 + rest * (1.0 / 24.0 + rest * (1.0 / 120.0 + rest / 720.0)))));
    let scaled = f32::from_bits(((whole + 127) << 23) as u32) * power;
    if x > -80.0 {
        scaled
    } else {
        0.0
    }
}

/// The likeliest token and its logit; the first of equals.
pub(super) fn likeliest(logits: &[f32]) -> (i32, f32) {
    let highest = highest(logits);
    let token = logits.iter().position(|logit| *logit == highest).unwrap_or(0);
    (token as i32, highest)
}

/// The `count` likeliest tokens with their logits, the likeliest first.
pub(super) fn likeliest_of(logits: &[f32], count: usize) -> Vec<(i32, f32)> {
    let mut best: Vec<(i32, f32)> = Vec::with_capacity(count + 1);
    for (token, &logit) in (0..).zip(logits) {
        if best.len() < count || best.last().is_some_and(|last| logit > last.1) {
            let at = best.partition_point(|other| other.1 >= logit);
            best.insert(at, (token, logit));
            best.truncate(count);
        }
    }
    best.retain(|(_, logit)| *logit > NEVER);
    best
}

/// A source of random numbers (SplitMix64), the same from the same seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Even between 0 and 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) >> 40) as f32 / (1u64 << 24) as f32
    }

    /// A token drawn by its probability at this temperature, and its logit.
    pub(super) fn draw(&mut self, logits: &[f32], temperature: f32) -> (i32, f32) {
        let highest = highest(logits);
        let weight = |logit: &f32| exp((logit - highest) / temperature);
        let mut left = self.next() * logits.iter().map(weight).sum::<f32>();
        for (token, logit) in (0..).zip(logits) {
            left -= weight(logit);
            if left < 0.0 {
                return (token, *logit);
            }
        }
        likeliest(logits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_close() {
        for n in 0..8_000 {
            let x = -0.01 * n as f32;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours - exact).abs() <= 6e-6 * exact, "{x}: {ours} {exact}");
        }
        assert_eq!((exp(0.0), exp(f32::NEG_INFINITY), exp(-100.0)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn log_sums_make_probabilities() {
        let logits: Vec<f32> = (0..1_003).map(|n| (n as f32 * 0.37).sin() * 12.0).collect();
        let exact = logits.iter().map(|l| f64::from(*l).exp()).sum::<f64>().ln();
        assert!((f64::from(log_sum(&logits)) - exact).abs() < 1e-5);
        assert!((log_sum(&[NEVER, 3.0, NEVER]) - 3.0).abs() < 1e-6);
    }

    #[test]
    fn the_likeliest_come_first() {
        let logits = [1.0, 5.0, NEVER, 5.0, 3.0];
        assert_eq!(likeliest(&logits), (1, 5.0));
        assert_eq!(likeliest_of(&logits, 3), [(1, 5.0), (3, 5.0), (4, 3.0)]);
        assert_eq!(likeliest_of(&logits, 9).len(), 4);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let logits = [1.0f32.ln(), 3.0f32.ln(), NEVER];
        let mut random = Random::new(1);
        let draws: Vec<i32> = (0..4_000).map(|_| random.draw(&logits, 1.0).0).collect();
        let ones = draws.iter().filter(|token| **token == 1).count();
        assert!((2_850..3_150).contains(&ones) && !draws.contains(&2), "{ones}");
        assert!((0..100).all(|_| random.draw(&logits, 0.01).0 == 1));
    }
}

//! ggml's k-quants: blocks of 256 numbers in groups of 16 or 32, each group with a scale (and, for q2, q4 and q5, a
//! least value) of a few bits, which a number or two in half precision scale in turn. `ggml-quants.c` of ggml has the
//! layout.

use crate::models::numbers::half;

/// 2 bits: scales and least values [16], numbers [64], the two in half precision.
pub(super) fn q2(block: &[u8], out: &mut Vec<f32>) {
    let (groups, numbers) = (&block[..16], &block[16..80]);
    let (scale, least) = (half(&block[80..]), half(&block[82..]));
    for (group, (bytes, shift)) in sixteens(numbers).enumerate() {
        let (scale, least) = (scale * f32::from(groups[group] & 15), least * f32::from(groups[group] >> 4));
        out.extend(bytes.iter().map(|byte| scale * f32::from(byte >> shift & 3) - least));
    }
}

/// 3 bits: high bits [32], low bits [64], scales of 6 bits [12], the one in half precision.
pub(super) fn q3(block: &[u8], out: &mut Vec<f32>) {
    let (high, low, scales) = (&block[..32], &block[32..96], &block[96..108]);
    let all = half(&block[108..]);
    for (group, (bytes, shift)) in sixteens(low).enumerate() {
        let lower = if group < 8 { scales[group] & 15 } else { scales[group - 8] >> 4 };
        let upper = scales[8 + group % 4] >> (2 * (group / 4)) & 3;
        let scale = all * (f32::from(lower | upper << 4) - 32.0);
        // A bit of each of the 32 for every two groups.
        let high = &high[16 * (group % 2)..][..16];
        out.extend(bytes.iter().zip(high).map(|(byte, high)| {
            let subtrahend = if high >> (group / 2) & 1 == 1 { 0.0 } else { 4.0 };
            scale * (f32::from(byte >> shift & 3) - subtrahend)
        }));
    }
}

/// 4 bits: the two in half precision, scales and least values of 6 bits [12], numbers [128].
pub(super) fn q4(block: &[u8], out: &mut Vec<f32>) {
    let (scale, least, groups) = (half(block), half(&block[2..]), &block[4..16]);
    for (group, (bytes, shift)) in nibbles(&block[16..144]).enumerate() {
        let (scale, least) = six_bits(groups, group, scale, least);
        out.extend(bytes.iter().map(|byte| scale * f32::from(byte >> shift & 15) - least));
    }
}

/// 5 bits: as those of 4, with the fifth bits [32] before the others.
pub(super) fn q5(block: &[u8], out: &mut Vec<f32>) {
    let (scale, least, groups, fifth) = (half(block), half(&block[2..]), &block[4..16], &block[16..48]);
    for (group, (bytes, shift)) in nibbles(&block[48..176]).enumerate() {
        let (scale, least) = six_bits(groups, group, scale, least);
        out.extend(bytes.iter().zip(fifth).map(|(byte, fifth)| {
            let number = byte >> shift & 15 | (fifth >> group & 1) << 4;
            scale * f32::from(number) - least
        }));
    }
}

/// 6 bits: low four [128], high two [64], scales of 8 bits [16], the one in half precision.
pub(super) fn q6(block: &[u8], out: &mut Vec<f32>) {
    let all = half(&block[208..]);
    // Halves of 128 numbers, in them quarters of 32.
    for n in 0..2 {
        let (low, high) = (&block[64 * n..][..64], &block[128 + 32 * n..][..32]);
        let scales = &block[192 + 8 * n..][..8];
        for quarter in 0..4 {
            let low = &low[32 * (quarter % 2)..][..32];
            out.extend(low.iter().zip(high).enumerate().map(|(at, (low, high))| {
                let number = low >> (4 * (quarter / 2)) & 15 | (high >> (2 * quarter) & 3) << 4;
                let scale = scales[2 * quarter + at / 16].cast_signed();
                all * f32::from(scale) * (f32::from(number) - 32.0)
            }));
        }
    }
}

/// The groups of 16 numbers of 2 bits in 64 bytes: their bytes, and where the bits are.
fn sixteens(bytes: &[u8]) -> impl Iterator<Item = (&[u8], u8)> {
    bytes.chunks_exact(32).flat_map(|half| {
        [0, 2, 4, 6].into_iter().flat_map(move |shift| half.chunks_exact(16).map(move |bytes| (bytes, shift)))
    })
}

/// The groups of 32 numbers of 4 bits in 128 bytes.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = (&[u8], u8)> {
    bytes.chunks_exact(32).flat_map(|bytes| [(bytes, 0), (bytes, 4)])
}

/// Scale and least value of one of eight groups: six bits each, of the last four groups the upper two apart.
fn six_bits(groups: &[u8], group: usize, scale: f32, least: f32) -> (f32, f32) {
    let (numerator, lowest) = if group < 4 {
        (groups[group] & 63, groups[group + 4] & 63)
    } else {
        let both = groups[group + 4];
        (both & 15 | groups[group - 4] >> 6 << 4, both >> 4 | groups[group] >> 6 << 4)
    };
    (scale * f32::from(numerator), least * f32::from(lowest))
}

//! ggml's number formats made floats. A block of the plain quantised ones is a scale in half precision, for some a least
//! value, for those of five bits the fifth bits, and 32 numbers (`ggml-quants.c` of ggml has the layout).

use super::k_quants;
use crate::models::numbers::{half, halves, singles};

/// The numbers in `bytes`, which hold whole blocks of the type that ggml calls `kind`; `None` for types that are not
/// read here.
pub(super) fn dequantise(bytes: &[u8], kind: &str) -> Option<Vec<f32>> {
    Some(match kind {
        "f32" => singles(bytes),
        "f16" => halves(bytes),
        "q8_0" => blocks(bytes, 32, 34, |block, out| {
            let scale = half(&block[..2]);
            out.extend(block[2..].iter().map(|byte| scale * f32::from(byte.cast_signed())));
        }),
        "q4_0" => blocks(bytes, 32, 18, |block, out| {
            let scale = half(&block[..2]);
            out.extend(nibbles(&block[2..]).map(|n| scale * (f32::from(n) - 8.0)));
        }),
        "q4_1" => blocks(bytes, 32, 20, |block, out| {
            let (scale, least) = (half(&block[..2]), half(&block[2..4]));
            out.extend(nibbles(&block[4..]).map(|n| scale * f32::from(n) + least));
        }),
        "q5_0" => blocks(bytes, 32, 22, |block, out| {
            let scale = half(&block[..2]);
            out.extend(five_bits(&block[2..6], &block[6..]).map(|n| scale * (f32::from(n) - 16.0)));
        }),
        "q5_1" => blocks(bytes, 32, 24, |block, out| {
            let (scale, least) = (half(&block[..2]), half(&block[2..4]));
            out.extend(five_bits(&block[4..8], &block[8..]).map(|n| scale * f32::from(n) + least));
        }),
        "q2_k" => blocks(bytes, 256, 84, k_quants::q2),
        "q3_k" => blocks(bytes, 256, 110, k_quants::q3),
        "q4_k" => blocks(bytes, 256, 144, k_quants::q4),
        "q5_k" => blocks(bytes, 256, 176, k_quants::q5),
        "q6_k" => blocks(bytes, 256, 210, k_quants::q6),
        _ => return None,
    })
}

/// Blocks of `size` bytes with `numbers` numbers each.
fn blocks(bytes: &[u8], numbers: usize, size: usize, mut read: impl FnMut(&[u8], &mut Vec<f32>)) -> Vec<f32> {
    let mut out = Vec::with_capacity(bytes.len() / size * numbers);
    bytes.chunks_exact(size).for_each(|block| read(block, &mut out));
    out
}

/// Sixteen bytes as 32 numbers of four bits: the low halves first.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    bytes.iter().map(|byte| byte & 15).chain(bytes.iter().map(|byte| byte >> 4))
}

/// The same with a fifth bit each.
fn five_bits<'a>(high: &[u8], low: &'a [u8]) -> impl Iterator<Item = u8> + 'a {
    let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
    nibbles(low).enumerate().map(move |(n, nibble)| nibble | ((high >> n & 1) as u8) << 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1.0, −2.0 and 0.5 in half precision.
    const ONE: [u8; 2] = [0x00, 0x3c];
    const MINUS_TWO: [u8; 2] = [0x00, 0xc0];
    const HALF: [u8; 2] = [0x00, 0x38];

    #[test]
    fn eight_bits_are_signed() {
        let mut block = HALF.to_vec();
        block.extend((0..32).map(|n| if n == 1 { 0x80 } else { n as u8 }));
        let numbers = dequantise(&block, "q8_0").unwrap();
        assert_eq!((numbers[1], numbers[2], numbers[31]), (-64.0, 1.0, 15.5));
    }

    #[test]
    fn four_bits_are_the_low_halves_and_then_the_high_ones() {
        let bytes: Vec<u8> = (0..16).map(|n| n | (15 - n) << 4).collect();
        let numbers = dequantise(&[&ONE[..], &bytes].concat(), "q4_0").unwrap();
        assert_eq!((numbers[0], numbers[15], numbers[16], numbers[31]), (-8.0, 7.0, 7.0, -8.0));
        let numbers = dequantise(&[&ONE[..], &MINUS_TWO, &bytes].concat(), "q4_1").unwrap();
        assert_eq!((numbers[0], numbers[15], numbers[16], numbers[31]), (-2.0, 13.0, 13.0, -2.0));
    }

    #[test]
    fn the_fifth_bits_are_apart() {
        let high = (1u32 << 0 | 1 << 31).to_le_bytes();
        let bytes: Vec<u8> = (0..16).map(|n| n | (15 - n) << 4).collect();
        let numbers = dequantise(&[&ONE[..], &high, &bytes].concat(), "q5_0").unwrap();
        assert_eq!((numbers[0], numbers[1], numbers[16], numbers[31]), (0.0, -15.0, -1.0, 0.0));
        let numbers = dequantise(&[&HALF[..], &ONE, &high, &bytes].concat(), "q5_1").unwrap();
        assert_eq!((numbers[0], numbers[1], numbers[16], numbers[31]), (9.0, 1.5, 8.5, 9.0));
    }

    #[test]
    fn other_types_are_refused() {
        assert_eq!(dequantise(&[0; 144], "iq4_nl"), None);
    }

    /// Every quantised type against ggml's own code, on blocks of random bytes.
    #[cfg(feature = "whisper-cpp")]
    #[test]
    fn numbers_are_ggmls() {
        use whisper_rs::whisper_rs_sys::ggml_get_type_traits;

        let mut state = 7u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let quantised = crate::models::ggml::tensors::quantised();
        assert_eq!(quantised.len(), 10);
        for kind in quantised {
            let (numbers, size) = (kind.block as usize, kind.bytes as usize);
            let mut bytes: Vec<u8> = (0..200 * size).map(|_| random()).collect();
            // Scales that are no numbers would compare as unequal to themselves.
            for pair in bytes.chunks_exact_mut(2) {
                if pair[1] & 0x7c == 0x7c {
                    pair[1] ^= 0x40;
                }
            }
            let ours = dequantise(&bytes, kind.name).unwrap();
            let mut theirs = vec![0.0f32; 200 * numbers];
            // SAFETY: the traits of a type are static, and its function reads whole blocks and writes their numbers.
            unsafe {
                let to_float = (*ggml_get_type_traits(kind.id as u32)).to_float.unwrap();
                to_float(bytes.as_ptr().cast(), theirs.as_mut_ptr(), theirs.len() as i64);
            }
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.chunks_exact(numbers).zip(theirs.chunks_exact(numbers)) {
                let peak = theirs.iter().fold(0.0f32, |peak, number| peak.max(number.abs()));
                let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst <= 1e-6 * peak, "{}: {worst} {peak}", kind.name);
            }
        }
    }
}

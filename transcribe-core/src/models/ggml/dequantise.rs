//! ggml's number formats made floats. A block of the quantised ones is a scale in half precision, for some a least
//! value, for those of five bits the fifth bits, and 32 numbers (`ggml-quants.c` of ggml has the layout).

/// Numbers in a block of the quantised types.
const BLOCK: usize = 32;

/// The numbers in `bytes`, which hold whole blocks of the type that ggml calls `kind`; `None` for types that are not
/// read here.
pub(super) fn dequantise(bytes: &[u8], kind: &str) -> Option<Vec<f32>> {
    Some(match kind {
        "f32" => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        "f16" => bytes.chunks_exact(2).map(half).collect(),
        "q8_0" => blocks(bytes, 34, |block, out| {
            let scale = half(&block[..2]);
            out.extend(block[2..].iter().map(|byte| scale * f32::from(byte.cast_signed())));
        }),
        "q4_0" => blocks(bytes, 18, |block, out| {
            let scale = half(&block[..2]);
            out.extend(nibbles(&block[2..]).map(|n| scale * (f32::from(n) - 8.0)));
        }),
        "q4_1" => blocks(bytes, 20, |block, out| {
            let (scale, least) = (half(&block[..2]), half(&block[2..4]));
            out.extend(nibbles(&block[4..]).map(|n| scale * f32::from(n) + least));
        }),
        "q5_0" => blocks(bytes, 22, |block, out| {
            let scale = half(&block[..2]);
            out.extend(five_bits(&block[2..6], &block[6..]).map(|n| scale * (f32::from(n) - 16.0)));
        }),
        "q5_1" => blocks(bytes, 24, |block, out| {
            let (scale, least) = (half(&block[..2]), half(&block[2..4]));
            out.extend(five_bits(&block[4..8], &block[8..]).map(|n| scale * f32::from(n) + least));
        }),
        _ => return None,
    })
}

fn blocks(bytes: &[u8], size: usize, mut read: impl FnMut(&[u8], &mut Vec<f32>)) -> Vec<f32> {
    let mut out = Vec::with_capacity(bytes.len() / size * BLOCK);
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

/// A number in half precision, little-endian.
fn half(bytes: &[u8]) -> f32 {
    let bits = u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    let (sign, exponent, fraction) = (bits >> 15 << 31, bits >> 10 & 31, bits & 0x3ff);
    let magnitude = match exponent {
        0 => fraction as f32 / (1 << 24) as f32,
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    f32::from_bits(sign | magnitude.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1.0, −2.0 and 0.5 in half precision.
    const ONE: [u8; 2] = [0x00, 0x3c];
    const MINUS_TWO: [u8; 2] = [0x00, 0xc0];
    const HALF: [u8; 2] = [0x00, 0x38];

    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in [
            (0x3c00u16, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65_504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x8000, 0.0),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(&bits.to_le_bytes()), value, "{bits:#x}");
        }
        assert!(half(&0x7e00u16.to_le_bytes()).is_nan());
    }

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
        assert_eq!(dequantise(&[0; 144], "q4_k"), None);
    }
}

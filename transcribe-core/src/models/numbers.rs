//! Numbers of sixteen bits made floats.

/// A number in half precision, little-endian.
pub(super) fn half(bytes: &[u8]) -> f32 {
    let bits = u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    let (sign, exponent, fraction) = (bits >> 15 << 31, bits >> 10 & 31, bits & 0x3ff);
    let magnitude = match exponent {
        0 => fraction as f32 / (1 << 24) as f32,
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    f32::from_bits(sign | magnitude.to_bits())
}

/// Numbers in single precision, little-endian.
pub(super) fn singles(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// Numbers in half precision.
pub(super) fn halves(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(2).map(half).collect()
}

/// Numbers in bfloat16, the upper half of single precision.
pub(super) fn brain_floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(2).map(|b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn bfloat16_has_the_exponent_of_single_precision() {
        let bytes: Vec<u8> = [0x3f80u16, 0xc000, 0x7f7f, 0x0080].iter().flat_map(|n| n.to_le_bytes()).collect();
        assert_eq!(brain_floats(&bytes), [1.0, -2.0, 3.389_531_4e38, f32::MIN_POSITIVE]);
    }
}

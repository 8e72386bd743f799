//! Weights to signed bytes, with a scale for each output channel.

/// Largest magnitude of a weight, in steps.
///
/// The product of unsigned and signed bytes on x86 processors without VNNI adds pairs in 16 bits and saturates. With 63
/// steps it can't, as 2 × 255 × 63 is less than 2¹⁵, and it takes a fifth less time than that of unsigned bytes, which
/// is exact with 127.
pub(super) fn steps() -> f32 {
    #[cfg(target_arch = "x86_64")]
    let exact = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let exact = true;
    if exact {
        127.0
    } else {
        63.0
    }
}

/// Bytes of a matrix with `outputs` rows, transposed to [inputs, outputs] as the product takes them, and each output's
/// scale.
pub(super) fn quantise(numbers: &[f32], outputs: usize, steps: f32) -> (Vec<i8>, Vec<f32>) {
    let inputs = numbers.len() / outputs.max(1);
    let mut bytes = vec![0; numbers.len()];
    let mut scales = Vec::with_capacity(outputs);
    for (n, row) in numbers.chunks_exact(inputs.max(1)).enumerate() {
        let peak = row.iter().fold(0.0f32, |peak, number| peak.max(number.abs()));
        scales.push(peak / steps);
        if peak > 0.0 {
            for (k, number) in row.iter().enumerate() {
                // At most `steps`; what is no number becomes 0.
                bytes[k * outputs + n] = (number / peak * steps).round() as i8;
            }
        }
    }
    (bytes, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_output_has_its_own_scale() {
        let (bytes, scales) = quantise(&[1.0, -0.5, 0.0, 100.0, 50.0, -100.0, 0.0, 0.0, 0.0], 3, 63.0);
        assert_eq!(bytes, [63, 63, 0, -32, 32, 0, 0, -63, 0]);
        assert_eq!(scales, [1.0 / 63.0, 100.0 / 63.0, 0.0]);
    }
}

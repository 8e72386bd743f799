//! Weights to bytes: a scale for each output channel, zero at 128.

/// The byte that stands for zero.
pub(super) const ZERO: u8 = 128;
/// Largest magnitude, in steps.
const STEPS: f32 = 127.0;

/// Bytes of a matrix with `outputs` rows, transposed to [inputs, outputs] as the product takes them, and each output's
/// scale.
pub(super) fn quantise(numbers: &[f32], outputs: usize) -> (Vec<u8>, Vec<f32>) {
    let inputs = numbers.len() / outputs.max(1);
    let mut bytes = vec![ZERO; numbers.len()];
    let mut scales = Vec::with_capacity(outputs);
    for (n, row) in numbers.chunks_exact(inputs.max(1)).enumerate() {
        let peak = row.iter().fold(0.0f32, |peak, number| peak.max(number.abs()));
        scales.push(peak / STEPS);
        if peak > 0.0 {
            for (k, number) in row.iter().enumerate() {
                // Between 1 and 255; what is no number becomes 0.
                bytes[k * outputs + n] = (number / peak * STEPS + f32::from(ZERO)).round() as u8;
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
        let (bytes, scales) = quantise(&[1.0, -0.5, 0.0, 100.0, 50.0, -100.0, 0.0, 0.0, 0.0], 3);
        assert_eq!(bytes, [255, 255, 128, 65, 192, 128, 128, 1, 128]);
        assert_eq!(scales, [1.0 / 127.0, 100.0 / 127.0, 0.0]);
    }
}

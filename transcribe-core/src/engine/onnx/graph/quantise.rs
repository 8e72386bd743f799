//! Weights to bytes, with a scale for each output channel.

use ort::value::{DynValue, TensorElementType};

use crate::models::checkpoint::Stored;
use crate::onnx_graph::proto::Type;
use crate::onnx_graph::transposed;

/// Largest magnitude of a weight, in steps.
const STEPS: f32 = 127.0;
/// What stands for 0 in [`Bytes::Unsigned`].
pub(super) const MIDDLE: u8 = 128;

/// How a weight of −127 … 127 steps is written. Both give the same products, bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bytes {
    /// As it is.
    Signed,
    /// [`MIDDLE`] more.
    Unsigned,
}

impl Bytes {
    /// What this processor multiplies fastest among what it multiplies exactly.
    ///
    /// ONNX Runtime's product with signed weights adds pairs in 16 bits on x86 processors without VNNI, and saturates.
    /// That with unsigned ones is a fifth slower there, and exact.
    pub(super) fn here() -> Self {
        #[cfg(target_arch = "x86_64")]
        let exact = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
        #[cfg(not(target_arch = "x86_64"))]
        let exact = true;
        if exact {
            Self::Signed
        } else {
            Self::Unsigned
        }
    }

    /// The type of tensors of them.
    pub(super) fn kind(self) -> Type {
        match self {
            Self::Signed => Type::Int8,
            Self::Unsigned => Type::Uint8,
        }
    }
}

/// Weights of a matrix with `outputs` rows in steps, transposed to [inputs, outputs] as the product takes them, and the
/// size of each output's step.
pub(super) fn quantise(numbers: &[f32], outputs: usize) -> (Vec<i8>, Vec<f32>) {
    let inputs = numbers.len() / outputs.max(1);
    let mut steps = vec![0; numbers.len()];
    let mut scales = Vec::with_capacity(outputs);
    for (n, row) in numbers.chunks_exact(inputs.max(1)).enumerate() {
        let peak = row.iter().fold(0.0f32, |peak, number| peak.max(number.abs()));
        scales.push(peak / STEPS);
        if peak > 0.0 {
            for (k, number) in row.iter().enumerate() {
                // At most `STEPS`; what is no number becomes 0.
                steps[k * outputs + n] = (number / peak * STEPS).round() as i8;
            }
        }
    }
    (steps, scales)
}

/// Rows of a matrix as bytes, not transposed.
pub(in crate::engine::onnx) fn quantised_rows(numbers: &[f32], rows: usize) -> Stored {
    let (steps, scales) = quantise(numbers, rows);
    Stored::Bytes { numbers: transposed(&steps, numbers.len() / rows.max(1)), scales }
}

/// Steps as unsigned bytes.
pub(super) fn unsigned(steps: &[i8]) -> Vec<u8> {
    steps.iter().map(|step| step.cast_unsigned().wrapping_add(MIDDLE)).collect()
}

/// The steps of a tensor of weights, whichever way they are written.
pub(in crate::engine::onnx) enum Steps<'a> {
    /// See [`Bytes::Signed`].
    Signed(&'a [i8]),
    /// See [`Bytes::Unsigned`].
    Unsigned(&'a [u8]),
}

impl<'a> Steps<'a> {
    /// Those of `tensor`, which is one of bytes.
    pub(in crate::engine::onnx) fn of(tensor: &'a DynValue) -> ort::Result<Self> {
        Ok(match tensor.dtype().tensor_type() {
            Some(TensorElementType::Uint8) => Self::Unsigned(tensor.try_extract_tensor()?.1),
            _ => Self::Signed(tensor.try_extract_tensor()?.1),
        })
    }

    /// One of them.
    pub(in crate::engine::onnx) fn get(&self, at: usize) -> f32 {
        match self {
            Self::Signed(steps) => f32::from(steps[at]),
            Self::Unsigned(bytes) => f32::from(bytes[at]) - f32::from(MIDDLE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_output_has_its_own_scale() {
        let (steps, scales) = quantise(&[1.0, -0.5, 0.0, 100.0, 50.0, -100.0, 0.0, 0.0, 0.0], 3);
        assert_eq!(steps, [127, 127, 0, -64, 64, 0, 0, -127, 0]);
        assert_eq!(scales, [1.0 / 127.0, 100.0 / 127.0, 0.0]);
    }

    #[test]
    fn unsigned_bytes_have_zero_in_the_middle() {
        assert_eq!(unsigned(&[-127, -1, 0, 1, 127]), [1, 127, 128, 129, 255]);
    }

    #[test]
    fn rows_keep_their_places() {
        let Stored::Bytes { numbers, scales } = quantised_rows(&[1.0, -0.5, 0.0, 100.0, 50.0, -100.0], 2) else {
            panic!("bytes");
        };
        assert_eq!((numbers, scales), (vec![127, -64, 0, 127, 64, -127], vec![1.0 / 127.0, 100.0 / 127.0]));
        assert_eq!(transposed(&[1, 2, 3, 4, 5, 6], 2), [1, 4, 2, 5, 3, 6]);
    }
}

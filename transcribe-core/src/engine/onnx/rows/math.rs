//! What happens to rows of activations between two products in 8 bits, each row while it is in the nearest cache.
//!
//! Nothing here is fused into a multiply-add, so that results are the same on every processor.

use multiversion::multiversion;

use super::EPSILON;

/// Largest magnitude of a byte, which stands for a row's peak.
const STEPS: f32 = 127.0;
/// Added to a small number, it leaves that number, rounded to even, and 128 in the lowest byte: 1.5 × 2²³ + 128.
const TO_BYTE: f32 = 12_583_040.0;
/// Sums and peaks are kept for so many columns side by side.
const LANES: usize = 16;

/// A product in 8 bits: `shares` [rows, width], to be multiplied by each row's entry of `peaks` [rows]; then `bias`
/// [width] is to be added.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) shares: &'a [f32],
    pub(super) peaks: &'a [f32],
    pub(super) bias: &'a [f32],
}

/// Weight and bias of a layer normalisation, [width] each.
#[derive(Clone, Copy)]
pub(super) struct Norm<'a> {
    pub(super) weight: &'a [f32],
    pub(super) bias: &'a [f32],
}

/// Rows in 8 bits: `bytes` [rows, width], 128 for 0, and the magnitude that 127 more or less stand for, `peaks` [rows].
pub(super) struct Bytes<'a> {
    pub(super) bytes: &'a mut [u8],
    pub(super) peaks: &'a mut [f32],
}

/// Rows `x` [rows, width] in 8 bits.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn quantise(x: &[f32], out: Bytes<'_>) {
    let width = x.len() / out.peaks.len().max(1);
    if width == 0 {
        return;
    }
    let rows = x.chunks_exact(width).zip(out.bytes.chunks_exact_mut(width)).zip(out.peaks);
    for ((x, bytes), peak) in rows {
        *peak = in_bytes(x, bytes);
    }
}

/// Rows of `x` [n, width] from `first` on, every `stride`th, each between the one before and the one behind it, in 8
/// bits: [rows, 3 width].
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn frames(x: &[f32], width: usize, stride: usize, first: usize, out: Bytes<'_>) {
    let mut row = vec![0.0; 3 * width];
    let rows = out.bytes.chunks_exact_mut(3 * width).zip(out.peaks);
    for (n, (bytes, peak)) in rows.enumerate() {
        let middle = stride * (first + n);
        for (tap, part) in row.chunks_exact_mut(width).enumerate() {
            let at = (middle + tap).checked_sub(1).and_then(|at| x.get(at * width..(at + 1) * width));
            match at {
                Some(x) => part.copy_from_slice(x),
                None => part.fill(0.0),
            }
        }
        *peak = in_bytes(&row, bytes);
    }
}

/// A product's GELU: `y` [rows, width].
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn scale_gelu(product: Product<'_>, y: &mut [f32]) {
    finish(product, y, gelu_of);
}

/// A product's numbers: `y` [rows, width].
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn scale(product: Product<'_>, y: &mut [f32]) {
    finish(product, y, |x| x);
}

/// The GELU of a product, in 8 bits.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn gelu(product: Product<'_>, out: Bytes<'_>) {
    let width = product.bias.len().max(1);
    let mut row = vec![0.0; width];
    let products = product.shares.chunks_exact(width).zip(product.peaks);
    let rows = products.zip(out.bytes.chunks_exact_mut(width)).zip(out.peaks);
    for (((shares, scale), bytes), peak) in rows {
        for ((y, share), bias) in row.iter_mut().zip(shares).zip(product.bias) {
            *y = gelu_of(share * scale + bias);
        }
        *peak = in_bytes(&row, bytes);
    }
}

/// `x` [rows, width] and a product in `sum` [rows, width], and the sum's normalisation in 8 bits.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn add_and_norm(x: &[f32], product: Product<'_>, norm: Norm<'_>, sum: &mut [f32], out: Bytes<'_>) {
    let width = product.bias.len().max(1);
    let mut row = vec![0.0; width];
    let products = product.shares.chunks_exact(width).zip(product.peaks);
    let sums = x.chunks_exact(width).zip(products).zip(sum.chunks_exact_mut(width));
    let rows = sums.zip(out.bytes.chunks_exact_mut(width)).zip(out.peaks);
    for ((((x, (shares, scale)), sum), bytes), peak) in rows {
        for (((sum, x), share), bias) in sum.iter_mut().zip(x).zip(shares).zip(product.bias) {
            *sum = x + (share * scale + bias);
        }
        let mean = total(sum, |x| x) / width as f32;
        let variance = total(sum, |x| (x - mean) * (x - mean)) / width as f32;
        let scale = 1.0 / (variance + EPSILON).sqrt();
        for (((y, x), weight), bias) in row.iter_mut().zip(&*sum).zip(norm.weight).zip(norm.bias) {
            *y = (x - mean) * scale * weight + bias;
        }
        *peak = in_bytes(&row, bytes);
    }
}

/// What `of` makes of a product's numbers.
#[inline(always)]
fn finish(product: Product<'_>, y: &mut [f32], of: impl Fn(f32) -> f32) {
    let width = product.bias.len().max(1);
    let rows = product.shares.chunks_exact(width).zip(product.peaks).zip(y.chunks_exact_mut(width));
    for ((shares, peak), y) in rows {
        for ((y, share), bias) in y.iter_mut().zip(shares).zip(product.bias) {
            *y = of(share * peak + bias);
        }
    }
}

/// One row; returns its peak. A row of zeros has bytes of zero.
#[inline(always)]
fn in_bytes(x: &[f32], bytes: &mut [u8]) -> f32 {
    let peak = lanes(x, |peak, x| if x.abs() > peak { x.abs() } else { peak }).into_iter().fold(0.0, f32::max);
    let scale = if peak > 0.0 { STEPS / peak } else { 0.0 };
    for (byte, x) in bytes.iter_mut().zip(x) {
        *byte = (x * scale + TO_BYTE).to_bits() as u8;
    }
    peak
}

#[inline(always)]
fn total(x: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    lanes(x, |sum, x| sum + of(x)).into_iter().sum()
}

/// Folds the columns of a row into [`LANES`] results, from 0.
#[inline(always)]
fn lanes(x: &[f32], fold: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = fold(*lane, *x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = fold(*lane, *x);
    }
    lanes
}

/// `x` times the share of a normal distribution that lies below `x` (Hendrycks and Gimpel 2016, "Gaussian Error Linear
/// Units"). The share, less a half, is `x` times a quotient of polynomials of `x²`, fitted by least squares: at most
/// 3e-6 off up to 5, where the share is 1 but for 3e-7.
#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    const P: [f32; 4] = [0.398_966_14, 0.029_378_955, 0.004_320_365, 6.253_247e-5];
    const Q: [f32; 5] = [1.0, 0.240_491_7, 0.025_721_896, 0.001_505_796_8, 3.816_466e-6];
    let t = x.clamp(-5.0, 5.0);
    let u = t * t;
    let p = ((P[3] * u + P[2]) * u + P[1]) * u + P[0];
    let q = (((Q[4] * u + Q[3]) * u + Q[2]) * u + Q[1]) * u + Q[0];
    x * (0.5 + t * p / q)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The error function by its series, which converges for every number.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn gelu_is_that_of_the_paper() {
        for n in -500..=500 {
            let x = f64::from(n) / 100.0;
            let exact = x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2));
            let y = f64::from(gelu_of(x as f32));
            assert!((y - exact).abs() < 5e-6, "{x}: {y} for {exact}");
        }
        assert!((gelu_of(80.0) - 80.0).abs() < 1e-4);
        assert!(gelu_of(-80.0).abs() < 1e-4);
    }

    fn numbers(bytes: &[u8], peak: f32) -> Vec<f32> {
        bytes.iter().map(|byte| (f32::from(*byte) - 128.0) / STEPS * peak).collect()
    }

    fn close(bytes: &[u8], peak: f32, exact: &[f64]) {
        let largest = exact.iter().fold(0.0f64, |peak, x| peak.max(x.abs()));
        assert!((f64::from(peak) - largest).abs() <= 1e-4 * largest + 1e-5, "{peak} for {largest}");
        for (y, exact) in numbers(bytes, peak).iter().zip(exact) {
            let step = f64::from(peak) / 127.0;
            assert!((f64::from(*y) - exact).abs() <= 0.51 * step + 2e-5, "{y} for {exact}, steps of {step}");
        }
    }

    fn row(width: usize) -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(-8.0f32..8.0, width)
    }

    #[test]
    fn rows_of_zeros_are_zeros() {
        let (mut bytes, mut peaks) = ([1; 6], [1.0; 2]);
        quantise(&[0.0; 6], Bytes { bytes: &mut bytes, peaks: &mut peaks });
        assert_eq!((bytes, peaks), ([128; 6], [0.0; 2]));
    }

    #[test]
    fn frames_have_their_neighbours() {
        let x = [1.0, 2.0, 3.0, -4.0, 5.0, 6.0, 7.0, 127.0];
        let (mut bytes, mut peaks) = ([0; 24], [0.0; 4]);
        frames(&x, 2, 1, 0, Bytes { bytes: &mut bytes, peaks: &mut peaks });
        assert_eq!(peaks, [4.0, 6.0, 127.0, 127.0]);
        assert_eq!(bytes[..6], [128, 128, 160, 192, 223, 1]);
        assert_eq!(bytes[18..], [133, 134, 135, 255, 128, 128]);
        let (mut bytes, mut peaks) = ([0; 6], [0.0; 1]);
        frames(&x, 2, 2, 1, Bytes { bytes: &mut bytes, peaks: &mut peaks });
        assert_eq!((bytes, peaks), ([131, 124, 133, 134, 135, 255], [127.0]));
    }

    proptest! {
        /// Against the same in double precision, with widths that no register divides.
        #[test]
        fn rows_are_what_they_would_be_one_operator_after_the_other(
            (width, x, shares, bias, weight) in (1usize..70)
                .prop_flat_map(|w| (Just(w), row(2 * w), row(2 * w), row(w), row(w))),
            peaks in prop::array::uniform2(0.0f32..3.0),
        ) {
            let product = Product { shares: &shares, peaks: &peaks, bias: &bias };
            let exact: Vec<f64> = (0..2 * width)
                .map(|i| f64::from(shares[i]) * f64::from(peaks[i / width]) + f64::from(bias[i % width]))
                .collect();
            let mut y = vec![0.0; 2 * width];
            scale(product, &mut y);
            for (y, exact) in y.iter().zip(&exact) {
                prop_assert!((f64::from(*y) - exact).abs() < 1e-5);
            }

            let (mut bytes, mut out) = (vec![0; 2 * width], [0.0; 2]);
            quantise(&x, Bytes { bytes: &mut bytes, peaks: &mut out });
            for n in 0..2 {
                let row: Vec<f64> = x[n * width..][..width].iter().map(|x| f64::from(*x)).collect();
                close(&bytes[n * width..][..width], out[n], &row);
            }

            scale_gelu(product, &mut y);
            gelu(product, Bytes { bytes: &mut bytes, peaks: &mut out });
            for n in 0..2 {
                let row: Vec<f64> = exact[n * width..][..width]
                    .iter()
                    .map(|x| if x.abs() > 6.0 { x.max(0.0) } else { x * 0.5 * (1.0 + erf(x / 2f64.sqrt())) })
                    .collect();
                for (y, exact) in y[n * width..].iter().zip(&row) {
                    prop_assert!((f64::from(*y) - exact).abs() < 2e-5, "{} for {}", y, exact);
                }
                close(&bytes[n * width..][..width], out[n], &row);
            }

            let mut sum = vec![0.0; 2 * width];
            let norm = Norm { weight: &weight, bias: &bias };
            add_and_norm(&x, product, norm, &mut sum, Bytes { bytes: &mut bytes, peaks: &mut out });
            for n in 0..2 {
                let row: Vec<f64> = (n * width..(n + 1) * width).map(|i| f64::from(x[i]) + exact[i]).collect();
                let mean = row.iter().sum::<f64>() / width as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                for (sum, exact) in sum[n * width..].iter().zip(&row) {
                    prop_assert!((f64::from(*sum) - exact).abs() < 1e-5);
                }
                // The normalisation of nearly equal numbers is all rounding.
                if variance > 0.1 {
                    let normed: Vec<f64> = row
                        .iter()
                        .zip(weight.iter().zip(&bias))
                        .map(|(x, (w, b))| (x - mean) / (variance + 1e-5).sqrt() * f64::from(*w) + f64::from(*b))
                        .collect();
                    close(&bytes[n * width..][..width], out[n], &normed);
                }
            }
        }
    }
}

//! Operators of our own for graphs in 8 bits.
//!
//! A product in 8 bits takes rows of bytes with a scale each. ONNX Runtime's own operators make them in four passes over
//! memory, and what comes before them (bias, GELU, residual, normalisation) in as many more; each of these does all of
//! it in one.

mod math;

use std::sync::{Mutex, PoisonError};

use ort::operator::{ComputeContext, Operator, OperatorDomain, OperatorInput, OperatorOutput};
use ort::value::{TensorElementType, ValueRef};

use self::math::{Bytes, Norm, Product};

/// The domain that graphs name.
pub(super) const DOMAIN: &str = "transcribe.rows";
/// `x` [n, width] → bytes [n, width], peaks [n, 1].
pub(super) const QUANTISE: &str = "Quantise";
/// `shares` [n, width], `peaks` [n, 1], `bias` [width] → the product [n, width].
pub(super) const SCALE: &str = "Scale";
/// `shares` [n, width], `peaks` [n, 1], `bias` [width] → bytes [n, width], peaks [n, 1] of its GELU.
pub(super) const GELU: &str = "Gelu";
/// `shares` [n, width], `peaks` [n, 1], `bias` [width] → its GELU [n, width].
pub(super) const SCALE_GELU: &str = "ScaleGelu";
/// `x` [n, width] → bytes [n, 3 width], peaks [n, 1]: each row with the one before and the one behind it, zeros where
/// there is none.
pub(super) const FRAMES: &str = "Frames";
/// The same of every other row, the first among them: [n / 2, 3 width] and [n / 2, 1].
pub(super) const FRAMES_HALVED: &str = "FramesHalved";
/// `x` [n, width], `shares` [n, width], `peaks` [n, 1], `bias` [width], weight and bias [width] of a normalisation → the
/// sum [n, width]; bytes [n, width], peaks [n, 1] of its normalisation.
pub(super) const ADD_AND_NORM: &str = "AddAndNorm";

/// Epsilon of PyTorch's layer normalisation.
pub(super) const EPSILON: f32 = 1e-5;
/// Rows that one thread does at a time.
const BLOCK: usize = 32;

const FLOAT: TensorElementType = TensorElementType::Float32;
const BYTE: TensorElementType = TensorElementType::Uint8;

/// The operators, for one session.
pub(super) fn domain() -> ort::Result<OperatorDomain> {
    let row = |name, inputs, outputs, compute| RowOperator { name, inputs, outputs, compute };
    OperatorDomain::new(DOMAIN)?
        .add(row(QUANTISE, 1, &[BYTE, FLOAT], quantise))?
        .add(row(SCALE, 3, &[FLOAT], scale))?
        .add(row(GELU, 3, &[BYTE, FLOAT], gelu))?
        .add(row(SCALE_GELU, 3, &[FLOAT], scale_gelu))?
        .add(row(FRAMES, 1, &[BYTE, FLOAT], |context| frames(context, 1)))?
        .add(row(FRAMES_HALVED, 1, &[BYTE, FLOAT], |context| frames(context, 2)))?
        .add(row(ADD_AND_NORM, 6, &[FLOAT, BYTE, FLOAT], add_and_norm))
}

type Compute = fn(&ComputeContext) -> ort::Result<()>;

/// An operator without attributes whose inputs are all floats.
struct RowOperator {
    name: &'static str,
    inputs: usize,
    outputs: &'static [TensorElementType],
    compute: Compute,
}

impl Operator for RowOperator {
    type Kernel<'attr> = Compute;

    fn name(&self) -> &str {
        self.name
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        (0..self.inputs).map(|_| OperatorInput::required(FLOAT))
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        self.outputs.iter().map(|kind| OperatorOutput::required(*kind))
    }

    fn create_kernel<'attr>(&self, _: &ort::operator::KernelContext<'attr>) -> ort::Result<Compute> {
        Ok(self.compute)
    }
}

fn quantise(context: &ComputeContext) -> ort::Result<()> {
    let x = Input::new(context, 0)?;
    let (rows, width, x) = x.rows()?;
    let (mut bytes, mut peaks) = (output(context, 0, rows, width)?, output(context, 1, rows, 1)?);
    let (bytes, peaks) = (bytes.try_extract_tensor_mut()?.1, peaks.try_extract_tensor_mut()?.1);
    let blocks = x.chunks(BLOCK * width).zip(in_bytes(bytes, peaks, width));
    in_parallel(context, blocks, |(x, out)| math::quantise(x, out))
}

fn frames(context: &ComputeContext, stride: usize) -> ort::Result<()> {
    let x = Input::new(context, 0)?;
    let (rows, width, x) = x.rows()?;
    let rows = rows / stride;
    let (mut bytes, mut peaks) = (output(context, 0, rows, 3 * width)?, output(context, 1, rows, 1)?);
    let (bytes, peaks) = (bytes.try_extract_tensor_mut()?.1, peaks.try_extract_tensor_mut()?.1);
    let blocks = in_bytes(bytes, peaks, 3 * width).enumerate();
    in_parallel(context, blocks, |(n, out)| math::frames(x, width, stride, n * BLOCK, out))
}

fn scale(context: &ComputeContext) -> ort::Result<()> {
    finished(context, math::scale)
}

fn scale_gelu(context: &ComputeContext) -> ort::Result<()> {
    finished(context, math::scale_gelu)
}

fn finished(context: &ComputeContext, work: fn(Product<'_>, &mut [f32])) -> ort::Result<()> {
    let [shares, peaks, bias] = inputs(context)?;
    let (rows, width, shares) = shares.rows()?;
    let (peaks, bias) = (peaks.rows()?.2, bias.rows()?.2);
    let mut y = output(context, 0, rows, width)?;
    let y = y.try_extract_tensor_mut::<f32>()?.1;
    let blocks = products(shares, peaks, bias).zip(y.chunks_mut(BLOCK * width));
    in_parallel(context, blocks, |(product, y)| work(product, y))
}

fn gelu(context: &ComputeContext) -> ort::Result<()> {
    let [shares, peaks, bias] = inputs(context)?;
    let (rows, width, shares) = shares.rows()?;
    let (peaks, bias) = (peaks.rows()?.2, bias.rows()?.2);
    let (mut bytes, mut out) = (output(context, 0, rows, width)?, output(context, 1, rows, 1)?);
    let (bytes, out) = (bytes.try_extract_tensor_mut()?.1, out.try_extract_tensor_mut()?.1);
    let blocks = products(shares, peaks, bias).zip(in_bytes(bytes, out, width));
    in_parallel(context, blocks, |(product, out)| math::gelu(product, out))
}

fn add_and_norm(context: &ComputeContext) -> ort::Result<()> {
    let [x, shares, peaks, bias, weight, offset] = inputs(context)?;
    let (rows, width, x) = x.rows()?;
    let (shares, peaks, bias) = (shares.rows()?.2, peaks.rows()?.2, bias.rows()?.2);
    let norm = Norm { weight: weight.rows()?.2, bias: offset.rows()?.2 };
    let mut sum = output(context, 0, rows, width)?;
    let (mut bytes, mut out) = (output(context, 1, rows, width)?, output(context, 2, rows, 1)?);
    let sum = sum.try_extract_tensor_mut::<f32>()?.1;
    let (bytes, out) = (bytes.try_extract_tensor_mut()?.1, out.try_extract_tensor_mut()?.1);
    let sums = x.chunks(BLOCK * width).zip(sum.chunks_mut(BLOCK * width));
    let blocks = products(shares, peaks, bias).zip(sums).zip(in_bytes(bytes, out, width));
    in_parallel(context, blocks, |((product, (x, sum)), out)| math::add_and_norm(x, product, norm, sum, out))
}

/// An input of floats.
struct Input<'a>(ValueRef<'a>);

impl<'a> Input<'a> {
    fn new(context: &'a ComputeContext, at: usize) -> ort::Result<Self> {
        Ok(Self(context.input(at)?.ok_or_else(|| ort::Error::new(format!("input {at} is missing")))?))
    }

    /// How many rows, their width (at least 1), and all of them.
    fn rows(&self) -> ort::Result<(usize, usize, &[f32])> {
        let (shape, numbers) = self.0.try_extract_tensor::<f32>()?;
        let width = shape.last().map_or(1, |width| usize::try_from(*width).unwrap_or(0)).max(1);
        Ok((numbers.len() / width, width, numbers))
    }
}

fn inputs<const N: usize>(context: &ComputeContext) -> ort::Result<[Input<'_>; N]> {
    let inputs: ort::Result<Vec<_>> = (0..N).map(|at| Input::new(context, at)).collect();
    inputs?.try_into().map_err(|_| ort::Error::new("inputs are missing"))
}

fn output(context: &ComputeContext, at: usize, rows: usize, width: usize) -> ort::Result<ort::value::ValueRefMut<'_>> {
    let output = context.output(at, [rows, width])?;
    output.ok_or_else(|| ort::Error::new(format!("output {at} is missing")))
}

/// Blocks of a product.
fn products<'a>(shares: &'a [f32], peaks: &'a [f32], bias: &'a [f32]) -> impl Iterator<Item = Product<'a>> {
    let blocks = shares.chunks(BLOCK * bias.len().max(1)).zip(peaks.chunks(BLOCK));
    blocks.map(move |(shares, peaks)| Product { shares, peaks, bias })
}

/// Blocks of rows in 8 bits.
fn in_bytes<'a>(bytes: &'a mut [u8], peaks: &'a mut [f32], width: usize) -> impl Iterator<Item = Bytes<'a>> {
    let blocks = bytes.chunks_mut(BLOCK * width).zip(peaks.chunks_mut(BLOCK));
    blocks.map(|(bytes, peaks)| Bytes { bytes, peaks })
}

/// Does all blocks on the session's threads.
fn in_parallel<B: Send>(
    context: &ComputeContext,
    mut blocks: impl Iterator<Item = B>,
    work: impl Fn(B) + Send + Sync,
) -> ort::Result<()> {
    let Some(first) = blocks.next() else { return Ok(()) };
    let Some(second) = blocks.next() else {
        work(first);
        return Ok(());
    };
    let blocks: Vec<_> = [first, second].into_iter().chain(blocks).map(|block| Mutex::new(Some(block))).collect();
    context.par_for(blocks.len(), 0, |n| {
        let block = blocks[n].lock().unwrap_or_else(PoisonError::into_inner).take();
        block.into_iter().for_each(&work);
    })
}

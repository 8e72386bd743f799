//! One job's calls: the encoder once for each context, the decoder a step at a time, tokens with times out.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use ort::memory::Allocator;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorRef};

use super::graph::decoder::MASK;
use super::search::{self, Found, Rules};
use super::session::{Lease, Model};
use super::{dtw, logits, timestamps, work};
use crate::engine::job::call::{Call, Decoded, Decoder, Token};
use crate::engine::languages;
use crate::engine::{CancelToken, EngineError, Search};

/// Frames of the spectrogram for each position.
const FRAMES: usize = 2;
/// Added to the score of a token that is not to be seen: its weight is none, in half precision, too.
const HIDDEN: f32 = -1e4;
/// Samples in a position.
const POSITION: usize = FRAMES * super::mel::HOP;

/// Sessions at work on one job. All its calls are about the same audio.
pub(crate) struct Worker<'a> {
    lease: Lease<'a>,
    heard: Option<Heard>,
}

/// The encoder's output: keys and values of each layer's cross-attention.
struct Heard {
    positions: usize,
    layers: Vec<(DynValue, DynValue)>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(lease: Lease<'a>) -> Self {
        Self { lease, heard: None }
    }

    /// Runs the encoder, unless it has run in this context, and hands out the decoder.
    fn listen<'w>(&'w mut self, call: &'w Call<'_>) -> Result<Steps<'w>, EngineError> {
        let model = self.lease.model();
        if self.heard.as_ref().is_none_or(|heard| heard.positions != call.positions) {
            self.heard = None; // Its memory goes back to the session before more is asked for.
            let spectrogram =
                model.meters.mel.measure(|| model.mel.spectrogram(call.audio, FRAMES * call.positions))?;
            let products = work::of_encoder(&model.shape, call.positions);
            model.meters.encoder_products.fetch_add(products, Ordering::Relaxed);
            let encoder = &mut self.lease.sessions().encoder;
            self.heard = Some(
                model
                    .meters
                    .encoder
                    .measure(|| encode(model, encoder, &spectrogram, call.positions))
                    .map_err(failed)?,
            );
        }
        let Some(heard) = &self.heard else { return Err(failed(ort::Error::new("the encoder gave nothing"))) };
        Ok(Steps { model, heard, session: &mut self.lease.sessions().decoder, cancel: call.cancel })
    }
}

impl Decoder for Worker<'_> {
    fn decode(&mut self, call: &Call<'_>) -> Result<Decoded, EngineError> {
        let mut steps = self.listen(call)?;
        let model = steps.model;
        let special = model.tokens.special;
        let (mut tokens, start) = prefix(model, call);
        let prefix = tokens.len();
        let most = call.max_tokens.min(model.shape.text_context - prefix);
        // One that was made with timestamps is of use without.
        let of_use = |token: &&i32| call.timestamps || !model.tokens.timestamps.contains(token);
        let draft: Vec<i32> = match call.search {
            Search::Greedy if call.temperature == 0.0 => {
                call.draft.iter().filter(of_use).take(most - 1).copied().collect()
            }
            _ => Vec::new(),
        };
        tokens.extend(&draft);
        // Whether there is speech is what the model was taught to say behind the start token.
        let wanted: Vec<i64> = [start].into_iter().chain(prefix - 1..tokens.len()).map(|row| row as i64).collect();
        let mut first = steps.step(&tokens, &State::start(model).map_err(failed)?, &wanted)?;
        let at_start = &first.logits[..model.shape.vocabulary];
        let no_speech = (at_start[special.no_speech as usize] - logits::log_sum(at_start)).exp();
        first.logits.drain(..model.shape.vocabulary);
        first.attention.drain(..1);

        let rules =
            Rules { tokens: &model.tokens, most, annotations: call.suppress_annotations, timestamps: call.timestamps };
        let found = match call.search {
            _ if call.temperature > 0.0 => search::sample(&mut steps, first, &rules, call.temperature)?,
            Search::Greedy => search::greedy(&mut steps, first, &draft, &rules)?,
            Search::Beam(width) => search::beam(&mut steps, first, &rules, width)?,
        };
        Ok(self.place(call, found, no_speech))
    }

    fn detect(&mut self, call: &Call<'_>) -> Result<(usize, f32), EngineError> {
        let mut steps = self.listen(call)?;
        let model = steps.model;
        let tokens = &model.tokens;
        let state = State::start(model).map_err(failed)?;
        let step = steps.step(&[tokens.special.start], &state, &[0])?;
        let known: Vec<f32> = tokens.languages.iter().map(|(_, token)| step.logits[*token as usize]).collect();
        let (likeliest, logit) = logits::likeliest(&known);
        let language = tokens.languages.get(likeliest as usize).map_or(0, |(language, _)| *language);
        Ok((language, (logit - logits::log_sum(&known)).exp()))
    }
}

impl Worker<'_> {
    /// Gives each token its place in the audio.
    fn place(&self, call: &Call<'_>, found: Found, no_speech: f32) -> Decoded {
        let model = self.lease.model();
        let positions = call.audio.len().div_ceil(POSITION).min(call.positions);
        let numbers = found.tokens.iter().map(|chosen| chosen.token).collect();
        let stretches = match call.timestamps {
            true => timestamps::stretches(&model.tokens.timestamps, &found.tokens, call.audio.len() as u64),
            false => Vec::new(),
        };
        // Timestamps are no text, and where the decoder looked for them is nothing to align.
        let is_text = |chosen: &search::Chosen| !model.tokens.timestamps.contains(&chosen.token);
        let kept = found.tokens.iter().map(is_text).chain([true]);
        let attention: Vec<_> =
            found.attention.into_iter().zip(kept).filter_map(|(row, kept)| kept.then_some(row)).collect();
        let text: Vec<_> = found.tokens.into_iter().filter(is_text).collect();
        let ends = dtw::ends(&attention, model.aligned.len(), positions, text.len());
        let peaks = attention.iter().map(|row| dtw::peak(row, model.aligned.len(), positions));
        let token = |((chosen, end), peak): ((&search::Chosen, usize), Option<usize>)| Token {
            bytes: model.tokens.bytes(chosen.token).to_vec(),
            probability: chosen.logprob.exp().clamp(0.0, 1.0),
            end: Some((end * POSITION) as u64),
            attended: peak.map(|position| (position * POSITION) as u64),
        };
        Decoded {
            numbers,
            tokens: text.iter().zip(ends).zip(peaks).map(token).collect(),
            stretches,
            finished: found.finished,
            avg_logprob: found.avg_logprob,
            no_speech,
        }
    }
}

/// The tokens in front of the text, and which of them starts the transcript.
fn prefix(model: &Model, call: &Call<'_>) -> (Vec<i32>, usize) {
    let special = model.tokens.special;
    let mut tokens = Vec::with_capacity(call.prompt.len() + 5);
    if !call.prompt.is_empty() {
        tokens.push(special.previous);
        tokens.extend(call.prompt);
    }
    let start = tokens.len();
    tokens.push(special.start);
    if let Some(language) = call.language.and_then(languages::index).and_then(|index| model.tokens.language(index)) {
        tokens.push(language);
        tokens.push(if call.translate { special.translate } else { special.transcribe });
    }
    if !call.timestamps {
        tokens.push(special.no_timestamps);
    }
    (tokens, start)
}

fn encode(model: &Model, session: &mut Session, spectrogram: &[f32], positions: usize) -> ort::Result<Heard> {
    let sizes = model.shape;
    let mut outputs = session.run(ort::inputs![
        "mel" => TensorRef::from_array_view(([1, sizes.mels, FRAMES * positions], spectrogram))?,
        "positions" => TensorRef::from_array_view(([positions, sizes.state], model.positions(positions)))?,
    ])?;
    let mut take = |name: &str| outputs.remove(name).ok_or_else(|| missing(name));
    let layer = |names: &super::session::LayerNames| Ok((take(&names.keys)?, take(&names.values)?));
    let layers = model.names.layers.iter().map(layer).collect::<ort::Result<_>>()?;
    Ok(Heard { positions, layers })
}

/// The decoder over one encoder output.
pub(super) struct Steps<'a> {
    model: &'a Model,
    heard: &'a Heard,
    session: &'a mut Session,
    cancel: &'a CancelToken,
}

/// Keys and values of the tokens so far. Never changed, so that the branches of a search share them.
#[derive(Clone)]
pub(super) struct State {
    layers: Arc<Vec<(DynValue, DynValue)>>,
    length: usize,
}

impl State {
    /// Before any token.
    fn start(model: &Model) -> ort::Result<Self> {
        let heads = model.shape.text_heads;
        let shape = [1, heads, 0, model.shape.state / heads];
        let empty = || Tensor::<f32>::new(&Allocator::default(), shape).map(Tensor::into_dyn);
        let layers = (0..model.shape.text_layers).map(|_| Ok((empty()?, empty()?))).collect::<ort::Result<_>>()?;
        Ok(Self { layers: Arc::new(layers), length: 0 })
    }

    /// Without the last `surplus` tokens.
    pub(super) fn without(&self, surplus: usize) -> Result<Self, EngineError> {
        let length = self.length - surplus;
        let cut = |value: &DynValue| -> ort::Result<DynValue> {
            let (shape, numbers) = value.try_extract_tensor::<f32>()?;
            let (heads, size) = (shape[1] as usize, shape[3] as usize);
            let rows = numbers.chunks_exact(self.length * size);
            let kept: Vec<f32> = rows.flat_map(|head| &head[..length * size]).copied().collect();
            Ok(Tensor::from_array(([1, heads, length, size], kept))?.into_dyn())
        };
        let layers = self.layers.iter().map(|(keys, values)| Ok((cut(keys)?, cut(values)?)));
        let layers = layers.collect::<ort::Result<_>>().map_err(failed)?;
        Ok(Self { layers: Arc::new(layers), length })
    }
}

/// What came of a step.
pub(super) struct Step {
    /// Logits of each wanted row, one after the other.
    pub(super) logits: Vec<f32>,
    /// Where the aligned heads look at each wanted row: [heads, positions].
    pub(super) attention: Vec<Arc<[f32]>>,
    pub(super) state: State,
}

impl Steps<'_> {
    /// Feeds `tokens` behind `state`; `wanted` says for which of them logits and attention are needed.
    pub(super) fn step(&mut self, tokens: &[i32], state: &State, wanted: &[i64]) -> Result<Step, EngineError> {
        if self.cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let products = work::of_decoder(&self.model.shape, tokens.len(), wanted.len());
        self.model.meters.decoder_products.fetch_add(products, Ordering::Relaxed);
        self.model.meters.decoder.measure(|| self.run(tokens, state, wanted)).map_err(failed)
    }

    fn run(&mut self, tokens: &[i32], state: &State, wanted: &[i64]) -> ort::Result<Step> {
        let (model, sizes) = (self.model, self.model.shape);
        let x = model.embed(tokens, state.length)?;
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::with_capacity(3 + 4 * sizes.text_layers);
        inputs.push(("x".into(), TensorRef::from_array_view(([tokens.len(), sizes.state], &x[..]))?.into()));
        inputs.push(("rows".into(), TensorRef::from_array_view(([wanted.len()], wanted))?.into()));
        let mask = model.is_masked().then(|| mask(tokens.len(), state.length));
        if let Some(mask) = &mask {
            let shape = [tokens.len(), state.length + tokens.len()];
            inputs.push((MASK.into(), TensorRef::from_array_view((shape, &mask[..]))?.into()));
        }
        for ((names, past), heard) in model.names.layers.iter().zip(state.layers.iter()).zip(&self.heard.layers) {
            inputs.push((names.past_keys.as_str().into(), (&past.0).into()));
            inputs.push((names.past_values.as_str().into(), (&past.1).into()));
            inputs.push((names.keys.as_str().into(), (&heard.0).into()));
            inputs.push((names.values.as_str().into(), (&heard.1).into()));
        }
        let mut outputs = self.session.run(inputs)?;
        let logits = outputs["logits"].try_extract_tensor::<f32>()?.1.to_vec();
        let positions = self.heard.positions;
        let mut attention = vec![Vec::with_capacity(model.aligned.len() * positions); wanted.len()];
        for (layer, head) in &model.aligned {
            let (_, weights) = outputs[model.names.layers[*layer].attention.as_str()].try_extract_tensor::<f32>()?;
            for (row, out) in wanted.iter().zip(&mut attention) {
                out.extend_from_slice(&weights[(head * tokens.len() + *row as usize) * positions..][..positions]);
            }
        }
        let mut take = |name: &str| outputs.remove(name).ok_or_else(|| missing(name));
        let layer = |names: &super::session::LayerNames| Ok((take(&names.present_keys)?, take(&names.present_values)?));
        let layers = model.names.layers.iter().map(layer).collect::<ort::Result<_>>()?;
        let state = State { layers: Arc::new(layers), length: state.length + tokens.len() };
        Ok(Step { logits, attention: attention.into_iter().map(Arc::from).collect(), state })
    }
}

/// What keeps each of `n` tokens behind `past` others from looking at those behind it: [n, past + n].
fn mask(n: usize, past: usize) -> Vec<f32> {
    (0..n).flat_map(|row| (0..past + n).map(move |column| if column > past + row { HIDDEN } else { 0.0 })).collect()
}

fn missing(name: &str) -> ort::Error {
    ort::Error::new(format!("no output '{name}'"))
}

fn failed(error: ort::Error) -> EngineError {
    EngineError::Inference(format!("ONNX Runtime: {error}"))
}

//! A loaded model and its sessions.
//!
//! The graphs' weights are held once and given to each session, and so are the copies that ONNX Runtime rearranges for
//! its products. A session runs one call at a time and has its number of threads for life; [`Pool`] makes them when
//! they are needed and lends them out.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights};
use ort::session::Session;

use super::embedding::Embedding;
use super::graph::weights::{WeightError, Weights};
use super::graph::{decoder, encoder, Graph, Operators, Precision};
use super::mel::Mel;
use super::provider::Placement;
use super::rows;
use super::tokens::Tokens;
use crate::engine::job::alignment;
use crate::engine::{CancelToken, EngineError};
use crate::models::checkpoint::{Checkpoint, ModelShape};

/// How often a job that waits for a session looks whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// What all sessions of a model share.
pub(super) struct Model {
    pub(super) shape: ModelShape,
    pub(super) tokens: Tokens,
    pub(super) mel: Mel,
    /// Layer and head of each cross-attention that is aligned with the audio.
    pub(super) aligned: Vec<(usize, usize)>,
    pub(super) names: Names,
    pub(super) meters: super::Meters,
    encoder_positions: Vec<f32>,
    decoder_positions: Vec<f32>,
    encoder: Graph,
    decoder: Graph,
    embedding: Embedding,
    prepacked: PrepackedWeights,
    environment: &'static Environment,
    placement: Placement,
}

/// Names of the decoder's inputs and outputs, a layer each.
pub(super) struct Names {
    pub(super) layers: Vec<LayerNames>,
}

/// Names of a layer's inputs and outputs.
pub(super) struct LayerNames {
    pub(super) keys: String,
    pub(super) values: String,
    pub(super) past_keys: String,
    pub(super) past_values: String,
    pub(super) present_keys: String,
    pub(super) present_values: String,
    pub(super) attention: String,
}

impl Names {
    fn new(layers: usize) -> Self {
        let layer = |n: usize| LayerNames {
            keys: format!("keys_{n}"),
            values: format!("values_{n}"),
            past_keys: format!("past_keys_{n}"),
            past_values: format!("past_values_{n}"),
            present_keys: format!("present_keys_{n}"),
            present_values: format!("present_values_{n}"),
            attention: format!("attention_{n}"),
        };
        Self { layers: (0..layers).map(layer).collect() }
    }
}

impl Model {
    /// Builds the graphs of a model.
    pub(super) fn new(
        checkpoint: Checkpoint,
        precision: Precision,
        environment: &'static Environment,
        placement: Placement,
    ) -> Result<Self, WeightError> {
        let shape = *checkpoint.shape();
        let tokens = Tokens::new(checkpoint.vocabulary(), checkpoint.advice())?;
        let mel = Mel::new(&checkpoint.filters());
        let named = checkpoint.advice().alignment_heads.as_deref();
        let aligned = alignment::heads(&shape, checkpoint.path(), named);
        let mut layers: Vec<usize> = aligned.iter().map(|(layer, _)| *layer).collect();
        layers.dedup();
        let mut weights = Weights::new(checkpoint);
        let operators = placement.operators();
        let encoder = encoder::build(&mut weights, precision, operators)?;
        let decoder = decoder::build(&mut weights, precision, operators, &layers)?;
        let embedding = if shape.tied {
            Embedding::of_head(&decoder)?
        } else {
            Embedding::own(weights.embedding()?, precision, &shape)
        };
        Ok(Self {
            shape,
            tokens,
            mel,
            aligned,
            meters: super::Meters::default(),
            names: Names::new(shape.text_layers),
            encoder_positions: weights.positions("encoder")?,
            decoder_positions: weights.positions("decoder")?,
            encoder,
            decoder,
            embedding,
            prepacked: PrepackedWeights::new(),
            environment,
            placement,
        })
    }

    /// Whether the decoder has to be told which tokens see which.
    pub(super) fn is_masked(&self) -> bool {
        self.placement.operators() == Operators::Standard
    }

    /// The encoder's positional embedding for a context of so many positions: [positions, state].
    pub(super) fn positions(&self, positions: usize) -> &[f32] {
        &self.encoder_positions[..positions * self.shape.state]
    }

    /// Token and positional embeddings of `tokens` that begin at `position`: [tokens, state].
    pub(super) fn embed(&self, tokens: &[i32], position: usize) -> ort::Result<Vec<f32>> {
        let state = self.shape.state;
        let mut x = self.decoder_positions[position * state..][..tokens.len() * state].to_vec();
        for (row, token) in x.chunks_exact_mut(state).zip(tokens) {
            self.embedding.add((*token).max(0) as usize, row)?;
        }
        Ok(x)
    }

    fn session(&self, graph: &Graph, threads: usize) -> ort::Result<Session> {
        let builder = Session::builder(self.environment)?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            // It keeps a plan for every combination of input shapes for ever; ours are new with nearly every step.
            .with_memory_pattern(false)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_operators(rows::domain()?)?;
        graph.session(match &self.placement {
            Placement::Cpu => builder.with_prepacked_weights(&self.prepacked)?,
            Placement::Provider(provider) => provider.add_to(builder, threads)?,
        })
    }
}

/// The two sessions that one job needs.
pub(super) struct Sessions {
    pub(super) encoder: Session,
    pub(super) decoder: Session,
    threads: usize,
}

/// Sessions of one model.
pub(super) struct Pool {
    model: Model,
    limit: usize,
    slots: Mutex<Slots>,
    returned: Condvar,
}

#[derive(Default)]
struct Slots {
    idle: Vec<Sessions>,
    /// Sessions there are, lent and idle.
    live: usize,
}

impl Pool {
    /// A pool of up to `limit` sessions (at least one).
    pub(super) fn new(model: Model, limit: usize) -> Self {
        Self { model, limit: limit.max(1), slots: Mutex::default(), returned: Condvar::new() }
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// Lends sessions that run on `threads` threads; waits while all are lent.
    pub(super) fn lend(&self, threads: usize, cancel: &CancelToken) -> Result<Lease<'_>, EngineError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.clamp(1, cores);
        let mut slots = self.lock();
        loop {
            if cancel.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            if let Some(at) = slots.idle.iter().position(|sessions| sessions.threads == threads) {
                let sessions = Some(slots.idle.swap_remove(at));
                return Ok(Lease { pool: self, sessions });
            }
            if slots.live < self.limit {
                slots.live += 1;
                break;
            }
            // One with another number of threads makes room.
            if slots.idle.pop().is_some() {
                break;
            }
            let wait = self.returned.wait_timeout(slots, CANCEL_POLL);
            slots = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(slots);
        let mut lease = Lease { pool: self, sessions: None };
        let model = &self.model;
        let make = |graph| {
            model.session(graph, threads).map_err(|error| EngineError::Inference(format!("ONNX Runtime: {error}")))
        };
        let (encoder, decoder) = (make(&model.encoder)?, make(&model.decoder)?);
        lease.sessions = Some(Sessions { encoder, decoder, threads });
        Ok(lease)
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sessions on loan; they go back to the pool when dropped.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    sessions: Option<Sessions>,
}

impl<'a> Lease<'a> {
    pub(super) fn model(&self) -> &'a Model {
        &self.pool.model
    }

    #[allow(clippy::expect_used)]
    pub(super) fn sessions(&mut self) -> &mut Sessions {
        self.sessions.as_mut().expect("a lease holds sessions until it is dropped")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut slots = self.pool.lock();
        match self.sessions.take() {
            Some(sessions) => slots.idle.push(sessions),
            None => slots.live -= 1,
        }
        drop(slots);
        self.pool.returned.notify_one();
    }
}

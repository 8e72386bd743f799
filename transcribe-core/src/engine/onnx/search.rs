//! How the text is searched for: the likeliest token at each step, the likeliest of several beams, or the likeliest of
//! several samplings (`GreedyDecoder`, `BeamSearchDecoder` in `whisper/decoding.py`).

use std::sync::Arc;

use super::decode::{State, Step, Steps};
use super::logits::{likeliest, likeliest_of, log_sum, suppress, Random, NEVER};
use super::timestamps;
use super::tokens::Tokens;
use crate::engine::job::call::BEST_OF;
use crate::engine::EngineError;

/// What may come, and how much of it.
pub(super) struct Rules<'a> {
    pub(super) tokens: &'a Tokens,
    /// Most tokens of text.
    pub(super) most: usize,
    /// Signs that nobody says must not come.
    pub(super) annotations: bool,
    /// Timestamps come among the text.
    pub(super) timestamps: bool,
}

impl Rules<'_> {
    /// Takes away what must not come behind `chosen`.
    fn apply(&self, logits: &mut [f32], chosen: &[Chosen]) {
        suppress(logits, self.tokens, chosen.is_empty(), self.annotations);
        let all = &self.tokens.timestamps;
        if self.timestamps {
            timestamps::restrict(logits, all, self.tokens.special.end, chosen);
        } else {
            logits[all.start as usize..all.end as usize].fill(NEVER);
        }
    }
}

/// A token of text, or a timestamp, and its log-probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Chosen {
    pub(super) token: i32,
    pub(super) logprob: f32,
}

/// What was found.
pub(super) struct Found {
    pub(super) tokens: Vec<Chosen>,
    /// Where the aligned heads looked when each token was chosen, and when the end was.
    pub(super) attention: Vec<Arc<[f32]>>,
    /// Whether the end was chosen.
    pub(super) finished: bool,
    /// Mean over the tokens of text and the end.
    pub(super) avg_logprob: f32,
}

/// A text so far.
#[derive(Clone)]
struct Path {
    tokens: Vec<Chosen>,
    attention: Vec<Arc<[f32]>>,
    /// Sum of log-probabilities, that of the end among them.
    sum: f32,
    /// How many timestamps there are, and the sum of theirs.
    timestamps: (usize, f32),
    finished: bool,
}

impl Path {
    fn start(first: &Step) -> Self {
        Self { tokens: Vec::new(), attention: first.attention.clone(), sum: 0.0, timestamps: (0, 0.0), finished: false }
    }

    fn choose(&mut self, token: i32, logprob: f32, rules: &Rules<'_>) {
        self.sum += logprob;
        if token == rules.tokens.special.end {
            self.finished = true;
        } else {
            if rules.tokens.timestamps.contains(&token) {
                self.timestamps = (self.timestamps.0 + 1, self.timestamps.1 + logprob);
            }
            self.tokens.push(Chosen { token, logprob });
        }
    }

    fn avg_logprob(&self) -> f32 {
        self.sum / (self.tokens.len() + usize::from(self.finished)).max(1) as f32
    }

    /// A timestamp shares its probability with its neighbours: it says nothing of how sure the text is.
    fn found(self) -> Found {
        let (count, sum) = self.timestamps;
        let texts = self.tokens.len() - count + usize::from(self.finished);
        let avg_logprob = (self.sum - sum) / texts.max(1) as f32;
        Found { tokens: self.tokens, attention: self.attention, finished: self.finished, avg_logprob }
    }
}

/// The likeliest token at each step. `first` is the step before the text with that of the draft: logits and attention
/// are those of the last token before the draft and of each of its own. Of the draft as much is taken as was chosen
/// anyway.
pub(super) fn greedy(
    steps: &mut Steps<'_>,
    mut first: Step,
    draft: &[i32],
    rules: &Rules<'_>,
) -> Result<Found, EngineError> {
    let vocabulary = first.logits.len() / (draft.len() + 1);
    let mut path = Path { attention: Vec::new(), ..Path::start(&first) };
    for (n, logits) in first.logits.chunks_exact_mut(vocabulary).enumerate() {
        path.attention.push(first.attention[n].clone());
        rules.apply(logits, &path.tokens);
        let (token, logit) = likeliest(logits);
        path.choose(token, logit - log_sum(logits), rules);
        if path.finished || path.tokens.len() >= rules.most {
            return Ok(path.found());
        }
        if draft.get(n) != Some(&token) {
            let surplus = draft.len() - n;
            let state = if surplus > 0 { first.state.without(surplus)? } else { first.state };
            return Ok(follow(steps, path, token, state, rules, likeliest)?.found());
        }
    }
    Ok(path.found()) // not reached: the last row has no draft that it could agree with
}

/// The likeliest of several samplings at `temperature`, the same for the same audio.
pub(super) fn sample(
    steps: &mut Steps<'_>,
    first: Step,
    rules: &Rules<'_>,
    temperature: f32,
) -> Result<Found, EngineError> {
    let mut random = Random::new(temperature.to_bits().into());
    let mut best: Option<Path> = None;
    for _ in 0..BEST_OF {
        let mut path = Path::start(&first);
        let mut logits = first.logits.clone();
        rules.apply(&mut logits, &[]);
        let (token, logit) = random.draw(&logits, temperature);
        path.choose(token, logit - log_sum(&logits), rules);
        let path = follow(steps, path, token, first.state.clone(), rules, |logits| random.draw(logits, temperature))?;
        if best.as_ref().is_none_or(|best| path.avg_logprob() > best.avg_logprob()) {
            best = Some(path);
        }
    }
    Ok(best.unwrap_or_else(|| Path::start(&first)).found())
}

/// Goes on with a path whose last token, `token`, is not part of `state` yet; each further one is chosen by `choose`.
fn follow(
    steps: &mut Steps<'_>,
    mut path: Path,
    mut token: i32,
    mut state: State,
    rules: &Rules<'_>,
    mut choose: impl FnMut(&[f32]) -> (i32, f32),
) -> Result<Path, EngineError> {
    while !path.finished && path.tokens.len() < rules.most {
        let mut step = steps.step(&[token], &state, &[0])?;
        path.attention.append(&mut step.attention);
        state = step.state;
        rules.apply(&mut step.logits, &path.tokens);
        let logit;
        (token, logit) = choose(&step.logits);
        path.choose(token, logit - log_sum(&step.logits), rules);
    }
    Ok(path)
}

/// The likeliest text by its mean that beams of this width find.
pub(super) fn beam(steps: &mut Steps<'_>, first: Step, rules: &Rules<'_>, width: usize) -> Result<Found, EngineError> {
    let mut finished: Vec<Path> = Vec::new();
    let mut live = vec![(Path::start(&first), first.logits, first.state)];
    for _ in 0..rules.most {
        let mut next = Vec::new();
        for (n, (path, logits, _)) in live.iter_mut().enumerate() {
            rules.apply(logits, &path.tokens);
            let sum = log_sum(logits);
            // One more than the width, because the end may be among them.
            for (token, logit) in likeliest_of(logits, width + 1) {
                next.push((n, token, logit - sum, path.sum + logit - sum));
            }
        }
        next.sort_by(|a, b| b.3.total_cmp(&a.3));
        let mut branches: Vec<(Path, i32, State)> = Vec::new();
        for (n, token, logprob, _) in next {
            let mut path = live[n].0.clone();
            path.choose(token, logprob, rules);
            if path.finished {
                finished.push(path);
            } else {
                branches.push((path, token, live[n].2.clone()));
            }
            if branches.len() == width {
                break;
            }
        }
        if finished.len() >= width {
            break;
        }
        live = Vec::with_capacity(width);
        for (mut path, token, state) in branches {
            if path.tokens.len() >= rules.most {
                live.push((path, Vec::new(), state));
                continue;
            }
            let step = steps.step(&[token], &state, &[0])?;
            path.attention.extend(step.attention);
            live.push((path, step.logits, step.state));
        }
    }
    if finished.is_empty() {
        finished.extend(live.into_iter().map(|(path, ..)| path));
    }
    let best = finished.into_iter().max_by(|a, b| a.avg_logprob().total_cmp(&b.avg_logprob()));
    Ok(best.map_or_else(
        || Found { tokens: Vec::new(), attention: Vec::new(), finished: true, avg_logprob: 0.0 },
        Path::found,
    ))
}

//! One call of whisper.cpp: audio and settings in, tokens with times out. Nothing is judged or tried again here.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperError};

use super::pool::Lease;
use crate::engine::job::call::{Call, Decoded, Token, BEST_OF, MOST_BEAMS};
use crate::engine::{CancelToken, EngineError, Search};
use crate::samples_from_ms;

/// whisper.cpp has freed the state when it returns this.
const STATE_FREED: c_int = -7;

/// Runs a call. On errors other than [`EngineError::Cancelled`] the lease's state is gone.
pub(super) fn decode(lease: &mut Lease<'_>, context: &WhisperContext, call: &Call<'_>) -> Result<Decoded, EngineError> {
    let mut params = params(call);
    params.set_tokens(call.prompt);
    let cancel: &Arc<AtomicBool> = call.cancel.flag();
    // SAFETY: the pointer is to the flag inside the token's Arc, which `call` keeps alive until `full` has returned;
    // whisper.cpp calls back during `full` only. The callback only reads the atomic and can't unwind.
    unsafe {
        params.set_abort_callback(Some(is_cancelled));
        params.set_abort_callback_user_data(Arc::as_ptr(cancel).cast_mut().cast());
    }
    let result = lease.full(params, call.audio);
    settle(lease, call.cancel, result)?;
    let mut decoded = read(lease, context)?;
    decoded.no_speech = no_speech(lease, context, call)?;
    Ok(decoded)
}

/// Probability of the no-speech token where the model was taught to put it: behind the start token. (whisper.cpp
/// looks behind the task tokens, where it is next to nothing whatever the audio.) One step of the decoder; the
/// encoder's output is still there.
fn no_speech(lease: &mut Lease<'_>, context: &WhisperContext, call: &Call<'_>) -> Result<f32, EngineError> {
    let result = lease.decode(&[context.token_sot()], 0, call.threads.max(1));
    settle(lease, call.cancel, result)?;
    let logits = lease.get_logits().map_err(|error| EngineError::Inference(format!("whisper.cpp: {error}")))?;
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
    let token = usize::try_from(context.token_nosp()).ok().and_then(|token| logits.get(token));
    Ok(token.map_or(0.0, |logit| (logit - highest).exp() / sum))
}

/// The language of the audio and its probability: the likeliest of the first `languages`, heard in a context of
/// `positions`.
pub(super) fn detect(lease: &mut Lease<'_>, call: &Call<'_>, languages: usize) -> Result<(usize, f32), EngineError> {
    // whisper.cpp keeps the context of the call before, so that detection has to be preceded by a call. One of 0.1 s
    // takes in the audio and the context and returns ahead of the encoder.
    let mut params = params(call);
    params.set_duration_ms(100);
    let result = lease.full(params, call.audio);
    settle(lease, call.cancel, result)?;
    let result = lease.lang_detect(0, call.threads.max(1));
    let (_, probabilities) = settle(lease, call.cancel, result)?;
    let known = probabilities.iter().copied().take(languages).enumerate();
    Ok(known.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0)))
}

/// Maps errors; the state of a failed call is thrown away, that of a cancelled one is sound.
fn settle<T>(lease: &mut Lease<'_>, cancel: &CancelToken, result: Result<T, WhisperError>) -> Result<T, EngineError> {
    let error = match result {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if matches!(error, WhisperError::GenericError(STATE_FREED)) {
        lease.forget();
        return Err(EngineError::Inference("no memory for the decoder's cache".to_owned()));
    }
    if cancel.is_cancelled() {
        return Err(EngineError::Cancelled);
    }
    lease.discard();
    Err(EngineError::Inference(format!("whisper.cpp: {error}")))
}

unsafe extern "C" fn is_cancelled(flag: *mut c_void) -> bool {
    // SAFETY: `decode` hands over a pointer to an AtomicBool that outlives the call.
    let flag = unsafe { &*flag.cast::<AtomicBool>() };
    flag.load(Ordering::Acquire)
}

fn params<'a>(call: &Call<'_>) -> FullParams<'static, 'a> {
    let strategy = match call.search {
        _ if call.temperature > 0.0 => Strategy::Sample,
        Search::Greedy => Strategy::Greedy,
        Search::Beam(width) => Strategy::Beam(width.clamp(2, MOST_BEAMS)),
    };
    let mut params = template(call.language, strategy);
    params.set_n_threads(call.threads.max(1) as c_int);
    params.set_audio_ctx(call.positions as c_int);
    params.set_temperature(call.temperature);
    params.set_translate(call.translate);
    // It stops when the index of a token reaches the limit.
    params.set_max_tokens(call.max_tokens.saturating_sub(1).max(1) as c_int);
    params.set_suppress_nst(call.suppress_annotations);
    params
}

/// How whisper.cpp chooses tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Strategy {
    Greedy,
    Sample,
    Beam(usize),
}

/// Parameters with all that is the same for all calls in a language. whisper-rs leaks the language's string each time
/// it is set, so it is set once for each language and the result copied from then on.
fn template<'a>(language: Option<&'static str>, strategy: Strategy) -> FullParams<'static, 'a> {
    type Templates = HashMap<(Option<&'static str>, Strategy), FullParams<'static, 'static>>;
    static TEMPLATES: Mutex<Option<Templates>> = Mutex::new(None);
    let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    let templates = templates.get_or_insert_with(HashMap::new);
    templates.entry((language, strategy)).or_insert_with(|| new_template(language, strategy)).clone()
}

fn new_template(language: Option<&'static str>, strategy: Strategy) -> FullParams<'static, 'static> {
    let mut params = FullParams::new(match strategy {
        Strategy::Greedy => SamplingStrategy::Greedy { best_of: 1 },
        Strategy::Sample => SamplingStrategy::Greedy { best_of: BEST_OF as c_int },
        Strategy::Beam(width) => SamplingStrategy::BeamSearch { beam_size: width as c_int, patience: -1.0 },
    });
    if language.is_some() {
        params.set_language(language);
    }
    params.set_single_segment(true);
    params.set_no_timestamps(true);
    params.set_no_context(true);
    params.set_suppress_blank(true);
    params.set_temperature_inc(0.0); // our own loop raises it
    params.set_no_speech_thold(2.0); // never drop text on its own
    params.set_print_special(false);
    params.set_print_progress(false);
    params.set_print_realtime(false);
    params.set_print_timestamps(false);
    params
}

fn read(lease: &Lease<'_>, context: &WhisperContext) -> Result<Decoded, EngineError> {
    let end_token = context.token_eot();
    let mut decoded = Decoded {
        tokens: Vec::new(),
        numbers: Vec::new(),
        stretches: Vec::new(),
        finished: false,
        avg_logprob: 0.0,
        no_speech: 0.0,
    };
    let (mut sum, mut count) = (0.0, 0);
    for segment in lease.as_iter() {
        for token in (0..segment.n_tokens()).filter_map(|n| segment.get_token(n)) {
            let data = token.token_data();
            sum += data.plog;
            count += 1;
            decoded.finished = data.id == end_token;
            if data.id < end_token {
                let bytes =
                    token.to_bytes().map_err(|error| EngineError::Inference(format!("whisper.cpp: {error}")))?;
                let end = u64::try_from(data.t_dtw).ok().map(|hundredths| samples_from_ms(10 * hundredths));
                decoded.tokens.push(Token { bytes: bytes.to_vec(), probability: data.p, end, attended: None });
            }
        }
    }
    if count > 0 {
        decoded.avg_logprob = sum / count as f32;
    } else {
        decoded.finished = true;
    }
    Ok(decoded)
}

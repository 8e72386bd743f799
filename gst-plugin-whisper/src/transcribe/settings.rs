//! The element's properties: one table of names, defaults, ranges and docs, and what they mean to the core.

use std::path::PathBuf;
use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;
use transcribe_core::engine::{languages, ContextPolicy, DecodeOptions, Search, Task, Timestamps};
use transcribe_core::guards::GuardOptions;
use transcribe_core::models::DEFAULT_MODEL;
use transcribe_core::partials::PartialPolicy;
use transcribe_core::segmenter::SegmenterConfig;
use transcribe_core::stream::StreamConfig;
use transcribe_core::vad::gate::DEFAULT_NOISE_FLOOR_DBFS;
use transcribe_core::vad::VadKind;
use transcribe_core::{samples_from_ms, Position};

use super::{Engine, Granularity, Partials, TaskKind, TimestampKind, Vad};

/// The language value that means: find out for each utterance.
const AUTO: &str = "auto";
/// Part of the latency budget kept for decoding an utterance, once its end is known.
const DECODE_ALLOWANCE_MS: u32 = 1_000;
/// Shortest length limit of utterances that a small latency may lead to.
const LEAST_UTTERANCE_MS: u32 = 2_000;

/// Values of all properties.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) model: String,
    pub(super) engine: Engine,
    pub(super) language: String,
    pub(super) task: TaskKind,
    pub(super) device: String,
    pub(super) threads: u32,
    pub(super) onnxruntime: Option<String>,
    pub(super) channel: i32,
    pub(super) vad: Vad,
    pub(super) vad_threshold: f32,
    pub(super) vad_negative_threshold: f32,
    pub(super) noise_floor: f32,
    pub(super) min_speech: u32,
    pub(super) min_silence: u32,
    pub(super) speech_pad: u32,
    pub(super) pre_roll: u32,
    pub(super) max_utterance: u32,
    pub(super) partials: Partials,
    pub(super) partial_interval: u32,
    pub(super) agreement: u32,
    pub(super) attention_margin: u32,
    pub(super) revise_committed: bool,
    pub(super) sentence_silence: u32,
    pub(super) beam_size: u32,
    pub(super) initial_prompt: Option<String>,
    pub(super) condition_on_previous_text: bool,
    pub(super) timestamps: TimestampKind,
    pub(super) context_floor: u32,
    pub(super) context_margin: u32,
    pub(super) keep_annotations: bool,
    pub(super) granularity: Granularity,
    pub(super) newline: bool,
    pub(super) latency: u32,
    pub(super) lateness: u32,
    pub(super) max_backlog: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let segmenter = SegmenterConfig::default();
        let context = ContextPolicy::default();
        let ms = |samples: u64| (samples * 1000 / u64::from(transcribe_core::SAMPLE_RATE)) as u32;
        let position_ms = |positions: usize| (positions * 1000 / ContextPolicy::POSITIONS_PER_SECOND) as u32;
        Self {
            model: DEFAULT_MODEL.into(),
            engine: Engine::Auto,
            language: AUTO.into(),
            task: TaskKind::Transcribe,
            device: AUTO.into(),
            threads: 0,
            onnxruntime: None,
            channel: -1,
            vad: Vad::Silero,
            vad_threshold: segmenter.threshold,
            vad_negative_threshold: -1.0,
            noise_floor: DEFAULT_NOISE_FLOOR_DBFS,
            min_speech: ms(segmenter.min_speech),
            min_silence: ms(segmenter.min_silence),
            speech_pad: ms(segmenter.speech_pad),
            pre_roll: ms(segmenter.pre_roll),
            max_utterance: ms(segmenter.max_utterance),
            partials: Partials::LocalAgreement,
            partial_interval: 500,
            agreement: 2,
            attention_margin: 300,
            revise_committed: false,
            sentence_silence: 0,
            beam_size: 1,
            initial_prompt: None,
            condition_on_previous_text: false,
            timestamps: TimestampKind::Retries,
            context_floor: position_ms(context.floor),
            context_margin: position_ms(context.margin),
            keep_annotations: false,
            granularity: Granularity::Utterance,
            newline: false,
            latency: 10_000,
            lateness: 0,
            max_backlog: 300,
        }
    }
}

impl Settings {
    /// Whether the property changes how a running stream decodes or shows results.
    pub(super) fn is_live(name: &str) -> bool {
        matches!(
            name,
            "language"
                | "language-code"
                | "task"
                | "partials"
                | "partial-interval"
                | "agreement"
                | "attention-margin"
                | "beam-size"
                | "initial-prompt"
                | "condition-on-previous-text"
                | "timestamps"
                | "keep-annotations"
        )
    }

    /// How utterances are decoded; an error for a language that Whisper does not know.
    pub(super) fn decode(&self) -> Result<DecodeOptions, String> {
        let language = match self.language.as_str() {
            "" | AUTO => None,
            code => Some(languages::parse(code).ok_or_else(|| unknown_language(code))?.to_owned()),
        };
        let positions = |ms: u32| ms as usize * ContextPolicy::POSITIONS_PER_SECOND / 1000;
        Ok(DecodeOptions {
            language,
            task: match self.task {
                TaskKind::Transcribe => Task::Transcribe,
                TaskKind::Translate => Task::Translate,
            },
            search: if self.beam_size > 1 { Search::Beam(self.beam_size as usize) } else { Search::Greedy },
            prompt: self.initial_prompt.clone().filter(|p| !p.is_empty()),
            previous: self.condition_on_previous_text.then(String::new),
            timestamps: match self.timestamps {
                TimestampKind::Never => Timestamps::Never,
                TimestampKind::Retries => Timestamps::Retries,
                TimestampKind::Always => Timestamps::Always,
            },
            context: ContextPolicy { floor: positions(self.context_floor), margin: positions(self.context_margin) },
            guards: GuardOptions { keep_annotations: self.keep_annotations, ..GuardOptions::default() },
            ..DecodeOptions::default()
        })
    }

    /// When partials are made.
    pub(super) fn partial_policy(&self) -> PartialPolicy {
        let every = samples_from_ms(self.partial_interval.into());
        match self.partials {
            Partials::None => PartialPolicy::None,
            Partials::Interval => PartialPolicy::Interval { every },
            Partials::LocalAgreement => PartialPolicy::LocalAgreement { every, agree: self.agreement as usize },
            Partials::AlignAtt => {
                PartialPolicy::AlignAtt { every, margin: samples_from_ms(self.attention_margin.into()) }
            }
        }
    }

    /// Whether an engine that can or can't tell where the decoder looks will do; if not, cause and mend.
    pub(super) fn check_attention(&self, told: bool) -> Result<(), String> {
        if self.partials != Partials::AlignAtt || told {
            return Ok(());
        }
        Err("partials=align-att needs to know where the decoder looks, which this engine can't tell: set engine=onnx \
             (on the CPU), or partials=local-agreement"
            .to_owned())
    }

    /// All that a stream needs to know.
    pub(super) fn stream(&self) -> Result<StreamConfig, String> {
        Ok(StreamConfig {
            segmenter: SegmenterConfig {
                threshold: self.vad_threshold,
                negative_threshold: (self.vad_negative_threshold >= 0.0).then_some(self.vad_negative_threshold),
                min_speech: samples_from_ms(self.min_speech.into()),
                min_silence: samples_from_ms(self.min_silence.into()),
                speech_pad: samples_from_ms(self.speech_pad.into()),
                pre_roll: samples_from_ms(self.pre_roll.into()),
                max_utterance: samples_from_ms(self.max_utterance.into()),
                ..SegmenterConfig::default()
            },
            noise_floor_dbfs: self.noise_floor,
            partials: self.partial_policy(),
            decode: self.decode()?,
            partial_context: None,
            sentence_silence: (self.sentence_silence > 0).then(|| samples_from_ms(self.sentence_silence.into())),
            may_revise: self.revise_committed,
        })
    }

    /// Length limit of utterances in a live pipeline: text must be out within `latency` of its timestamp, which is the
    /// utterance's start, so that an utterance can only last as long as end-pointing and decoding leave time for.
    pub(super) fn live_max_utterance(&self) -> Position {
        let budget = self.latency.saturating_sub(self.min_silence + DECODE_ALLOWANCE_MS).max(LEAST_UTTERANCE_MS);
        samples_from_ms(self.max_utterance.min(budget).into())
    }

    /// The latency that the element answers with and keeps: the property, but never less than the shortest utterance,
    /// the silence that ends it and its decoding take.
    pub(super) fn latency(&self) -> gst::ClockTime {
        let least = LEAST_UTTERANCE_MS + self.min_silence + DECODE_ALLOWANCE_MS;
        gst::ClockTime::from_mseconds(self.latency.max(least).into())
    }

    /// How long after the end of speech a final is due.
    pub(super) fn final_target(&self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::from(self.min_silence + DECODE_ALLOWANCE_MS))
    }

    /// CPU threads for each job.
    pub(super) fn thread_count(&self) -> Option<usize> {
        (self.threads > 0).then_some(self.threads as usize)
    }

    /// Path of the ONNX Runtime library, if set.
    pub(super) fn library(&self) -> Option<PathBuf> {
        self.onnxruntime.as_ref().filter(|p| !p.is_empty()).map(PathBuf::from)
    }

    /// The detector.
    pub(super) fn vad_kind(&self) -> VadKind {
        match self.vad {
            Vad::Silero => VadKind::Silero,
            Vad::Energy => VadKind::Energy,
        }
    }

    /// The channel to pick.
    pub(super) fn picked_channel(&self) -> Option<u32> {
        u32::try_from(self.channel).ok()
    }

    pub(super) fn set(&mut self, name: &str, value: &glib::Value) {
        let string = || value.get::<Option<String>>().ok().flatten();
        match name {
            "model" => self.model = string().filter(|m| !m.is_empty()).unwrap_or_else(|| DEFAULT_MODEL.into()),
            "engine" => take(value, &mut self.engine),
            "language" | "language-code" => self.language = string().unwrap_or_else(|| AUTO.into()),
            "task" => take(value, &mut self.task),
            "device" => self.device = string().unwrap_or_else(|| AUTO.into()),
            "threads" => take(value, &mut self.threads),
            "onnxruntime" => self.onnxruntime = string(),
            "channel" => take(value, &mut self.channel),
            "vad" => take(value, &mut self.vad),
            "vad-threshold" => take(value, &mut self.vad_threshold),
            "vad-negative-threshold" => take(value, &mut self.vad_negative_threshold),
            "noise-floor" => take(value, &mut self.noise_floor),
            "min-speech" => take(value, &mut self.min_speech),
            "min-silence" => take(value, &mut self.min_silence),
            "speech-pad" => take(value, &mut self.speech_pad),
            "pre-roll" => take(value, &mut self.pre_roll),
            "max-utterance" => take(value, &mut self.max_utterance),
            "partials" => take(value, &mut self.partials),
            "partial-interval" => take(value, &mut self.partial_interval),
            "agreement" => take(value, &mut self.agreement),
            "attention-margin" => take(value, &mut self.attention_margin),
            "revise-committed" => take(value, &mut self.revise_committed),
            "sentence-silence" => take(value, &mut self.sentence_silence),
            "beam-size" => take(value, &mut self.beam_size),
            "initial-prompt" => self.initial_prompt = string(),
            "condition-on-previous-text" => take(value, &mut self.condition_on_previous_text),
            "timestamps" => take(value, &mut self.timestamps),
            "context-floor" => take(value, &mut self.context_floor),
            "context-margin" => take(value, &mut self.context_margin),
            "keep-annotations" => take(value, &mut self.keep_annotations),
            "granularity" => take(value, &mut self.granularity),
            "newline" => take(value, &mut self.newline),
            "latency" => take(value, &mut self.latency),
            "lateness" => take(value, &mut self.lateness),
            "max-backlog" => take(value, &mut self.max_backlog),
            _ => {}
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "model" => self.model.to_value(),
            "engine" => self.engine.to_value(),
            "language" | "language-code" => self.language.to_value(),
            "task" => self.task.to_value(),
            "device" => self.device.to_value(),
            "threads" => self.threads.to_value(),
            "onnxruntime" => self.onnxruntime.to_value(),
            "channel" => self.channel.to_value(),
            "vad" => self.vad.to_value(),
            "vad-threshold" => self.vad_threshold.to_value(),
            "vad-negative-threshold" => self.vad_negative_threshold.to_value(),
            "noise-floor" => self.noise_floor.to_value(),
            "min-speech" => self.min_speech.to_value(),
            "min-silence" => self.min_silence.to_value(),
            "speech-pad" => self.speech_pad.to_value(),
            "pre-roll" => self.pre_roll.to_value(),
            "max-utterance" => self.max_utterance.to_value(),
            "partials" => self.partials.to_value(),
            "partial-interval" => self.partial_interval.to_value(),
            "agreement" => self.agreement.to_value(),
            "attention-margin" => self.attention_margin.to_value(),
            "revise-committed" => self.revise_committed.to_value(),
            "sentence-silence" => self.sentence_silence.to_value(),
            "beam-size" => self.beam_size.to_value(),
            "initial-prompt" => self.initial_prompt.to_value(),
            "condition-on-previous-text" => self.condition_on_previous_text.to_value(),
            "timestamps" => self.timestamps.to_value(),
            "context-floor" => self.context_floor.to_value(),
            "context-margin" => self.context_margin.to_value(),
            "keep-annotations" => self.keep_annotations.to_value(),
            "granularity" => self.granularity.to_value(),
            "newline" => self.newline.to_value(),
            "latency" => self.latency.to_value(),
            "lateness" => self.lateness.to_value(),
            "max-backlog" => self.max_backlog.to_value(),
            _ => return None,
        })
    }
}

fn take<T: for<'v> glib::value::FromValue<'v>>(value: &glib::Value, field: &mut T) {
    if let Ok(new) = value.get::<T>() {
        *field = new;
    }
}

fn string<'a>(
    name: &'a str,
    nick: &'a str,
    blurb: &'a str,
    default: Option<&'a str>,
) -> glib::ParamSpecStringBuilder<'a> {
    glib::ParamSpecString::builder(name).nick(nick).blurb(blurb).default_value(default)
}

fn unknown_language(code: &str) -> String {
    format!("'{code}' is not a language that Whisper knows: use a code such as en, de or pt-BR, or auto to detect it")
}

/// The properties as GObject sees them.
pub(super) static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
    let d = Settings::default();
    let uint = |name, nick, blurb, (min, max): (u32, u32), default| {
        glib::ParamSpecUInt::builder(name).nick(nick).blurb(blurb).minimum(min).maximum(max).default_value(default)
    };
    let float = |name, nick, blurb, (min, max): (f32, f32), default| {
        glib::ParamSpecFloat::builder(name).nick(nick).blurb(blurb).minimum(min).maximum(max).default_value(default)
    };
    vec![
        string("model", "Model", "Whisper model: a name (tiny.en, base, large-v3-turbo, base-q5_1, …), which is downloaded once if no models folder has it, or the path of a ggml file, or of a folder with a Hugging Face (safetensors) or CTranslate2 (faster-whisper) model", Some(&d.model)).mutable_ready().build(),
        glib::ParamSpecEnum::builder_with_default("engine", d.engine).nick("Engine").blurb("Runtime that decodes").mutable_ready().build(),
        string("language", "Language", "Language that is spoken: a code (en, de, pt-BR, …), or auto to detect it for each utterance", Some(&d.language)).mutable_playing().build(),
        string("language-code", "Language code", "The same as language, under the name that transcriberbin sets", Some(&d.language)).mutable_playing().build(),
        glib::ParamSpecEnum::builder_with_default("task", d.task).nick("Task").blurb("Transcribe, or translate into English (multilingual models)").mutable_playing().build(),
        string("device", "Device", "Where the model runs: auto, cpu, gpu:N, cuda:N, vulkan:N, metal, hip:N, tensorrt:N, coreml, openvino[:cpu, :gpu, :npu, :N]; GPUs need a build with that feature, or an ONNX Runtime library with that execution provider", Some(&d.device)).mutable_ready().build(),
        uint("threads", "Threads", "CPU threads for each job (0 = one on a GPU and for tiny and base, for larger models all cores that no other job needs)", (0, 256), d.threads).mutable_ready().build(),
        string("onnxruntime", "ONNX Runtime", "Path of the ONNX Runtime library for the Silero VAD and engine=onnx (unset = ORT_DYLIB_PATH, the system's, or the one that make setup installed)", None).mutable_ready().build(),
        glib::ParamSpecInt::builder("channel").nick("Channel").blurb("Channel to transcribe, from 0 (-1 = all mixed down)").minimum(-1).maximum(63).default_value(d.channel).mutable_ready().build(),
        glib::ParamSpecEnum::builder_with_default("vad", d.vad).nick("VAD").blurb("Voice activity detector").mutable_ready().build(),
        float("vad-threshold", "VAD threshold", "Probability of speech at which speech starts", (0.0, 1.0), d.vad_threshold).mutable_ready().build(),
        float("vad-negative-threshold", "VAD negative threshold", "Probability of speech under which speech ends (-1 = threshold - 0.15)", (-1.0, 1.0), d.vad_negative_threshold).mutable_ready().build(),
        float("noise-floor", "Noise floor", "While nobody speaks, audio under this level (dBFS, RMS of 32 ms) that does not stand out of its own background is silence without asking the VAD", (-120.0, 0.0), d.noise_floor).mutable_ready().build(),
        uint("min-speech", "Minimum speech", "Shorter speech is dropped (ms)", (0, 10_000), d.min_speech).mutable_ready().build(),
        uint("min-silence", "Minimum silence", "Silence that ends an utterance (ms)", (32, 60_000), d.min_silence).mutable_ready().build(),
        uint("speech-pad", "Speech padding", "Added to both ends of an utterance's reported time (ms)", (0, 5_000), d.speech_pad).mutable_ready().build(),
        uint("pre-roll", "Pre-roll", "Audio before an utterance that is decoded with it (ms)", (0, 5_000), d.pre_roll).mutable_ready().build(),
        uint("max-utterance", "Maximum utterance", "Longer utterances are cut at the least speech-like point in reach (ms); live pipelines cut earlier where latency asks for it", (1_000, 29_000), d.max_utterance).mutable_ready().build(),
        glib::ParamSpecEnum::builder_with_default("partials", d.partials).nick("Partials").blurb("Partial results while an utterance is spoken").mutable_playing().build(),
        uint("partial-interval", "Partial interval", "New audio after which the next partial is made (ms); under load they come less often", (100, 60_000), d.partial_interval).mutable_playing().build(),
        uint("agreement", "Agreement", "Hypotheses in a row that must agree on a word before it is stable, with partials=local-agreement", (2, 8), d.agreement).mutable_playing().build(),
        uint("attention-margin", "Attention margin", "Audio before the end that the decoder must not have looked at for a word to be stable, with partials=align-att (ms)", (0, 10_000), d.attention_margin).mutable_playing().build(),
        glib::ParamSpecBoolean::builder("revise-committed").nick("Revise committed words").blurb("Let finals change words that partials have shown as stable: a little more accurate, but what was read may change").default_value(d.revise_committed).mutable_ready().build(),
        uint("sentence-silence", "Sentence silence", "Silence that ends an utterance whose text so far ends a sentence (ms, less than min-silence; 0 = min-silence for all); needs partials or a live source", (0, 60_000), d.sentence_silence).mutable_ready().build(),
        uint("beam-size", "Beam size", "Beam width for finals (1 = greedy)", (1, 8), d.beam_size).mutable_playing().build(),
        string("initial-prompt", "Initial prompt", "Text the decoder takes for what was said before: names, spelling, style", None).mutable_playing().build(),
        glib::ParamSpecBoolean::builder("condition-on-previous-text").nick("Condition on previous text").blurb("Let the decoder go on from the finals before: names and style stay the same over utterances, but so do errors").default_value(d.condition_on_previous_text).mutable_playing().build(),
        glib::ParamSpecEnum::builder_with_default("timestamps", d.timestamps).nick("Timestamps").blurb("Attempts of the decoder that have Whisper's timestamps among the text, so that it leaves out less; times of words come from elsewhere").mutable_playing().build(),
        uint("context-floor", "Context floor", "Least audio context that the encoder computes (ms); a shorter one is faster and less accurate (30000 = the whole)", (1_000, 30_000), d.context_floor).mutable_ready().build(),
        uint("context-margin", "Context margin", "Silence that the encoder sees behind an utterance (ms)", (0, 30_000), d.context_margin).mutable_ready().build(),
        glib::ParamSpecBoolean::builder("keep-annotations").nick("Keep annotations").blurb("Keep [BLANK_AUDIO], (music) and the like").default_value(d.keep_annotations).mutable_playing().build(),
        glib::ParamSpecEnum::builder_with_default("granularity", d.granularity).nick("Granularity").blurb("What a buffer holds").mutable_playing().build(),
        glib::ParamSpecBoolean::builder("newline").nick("Newline").blurb("End each text buffer with a line feed, for terminals and files (JSON always has one)").default_value(d.newline).mutable_playing().build(),
        uint("latency", "Latency", "Whole latency budget in live pipelines (ms): text is out this long after its timestamp at the latest; utterances are cut to fit. Less than min-silence + 3000 is taken as that", (1_000, 120_000), d.latency).mutable_ready().build(),
        uint("lateness", "Lateness", "Shifts the output's running time by this much instead of reporting it as latency (ms)", (0, 120_000), d.lateness).mutable_ready().build(),
        uint("max-backlog", "Maximum backlog", "Seconds of audio that may wait for a result in a live pipeline before the element gives up with an error (a warning comes at half of it); other pipelines are slowed down long before", (10, 86_400), d.max_backlog).mutable_ready().build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats").nick("Statistics").blurb("Counters of this stream, the model's scheduler and the voice activity detector").read_only().build(),
    ]
});

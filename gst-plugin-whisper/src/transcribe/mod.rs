//! The element `whispertranscribe`.
//!
/**
 * SECTION:element-whispertranscribe
 *
 * Transcribes speech while it is spoken. Raw audio of any format goes in; the Silero VAD cuts it into utterances,
 * Whisper turns each into text. Elements with the same model and device share one set of weights in the process.
 *
 * ## Output
 *
 * Downstream caps choose the form of the source pad's buffers:
 *
 * * `text/x-raw, format=utf8`: one buffer an utterance or, with #GstWhisperTranscribe:granularity=word, a word.
 * * `application/x-json`: one object a result, ended by a line feed. Of type `final`: `utterance`, `revision`,
 *   `text`, `start`, `end`, `language`, `probability`, `no_speech_probability`, `forced` and `words` (each with `text`,
 *   `start`, `end`, `probability`); of type `word`, with #GstWhisperTranscribe:granularity=word: `utterance`, `text`, `start`,
 *   `end`, `language` and `probability`. Times are seconds of stream time.
 *
 * Timestamp and duration of a buffer are when it was spoken. GAP events are pushed while there is no text.
 *
 * ## Events and messages
 *
 * What happens is announced twice, with the same structure: as a custom downstream event and as an element message.
 *
 * * `whispertranscribe/speech-start`, `whispertranscribe/speech-end`: somebody began or ceased to speak.
 * * `whispertranscribe/partial`: text so far of an utterance that goes on.
 * * `whispertranscribe/final`: text of an utterance for good; may be empty when there were no words in it.
 *
 * | field | type | in | what |
 * | --- | --- | --- | --- |
 * | `utterance` | guint64 | all | number of the utterance, from 0 |
 * | `start` | guint64 | all | stream time at which it began, ns |
 * | `end` | guint64 | all but speech-start | stream time at which it, or what was heard so far, ended, ns |
 * | `running-time` | guint64 | all | running time of `start`, ns |
 * | `revision` | guint | partial, final | counts up with each result of the utterance |
 * | `text` | string | partial, final | the text |
 * | `stable`, `unstable`, `tail` | string | partial | the text split in what stays, what may change, and the last word, which changes most |
 * | `language` | string | partial, final | language code |
 * | `probability` | gdouble | final | geometric mean of the tokens' probabilities |
 * | `no-speech-probability` | gdouble | final | probability that there was no speech |
 * | `forced` | gboolean | final | cut at the greatest length of an utterance: the speaker goes on in the next one |
 * | `words` | GstValueArray of GstStructure | partial, final | `text`, `start`, `end` (guint64, stream time in ns), `probability` |
 * | `json` | string | all | all of it as one JSON object, times in seconds |
 *
 * After each final, `rstranscribe/final-transcript` is pushed downstream too, which closed-caption elements know.
 *
 * ## Partial results
 *
 * With #GstWhisperTranscribe:partials=local-agreement, a word is stable once so many hypotheses in a row agree on it
 * (#GstWhisperTranscribe:agreement); stable words never change, unless #GstWhisperTranscribe:revise-committed lets the
 * final change them. (Where an utterance is cut at #GstWhisperTranscribe:max-utterance, stable words behind the cut are
 * the first of the next utterance.) When the speaker pauses, the final is made before the pause is long enough to end the utterance:
 * where it does, the final comes at once.
 *
 * With #GstWhisperTranscribe:partials=align-att, a word is stable once the decoder chose it, and those before it, by audio
 * that ends at least #GstWhisperTranscribe:attention-margin before the latest: sooner, but wrong more often. It needs
 * the engine on ONNX Runtime.
 *
 * An utterance ends after #GstWhisperTranscribe:min-silence; where its text ends a sentence already after
 * #GstWhisperTranscribe:sentence-silence; or at once on request, by the action signal
 * #GstWhisperTranscribe::finalize or, in step with the audio, a custom downstream event `whispertranscribe/finalize`.
 *
 * ## Statistics
 *
 * The structure in #GstWhisperTranscribe:stats has the fields below; those of the model count for all elements that
 * share it, and are there once it is loaded. `…-*` stands for `-mean`, `-median`, `-p95` and `-max` (guint64, ms;
 * median and 95th percentile of the last 512). Times are wall-clock time.
 *
 * | field | type | what |
 * | --- | --- | --- |
 * | `finals`, `partials` | guint64 | results given out |
 * | `finals-submitted` | guint64 | utterances whose final was asked for; once drained, finals + failed + flushed |
 * | `finals-failed`, `finals-flushed` | guint64 | finals that the engine failed on, and that a flush threw away |
 * | `backlog`, `peak-backlog` | gdouble | audio without result, s: now, and the most so far |
 * | `backlog-warnings` | guint64 | how often the backlog passed half of #GstWhisperTranscribe:max-backlog |
 * | `unread` | guint64 | results that downstream has not taken yet |
 * | `final-latency`, `max-final-latency` | guint64 | from an utterance's known end to its text, ms: the last, the longest |
 * | `vad-frames`, `vad-batches` | guint64 | frames of 32 ms that the detector saw, of all elements, and its runs |
 * | `vad-busy` | gdouble | time spent in the detector, s |
 * | `model-finals-submitted`, `model-partials-submitted` | guint64 | jobs handed in |
 * | `model-finals`, `model-partials` | guint64 | jobs decoded |
 * | `model-finals-failed`, `model-partials-failed` | guint64 | jobs that the engine failed on |
 * | `model-finals-cancelled` | guint64 | finals that a flush or a stopped element took away |
 * | `model-partials-dropped` | guint64 | partials that never ran: a newer one came, or the utterance ended |
 * | `model-partials-aborted` | guint64 | partials stopped while they ran, because the utterance ended |
 * | `model-aborted` | guint64 | jobs stopped while they ran, finals among them |
 * | `model-queued`, `model-running` | guint64 | jobs that wait, and that run |
 * | `model-queued-seconds` | gdouble | audio in waiting finals, s |
 * | `model-audio-seconds` | gdouble | audio in decoded jobs, s |
 * | `model-busy`, `model-core-seconds` | gdouble | time in the engine, s, and the same times its threads |
 * | `real-time-factor` | gdouble | `model-busy` / `model-audio-seconds` |
 * | `model-cores` | guint64 | cores that the jobs share |
 * | `model-load` | gdouble | what all elements need of the cores, 1 = all: finals lately, partials asked for (two a second at most) |
 * | `model-batches`, `model-largest-batch` | guint64 | calls of the engine, and the most jobs in one |
 * | `model-mean-batch` | gdouble | jobs in a call |
 * | `model-final-wait-*` | guint64 | from a final's hand-in until it began to run |
 * | `model-final-time-*` | guint64 | from a final's hand-in until its text was there |
 * | `model-partial-wait-*` | guint64 | from a partial's hand-in until it, or what replaced it, began to run |
 * | `model-partial-cost` | gdouble | core-seconds of a partial, lately |
 * | `model-partial-interval` | guint64 | least interval between a stream's partials for now, ms; 0 = as asked for |
 *
 * ## Latency
 *
 * In a live pipeline the element answers the LATENCY query with #GstWhisperTranscribe:latency, and cuts utterances so
 * that text is out in time. Where inference is too slow all the same, partials get rarer, finals are late but never
 * lost, and a QOS message says by how much. When audio of half of #GstWhisperTranscribe:max-backlog waits for its text,
 * a WARNING says so, and past that limit an error. Other pipelines are slowed down to the speed of the inference.
 *
 * ## Logs
 *
 * `GST_DEBUG=whispertranscribe:5` shows what the element does, `whisper.cpp:4` what the engine itself says.
 *
 * ## Example launch lines
 *
 * |[
 * gst-launch-1.0 filesrc location=speech.flac ! decodebin ! whispertranscribe newline=true ! fdsink
 * ]| Prints what is said in a file, an utterance a line.
 *
 * |[
 * gst-launch-1.0 -m autoaudiosrc ! whispertranscribe ! application/x-json ! fdsink
 * ]| Transcribes the microphone as JSON lines, with partial results as messages.
 *
 * |[
 * gst-launch-1.0 filesrc location=talk.mp4 ! decodebin ! whispertranscribe ! srtenc ! filesink location=talk.srt
 * ]| Writes subtitles for a video.
 */
mod chain;
mod convert;
mod events;
mod imp;
mod loader;
mod push;
mod session;
mod settings;
mod stats;
mod timeline;

use gst::glib;
use gst::prelude::*;

glib::wrapper! {
    /// See the module.
    pub struct WhisperTranscribe(ObjectSubclass<imp::WhisperTranscribe>)
        @extends gst::Element, gst::Object;
}

/// Registers the element with the plugin.
pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    for doc_type in [
        Engine::static_type(),
        TaskKind::static_type(),
        Vad::static_type(),
        Partials::static_type(),
        Granularity::static_type(),
    ] {
        doc_type.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }
    gst::Element::register(Some(plugin), "whispertranscribe", gst::Rank::NONE, WhisperTranscribe::static_type())
}

/// Runtime that decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstWhisperTranscribeEngine")]
pub enum Engine {
    /// ONNX Runtime on a CPU and for model folders, whisper.cpp on a GPU.
    #[enum_value(name = "Auto: ONNX Runtime on a CPU and for model folders, whisper.cpp on a GPU", nick = "auto")]
    Auto,
    /// whisper.cpp.
    #[enum_value(name = "whisper.cpp, for ggml files", nick = "whisper-cpp")]
    WhisperCpp,
    /// ONNX Runtime.
    #[enum_value(name = "ONNX Runtime, on the CPU", nick = "onnx")]
    Onnx,
}

/// What to do with the speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstWhisperTranscribeTask")]
pub enum TaskKind {
    /// Write down what is said.
    #[enum_value(name = "Transcribe: write down what is said", nick = "transcribe")]
    Transcribe,
    /// Translate into English.
    #[enum_value(name = "Translate: write it in English", nick = "translate")]
    Translate,
}

/// Voice activity detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstWhisperTranscribeVad")]
pub enum Vad {
    /// Silero VAD 6.
    #[enum_value(name = "Silero VAD 6 on ONNX Runtime", nick = "silero")]
    Silero,
    /// Energy.
    #[enum_value(name = "Energy: loudness alone; takes noise and music for speech", nick = "energy")]
    Energy,
}

/// Partial results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstWhisperTranscribePartials")]
pub enum Partials {
    /// Finals only.
    #[enum_value(name = "None: finals only", nick = "none")]
    None,
    /// The utterance so far, again and again.
    #[enum_value(name = "Interval: the utterance so far, at each partial-interval", nick = "interval")]
    Interval,
    /// The same, and words stay once hypotheses agree on them.
    #[enum_value(
        name = "Local agreement: likewise, and words that hypotheses in a row agree on stay",
        nick = "local-agreement"
    )]
    LocalAgreement,
    /// The same, and words stay that the decoder chose without looking at the audio's end.
    #[enum_value(
        name = "AlignAtt: likewise, and words stay that were chosen without a look at the end (engine=onnx)",
        nick = "align-att"
    )]
    AlignAtt,
}

/// Which attempts of the decoder have timestamps among the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstWhisperTranscribeTimestamps")]
pub enum TimestampKind {
    /// None.
    #[enum_value(name = "Never", nick = "never")]
    Never,
    /// All but the first.
    #[enum_value(name = "Retries: where the first attempt is in doubt, with engines that can", nick = "retries")]
    Retries,
    /// All.
    #[enum_value(name = "Always: mostly more accurate, above all in babble (engine=onnx)", nick = "always")]
    Always,
}

/// What a buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstWhisperTranscribeGranularity")]
pub enum Granularity {
    /// An utterance.
    #[enum_value(name = "Utterance", nick = "utterance")]
    Utterance,
    /// A word.
    #[enum_value(name = "Word", nick = "word")]
    Word,
}

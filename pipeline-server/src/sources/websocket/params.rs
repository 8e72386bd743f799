//! What the address of a WebSocket may ask for.

use schemars::JsonSchema;
use serde::Deserialize;

use super::audio::{Encoding, Format};
use crate::protocol::control::{Configure, Partials, Task};
use crate::sources::Track;

/// The query of `/ws/transcribe`. The settings are those of the message `configure`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {
    /// How binary messages are written; `f32le` by default.
    pub(crate) encoding: Option<Encoding>,
    /// Frames a second; 16000 by default.
    pub(crate) sample_rate: Option<u32>,
    /// Interleaved channels; 1 by default. They are mixed down.
    pub(crate) channels: Option<u32>,
    /// `false` leaves `full_transcript` out of finals.
    pub(crate) full_transcript: Option<bool>,
    language: Option<String>,
    prompt: Option<String>,
    task: Option<Task>,
    partials: Option<Partials>,
    partial_interval_ms: Option<u32>,
    min_silence_ms: Option<u32>,
    sentence_silence_ms: Option<u32>,
    max_utterance_ms: Option<u32>,
}

impl Params {
    /// How the audio comes; an error names the parameter.
    pub(crate) fn format(&self) -> Result<Format, String> {
        let (rate, channels) = (self.sample_rate.unwrap_or(16_000), self.channels.unwrap_or(1));
        Format::new(self.encoding.unwrap_or_default(), rate, channels)
    }

    /// What is transcribed by itself.
    pub(crate) fn tracks(&self) -> Vec<Track> {
        vec![Track::default()]
    }

    /// Whether finals come with all finals before them.
    pub(crate) fn full_transcripts(&self) -> bool {
        self.full_transcript.unwrap_or(true)
    }

    /// The settings.
    pub(crate) fn configure(&self) -> Configure {
        Configure {
            language: self.language.clone(),
            prompt: self.prompt.clone(),
            task: self.task,
            partials: self.partials,
            partial_interval_ms: self.partial_interval_ms,
            min_silence_ms: self.min_silence_ms,
            sentence_silence_ms: self.sentence_silence_ms,
            max_utterance_ms: self.max_utterance_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;
    use axum::http::Uri;

    use super::*;

    fn read(query: &str) -> Result<Params, String> {
        let uri: Uri = format!("/ws/transcribe?{query}").parse().unwrap();
        Query::try_from_uri(&uri).map(|Query(params)| params).map_err(|e| e.body_text())
    }

    #[test]
    fn without_a_query_it_is_mono_16_khz_float() {
        let params = read("").unwrap();
        assert_eq!(params.format(), Format::new(Encoding::F32le, 16_000, 1));
        assert!(params.full_transcripts());
        assert_eq!(params.configure(), Configure::default());
    }

    #[test]
    fn everything_can_be_asked_for() {
        let params = read(
            "encoding=mulaw&sample_rate=8000&channels=2&full_transcript=false&language=de&prompt=a%20b&\
             partials=none&task=translate&min_silence_ms=300&max_utterance_ms=5000",
        )
        .unwrap();
        assert_eq!(params.format(), Format::new(Encoding::Mulaw, 8_000, 2));
        assert!(!params.full_transcripts());
        let configure = params.configure();
        assert_eq!(configure.prompt.as_deref(), Some("a b"));
        assert_eq!((configure.partials, configure.min_silence_ms), (Some(Partials::None), Some(300)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, named) in
            [("sample_rte=8000", "sample_rte"), ("encoding=pcm", "pcm"), ("channels=two", "channels"), ("task=x", "x")]
        {
            let error = read(query).unwrap_err();
            assert!(error.contains(named), "{query}: {error}");
        }
        assert!(read("sample_rate=1").unwrap().format().is_err());
    }
}

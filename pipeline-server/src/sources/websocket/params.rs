//! What the address of a WebSocket may ask for.

use schemars::JsonSchema;
use serde::Deserialize;

use super::audio::{Encoding, Format, Wire};
use crate::protocol::control::{Configure, Partials, Task, Timestamps};
use crate::sources::Track;

/// Channels that are transcribed by themselves at most; each costs as much as a session.
const MOST_TRACKS: u32 = 8;

/// The query of `/ws/transcribe`. The settings are those of the message `configure`.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {
    /// How binary messages are written; `f32le` by default.
    pub(crate) encoding: Option<Encoding>,
    /// Frames a second; 16000 by default.
    #[schemars(range(min = 8_000, max = 192_000))]
    pub(crate) sample_rate: Option<u32>,
    /// Interleaved channels; 1 by default. They are mixed down, unless `multichannel` is set.
    #[schemars(range(min = 1, max = 64))]
    pub(crate) channels: Option<u32>,
    /// Whether each channel is transcribed by itself; `channels` says how many there are.
    pub(crate) multichannel: Option<bool>,
    /// A token in place of a key, for browsers.
    pub(crate) token: Option<String>,
    /// `false` leaves `full_transcript` out of finals.
    pub(crate) full_transcript: Option<bool>,
    /// `true` has the session wait for its client when the connection breaks off; `ready` says for how long.
    resumable: Option<bool>,
    /// Comes back to the session of this id instead of beginning one. Goes with `after`; all else is as it was.
    pub(crate) resume: Option<String>,
    /// With `resume`: `seq` of the last message that the client has; what came behind it is sent again.
    pub(crate) after: Option<u64>,
    language: Option<String>,
    prompt: Option<String>,
    task: Option<Task>,
    condition_on_previous_text: Option<bool>,
    timestamps: Option<Timestamps>,
    partials: Option<Partials>,
    partial_interval_ms: Option<u32>,
    attention_margin_ms: Option<u32>,
    min_silence_ms: Option<u32>,
    sentence_silence_ms: Option<u32>,
    max_utterance_ms: Option<u32>,
}

impl Params {
    /// How the audio comes; an error names the parameter.
    pub(crate) fn wire(&self) -> Result<Wire, String> {
        let encoding = self.encoding.unwrap_or_default();
        if encoding != Encoding::Auto {
            let (rate, channels) = (self.sample_rate.unwrap_or(16_000), self.channels.unwrap_or(1));
            return Format::new(encoding, rate, channels).map(Wire::Raw);
        }
        if self.sample_rate.is_some() {
            return Err("sample_rate: leave it out with encoding=auto, which finds it in the stream".into());
        }
        if self.channels.is_some() && !self.is_multichannel() {
            return Err("channels: leave it out with encoding=auto, unless multichannel=true".into());
        }
        Ok(Wire::Container)
    }

    /// Whether each channel is transcribed by itself.
    pub(crate) fn is_multichannel(&self) -> bool {
        self.multichannel.unwrap_or(false)
    }

    /// What is transcribed by itself; an error names the parameter.
    pub(crate) fn tracks(&self) -> Result<Vec<Track>, String> {
        if !self.is_multichannel() {
            return Ok(vec![Track::default()]);
        }
        let channels = self.channels.unwrap_or(0);
        if !(2..=MOST_TRACKS).contains(&channels) {
            return Err(format!("channels: multichannel=true takes from 2 to {MOST_TRACKS}, say how many there are"));
        }
        Ok((0..channels).map(|channel| Track { channel: Some(channel), pick: Some(channel), party: None }).collect())
    }

    /// Whether finals come with all finals before them.
    pub(crate) fn full_transcripts(&self) -> bool {
        self.full_transcript.unwrap_or(true)
    }

    /// Whether the session waits for a client whose connection broke off.
    pub(crate) fn is_resumable(&self) -> bool {
        self.resumable.unwrap_or(false)
    }

    /// The settings.
    pub(crate) fn configure(&self) -> Configure {
        Configure {
            language: self.language.clone(),
            prompt: self.prompt.clone(),
            task: self.task,
            condition_on_previous_text: self.condition_on_previous_text,
            timestamps: self.timestamps,
            partials: self.partials,
            partial_interval_ms: self.partial_interval_ms,
            attention_margin_ms: self.attention_margin_ms,
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
        assert_eq!(params.wire(), Format::new(Encoding::F32le, 16_000, 1).map(Wire::Raw));
        assert_eq!(params.tracks(), Ok(vec![Track::default()]));
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
        assert_eq!(params.wire(), Format::new(Encoding::Mulaw, 8_000, 2).map(Wire::Raw));
        assert!(!params.full_transcripts());
        let configure = params.configure();
        assert_eq!(configure.prompt.as_deref(), Some("a b"));
        assert_eq!((configure.partials, configure.min_silence_ms), (Some(Partials::None), Some(300)));
    }

    #[test]
    fn words_may_stay_that_the_decoder_chose_without_a_look_at_the_end() {
        let configure = read("partials=align_att&attention_margin_ms=500").unwrap().configure();
        assert_eq!((configure.partials, configure.attention_margin_ms), (Some(Partials::AlignAtt), Some(500)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, named) in
            [("sample_rte=8000", "sample_rte"), ("encoding=pcm", "pcm"), ("channels=two", "channels"), ("task=x", "x")]
        {
            let error = read(query).err().unwrap();
            assert!(error.contains(named), "{query}: {error}");
        }
        for query in ["sample_rate=1", "encoding=auto&sample_rate=8000", "encoding=auto&channels=2"] {
            assert!(read(query).unwrap().wire().is_err(), "{query}");
        }
        for query in ["multichannel=true", "multichannel=true&channels=1", "multichannel=true&channels=9"] {
            assert!(read(query).unwrap().tracks().unwrap_err().starts_with("channels"), "{query}");
        }
    }

    #[test]
    fn channels_can_be_transcribed_by_themselves() {
        let params = read("encoding=auto&multichannel=true&channels=2").unwrap();
        assert_eq!(params.wire(), Ok(Wire::Container));
        let tracks = params.tracks().unwrap();
        assert_eq!(tracks.iter().map(|track| track.pick).collect::<Vec<_>>(), [Some(0), Some(1)]);
    }
}

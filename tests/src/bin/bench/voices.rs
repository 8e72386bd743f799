//! Many people who say the same things at different times: a number in, as many signals with their utterances out.
//!
//! All contenders of a section hear the same voices. Each goes through the seven clips, one further on than the voice
//! before, after a silence of its own length, so that they do not speak in lockstep.

use anyhow::Result;
use e2e_tests::audio::samples;
use e2e_tests::clips::{all, Clip, Composition};
use e2e_tests::rss::CpuTime;
use transcribe_core::stream::{Output, Stream, StreamConfig};
use transcribe_core::vad::{self, Vad, VadKind, FRAME};

/// Pause behind each clip, in seconds.
const PAUSE: f64 = 1.5;
/// Voices begin to speak within so many seconds.
const SPREAD: f64 = 8.4;
/// Multiples of it are spread evenly, however many there are.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// An utterance as the detector of this project finds it, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Utterance {
    /// Its first voiced sample.
    pub(crate) start: f64,
    /// Behind its last voiced sample: the truth for the last utterance of a clip, the detector's word for others.
    pub(crate) end: f64,
    /// When enough silence was heard to know that it is over.
    pub(crate) decided: f64,
}

/// One of many speakers.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    /// What is heard.
    pub(crate) signal: Composition,
    /// The utterances in it.
    pub(crate) utterances: Vec<Utterance>,
}

impl Voice {
    /// Partials that come at this interval while its utterances are spoken; in a pause there is nothing new.
    pub(crate) fn partials(&self, interval: f64) -> u64 {
        self.utterances.iter().map(|u| ((u.end - u.start) / interval).floor() as u64).sum()
    }
}

/// What each of them says, for [`Crowd::play`](crate::crowd::Crowd::play).
pub(crate) fn signals(voices: &[Voice]) -> Vec<&[f32]> {
    voices.iter().map(|voice| voice.signal.samples.as_slice()).collect()
}

/// So many voices; `clips`: how many of the seven clips each of them says.
pub(crate) fn voices(count: usize, clips: usize) -> Result<Vec<Voice>> {
    let mut detector = vad::load(VadKind::Silero, None)?;
    let turns: Vec<Voice> = (0..all().len().min(count))
        .map(|turn| {
            let said: Vec<&Clip> = all().iter().cycle().skip(turn).take(clips).collect();
            let signal = Composition::new().silence(1.0).clips(said, PAUSE);
            let utterances = utterances(&signal, detector.as_mut())?;
            Ok(Voice { signal, utterances })
        })
        .collect::<Result<_>>()?;
    Ok((0..count).map(|i| later(&turns[i % turns.len()], SPREAD * (i as f64 * GOLDEN).fract())).collect())
}

/// The voice behind so many seconds of silence.
fn later(voice: &Voice, seconds: f64) -> Voice {
    let lead = samples(seconds);
    let seconds = e2e_tests::audio::seconds(lead);
    let mut signal = Composition::new().silence(seconds).sound(&voice.signal.samples);
    signal.spoken = voice.signal.spoken.clone();
    for spoken in &mut signal.spoken {
        (spoken.start, spoken.end) = (spoken.start + seconds, spoken.end + seconds);
    }
    let shift =
        |u: &Utterance| Utterance { start: u.start + seconds, end: u.end + seconds, decided: u.decided + seconds };
    Voice { signal, utterances: voice.utterances.iter().map(shift).collect() }
}

/// CPU seconds that it takes to find the utterances of a signal.
pub(crate) fn listening(signal: &Composition) -> Result<f64> {
    let mut detector = vad::load(VadKind::Silero, None)?;
    let start = CpuTime::own();
    utterances(signal, detector.as_mut())?;
    Ok(CpuTime::own().since(&start).own.as_secs_f64())
}

/// Runs the stream's sans-IO core over the signal and notes when it takes an utterance for finished.
fn utterances(signal: &Composition, detector: &mut dyn Vad) -> Result<Vec<Utterance>> {
    let config = StreamConfig::default();
    let pad = transcribe_core::seconds(config.segmenter.speech_pad);
    let mut stream = Stream::new(config)?;
    let mut found = Vec::new();
    for frame in signal.samples.chunks(FRAME) {
        stream.push_audio(frame);
        while let Some((epoch, mut lane)) = stream.next_frame() {
            detector.run(std::slice::from_mut(&mut lane))?;
            stream.push_lane(epoch, lane);
        }
        while let Some(output) = stream.poll() {
            if let Output::SpeechEnd { speech, .. } = output {
                found.push(Utterance {
                    start: transcribe_core::seconds(speech.start) + pad,
                    end: transcribe_core::seconds(speech.end) - pad,
                    decided: transcribe_core::seconds(stream.end()),
                });
            }
        }
    }
    // Where a clip ends, the composition knows better.
    for spoken in &signal.spoken {
        if let Some(last) = found.iter_mut().rfind(|u| u.start < spoken.end) {
            last.end = spoken.end;
        }
    }
    Ok(found)
}

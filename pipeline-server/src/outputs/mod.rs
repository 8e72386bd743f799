//! How transcripts are written: one module a format.
//!
//! A format takes the events of one or more inputs in order and writes into whatever it is given; it knows neither
//! files nor pipelines. [`target`] is where the bytes go.

pub(crate) mod captions;
mod json;
mod live;
mod srt;
pub(crate) mod target;
mod text;
mod vtt;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use transcribe_core::transcript::{Event, Final};

pub(crate) use live::{Live, Screen};

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines with times as they are spoken; in a terminal, overwritten until they are final.
    Live,
    /// The words alone, a line an utterance.
    Txt,
    /// SubRip subtitles.
    Srt,
    /// WebVTT captions.
    Vtt,
    /// One JSON document: text, language, duration, utterances with their words.
    Json,
    /// One JSON object a line, as soon as it is known.
    Jsonl,
}

impl Format {
    /// The format that a file's ending stands for; plain text for any that is not known.
    pub(crate) fn of_file(path: &Path) -> Self {
        match path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase).as_deref() {
            Some("srt") => Self::Srt,
            Some("vtt") => Self::Vtt,
            Some("json") => Self::Json,
            Some("jsonl" | "ndjson") => Self::Jsonl,
            _ => Self::Txt,
        }
    }

    /// Whether several inputs can go into one output; where times or the document belong to one input they can't.
    pub(crate) fn takes_several_inputs(self) -> bool {
        matches!(self, Self::Live | Self::Txt)
    }

    /// Whether it can show partial results.
    pub(crate) fn takes_partials(self) -> bool {
        matches!(self, Self::Live | Self::Jsonl)
    }

    /// Whether single words can have times of their own.
    pub(crate) fn takes_words(self) -> bool {
        !matches!(self, Self::Txt)
    }
}

/// Writes a transcript.
pub(crate) trait Output {
    /// The next input begins; called only where there are several.
    fn input(&mut self, _name: &str, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Something was said.
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()>;

    /// The same with the time of day at which it began to be said, where that is known; for formats that have a place for it.
    fn event_of_day(&mut self, event: &Event, _captured_at: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
        self.event(event, out)
    }

    /// That was all; `duration` is the length of the audio in seconds where it is known.
    fn finish(&mut self, _duration: Option<f64>, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// The writer for `format`, which is not [`Format::Live`]: `words` asks for times of single words, `partials` for
/// everything that changes.
pub(crate) fn recorded(format: Format, words: bool, partials: bool) -> Box<dyn Output> {
    match format {
        Format::Live => Box::new(Live::new(None, words, partials)),
        Format::Txt => Box::new(text::Text),
        Format::Srt => Box::new(srt::Srt::new(words)),
        Format::Vtt => Box::new(vtt::Vtt::new(words)),
        Format::Json => Box::new(json::Document::default()),
        Format::Jsonl => Box::new(json::Lines::new(partials)),
    }
}

/// The final in an event, if it holds any words.
fn spoken(event: &Event) -> Option<&Final> {
    match event {
        Event::Final(last) if !last.text.trim().is_empty() => Some(last),
        _ => None,
    }
}

/// Text on one line and without control characters, which could speak to the terminal or break a format.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `00:01:02.345` with `point` before the milliseconds, as subtitle formats want it.
fn timestamp(seconds: f64, point: char) -> String {
    let ms = (seconds.max(0.0) * 1000.0).round() as u64;
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{:03}", ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use transcribe_core::transcript::Word;

    /// A final whose words are spoken evenly from `start` to `end`.
    pub(super) fn said(utterance: u64, start: f64, end: f64, text: &str) -> Event {
        let words: Vec<&str> = text.split_whitespace().collect();
        let step = (end - start) / words.len().max(1) as f64;
        let words = words.iter().enumerate().map(|(i, word)| Word {
            text: (*word).to_owned(),
            start: start + i as f64 * step,
            end: start + (i + 1) as f64 * step,
            probability: 0.9,
        });
        Event::Final(Final {
            utterance,
            revision: 1,
            start,
            end,
            text: text.to_owned(),
            language: "en".to_owned(),
            probability: 0.9,
            no_speech_probability: 0.1,
            forced: false,
            words: words.collect(),
        })
    }

    /// What `output` writes for `events`.
    pub(super) fn written(mut output: impl Output, events: &[Event], duration: Option<f64>) -> String {
        let mut bytes = Vec::new();
        for event in events {
            output.event(event, &mut bytes).unwrap();
        }
        output.finish(duration, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_file_ending_names_the_format() {
        for (name, format) in [
            ("a.srt", Format::Srt),
            ("a.VTT", Format::Vtt),
            ("a.json", Format::Json),
            ("a.jsonl", Format::Jsonl),
            ("a.b.txt", Format::Txt),
            ("a", Format::Txt),
        ] {
            assert_eq!(Format::of_file(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn timestamps_round_and_carry() {
        assert_eq!(timestamp(0.0, ','), "00:00:00,000");
        assert_eq!(timestamp(59.9996, '.'), "00:01:00.000");
        assert_eq!(timestamp(3_725.25, ','), "01:02:05,250");
        assert_eq!(timestamp(-1.0, '.'), "00:00:00.000");
        assert_eq!(timestamp(360_000.0, '.'), "100:00:00.000");
    }

    #[test]
    fn control_characters_never_get_out() {
        assert_eq!(one_line(" a\u{1b}[2J\n b\tc\0 "), "a [2J b c");
    }
}

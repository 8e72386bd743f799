//! JSON: the one event schema, as a line an event or as one document.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use transcribe_core::transcript::{Event, Final};

use super::{spoken, Output};

/// One object a line: finals that hold words, or everything that happens.
pub(crate) struct Lines {
    everything: bool,
}

impl Lines {
    /// `everything` adds partial results, the events around speech and finals without words.
    pub(crate) fn new(everything: bool) -> Self {
        Self { everything }
    }
}

/// What was said, and when by the source's clock.
#[derive(Serialize)]
struct Captured<T> {
    #[serde(flatten)]
    said: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    captured_at: Option<String>,
}

impl Output for Lines {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        self.event_of_day(event, None, out)
    }

    fn event_of_day(&mut self, event: &Event, captured_at: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
        if self.everything || spoken(event).is_some() {
            let line = Captured { said: event, captured_at: captured_at.map(str::to_owned) };
            serde_json::to_writer(&mut *out, &line)?;
            writeln!(out)?;
        }
        Ok(())
    }
}

/// One document, written at the end.
#[derive(Default)]
pub(crate) struct Document {
    utterances: Vec<Captured<Final>>,
}

#[derive(Serialize)]
struct Contents<'a> {
    text: String,
    language: Option<&'a str>,
    duration: Option<f64>,
    utterances: &'a [Captured<Final>],
}

impl Document {
    /// The language that was spoken longest.
    fn language(&self) -> Option<&str> {
        let mut spoken: BTreeMap<&str, f64> = BTreeMap::new();
        for Captured { said: utterance, .. } in &self.utterances {
            *spoken.entry(&utterance.language).or_default() += utterance.end - utterance.start;
        }
        spoken.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(language, _)| language)
    }
}

impl Output for Document {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        self.event_of_day(event, None, out)
    }

    fn event_of_day(&mut self, event: &Event, captured_at: Option<&str>, _out: &mut dyn Write) -> io::Result<()> {
        let captured = |said: &Final| Captured { said: said.clone(), captured_at: captured_at.map(str::to_owned) };
        self.utterances.extend(spoken(event).map(captured));
        Ok(())
    }

    fn finish(&mut self, duration: Option<f64>, out: &mut dyn Write) -> io::Result<()> {
        let texts: Vec<&str> = self.utterances.iter().map(|u| u.said.text.trim()).collect();
        let contents =
            Contents { text: texts.join(" "), language: self.language(), duration, utterances: &self.utterances };
        serde_json::to_writer_pretty(&mut *out, &contents)?;
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{said, written};
    use super::*;

    fn start(utterance: u64) -> Event {
        Event::SpeechStart { utterance, start: 0.5 }
    }

    #[test]
    fn lines_are_events_that_can_be_read_back() {
        let events = [start(0), said(0, 0.5, 1.5, "One two."), said(1, 2.0, 2.5, "")];
        let lines = |everything| written(Lines::new(everything), &events, None);
        let read: Vec<Event> = lines(true).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, events);
        assert_eq!(lines(false).lines().count(), 1);
    }

    #[test]
    fn the_document_has_text_language_duration_and_utterances() {
        let mut german = said(1, 2.0, 5.0, "Drei vier.");
        if let Event::Final(last) = &mut german {
            last.language = "de".into();
        }
        let events = [start(0), said(0, 0.5, 1.5, "One two."), german, said(2, 6.0, 6.5, "")];
        let json: serde_json::Value = serde_json::from_str(&written(Document::default(), &events, Some(7.0))).unwrap();
        assert_eq!(json["text"], "One two. Drei vier.");
        assert_eq!(json["language"], "de");
        assert_eq!(json["duration"], 7.0);
        assert_eq!(json["utterances"].as_array().unwrap().len(), 2);
        assert_eq!(json["utterances"][0]["words"][1]["text"], "two.");
    }

    #[test]
    fn the_time_of_day_stands_beside_what_was_said_where_it_is_known() {
        let event = said(0, 0.5, 1.5, "One.");
        for mut output in [Box::new(Lines::new(false)) as Box<dyn Output>, Box::new(Document::default())] {
            let mut bytes = Vec::new();
            output.event_of_day(&event, Some("2026-01-02T03:04:05.678Z"), &mut bytes).unwrap();
            output.finish(None, &mut bytes).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let last = json.get("utterances").map_or(&json, |utterances| &utterances[0]);
            assert_eq!((&last["captured_at"], &last["text"]), (&"2026-01-02T03:04:05.678Z".into(), &"One.".into()));
        }
    }

    #[test]
    fn a_silent_input_gives_a_whole_document() {
        let json: serde_json::Value = serde_json::from_str(&written(Document::default(), &[], None)).unwrap();
        assert_eq!(json["text"], "");
        assert!(json["language"].is_null() && json["duration"].is_null());
    }
}

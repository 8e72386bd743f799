//! SubRip subtitles.

use std::io::{self, Write};

use transcribe_core::transcript::Event;

use super::captions::Captions;
use super::{timestamp, Output};

/// Writes SubRip.
pub(crate) struct Srt {
    captions: Captions,
    count: usize,
}

impl Srt {
    /// `words` makes each word a cue.
    pub(crate) fn new(words: bool) -> Self {
        Self { captions: Captions::new(words), count: 0 }
    }
}

impl Output for Srt {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        for cue in self.captions.cues(event) {
            self.count += 1;
            writeln!(out, "{}", self.count)?;
            writeln!(out, "{} --> {}", timestamp(cue.start, ','), timestamp(cue.end, ','))?;
            for line in &cue.lines {
                // An arrow would be taken for times.
                writeln!(out, "{}", line.replace("-->", "->"))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{said, written};
    use super::*;

    #[test]
    fn cues_are_numbered_and_timed() {
        let events = [said(0, 0.5, 1.5, "Hello there."), said(1, 62.0, 63.25, "a --> b")];
        assert_eq!(
            written(Srt::new(false), &events, None),
            "1\n00:00:00,500 --> 00:00:01,500\nHello there.\n\n2\n00:01:02,000 --> 00:01:03,250\na -> b\n\n"
        );
    }

    #[test]
    fn a_word_can_be_a_cue() {
        let srt = written(Srt::new(true), &[said(0, 1.0, 2.0, "Hello there.")], None);
        assert!(srt.starts_with("1\n00:00:01,000 --> 00:00:01,500\nHello\n\n2\n00:00:01,500 "), "{srt}");
    }
}

//! WebVTT captions.

use std::io::{self, Write};

use transcribe_core::transcript::Event;

use super::captions::Captions;
use super::{timestamp, Output};

/// Writes WebVTT.
pub(crate) struct Vtt {
    captions: Captions,
    header: bool,
}

impl Vtt {
    /// `words` makes each word a cue.
    pub(crate) fn new(words: bool) -> Self {
        Self { captions: Captions::new(words), header: false }
    }

    fn header(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.header, true) {
            return Ok(());
        }
        writeln!(out, "WEBVTT\n")
    }
}

impl Output for Vtt {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        for cue in self.captions.cues(event) {
            self.header(out)?;
            writeln!(out, "{} --> {}", timestamp(cue.start, '.'), timestamp(cue.end, '.'))?;
            for line in &cue.lines {
                writeln!(out, "{}", escaped(line))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn finish(&mut self, _duration: Option<f64>, out: &mut dyn Write) -> io::Result<()> {
        self.header(out)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{said, written};
    use super::*;

    #[test]
    fn markup_is_escaped() {
        let vtt = written(Vtt::new(false), &[said(0, 0.5, 1.5, "R&D <b> -->")], None);
        assert_eq!(vtt, "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nR&amp;D &lt;b&gt; --&gt;\n\n");
    }

    #[test]
    fn a_silent_input_gives_a_valid_file() {
        assert_eq!(written(Vtt::new(false), &[], None), "WEBVTT\n\n");
    }
}

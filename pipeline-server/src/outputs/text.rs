//! Plain text: a line an utterance.

use std::io::{self, Write};

use transcribe_core::transcript::Event;

use super::{one_line, spoken, Output};

/// Writes plain text.
pub(crate) struct Text;

impl Output for Text {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        let Some(last) = spoken(event) else { return Ok(()) };
        writeln!(out, "{}", one_line(&last.text))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{said, written};
    use super::*;

    #[test]
    fn utterances_are_lines_and_empty_ones_are_none() {
        let events = [said(0, 0.0, 1.0, "Hello there."), said(1, 2.0, 3.0, ""), said(2, 4.0, 5.0, " Bye. ")];
        assert_eq!(written(Text, &events, None), "Hello there.\nBye.\n");
    }
}

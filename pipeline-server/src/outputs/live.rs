//! Lines with times for people to read while somebody speaks.
//!
//! On a [`Screen`] the last line is overwritten until it is final; it is kept to one row by leaving out its beginning,
//! since a row that wrapped could not be taken back. Elsewhere each line stands once it is written.

use std::io::{self, Write};

use transcribe_core::transcript::{Event, Partial, Word};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{one_line, spoken, Output};

/// To the start of the row, clearing it.
const CLEAR: &str = "\r\x1b[2K";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";
/// Columns of rows with word times where there is no screen.
const ROW: usize = 100;
/// Columns of text in a row at least, however narrow the screen is.
const LEAST_ROW: usize = 16;

/// A terminal.
pub(crate) struct Screen {
    /// How many columns it has now.
    pub(crate) columns: Box<dyn Fn() -> usize>,
    /// Whether text may be dimmed.
    pub(crate) styled: bool,
}

/// Writes for people.
pub(crate) struct Live {
    screen: Option<Screen>,
    words: bool,
    partials: bool,
    /// Whether the row at the cursor will be overwritten.
    open: bool,
    any_input: bool,
}

impl Live {
    /// `words` adds rows with the times of single words, `partials` shows what is not yet final.
    pub(crate) fn new(screen: Option<Screen>, words: bool, partials: bool) -> Self {
        Self { screen, words, partials, open: false, any_input: false }
    }

    fn columns(&self) -> usize {
        self.screen.as_ref().map_or(ROW, |screen| (screen.columns)())
    }

    /// `text` in the style of what is not so important.
    fn dim(&self, text: &str) -> String {
        if text.is_empty() || !self.screen.as_ref().is_some_and(|screen| screen.styled) {
            return text.to_owned();
        }
        format!("{DIM}{text}{PLAIN}")
    }

    fn close(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::take(&mut self.open) {
            write!(out, "{CLEAR}")?;
        }
        Ok(())
    }

    /// Shows a row that is going to change.
    fn passing(&mut self, times: &str, stable: &str, unstable: &str, out: &mut dyn Write) -> io::Result<()> {
        // The last column stays free: some terminals wrap as soon as it is written.
        let room = self.columns().saturating_sub(times.width() + 2);
        let (stable, unstable) = fit(stable, unstable, room);
        let gap = if stable.is_empty() || unstable.is_empty() { "" } else { " " };
        self.open = true;
        write!(out, "{CLEAR}{} {stable}{gap}{}", self.dim(times), self.dim(&unstable))?;
        out.flush()
    }

    fn partial(&mut self, partial: &Partial, out: &mut dyn Write) -> io::Result<()> {
        let times = times(partial.start, Some(partial.end));
        if self.screen.is_some() {
            // Behind what is stable, all else.
            let rest = partial.text.strip_prefix(partial.stable.as_str()).unwrap_or(&partial.unstable);
            return self.passing(&times, &one_line(&partial.stable), &one_line(rest), out);
        }
        let text = one_line(&partial.text);
        if text.is_empty() {
            return Ok(());
        }
        writeln!(out, "{times} {text} …")?;
        out.flush()
    }

    /// A line that stays: on a screen it goes on beneath its beginning instead of breaking inside a word.
    fn line(&self, times: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let indent = times.width() + 1;
        let room = match &self.screen {
            Some(screen) => (screen.columns)().saturating_sub(indent).max(LEAST_ROW),
            None => usize::MAX,
        };
        let mut margin = self.dim(times) + " ";
        for row in rows(text, room) {
            writeln!(out, "{margin}{row}")?;
            margin = " ".repeat(indent);
        }
        Ok(())
    }

    fn word_rows(&self, words: &[Word], out: &mut dyn Write) -> io::Result<()> {
        let indent = " ".repeat(4);
        let mut row = String::new();
        for word in words {
            let entry = format!("{} {}", clock(word.start), one_line(&word.text));
            if !row.is_empty() && indent.len() + row.width() + 2 + entry.width() >= self.columns() {
                writeln!(out, "{indent}{}", self.dim(&row))?;
                row.clear();
            }
            if !row.is_empty() {
                row.push_str("  ");
            }
            row.push_str(&entry);
        }
        if !row.is_empty() {
            writeln!(out, "{indent}{}", self.dim(&row))?;
        }
        Ok(())
    }
}

impl Output for Live {
    fn input(&mut self, name: &str, out: &mut dyn Write) -> io::Result<()> {
        self.close(out)?;
        if std::mem::replace(&mut self.any_input, true) {
            writeln!(out)?;
        }
        writeln!(out, "== {}", one_line(name))
    }

    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::Partial(partial) if self.partials => self.partial(partial, out),
            Event::SpeechStart { start, .. } if self.partials && self.screen.is_some() => {
                self.passing(&times(*start, None), "", "…", out)
            }
            Event::Final(last) => {
                self.close(out)?;
                if let Some(last) = spoken(event) {
                    self.line(&times(last.start, Some(last.end)), &one_line(&last.text), out)?;
                }
                if self.words {
                    self.word_rows(&last.words, out)?;
                }
                out.flush()
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _duration: Option<f64>, out: &mut dyn Write) -> io::Result<()> {
        self.close(out)?;
        out.flush()
    }
}

/// `[0:01.50 → 0:03.25]`, as wide while the end is not known.
fn times(start: f64, end: Option<f64>) -> String {
    let start = clock(start);
    let end = end.map_or_else(|| " ".repeat(start.len()), clock);
    format!("[{start} → {end}]")
}

/// `1:02.34`, with hours once there are any.
fn clock(seconds: f64) -> String {
    let hundredths = (seconds.max(0.0) * 100.0).round() as u64;
    let (hours, minutes, seconds) = (hundredths / 360_000, hundredths / 6_000 % 60, hundredths / 100 % 60);
    let hundredths = hundredths % 100;
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}.{hundredths:02}")
    } else {
        format!("{minutes}:{seconds:02}.{hundredths:02}")
    }
}

/// `text` broken between words into rows of at most so many columns; a longer word has a row of its own.
fn rows(text: &str, columns: usize) -> Vec<&str> {
    let mut rows = Vec::new();
    let (mut from, mut to) = (0, 0);
    for (space, _) in text.match_indices(' ').chain([(text.len(), "")]) {
        if to > from && text[from..space].width() > columns {
            rows.push(&text[from..to]);
            from = to + 1;
        }
        to = space;
    }
    rows.push(&text[from..]);
    rows
}

/// The ends of both that fit `columns` together with a space between; the newest words are the ones to see.
fn fit(stable: &str, unstable: &str, columns: usize) -> (String, String) {
    if stable.is_empty() {
        return (String::new(), tail(unstable, columns));
    }
    let unstable = tail(unstable, columns);
    let taken = unstable.width() + usize::from(!unstable.is_empty());
    let room = columns.saturating_sub(taken);
    if room < 2 {
        return (String::new(), unstable);
    }
    (tail(stable, room), unstable)
}

/// `text`, or `…` and as much of its end as fits `columns`.
fn tail(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut width = 1;
    let mut from = text.len();
    for (at, c) in text.char_indices().rev() {
        width += c.width().unwrap_or(0);
        if width > columns {
            break;
        }
        // A cut never goes between a character and the marks upon it.
        if c.width().unwrap_or(0) > 0 {
            from = at;
        }
    }
    if columns == 0 {
        return String::new();
    }
    format!("…{}", &text[from..])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{said, written};
    use super::*;

    fn partial(stable: &str, unstable: &str) -> Event {
        Event::Partial(Partial {
            utterance: 0,
            revision: 1,
            start: 0.5,
            end: 1.5,
            text: format!("{stable} {unstable}").trim().to_owned(),
            stable: stable.to_owned(),
            unstable: unstable.to_owned(),
            tail: String::new(),
            language: "en".into(),
            words: Vec::new(),
        })
    }

    fn on_screen(columns: usize) -> Live {
        Live::new(Some(Screen { columns: Box::new(move || columns), styled: false }), false, true)
    }

    #[test]
    fn without_a_screen_only_finals_are_lines() {
        let events = [
            Event::SpeechStart { utterance: 0, start: 0.5 },
            partial("", "Hel"),
            said(0, 0.5, 61.5, "Hello there."),
            said(1, 62.0, 63.0, ""),
        ];
        let lines = written(Live::new(None, false, false), &events, None);
        assert_eq!(lines, "[0:00.50 → 1:01.50] Hello there.\n");
        let lines = written(Live::new(None, false, true), &events, None);
        assert_eq!(lines, "[0:00.50 → 0:01.50] Hel …\n[0:00.50 → 1:01.50] Hello there.\n");
    }

    #[test]
    fn on_a_screen_partials_are_overwritten() {
        let events = [partial("And", "so my"), said(0, 0.5, 1.5, "And so my fellow.")];
        let shown = written(on_screen(80), &events, None);
        assert_eq!(
            shown,
            format!("{CLEAR}[0:00.50 → 0:01.50] And so my{CLEAR}[0:00.50 → 0:01.50] And so my fellow.\n")
        );
    }

    #[test]
    fn a_partial_that_turns_out_empty_leaves_no_trace() {
        let shown = written(on_screen(80), &[partial("", "Hm"), said(0, 0.5, 1.5, "")], None);
        assert!(shown.ends_with(CLEAR), "{shown:?}");
    }

    #[test]
    fn a_row_never_wraps() {
        for (stable, unstable) in [
            ("some words that stay", "and some that may not"),
            ("", "日本語の長い文です"),
            ("e\u{301}e\u{301}e\u{301}", "x"),
        ] {
            for columns in 1..60 {
                let shown = written(on_screen(columns), &[partial(stable, unstable)], None);
                let row = shown.trim_start_matches(CLEAR).trim_end_matches(CLEAR);
                assert!(row.width() < columns.max(23), "{columns}: {row:?}");
            }
        }
    }

    #[test]
    fn a_final_goes_on_beneath_its_beginning() {
        let shown = written(on_screen(40), &[said(0, 0.5, 1.5, "And so my fellow Americans")], None);
        let margin = " ".repeat(20);
        assert_eq!(shown, format!("[0:00.50 → 0:01.50] And so my fellow\n{margin}Americans\n"));
    }

    #[test]
    fn rows_break_between_words() {
        assert_eq!(rows("one two three", 7), ["one two", "three"]);
        assert_eq!(rows("one two three", usize::MAX), ["one two three"]);
        assert_eq!(rows("a incomprehensible b", 5), ["a", "incomprehensible", "b"]);
        assert_eq!(rows("", 5), [""]);
    }

    #[test]
    fn the_newest_words_are_kept() {
        assert_eq!(tail("some words", 20), "some words");
        assert_eq!(tail("some words", 6), "…words");
        assert_eq!(tail("日本語", 4), "…語");
        assert_eq!(tail("ae\u{301}e\u{301}", 2), "…e\u{301}");
        assert_eq!(tail("abc", 0), "");
        assert_eq!(fit("one two", "three", 9), ("…wo".into(), "three".into()));
        assert_eq!(fit("one two", "three", 6), (String::new(), "three".into()));
    }

    #[test]
    fn word_times_stand_beneath() {
        let shown = written(Live::new(None, true, false), &[said(0, 1.0, 2.0, "Hello there.")], None);
        assert_eq!(shown, "[0:01.00 → 0:02.00] Hello there.\n    0:01.00 Hello  0:01.50 there.\n");
    }

    #[test]
    fn inputs_have_headings() {
        let mut live = Live::new(None, false, false);
        let mut out = Vec::new();
        live.input("a.wav", &mut out).unwrap();
        live.input("b.wav", &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "== a.wav\n\n== b.wav\n");
    }

    #[test]
    fn hours_come_when_they_are_due() {
        assert_eq!(clock(59.999), "1:00.00");
        assert_eq!(clock(3_599.0), "59:59.00");
        assert_eq!(clock(3_723.4), "1:02:03.40");
    }
}

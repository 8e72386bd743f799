//! In a terminal: rows are overwritten until they are final, and none is wider than the terminal.

use std::path::Path;

use e2e_tests::clips::named;

use crate::support::program::Program;
use crate::support::truth::words_are_right;
use crate::support::{recording, text};

const COLUMNS: usize = 60;
const CLEAR: &str = "\r\u{1b}[2K";

#[test]
fn rows_fit_and_what_passes_is_overwritten() {
    let clip = named("librivox-sense-0890");
    let command = format!(
        "stty rows 24 columns {COLUMNS}; exec {} transcribe --threads 1 --real-time {}",
        text(&Program::server()),
        text(&recording(&clip.name))
    );
    let shown = Program::new(Path::new("script"))
        .args(&["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("NO_COLOR", "1")
        .env("TERM", "xterm")
        .succeed()
        .stdout()
        .replace("\r\n", "\n");
    assert!(shown.matches(CLEAR).count() >= 2, "{shown:?}");
    let rows: Vec<&str> = shown.split(['\n', '\r']).map(|row| row.trim_start_matches("\u{1b}[2K")).collect();
    assert!(rows.iter().all(|row| row.chars().count() <= COLUMNS), "{rows:#?}");

    // What is left when all is over: whatever follows the last time that the row was cleared.
    let left = shown.rsplit(CLEAR).next().unwrap();
    assert!(left.lines().count() > 1, "{left}");
    let words = left.split_once("] ").unwrap().1;
    words_are_right(&clip.text, words);
}

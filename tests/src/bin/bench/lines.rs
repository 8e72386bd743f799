//! What peers print: a program's JSON lines in, text and moments of each stream out.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};
use serde_json::Value;

/// A run of a peer.
pub(crate) struct Lines {
    /// All lines but the summary, in order.
    pub(crate) lines: Vec<Value>,
    /// The last line.
    pub(crate) summary: Value,
}

impl Lines {
    /// Runs the program to its end, whatever its exit status: the summary says how it went.
    pub(crate) fn of(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} can't be run"))?;
        let mut lines = Vec::new();
        if let Some(out) = child.stdout.take() {
            for line in BufReader::new(out).lines() {
                lines.push(serde_json::from_str(&line?).with_context(|| format!("{name} printed something else"))?);
            }
        }
        let status = child.wait()?;
        match lines.pop() {
            Some(summary) if kind(&summary) == "summary" => Ok(Self { lines, summary }),
            _ => bail!("{name} gave no summary: {status}"),
        }
    }

    /// The lines of a kind.
    pub(crate) fn of_kind<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = &'a Value> {
        self.lines.iter().filter(move |line| kind(line) == wanted)
    }

    /// A number of the summary.
    pub(crate) fn total(&self, name: &str) -> Result<f64> {
        self.summary[name].as_f64().with_context(|| format!("the summary has no {name}"))
    }

    /// The summary's `end`.
    pub(crate) fn end(&self) -> &str {
        self.summary["end"].as_str().unwrap_or_default()
    }

    /// All text of each stream.
    pub(crate) fn texts(&self, streams: usize) -> Vec<String> {
        let mut texts = vec![String::new(); streams];
        for line in self.of_kind("text") {
            if let Some(text) = texts.get_mut(index(line, "stream")) {
                text.push(' ');
                text.push_str(line["text"].as_str().unwrap_or_default());
            }
        }
        texts
    }
}

/// A number of a line that counts something.
pub(crate) fn index(line: &Value, name: &str) -> usize {
    line[name].as_u64().unwrap_or_default() as usize
}

fn kind(line: &Value) -> &str {
    line["type"].as_str().unwrap_or_default()
}

//! How far it is, on stderr, for people: a bar for files, a line for a model that is being fetched.
//!
//! In a terminal it is drawn and taken away again; elsewhere only downloads are mentioned, once each.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::pipeline::Preparation;

/// Shows progress.
pub(crate) struct Progress {
    terminal: bool,
    /// Whether the bar may be drawn; live text has the terminal for itself.
    wanted: bool,
    name: String,
    bar: Option<ProgressBar>,
    preparing: Option<ProgressBar>,
    mentioned: Option<String>,
}

impl Progress {
    /// For one input; `wanted` says whether to show how far it is.
    pub(crate) fn new(name: &str, wanted: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { terminal, wanted, name: name.to_owned(), bar: None, preparing: None, mentioned: None }
    }

    /// The element gets ready.
    pub(crate) fn preparation(&mut self, step: &Preparation) {
        tracing::info!(code = step.code, over = step.over, "{}", step.text);
        if !self.terminal {
            return self.mention(step);
        }
        if step.over {
            if let Some(line) = self.preparing.take() {
                line.finish_and_clear();
            }
            return;
        }
        let line = self.preparing.get_or_insert_with(|| {
            let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            line.set_style(style("{spinner} {wide_msg}"));
            line.enable_steady_tick(Duration::from_millis(120));
            line
        });
        line.set_message(step.text.clone());
    }

    fn mention(&mut self, step: &Preparation) {
        if step.over || !step.code.starts_with("download") || self.mentioned.as_ref() == Some(&step.code) {
            return;
        }
        self.mentioned = Some(step.code.clone());
        let _ = writeln!(io::stderr(), "{}", step.text);
    }

    /// Looked at up to `position` of `duration`.
    pub(crate) fn position(&mut self, position: gst::ClockTime, duration: Option<gst::ClockTime>) {
        if !self.terminal || !self.wanted || self.preparing.is_some() {
            return;
        }
        let name = &self.name;
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style("{spinner} {msg} {prefix}"));
            bar.set_message(name.clone());
            bar
        });
        if let (None, Some(duration)) = (bar.length(), duration) {
            bar.set_length(duration.mseconds());
            bar.set_style(style("{msg} [{wide_bar}] {percent:>3} % {prefix} (left: {eta})").progress_chars("=> "));
        }
        let length = bar.length().unwrap_or(u64::MAX);
        bar.set_position(position.mseconds().min(length));
        bar.set_prefix(minutes(position));
        bar.tick();
    }

    /// Takes everything away.
    pub(crate) fn clear(&mut self) {
        for bar in [self.preparing.take(), self.bar.take()].into_iter().flatten() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn minutes(time: gst::ClockTime) -> String {
    format!("{}:{:02}", time.minutes(), time.seconds() % 60)
}

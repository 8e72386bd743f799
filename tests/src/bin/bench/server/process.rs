//! `pipeline-server serve` as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use e2e_tests::rss::{CpuTime, Footprint};

use crate::driver::{tiny_en, workspace};

/// For loading the model on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A server that is ready. It ends with this.
pub(super) struct Server {
    child: Child,
    /// The address of its WebSocket.
    pub(super) url: String,
}

impl Server {
    /// Starts it with room for so many sessions and waits until it is ready.
    pub(super) fn start(sessions: usize) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("pipeline-server");
        ensure!(
            program.is_file(),
            "{} is not there: build first (cargo build --release --workspace)",
            program.display()
        );
        let sessions = sessions.to_string();
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--language", "en", "--model"])
            .arg(tiny_en())
            .args(["--max-sessions", &sessions, "--max-sessions-per-address", &sessions, "--max-rate", "10000"])
            // What is measured is what comes of all of them.
            .args(["--max-load", "1000"])
            .current_dir(workspace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().context("it has a standard output")?;
        // Killed if it does not get ready.
        let mut server = Self { child, url: String::new() };
        let (told, lines) = mpsc::channel();
        thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|l| told.send(l)));
        loop {
            let line = lines.recv_timeout(START).context("pipeline-server does not get ready")?;
            if let Some(url) = line.strip_prefix("Listening on ") {
                url.clone_into(&mut server.url);
            } else if line.starts_with("Ready") {
                return Ok(server);
            }
        }
    }

    /// Its memory and threads.
    pub(super) fn footprint(&self) -> Result<Footprint> {
        Ok(Footprint::of(self.child.id())?)
    }

    /// Its CPU seconds so far.
    pub(super) fn cpu(&self) -> Result<f64> {
        Ok(CpuTime::of(self.child.id())?.own.as_secs_f64())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

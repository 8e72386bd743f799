//! `tests/peers/camera.py` as a process: a camera that can lose power, hang, and come back.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use e2e_tests::audio::SAMPLE_RATE;
use serde_json::Value;
use tempfile::TempDir;

use super::{within, workspace};

/// A camera that says the same over and over.
pub(crate) struct Camera {
    folder: TempDir,
    /// Login, and file of the certificate.
    access: Vec<String>,
    pub(crate) port: u16,
    child: Child,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Camera {
    /// One that is on.
    pub(crate) fn start(speech: &[f32]) -> Self {
        Self::start_with(speech, &[])
    }

    /// The same, behind `user:password`, and with TLS if a file with certificate and key is named behind that.
    pub(crate) fn start_with(speech: &[f32], access: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut file = std::fs::File::create(folder.path().join("speech.raw")).unwrap();
        let samples = speech.iter().flat_map(|s| ((s.clamp(-1.0, 1.0) * 32_767.0) as i16).to_le_bytes());
        file.write_all(&samples.collect::<Vec<_>>()).unwrap();
        assert_eq!(SAMPLE_RATE, 16_000);
        let access: Vec<String> = access.iter().copied().map(str::to_owned).collect();
        let (child, told, port) = spawn(&folder.path().join("speech.raw"), 0, &access);
        Self { folder, access, port, child, told }
    }

    /// The address of one of its streams.
    pub(crate) fn url(&self, stream: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{stream}", self.port)
    }

    /// It loses power.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// It is on again, at the same address.
    pub(crate) fn restart(&mut self) {
        let speech: PathBuf = self.folder.path().join("speech.raw");
        let (child, told, _) = spawn(&speech, self.port, &self.access);
        (self.child, self.told) = (child, told);
    }

    /// It hangs, or goes on.
    pub(crate) fn signal(&self, signal: libc::c_int) {
        // SAFETY: the child was not waited for yet, so that the number is still its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as libc::pid_t, signal) }, 0);
    }

    /// When it captured the first sample of a stream since it is on (seconds since 1970), once that is so.
    pub(crate) async fn captured(&self, stream: &str) -> f64 {
        self.captured_by(stream, 0).await
    }

    /// The same for the `number`th (from 0) of those who asked for a stream that each gets for itself.
    pub(crate) async fn captured_by(&self, stream: &str, number: usize) -> f64 {
        let path = format!("/{stream}");
        within("the camera sending", async {
            loop {
                let captured = {
                    let told = self.told.lock().unwrap();
                    let of_stream = told.iter().filter(|told| told["media"] == path.as_str());
                    of_stream.filter_map(|told| told["captured"].as_f64()).nth(number)
                };
                if let Some(captured) = captured {
                    return captured;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(speech: &Path, port: u16, access: &[String]) -> (Child, Arc<Mutex<Vec<Value>>>, u16) {
    let mut child = Command::new("/usr/bin/python3")
        .arg(workspace().join("tests/peers/camera.py"))
        .arg(port.to_string())
        .arg(speech)
        .args(access)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap_or_else(|| panic!("the camera does not start: make setup-tests")).unwrap();
    let first: Value = serde_json::from_str(&first).unwrap();
    let bound = first["port"].as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let bound = bound.unwrap_or_else(|| panic!("the camera gets no port: {first}"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let into = told.clone();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            into.lock().unwrap().push(serde_json::from_str(&line).unwrap());
        }
    });
    (child, told, bound)
}

//! `pipeline-server serve` as a process on a port of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{workspace, LIMIT};

/// A server that is ready.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where it takes calls, if it does.
    pub(crate) calls: Option<SocketAddr>,
    /// Where WebRTC is, if it is.
    udp: Option<SocketAddr>,
    /// Where it speaks TLS: what its certificate is checked with.
    pub(crate) tls: Option<TlsConnector>,
    stderr: Option<JoinHandle<String>>,
}

/// What bytes go over, both ways.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// The same with variables.
    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = command(arguments);
        command.envs(variables.iter().copied());
        Self::spawn(command)
    }

    /// Starts it with its log going to a file.
    pub(crate) fn start_with_log(arguments: &[&str], log: File) -> Self {
        let mut command = command(arguments);
        command.stderr(log);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (told, lines) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| told.send(line))
        });
        let stderr = child.stderr.take();
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.map(|mut stderr| stderr.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let (mut address, mut calls, mut udp) = (None, None, None);
        loop {
            let Ok(line) = lines.recv_timeout(LIMIT) else {
                let _ = child.kill();
                panic!("the server does not get ready: {}", stderr.join().unwrap());
            };
            if let Some(listening) = line.strip_prefix("Listening on ") {
                let (_, listening) = listening.split_once("://").unwrap();
                address = Some(listening.strip_suffix("/ws/transcribe").unwrap().parse().unwrap());
            } else if let Some(sip) = line.strip_prefix("Calls: sip:") {
                calls = Some(sip.split(' ').next().unwrap().parse().unwrap());
            } else if let Some((_, listening)) = line.split_once("(UDP at ") {
                udp = Some(listening.strip_suffix(')').unwrap().parse().unwrap());
            } else if line.starts_with("Ready") {
                break;
            }
        }
        Self { child, address: address.unwrap(), calls, udp, tls: None, stderr: Some(stderr) }
    }

    /// Where WebRTC is.
    pub(crate) fn udp(&self) -> SocketAddr {
        self.udp.unwrap()
    }

    /// A connection to it.
    pub(crate) async fn open(&self) -> io::Result<Box<dyn Transport>> {
        let stream = TcpStream::connect(self.address).await?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => Ok(Box::new(tls.connect("localhost".try_into().unwrap(), stream).await?)),
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: libc::c_int) {
        // SAFETY: the child was not waited for yet, so that the number is still its own.
        let sent = unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
        assert_eq!(sent, 0);
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < LIMIT, "the server does not end");
            thread::sleep(std::time::Duration::from_millis(20));
        };
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Ended { code: status.code(), stderr }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `pipeline-server` with any arguments to its end; returns exit code, output and errors.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(built("pipeline-server"));
    let output = command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Runs a server that must refuse to start.
pub(crate) fn refuse(arguments: &[&str]) -> Ended {
    let output = command(arguments).output().unwrap();
    Ended { code: output.status.code(), stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(built("pipeline-server"));
    command
        .arg("serve")
        .args(["--threads", "1"])
        .args(arguments)
        .env("GST_REGISTRY", Path::new(env!("CARGO_TARGET_TMPDIR")).join("gstreamer-registry.bin"))
        .env("HF_HUB_OFFLINE", "1")
        .current_dir(workspace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let absent = |option: &str| !arguments.iter().any(|argument| argument.starts_with(option));
    if absent("--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    // A machine that is busy with other tests keeps nobody out.
    if absent("--max-load") {
        command.args(["--max-load", "1000"]);
    }
    for unwanted in ["RUST_LOG", "GST_DEBUG", "WHISPER_MODELS_DIR"] {
        command.env_remove(unwanted);
    }
    command
}

/// A file of the build that this test belongs to.
pub(crate) fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // The test lies in target/release/deps.
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(
        path.exists(),
        "{} is not there: build first (cargo build --release --workspace --examples)",
        path.display()
    );
    path
}

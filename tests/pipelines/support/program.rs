//! A process with a time limit: a command goes in; its exit code and its lines, with the time each came, come out.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::workspace;

/// What takes longer stands still: many times what a busy machine needs.
const LIMIT: Duration = Duration::from_secs(120);

/// A command to be.
pub(crate) struct Program(Command);

impl Program {
    /// A launch line of `pipelines/`. Each of its elements may take one thread: tests run beside each other.
    pub(crate) fn script(name: &str) -> Self {
        let mut program = Self::new(&workspace().join("pipelines").join(name));
        program.0.env("OPTIONS", "threads=1");
        program
    }

    /// `pipeline-server transcribe`.
    pub(crate) fn transcribe(arguments: &[&str]) -> Self {
        Self::new(&Self::server()).args(&["transcribe", "--threads", "1"]).args(arguments)
    }

    /// `pipeline-server` with another command.
    pub(crate) fn tool(arguments: &[&str]) -> Self {
        Self::new(&Self::server()).args(arguments)
    }

    /// The path of `pipeline-server`.
    pub(crate) fn server() -> PathBuf {
        built("pipeline-server")
    }

    /// `gst-launch-1.0` with a description of a pipeline.
    pub(crate) fn launch(pipeline: &[&str]) -> Self {
        Self::new(Path::new("gst-launch-1.0")).args(&["-q"]).args(pipeline)
    }

    /// Any program, in an environment where GStreamer finds what was built and nothing is fetched from a network.
    pub(crate) fn new(program: &Path) -> Self {
        let plugin = built("libgstwhispertranscribe.so");
        let mut command = Command::new(program);
        command
            .env("GST_PLUGIN_PATH", plugin.parent().unwrap())
            .env("GST_REGISTRY", Path::new(env!("CARGO_TARGET_TMPDIR")).join("gstreamer-registry.bin"))
            .env("HF_HUB_OFFLINE", "1")
            .env("LC_ALL", "C.UTF-8")
            .current_dir(workspace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for unwanted in ["RUST_LOG", "GST_DEBUG", "WHISPER_MODELS_DIR", "NO_COLOR"] {
            command.env_remove(unwanted);
        }
        Self(command)
    }

    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Reads its standard input from a file.
    pub(crate) fn stdin(mut self, path: &Path) -> Self {
        self.0.stdin(File::open(path).unwrap());
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Ended {
        self.start().finish()
    }

    /// Runs it to its end, which must be a good one.
    pub(crate) fn succeed(self) -> Ended {
        let ended = self.run();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        ended
    }

    /// Begins to run it.
    pub(crate) fn start(mut self) -> Running {
        let start = Instant::now();
        let mut child = self.0.spawn().unwrap_or_else(|e| panic!("{:?}: {e}", self.0));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stdout = read_lines(child.stdout.take().unwrap(), start, &lines);
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Running { name: format!("{:?}", self.0), child, start, lines, readers: Some((stdout, stderr)) }
    }
}

/// A process.
pub(crate) struct Running {
    name: String,
    child: Child,
    start: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
    readers: Option<(JoinHandle<()>, JoinHandle<String>)>,
}

/// A line of its standard output.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Since the start of the process.
    pub(crate) after: Duration,
    pub(crate) text: String,
}

/// What became of a process.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<Line>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ended {
    /// All of its standard output.
    pub(crate) fn stdout(&self) -> String {
        self.lines.iter().map(|line| format!("{}\n", line.text)).collect()
    }
}

impl Running {
    /// Sends what Ctrl-C sends.
    pub(crate) fn interrupt(&self) {
        // SAFETY: the child was not waited for yet, so that the number is still its own.
        let sent = unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGINT) };
        assert_eq!(sent, 0);
    }

    /// Waits until a line is as wanted.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) {
        while !self.lines.lock().unwrap().iter().any(|line| wanted(&line.text)) {
            self.wait_a_moment();
        }
    }

    /// Lets it run for so long.
    pub(crate) fn wait_until(&mut self, since_start: Duration) {
        while self.start.elapsed() < since_start {
            self.wait_a_moment();
        }
    }

    /// Lets it run a little more.
    pub(crate) fn wait_a_moment(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "{} ended: {:#?}", self.name, self.lines);
        self.watch();
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Ended {
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => self.watch(),
            }
        };
        let took = self.start.elapsed();
        let (stdout, stderr) = self.readers.take().unwrap();
        stdout.join().unwrap();
        let stderr = stderr.join().unwrap();
        let lines = self.lines.lock().unwrap().clone();
        Ended { code: status.code(), lines, stderr, took }
    }

    fn watch(&mut self) {
        if self.start.elapsed() > LIMIT {
            let _ = self.child.kill();
            panic!("{} stands still; until then: {:#?}", self.name, self.lines.lock().unwrap());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(pipe: impl Read + Send + 'static, start: Instant, lines: &Arc<Mutex<Vec<Line>>>) -> JoinHandle<()> {
    let lines = lines.clone();
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let text = String::from_utf8(line.unwrap()).unwrap();
            lines.lock().unwrap().push(Line { after: start.elapsed(), text });
        }
    })
}

/// A file of the build that this test belongs to.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // The test lies in target/release/deps.
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "{} is not there: build first (cargo build --release --workspace)", path.display());
    path
}

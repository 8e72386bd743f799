//! The executor over scripted engines: what is handed to them together, and that each job gets its own result.

use std::collections::HashMap;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Mutex;

use super::*;
use crate::engine::{CancelToken, DecodeOptions, ModelInfo};
use crate::SAMPLE_RATE;

/// Due in so long.
const SOON: Duration = Duration::from_secs(60);
/// Asked between partials.
const EVERY: Duration = Duration::from_millis(500);

/// Prompts of the jobs, and the threads they got.
type Call = (Vec<String>, usize);
/// A job's prompt, and what the engine said.
type Said = (String, String);

/// An engine that tells of each call, waits to be let go on, and "hears" the job's prompt. The prompt says, too, what
/// goes wrong.
struct Scripted {
    info: ModelInfo,
    batch: usize,
    threads: usize,
    calls: Mutex<Sender<Call>>,
    go: Mutex<Receiver<()>>,
}

impl Engine for Scripted {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn batch_size(&self) -> usize {
        self.batch
    }

    fn threads_per_job(&self) -> usize {
        self.threads
    }

    fn check(&self, _options: &DecodeOptions) -> Result<(), EngineError> {
        Ok(())
    }

    fn transcribe(&self, jobs: &[Job], threads: usize) -> Vec<Result<Hypothesis, EngineError>> {
        let prompts: Vec<String> = jobs.iter().map(|job| job.options.prompt.clone().unwrap()).collect();
        self.calls.lock().unwrap().send((prompts.clone(), threads)).unwrap();
        self.go.lock().unwrap().recv().unwrap();
        assert!(!prompts.iter().any(|prompt| prompt == "panic"), "as the script says");
        let results = jobs.iter().zip(prompts).map(|(job, prompt)| match prompt.as_str() {
            _ if job.cancel.is_cancelled() => Err(EngineError::Cancelled),
            "fail" => Err(EngineError::Inference("as the script says".into())),
            _ => Ok(Hypothesis { language: prompt, ..Hypothesis::default() }),
        });
        let few = jobs.iter().any(|job| job.options.prompt.as_deref() == Some("few"));
        results.take(if few { 0 } else { jobs.len() }).collect()
    }
}

/// An executor on a [`Scripted`] engine.
struct Rig {
    executor: Executor,
    calls: Receiver<Call>,
    go: Sender<()>,
    results: (Sender<Said>, Receiver<Said>),
}

impl Rig {
    fn new(cores: usize, batch: usize, threads: usize) -> Self {
        let (calls, started) = channel();
        let (go, gate) = channel();
        let info = ModelInfo { kind: "scripted".into(), multilingual: true, full_context: 1500 };
        let engine = Scripted { info, batch, threads, calls: Mutex::new(calls), go: Mutex::new(gate) };
        let executor = Executor::new(Arc::new(engine), cores).unwrap();
        Self { executor, calls: started, go, results: channel() }
    }

    fn job(&self, prompt: &str) -> (Job, Reply) {
        let options = DecodeOptions { prompt: Some(prompt.to_owned()), ..DecodeOptions::default() };
        let job = Job {
            audio: vec![0.0; SAMPLE_RATE as usize].into(),
            options: Arc::new(options),
            cancel: CancelToken::new(),
        };
        let (results, prompt) = (self.results.0.clone(), prompt.to_owned());
        let reply = Box::new(move |result: Result<Hypothesis, EngineError>| {
            let said = result.map_or_else(|error| error.to_string(), |hypothesis| hypothesis.language);
            let _ = results.send((prompt, said));
        });
        (job, reply)
    }

    fn r#final(&self, stream: StreamId, prompt: &str, due_in: Duration) -> CancelToken {
        let (job, reply) = self.job(prompt);
        let cancel = job.cancel.clone();
        let due = Due { within: due_in, new_seconds: crate::seconds(job.audio.len() as u64) };
        self.executor.submit_final(stream, job, None, due, reply);
        cancel
    }

    fn partial(&self, stream: StreamId, prompt: &str) -> CancelToken {
        let (job, reply) = self.job(prompt);
        let cancel = job.cancel.clone();
        self.executor.submit_partial(stream, job, None, EVERY, reply);
        cancel
    }

    /// The next call of the engine.
    fn call(&self) -> Call {
        self.calls.recv_timeout(SOON).expect("the engine is called")
    }

    fn go(&self) {
        self.go.send(()).unwrap();
    }

    /// The next `n` results, by prompt.
    fn results(&self, n: usize) -> HashMap<String, String> {
        (0..n).map(|_| self.results.1.recv_timeout(SOON).expect("each job gets a result")).collect()
    }
}

/// The prompts that were handed over in one call.
fn prompts(call: &Call) -> Vec<&str> {
    call.0.iter().map(String::as_str).collect()
}

#[test]
fn what_is_ready_is_handed_over_together_and_each_job_gets_its_own_result() {
    let rig = Rig::new(1, 8, 1);
    rig.r#final(0, "first", SOON);
    assert_eq!(prompts(&rig.call()), ["first"]);
    // While it runs, others queue up: finals of several streams and partials, of which one is replaced.
    rig.partial(1, "old partial");
    rig.partial(2, "partial 2");
    rig.partial(1, "partial 1");
    rig.r#final(3, "later", 3 * SOON);
    rig.r#final(4, "fail", 2 * SOON);
    let cancelled = rig.r#final(5, "cancelled", 2 * SOON);
    cancelled.cancel();
    for stream in 6..10 {
        rig.r#final(stream, &format!("final {stream}"), SOON);
    }
    rig.go();
    // The cancelled one had its place in the batch of eight and is left out.
    let second = rig.call();
    assert_eq!(
        prompts(&second),
        ["final 6", "final 7", "final 8", "final 9", "fail", "later", "partial 1"],
        "finals by deadline, then partials by their wait"
    );
    rig.go();
    assert_eq!(prompts(&rig.call()), ["partial 2"]);
    rig.go();
    let results = rig.results(10);
    for said in ["first", "later", "final 6", "final 9", "partial 1", "partial 2"] {
        assert_eq!(results[said], said);
    }
    assert_eq!(results["cancelled"], "cancelled");
    assert!(results["fail"].contains("as the script says"));
    let stats = rig.executor.stats();
    assert_eq!((stats.finals_submitted, stats.finals, stats.finals_failed, stats.finals_cancelled), (8, 6, 1, 1));
    assert_eq!((stats.partials_submitted, stats.partials, stats.partials_dropped), (3, 2, 1));
    assert_eq!((stats.batches, stats.largest_batch, stats.queued, stats.running), (3, 8, 0, 0));
    assert_eq!((stats.final_wait.count, stats.partial_wait.count, stats.audio_seconds), (8, 2, 8.0));
}

#[test]
fn a_job_cancelled_inside_a_batch_leaves_the_others_alone() {
    let rig = Rig::new(1, 8, 1);
    rig.r#final(0, "first", SOON);
    rig.call();
    rig.r#final(1, "final", SOON);
    let partial = rig.partial(2, "partial");
    rig.go();
    assert_eq!(prompts(&rig.call()), ["final", "partial"]);
    partial.cancel();
    rig.executor.drop_partial(2);
    rig.go();
    let results = rig.results(3);
    assert_eq!((results["final"].as_str(), results["partial"].as_str()), ("final", "cancelled"));
    let stats = rig.executor.stats();
    assert_eq!((stats.finals, stats.partials, stats.partials_aborted, stats.partials_dropped), (2, 0, 1, 0));
    assert_eq!((stats.aborted, stats.audio_seconds), (1, 2.0));
}

#[test]
fn a_running_partial_is_stopped_when_its_utterance_ends() {
    /// Runs until it is stopped, as whisper.cpp does by its abort callback.
    struct Endless(ModelInfo, Mutex<Sender<()>>);
    impl Engine for Endless {
        fn info(&self) -> &ModelInfo {
            &self.0
        }
        fn batch_size(&self) -> usize {
            1
        }
        fn threads_per_job(&self) -> usize {
            1
        }
        fn check(&self, _options: &DecodeOptions) -> Result<(), EngineError> {
            Ok(())
        }
        fn transcribe(&self, jobs: &[Job], _threads: usize) -> Vec<Result<Hypothesis, EngineError>> {
            self.1.lock().unwrap().send(()).unwrap();
            while jobs[0].options.prompt.as_deref() == Some("partial") && !jobs[0].cancel.is_cancelled() {
                std::thread::yield_now();
            }
            let cancelled = jobs[0].cancel.is_cancelled();
            vec![if cancelled { Err(EngineError::Cancelled) } else { Ok(Hypothesis::default()) }]
        }
    }
    let mut rig = Rig::new(1, 1, 1);
    let (began, calls) = channel();
    let info = ModelInfo { kind: "endless".into(), multilingual: true, full_context: 1500 };
    rig.executor = Executor::new(Arc::new(Endless(info, Mutex::new(began))), 1).unwrap();
    let running = rig.partial(1, "partial");
    calls.recv_timeout(SOON).unwrap();
    let waiting = rig.partial(1, "partial");
    // What the stream does when its utterance ends.
    running.cancel();
    waiting.cancel();
    rig.executor.drop_partial(1);
    rig.r#final(1, "final", SOON);
    let results = rig.results(2);
    assert_eq!((results["partial"].as_str(), results["final"].as_str()), ("cancelled", ""));
    let stats = rig.executor.stats();
    assert_eq!((stats.partials_submitted, stats.partials_dropped, stats.partials_aborted), (2, 1, 1));
    assert_eq!((stats.finals, stats.aborted, stats.partials), (1, 1, 0));
}

#[test]
fn an_engine_that_panics_or_forgets_a_result_fails_the_job_and_the_others_go_on() {
    let rig = Rig::new(1, 1, 1);
    for (prompt, said) in [("panic", "panicked"), ("few", "0 results for 1 jobs"), ("fine", "fine")] {
        rig.r#final(1, prompt, SOON);
        rig.call();
        rig.go();
        assert!(rig.results(1)[prompt].contains(said));
    }
    let stats = rig.executor.stats();
    assert_eq!((stats.finals, stats.finals_failed, stats.running), (1, 2, 0));
}

#[test]
fn jobs_that_run_at_once_share_the_cores() {
    let rig = Rig::new(4, 1, usize::MAX);
    rig.r#final(1, "alone", SOON);
    assert_eq!(rig.call().1, 4, "a job that is alone gets them all");
    for stream in 2..6 {
        rig.r#final(stream, "together", SOON);
    }
    rig.go();
    let threads: Vec<usize> = (0..4).map(|_| rig.call().1).collect();
    assert_eq!(threads, [1; 4]);
    (0..4).for_each(|_| rig.go());
    assert_eq!(rig.results(5).len(), 2);
    assert_eq!(rig.executor.stats().cores, 4);
}

#[test]
fn a_forgotten_stream_is_accounted_for() {
    let rig = Rig::new(1, 1, 1);
    rig.r#final(0, "first", SOON);
    rig.call();
    rig.r#final(1, "gone", SOON);
    rig.r#final(1, "gone", SOON);
    rig.partial(1, "gone");
    rig.r#final(2, "stays", SOON);
    assert_eq!(rig.executor.stats().queued_seconds, 3.0);
    rig.executor.forget(1);
    rig.go();
    assert_eq!(prompts(&rig.call()), ["stays"]);
    rig.go();
    assert_eq!(rig.results(2).len(), 2);
    let stats = rig.executor.stats();
    assert_eq!((stats.finals_submitted, stats.finals, stats.finals_cancelled, stats.partials_dropped), (4, 2, 2, 1));
}

#[test]
fn the_executor_tells_how_rare_partials_must_be() {
    let rig = Rig::new(1, 1, 1);
    assert_eq!(rig.executor.least_partial_interval(), Duration::ZERO);
    // A partial that takes a while, and many streams that ask for some.
    rig.partial(0, "slow");
    rig.call();
    for stream in 1..2000 {
        rig.partial(stream, "more");
    }
    std::thread::sleep(Duration::from_millis(5));
    rig.go();
    rig.call();
    assert_eq!(rig.executor.least_partial_interval(), super::super::pace::LONGEST);
    assert_eq!(rig.executor.stats().least_partial_interval, super::super::pace::LONGEST);
    for stream in 0..2000 {
        rig.executor.drop_partial(stream);
    }
    assert_eq!(rig.executor.least_partial_interval(), Duration::ZERO);
    rig.go();
}

//! What goes wrong around the server: the engine fails, the disk is full, a client's network is gone.

use std::fs::OpenOptions;

use e2e_tests::clips::named;
use serde_json::json;

use crate::support::client::{f32le, Client};
use crate::support::http::{metric_becomes, Response};
use crate::support::server::Server;
use crate::support::verdict::words_are_right;

const SESSIONS: &str = "pipeline_server_sessions{source=\"websocket\"}";
const AUDIO: &str = "pipeline_server_audio_seconds_total{source=\"websocket\"}";

/// What a process may have of address space, beyond what it has now; without an amount, as much as it likes.
fn limit_memory(process: u32, more: Option<u64>) {
    let pages = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    let limit = more.map_or(libc::RLIM_INFINITY, |more| pages * 4096 + more);
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the structure is valid while the call reads it, and the old limit is not asked for.
    let set = unsafe { libc::prlimit(process as libc::pid_t, libc::RLIMIT_AS, &limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

#[tokio::test]
async fn an_engine_that_fails_ends_that_session_and_no_other() {
    // Nothing is decoded before the client says so. Two threads: for a single one the model has all when it is loaded.
    let server = Server::start(&["--partials", "none", "--threads", "2"]);
    let clip = named("librivox-sense-0920");
    let mut unlucky = Client::connect(&server, "").await;
    let mut other = Client::connect(&server, "").await;
    // Both pipelines play, with all their threads.
    let end = (clip.speech.end * 16_000.0) as usize;
    unlucky.sender.audio(&clip.samples[..end]).await;
    other.sender.audio(&[0.0; 16_000]).await;
    metric_becomes(&server, AUDIO, 1.0 + end as f64 / 16_000.0).await;

    // The engine finds no memory for what it needs to decode with.
    limit_memory(server.id(), Some(512 << 10));
    unlucky.sender.control(json!({ "type": "finalize" })).await;
    let messages = unlucky.receiver.rest().await;
    limit_memory(server.id(), None);
    let [.., error, closed] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(error["problem"]["type"], "urn:pipeline-server:problem:transcription-failed", "{error}");
    assert!(error["problem"]["detail"].as_str().unwrap().contains("inference failed"), "{error}");
    assert_eq!(error["fatal"], true);
    assert_eq!((&closed["reason"], &closed["complete"]), (&json!("failed"), &json!(false)));
    assert_eq!(unlucky.receiver.close_code(), 1011);
    metric_becomes(&server, "pipeline_server_errors_total{kind=\"transcription-failed\"}", 1.0).await;

    // The others have noticed nothing, and there are new ones.
    words_are_right(&clip.text, &other.transcribe(f32le(&clip.samples)).await, 0.0);
    let messages = Client::connect(&server, "").await.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 0.0);
    metric_becomes(&server, SESSIONS, 0.0).await;
}

#[tokio::test]
async fn a_full_disk_for_logs_keeps_nobody_from_speaking() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = Server::start_with_log(&["-vv"], full);
    let clip = named("librivox-sense-0920");
    let messages = Client::connect(&server, "").await.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 0.0);
    server.signal(libc::SIGTERM);
    assert_eq!(server.finish().code, Some(0));
}

#[tokio::test]
async fn a_client_whose_network_is_gone_is_noticed() {
    let server = Server::start(&["--ping-interval", "1", "--resume-grace", "1"]);
    let clip = named("librivox-sense-0920");
    // Their connections stay open, and nothing comes over them any more, no answers to pings either.
    let mut silent = Client::connect(&server, "").await;
    silent.sender.audio(&clip.samples[..40_000]).await;
    let resumable = Client::connect(&server, "resumable=true").await;
    // This one says nothing, but its end of the connection answers.
    let mut there = Client::connect(&server, "").await;
    let answering = tokio::spawn(async move {
        let message = there.receiver.next().await;
        (there, message)
    });
    let gone = "pipeline_server_sessions_closed_total{source=\"websocket\",reason=\"client_gone\"}";
    metric_becomes(&server, gone, 2.0).await;
    metric_becomes(&server, SESSIONS, 1.0).await;
    server.signal(libc::SIGTERM);
    let (_there, message) = answering.await.unwrap();
    assert_eq!((&message["type"], &message["reason"]), (&json!("closed"), &json!("shutdown")));
    drop((silent, resumable));
}

#[tokio::test]
async fn answers_to_pings_do_not_keep_a_session() {
    let server = Server::start(&["--ping-interval", "1", "--idle-timeout", "3"]);
    let mut client = Client::connect(&server, "").await;
    assert_eq!(client.receiver.rest().await.last().unwrap()["reason"], "idle_timeout");
}

/// The one core that this process, and what it starts, runs on.
fn keep_to_one_core() {
    // SAFETY: a cpu_set_t is an array of bits for which zeros are valid, and both calls are told its size.
    unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&cores), &mut cores), 0);
        let first = (0..libc::CPU_SETSIZE as usize).find(|core| libc::CPU_ISSET(*core, &cores)).unwrap();
        libc::CPU_ZERO(&mut cores);
        libc::CPU_SET(first, &mut cores);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&cores), &cores), 0);
    }
}

#[tokio::test]
async fn when_the_engine_is_busy_the_next_is_told_to_come_back() {
    // The load is a share of the cores, and this is to be little.
    keep_to_one_core();
    let server = Server::start(&["--max-load", "0.02"]);
    let clip = named("librivox-sense-0920");
    let mut speaking = Client::connect(&server, "").await;
    let mut refusals = 0.0;
    let response = tokio::select! {
        closed = speaking.speak_until(&clip.samples, "closed") => panic!("{closed}"),
        response = async {
            loop {
                // Not too often for an address.
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                if let Err(error) = Client::request(&server, "partials=none").await {
                    refusals += 1.0;
                    return Response::refusal(error);
                }
            }
        } => response,
    };
    response.problem("overloaded", 503);
    assert!(response.headers["retry-after"].parse::<u32>().unwrap() > 0);
    // Who is there goes on; who comes when the load is gone is let in.
    let messages = speaking.transcribe(Vec::new()).await;
    assert_eq!(messages.last().unwrap()["complete"], true);
    loop {
        match Client::request(&server, "").await {
            Ok(_) => break,
            Err(error) => drop(Response::refusal(error).problem("overloaded", 503)),
        }
        refusals += 1.0;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    metric_becomes(&server, "pipeline_server_refused_total{kind=\"overloaded\"}", refusals).await;
}

//! Many calls at once.

use std::fs;

use e2e_tests::audio::{mulaw_encode, resample, SAMPLE_RATE};
use e2e_tests::clips::{named, Composition};

use super::start;
use crate::support::http::{metric, nobody_is_left};
use crate::support::phone::{sipp, sipp_in};
use crate::support::within;

/// How many.
const CALLS: u32 = 30;

#[tokio::test]
async fn thirty_calls_at_once_are_all_answered_and_leave_nothing_behind() {
    // All of them end at once.
    let (server, calls) = start(&["--drain-timeout", "120"]);
    let process = format!("/proc/{}", server.id());
    let open = || fs::read_dir(format!("{process}/fd")).unwrap().count();
    let threads = || fs::read_dir(format!("{process}/task")).unwrap().count();
    // What is made once only is there after a call.
    sipp(calls, "call", &[]).await;
    nobody_is_left(&server).await;
    let before = (open(), threads());

    let said = Composition::new().silence(0.5).clip(named("librivox-sense-0930")).silence(1.0);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("speech.pcmu"), mulaw_encode(&resample(&said.samples, SAMPLE_RATE, 8_000))).unwrap();
    let milliseconds = ((said.seconds() + 1.0) * 1000.0).to_string();
    let count = CALLS.to_string();
    let finals = metric(&server, "pipeline_server_finals_total").await;
    let arguments = ["-m", &count, "-l", &count, "-r", "30", "-d", &milliseconds];
    sipp_in(folder.path(), calls, "talk", &arguments).await;
    nobody_is_left(&server).await;

    assert_eq!(metric(&server, "pipeline_server_finals_total").await - finals, f64::from(CALLS));
    assert_eq!(metric(&server, "pipeline_server_sessions_opened_total{source=\"sip\"}").await, f64::from(CALLS) + 1.0);
    // Tokio's threads for what may wait go when they have had nothing to do for ten seconds.
    within("what calls took being given back", async {
        while open() > before.0 + 1 || threads() > before.1 + 2 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
}

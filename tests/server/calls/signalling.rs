//! Signalling: each method, and what is wrong with requests.

use std::time::Duration;

use super::{sessions, start};
use crate::support::http::{metric, nobody_is_left};
use crate::support::line::Line;
use crate::support::phone::sipp;
use crate::support::server::refuse;
use crate::support::within;

#[tokio::test]
async fn scenarios_of_sipp_run_as_they_are_written() {
    let (server, calls) = start(&[]);
    for scenario in ["options", "call", "bad-sdp", "unknown-codec", "unknown-method", "subscribe", "no-dialog", "hold"]
    {
        sipp(calls, scenario, &[]).await;
    }
    for transport in ["u1", "t1"] {
        sipp(calls, "call", &["-t", transport, "-m", "20", "-r", "10"]).await;
    }
    nobody_is_left(&server).await;
}

#[tokio::test]
async fn requests_that_are_wrong_are_told_so() {
    let (server, calls) = start(&[]);
    let offer = Line::offer(40_000);
    for (method, headers, body, status) in [
        ("INVITE", "Require: 100rel, teleport\r\n", offer.as_str(), 420),
        ("INVITE", "Max-Forwards: 0\r\n", &offer, 483),
        ("INVITE", "Session-Expires: 30\r\n", &offer, 422),
        ("INVITE", "", "hello world", 488),
        ("REFER", "", "", 405),
        ("DANCE", "", "", 501),
        ("BYE", "", "", 481),
    ] {
        let mut line = Line::open(calls).await;
        let reply = line.ask(method, headers, body).await;
        assert_eq!(reply.status, status, "{method} {headers}: {reply:?}");
        match status {
            420 => assert_eq!(reply.header("Unsupported"), Some("100rel, teleport")),
            422 => assert_eq!(reply.header("Min-SE"), Some("90")),
            405 => assert!(reply.header("Allow").unwrap().contains("INVITE")),
            488 => assert!(reply.header("Warning").unwrap().contains("not understood")),
            _ => {}
        }
    }
    let mut line = Line::open(calls).await;
    let mixed = line.request("INVITE", "", &offer).replace("application/sdp", "multipart/mixed;boundary=x");
    line.send(&mixed).await;
    let reply = line.answer().await;
    assert_eq!((reply.status, reply.header("Accept")), (415, Some("application/sdp")), "{reply:?}");
    line.acknowledge(&reply, "").await;
    // A length that lies, and the CSeq of something else.
    for (from, to) in [("Content-Length: ", "Content-Length: 9"), ("CSeq: 1 INVITE", "CSeq: 1 BYE"), ("Call-ID:", "X:")]
    {
        let mut line = Line::open(calls).await;
        let text = line.request("INVITE", "", &offer).replace(from, to);
        line.send(&text).await;
        assert_eq!(line.answer().await.status, 400, "{to}");
    }
    for junk in ["", "\r\n\r\n", "x", "INVITE", "\0\0\0", &"A".repeat(60_000)] {
        line.send(junk).await;
    }
    let mut line = Line::open(calls).await;
    let options = line.ask("OPTIONS", "", "").await;
    assert!(options.status == 200 && options.header("Allow").unwrap().contains("UPDATE"), "{options:?}");
    assert!(sessions(&server).await.is_empty());
}

#[tokio::test]
async fn an_invite_that_comes_again_is_one_call() {
    let (server, calls) = start(&[]);
    let mut line = Line::open(calls).await;
    let invite = line.request("INVITE", "Session-Expires: 1800;refresher=uac\r\n", &Line::offer(40_000));
    for _ in 0..3 {
        line.send(&invite).await;
    }
    let first = line.answer().await;
    assert_eq!(first.header("Session-Expires"), Some("1800;refresher=uac"), "{first:?}");
    // Without an ACK the answer comes again.
    let again = line.answer().await;
    assert_eq!((first.status, again.status, again.header("To")), (200, 200, first.header("To")));
    assert_eq!(sessions(&server).await.len(), 1);
    let id = sessions(&server).await[0]["session_id"].clone();
    assert_eq!(first.header("X-Session-Id"), id.as_str());
    line.acknowledge(&first, "").await;
    within("answers ceasing", async {
        while tokio::time::timeout(Duration::from_secs(5), line.receive()).await.is_ok() {}
    })
    .await;
    assert_eq!(sessions(&server).await.len(), 1);
    assert_eq!(line.ask("BYE", "", "").await.status, 200);
    nobody_is_left(&server).await;
    assert_eq!(line.ask("BYE", "", "").await.status, 481);
}

#[tokio::test]
async fn what_overtakes_the_ack_waits_for_it() {
    let (server, calls) = start(&[]);
    let mut line = Line::open(calls).await;
    let invite = line.request("INVITE", "", &Line::offer(40_000));
    line.send(&invite).await;
    let first = line.answer().await;
    assert_eq!(first.status, 200, "{first:?}");
    let ack = line.acknowledgement(&first, "");
    // Hold, before the call is confirmed.
    let hold = line.request("INVITE", "", &(Line::offer(40_000) + "a=inactive\r\n"));
    line.send(&hold).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    line.send(&ack).await;
    let held = line.answer_to("2 INVITE").await;
    assert!(held.status == 200 && held.text.contains("a=inactive"), "{held:?}");
    line.acknowledge(&held, "").await;
    assert_eq!(line.ask("BYE", "", "").await.status, 200);
    nobody_is_left(&server).await;

    // An ACK that never comes: the request is told to come again.
    let mut line = Line::open(calls).await;
    let invite = line.request("INVITE", "", &Line::offer(40_000));
    line.send(&invite).await;
    let first = line.answer().await;
    line.acknowledgement(&first, "");
    let update = line.request("UPDATE", "", "");
    line.send(&update).await;
    let refused = line.answer_to("2 UPDATE").await;
    assert!(refused.status == 500 && refused.header("Retry-After").is_some(), "{refused:?}");
    let bye = line.request("BYE", "", "");
    line.send(&bye).await;
    assert_eq!(line.answer_to("3 BYE").await.status, 200);
    nobody_is_left(&server).await;
}

#[tokio::test]
async fn a_caller_may_change_her_mind_at_once() {
    let (server, calls) = start(&[]);
    for _ in 0..10 {
        let mut line = Line::open(calls).await;
        let invite = line.request("INVITE", "", &Line::offer(40_000));
        let cancel = invite.replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL");
        let (head, _) = cancel.split_once("Content-Type").unwrap();
        line.send(&invite).await;
        line.send(&format!("{head}Content-Length: 0\r\n\r\n")).await;
        let (mut of_invite, mut of_cancel) = (None, None);
        while of_invite.is_none() || of_cancel.is_none() {
            let reply = line.answer().await;
            match reply.header("CSeq").unwrap() {
                "1 INVITE" => of_invite = Some(reply),
                "1 CANCEL" => of_cancel = Some(reply.status),
                other => panic!("{other}"),
            }
        }
        // Either it comes in time, or the call is there already.
        let reply = of_invite.unwrap();
        assert!(matches!(reply.status, 487 | 200) && of_cancel == Some(200), "{reply:?} {of_cancel:?}");
        line.acknowledge(&reply, "").await;
        if reply.status == 200 {
            assert_eq!(line.ask("BYE", "", "").await.status, 200);
        }
    }
    nobody_is_left(&server).await;
}

#[tokio::test]
async fn who_may_not_call_and_who_comes_too_late() {
    let (server, calls) = start(&["--sip-allow", "192.0.2.0/24"]);
    let mut line = Line::open(calls).await;
    assert_eq!(line.ask("INVITE", "", &Line::offer(40_000)).await.status, 403);
    assert_eq!(metric(&server, "pipeline_server_refused_total{kind=\"unauthorized\"}").await, 1.0);

    let (server, calls) = start(&["--max-sessions", "1"]);
    let (mut first, mut second) = (Line::open(calls).await, Line::open(calls).await);
    assert_eq!(first.ask("INVITE", "", &Line::offer(40_000)).await.status, 200);
    let reply = second.ask("INVITE", "", &Line::offer(40_002)).await;
    assert_eq!((reply.status, reply.header("Retry-After")), (503, Some("10")), "{reply:?}");
    assert_eq!(first.ask("BYE", "", "").await.status, 200);
    nobody_is_left(&server).await;
    let mut third = Line::open(calls).await;
    assert_eq!(third.ask("INVITE", "", &Line::offer(40_004)).await.status, 200);
    assert_eq!(third.ask("BYE", "", "").await.status, 200);
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    for (arguments, why) in [
        (["--sip-listen", "0.0.0.0:5060"], "nobody may call"),
        (["--sip-allow", "10.0.0.0/8"], "--sip-listen has to be set"),
        (["--sip-listen", "nowhere"], "invalid value"),
        (["--rtp-ports", "9-1"], "rtp-ports"),
        (["--sip-register", "sip:pbx"], "sip-register"),
    ] {
        let ended = refuse(&arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(why), "{ended:?}");
    }
}

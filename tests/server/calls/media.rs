//! Audio packet by packet: keys, silence without packets, strangers, hold, another codec, lost packets, and nothing at all.

use std::time::Duration;

use e2e_tests::clips::{named, Composition};
use serde_json::Value;
use tokio::time::Instant;

use super::{answered, only, start};
use crate::support::events::subscribe;
use crate::support::http::{metric, metric_becomes, nobody_is_left};
use crate::support::line::{Line, Talk};
use crate::support::server::Server;
use crate::support::verdict::{finals, words_are_right};

/// A sentence with a little silence around it.
fn sentence() -> Composition {
    Composition::new().silence(0.3).clip(named("librivox-sense-0930")).silence(0.2)
}

#[tokio::test]
async fn silence_without_packets_ends_an_utterance_and_nothing_else() {
    let (server, calls) = start(&[]);
    let said = sentence();
    let mut line = Line::open(calls).await;
    let mut talk = Talk::open("127.0.0.1:0", calls).await;
    assert_eq!(line.ask("INVITE", "", &Line::offer(talk.port())).await.status, 200);
    talk.redirect(line.media.unwrap());
    let (_, mut receiver) = answered(&server).await;
    talk.say(&said.samples).await;
    talk.press(5).await;
    talk.press(11).await;
    // Silence suppression: the final must not wait for the next word.
    let mut messages = vec![receiver.next_of("final").await];
    talk.pause(2.0).await;
    talk.say(&said.samples).await;
    messages.push(receiver.next_of("final").await);
    for last in &messages {
        words_are_right(&said.text(), std::slice::from_ref(last), 15.0);
    }
    let time = |last: &Value| last["start"].as_f64().unwrap();
    let passed = time(&messages[1]) - time(&messages[0]);
    // Keys take 120 ms each, and the final came some time after the sentence.
    assert!(passed >= said.seconds() + 2.0 - 0.3, "{passed} {messages:#?}");
    assert_eq!(line.ask("BYE", "", "").await.status, 200);
    let rest = receiver.rest().await;
    assert_eq!(only(&rest, "call_end")["reason"], "remote_hangup");
    nobody_is_left(&server).await;
}

#[tokio::test]
async fn keys_are_told_and_strangers_are_not_heard() {
    let (server, calls) = start(&[]);
    let said = sentence();
    let mut line = Line::open(calls).await;
    let mut talk = Talk::open("127.0.0.1:0", calls).await;
    assert_eq!(line.ask("INVITE", "", &Line::offer(talk.port())).await.status, 200);
    let media = line.media.unwrap();
    talk.redirect(media);
    let (view, mut receiver) = answered(&server).await;
    assert_eq!(view["call"]["call_id"], line.call_id());
    // From another address, and from another port of the same once one is known.
    let mut stranger = Talk::open("127.0.0.2:0", media).await;
    stranger.say(&said.samples[..16_000]).await;
    talk.press(1).await;
    let mut intruder = Talk::open("127.0.0.1:0", media).await;
    intruder.say(&said.samples[..8_000]).await;
    talk.press(11).await;
    talk.socket.send_to(b"not RTP", media).await.unwrap();
    talk.packet(33, 0, b"not audio").await;
    let info = "Content-Type: application/dtmf-relay\r\n";
    let relayed =
        line.request("INFO", info, "").replace("Content-Length: 0\r\n\r\n", "Content-Length: 9\r\n\r\nSignal=7\n");
    line.send(&relayed).await;
    assert_eq!(line.answer().await.status, 200);
    assert_eq!(line.ask("BYE", "", "").await.status, 200);
    let messages = receiver.rest().await;
    let keys: Vec<_> = messages.iter().filter(|m| m["type"] == "dtmf").map(|m| m["digit"].as_str().unwrap()).collect();
    assert_eq!(keys, ["1", "#", "7"]);
    // Who comes late gets all of it.
    nobody_is_left(&server).await;
    let id = view["session_id"].as_str().unwrap();
    assert_eq!(subscribe(&server, id, 0).await.rest().await, messages);
    assert!(finals(&messages).is_empty(), "{messages:#?}");
    // 50 packets of the stranger, 25 of the intruder.
    assert_eq!(metric(&server, "pipeline_server_rtp_packets_dropped_total{why=\"foreign\"}").await, 75.0);
    assert_eq!(metric(&server, "pipeline_server_rtp_packets_dropped_total{why=\"malformed\"}").await, 1.0);
    assert_eq!(metric(&server, "pipeline_server_rtp_packets_dropped_total{why=\"unexpected\"}").await, 1.0);
}

#[tokio::test]
async fn a_call_is_held_resumed_moved_and_offered_without_a_description() {
    let (server, calls) = start(&[]);
    let said = sentence();
    let mut line = Line::open(calls).await;
    // An INVITE without a description gets the server's, and the ACK brings the answer.
    let invite = line.request("INVITE", "", "");
    line.send(&invite).await;
    let reply = line.answer().await;
    assert_eq!(reply.status, 200);
    for codec in ["opus/48000/2", "G722/8000", "PCMU/8000", "PCMA/8000", "telephone-event/8000"] {
        assert!(reply.text.contains(codec), "no {codec} in {}", reply.text);
    }
    let mut talk = Talk::open("127.0.0.1:0", calls).await;
    line.acknowledge(&reply, &Line::offer(talk.port())).await;
    talk.redirect(line.media.unwrap());
    let (_, mut receiver) = answered(&server).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    talk.say(&said.samples).await;
    words_are_right(&said.text(), &[receiver.next_of("final").await], 15.0);

    let hold = Line::offer(talk.port()) + "a=sendonly\r\n";
    let held = line.ask("INVITE", "", &hold).await;
    assert!(held.status == 200 && held.text.contains("a=recvonly"), "{held:?}");
    assert_eq!(receiver.next_of("hold").await["held"], true);
    // Music, say. Nobody wants to read it.
    talk.say(&said.samples[..40_000]).await;

    // Back, and from somewhere else.
    let mut moved = Talk::open("127.0.0.1:0", line.media.unwrap()).await;
    let resumed = line.ask("INVITE", "", &Line::offer(moved.port())).await;
    assert_eq!(resumed.status, 200, "{resumed:?}");
    assert_eq!(receiver.next_of("hold").await["held"], false);
    moved.say(&said.samples).await;
    words_are_right(&said.text(), &[receiver.next_of("final").await], 15.0);

    // A codec that is not known changes nothing.
    let unknown = Line::offer(moved.port()).replace("RTP/AVP 0 101", "RTP/AVP 18").replace("a=rtpmap:101", "a=x:");
    assert_eq!(line.ask("INVITE", "", &unknown).await.status, 488);
    // UPDATE as a sign of life, and A-law from now on.
    assert_eq!(line.ask("UPDATE", "", "").await.status, 200);
    let alaw = Line::offer(moved.port()).replace("RTP/AVP 0 101", "RTP/AVP 8 101");
    let changed = line.ask("INVITE", "", &alaw).await;
    assert!(changed.status == 200 && changed.text.contains("PCMA/8000"), "{changed:?}");
    assert_eq!(line.ask("BYE", "", "").await.status, 200);
    let rest = receiver.rest().await;
    assert!(finals(&rest).is_empty(), "{rest:#?}");
    assert_eq!(only(&rest, "call_end")["reason"], "remote_hangup");
}

#[tokio::test]
async fn calls_come_over_ipv6_too() {
    let server = Server::start(&["--sip-listen", "[::1]:0", "--partials", "none"]);
    let said = sentence();
    let mut line = Line::open(server.calls.unwrap()).await;
    let mut talk = Talk::open("[::1]:0", server.calls.unwrap()).await;
    let offer = Line::offer(talk.port()).replace("IP4 127.0.0.1", "IP6 ::1");
    let reply = line.ask("INVITE", "", &offer).await;
    assert!(reply.status == 200 && reply.text.contains("c=IN IP6 ::1"), "{reply:?}");
    talk.redirect(line.media.unwrap());
    let (view, mut receiver) = answered(&server).await;
    assert_eq!(view["call"]["codec"], "PCMU");
    talk.say(&said.samples).await;
    words_are_right(&said.text(), &[receiver.next_of("final").await], 15.0);
    assert_eq!(line.ask("BYE", "", "").await.status, 200);
    assert_eq!(receiver.rest().await.last().unwrap()["complete"], true);
}

#[tokio::test]
async fn lost_packets_are_concealed() {
    let (server, calls) = start(&[]);
    let said = Composition::new().silence(0.5).clip(named("librivox-sense-0920")).silence(0.2);
    let mut line = Line::open(calls).await;
    let mut talk = Talk::open("127.0.0.1:0", calls).await;
    assert_eq!(line.ask("INVITE", "", &Line::offer(talk.port())).await.status, 200);
    let (_, mut receiver) = answered(&server).await;
    let (media, nowhere) = (line.media.unwrap(), "127.0.0.1:9".parse().unwrap());
    // Every twentieth packet is lost; the others come at their pace first, then all at once.
    for pace in [20, 0] {
        let start = Instant::now();
        for (number, piece) in (0..).zip(said.samples.chunks(320)) {
            talk.redirect(if number % 20 == 7 { nowhere } else { media });
            talk.say(piece).await;
            // By the clock, so that what sending takes doesn't make the speech slower.
            tokio::time::sleep_until(start + number * Duration::from_millis(pace)).await;
        }
        let last = receiver.next_of("final").await;
        if pace > 0 {
            words_are_right(&said.text(), &[last], 15.0);
        }
    }
    assert_eq!(line.ask("BYE", "", "").await.status, 200);
    assert_eq!(receiver.rest().await.last().unwrap()["complete"], true);
}

#[tokio::test]
async fn a_caller_of_whom_nothing_comes_is_hung_up() {
    let (server, calls) = start(&["--rtp-timeout", "5"]);
    let mut line = Line::open(calls).await;
    assert_eq!(line.ask("INVITE", "", &Line::offer(40_000)).await.status, 200);
    let (_, mut receiver) = answered(&server).await;
    // On hold it may be silent as long as it likes.
    assert_eq!(line.ask("INVITE", "", &(Line::offer(40_000) + "a=inactive\r\n")).await.status, 200);
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(line.ask("INVITE", "", &Line::offer(40_000)).await.status, 200);
    let bye = line.receive().await;
    assert!(bye.text.starts_with("BYE sip:al@") && bye.header("Reason").unwrap().contains("RTP"), "{bye:?}");
    line.agree(&bye).await;
    let messages = receiver.rest().await;
    assert_eq!(only(&messages, "call_end")["reason"], "media_timeout");
    metric_becomes(&server, "pipeline_server_sessions{source=\"sip\"}", 0.0).await;
}

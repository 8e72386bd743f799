//! Real telephones call.

use serde_json::json;

use super::{answered, only, start};
use crate::support::http::{metric, nobody_is_left};
use crate::support::phone::{Dial, Phone};
use crate::support::verdict::{finals, times_are_right, words_are_right};
use crate::transcripts::two_sentences;

#[tokio::test]
async fn what_a_caller_says_is_written_down_in_each_codec() {
    let said = two_sentences();
    let check = async |codec: &str, name: &str, transport: &str, percent: f64| {
        let (server, calls) = start(&[]);
        let _phone = Phone::call(&format!("sip:desk@{calls}"), &said.samples, Dial { codec, transport, account: "" });
        let (view, mut receiver) = answered(&server).await;
        let messages = receiver.rest().await;
        words_are_right(&said.text(), &messages, percent);
        times_are_right(&said, &messages);
        assert!(finals(&messages).iter().all(|last| last["party"] == "caller"), "{messages:#?}");
        let begun = only(&messages, "call_start");
        assert_eq!((begun["codec"].as_str(), &begun["parties"]), (Some(name), &json!(["caller"])), "{begun}");
        assert!(begun["from"].as_str().unwrap().starts_with("sip:alice@127.0.0.1"), "{begun}");
        assert!(begun["to"].as_str().unwrap().starts_with("sip:desk@"), "{begun}");
        assert_eq!(view["call"]["call_id"], begun["call_id"]);
        assert_eq!(only(&messages, "call_end")["reason"], "remote_hangup");
        let closed = messages.last().unwrap();
        assert_eq!((closed["reason"].as_str(), &closed["complete"]), (Some("end_of_stream"), &json!(true)), "{closed}");
        nobody_is_left(&server).await;
        assert_eq!(metric(&server, "pipeline_server_sessions{source=\"sip\"}").await, 0.0);
    };
    tokio::join!(
        check("PCMU/8000/1", "PCMU", "udp", 15.0),
        check("PCMA/8000/1", "PCMA", "tcp", 15.0),
        check("G722/16000/1", "G722", "udp", 8.0),
        check("opus/48000/2", "opus", "udp", 8.0)
    );
}

#[tokio::test]
async fn the_last_words_come_when_the_server_is_told_to_end() {
    let said = two_sentences();
    let (server, calls) = start(&[]);
    let _phone = Phone::call(&format!("sip:desk@{calls}"), &said.samples, Dial::default());
    let (_, mut receiver) = answered(&server).await;
    // In the midst of the second sentence.
    receiver.next_of("final").await;
    receiver.next_of("speech_start").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    server.signal(libc::SIGTERM);
    let messages = receiver.rest().await;
    assert_eq!(only(&messages, "call_end")["reason"], "local_hangup");
    let last = finals(&messages);
    assert!(!last.is_empty(), "{messages:#?}");
    assert_eq!(messages.last().unwrap()["reason"], "shutdown");
    assert_eq!(server.finish().code, Some(0));
}

#[tokio::test]
async fn callers_need_the_right_password_where_there_are_passwords() {
    let said = two_sentences();
    let (server, calls) = start(&["--sip-users", "alice:s3cret,bob:x"]);
    let to = format!("sip:desk@{calls}");
    let wrong = Dial { account: ";auth_user=alice;auth_pass=wrong", ..Dial::default() };
    let right = Dial { account: ";auth_user=alice;auth_pass=s3cret", ..Dial::default() };
    let mut refused = Phone::call(&to, &said.samples, wrong);
    crate::support::http::metric_reaches(&server, "pipeline_server_refused_total{kind=\"unauthorized\"}", 1.0).await;
    assert!(super::sessions(&server).await.is_empty());
    refused.kill();
    let _phone = Phone::call(&to, &said.samples, right);
    let (_, mut receiver) = answered(&server).await;
    words_are_right(&said.text(), &receiver.rest().await, 15.0);
}

//! What is said comes back: words, times, order, the split of partials, the transcript of all.

use e2e_tests::audio::{pink_noise, silence};
use e2e_tests::clips::{named, Composition};
use serde_json::json;

use crate::support::client::{f32le, Client};
use crate::support::http::metric;
use crate::support::server::Server;
use crate::support::verdict::{finals, text, times_are_right, words_are_right};

/// Two sentences that the bundled model understands without a fault, 13 s.
pub(crate) fn two_sentences() -> Composition {
    let clips = [named("librivox-sense-0920"), named("librivox-sense-0930")];
    Composition::new().silence(1.0).clips(clips, 1.5)
}

#[tokio::test]
async fn words_and_times_come_back_in_order() {
    let server = Server::start(&[]);
    let signal = Composition::long();
    let mut client = Client::request(&server, "").await.unwrap();
    let ready = client.receiver.next().await;
    assert_eq!(ready["protocol"], 1);
    assert_eq!(ready["model"], "tiny.en");
    assert_eq!(
        ready["audio"],
        json!({ "encoding": "f32le", "sample_rate": 16_000, "channels": 1, "multichannel": false })
    );

    let Client { mut sender, mut receiver } = client;
    let samples = signal.samples.clone();
    let sending = tokio::spawn(async move {
        sender.audio(&samples).await;
        sender.control(json!({ "type": "close" })).await;
        sender
    });
    let messages = receiver.rest().await;
    sending.await.unwrap();

    words_are_right(&signal.text(), &messages, 5.0);
    times_are_right(&signal, &messages);
    assert_eq!(receiver.close_code(), 1000);
    let closed = messages.last().unwrap();
    let last = finals(&messages).last().copied().unwrap();
    assert_eq!(closed["reason"], "client_closed");
    assert_eq!(closed["complete"], true);
    assert!((closed["totals"]["audio_seconds"].as_f64().unwrap() - signal.seconds()).abs() < 0.001, "{closed}");
    assert_eq!(closed["totals"]["finals"], finals(&messages).len());
    assert_eq!(closed["totals"]["words"], last["full_transcript"].as_str().unwrap().split_whitespace().count());
    assert_eq!(last["full_transcript"].as_str().unwrap(), text(&messages));
    assert_eq!(last["language"], "en");

    assert_eq!(metric(&server, "pipeline_server_finals_total").await, finals(&messages).len() as f64);
    let audio = metric(&server, "pipeline_server_audio_seconds_total{source=\"websocket\"}").await;
    assert!((audio - signal.seconds()).abs() < 0.01, "{audio}");
}

#[tokio::test]
async fn while_somebody_speaks_partials_grow_and_what_is_stable_stays() {
    let server = Server::start(&[]);
    let mut client = Client::connect(&server, "").await;
    // The client checks that revisions rise and stable text stays, up to and in the final.
    let clip = named("librivox-sense-0920");
    let partial = client.speak_until(&clip.samples, "partial").await;
    let parts: String = ["stable", "unstable", "tail"].iter().map(|part| partial[*part].as_str().unwrap()).collect();
    let spaceless = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(spaceless(&parts), spaceless(partial["text"].as_str().unwrap()), "{partial}");
    let last = client.speak_until(&clip.samples, "final").await;
    assert!(last["revision"].as_u64().unwrap() > 1, "{last}");
    // Two hypotheses of the first second may agree on what was not said; the rest of the sentence is right.
    assert!(last["text"].as_str().unwrap().contains("more respectable"), "{last}");
}

#[tokio::test]
async fn the_words_before_close_are_delivered() {
    let server = Server::start(&[]);
    // Not a moment of silence behind the last word.
    let clip = named("librivox-sense-0920");
    let end = (clip.speech.end * 16_000.0) as usize;
    let client = Client::connect(&server, "").await;
    let messages = client.transcribe(f32le(&clip.samples[..end])).await;
    words_are_right(&clip.text, &messages, 0.0);
}

#[tokio::test]
async fn sixty_seconds_of_silence_or_noise_have_no_text() {
    let server = Server::start(&[]);
    for samples in [silence(60.0), pink_noise(-30.0, 60.0, 1)] {
        let client = Client::connect(&server, "").await;
        let messages = client.transcribe(f32le(&samples)).await;
        assert_eq!(text(&messages), "");
        let partial = messages.iter().find(|m| m["type"] == "partial" && m["text"] != "");
        assert_eq!(partial, None);
        assert_eq!(messages.last().unwrap()["totals"]["audio_seconds"], 60.0);
    }
}

#[tokio::test]
async fn several_clients_share_the_model_and_get_their_own_words() {
    let server = Server::start(&["--max-sessions", "4"]);
    let clips = ["librivox-sense-0870", "librivox-sense-0920", "librivox-sense-0930", "jfk-inaugural"];
    let clients = clips.map(async |name| {
        let clip = named(name);
        let signal = Composition::new().silence(0.5).clip(clip).silence(1.0);
        let client = Client::connect(&server, "").await;
        (clip, client.transcribe(f32le(&signal.samples)).await)
    });
    for (clip, messages) in futures_util::future::join_all(clients).await {
        words_are_right(&clip.text, &messages, 12.5);
    }
    let loaded = server_stderr_lines(server, "Model loaded").await;
    assert_eq!(loaded, 1, "the model is announced once");
}

async fn server_stderr_lines(server: Server, with: &str) -> usize {
    server.signal(libc::SIGTERM);
    let ended = server.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stderr.lines().filter(|line| line.contains(with)).count()
}

//! Formats in, formats out.

use std::collections::BTreeMap;

use e2e_tests::clips::named;
use e2e_tests::wer::word_errors;
use transcribe_core::transcript::Event;

use crate::common::heard::field;
use crate::common::{transcribe, Feed, Format, Rig};

fn clip() -> &'static e2e_tests::clips::Clip {
    named("librivox-sense-0930")
}

#[test]
fn any_format_rate_and_channel_count_gives_the_same_words() {
    let plain = transcribe(&clip().samples, &Feed::default(), "partials=none").text();
    assert!(word_errors(&clip().text, &plain).percent() <= 15.0, "{plain}");
    let feeds = [
        Feed { format: Format::S16, rate: 44_100, channels: 2, ..Feed::default() },
        Feed { format: Format::F32Planar, rate: 48_000, channels: 2, ..Feed::default() },
        Feed { format: Format::F32, rate: 192_000, channels: 1, ..Feed::default() },
        Feed { format: Format::S16, rate: 32_000, channels: 6, ..Feed::default() },
        Feed { format: Format::F32Planar, rate: 16_000, channels: 8, ..Feed::default() },
    ];
    for feed in feeds {
        let text = transcribe(&clip().samples, &feed, "partials=none").text();
        let errors = word_errors(&plain, &text);
        assert!(errors.errors() <= 1, "{feed:?}: {errors}");
    }
}

#[test]
fn buffers_of_1_ms_20_ms_and_1_s_give_identical_finals() {
    let audio = [clip().samples.clone(), vec![0.0; 16_000], named("librivox-sense-0890").samples.clone()].concat();
    let finals = |buffer: f64, format: Format, rate: u32| {
        let feed = Feed { buffer, format, rate, ..Feed::default() };
        transcribe(&audio, &feed, "partials=none").texts
    };
    for (format, rate) in [(Format::F32, 16_000), (Format::S16, 48_000)] {
        let one = finals(0.02, format, rate);
        assert!(one.len() >= 2);
        assert_eq!(one, finals(0.001, format, rate));
        assert_eq!(one, finals(1.0, format, rate));
    }
}

#[test]
fn one_channel_of_two_can_be_picked() {
    let (left, right) = (clip(), named("librivox-sense-0880"));
    let n = left.samples.len().max(right.samples.len());
    let padded = |c: &e2e_tests::clips::Clip| [c.samples.clone(), vec![0.0; n + 16_000 - c.samples.len()]].concat();
    let (a, b) = (padded(left), padded(right));
    let feed = Feed { channels: 2, ..Feed::default() };
    for (channel, words) in [(0, &left.text), (1, &right.text)] {
        let mut rig = Rig::new(&feed, &format!("partials=none channel={channel}"));
        let stereo: Vec<u8> = a.iter().zip(&b).flat_map(|(l, r)| [l.to_le_bytes(), r.to_le_bytes()].concat()).collect();
        for (i, piece) in stereo.chunks(8 * 1600).enumerate() {
            let mut buffer = gst::Buffer::from_mut_slice(piece.to_vec());
            buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(100 * i as u64));
            rig.harness.push(buffer).unwrap();
        }
        rig.finish();
        let errors = word_errors(words, &rig.heard.text());
        assert!(errors.percent() <= 30.0, "channel {channel}: {errors}");
    }
}

#[test]
fn json_has_text_times_words_and_language() {
    let feed = Feed::default();
    let mut rig = Rig::with_output(&feed, "partials=none", "application/x-json");
    rig.push(&feed, &clip().samples, gst::ClockTime::from_seconds(5));
    rig.finish();
    assert_eq!(rig.heard.caps[0].to_string(), "application/x-json");
    for text in &rig.heard.texts {
        assert!(text.text.ends_with('\n') && text.text.matches('\n').count() == 1);
        let Event::Final(last) = serde_json::from_str(&text.text).unwrap() else { panic!("{text:?}") };
        assert_eq!(last.language, "en");
        assert!(last.probability > 0.3 && last.no_speech_probability < 0.6, "{last:?}");
        assert!(!last.forced, "{last:?}");
        assert!((last.start - text.start).abs() < 1e-3 && last.start >= 5.0);
        let joined = last.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
        assert_eq!(joined, last.text);
        for word in &last.words {
            assert!(word.start >= last.start - 0.3 && word.end <= last.end + 0.3 && word.start < word.end, "{word:?}");
            assert!(word.probability > 0.0 && word.probability <= 1.0);
        }
    }
}

#[test]
fn text_ends_with_a_line_feed_only_if_asked_to() {
    let plain = transcribe(&clip().samples, &Feed::default(), "partials=none");
    assert!(plain.texts.iter().all(|t| !t.text.contains('\n') && t.text.trim() == t.text));
    let lines = transcribe(&clip().samples, &Feed::default(), "partials=none newline=true");
    assert!(lines.texts.iter().all(|t| t.text.ends_with('\n')));
}

#[test]
fn messages_and_events_say_the_same_with_all_their_fields() {
    let heard = transcribe(&clip().samples, &Feed::default(), "");
    let ours = |list: &[gst::Structure]| {
        let ours = list.iter().filter(|s| s.name().starts_with("whispertranscribe/"));
        ours.map(|s| s.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ours(&heard.messages), ours(&heard.events));

    let mut fields = BTreeMap::<String, Vec<String>>::new();
    for structure in &heard.messages {
        fields
            .entry(structure.name().to_string())
            .or_insert_with(|| structure.fields().map(|f| f.to_string()).collect());
    }
    for name in ["speech-start", "speech-end", "final"] {
        assert!(fields.contains_key(&format!("whispertranscribe/{name}")), "{fields:?}");
    }
    let last = heard.named("final").last().unwrap();
    for name in [
        "revision",
        "text",
        "language",
        "probability",
        "no-speech-probability",
        "forced",
        "words",
        "running-time",
        "json",
    ] {
        assert!(last.has_field(name), "{name} is missing in {last}");
    }
    let words = last.get::<gst::Array>("words").unwrap();
    let first = words.first().unwrap().get::<gst::Structure>().unwrap();
    assert!(field(&first, "start") >= field(last, "start") - 0.3);
    assert!(heard.events.iter().any(|e| e.name() == "rstranscribe/final-transcript"));
}

//! What came out against what was said.

use e2e_tests::clips::Composition;
use e2e_tests::wer::word_errors;
use serde_json::Value;

/// Seconds by which a time may be wrong.
const TOLERANCE: f64 = 0.25;

/// Finals of all channels that hold words.
pub(crate) fn finals(messages: &[Value]) -> Vec<&Value> {
    messages.iter().filter(|m| m["type"] == "final" && !m["text"].as_str().unwrap().trim().is_empty()).collect()
}

/// Their text.
pub(crate) fn text(messages: &[Value]) -> String {
    finals(messages).iter().map(|m| m["text"].as_str().unwrap().trim()).collect::<Vec<_>>().join(" ")
}

/// Fails unless at most so many percent of the words are wrong.
pub(crate) fn words_are_right(said: &str, messages: &[Value], percent: f64) {
    let errors = word_errors(said, &text(messages));
    assert!(errors.percent() <= percent, "{errors}");
}

/// Fails unless there is text where somebody speaks, and none elsewhere.
pub(crate) fn times_are_right(signal: &Composition, messages: &[Value]) {
    let finals = finals(messages);
    let time = |m: &Value, field: &str| m[field].as_f64().unwrap();
    for said in &signal.spoken {
        let within = |m: &&&Value| time(m, "start") < said.end && time(m, "end") > said.start;
        let (first, last) = (finals.iter().find(within), finals.iter().rfind(within));
        let (Some(first), Some(last)) = (first, last) else { panic!("nothing for {said:?} in {finals:#?}") };
        let (early, late) = (said.start - time(first, "start"), time(last, "end") - said.end);
        assert!(early.abs() <= TOLERANCE && late.abs() <= TOLERANCE, "{early} {late} {said:#?} {finals:#?}");
    }
    for last in finals {
        for word in last["words"].as_array().unwrap() {
            assert!(time(word, "start") <= time(word, "end") && time(word, "start") >= time(last, "start") - TOLERANCE);
            assert!(time(word, "end") <= time(last, "end") + TOLERANCE, "{word} in {last}");
            assert!((0.0..=1.0).contains(&time(word, "probability")));
        }
    }
}

//! What the fuzz target of Twilio's messages runs.

use super::message::{self, Event, Party};
use super::order::Order;
use super::settings;
use super::timeline::{Silence, Timeline, MILLISECOND};
use crate::fuzzing;

/// A stream: a message a line. Each is read or refused; what is understood is put in order and on the time line, where no
/// track may have holes or lose audio.
pub fn twilio(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut messages = text.lines().filter_map(|line| message::parse(line).ok());
    let start = messages.find_map(|message| match message.event {
        Event::Start(start) => Some((message.number, start)),
        _ => None,
    });
    let Some((number, start)) = start else { return };
    let Ok(parties) = start.parties() else { return };
    assert!(!parties.is_empty());
    for (name, value) in &start.parameters() {
        if let Some(Ok(configure)) = settings::of_parameter(name, value) {
            fuzzing::apply(&configure);
        }
    }
    let mut order = Order::behind(number.unwrap_or(1));
    let mut timeline = Timeline::new(parties.len());
    let mut ends = vec![0; parties.len()];
    let mut due = Vec::new();
    for message in messages {
        due.extend(order.push(message.number, message.event));
    }
    due.extend(order.flush());
    for event in due {
        let Event::Media(media) = event else { continue };
        let party = Party::of_track(&media.track);
        let Some(track) = parties.iter().position(|of| Some(*of) == party) else { continue };
        let at = media.timestamp.map(|milliseconds| milliseconds * MILLISECOND);
        let (silence, start) = timeline.place(track, at, media.payload.len() as u64);
        silence.into_iter().for_each(|silence| follow(&mut ends, silence));
        assert_eq!(start, ends[track]);
        ends[track] += media.payload.len() as u64;
        timeline.catch_up().into_iter().for_each(|silence| follow(&mut ends, silence));
    }
    timeline.level().into_iter().for_each(|silence| follow(&mut ends, silence));
    assert!(timeline.ends() == ends && ends.windows(2).all(|pair| pair[0] == pair[1]));
}

fn follow(ends: &mut [u64], Silence { track, start, length }: Silence) {
    assert!(start == ends[track] && length > 0);
    ends[track] += length;
}

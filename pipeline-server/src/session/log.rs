//! What a session has said, in order, for whoever listens: a bounded queue that each subscriber reads at its own pace.
//!
//! Messages go in with rising numbers. A partial is taken out when a newer result of its track comes, so that a slow
//! reader loses partials first. When the queue is full the oldest message goes; a subscriber that had not read it is
//! told so and can't go on. Nobody waits for a subscriber.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use transcribe_core::transcript::Event;

use crate::protocol::results::{Closed, FinalResult, Message, Origin, PartialResult, SpeechEnd, SpeechStart, Totals};

/// A session's messages.
#[derive(Debug)]
pub(crate) struct Log {
    inner: Mutex<Inner>,
    latest: watch::Sender<u64>,
    capacity: usize,
    full_transcripts: bool,
}

#[derive(Debug)]
struct Inner {
    entries: VecDeque<Entry>,
    /// Number of the last message.
    last: u64,
    /// Number of the last message that went for want of room.
    lost: u64,
    transcripts: Vec<Transcript>,
    over: bool,
}

#[derive(Debug)]
struct Entry {
    seq: u64,
    message: Message,
    /// For a final: its track, and how long the track's transcript was with it.
    transcript: Option<(usize, usize)>,
    /// For a partial: its track.
    partial_of: Option<usize>,
}

#[derive(Debug, Default)]
struct Transcript {
    text: String,
    finals: u64,
    words: u64,
}

impl Log {
    /// For a session of so many tracks. It keeps `capacity` messages; `full_transcripts` says whether finals come with
    /// all finals before them.
    pub(crate) fn new(tracks: usize, capacity: usize, full_transcripts: bool) -> Arc<Self> {
        let inner = Inner {
            entries: VecDeque::new(),
            last: 0,
            lost: 0,
            transcripts: (0..tracks).map(|_| Transcript::default()).collect(),
            over: false,
        };
        Arc::new(Self { inner: Mutex::new(inner), latest: watch::Sender::new(0), capacity, full_transcripts })
    }

    /// Adds a message, made with its number. Behind the last one, `closed`, nothing is added any more.
    pub(crate) fn push(&self, message: impl FnOnce(u64) -> Message) {
        let mut inner = self.lock();
        let seq = inner.last + 1;
        self.add(&mut inner, Entry { seq, message: message(seq), transcript: None, partial_of: None });
    }

    /// Adds `closed` with the totals of the transcripts.
    pub(crate) fn close(&self, closed: impl FnOnce(u64, Totals) -> Closed) {
        let mut inner = self.lock();
        let seq = inner.last + 1;
        let totals = inner.transcripts.iter().fold(Totals::default(), |sum, track| Totals {
            finals: sum.finals + track.finals,
            words: sum.words + track.words,
            ..sum
        });
        let message = Message::Closed(closed(seq, totals));
        self.add(&mut inner, Entry { seq, message, transcript: None, partial_of: None });
        inner.over = true;
    }

    /// Adds what was said on a track; `origin` is what the client is to know of whose words they are.
    pub(crate) fn push_event(&self, track: usize, origin: Origin, event: Event) {
        let mut inner = self.lock();
        let seq = inner.last + 1;
        let is_result = matches!(event, Event::Partial(_) | Event::Final(_));
        if is_result {
            inner.entries.retain(|entry| entry.partial_of != Some(track));
        }
        let mut entry = Entry { seq, message: message(seq, origin, event), transcript: None, partial_of: None };
        match &entry.message {
            Message::Partial(_) => entry.partial_of = Some(track),
            Message::Final(last) => {
                let text = last.result.text.trim();
                let words = text.split_whitespace().count() as u64;
                let Some(transcript) = inner.transcripts.get_mut(track) else { return };
                if !text.is_empty() {
                    // A session of weeks must not keep what nobody asked for.
                    if self.full_transcripts {
                        if !transcript.text.is_empty() {
                            transcript.text.push(' ');
                        }
                        transcript.text.push_str(text);
                    }
                    transcript.finals += 1;
                    transcript.words += words;
                }
                entry.transcript = Some((track, transcript.text.len()));
            }
            _ => {}
        }
        self.add(&mut inner, entry);
    }

    /// Everything behind the message of number `after`.
    pub(crate) fn subscribe(self: &Arc<Self>, after: u64) -> Subscription {
        Subscription { log: self.clone(), cursor: after, latest: self.latest.subscribe(), skipped: 0 }
    }

    /// The number behind which everything is there still.
    pub(crate) fn horizon(&self) -> u64 {
        self.lock().lost
    }

    /// The number of the last message, and whether nothing comes behind it.
    pub(crate) fn last(&self) -> (u64, bool) {
        let inner = self.lock();
        (inner.last, inner.over)
    }

    /// Whether nothing is lost that came behind the message of number `after`, which has been there.
    pub(crate) fn holds_all_behind(&self, after: u64) -> bool {
        let inner = self.lock();
        (inner.lost..=inner.last).contains(&after)
    }

    fn add(&self, inner: &mut Inner, entry: Entry) {
        if inner.over {
            return;
        }
        inner.last = entry.seq;
        inner.entries.push_back(entry);
        if inner.entries.len() > self.capacity {
            if let Some(gone) = inner.entries.pop_front() {
                inner.lost = gone.seq;
            }
        }
        self.latest.send_replace(inner.last);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn message(seq: u64, origin: Origin, event: Event) -> Message {
    match event {
        Event::SpeechStart { utterance, start } => Message::SpeechStart(SpeechStart { seq, origin, utterance, start }),
        Event::SpeechEnd { utterance, start, end } => {
            Message::SpeechEnd(SpeechEnd { seq, origin, utterance, start, end })
        }
        Event::Partial(partial) => Message::Partial(PartialResult { seq, origin, partial }),
        Event::Final(result) => Message::Final(FinalResult { seq, origin, result, full_transcript: None }),
    }
}

/// What a subscriber gets.
#[derive(Debug)]
// One at a time, and used at once.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Next {
    /// The next message.
    Message(Message),
    /// `closed` was the last one.
    End,
    /// Messages that it has not read are gone.
    Lagged,
}

/// A place in a log.
#[derive(Debug)]
pub(crate) struct Subscription {
    log: Arc<Log>,
    cursor: u64,
    latest: watch::Receiver<u64>,
    skipped: u64,
}

impl Subscription {
    /// Waits for the next message.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            self.latest.borrow_and_update();
            if let Some(next) = self.poll() {
                return next;
            }
            // The log is as old as this, so that the sender can't be gone.
            let _ = self.latest.changed().await;
        }
    }

    /// Waits until messages are gone that it has not read.
    pub(crate) async fn lagged(&mut self) {
        loop {
            self.latest.borrow_and_update();
            if self.log.lock().lost > self.cursor {
                return;
            }
            let _ = self.latest.changed().await;
        }
    }

    /// Goes on with the last `count` messages.
    pub(crate) fn skip_to_last(&mut self, count: usize) {
        let inner = self.log.lock();
        let from = inner.entries.len().saturating_sub(count);
        self.cursor = inner.entries.get(from).map_or(inner.last, |entry| entry.seq - 1);
    }

    /// Partials that newer results replaced before they were read, since the last call.
    pub(crate) fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    fn poll(&mut self) -> Option<Next> {
        let inner = self.log.lock();
        if inner.lost > self.cursor {
            return Some(Next::Lagged);
        }
        let at = inner.entries.partition_point(|entry| entry.seq <= self.cursor);
        let Some(entry) = inner.entries.get(at) else { return inner.over.then_some(Next::End) };
        self.skipped += entry.seq - self.cursor - 1;
        self.cursor = entry.seq;
        let mut message = entry.message.clone();
        if let (Message::Final(last), Some((track, length)), true) =
            (&mut message, entry.transcript, self.log.full_transcripts)
        {
            last.full_transcript = inner.transcripts.get(track).map(|t| t.text[..length].to_owned());
        }
        Some(Next::Message(message))
    }
}

#[cfg(test)]
mod tests {
    use transcribe_core::transcript::{Final, Partial};

    use super::*;
    use crate::session::Reason;

    fn of_channel(channel: u32) -> Origin {
        Origin { channel: Some(channel), ..Origin::default() }
    }

    fn partial(utterance: u64, revision: u32) -> Event {
        Event::Partial(Partial {
            utterance,
            revision,
            start: 0.0,
            end: 1.0,
            text: "one two".into(),
            stable: "one".into(),
            unstable: String::new(),
            tail: "two".into(),
            language: "en".into(),
            words: Vec::new(),
        })
    }

    fn last(utterance: u64, text: &str) -> Event {
        Event::Final(Final {
            utterance,
            revision: 9,
            start: 0.0,
            end: 1.0,
            text: text.into(),
            language: "en".into(),
            probability: 0.9,
            no_speech_probability: 0.1,
            forced: false,
            words: Vec::new(),
        })
    }

    fn close(log: &Log) {
        log.close(|seq, totals| Closed { seq, reason: Reason::ClientClosed, complete: true, totals });
    }

    /// What a subscriber gets without waiting: type, number and full transcript.
    fn read(subscription: &mut Subscription) -> Vec<(String, u64, Option<String>)> {
        let mut read = Vec::new();
        while let Some(Next::Message(message)) = subscription.poll() {
            let json = serde_json::to_value(message).unwrap();
            let text = |name: &str| json[name].as_str().map(str::to_owned);
            read.push((text("type").unwrap(), json["seq"].as_u64().unwrap(), text("full_transcript")));
        }
        read
    }

    fn row(kind: &str, seq: u64, transcript: Option<&str>) -> (String, u64, Option<String>) {
        (kind.into(), seq, transcript.map(str::to_owned))
    }

    #[test]
    fn a_reader_in_time_gets_everything() {
        let log = Log::new(1, 8, true);
        let mut reader = log.subscribe(0);
        log.push_event(0, Origin::default(), Event::SpeechStart { utterance: 0, start: 0.0 });
        log.push_event(0, Origin::default(), partial(0, 1));
        assert_eq!(read(&mut reader), [row("speech_start", 1, None), row("partial", 2, None)]);
        log.push_event(0, Origin::default(), partial(0, 2));
        assert_eq!(read(&mut reader), [row("partial", 3, None)]);
        log.push_event(0, Origin::default(), last(0, " One two."));
        log.push_event(0, Origin::default(), last(1, ""));
        log.push_event(0, Origin::default(), last(2, "Three."));
        close(&log);
        let expected = [
            row("final", 4, Some("One two.")),
            row("final", 5, Some("One two.")),
            row("final", 6, Some("One two. Three.")),
            row("closed", 7, None),
        ];
        assert_eq!(read(&mut reader), expected);
        assert_eq!(reader.take_skipped(), 0);
        assert!(matches!(reader.poll(), Some(Next::End)));
    }

    #[test]
    fn a_slow_reader_loses_partials_and_nothing_else() {
        let log = Log::new(2, 8, false);
        let mut reader = log.subscribe(0);
        for revision in 1..100 {
            log.push_event(0, of_channel(0), partial(0, revision));
            log.push_event(1, of_channel(1), partial(0, revision));
        }
        log.push_event(0, of_channel(0), last(0, "One."));
        assert_eq!(read(&mut reader), [row("partial", 198, None), row("final", 199, None)]);
        assert_eq!(reader.take_skipped(), 197);
    }

    #[test]
    fn a_reader_that_is_too_slow_is_told_and_the_rest_goes_on() {
        let log = Log::new(1, 4, false);
        let (mut slow, mut quick) = (log.subscribe(0), log.subscribe(0));
        for utterance in 0..5 {
            log.push_event(0, Origin::default(), last(utterance, "One."));
            assert_eq!(read(&mut quick).len(), 1);
        }
        assert!(matches!(slow.poll(), Some(Next::Lagged)));
        close(&log);
        assert_eq!(read(&mut quick), [row("closed", 6, None)]);
        slow.skip_to_last(2);
        assert_eq!(read(&mut slow), [row("final", 5, None), row("closed", 6, None)]);
    }

    #[test]
    fn whoever_comes_back_gets_what_was_missed() {
        let log = Log::new(1, 8, true);
        log.push_event(0, Origin::default(), last(0, "One."));
        log.push_event(0, Origin::default(), last(1, "Two."));
        assert_eq!(read(&mut log.subscribe(1)), [row("final", 2, Some("One. Two."))]);
        assert!(log.holds_all_behind(0) && log.holds_all_behind(2) && !log.holds_all_behind(3));
        (0..8).for_each(|utterance| log.push_event(0, Origin::default(), last(utterance, "More.")));
        assert!(log.holds_all_behind(2) && !log.holds_all_behind(1), "the first two are gone");
    }

    #[test]
    fn behind_closed_there_is_nothing() {
        let log = Log::new(1, 8, true);
        close(&log);
        log.push_event(0, Origin::default(), last(0, "late"));
        assert_eq!(read(&mut log.subscribe(0)), [row("closed", 1, None)]);
    }

    #[tokio::test]
    async fn readers_are_woken() {
        let log = Log::new(1, 2, true);
        let mut reader = log.subscribe(0);
        let reading = tokio::spawn(async move {
            let Next::Message(message) = reader.next().await else { panic!("no message") };
            reader.lagged().await;
            message
        });
        tokio::task::yield_now().await;
        for utterance in 0..5 {
            log.push_event(0, Origin::default(), last(utterance, "One."));
            tokio::task::yield_now().await;
        }
        assert!(matches!(reading.await.unwrap(), Message::Final(_)));
    }
}

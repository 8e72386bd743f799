//! A call that is listened to: messages go in as they come, audio goes to the pipeline, and what happens to the session's
//! log.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use super::message::{Event, Media, Message, Party, Start};
use super::order::Order;
use super::settings;
use super::source::{Inlet, Stopped};
use super::timeline::{Timeline, MILLISECOND};
use crate::protocol::call::Call;
use crate::protocol::problem::Kind;
use crate::session::Session;

/// The codec, as in SDP.
const CODEC: &str = "PCMU";
/// Names of unknown tracks that are told of.
const MOST_UNKNOWN: usize = 4;

/// See the module.
pub(super) struct Listening {
    session: Arc<Session>,
    parties: Vec<Party>,
    inlet: Inlet,
    order: Order<Event>,
    timeline: Timeline,
    /// Tracks that were not announced, and that was told.
    unknown: BTreeSet<String>,
}

/// Whether more is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    More,
    /// `stop` came.
    Stop,
}

impl Listening {
    /// Tells of the call, and sets what its parameters ask for. `number` is that of the message `start`.
    pub(super) async fn begin(
        session: Arc<Session>,
        inlet: Inlet,
        parties: Vec<Party>,
        start: &Start,
        number: u64,
    ) -> Self {
        let parameters = start.parameters();
        let named = |names: [&str; 2]| names.iter().find_map(|name| parameters.get(*name).cloned());
        session.call_started(Call {
            call_id: start.call_sid.clone(),
            from: named(["from", "From"]),
            to: named(["to", "To"]),
            codec: CODEC.to_owned(),
            parties: parties.iter().map(|party| party.name()).collect(),
            parameters: parameters.clone(),
        });
        for (name, value) in &parameters {
            let refused = match settings::of_parameter(name, value) {
                None => continue,
                Some(Ok(configure)) => session.configure(&configure).await.err().map(|problem| problem.detail),
                Some(Err(detail)) => Some(detail),
            };
            // A call is not lost for that.
            if let Some(detail) = refused {
                session.report(Kind::InvalidSetting, format!("customParameters: {detail}"), None);
            }
        }
        let (timeline, order) = (Timeline::new(parties.len()), Order::behind(number));
        Self { session, parties, inlet, order, timeline, unknown: BTreeSet::new() }
    }

    /// Takes a message; waits while the pipeline has enough.
    pub(super) async fn take(&mut self, Message { number, event }: Message) -> Then {
        let due = self.order.push(number, event);
        self.act(due).await
    }

    /// No media came for a while: what waits for a message that is missing goes on without it, and what was said gets its
    /// finals.
    pub(super) async fn quiet(&mut self) -> Then {
        let then = self.rest().await;
        let ends = self.timeline.ends();
        // Before the first audio there is nothing to end.
        if ends.iter().all(|end| *end > 0) {
            self.inlet.finalize(ends);
        }
        then
    }

    /// The end: nothing is left that waits.
    pub(super) async fn rest(&mut self) -> Then {
        let due = self.order.flush();
        let then = self.act(due).await;
        if self.session.state().takes_audio() {
            for silence in self.timeline.level() {
                let _ = self.while_it_lasts(self.inlet.silence(silence)).await;
            }
        }
        then
    }

    async fn act(&mut self, events: Vec<Event>) -> Then {
        for event in events {
            match event {
                Event::Media(media) => self.media(media).await,
                Event::Dtmf(dtmf) => {
                    let party = Party::of_track(&dtmf.track).unwrap_or(Party::Inbound);
                    if let Some(key) = dtmf.key() {
                        self.session.call_dtmf(party.name(), key);
                    }
                }
                Event::Stop => return Then::Stop,
                Event::Connected | Event::Start(_) | Event::Other => {}
            }
        }
        Then::More
    }

    async fn media(&mut self, Media { track: name, timestamp, payload }: Media) {
        let party = Party::of_track(&name);
        let Some(track) = self.parties.iter().position(|of| Some(*of) == party) else { return self.unknown(&name) };
        if payload.is_empty() || !self.session.start().await {
            return;
        }
        let at = timestamp.map(|milliseconds| milliseconds * MILLISECOND);
        let (silence, start) = self.timeline.place(track, at, payload.len() as u64);
        let behind = self.timeline.catch_up();
        let handing = async {
            if let Some(silence) = silence {
                self.inlet.silence(silence).await?;
            }
            self.inlet.audio(track, start, payload).await?;
            for silence in behind {
                self.inlet.silence(silence).await?;
            }
            Ok::<(), Stopped>(())
        };
        let _ = self.while_it_lasts(handing).await;
    }

    /// Waits for the pipeline no longer than the session takes audio.
    async fn while_it_lasts(&self, handing: impl Future<Output = Result<(), Stopped>>) -> Result<(), Stopped> {
        tokio::select! {
            handed = handing => handed,
            _ = self.session.reached(|state| !state.takes_audio()) => Err(Stopped),
        }
    }

    fn unknown(&mut self, track: &str) {
        if self.unknown.len() < MOST_UNKNOWN && self.unknown.insert(track.to_owned()) {
            let name: String = track.chars().take(32).collect();
            let detail = format!("media.track: {name:?} was not announced in start; its audio is not heard");
            self.session.report(Kind::InvalidMessage, detail, None);
        }
    }
}

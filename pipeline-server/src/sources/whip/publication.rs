//! A client's audio while it is published: what PATCH and DELETE are about.

use std::sync::Arc;

use str0m::Candidate;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::agent::Agent;
use super::negotiate;
use super::sdp::{self, Fragment};
use crate::protocol::problem::{Kind, Problem};
use crate::session::Session;

/// Candidates that a request may bring; a client has a dozen.
const MOST_CANDIDATES: usize = 64;

/// See the module.
pub(super) struct Publication {
    id: Uuid,
    session: Arc<Session>,
    /// Held while it is changed, so that requests come one after the other.
    ice: Mutex<Ice>,
}

/// How the client is reached.
struct Ice {
    /// The offer that is in force.
    offer: String,
    /// How many there were.
    version: u64,
}

impl Publication {
    /// Of a session, by an offer.
    pub(super) fn new(id: Uuid, session: Arc<Session>, offer: String) -> Self {
        Self { id, session, ice: Mutex::new(Ice { offer, version: 1 }) }
    }

    /// Whose results are its text.
    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The entity tag of an offer that nothing followed yet.
    pub(super) fn first_tag() -> String {
        tag(1)
    }

    /// Takes a fragment, which must be meant for the present state: more candidates, or a restart; returns the answer to a
    /// restart and the new tag.
    pub(super) async fn change(
        &self,
        agent: &Agent,
        fragment: &str,
        matches: &[u8],
    ) -> Result<Option<(String, String)>, Problem> {
        let fragment = Fragment::read(fragment);
        if fragment.candidates.len() > MOST_CANDIDATES {
            return Err(Problem::new(Kind::InvalidOffer, format!("more than {MOST_CANDIDATES} candidates")));
        }
        let mut ice = self.ice.lock().await;
        let known = Fragment::read(&ice.offer).credentials;
        let renewed = fragment.credentials.filter(|given| known != Some(*given));
        if let (b"*", Some(credentials)) = (matches, renewed) {
            let offer = fragment.renew(&ice.offer, credentials);
            let gone = || Problem::new(Kind::NotFound, "the publication has just ended");
            let answer = agent.restart(self.id, negotiate::read(&offer)?).await.ok_or_else(gone)?;
            let answer = answer.map_err(|error| Problem::new(Kind::InvalidOffer, error))?;
            *ice = Ice { offer, version: ice.version + 1 };
            return Ok(Some((sdp::fragment_of(&sdp::with_reachable_audio(&answer)), tag(ice.version))));
        }
        if matches != b"*" && matches != tag(ice.version).as_bytes() {
            let detail = format!("If-Match: the present ETag is {}; a restart goes with *", tag(ice.version));
            return Err(Problem::new(Kind::OtherState, detail));
        }
        // What browsers hide behind a name of theirs they reach us from all the same.
        let candidates = fragment.candidates.iter().filter_map(|line| Candidate::from_sdp_string(line).ok());
        agent.trickle(self.id, candidates.collect()).await;
        Ok(None)
    }
}

fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

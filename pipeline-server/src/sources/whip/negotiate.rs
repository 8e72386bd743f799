//! An offer becomes a connection and an answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::SdpOffer;
use str0m::config::DtlsCert;
use str0m::{Candidate, Rtc, RtcConfig};

use super::sdp::{self, NoAudio};
use crate::protocol::problem::{Kind, Problem};
use crate::sources::rtp::Format;

/// Bytes of a message over the data channel, as the stack says in its answers.
pub(super) const LARGEST_MESSAGE: usize = 256 * 1024;
/// What an answer says of Opus: that packets may bring the one before along.
const FEC: &str = "useinbandfec=1";
/// Bits a second that are wanted of Opus. Browsers send 32,000 by themselves, which the bundled model mishears more often.
const BITRATE: u32 = 64_000;
/// Between a check of the connection and the next attempt, at first and at most; so often a client that is there shows it.
const CHECK: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// Checks that go unanswered before the way is given up.
const CHECKS: usize = 4;

/// What came of an offer.
pub(super) struct Negotiated {
    pub(super) rtc: Rtc,
    pub(super) answer: String,
    /// At least one, the preferred one first.
    pub(super) formats: Vec<Format>,
    /// Where the client was told to send to.
    pub(super) address: SocketAddr,
}

/// Reads an offer.
pub(super) fn read(offer: &str) -> Result<SdpOffer, Problem> {
    SdpOffer::from_sdp_string(offer).map_err(|error| Problem::new(Kind::InvalidOffer, error.to_string()))
}

/// Accepts one; the client is told to send to `address`.
pub(super) fn accept(offer: &str, certificate: DtlsCert, address: SocketAddr) -> Result<Negotiated, Problem> {
    let invalid = |detail: String| Problem::new(Kind::InvalidOffer, detail);
    let offer = read(offer)?;
    let mut config = RtcConfig::new()
        .clear_codecs()
        .enable_opus(true, false)
        .enable_pcmu(true, false)
        .enable_pcma(true, false)
        .set_dtls_cert(certificate)
        .set_rtp_mode(true);
    let [first, longest] = CHECK;
    config.set_initial_stun_rto(first);
    config.set_max_stun_rto(longest);
    config.set_max_stun_retransmits(CHECKS);
    let mut rtc = config.build(Instant::now());
    rtc.add_local_candidate(Candidate::host(address, "udp").map_err(|error| invalid(error.to_string()))?);
    let answer = rtc.sdp_api().accept_offer(offer).map_err(|error| invalid(error.to_string()))?.to_sdp_string();
    let answer = answer.replace(FEC, &format!("{FEC};maxaveragebitrate={BITRATE}"));
    let answer = sdp::with_reachable_audio(&answer);
    let formats = sdp::formats(&answer).map_err(|why| {
        Problem::new(
            Kind::UnacceptableOffer,
            match why {
                NoAudio::None => "the offer has no audio to send in Opus, PCMU or PCMA",
                NoAudio::Several => "the offer has several audio tracks: send each in a session of its own",
            },
        )
    })?;
    Ok(Negotiated { rtc, answer, formats, address })
}

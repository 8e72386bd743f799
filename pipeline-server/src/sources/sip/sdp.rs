//! What the caller offers and what it is answered (SDP, RFC 8866; offer and answer, RFC 3264).
//!
//! One audio stream is taken, with the codec that sounds best; everything else is refused by port 0. The server only
//! listens: what it answers is `recvonly`.

use std::fmt::Write;
use std::net::IpAddr;

use gst_sdp::{SDPAttribute, SDPMediaRef, SDPMessage};

use crate::sources::rtp::{Codec, Format};

/// Bytes of a description at most. A datagram with one fits into 8 KiB.
const LARGEST: usize = 64 * 1024;
/// Number of keys in packets where it is ours to choose.
const DTMF: u8 = 101;
/// Number of Opus in packets where it is ours to choose.
const OPUS: u8 = 96;

/// Why a description can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// It is no SDP.
    #[error("the session description is not understood")]
    Malformed,
    /// There is no audio in it.
    #[error("no audio is offered over plain RTP")]
    NoAudio,
    /// Nothing in common.
    #[error("none of the offered codecs is known here: offer opus, G722, PCMU or PCMA")]
    NoCodec,
}

/// Which way the audio goes, seen from whoever says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

/// What the other side sends: what was chosen of its description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    /// How the audio is coded.
    pub(super) format: Format,
    /// The number of keys in packets, where they come that way.
    pub(super) dtmf: Option<u8>,
    /// Where its packets come from, if the description says.
    pub(super) address: Option<IpAddr>,
    pub(super) direction: Direction,
    /// Of its audio among all streams.
    index: u32,
    /// All streams: kind, protocol and a format to refuse them with.
    streams: Vec<(String, String, String)>,
}

/// Where the server listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// Names the session.
    pub(super) id: u64,
    /// Counts descriptions of it.
    pub(super) version: u64,
}

impl Remote {
    /// Chooses of what is offered or answered. `available` says which codecs this machine can decode.
    pub(super) fn read(body: &[u8], available: impl Fn(Codec) -> bool) -> Result<Self, Unusable> {
        // The parser takes nearly anything, and an empty buffer makes it complain on stderr.
        if body.is_empty() || body.len() > LARGEST || body.contains(&0) || std::str::from_utf8(body).is_err() {
            return Err(Unusable::Malformed);
        }
        let message = SDPMessage::parse_buffer(body).map_err(|_| Unusable::Malformed)?;
        if message.version() != Some("0") || message.medias_len() == 0 {
            return Err(Unusable::Malformed);
        }
        let streams = message.medias().map(refusal).collect();
        let mut why = Unusable::NoAudio;
        for (index, media) in (0u32..).zip(message.medias()) {
            if media.media() != Some("audio") || !is_plain(media) || media.port() == 0 {
                continue;
            }
            why = Unusable::NoCodec;
            let Some(format) = choose(media, &available) else { continue };
            let connection = media.connection(0).or_else(|| message.connection());
            let address: Option<IpAddr> = connection.and_then(|c| c.address()).and_then(|a| a.parse().ok());
            let stated = direction(media.attributes()).or_else(|| direction(message.attributes()));
            // The way to hold a call before there were directions (RFC 2543).
            let is_nowhere = address.is_some_and(|address| address.is_unspecified());
            let direction = if is_nowhere { Direction::Inactive } else { stated.unwrap_or(Direction::SendRecv) };
            return Ok(Self {
                format,
                dtmf: dtmf(media, format.codec),
                address: address.filter(|_| !is_nowhere),
                direction,
                index,
                streams,
            });
        }
        Err(why)
    }

    /// The answer to it.
    pub(super) fn answer(&self, local: Local) -> String {
        let mut text = begin(local);
        for (index, (kind, protocol, format)) in (0u32..).zip(&self.streams) {
            if index != self.index {
                let _ = write!(text, "m={kind} 0 {protocol} {format}\r\n");
                continue;
            }
            let listens = matches!(self.direction, Direction::SendRecv | Direction::SendOnly);
            let direction = if listens { "recvonly" } else { "inactive" };
            let keys = self.dtmf.map(|number| (number, self.format.codec.clock_rate()));
            add(&mut text, local.port, protocol, &[self.format], keys, direction);
        }
        text
    }
}

/// What is offered to a caller who offers nothing.
pub(super) fn offer(local: Local, available: impl Fn(Codec) -> bool) -> String {
    let codecs = Codec::ALL.into_iter().filter(|codec| available(*codec));
    let numbered = |codec: Codec| Format { codec, payload_type: codec.fixed_payload_type().unwrap_or(OPUS) };
    let formats: Vec<Format> = codecs.map(numbered).collect();
    let mut text = begin(local);
    add(&mut text, local.port, "RTP/AVP", &formats, Some((DTMF, 8_000)), "recvonly");
    text
}

fn begin(local: Local) -> String {
    let Local { address, id, version, .. } = local;
    let kind = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!("v=0\r\no=- {id} {version} IN {kind} {address}\r\ns=pipeline-server\r\nc=IN {kind} {address}\r\nt=0 0\r\n")
}

/// A stream of audio; `keys` are number and clock rate.
fn add(text: &mut String, port: u16, protocol: &str, formats: &[Format], keys: Option<(u8, u32)>, direction: &str) {
    let numbers = formats.iter().map(|format| format.payload_type).chain(keys.map(|(number, _)| number));
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    // Writing to a string does not fail.
    let _ = write!(text, "m=audio {port} {protocol} {}\r\n", numbers.join(" "));
    for Format { codec, payload_type } in formats {
        let (name, rate) = (codec.name(), codec.clock_rate());
        let is_opus = *codec == Codec::Opus;
        let _ = write!(text, "a=rtpmap:{payload_type} {name}/{rate}{}\r\n", if is_opus { "/2" } else { "" });
        if is_opus {
            let _ = write!(text, "a=fmtp:{payload_type} useinbandfec=1;stereo=0;sprop-stereo=0\r\n");
        }
    }
    if let Some((number, rate)) = keys {
        let _ = write!(text, "a=rtpmap:{number} telephone-event/{rate}\r\na=fmtp:{number} 0-15\r\n");
    }
    let _ = write!(text, "a={direction}\r\n");
}

/// What a stream is refused with: its kind, its protocol, and one of its formats.
fn refusal(media: &SDPMediaRef) -> (String, String, String) {
    let text = |text: Option<&str>, otherwise: &str| text.unwrap_or(otherwise).to_owned();
    (text(media.media(), "audio"), text(media.proto(), "RTP/AVP"), text(media.format(0), "0"))
}

fn is_plain(media: &SDPMediaRef) -> bool {
    matches!(media.proto(), Some("RTP/AVP" | "RTP/AVPF"))
}

/// The codec that sounds best of those that are offered.
fn choose(media: &SDPMediaRef, available: &impl Fn(Codec) -> bool) -> Option<Format> {
    Codec::ALL.into_iter().find_map(|codec| {
        let payload_type =
            offered(media, |name, rate| name.eq_ignore_ascii_case(codec.name()) && rate == codec.clock_rate())
                .or_else(|| {
                    // Those with fixed numbers need not be explained.
                    let fixed = codec.fixed_payload_type()?;
                    let text = fixed.to_string();
                    (media.formats().any(|format| format == text) && mapping(media, fixed).is_none()).then_some(fixed)
                })?;
        available(codec).then_some(Format { codec, payload_type })
    })
}

/// The number of keys, with the clock of the audio if there are several.
fn dtmf(media: &SDPMediaRef, codec: Codec) -> Option<u8> {
    let is_keys = |name: &str| name.eq_ignore_ascii_case("telephone-event");
    offered(media, |name, rate| is_keys(name) && rate == codec.clock_rate())
        .or_else(|| offered(media, |name, _| is_keys(name)))
}

/// The first format whose name and clock rate are right.
fn offered(media: &SDPMediaRef, right: impl Fn(&str, u32) -> bool) -> Option<u8> {
    media
        .formats()
        .filter_map(|format| format.parse::<u8>().ok())
        .filter(|number| *number < 128)
        .find(|number| mapping(media, *number).is_some_and(|(name, rate)| right(&name, rate)))
}

/// Name and clock rate of a format, where it is explained.
fn mapping(media: &SDPMediaRef, number: u8) -> Option<(String, u32)> {
    media.attributes().filter(|attribute| attribute.key() == "rtpmap").find_map(|attribute| {
        let (of, explained) = attribute.value()?.trim().split_once(' ')?;
        let mut parts = explained.trim().split('/');
        let (name, rate) = (parts.next()?, parts.next()?);
        (of.parse::<u8>().ok()? == number).then_some((name.to_owned(), rate.trim().parse().ok()?))
    })
}

fn direction<'a>(mut attributes: impl Iterator<Item = &'a SDPAttribute>) -> Option<Direction> {
    attributes.find_map(|attribute| match attribute.key() {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The parser wants it.
    fn ready() {
        gst::init().unwrap();
    }

    const LOCAL: Local =
        Local { address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)), port: 20_000, id: 7, version: 2 };

    fn offer_of(media: &str) -> String {
        format!("v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n{media}")
    }

    fn read(media: &str) -> Result<Remote, Unusable> {
        ready();
        Remote::read(offer_of(media).as_bytes(), |_| true)
    }

    #[test]
    fn the_codec_that_sounds_best_is_taken() {
        let remote = read(
            "m=audio 4000 RTP/AVP 0 8 9 107 101 102\r\na=rtpmap:107 opus/48000/2\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=rtpmap:102 telephone-event/48000\r\n",
        )
        .unwrap();
        assert_eq!(remote.format, Format { codec: Codec::Opus, payload_type: 107 });
        assert_eq!((remote.dtmf, remote.direction), (Some(102), Direction::SendRecv));
        assert_eq!(remote.address, Some("198.51.100.1".parse().unwrap()));
        let answer = remote.answer(LOCAL);
        for line in [
            "o=- 7 2 IN IP4 192.0.2.7",
            "c=IN IP4 192.0.2.7",
            "m=audio 20000 RTP/AVP 107 102",
            "a=rtpmap:107 opus/48000/2",
            "a=rtpmap:102 telephone-event/48000",
            "a=recvonly",
        ] {
            assert!(answer.lines().any(|l| l == line), "no {line} in\n{answer}");
        }
    }

    #[test]
    fn codecs_with_fixed_numbers_need_no_names() {
        for (number, codec) in [(0, Codec::Pcmu), (8, Codec::Pcma), (9, Codec::G722)] {
            let remote = read(&format!("m=audio 4000 RTP/AVP 3 {number} 18\r\n")).unwrap();
            assert_eq!(remote.format, Format { codec, payload_type: number });
        }
        let only_narrow = Remote::read(offer_of("m=audio 4000 RTP/AVP 9 8\r\n").as_bytes(), |c| c != Codec::G722);
        assert_eq!(only_narrow.unwrap().format.codec, Codec::Pcma);
    }

    #[test]
    fn streams_that_are_not_wanted_are_refused_one_by_one() {
        let remote = read(
            "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio 4000 RTP/AVP 8\r\na=sendonly\r\n\
             m=image 5002 udptl t38\r\n",
        )
        .unwrap();
        let answer = remote.answer(LOCAL);
        let streams: Vec<_> = answer.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(streams, ["m=video 0 RTP/AVP 96", "m=audio 20000 RTP/AVP 8", "m=image 0 udptl t38"]);
    }

    #[test]
    fn a_call_on_hold_says_so_in_three_ways() {
        for (media, direction) in [
            ("m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n", Direction::SendOnly),
            ("m=audio 4000 RTP/AVP 0\r\na=inactive\r\n", Direction::Inactive),
            ("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", Direction::Inactive),
            ("a=recvonly\r\nm=audio 4000 RTP/AVP 0\r\n", Direction::RecvOnly),
        ] {
            assert_eq!(read(media).unwrap().direction, direction, "{media}");
        }
        assert!(read("m=audio 4000 RTP/AVP 0\r\na=inactive\r\n").unwrap().answer(LOCAL).contains("a=inactive"));
    }

    #[test]
    fn what_can_not_be_used_is_refused_for_its_reason() {
        ready();
        for (body, why) in [
            ("", Unusable::Malformed),
            ("hello world", Unusable::Malformed),
            ("v=0\r\n", Unusable::Malformed),
            ("v=0\r\n\0", Unusable::Malformed),
            (&offer_of("m=video 4000 RTP/AVP 96\r\n"), Unusable::NoAudio),
            (&offer_of("m=audio 0 RTP/AVP 0\r\n"), Unusable::NoAudio),
            (&offer_of("m=audio 4000 RTP/SAVP 0\r\n"), Unusable::NoAudio),
            (&offer_of("m=audio 4000 RTP/AVP 18 3\r\n"), Unusable::NoCodec),
            (&offer_of("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 GSM/8000\r\n"), Unusable::NoCodec),
        ] {
            assert_eq!(Remote::read(body.as_bytes(), |_| true).unwrap_err(), why, "{body:?}");
        }
    }

    #[test]
    fn an_offer_of_ours_can_be_read() {
        ready();
        let offer = offer(LOCAL, |_| true);
        let read = Remote::read(offer.as_bytes(), |_| true).unwrap();
        assert_eq!(read.format, Format { codec: Codec::Opus, payload_type: OPUS });
        assert_eq!((read.dtmf, read.direction), (Some(DTMF), Direction::RecvOnly));
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in "(?s)(v=0\r\n)?([acmost]=[ -~]{0,40}\r\n){0,12}.{0,20}") {
            ready();
            if let Ok(remote) = Remote::read(text.as_bytes(), |_| true) {
                let answer = remote.answer(LOCAL);
                let streams = |text: &str| text.lines().filter(|line| line.starts_with("m=")).count();
                prop_assert_eq!(streams(&answer), remote.streams.len());
            }
        }
    }
}

//! What is read in session descriptions beside what `str0m` does: the audio that an answer takes, and the fragments that
//! trickle ICE and ICE restarts send (RFC 8840).

use crate::sources::rtp::{Codec, Format};

/// Why an offer can't be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAudio {
    /// There is none that would come here in a codec that is understood.
    None,
    /// There is more than one track.
    Several,
}

/// How the audio comes by an answer: the formats that were agreed on, the one that is preferred first.
pub(super) fn formats(answer: &str) -> Result<Vec<Format>, NoAudio> {
    let mut tracks = media(answer).filter_map(formats_of);
    match (tracks.next(), tracks.next()) {
        (Some(formats), None) => Ok(formats),
        (None, _) => Err(NoAudio::None),
        (Some(_), Some(_)) => Err(NoAudio::Several),
    }
}

/// An answer with its candidates where the audio is: a part that is declined may stand first and have them.
pub(super) fn with_reachable_audio(answer: &str) -> String {
    let (candidates, lines): (Vec<&str>, Vec<&str>) = answer.lines().partition(|line| candidate(line).is_some());
    let mut moved = String::new();
    let mut is_audio = false;
    for line in lines {
        moved += &format!("{line}\r\n");
        if let Some(part) = line.strip_prefix("m=") {
            is_audio = part.starts_with("audio ") && !part.starts_with("audio 0 ");
        }
        if is_audio && line.starts_with("c=") {
            is_audio = false;
            candidates.iter().for_each(|line| moved += &format!("{line}\r\n"));
        }
    }
    moved
}

/// The parts of a description behind each `m=`, as lines.
fn media(description: &str) -> impl Iterator<Item = Vec<&str>> {
    description.split("\nm=").skip(1).map(|part| part.lines().map(str::trim_end).collect())
}

/// Of audio that comes to whoever answered.
fn formats_of(part: Vec<&str>) -> Option<Vec<Format>> {
    let mut line = part.first()?.split(' ');
    let (kind, port) = (line.next()?, line.next()?);
    if kind != "audio" || port == "0" || part.iter().any(|line| ["a=sendonly", "a=inactive"].contains(line)) {
        return None;
    }
    let coded = |number: &str| {
        let payload_type = number.parse().ok()?;
        let map = part.iter().find_map(|line| line.strip_prefix("a=rtpmap:")?.strip_prefix(number)?.strip_prefix(' '));
        let codec = match map {
            Some(map) => {
                let name = map.split('/').next()?;
                Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
            }
            None => Codec::ALL.into_iter().find(|codec| codec.fixed_payload_type() == Some(payload_type)),
        };
        Some(Format { codec: codec?, payload_type })
    };
    // Behind the transport.
    let formats: Vec<Format> = line.skip(1).filter_map(coded).collect();
    (!formats.is_empty()).then_some(formats)
}

/// What a client sends while it finds out how it can be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    /// Name and password of the client's end.
    pub(super) credentials: Option<(&'a str, &'a str)>,
    /// Each as `candidate:…`.
    pub(super) candidates: Vec<&'a str>,
}

impl<'a> Fragment<'a> {
    /// Reads one. What is not about ICE is passed over.
    pub(super) fn read(text: &'a str) -> Self {
        let values = |name: &'static str| text.lines().filter_map(move |line| line.trim_end().strip_prefix(name));
        let credentials = values("a=ice-ufrag:").next().zip(values("a=ice-pwd:").next());
        Self { credentials, candidates: text.lines().filter_map(candidate).collect() }
    }

    /// The offer with this name, password and candidates in place of its own.
    pub(super) fn renew(&self, offer: &str, (name, password): (&str, &str)) -> String {
        let mut renewed = String::new();
        let mut placed = false;
        for line in offer.lines().map(str::trim_end) {
            match line {
                _ if candidate(line).is_some() || line == "a=end-of-candidates" => continue,
                _ if line.starts_with("a=ice-ufrag:") => renewed += &format!("a=ice-ufrag:{name}"),
                _ if line.starts_with("a=ice-pwd:") => renewed += &format!("a=ice-pwd:{password}"),
                _ => renewed += line,
            }
            renewed += "\r\n";
            if line.starts_with("a=mid:") && !placed {
                placed = true;
                self.candidates.iter().for_each(|candidate| renewed += &format!("a={candidate}\r\n"));
            }
        }
        renewed
    }
}

/// Of an answer, what a client has to know after an ICE restart.
pub(super) fn fragment_of(answer: &str) -> String {
    let wanted =
        |line: &&str| ["a=ice-", "a=mid:"].iter().any(|start| line.starts_with(start)) || candidate(line).is_some();
    // All media go over one connection, that of the audio.
    let part = media(answer).find(|part| part.iter().any(|line| candidate(line).is_some())).unwrap_or_default();
    let lines = part.first().map(|line| format!("m={line}")).into_iter();
    let lines = lines.chain(part.iter().filter(|line| wanted(line)).map(|line| (*line).to_owned()));
    lines.chain(["a=end-of-candidates".to_owned()]).map(|line| line + "\r\n").collect()
}

fn candidate(line: &str) -> Option<&str> {
    line.trim_end().strip_prefix("a=").filter(|value| value.starts_with("candidate:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
                          m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=inactive\r\n\
                          m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:secret\r\n\
                          a=candidate:1 1 udp 5 192.0.2.1 5000 typ host\r\na=mid:0\r\na=recvonly\r\n\
                          a=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n";

    #[test]
    fn an_answer_says_how_audio_comes() {
        let opus = Format { codec: Codec::Opus, payload_type: 111 };
        let pcmu = Format { codec: Codec::Pcmu, payload_type: 0 };
        assert_eq!(formats(ANSWER), Ok(vec![opus, pcmu]));
        assert_eq!(formats(&ANSWER.replace("recvonly", "inactive")), Err(NoAudio::None));
        assert_eq!(formats(&ANSWER.replace("audio 9", "audio 0")), Err(NoAudio::None));
        assert_eq!(formats(&ANSWER.replace("111 63 0", "63")), Err(NoAudio::None));
        assert_eq!(formats("m=audio 9"), Err(NoAudio::None));
        let twice = format!("{ANSWER}m=audio 9 UDP/TLS/RTP/SAVPF 8\r\na=recvonly\r\n");
        assert_eq!(formats(&twice), Err(NoAudio::Several));
    }

    #[test]
    fn a_fragment_has_candidates_and_maybe_new_credentials() {
        let text = "a=ice-ufrag:new\r\na=ice-pwd:other\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
                    a=candidate:2 1 udp 9 192.0.2.9 9 typ host\r\na=end-of-candidates\r\n";
        let fragment = Fragment::read(text);
        assert_eq!(fragment.credentials, Some(("new", "other")));
        assert_eq!(fragment.candidates, ["candidate:2 1 udp 9 192.0.2.9 9 typ host"]);
        assert_eq!(Fragment::read("a=end-of-candidates").candidates.len(), 0);

        let renewed = fragment.renew(ANSWER, ("new", "other"));
        assert!(renewed.contains("a=ice-ufrag:new\r\n") && renewed.contains("a=ice-pwd:other\r\n"), "{renewed}");
        assert!(renewed.contains("192.0.2.9") && !renewed.contains("192.0.2.1 "), "{renewed}");
        assert_eq!(renewed.matches("candidate:").count(), 1, "{renewed}");
    }

    #[test]
    fn candidates_stand_where_the_audio_is() {
        let line = "a=candidate:1 1 udp 5 192.0.2.1 5000 typ host\r\n";
        let declined = format!("v=0\r\nm=video 0 x 0\r\nc=IN\r\n{line}a=mid:1\r\nm=audio 9 x 0\r\nc=IN\r\na=mid:0\r\n");
        let moved = format!("v=0\r\nm=video 0 x 0\r\nc=IN\r\na=mid:1\r\nm=audio 9 x 0\r\nc=IN\r\n{line}a=mid:0\r\n");
        assert_eq!(with_reachable_audio(&declined), moved);
        assert_eq!(with_reachable_audio(&moved), moved);
    }

    #[test]
    fn what_a_restart_is_answered_with_is_in_the_answer() {
        let told = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:secret\r\n\
                    a=candidate:1 1 udp 5 192.0.2.1 5000 typ host\r\na=mid:0\r\na=end-of-candidates\r\n";
        assert_eq!(fragment_of(ANSWER), told);
    }
}

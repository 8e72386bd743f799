//! What Twilio sends: a JSON object a text message, with numbers as strings. Fields that are not needed, and those that may be
//! added, are not looked at.

use std::collections::BTreeMap;

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::DecodePaddingMode;
use base64::Engine;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// How audio is written; whether it is padded does not matter.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Milliseconds that a call lasts at most, at Twilio too.
const DAY: u64 = 24 * 60 * 60 * 1_000;
/// Letters of the names of calls; Twilio's have 34.
const LONGEST_NAME: usize = 128;
/// The encoding that there is.
const MULAW: &str = "audio/x-mulaw";

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    /// Its number in the stream; `connected` has none.
    pub(super) number: Option<u64>,
    pub(super) event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// The first message.
    Connected,
    /// The second: what comes.
    Start(Start),
    /// Audio.
    Media(Media),
    /// A key was pressed.
    Dtmf(Dtmf),
    /// The last message.
    Stop,
    /// `mark`, which answers what this server never sends, and what Twilio may add.
    Other,
}

/// What a stream has.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Start {
    /// The call's name.
    pub(super) call_sid: String,
    #[serde(default)]
    tracks: Vec<String>,
    #[serde(default)]
    media_format: Option<MediaFormat>,
    #[serde(default)]
    custom_parameters: Option<BTreeMap<String, Value>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MediaFormat {
    encoding: String,
    #[serde(default, deserialize_with = "number")]
    sample_rate: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    channels: Option<u64>,
}

/// A piece of a track, as a rule 20 ms.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Media {
    pub(super) track: String,
    /// Milliseconds since the stream began.
    #[serde(default, deserialize_with = "time")]
    pub(super) timestamp: Option<u64>,
    /// μ-law.
    #[serde(deserialize_with = "audio")]
    pub(super) payload: Vec<u8>,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Dtmf {
    #[serde(default)]
    pub(super) track: String,
    pub(super) digit: String,
}

/// Who is heard on a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    /// Who is at the other end of the line from Twilio.
    Inbound,
    /// What Twilio plays to that party: the other party of a `<Dial>`, an announcement.
    Outbound,
}

impl Party {
    /// As it is named in messages and results.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }

    /// Of a track's name, which is `inbound` in some messages and `inbound_track` in others.
    pub(super) fn of_track(track: &str) -> Option<Self> {
        match track {
            "inbound" | "inbound_track" => Some(Self::Inbound),
            "outbound" | "outbound_track" => Some(Self::Outbound),
            _ => None,
        }
    }
}

impl Start {
    /// Whose audio comes; the error says why none of it can be taken.
    pub(super) fn parties(&self) -> Result<Vec<Party>, String> {
        if self.call_sid.is_empty() || self.call_sid.len() > LONGEST_NAME {
            return Err("start.callSid: is not the name of a call".to_owned());
        }
        if let Some(MediaFormat { encoding, sample_rate, channels }) = &self.media_format {
            let (rate, channels) = (sample_rate.unwrap_or(8_000), channels.unwrap_or(1));
            if encoding != MULAW || rate != 8_000 || channels != 1 {
                let encoding: String = encoding.chars().take(32).collect();
                return Err(format!(
                    "start.mediaFormat: {encoding} at {rate} Hz, {channels} channel(s); only {MULAW} at 8000 Hz, mono"
                ));
            }
        }
        if self.tracks.is_empty() {
            return Ok(vec![Party::Inbound]);
        }
        let named = |party: &Party| self.tracks.iter().any(|track| Party::of_track(track) == Some(*party));
        let parties: Vec<Party> = [Party::Inbound, Party::Outbound].into_iter().filter(named).collect();
        if parties.is_empty() {
            return Err("start.tracks: neither inbound nor outbound".to_owned());
        }
        Ok(parties)
    }

    /// `<Parameter>`s of the `<Stream>`.
    pub(super) fn parameters(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let parameters = self.custom_parameters.iter().flatten();
        parameters.map(|(name, value)| (name.clone(), text(value))).collect()
    }
}

impl Dtmf {
    /// The key, if it is one of a telephone.
    pub(super) fn key(&self) -> Option<char> {
        let mut letters = self.digit.chars();
        let key = letters.next().filter(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D'))?;
        letters.next().is_none().then_some(key)
    }
}

/// Reads a message.
pub(super) fn parse(text: &str) -> Result<Message, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        event: String,
        #[serde(default, deserialize_with = "number")]
        sequence_number: Option<u64>,
    }
    #[derive(Deserialize)]
    struct OfStart {
        start: Start,
    }
    #[derive(Deserialize)]
    struct OfMedia {
        media: Media,
    }
    #[derive(Deserialize)]
    struct OfDtmf {
        dtmf: Dtmf,
    }
    let Head { event, sequence_number: number } = serde_json::from_str(text)?;
    let event = match event.as_str() {
        "connected" => Event::Connected,
        "start" => Event::Start(serde_json::from_str::<OfStart>(text)?.start),
        "media" => Event::Media(serde_json::from_str::<OfMedia>(text)?.media),
        "dtmf" => Event::Dtmf(serde_json::from_str::<OfDtmf>(text)?.dtmf),
        "stop" => Event::Stop,
        _ => Event::Other,
    };
    Ok(Message { number, event })
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Plain(u64),
        Text(String),
    }
    match Option::<Number>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Number::Plain(number)) => Ok(Some(number)),
        Some(Number::Text(text)) => text.parse().map(Some).map_err(|_| D::Error::custom("a number was expected")),
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let time = number(deserializer)?;
    if time.is_some_and(|time| time > DAY) {
        return Err(D::Error::custom("timestamp: longer than a day"));
    }
    Ok(time)
}

fn audio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text).map_err(|_| D::Error::custom("payload: is not base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in Twilio's documentation, but for the payload, which is cut short there.
    const START: &str = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC0123","streamSid":"MZ0123",
        "callSid":"CA0123","tracks":["inbound","outbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,
        "channels":1},"customParameters":{"FirstName":"Jane","RemoteParty":"Bob"}},"streamSid":"MZ0123"}"#;
    const MEDIA: &str = r#"{"event":"media","sequenceNumber":"3","media":{"track":"outbound","chunk":"1","timestamp":"5",
        "payload":"no+JhoaJjpw="},"streamSid":"MZ0123"}"#;

    fn event(text: &str) -> Event {
        parse(text).unwrap().event
    }

    fn start(change: impl FnOnce(&mut Value)) -> Result<Vec<Party>, String> {
        let mut json: Value = serde_json::from_str(START).unwrap();
        change(&mut json["start"]);
        let Event::Start(start) = event(&json.to_string()) else { panic!("{json}") };
        start.parties()
    }

    #[test]
    fn messages_of_twilio_are_read() {
        assert_eq!(event(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#), Event::Connected);
        let Message { number: Some(1), event: Event::Start(start) } = parse(START).unwrap() else { panic!("no start") };
        assert_eq!((start.call_sid.as_str(), start.parties()), ("CA0123", Ok(vec![Party::Inbound, Party::Outbound])));
        assert_eq!(start.parameters()["RemoteParty"], "Bob");
        let Message { number: Some(3), event: Event::Media(media) } = parse(MEDIA).unwrap() else { panic!("no media") };
        assert_eq!((media.track.as_str(), media.timestamp), ("outbound", Some(5)));
        assert_eq!(media.payload, [0x9e, 0x8f, 0x89, 0x86, 0x86, 0x89, 0x8e, 0x9c]);
        let dtmf =
            r#"{"event":"dtmf","streamSid":"MZ0","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"1"}}"#;
        let Event::Dtmf(dtmf) = event(dtmf) else { panic!("no dtmf") };
        assert_eq!((Party::of_track(&dtmf.track), dtmf.key()), (Some(Party::Inbound), Some('1')));
        let stop =
            r#"{"event":"stop","sequenceNumber":"5","stop":{"accountSid":"AC0","callSid":"CA0"},"streamSid":"MZ0"}"#;
        assert_eq!(parse(stop).unwrap(), Message { number: Some(5), event: Event::Stop });
        let mark = r#"{"event":"mark","sequenceNumber":"4","streamSid":"MZ0","mark":{"name":"my label"}}"#;
        assert_eq!(parse(mark).unwrap(), Message { number: Some(4), event: Event::Other });
        assert_eq!(event(r#"{"event":"new","media":7}"#), Event::Other);
    }

    #[test]
    fn numbers_may_be_numbers() {
        let Event::Media(media) =
            event(r#"{"event":"media","media":{"track":"inbound","timestamp":20,"payload":"/w"}}"#)
        else {
            panic!("no media")
        };
        assert_eq!((media.timestamp, media.payload), (Some(20), vec![0xff]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("", "EOF"),
            ("hello", "expected"),
            ("[]", "invalid"),
            (r#"{"event":1}"#, "string"),
            (r#"{"event":"media"}"#, "media"),
            (r#"{"event":"media","media":{"track":"inbound"}}"#, "payload"),
            (r#"{"event":"media","media":{"track":"inbound","payload":"?"}}"#, "base64"),
            (r#"{"event":"media","media":{"track":"inbound","payload":"","timestamp":"soon"}}"#, "number"),
            (r#"{"event":"media","media":{"track":"inbound","payload":"","timestamp":"86400001"}}"#, "day"),
            (r#"{"event":"start","start":{}}"#, "callSid"),
            (r#"{"event":"stop","sequenceNumber":"-1"}"#, "number"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn a_stream_has_to_be_one_that_can_be_heard() {
        let wrong = |name: &'static str, value: Value| start(|start| start["mediaFormat"][name] = value).unwrap_err();
        assert!(wrong("encoding", "audio/x-l16".into()).contains("audio/x-l16"));
        assert!(wrong("sampleRate", 16_000.into()).contains("16000"));
        assert!(wrong("channels", 2.into()).contains("2 channel"));
        assert!(start(|start| start["tracks"] = serde_json::json!(["side"])).is_err());
        assert!(start(|start| start["callSid"] = "".into()).is_err());
        assert_eq!(start(|start| start["tracks"] = serde_json::json!([])), Ok(vec![Party::Inbound]));
        let twice = serde_json::json!(["outbound_track", "outbound", "side"]);
        assert_eq!(start(|start| start["tracks"] = twice), Ok(vec![Party::Outbound]));
        let bare = start(|start| start.as_object_mut().unwrap().retain(|name, _| name == "callSid"));
        assert_eq!(bare, Ok(vec![Party::Inbound]));
    }

    #[test]
    fn keys_are_those_of_a_telephone() {
        let key = |digit: &str| Dtmf { track: String::new(), digit: digit.into() }.key();
        assert_eq!([key("0"), key("#"), key("D")], [Some('0'), Some('#'), Some('D')]);
        assert_eq!([key(""), key("12"), key("E"), key("ä")], [None; 4]);
    }
}

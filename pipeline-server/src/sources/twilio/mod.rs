//! `/twilio/stream`: Twilio sends the audio of a phone call over a WebSocket (Media Streams).

mod options;

pub(crate) use self::options::Options;

//! Phone calls that come as Twilio's Media Streams.

mod calls;
mod ends;
mod gaps;
mod peer;
mod refusals;
mod signatures;

//! What server and clients say to each other, version 1: one Rust type a message. The JSON Schema and the AsyncAPI
//! document in `pipeline-server/protocol/` are made from these types ([`schema`]).
//!
//! Audio goes up as binary messages, [`control::Control`] as text; [`results::Message`] comes down as text. A client may
//! ignore what it does not know: fields and types are only added within a version.

pub(crate) mod call;
pub(crate) mod control;
pub(crate) mod problem;
pub(crate) mod results;
pub(crate) mod schema;

/// Version of the protocol; the number in `ready`.
pub(crate) const VERSION: u32 = 1;

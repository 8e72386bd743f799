//! What RFC 3261 has a server look at before it does anything (8.2), beyond what the stack does.

use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Header, Method, Request, StatusCode};

/// What is understood.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE";
/// Extensions that a caller may require.
const EXTENSIONS: [&str; 1] = ["timer"];

/// Why a request is refused, if it is.
pub(super) fn refusal(request: &Request) -> Option<(StatusCode, Vec<Header>)> {
    if !matches!(
        request.method,
        Method::Invite | Method::Ack | Method::Cancel | Method::Bye | Method::Options | Method::Info | Method::Update
    ) {
        return Some((StatusCode::MethodNotAllowed, vec![allow()]));
    }
    if request.max_forwards_header().is_ok_and(|hops| hops.value().trim() == "0") && request.method != Method::Options {
        return Some((StatusCode::TooManyHops, Vec::new()));
    }
    let required = request.headers.iter().filter(|header| header.name().eq_ignore_ascii_case("Require"));
    let unknown: Vec<&str> = required
        .flat_map(|header| header.value().split(','))
        .map(str::trim)
        .filter(|tag| !tag.is_empty() && !EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(tag)))
        .collect();
    if !unknown.is_empty() {
        return Some((StatusCode::BadExtension, vec![Header::Other("Unsupported".into(), unknown.join(", "))]));
    }
    None
}

/// `Allow`.
pub(super) fn allow() -> Header {
    Header::Other("Allow".into(), ALLOW.into())
}

/// Whether a body is a session description.
pub(super) fn is_sdp(request: &Request) -> bool {
    let kind = request
        .headers
        .iter()
        .find(|header| header.name().eq_ignore_ascii_case("Content-Type") || header.name().eq_ignore_ascii_case("c"));
    kind.is_some_and(|kind| {
        kind.value().split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/sdp"))
    })
}

//! What the fuzz target of WebRTC runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use str0m::config::DtlsCert;
use str0m::crypto;

use super::sdp::{fragment_of, Fragment};
use super::{negotiate, stun};

/// A datagram, an offer and a fragment. What is accepted has audio, and its offer can be renewed and read again.
#[allow(clippy::expect_used)]
pub fn whip(input: &[u8]) {
    static CERTIFICATE: LazyLock<DtlsCert> = LazyLock::new(|| {
        gst::init().expect("GStreamer");
        crypto::from_feature_flags().dtls_provider.generate_certificate().expect("a certificate")
    });
    stun::addressee(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    let fragment = Fragment::read(text);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8_765));
    let Ok(negotiated) = negotiate::accept(text, CERTIFICATE.clone(), address) else { return };
    assert!(!negotiated.formats.is_empty());
    assert!(fragment_of(&negotiated.answer).contains("a=ice-ufrag:"));
    let _ = negotiate::read(&fragment.renew(text, ("name", "0123456789012345678901")));
}

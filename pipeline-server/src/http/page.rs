//! The page for browsers: files in `pipeline-server/page/`, part of the program, with headers that let nothing else in.
//! The modules that `<live-captions>` is made of may be loaded by pages from elsewhere; whether those may connect is
//! another matter (`access/origin.rs`).

use axum::http::header::{
    HeaderName, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::{get, MethodRouter};
use axum::Router;

/// Scripts, styles and connections of this server, and nothing from anywhere else; in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
/// Whose pages may load a file that browsers would keep from others.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page's addresses.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", file(HTML, include_str!("../../page/index.html")))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("../../page/page.css")))
        .route("/page.js", file(SCRIPT, include_str!("../../page/page.js")))
        .route("/subtitles.js", file(SCRIPT, include_str!("../../page/subtitles.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("../../page/icon.svg")))
        .route("/live-captions.js", module(include_str!("../../page/live-captions.js")))
        .route("/webrtc.js", file(SCRIPT, include_str!("../../page/webrtc.js")))
        .route("/session.js", module(include_str!("../../page/session.js")))
        .route("/subscription.js", module(include_str!("../../page/subscription.js")))
        .route("/feed.js", module(include_str!("../../page/feed.js")))
        .route("/microphone.js", module(include_str!("../../page/microphone.js")))
        .route("/worklet.js", module(include_str!("../../page/worklet.js")))
}

/// A file of the page.
fn file<S: Clone + Send + Sync + 'static>(kind: &'static str, text: &'static str) -> MethodRouter<S> {
    let headers = headers(kind);
    get(async move || (headers, text))
}

/// A script that pages from elsewhere may load, too. It holds nothing of anybody's, and is asked for without cookies.
fn module<S: Clone + Send + Sync + 'static>(text: &'static str) -> MethodRouter<S> {
    get(async move || {
        let open = [(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (RESOURCE_POLICY, "cross-origin")];
        (headers(SCRIPT), open, text).into_response()
    })
}

fn headers(kind: &'static str) -> [(HeaderName, &'static str); 6] {
    [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (PERMISSIONS, "microphone=(self)"),
        // A new version of the program has new files.
        (CACHE_CONTROL, "no-cache"),
    ]
}

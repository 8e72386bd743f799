//! The page for browsers: files in `pipeline-server/page/`, part of the program, with headers that let nothing else in.

use axum::http::header::{
    HeaderName, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::routing::{get, MethodRouter};
use axum::Router;

/// Scripts, styles and connections of this server, and nothing from anywhere else; in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page's addresses.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", file(HTML, include_str!("../../page/index.html")))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("../../page/page.css")))
        .route("/page.js", file(SCRIPT, include_str!("../../page/page.js")))
        .route("/session.js", file(SCRIPT, include_str!("../../page/session.js")))
        .route("/subtitles.js", file(SCRIPT, include_str!("../../page/subtitles.js")))
        .route("/worklet.js", file(SCRIPT, include_str!("../../page/worklet.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("../../page/icon.svg")))
}

fn file<S: Clone + Send + Sync + 'static>(kind: &'static str, text: &'static str) -> MethodRouter<S> {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (PERMISSIONS, "microphone=(self)"),
        // A new version of the program has new files.
        (CACHE_CONTROL, "no-cache"),
    ];
    get(async move || (headers, text))
}

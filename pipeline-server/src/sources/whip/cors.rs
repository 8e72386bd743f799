//! What browsers ask before pages from elsewhere may publish here, and what such pages may read (CORS).

use axum::http::header::{
    HeaderMap, HeaderName, HeaderValue, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::access::Access;

const METHODS: &str = "POST, PATCH, DELETE, OPTIONS";
const ASKED_WITH: &str = "authorization, content-type, if-match";
const TOLD: &str = "location, etag, link, x-session-id, accept-patch, retry-after";
/// Kinds of descriptions that are taken by POST.
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// Lets the page that asks read a response, if it may.
pub(super) fn open(access: &Access, asked: &HeaderMap, mut response: Response) -> Response {
    let Some(origin) = asked.get(ORIGIN).filter(|_| access.check_origin(asked).is_ok()) else { return response };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(TOLD));
    headers.insert(VARY, HeaderValue::from_static("origin"));
    response
}

/// The answer to what a browser asks beforehand.
pub(super) fn preflight(access: &Access, asked: &HeaderMap) -> Response {
    let told = [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, ASKED_WITH),
        (ACCESS_CONTROL_MAX_AGE, "600"),
        (ACCEPT_POST, super::http::SDP),
    ];
    open(access, asked, (StatusCode::NO_CONTENT, told).into_response())
}

//! Problems as HTTP responses (RFC 9457).

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::protocol::problem::Problem;

/// Seconds after which a client may try again where the server has no place or is not ready.
const LATER: HeaderValue = HeaderValue::from_static("5");

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                response.headers_mut().insert(RETRY_AFTER, LATER);
            }
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::problem::Kind;

    #[test]
    fn status_and_headers_are_those_of_the_problem() {
        let response = Problem::new(Kind::TooManySessions, "full").into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "5");
        let response = Problem::new(Kind::Unauthorized, "?").into_response();
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
        let response = Problem::new(Kind::InvalidParameter, "?").into_response();
        assert_eq!(response.status(), 400);
        assert!(response.headers().get(RETRY_AFTER).is_none());
    }
}

//! Which web pages may connect. A browser sends a WebSocket request to any server for any page, and says only whose page it
//! is: so that is checked here. Programs other than browsers send no origin.

use axum::http::header::{HeaderMap, HOST, ORIGIN};

/// The allow-list's entry for everybody.
const ALL: &str = "*";

/// Whether the page is the server's own or on the list.
pub(super) fn check(headers: &HeaderMap, allowed: &[String]) -> Result<(), String> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").is_some_and(|(_, page)| Some(page) == host);
    let listed = |entry: &String| entry == ALL || entry.trim_end_matches('/').eq_ignore_ascii_case(origin);
    if own || allowed.iter().any(listed) {
        return Ok(());
    }
    Err(format!("pages of {origin} may not connect; the operator can allow it with --allow-origins"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origin: &str, list: &[&str]) -> bool {
        let headers = [(HOST, "asr.example:8765".parse().unwrap()), (ORIGIN, origin.parse().unwrap())];
        let list: Vec<String> = list.iter().map(|entry| (*entry).to_owned()).collect();
        check(&headers.into_iter().collect(), &list).is_ok()
    }

    #[test]
    fn pages_from_elsewhere_need_to_be_on_the_list() {
        assert!(check(&HeaderMap::new(), &[]).is_ok());
        assert!(allowed("http://asr.example:8765", &[]));
        assert!(!allowed("http://asr.example", &[]));
        assert!(!allowed("https://evil.example", &["https://good.example"]));
        assert!(!allowed("null", &[]));
        assert!(allowed("https://good.example", &["https://good.example/"]));
        assert!(!allowed("https://good.example.evil.example", &["https://good.example"]));
        assert!(allowed("https://evil.example", &["*"]));
    }
}

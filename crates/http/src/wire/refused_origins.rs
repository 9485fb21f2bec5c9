//! Origins whose scripts were refused, named in the log: the browser tells the person at the screen only that something failed.

use axum::http::{HeaderName, HeaderValue};
use tidegate_domain::Timestamp;

use crate::wire::hourly::Hourly;

/// The longest that is named: a name of 253 characters, with scheme and port.
const LONGEST: usize = 270;

/// Names each origin once an hour, and each header.
#[derive(Debug, Default)]
pub(crate) struct RefusedOrigins {
    origins: Hourly,
    headers: Hourly,
}

impl RefusedOrigins {
    /// Writes a line about the first refusal of an origin.
    pub(crate) fn note(&self, origin: &HeaderValue, now: Timestamp) {
        let Some(origin) = origin.to_str().ok().filter(|origin| is_origin(origin)) else { return };
        if self.origins.is_first(origin, now) {
            tracing::info!("origin {origin} refused: add it to http.cors_origins");
        }
    }

    /// The same of a header that scripts of an admitted origin ask to send. Anybody can claim to be one, and invent headers: they take no line
    /// from origins.
    pub(crate) fn note_header(&self, name: &HeaderName, now: Timestamp) {
        if name.as_str().len() <= LONGEST && self.headers.is_first(name.as_str(), now) {
            tracing::info!("header {name} of a script refused: add it to http.cors_headers");
        }
    }
}

/// Whether this looks like an origin (RFC 6454 section 6.2), so that nobody writes words of their own into the log. `null` is
/// none that could be configured.
fn is_origin(text: &str) -> bool {
    let Some((scheme, address)) = text.split_once("://") else { return false };
    let is_plain = |text: &str, others: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    text.len() <= LONGEST && is_plain(scheme, "+-.") && is_plain(address, ".-_:[]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_an_origin_is_written() {
        for origin in
            ["https://app.example.com", "http://localhost:3000", "http://[::1]:80", "capacitor://localhost"]
        {
            assert!(is_origin(origin), "{origin}");
        }
        let long = format!("https://{}", "a".repeat(LONGEST));
        for other in
            ["null", "", "://", "https://", "https://a b", "https://a/b", "x", "https://a\u{1b}[0m", &long]
        {
            assert!(!is_origin(other), "{other}");
        }
    }
}

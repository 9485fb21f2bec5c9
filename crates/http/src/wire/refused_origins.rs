//! Origins whose scripts were refused, named in the log: the browser tells the person at the screen only that something failed.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderValue;
use tidegate_domain::Timestamp;

/// Origins that are named in an hour: any client can invent some.
const MOST: usize = 50;
/// Seconds after which they are named again.
const WINDOW: i64 = 3_600;
/// The longest that is named: a name of 253 characters, with scheme and port.
const LONGEST: usize = 270;

/// Names each origin once an hour.
#[derive(Debug, Default)]
pub(crate) struct RefusedOrigins(Mutex<Named>);

#[derive(Debug, Default)]
struct Named {
    hour: i64,
    origins: HashSet<String>,
}

impl RefusedOrigins {
    /// Writes a line about the first refusal of an origin.
    pub(crate) fn note(&self, origin: &HeaderValue, now: Timestamp) {
        let Some(origin) = origin.to_str().ok().filter(|origin| is_origin(origin)) else { return };
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).is_first(origin, now) {
            tracing::info!("origin {origin} refused: add it to http.cors_origins");
        }
    }
}

impl Named {
    fn is_first(&mut self, origin: &str, now: Timestamp) -> bool {
        let hour = now.seconds().div_euclid(WINDOW);
        if hour != self.hour {
            (self.hour, self.origins) = (hour, HashSet::new());
        }
        self.origins.len() < MOST && self.origins.insert(origin.to_owned())
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
    fn each_origin_is_named_once_an_hour_and_not_more_than_so_many() {
        let mut named = Named::default();
        let at = Timestamp::from_seconds;
        assert!(named.is_first("https://app.example.com", at(10)));
        assert!(!named.is_first("https://app.example.com", at(3_599)));
        assert!(named.is_first("https://app.example.com", at(3_600)));
        let invented =
            (0..1_000).filter(|n| named.is_first(&format!("https://{n}.example"), at(3_601))).count();
        assert_eq!(invented, MOST - 1);
        assert_eq!(named.origins.len(), MOST);
        assert!(named.is_first("https://other.example.com", at(7_200)));
    }

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

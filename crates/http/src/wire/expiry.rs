//! When what a request makes expires, under names that are not read.
//!
//! A client that misnames it would have a credential that lives longer than it asked for, or for ever.

use axum::http::Uri;
use url::form_urlencoded;

use crate::wire::fields::{Check, Violations};
use crate::wire::unknown::{MOST_TOLD, told};

/// What names of an expiry contain, in small letters without their separators; with the usual slips of the pen.
const PARTS: [&str; 12] = [
    "expir",
    "expri",
    "exipr",
    "epxir",
    "lifetime",
    "timetolive",
    "validuntil",
    "validfor",
    "validthrough",
    "validtill",
    "validity",
    "notafter",
];

/// Refuses a query that says under another name than `field` when what it makes expires.
pub(crate) fn check_query(uri: &Uri, field: &str) -> Result<(), Violations> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let given = pairs.filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
    let misnamed = given.filter(|name| says_expiry(name) && name != field);
    let mut check = Check::new();
    for name in misnamed.take(MOST_TOLD) {
        check.violated::<()>(told(&name), format!("is not known here; did you mean {field}?"));
    }
    check.finish(Some(()))
}

/// Whether a name is that of an expiry.
pub(crate) fn says_expiry(name: &str) -> bool {
    let letters = name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase());
    let letters: String = letters.collect();
    letters == "exp"
        || letters.starts_with("ttl")
        || letters.ends_with("ttl")
        || PARTS.iter().any(|part| letters.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_an_expiry_are_told_from_others() {
        for name in [
            "expires_in",
            "expires_at",
            "expires_in_days",
            "expiry",
            "exp",
            "ttl",
            "ttl_seconds",
            "tokenTtl",
            "Expires-In-Days",
            "expiration_timestamp",
            "exipres_in_days",
            "valid_until",
            "validFor",
            "not_after",
            "lifetime",
        ] {
            assert!(says_expiry(name), "{name}");
        }
        for name in ["export", "valid_token", "name", "experience", "battle"] {
            assert!(!says_expiry(name), "{name}");
        }
    }

    #[test]
    fn a_query_is_looked_at_in_the_same_way() {
        let check = |query: &str| check_query(&format!("/a{query}").parse().unwrap(), "expires_seconds");
        for right in ["", "?expires_seconds=60", "?v=1", "?expires_in="] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        let told = check("?expires_in=60&X-Amz-Expires=60").unwrap_err().summary();
        let hint = "is not known here; did you mean expires_seconds?";
        assert_eq!(told, format!("expires_in {hint}; X-Amz-Expires {hint}"));
    }
}

//! Digests of OAuth and OpenID Connect.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::same_bytes;

/// The challenge of a PKCE verifier, method `S256` (RFC 7636 section 4.2).
pub fn pkce_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// Whether two texts are the same, in time that depends on their lengths alone.
pub fn is_same_text(left: &str, right: &str) -> bool {
    same_bytes(left.as_bytes(), right.as_bytes())
}

/// The claim by which an ID token vouches for the access token beside it: the left half of its SHA-256, for ES256 and RS256
/// (OpenID Connect Core section 3.1.3.6). For `EdDSA` there is no fixed digest, and SHA-256 is as good as any.
pub fn at_hash(access_token: &str) -> String {
    let hash = digest(&SHA256, access_token.as_bytes());
    let half = hash.as_ref().split_at_checked(16).map_or(hash.as_ref(), |(left, _)| left);
    URL_SAFE_NO_PAD.encode(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(pkce_challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(is_same_text(verifier, verifier) && !is_same_text(verifier, "dBjft"));
    }

    #[test]
    fn the_hash_of_an_access_token_is_that_of_the_specification() {
        // The access token and `at_hash` of OpenID Connect Core, appendix A.3.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(token), "77QmUPtjPfzWtF2AnpK9RQ");
    }
}

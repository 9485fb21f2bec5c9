//! Digests of OAuth and OpenID Connect.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{SigningAlgorithm, same_bytes};

/// The challenge of a PKCE verifier, method `S256` (RFC 7636 section 4.2).
pub fn pkce_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// Whether two texts are the same, in time that depends on their lengths alone.
pub fn is_same_text(left: &str, right: &str) -> bool {
    same_bytes(left.as_bytes(), right.as_bytes())
}

/// The claim by which an ID token vouches for the access token beside it: the left half of its digest by the hash function of the ID
/// token's algorithm (OpenID Connect Core section 3.1.3.6). That of Ed25519 is SHA-512 (RFC 8032 section 5.1).
pub fn at_hash(access_token: &str, algorithm: SigningAlgorithm) -> String {
    let function = match algorithm {
        SigningAlgorithm::Es256 | SigningAlgorithm::Rs256 => &SHA256,
        SigningAlgorithm::EdDsa => &SHA512,
    };
    let hash = digest(function, access_token.as_bytes());
    let half = hash.as_ref().split_at_checked(hash.as_ref().len() / 2);
    URL_SAFE_NO_PAD.encode(half.map_or(hash.as_ref(), |(left, _)| left))
}

/// Whom a JWT speaks of, as it says itself: nothing is verified, and nothing may be given because of it.
pub fn unverified_subject(jwt: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    claims.get("sub")?.as_str().map(str::to_owned)
}

/// What a person is called in a sector: the same for all applications there, another thing in every other sector, and of no use to find
/// out who it is without the key (OpenID Connect Core section 8.1).
pub fn pairwise_subject(key: &[u8], sector: &str, account: &[u8]) -> [u8; 16] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, &[sector.as_bytes(), b"\n", account].concat());
    let mut subject = [0; 16];
    subject.iter_mut().zip(tag.as_ref()).for_each(|(byte, of_tag)| *byte = *of_tag);
    subject
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
    fn a_person_has_one_name_in_a_sector_and_another_one_elsewhere() {
        let of = |key: &[u8], sector, account: &[u8]| pairwise_subject(key, sector, account);
        assert_eq!(of(b"key", "a.example", b"ada"), of(b"key", "a.example", b"ada"));
        for other in [
            of(b"key", "b.example", b"ada"),
            of(b"key", "a.example", b"bob"),
            of(b"other", "a.example", b"ada"),
        ] {
            assert_ne!(other, of(b"key", "a.example", b"ada"));
        }
    }

    #[test]
    fn the_hash_of_an_access_token_is_that_of_the_specification() {
        // The access token and `at_hash` of OpenID Connect Core, appendix A.3.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(token, SigningAlgorithm::Es256), "77QmUPtjPfzWtF2AnpK9RQ");
        // Half of SHA-512 for Ed25519: 32 bytes.
        let of_ed25519 = URL_SAFE_NO_PAD.decode(at_hash(token, SigningAlgorithm::EdDsa)).unwrap();
        assert_eq!(of_ed25519, digest(&SHA512, token.as_bytes()).as_ref()[..32]);
    }
}

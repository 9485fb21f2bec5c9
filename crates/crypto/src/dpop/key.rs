//! The public key that a proof brings.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Lengths of an RSA modulus, in bytes: 2048 to 8192 bits.
const MODULI: std::ops::RangeInclusive<usize> = 256..=1_024;
/// Longest public exponent, in bytes: 65537 has three. Verifying with a long one costs as much as signing.
const LONGEST_EXPONENT: usize = 4;

/// A JSON Web Key (RFC 7517), as far as it says which key it is. A member that is there twice is refused.
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    // Private members: section 4.3, step 7.
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

/// A key of a kind that is supported.
pub(super) enum ProofKey {
    P256 { x: String, y: String },
    Ed25519 { x: String },
    Rsa { n: String, e: String },
}

/// The bytes of a member that is written as RFC 7518 has it, and in no other way: two ways would be two thumbprints of one key.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    (URL_SAFE_NO_PAD.encode(&bytes) == text).then_some(bytes)
}

fn coordinate(text: Option<String>) -> Option<String> {
    text.filter(|text| bytes(text).is_some_and(|bytes| bytes.len() == 32))
}

fn number(text: Option<String>, lengths: std::ops::RangeInclusive<usize>) -> Option<String> {
    text.filter(|text| {
        bytes(text).is_some_and(|bytes| lengths.contains(&bytes.len()) && bytes.first() != Some(&0))
    })
}

impl ProofKey {
    pub(super) fn of(jwk: Jwk) -> Option<Self> {
        let private = [&jwk.d, &jwk.p, &jwk.q, &jwk.dp, &jwk.dq, &jwk.qi, &jwk.oth, &jwk.k];
        if private.into_iter().any(Option::is_some) {
            return None;
        }
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("EC", Some("P-256")) => Some(Self::P256 { x: coordinate(jwk.x)?, y: coordinate(jwk.y)? }),
            ("OKP", Some("Ed25519")) if jwk.y.is_none() => Some(Self::Ed25519 { x: coordinate(jwk.x)? }),
            ("RSA", None) => {
                Some(Self::Rsa { n: number(jwk.n, MODULI)?, e: number(jwk.e, 1..=LONGEST_EXPONENT)? })
            }
            _ => None,
        }
    }

    pub(super) fn is_for(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::P256 { .. } => algorithm == Algorithm::ES256,
            Self::Ed25519 { .. } => algorithm == Algorithm::EdDSA,
            Self::Rsa { .. } => matches!(algorithm, Algorithm::PS256 | Algorithm::RS256),
        }
    }

    pub(super) fn decoding(&self) -> Option<DecodingKey> {
        match self {
            Self::P256 { x, y } => DecodingKey::from_ec_components(x, y).ok(),
            Self::Ed25519 { x } => DecodingKey::from_ed_components(x).ok(),
            Self::Rsa { n, e } => DecodingKey::from_rsa_components(n, e).ok(),
        }
    }

    /// RFC 7638 section 3: SHA-256 of the required members, in alphabetical order, without white space.
    pub(super) fn thumbprint(&self) -> String {
        let members = match self {
            Self::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
    }
}

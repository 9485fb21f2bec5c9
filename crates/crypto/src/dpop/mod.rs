//! Proofs of possession (RFC 9449): what a client shows to prove that it holds the private key that its tokens are bound to.
//!
//! A proof is read here and its signature verified with the key that it brings. Whether it is of this request, in time and new is for the
//! caller to say.

mod key;
#[cfg(any(test, feature = "testing"))]
pub mod software;
#[cfg(test)]
mod tests;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, decode};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::keys::signature_only;
use key::ProofKey;

/// `typ` of a proof (section 4.2).
const PROOF: &str = "dpop+jwt";
/// Longest proof that is read, in bytes: one with a key of RSA with 8192 bits has 4 KiB.
const LONGEST: usize = 8 * 1024;
/// Longest `jti` and `nonce`, in bytes.
const LONGEST_NAME: usize = 256;

/// Algorithms of proofs, as discovery lists them.
pub const ALGORITHMS: [&str; 4] = ["ES256", "EdDSA", "PS256", "RS256"];

/// A proof whose signature is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Which key signed it: its thumbprint (RFC 7638), as `jkt` names it.
    pub key: String,
    /// Its own name.
    pub id: String,
    /// The method of the request.
    pub method: String,
    /// The address of the request.
    pub uri: String,
    /// When it was made, in seconds since the epoch.
    pub issued_at: i64,
    /// What the server asked to be repeated.
    pub nonce: Option<String>,
    /// The digest of the access token beside it.
    pub token_hash: Option<String>,
}

/// Why a proof is none (section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No compact JWS, or longer than any has to be.
    #[error("it is no signed JWT")]
    Malformed,
    /// Something else that is signed must not be taken for one.
    #[error("its typ is not dpop+jwt")]
    Type,
    /// Neither `none`, nor one with a shared key, nor one that the key is not for.
    #[error("its alg is not one that is supported, or not one of its key")]
    Algorithm,
    /// A private key was sent, or none, or none of a kind that is supported.
    #[error("its jwk is no public key of P-256, Ed25519 or RSA")]
    Key,
    /// RFC 7515 section 4.1.11.
    #[error("it has critical extensions, which are not supported")]
    Critical,
    /// Not signed by its key.
    #[error("its signature is wrong")]
    Signature,
    /// A claim is missing, too long, or of another type.
    #[error("jti, htm, htu and iat are required, as texts and as a number of seconds")]
    Claims,
}

/// Its header, as far as it counts.
#[derive(Deserialize)]
struct ProofHeader {
    typ: Option<String>,
    alg: Option<String>,
    jwk: Option<key::Jwk>,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ProofClaims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    nonce: Option<String>,
    ath: Option<String>,
}

impl Proof {
    /// Reads a proof, and verifies its signature with its own key.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn read(text: &str) -> Result<Self, ProofError> {
        if text.len() > LONGEST || text.split('.').count() != 3 {
            return Err(ProofError::Malformed);
        }
        let header = text.split('.').next().unwrap_or_default();
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| ProofError::Malformed)?;
        let header: ProofHeader = serde_json::from_slice(&header).map_err(|_| ProofError::Malformed)?;
        if !header.typ.is_some_and(|typ| typ.eq_ignore_ascii_case(PROOF)) {
            return Err(ProofError::Type);
        }
        if header.crit.is_some() {
            return Err(ProofError::Critical);
        }
        let algorithm = header.alg.as_deref().and_then(algorithm).ok_or(ProofError::Algorithm)?;
        let key = header.jwk.and_then(ProofKey::of).ok_or(ProofError::Key)?;
        if !key.is_for(algorithm) {
            return Err(ProofError::Algorithm);
        }
        let decoding = key.decoding().ok_or(ProofError::Key)?;
        let verified = decode::<ProofClaims>(text, &decoding, &signature_only(algorithm));
        let claims = verified.map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::Json(_) => ProofError::Claims,
            _ => ProofError::Signature,
        })?;
        Self::of(claims.claims, &key)
    }

    fn of(claims: ProofClaims, key: &ProofKey) -> Result<Self, ProofError> {
        let is_name = |text: &str| (1..=LONGEST_NAME).contains(&text.len());
        if !is_name(&claims.jti) || !claims.nonce.as_deref().is_none_or(is_name) {
            return Err(ProofError::Claims);
        }
        Ok(Self {
            key: key.thumbprint(),
            id: claims.jti,
            method: claims.htm,
            uri: claims.htu,
            issued_at: claims.iat,
            nonce: claims.nonce,
            token_hash: claims.ath,
        })
    }

    /// What it is remembered by, so that it is not accepted again: no two keys share a name.
    pub fn digest(&self) -> [u8; 32] {
        crate::sized(digest(&SHA256, format!("{}\n{}", self.key, self.id).as_bytes()).as_ref())
    }

    /// Whether it is a proof for that access token (section 4.3, step 12).
    pub fn is_for_token(&self, access_token: &str) -> bool {
        let expected = URL_SAFE_NO_PAD.encode(digest(&SHA256, access_token.as_bytes()));
        self.token_hash.as_deref().is_some_and(|hash| crate::same_bytes(hash.as_bytes(), expected.as_bytes()))
    }
}

fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" => Some(Algorithm::EdDSA),
        "PS256" => Some(Algorithm::PS256),
        "RS256" => Some(Algorithm::RS256),
        _ => None,
    }
}

/// Whether a text has the form of a thumbprint: 32 bytes in base64url.
pub fn is_thumbprint(text: &str) -> bool {
    text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

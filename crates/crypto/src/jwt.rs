//! Access tokens: signing and verification (RFC 9068, RFC 8725).

pub mod openid;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jsonwebtoken::{Header, decode, decode_header, encode};
use serde_json::{Value, json};
use tidegate_domain::{AccessClaims, Secret, Timestamp};

use crate::{SigningAlgorithm, SigningKey, VerificationKey};

/// `typ` of an access token (RFC 9068 section 2.1). It keeps other tokens signed with the same keys out.
const ACCESS_TOKEN: &str = "at+jwt";
/// Ours have about 700 bytes. Anything much longer is refused before it is read.
const MAX_TOKEN: usize = 8 * 1024;

/// The key that signs now, and all whose signatures still count. A snapshot: cloning shares it, rotation makes another.
#[derive(Clone, Debug)]
pub struct KeyRing(Arc<Keys>);

#[derive(Debug)]
struct Keys {
    signing: SigningKey,
    header: Header,
    verifying: Vec<VerificationKey>,
    /// Sign the ID tokens of applications that want another algorithm: one key of each algorithm at most, made when it is first needed.
    beside: Vec<SigningKey>,
    /// Keys of ID tokens alone, those that sign first: published, and never a reason to accept an access token.
    of_id_tokens: Vec<VerificationKey>,
}

/// Why an access token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// One of ours, past its end. The client should refresh.
    #[error("the access token has expired")]
    Expired,
    /// Anything else: malformed, not signed by a key of this ring, or meant for another audience. The difference would
    /// help attackers only.
    #[error("the access token is invalid")]
    Invalid,
}

/// The signing library refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an access token could not be signed")]
pub struct SigningFailed;

impl KeyRing {
    /// Signs with `signing`; verifies with its public half and with `others`: retired keys whose tokens still live, and
    /// upcoming ones that relying parties should know before the first signature.
    pub fn new(signing: SigningKey, others: Vec<VerificationKey>) -> Self {
        Self::with_id_token_keys(signing, others, Vec::new(), Vec::new())
    }

    /// The same, with keys of ID tokens alone: those `beside` sign the ID tokens of applications that want their algorithms, and `retired`
    /// ones did. They are published, and verify no access token.
    pub fn with_id_token_keys(
        signing: SigningKey,
        others: Vec<VerificationKey>,
        beside: Vec<SigningKey>,
        retired: Vec<VerificationKey>,
    ) -> Self {
        let header = header_of(&signing, ACCESS_TOKEN);
        let mut verifying = vec![signing.verification_key().clone()];
        verifying.extend(others.into_iter().filter(|key| key.kid() != signing.kid()));
        let mut of_id_tokens: Vec<_> = beside.iter().map(|key| key.verification_key().clone()).collect();
        of_id_tokens.extend(retired);
        Self(Arc::new(Keys { signing, header, verifying, beside, of_id_tokens }))
    }

    /// Whether it can sign ID tokens with `algorithm`.
    pub fn signs_id_tokens_with(&self, algorithm: SigningAlgorithm) -> bool {
        self.key_of_id_tokens(Some(algorithm)).is_some()
    }

    /// The key that signs now.
    pub fn signing_key(&self) -> &SigningKey {
        &self.0.signing
    }

    /// An access token that says `claims`.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn sign(&self, claims: &AccessClaims) -> Result<Secret, SigningFailed> {
        encode(&self.0.header, claims, self.0.signing.private()).map(Secret::new).map_err(|_| SigningFailed)
    }

    /// What `token` says, if it is an access token of this installation, `issuer`, that has not ended by `now`.
    ///
    /// # Errors
    /// [`TokenError::Expired`] for a token in which only the expiry is wrong, without leeway; else
    /// [`TokenError::Invalid`].
    pub fn verify(&self, token: &str, issuer: &str, now: Timestamp) -> Result<AccessClaims, TokenError> {
        let claims = self.verify_for_any_audience(token, issuer, now)?;
        if claims.is_for(issuer) { Ok(claims) } else { Err(TokenError::Invalid) }
    }

    /// The same of a token that may be for another API: to say whether it is valid (RFC 7662), never to admit its bearer.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_for_any_audience(
        &self,
        token: &str,
        issuer: &str,
        now: Timestamp,
    ) -> Result<AccessClaims, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Invalid);
        }
        let header = decode_header(token).map_err(|_| TokenError::Invalid)?;
        let key = self.key_for(&header).ok_or(TokenError::Invalid)?;
        let claims = decode::<AccessClaims>(token, key.decoding(), key.validation())
            .map_err(|_| TokenError::Invalid)?
            .claims;
        if claims.iss != issuer {
            return Err(TokenError::Invalid);
        }
        // RFC 7519 section 4.1.4: "on or after".
        if now >= Timestamp::from_seconds(claims.exp) {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    /// The public keys, as `/.well-known/jwks.json` publishes them, the one that signs first.
    pub fn jwks(&self) -> Value {
        let all = self.0.verifying.iter().chain(&self.0.of_id_tokens);
        let keys: Vec<Value> = all.map(VerificationKey::jwk).collect();
        json!({ "keys": keys })
    }

    /// The key that signs ID tokens with `algorithm`; with none, the one of access tokens, which also signs for those who want its algorithm.
    fn key_of_id_tokens(&self, algorithm: Option<SigningAlgorithm>) -> Option<&SigningKey> {
        let wanted = |key: &&SigningKey| algorithm.is_none_or(|algorithm| key.algorithm() == algorithm);
        std::iter::once(&self.0.signing).chain(&self.0.beside).find(wanted)
    }

    /// The key a header names, if the header is one that this ring writes.
    ///
    /// The key decides the algorithm, never the token (RFC 8725 section 3.1). Keys inside the header (`jwk`, `jku`,
    /// `x5c`) are not looked at. Extensions that must be understood (`crit`) are not (RFC 7515 section 4.1.11).
    fn key_for(&self, header: &Header) -> Option<&VerificationKey> {
        let typed = header.typ.as_deref().is_some_and(is_access_token);
        let kid = header.kid.as_deref()?;
        self.0
            .verifying
            .iter()
            .find(|key| key.kid() == kid && key.algorithm().jws() == header.alg)
            .filter(|_| typed && header.crit.is_none())
    }
}

/// The header of tokens of type `typ` that `key` signs.
fn header_of(key: &SigningKey, typ: &str) -> Header {
    let mut header = Header::new(key.algorithm().jws());
    header.typ = Some(typ.to_owned());
    header.kid = Some(key.kid().to_owned());
    header
}

/// RFC 9068 section 4, with the prefix and case that RFC 7515 section 4.1.9 allows.
fn is_access_token(typ: &str) -> bool {
    const PREFIX: &str = "application/";
    let bare = match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => typ,
    };
    bare.eq_ignore_ascii_case(ACCESS_TOKEN)
}

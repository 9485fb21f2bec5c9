//! Access tokens: signing and verification (RFC 9068, RFC 8725).

mod form;
pub mod openid;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, decode, decode_header, encode};
use serde::Deserialize;
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// One of ours, past its end. The client should refresh.
    #[error("the access token has expired")]
    Expired {
        /// Its `exp`.
        at: Timestamp,
        /// Its `iat`.
        issued: Timestamp,
    },
    /// Anything else. The client is not told which: the difference would help attackers only. The operator is.
    #[error("the access token is invalid")]
    Invalid(TokenFault),
}

/// What is wrong with a token, in the words of RFC 7515 and RFC 7519: for the operator's log. Of a token that no key of ours signed nothing
/// is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Nothing of it is read.
    #[error("malformed: longer than {MAX_TOKEN} bytes")]
    TooLong,
    /// No compact JWS, or one with `alg` `none`: in what way.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// The header does not name its key.
    #[error("kid: missing")]
    NoKey,
    /// It names one that is not known here, and says that it is from here: the key was revoked, is retired, or is of another database.
    #[error("kid: unknown, or of a key that was retired or revoked; iss is this server's")]
    UnknownKey,
    /// The same, and it does not even say that it is from here.
    #[error("kid: unknown; iss is not this server's public_url, but another issuer's")]
    OthersKey,
    /// RFC 7515 section 4.1.11.
    #[error("crit: critical extensions are not supported")]
    Critical,
    /// An ID token, or another one that is signed with the same keys.
    #[error("typ: not at+jwt; is it an ID token?")]
    Type,
    /// The key decides (RFC 8725 section 3.1).
    #[error("alg: not that of its key")]
    Algorithm,
    /// Changed, cut off, or signed by another key.
    #[error("signature: wrong")]
    Signature,
    /// Signed by a key of ours, and it does not say what an access token says.
    #[error("claims: not those of an access token")]
    Claims,
    /// Signed by a key of ours under another name: `public_url` was changed.
    #[error("iss: {0}, which is not public_url")]
    Issuer(String),
    /// Signed by a key of ours for another API.
    #[error("aud: {0}, which is not public_url")]
    Audience(String),
}

/// Longest part of a signed claim that is repeated, in characters.
const MAX_REPEATED: usize = 200;

impl TokenFault {
    /// That a token is for other APIs than this installation.
    pub fn of_audience(claims: &AccessClaims) -> Self {
        Self::Audience(shortened(&claims.aud))
    }
}

/// The beginning of a claim, in one line.
fn shortened(claim: &str) -> String {
    claim.chars().take(MAX_REPEATED).flat_map(char::escape_debug).collect()
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
        if claims.is_for(issuer) {
            Ok(claims)
        } else {
            Err(TokenError::Invalid(TokenFault::of_audience(&claims)))
        }
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
        let claims = self.read(token, issuer).map_err(TokenError::Invalid)?;
        let at = Timestamp::from_seconds(claims.exp);
        // RFC 7519 section 4.1.4: "on or after".
        if now < at {
            return Ok(claims);
        }
        Err(TokenError::Expired { at, issued: Timestamp::from_seconds(claims.iat) })
    }

    /// What `token` says, if this installation issued it, however old it is.
    fn read(&self, token: &str, issuer: &str) -> Result<AccessClaims, TokenFault> {
        if token.len() > MAX_TOKEN {
            return Err(TokenFault::TooLong);
        }
        let header = decode_header(token).map_err(|_| TokenFault::Malformed(form::mistake_in(token)))?;
        let key = self.key_for(&header).map_err(|fault| match fault {
            TokenFault::UnknownKey if !says_issuer(token, issuer) => TokenFault::OthersKey,
            fault => fault,
        })?;
        // The signature is looked at before the claims are.
        let verified = decode::<AccessClaims>(token, key.decoding(), key.validation());
        let claims = verified.map_err(|error| match error.kind() {
            ErrorKind::Json(_) | ErrorKind::Utf8(_) => TokenFault::Claims,
            _ => TokenFault::Signature,
        })?;
        let claims = claims.claims;
        if claims.iss == issuer { Ok(claims) } else { Err(TokenFault::Issuer(shortened(&claims.iss))) }
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
    fn key_for(&self, header: &Header) -> Result<&VerificationKey, TokenFault> {
        let kid = header.kid.as_deref().ok_or(TokenFault::NoKey)?;
        let is_named = |key: &&VerificationKey| key.kid() == kid;
        let Some(key) = self.0.verifying.iter().find(is_named) else {
            // Such a key signs ID tokens alone.
            let is_of_id_token = self.0.of_id_tokens.iter().any(|key| key.kid() == kid);
            return Err(if is_of_id_token { TokenFault::Type } else { TokenFault::UnknownKey });
        };
        if !header.typ.as_deref().is_some_and(is_access_token) {
            return Err(TokenFault::Type);
        }
        if key.algorithm().jws() != header.alg {
            return Err(TokenFault::Algorithm);
        }
        if header.crit.is_some() { Err(TokenFault::Critical) } else { Ok(key) }
    }
}

/// Whether a token that nobody here signed says that it is of that issuer. Tells two mistakes apart in the log, and nothing else: anybody can write that.
fn says_issuer(token: &str, issuer: &str) -> bool {
    #[derive(Deserialize)]
    struct Said {
        iss: String,
    }
    let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let said = payload.and_then(|payload| serde_json::from_slice::<Said>(&payload).ok());
    said.is_some_and(|said| said.iss == issuer)
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

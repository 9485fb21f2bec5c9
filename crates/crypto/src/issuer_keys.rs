//! Tokens of other issuers: ID tokens are verified (OpenID Connect Core section 3.1.3.7, RFC 8725), and assertions by which a client
//! authenticates to a provider are signed (RFC 7523).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, decode, decode_header, encode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tidegate_domain::Secret;

use crate::SigningFailed;
use crate::keys::signature_only;

/// Tokens of large providers have about 2 KiB. Anything much longer is refused before it is read.
const MAX_TOKEN: usize = 32 * 1024;
/// Keys of one issuer that are read. Large providers publish fewer than ten.
const MAX_KEYS: usize = 64;

/// The public keys of an issuer, as its `jwks_uri` publishes them (RFC 7517).
#[derive(Clone)]
pub struct IssuerKeys(Vec<IssuerKey>);

#[derive(Clone)]
struct IssuerKey {
    kid: Option<String>,
    /// What it may verify: the one its own `alg` names, or those of its kind.
    algorithms: Vec<Algorithm>,
    decoding: DecodingKey,
}

/// What an issuer published is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's keys are not a JSON Web Key Set with a usable public key")]
pub struct KeysUnreadable;

/// Why a token of another issuer is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerTokenError {
    /// It names a key that is not in the set: the issuer may have new ones.
    #[error("it is signed with a key that the issuer does not publish")]
    UnknownKey,
    /// Malformed, signed with an algorithm that is not the key's, or not signed by it.
    #[error("it is not signed by its issuer")]
    Invalid,
}

/// A private key by which a client authenticates to a provider.
pub struct AssertionKey {
    kid: String,
    key: EncodingKey,
}

/// Not a private key that assertions can be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the PEM text of a P-256 private key (PKCS #8, `-----BEGIN PRIVATE KEY-----`)")]
pub struct AssertionKeyUnusable;

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl IssuerKeys {
    /// Reads what an issuer publishes. Keys of kinds that are unknown here, that are for encryption or that are secrets are left out.
    ///
    /// # Errors
    /// [`KeysUnreadable`] when no key is left.
    pub fn parse(jwks: &[u8]) -> Result<Self, KeysUnreadable> {
        let published: Published = serde_json::from_slice(jwks).map_err(|_| KeysUnreadable)?;
        let keys: Vec<_> = published.keys.into_iter().take(MAX_KEYS).filter_map(IssuerKey::read).collect();
        if keys.is_empty() { Err(KeysUnreadable) } else { Ok(Self(keys)) }
    }

    /// What `token` says, if it is signed by one of these keys. Who issued it, for whom and until when is for the caller to check.
    ///
    /// The key decides the algorithm, never the token (RFC 8725 section 3.1): neither `none` nor an HMAC keyed with the public key
    /// verifies. Keys inside the header are not looked at, and extensions that must be understood are refused.
    ///
    /// # Errors
    /// [`IssuerTokenError`].
    pub fn verify(&self, token: &str) -> Result<Map<String, Value>, IssuerTokenError> {
        if token.len() > MAX_TOKEN {
            return Err(IssuerTokenError::Invalid);
        }
        let header = decode_header(token).map_err(|_| IssuerTokenError::Invalid)?;
        if header.crit.is_some() || header.alg.family() == jsonwebtoken::AlgorithmFamily::Hmac {
            return Err(IssuerTokenError::Invalid);
        }
        // An issuer with one key need not name it (Core section 10.1).
        let named = |key: &&IssuerKey| match &header.kid {
            Some(kid) => key.kid.as_ref() == Some(kid),
            None => true,
        };
        let mut candidates = self.0.iter().filter(named).peekable();
        if candidates.peek().is_none() {
            return Err(IssuerTokenError::UnknownKey);
        }
        candidates
            .filter(|key| key.algorithms.contains(&header.alg))
            .find_map(|key| decode(token, &key.decoding, &signature_only(header.alg)).ok())
            .map(|verified| verified.claims)
            .ok_or(IssuerTokenError::Invalid)
    }
}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.kid)).finish()
    }
}

impl IssuerKey {
    fn read(published: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(published).ok()?;
        if jwk.common.public_key_use.as_ref().is_some_and(|of| *of != PublicKeyUse::Signature) {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => vec![
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                vec![Algorithm::EdDSA]
            }
            _ => return None,
        };
        if let Some(own) = jwk.common.key_algorithm {
            algorithms.retain(|algorithm| jsonwebtoken::jwk::KeyAlgorithm::from(*algorithm) == own);
        }
        let decoding = DecodingKey::from_jwk(&jwk).ok().filter(|_| !algorithms.is_empty())?;
        Some(Self { kid: jwk.common.key_id, algorithms, decoding })
    }
}

impl AssertionKey {
    /// The key in `pem`, which the provider calls `kid`.
    ///
    /// # Errors
    /// [`AssertionKeyUnusable`].
    pub fn from_pem(kid: &str, pem: &Secret) -> Result<Self, AssertionKeyUnusable> {
        let key = EncodingKey::from_ec_pem(pem.expose().as_bytes()).map_err(|_| AssertionKeyUnusable)?;
        let made = Self { kid: kid.to_owned(), key };
        // The library looks at the curve when it signs.
        made.sign(&Map::new()).map_err(|_| AssertionKeyUnusable)?;
        Ok(made)
    }

    /// An ES256 token that says `claims`.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<Secret, SigningFailed> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        encode(&header, claims, &self.key).map(Secret::new).map_err(|_| SigningFailed)
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssertionKey({})", self.kid)
    }
}

/// The `code_challenge` of a `code_verifier` (RFC 7636 section 4.2, S256).
pub fn pkce_challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_domain::Timestamp;

    use super::*;
    use crate::testing::Seeded;
    use crate::{SigningAlgorithm, SigningKey};

    const ALGORITHMS: [SigningAlgorithm; 2] = [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa];

    fn key(algorithm: SigningAlgorithm, seed: u64) -> SigningKey {
        SigningKey::generate(algorithm, Timestamp::default(), &Seeded::new(seed)).unwrap()
    }

    fn published(keys: &[&SigningKey]) -> Vec<u8> {
        let keys: Vec<Value> = keys.iter().map(|key| key.public_jwk()).collect();
        json!({ "keys": keys }).to_string().into_bytes()
    }

    fn token(key: &SigningKey, header: impl FnOnce(&mut Header)) -> String {
        let mut named = Header::new(key.algorithm().jws());
        named.kid = Some(key.kid().to_owned());
        header(&mut named);
        encode(&named, &json!({"sub": "1"}), key.private()).unwrap()
    }

    #[test]
    fn what_an_issuer_signed_verifies_and_nothing_else_does() {
        for algorithm in ALGORITHMS {
            let (own, other) = (key(algorithm, 1), key(algorithm, 2));
            let keys = IssuerKeys::parse(&published(&[&own])).unwrap();
            assert_eq!(keys.verify(&token(&own, |_| ())).unwrap()["sub"], "1");
            assert_eq!(keys.verify(&token(&own, |header| header.kid = None)).unwrap()["sub"], "1");
            assert_eq!(keys.verify(&token(&other, |_| ())), Err(IssuerTokenError::UnknownKey));
            let misnamed = token(&other, |header| header.kid = Some(own.kid().to_owned()));
            assert_eq!(keys.verify(&misnamed), Err(IssuerTokenError::Invalid));
            let critical = token(&own, |header| header.crit = Some(vec!["b64".to_owned()]));
            assert_eq!(keys.verify(&critical), Err(IssuerTokenError::Invalid));
        }
    }

    #[test]
    fn a_token_does_not_choose_its_algorithm() {
        let own = key(SigningAlgorithm::Es256, 1);
        let jwks = published(&[&own]);
        let keys = IssuerKeys::parse(&jwks).unwrap();
        let signed = token(&own, |_| ());
        let claims = signed.split('.').nth(1).unwrap();
        let encoded = |header: Value| URL_SAFE_NO_PAD.encode(header.to_string());
        let none = format!("{}.{claims}.", encoded(json!({"alg": "none", "kid": own.kid()})));
        assert_eq!(keys.verify(&none), Err(IssuerTokenError::Invalid));
        // An HMAC keyed with what everyone knows.
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(own.kid().to_owned());
        let point = own.public_jwk()["x"].as_str().unwrap().to_owned();
        for secret in [point.as_bytes(), &jwks, b""] {
            let forged = encode(&header, &json!({"sub": "1"}), &EncodingKey::from_secret(secret)).unwrap();
            assert_eq!(keys.verify(&forged), Err(IssuerTokenError::Invalid));
        }
        assert_eq!(keys.verify(&"a".repeat(MAX_TOKEN + 1)), Err(IssuerTokenError::Invalid));
        assert_eq!(keys.verify("a.b.c"), Err(IssuerTokenError::Invalid));
    }

    #[test]
    fn secrets_and_keys_for_encryption_are_no_keys_of_an_issuer() {
        let mut encrypting = key(SigningAlgorithm::Es256, 1).public_jwk();
        encrypting["use"] = json!("enc");
        for keys in [
            json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]}),
            json!({"keys": [encrypting]}),
            json!({"keys": []}),
            json!({}),
            json!([]),
        ] {
            let parsed = IssuerKeys::parse(keys.to_string().as_bytes());
            assert_eq!(parsed.map(drop), Err(KeysUnreadable), "{keys}");
        }
        assert_eq!(IssuerKeys::parse(b"<html>").map(drop), Err(KeysUnreadable));
    }

    #[test]
    fn an_assertion_verifies_with_the_public_half() {
        let own = key(SigningAlgorithm::Es256, 1);
        let der = base64::engine::general_purpose::STANDARD.encode(own.private().as_bytes());
        let pem = Secret::new(format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n"));
        let signing = AssertionKey::from_pem(own.kid(), &pem).unwrap();
        let claims = json!({"iss": "TEAM"}).as_object().unwrap().clone();
        let assertion = signing.sign(&claims).unwrap();
        let keys = IssuerKeys::parse(&published(&[&own])).unwrap();
        assert_eq!(keys.verify(assertion.expose()).unwrap()["iss"], "TEAM");
        assert!(!format!("{signing:?}").contains(&der));
        for wrong in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert_eq!(AssertionKey::from_pem("k", &Secret::new(wrong)).map(drop), Err(AssertionKeyUnusable));
        }
    }

    #[test]
    fn the_challenge_is_the_standards() {
        // RFC 7636 appendix B.
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(pkce_challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}

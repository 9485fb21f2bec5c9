//! What clients of OAuth 2 sign: assertions by which they authenticate (RFC 7523) and authorization requests (RFC 9101).
//!
//! Who issued it, for whom and until when is for the caller to check; here is only whether it is signed, by what and how.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, decode, decode_header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tidegate_domain::Secret;

use crate::issuer_keys::{IssuerKeys, IssuerTokenError};
use crate::keys::signature_only;

/// Longest JWT of a client that is read, in bytes.
pub const MAX_CLIENT_JWT: usize = 16 * 1024;
/// Most keys of one client. A token that names none is tried with each.
const MAX_KEYS: usize = 16;
/// Longest name of a key, in bytes.
const MAX_KID: usize = 256;
/// Shortest and longest modulus of RSA, in bytes (RFC 7518 section 3.3).
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Longest public exponent, in bytes: 65537 has three. Verifying with a long one costs as much as signing, and strangers may register keys.
const LONGEST_EXPONENT: usize = 4;
/// The members of a public key (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2). Only these are kept.
const PUBLIC: [&str; 9] = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];
/// The members of a private or secret key.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// How a client may sign. There is no `none` among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JwtAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// HMAC with SHA-256, keyed with the client's secret.
    #[serde(rename = "HS256")]
    Hs256,
}

impl JwtAlgorithm {
    /// Those with a private key.
    pub const ASYMMETRIC: [Self; 5] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa, Self::Hs256];

    /// Its `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// Whether it takes a secret that both sides know.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256)
    }

    const fn jws(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Ps256 => Algorithm::PS256,
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Hs256 => Algorithm::HS256,
        }
    }
}

/// The public keys of a client.
#[derive(Clone, Debug)]
pub struct ClientKeys(IssuerKeys);

/// Why a set of keys is not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientKeysError {
    /// Not of the form of RFC 7517 section 5.
    #[error("must be a JSON Web Key Set with 1 to 16 keys")]
    Malformed,
    /// The other half of a key is in it: everybody who reads this has it now.
    #[error("has a private or secret key: register public keys only, and replace the one that was sent")]
    Private,
    /// No key of it can verify anything here.
    #[error("has no public key for RS256, PS256 (2048 bits or more), ES256, ES384 or EdDSA")]
    Unusable,
}

/// Why what a client signed is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientJwtError {
    /// It has five parts (RFC 7516).
    #[error("it is encrypted, which is not supported: sign it only")]
    Encrypted,
    /// It names a key that is not in the set: the client may have new ones.
    #[error("it is signed with a key that is not registered")]
    UnknownKey,
    /// Malformed, signed with an algorithm that is not allowed, or not by the client.
    #[error("it is not signed by the client with an algorithm that it may use")]
    Invalid,
}

/// What a client signed.
#[derive(Clone, Debug)]
pub struct ClientJwt {
    /// What it says it is, if it does (RFC 7515 section 4.1.9).
    pub typ: Option<String>,
    /// What it says.
    pub claims: Map<String, Value>,
}

impl ClientKeys {
    /// Reads keys that were registered, or that a client publishes at its `jwks_uri`.
    ///
    /// # Errors
    /// [`ClientKeysError::Malformed`] or [`ClientKeysError::Unusable`].
    pub fn parse(jwks: &[u8]) -> Result<Self, ClientKeysError> {
        let published: Value = serde_json::from_slice(jwks).map_err(|_| ClientKeysError::Malformed)?;
        Self::registered(&published).map(|(keys, _)| keys)
    }

    /// Reads keys that are to be registered; answers besides what is kept of them: their public members.
    ///
    /// # Errors
    /// [`ClientKeysError`].
    pub fn registered(jwks: &Value) -> Result<(Self, Value), ClientKeysError> {
        let keys = jwks.get("keys").and_then(Value::as_array).ok_or(ClientKeysError::Malformed)?;
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(ClientKeysError::Malformed);
        }
        let mut kept = Vec::new();
        for key in keys {
            let members = key.as_object().ok_or(ClientKeysError::Malformed)?;
            if PRIVATE.iter().any(|name| members.contains_key(*name)) {
                return Err(ClientKeysError::Private);
            }
            kept.push(public(members)?);
        }
        let kept = json!({ "keys": kept });
        let read = IssuerKeys::parse(kept.to_string().as_bytes()).map_err(|_| ClientKeysError::Unusable)?;
        Ok((Self(read), kept))
    }

    /// What `token` says, if it is signed by one of these keys, and with one of `allowed`.
    ///
    /// The key decides the algorithm, never the token (RFC 8725 section 3.1): neither `none` nor an HMAC keyed with the public key
    /// verifies. Keys that the header brings or points to (`jwk`, `jku`, `x5c`, `x5u`) are not looked at, and extensions that must be
    /// understood (`crit`) are refused.
    ///
    /// # Errors
    /// [`ClientJwtError`].
    pub fn verify(&self, token: &str, allowed: &[JwtAlgorithm]) -> Result<ClientJwt, ClientJwtError> {
        let typ = shape(token, |algorithm| {
            allowed.iter().any(|one| !one.is_symmetric() && one.jws() == algorithm)
        })?;
        match self.0.verify(token) {
            Ok(claims) => Ok(ClientJwt { typ, claims }),
            Err(IssuerTokenError::UnknownKey) => Err(ClientJwtError::UnknownKey),
            Err(IssuerTokenError::Invalid) => Err(ClientJwtError::Invalid),
        }
    }
}

impl ClientJwt {
    /// What `token` says, if it is signed with the client's secret (RFC 7518 section 3.2).
    ///
    /// # Errors
    /// [`ClientJwtError`].
    pub fn with_secret(token: &str, secret: &Secret) -> Result<Self, ClientJwtError> {
        let typ = shape(token, |algorithm| algorithm == Algorithm::HS256)?;
        let key = DecodingKey::from_secret(secret.expose().as_bytes());
        let verified = decode::<Map<String, Value>>(token, &key, &signature_only(Algorithm::HS256));
        verified.map(|read| Self { typ, claims: read.claims }).map_err(|_| ClientJwtError::Invalid)
    }

    /// A short name of an assertion that does not tell what it is: of who issued it and how they call it (RFC 7519 section 4.1.7).
    pub fn fingerprint(issuer: &str, id: &str) -> [u8; 32] {
        // The length keeps the two apart.
        let text = format!("{} {issuer} {id}", issuer.len());
        crate::sized(digest(&SHA256, text.as_bytes()).as_ref())
    }
}

/// Refuses what is no JWS in compact form, before anything of it is verified; answers its `typ`.
fn shape(token: &str, is_allowed: impl Fn(Algorithm) -> bool) -> Result<Option<String>, ClientJwtError> {
    if token.len() > MAX_CLIENT_JWT {
        return Err(ClientJwtError::Invalid);
    }
    match token.split('.').count() {
        3 => {}
        5 => return Err(ClientJwtError::Encrypted),
        _ => return Err(ClientJwtError::Invalid),
    }
    let header = decode_header(token).map_err(|_| ClientJwtError::Invalid)?;
    if header.crit.is_some() || header.enc.is_some() || !is_allowed(header.alg) {
        return Err(ClientJwtError::Invalid);
    }
    Ok(header.typ)
}

/// The public members of a key, each a text of a sensible length.
fn public(members: &Map<String, Value>) -> Result<Value, ClientKeysError> {
    let mut kept = Map::new();
    for name in PUBLIC {
        let Some(value) = members.get(name) else { continue };
        let text = value.as_str().ok_or(ClientKeysError::Malformed)?;
        let most = if name == "n" { MODULUS.end() * 2 } else { MAX_KID };
        if text.len() > most || text.chars().any(char::is_control) {
            return Err(ClientKeysError::Malformed);
        }
        kept.insert(name.to_owned(), json!(text));
    }
    if let Some(modulus) = kept.get("n").and_then(Value::as_str) {
        let modulus = URL_SAFE_NO_PAD.decode(modulus).map_err(|_| ClientKeysError::Malformed)?;
        if !MODULUS.contains(&modulus.len()) {
            return Err(ClientKeysError::Unusable);
        }
    }
    if let Some(exponent) = kept.get("e").and_then(Value::as_str) {
        let exponent = URL_SAFE_NO_PAD.decode(exponent).map_err(|_| ClientKeysError::Malformed)?;
        if !(1..=LONGEST_EXPONENT).contains(&exponent.len()) {
            return Err(ClientKeysError::Unusable);
        }
    }
    Ok(Value::Object(kept))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use tidegate_domain::Timestamp;

    use super::*;
    use crate::testing::Seeded;
    use crate::{SigningAlgorithm, SigningKey};

    fn key(algorithm: SigningAlgorithm, seed: u64) -> SigningKey {
        SigningKey::generate(algorithm, Timestamp::default(), &Seeded::new(seed)).unwrap()
    }

    fn keys(of: &[&SigningKey]) -> ClientKeys {
        let set = json!({ "keys": of.iter().map(|key| key.public_jwk()).collect::<Vec<_>>() });
        ClientKeys::registered(&set).unwrap().0
    }

    fn token(key: &SigningKey, header: impl FnOnce(&mut Header)) -> String {
        let mut named = Header::new(key.algorithm().jws());
        named.kid = Some(key.kid().to_owned());
        header(&mut named);
        encode(&named, &json!({"sub": "1"}), key.private()).unwrap()
    }

    #[test]
    fn what_a_client_signed_verifies_with_an_algorithm_that_it_may_use() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Rs256] {
            let own = key(algorithm, 1);
            let allowed = JwtAlgorithm::from_name(algorithm.as_str()).unwrap();
            let signed = token(&own, |header| header.typ = Some("x+jwt".to_owned()));
            let read = keys(&[&own]).verify(&signed, &[allowed]).unwrap();
            assert_eq!((read.typ.as_deref(), &read.claims["sub"]), (Some("x+jwt"), &json!("1")));
            let others: Vec<_> = JwtAlgorithm::ALL.into_iter().filter(|one| *one != allowed).collect();
            assert_eq!(keys(&[&own]).verify(&signed, &others).unwrap_err(), ClientJwtError::Invalid);
            let stranger = key(algorithm, 2);
            assert_eq!(
                keys(&[&stranger]).verify(&signed, &[allowed]).unwrap_err(),
                ClientJwtError::UnknownKey
            );
        }
    }

    /// RFC 8725 sections 2.1 and 3.1, RFC 7515 section 4.1.11.
    #[test]
    fn a_header_chooses_neither_key_nor_algorithm() {
        let (own, other) = (key(SigningAlgorithm::Es256, 1), key(SigningAlgorithm::Es256, 2));
        let registered = keys(&[&own]);
        let refused = |token: &str| registered.verify(token, &JwtAlgorithm::ALL).unwrap_err();
        let brought = token(&other, |header| {
            header.kid = None;
            header.jwk = serde_json::from_value(other.public_jwk()).ok();
            header.jku = Some("https://evil.example/jwks.json".to_owned());
        });
        assert_eq!(refused(&brought), ClientJwtError::Invalid);
        let critical = token(&own, |header| header.crit = Some(vec!["exp".to_owned()]));
        assert_eq!(refused(&critical), ClientJwtError::Invalid);
        let claims = token(&own, |_| ()).split('.').nth(1).unwrap().to_owned();
        for alg in ["none", "None", "HS256"] {
            let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "kid": own.kid()}).to_string());
            assert_eq!(refused(&format!("{header}.{claims}.")), ClientJwtError::Invalid, "{alg}");
        }
        // An HMAC keyed with what everybody knows.
        for secret in [own.public_jwk().to_string(), own.public_jwk()["x"].as_str().unwrap().to_owned()] {
            let mut header = Header::new(Algorithm::HS256);
            header.kid = Some(own.kid().to_owned());
            let key = EncodingKey::from_secret(secret.as_bytes());
            let forged = encode(&header, &json!({"sub": "1"}), &key).unwrap();
            assert_eq!(refused(&forged), ClientJwtError::Invalid);
        }
        assert_eq!(refused("a.b.c.d.e"), ClientJwtError::Encrypted);
        assert_eq!(refused(&format!("{}.b.c", "a".repeat(MAX_CLIENT_JWT))), ClientJwtError::Invalid);
        for shape in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d"] {
            assert_eq!(refused(shape), ClientJwtError::Invalid, "{shape:?}");
        }
    }

    #[test]
    fn a_secret_verifies_what_is_signed_with_it_and_nothing_else() {
        let secret = Secret::new("secret_0123456789");
        let sign = |algorithm, secret: &[u8]| {
            encode(&Header::new(algorithm), &json!({"sub": "1"}), &EncodingKey::from_secret(secret)).unwrap()
        };
        let signed = sign(Algorithm::HS256, secret.expose().as_bytes());
        assert_eq!(ClientJwt::with_secret(&signed, &secret).unwrap().claims["sub"], "1");
        for wrong in [
            sign(Algorithm::HS256, b"another"),
            sign(Algorithm::HS512, secret.expose().as_bytes()),
            token(&key(SigningAlgorithm::Es256, 1), |_| ()),
        ] {
            assert_eq!(ClientJwt::with_secret(&wrong, &secret).unwrap_err(), ClientJwtError::Invalid);
        }
    }

    #[test]
    fn only_public_keys_are_registered_and_only_their_public_members_kept() {
        let mut own = key(SigningAlgorithm::Es256, 1).public_jwk();
        own["x5u"] = json!("https://evil.example");
        let (_, kept) = ClientKeys::registered(&json!({ "keys": [own], "more": 1 })).unwrap();
        assert!(kept["keys"][0].get("x5u").is_none() && kept.get("more").is_none());
        let with = |name: &str, value: Value| {
            let mut jwk = key(SigningAlgorithm::Es256, 1).public_jwk();
            jwk[name] = value;
            ClientKeys::registered(&json!({ "keys": [jwk] })).map(drop)
        };
        assert_eq!(with("d", json!("AAAA")), Err(ClientKeysError::Private));
        assert_eq!(with("k", json!("AAAA")), Err(ClientKeysError::Private));
        assert_eq!(with("kid", json!(5)), Err(ClientKeysError::Malformed));
        assert_eq!(with("kid", json!("x".repeat(MAX_KID + 1))), Err(ClientKeysError::Malformed));
        assert_eq!(with("use", json!("enc")), Err(ClientKeysError::Unusable));
        let short = json!({"kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([0xff_u8; 128])});
        let long = json!({"kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([0xff_u8; 1025])});
        let modulus = URL_SAFE_NO_PAD.encode([0xff_u8; 256]);
        let slow = json!({"kty": "RSA", "e": URL_SAFE_NO_PAD.encode([0xff_u8; 5]), "n": modulus});
        for (set, error) in [
            (json!({ "keys": [short] }), ClientKeysError::Unusable),
            (json!({ "keys": [long] }), ClientKeysError::Unusable),
            (json!({ "keys": [slow] }), ClientKeysError::Unusable),
            (json!({ "keys": [] }), ClientKeysError::Malformed),
            (json!({ "keys": [1] }), ClientKeysError::Malformed),
            (json!({ "keys": vec![json!({}); MAX_KEYS + 1] }), ClientKeysError::Malformed),
            (json!([]), ClientKeysError::Malformed),
            (json!({ "keys": [{"kty": "oct"}] }), ClientKeysError::Unusable),
        ] {
            assert_eq!(ClientKeys::registered(&set).map(drop), Err(error), "{set}");
        }
        assert_eq!(ClientKeys::parse(b"<html>").map(drop), Err(ClientKeysError::Malformed));
    }

    #[test]
    fn names_of_assertions_do_not_run_into_each_other() {
        assert_ne!(ClientJwt::fingerprint("a", "b c"), ClientJwt::fingerprint("a b", "c"));
        assert_ne!(ClientJwt::fingerprint("1 a", "b"), ClientJwt::fingerprint("a", "b"));
    }

    #[test]
    fn algorithms_have_the_names_of_the_standard() {
        for algorithm in JwtAlgorithm::ALL {
            assert_eq!(JwtAlgorithm::from_name(algorithm.as_str()), Some(algorithm));
            assert_eq!(serde_json::to_value(algorithm.jws()).unwrap(), json!(algorithm.as_str()));
        }
        assert_eq!(JwtAlgorithm::from_name("none"), None);
    }
}

//! A client that proves possession, for tests and benchmarks.

#![allow(clippy::unwrap_used, reason = "for tests and benchmarks")]

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::sign;
use serde_json::{Value, json};
use tidegate_domain::{Entropy, Timestamp};

use crate::{SigningAlgorithm, SigningKey};

/// A private key with which proofs are signed.
#[derive(Debug)]
pub struct SoftwareKey(SigningKey);

impl SoftwareKey {
    /// A new one.
    pub fn generate(algorithm: SigningAlgorithm, entropy: &dyn Entropy) -> Self {
        Self(SigningKey::generate(algorithm, Timestamp::default(), entropy).unwrap())
    }

    /// Its public half: the members that say which key it is.
    pub fn jwk(&self) -> Value {
        let mut jwk = self.0.public_jwk();
        let members = jwk.as_object_mut().unwrap();
        members.retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
        jwk
    }

    /// Its thumbprint.
    pub fn thumbprint(&self) -> &str {
        self.0.kid()
    }

    /// The header of its proofs.
    pub fn header(&self) -> Value {
        json!({ "typ": "dpop+jwt", "alg": self.0.algorithm().as_str(), "jwk": self.jwk() })
    }

    /// A JWS with that header and those claims, whatever they are.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = sign(message.as_bytes(), self.0.private(), self.0.algorithm().jws()).unwrap();
        format!("{message}.{signature}")
    }

    /// A proof for a request: `id` is new for each.
    pub fn proof(&self, method: &str, uri: &str, now: Timestamp, id: &str) -> String {
        let claims = json!({ "jti": id, "htm": method, "htu": uri, "iat": now.seconds() });
        self.sign(&self.header(), &claims)
    }
}

/// The claim `ath` for an access token.
pub fn token_hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, access_token.as_bytes()))
}

//! Tokens that a private key of the source's owner signs (RFC 7519, RS256), and tokens that are fetched for them.

use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use crate::error::{ErrorCode, SourceError};

/// An RSA key.
pub(crate) struct SigningKey(RsaKeyPair);

impl SigningKey {
    /// From PEM, in PKCS #8 or PKCS #1.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, SourceError> {
        if pem.contains("ENCRYPTED") {
            return Err(refused("The private key is encrypted; give it without a passphrase."));
        }
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| refused("The private key is no PEM."))?;
        let key = match &der {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(refused("The private key is of no RSA.")),
        };
        key.map(Self).map_err(|_| refused("The private key is of no RSA, or has fewer than 2048 bits."))
    }

    /// SHA-256 of the public key's DER (SubjectPublicKeyInfo), in base64: how Snowflake names it.
    pub(crate) fn fingerprint(&self) -> Result<String, SourceError> {
        let der: PublicKeyX509Der<'_> =
            self.0.public_key().as_der().map_err(|_| refused("The private key has no public one."))?;
        Ok(STANDARD.encode(digest::digest(&digest::SHA256, der.as_ref())))
    }

    /// A token of these claims.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> Result<String, SourceError> {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encoded(header), encoded(claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| refused("The private key does not sign."))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

pub(crate) fn refused(message: &str) -> SourceError {
    SourceError::new(ErrorCode::Authentication, message)
}

/// Seconds since 1970-01-01. Servers judge tokens by their own clocks.
#[expect(clippy::disallowed_methods, reason = "a token of another time is refused by the server")]
pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// A token that holds for some time.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    token: crate::Secret,
    until: tokio::time::Instant,
}

impl Fresh {
    /// A token that is used for all but the last minute of its life.
    pub(crate) fn new(token: String, life: Duration) -> Self {
        let usable = life.saturating_sub(Duration::from_secs(60));
        Self { token: crate::Secret::new(token), until: tokio::time::Instant::now() + usable }
    }

    /// The token, while it holds.
    pub(crate) fn usable(&self) -> Option<&str> {
        (tokio::time::Instant::now() < self.until).then(|| self.token.expose())
    }
}

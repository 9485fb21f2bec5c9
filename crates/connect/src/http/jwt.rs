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
use tokio::time::Instant;

use crate::error::{ErrorCode, SourceError};

/// How long a token is used at most, and how long before its end it is no more.
const LONGEST: Duration = Duration::from_secs(86_400);
const MARGIN: Duration = Duration::from_secs(60);

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
    until: Instant,
}

impl Fresh {
    /// A token that is used for all but the end of its life: the last minute, or less of a short one.
    pub(crate) fn new(token: String, life: Duration) -> Self {
        Self::issued(token, life, Instant::now())
    }

    fn issued(token: String, life: Duration, now: Instant) -> Self {
        // Whatever a server says of its tokens' lives.
        let life = life.min(LONGEST);
        let usable = life.saturating_sub(MARGIN.min(life / 10));
        Self { token: crate::Secret::new(token), until: now + usable }
    }

    /// The token, while it holds.
    pub(crate) fn usable(&self) -> Option<&str> {
        self.usable_at(Instant::now())
    }

    fn usable_at(&self, now: Instant) -> Option<&str> {
        (now < self.until).then(|| self.token.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        for (life, used) in [(3_600, 3_540), (20, 18), (0, 0), (u64::MAX, 86_340)] {
            let now = Instant::now();
            let token = Fresh::issued("t".to_owned(), Duration::from_secs(life), now);
            let end = Duration::from_secs(used);
            let usable = |after: Duration| token.usable_at(now + after).is_some();
            assert_eq!(usable(Duration::ZERO), used > 0, "{life}");
            assert_eq!(usable(end.saturating_sub(Duration::from_millis(1))), used > 0, "{life}: it holds");
            assert!(!usable(end), "{life}: it ends soon");
        }
    }
}

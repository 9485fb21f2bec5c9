//! Whether a caller holds the private key that its tokens are bound to (RFC 9449).
//!
//! Each proof is accepted once, on whatever node: what was shown is remembered in the store until its time is over. Nonces are not
//! stored: each says when it was made, and proves that this installation made it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tidegate_crypto::dpop::{Proof, ProofError};
use tidegate_domain::Timestamp;
use url::Url;

use crate::fault::Fault;
use crate::{Kernel, KernelTables};

/// How much the clock of a client may be ahead.
const AHEAD: Duration = Duration::from_secs(60);
/// What nonces are keyed for.
const NONCE: &str = "DPoP nonce";
/// How long one is accepted.
const NONCE_AGE: Duration = Duration::from_secs(300);
/// Bytes of an instant and of a tag in a nonce.
const INSTANT: usize = 8;

/// A proof as it was shown, and with which request.
#[derive(Clone, Copy, Debug)]
pub struct ShownProof<'a> {
    /// The header `DPoP`.
    pub proof: &'a str,
    /// The method of the request.
    pub method: &'a str,
    /// The path of the request, below the installation's public URL.
    pub path: &'a str,
    /// The access token beside it; none where tokens are issued.
    pub access_token: Option<&'a str>,
    /// Thumbprint of the key that the access token is bound to. A proof of another key is not noted: whoever stole the token could fill the
    /// database with them.
    pub bound_to: Option<&'a str>,
}

/// A proof that is of its request and in time. It counts only once it is noted: it may have been shown before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a proof that is not noted may be shown again"]
pub struct ReadProof {
    key: String,
    digest: [u8; 32],
    until: Timestamp,
}

/// Why a proof is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ProofRefused {
    /// It is none, or not of this request, or too old, or was shown before.
    #[error("{0}")]
    Invalid(String),
    /// Of another key than that which the access token is bound to.
    #[error("this access token is bound to another key than the one of the DPoP proof")]
    OtherKey,
    /// It has to repeat what this installation hands out (section 8), or what it repeats is too old.
    #[error("the proof needs the nonce of the header DPoP-Nonce")]
    UseNonce,
    /// Something else.
    #[error(transparent)]
    Fault(#[from] Fault),
}

fn invalid(text: &str) -> ProofRefused {
    ProofRefused::Invalid(text.to_owned())
}

impl From<ProofError> for ProofRefused {
    fn from(error: ProofError) -> Self {
        Self::Invalid(format!("the DPoP proof is not accepted: {error}"))
    }
}

impl Kernel {
    /// The thumbprint of the key that the caller has proved to hold.
    ///
    /// Source: RFC 9449 section 4.3.
    ///
    /// # Errors
    /// [`ProofRefused`].
    pub async fn prove_possession(&self, shown: ShownProof<'_>) -> Result<String, ProofRefused> {
        let read = self.read_possession(shown)?;
        self.note_possession(read).await
    }

    /// Looks at a proof without writing anything: so a caller can be counted before something is kept of what they sent.
    ///
    /// # Errors
    /// [`ProofRefused`].
    pub fn read_possession(&self, shown: ShownProof<'_>) -> Result<ReadProof, ProofRefused> {
        let proof = Proof::read(shown.proof)?;
        if proof.method != shown.method {
            return Err(invalid("the DPoP proof is for another method (htm)"));
        }
        if !self.is_address(&proof.uri, shown.path) {
            return Err(invalid("the DPoP proof is for another address (htu)"));
        }
        if shown.access_token.is_some_and(|token| !proof.is_for_token(token)) {
            return Err(invalid("the DPoP proof is for another access token (ath), or for none"));
        }
        let now = self.now();
        let rules = &self.settings.oauth.rules;
        match &proof.nonce {
            Some(nonce) if !self.is_own_nonce(nonce, now) => return Err(ProofRefused::UseNonce),
            None if rules.require_dpop_nonce => return Err(ProofRefused::UseNonce),
            _ => {}
        }
        let made_at = Timestamp::from_seconds(proof.issued_at.clamp(0, i64::from(u32::MAX)));
        let is_in_time = made_at <= now.plus(AHEAD) && now.since(made_at) <= rules.dpop_proof_lifetime;
        if !is_in_time {
            return Err(invalid(
                "the DPoP proof was made too long ago, or the clock that made it is wrong (iat)",
            ));
        }
        if shown.bound_to.is_some_and(|key| key != proof.key) {
            return Err(ProofRefused::OtherKey);
        }
        let until = made_at.plus(rules.dpop_proof_lifetime).plus(AHEAD);
        Ok(ReadProof { digest: proof.digest(), key: proof.key, until })
    }

    /// Notes that a proof was shown; answers the thumbprint of its key.
    ///
    /// # Errors
    /// [`ProofRefused`] where it was shown before.
    pub async fn note_possession(&self, read: ReadProof) -> Result<String, ProofRefused> {
        let mut unit = self.store.begin().await.map_err(Fault::from)?;
        let is_new = unit.dpop_proofs().insert(&read.digest, read.until).await.map_err(Fault::from)?;
        unit.commit().await.map_err(Fault::from)?;
        if is_new { Ok(read.key) } else { Err(invalid("the DPoP proof was shown before (jti)")) }
    }

    /// What proofs of the next minutes may repeat.
    pub fn dpop_nonce(&self) -> String {
        let instant = self.now().seconds().to_be_bytes();
        let tag = self.vault.mac(NONCE, &instant);
        URL_SAFE_NO_PAD.encode([&instant[..], &tag].concat())
    }

    fn is_own_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(nonce) else { return false };
        let Some((instant, tag)) = bytes.split_first_chunk::<INSTANT>() else { return false };
        let made_at = Timestamp::from_seconds(i64::from_be_bytes(*instant).clamp(0, i64::from(u32::MAX)));
        let is_young = made_at <= now.plus(AHEAD) && now.since(made_at) <= NONCE_AGE;
        is_young && self.vault.verify_mac(NONCE, instant, tag)
    }

    /// Whether a proof's address is that path of this installation: without query and fragment, and as RFC 3986 section 6.2.2 compares.
    fn is_address(&self, uri: &str, path: &str) -> bool {
        let read = |text: &str| {
            let mut url = Url::parse(text).ok()?;
            let is_plain = url.username().is_empty() && url.password().is_none();
            url.set_query(None);
            url.set_fragment(None);
            is_plain.then_some(url)
        };
        let own = read(&format!("{}{path}", self.settings.public_url));
        own.is_some() && read(uri) == own
    }
}

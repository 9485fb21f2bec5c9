//! The keys that sign access tokens and ID tokens.

use std::sync::PoisonError;
use std::time::Duration;

use tidegate_crypto::{KeyRing, RsaSize, SigningAlgorithm};
use tidegate_domain::{Secret, Timestamp};

use crate::fault::Fault;
use crate::node::keys::{names, new_key, new_rsa_key, open_ring, usable, verifies_until};
pub use crate::tables::keys::KeyUse;
use crate::tables::keys::StoredKey;
use crate::{Kernel, KernelTables};

/// How often tokens of unknown keys may cause the keys to be read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A signing key, as an operator sees it.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// Its name in token headers.
    pub kid: String,
    /// JWS algorithm.
    pub algorithm: String,
    /// What it signs.
    pub signs: KeyUse,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stopped signing.
    pub retired_at: Option<Timestamp>,
    /// When the last token made with it expires, if it no longer signs.
    pub verifies_until: Option<Timestamp>,
}

impl Kernel {
    /// All keys, the signing one first.
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_signing_keys(&self) -> Result<Vec<KeyInfo>, Fault> {
        let keys = self.store.read().await?.keys().all().await?;
        let mut infos: Vec<KeyInfo> = keys.into_iter().map(|key| self.key_info(&key)).collect();
        infos.sort_by_key(|info| (info.retired_at.is_some(), info.signs == KeyUse::IdTokens));
        Ok(infos)
    }

    /// Makes a new key that signs from now on: access tokens or, for RS256, ID tokens alone. Older ones in whose place it comes verify until
    /// the last token made with them expires.
    ///
    /// # Errors
    /// Only faults.
    pub async fn rotate_signing_key(&self, algorithm: SigningAlgorithm) -> Result<KeyInfo, Fault> {
        self.replace_signing_key(algorithm, use_of(algorithm), false).await
    }

    /// The same, and tokens of the older keys fail at once: for a key that leaked. With the key of access tokens all others go: whoever had one
    /// had all. The next of ID tokens alone is made when it is needed.
    ///
    /// # Errors
    /// Only faults.
    pub async fn revoke_signing_keys(&self, algorithm: SigningAlgorithm) -> Result<KeyInfo, Fault> {
        self.replace_signing_key(algorithm, use_of(algorithm), true).await
    }

    /// Makes a new key that signs the ID tokens of applications that want `algorithm`, in the place of the one that did; with `revoke`, that
    /// one is published no more. Where access tokens are signed with `algorithm`, their key signs these ID tokens, and this one is of no use.
    ///
    /// # Errors
    /// Only faults.
    pub async fn rotate_id_token_key(
        &self,
        algorithm: SigningAlgorithm,
        revoke: bool,
    ) -> Result<KeyInfo, Fault> {
        self.replace_signing_key(algorithm, KeyUse::IdTokens, revoke).await
    }

    async fn replace_signing_key(
        &self,
        algorithm: SigningAlgorithm,
        signs: KeyUse,
        revoke: bool,
    ) -> Result<KeyInfo, Fault> {
        let now = self.now();
        let stored = self.new_key(algorithm, signs, now).await?;
        let mut unit = self.store.begin().await?;
        unit.keys().insert(&stored).await?;
        unit.keys().retire_others(&stored, now).await?;
        if revoke {
            unit.keys().remove_others(&stored).await?;
        }
        unit.commit().await?;
        self.reload_signing_keys().await?;
        Ok(self.key_info(&stored))
    }

    /// Reads the keys again: when another node or a command changed them.
    ///
    /// # Errors
    /// Only faults.
    pub async fn reload_signing_keys(&self) -> Result<(), Fault> {
        let usable = usable(&self.store, &self.settings, self.now()).await?;
        if *self.key_rows.lock().unwrap_or_else(PoisonError::into_inner) != names(&usable) {
            self.set_key_ring(open_ring(&usable, &self.vault)?);
            *self.key_rows.lock().unwrap_or_else(PoisonError::into_inner) = names(&usable);
        }
        Ok(())
    }

    /// Reads the keys again, once a second at most: a token with an unknown key is a reason, and any caller can invent one.
    pub(crate) async fn look_for_signing_keys(&self) -> Result<(), Fault> {
        let now = self.now();
        let mut last = self.keys_sought.lock().await;
        if last.is_none_or(|last| now.since(last) >= LOOK_EVERY) {
            *last = Some(now);
            if let Err(fault) = self.reload_signing_keys().await {
                tracing::warn!(error = %fault, "the signing keys could not be read; keeping those known");
            }
        }
        Ok(())
    }

    /// An ID token that says `claims`, for an application that wants it signed with `algorithm`; with none, as access tokens are.
    ///
    /// A key beside that of access tokens is made when its algorithm is first wanted: an installation that nobody asks for it never has one.
    ///
    /// # Errors
    /// Those of signing, and of the store where a key has to be made.
    pub async fn sign_id_token_for<T: serde::Serialize>(
        &self,
        algorithm: Option<SigningAlgorithm>,
        claims: &T,
    ) -> Result<Secret, Fault> {
        Ok(self.ring_with(algorithm).await?.sign_id_token(algorithm, claims)?)
    }

    /// A ring that signs ID tokens with `algorithm`. It is the one to sign with: the next may have been rotated.
    pub(crate) async fn ring_with(&self, algorithm: Option<SigningAlgorithm>) -> Result<KeyRing, Fault> {
        match algorithm {
            None => Ok(self.key_ring()),
            Some(algorithm) => self.ensure_id_token_key(algorithm).await,
        }
    }

    /// Makes the key that signs ID tokens with `algorithm`, where there is none; answers a ring that has it. Of tasks that want it at once,
    /// one makes it. Nodes that do so at the same moment may make one each: both are published, and the newest signs.
    ///
    /// # Errors
    /// Those of the store, and of the library that makes it.
    pub async fn ensure_id_token_key(&self, algorithm: SigningAlgorithm) -> Result<KeyRing, Fault> {
        let ring = self.key_ring();
        if ring.signs_id_tokens_with(algorithm) {
            return Ok(ring);
        }
        let _making = self.key_making.lock().await;
        // Another node may have made it, or another task meanwhile.
        self.reload_signing_keys().await?;
        let ring = self.key_ring();
        if ring.signs_id_tokens_with(algorithm) {
            return Ok(ring);
        }
        let stored = self.new_key(algorithm, KeyUse::IdTokens, self.now()).await?;
        let mut unit = self.store.begin().await?;
        unit.keys().insert(&stored).await?;
        unit.commit().await?;
        self.reload_signing_keys().await?;
        Ok(self.key_ring())
    }

    async fn new_key(
        &self,
        algorithm: SigningAlgorithm,
        signs: KeyUse,
        now: Timestamp,
    ) -> Result<StoredKey, Fault> {
        if algorithm != SigningAlgorithm::Rs256 {
            return new_key(&self.vault, self.entropy.as_ref(), algorithm, signs, now);
        }
        let size =
            if self.settings.oauth.rules.long_rsa_keys { RsaSize::Bits3072 } else { RsaSize::Bits2048 };
        new_rsa_key(&self.vault, self.entropy.as_ref(), size, now).await
    }

    fn key_info(&self, key: &StoredKey) -> KeyInfo {
        KeyInfo {
            kid: key.kid.clone(),
            algorithm: key.algorithm.clone(),
            signs: key.signs(),
            created_at: Timestamp::from_micros(key.created_at),
            retired_at: key.retired_at.map(Timestamp::from_micros),
            verifies_until: verifies_until(key, &self.settings),
        }
    }
}

/// What a key is made for where only its algorithm is said.
const fn use_of(algorithm: SigningAlgorithm) -> KeyUse {
    if algorithm.signs_access_tokens() { KeyUse::AccessTokens } else { KeyUse::IdTokens }
}

//! The keys that sign access tokens.

use std::sync::PoisonError;
use std::time::Duration;

use tidegate_crypto::SigningAlgorithm;
use tidegate_domain::Timestamp;

use crate::fault::Fault;
use crate::node::keys::{names, new_key, open_ring, usable, verifies_until};
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
        infos.sort_by_key(|info| info.retired_at.is_some());
        Ok(infos)
    }

    /// Makes a new key that signs from now on. Older ones verify until the last token made with them expires.
    ///
    /// # Errors
    /// Only faults.
    pub async fn rotate_signing_key(&self, algorithm: SigningAlgorithm) -> Result<KeyInfo, Fault> {
        self.replace_signing_key(algorithm, false).await
    }

    /// The same, and tokens of the older keys fail at once: for a key that leaked.
    ///
    /// # Errors
    /// Only faults.
    pub async fn revoke_signing_keys(&self, algorithm: SigningAlgorithm) -> Result<KeyInfo, Fault> {
        self.replace_signing_key(algorithm, true).await
    }

    async fn replace_signing_key(&self, algorithm: SigningAlgorithm, revoke: bool) -> Result<KeyInfo, Fault> {
        let now = self.now();
        let stored = self.new_key(algorithm, now)?;
        let mut unit = self.store.begin().await?;
        unit.keys().insert(&stored).await?;
        unit.keys().retire_others(&stored.kid, now).await?;
        if revoke {
            unit.keys().prune(Timestamp::from_micros(i64::MAX)).await?;
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

    fn new_key(&self, algorithm: SigningAlgorithm, now: Timestamp) -> Result<StoredKey, Fault> {
        new_key(&self.vault, self.entropy.as_ref(), algorithm, now)
    }

    fn key_info(&self, key: &StoredKey) -> KeyInfo {
        KeyInfo {
            kid: key.kid.clone(),
            algorithm: key.algorithm.clone(),
            created_at: Timestamp::from_micros(key.created_at),
            retired_at: key.retired_at.map(Timestamp::from_micros),
            verifies_until: verifies_until(key, &self.settings),
        }
    }
}

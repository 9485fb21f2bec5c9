//! The keys that sign access tokens and ID tokens.

use std::sync::PoisonError;
use std::time::Duration;

use tidegate_crypto::{RsaSize, SigningAlgorithm};
use tidegate_domain::{Secret, Timestamp};

use crate::fault::Fault;
use crate::node::keys::{names, new_key, new_rsa_key, open_ring, usable, verifies_until};
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
        infos.sort_by_key(|info| {
            (info.retired_at.is_some(), info.algorithm == SigningAlgorithm::Rs256.as_str())
        });
        Ok(infos)
    }

    /// Makes a new key that signs from now on. Older ones verify until the last token made with them expires. A key for RS256 takes the
    /// place of RSA keys alone, and others the place of the others.
    ///
    /// # Errors
    /// Only faults.
    pub async fn rotate_signing_key(&self, algorithm: SigningAlgorithm) -> Result<KeyInfo, Fault> {
        self.replace_signing_key(algorithm, false).await
    }

    /// The same, and tokens of the older keys fail at once: for a key that leaked. With a key of another kind than RSA, RSA keys go too:
    /// whoever had one had all. The next is made when it is needed.
    ///
    /// # Errors
    /// Only faults.
    pub async fn revoke_signing_keys(&self, algorithm: SigningAlgorithm) -> Result<KeyInfo, Fault> {
        self.replace_signing_key(algorithm, true).await
    }

    async fn replace_signing_key(&self, algorithm: SigningAlgorithm, revoke: bool) -> Result<KeyInfo, Fault> {
        let now = self.now();
        let stored = self.new_key(algorithm, now).await?;
        let is_rsa = !algorithm.signs_access_tokens();
        let mut unit = self.store.begin().await?;
        unit.keys().insert(&stored).await?;
        unit.keys().retire_others(&stored.kid, is_rsa, now).await?;
        if revoke {
            unit.keys().remove_others(&stored.kid, is_rsa).await?;
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
    /// The key for RS256 is made when it is first wanted: an installation that nobody asks for it never has one.
    ///
    /// # Errors
    /// Those of signing, and of the store where a key has to be made.
    pub async fn sign_id_token_for<T: serde::Serialize>(
        &self,
        algorithm: Option<SigningAlgorithm>,
        claims: &T,
    ) -> Result<Secret, Fault> {
        if algorithm != Some(SigningAlgorithm::Rs256) {
            return self.sign_id_token(claims);
        }
        self.ensure_rsa_key().await?;
        Ok(self.key_ring().sign_id_token_rs256(claims)?)
    }

    /// Makes the RSA key, where there is none. Of tasks that want it at once, one makes it. Nodes that do so at the same moment may make
    /// one each: both are published, and the newest signs.
    ///
    /// # Errors
    /// Those of the store, and of the library that makes it.
    pub async fn ensure_rsa_key(&self) -> Result<(), Fault> {
        if self.key_ring().has_rsa() {
            return Ok(());
        }
        let _making = self.rsa_making.lock().await;
        // Another node may have made it, or another task meanwhile.
        self.reload_signing_keys().await?;
        if self.key_ring().has_rsa() {
            return Ok(());
        }
        let stored = self.new_key(SigningAlgorithm::Rs256, self.now()).await?;
        let mut unit = self.store.begin().await?;
        unit.keys().insert(&stored).await?;
        unit.commit().await?;
        self.reload_signing_keys().await
    }

    async fn new_key(&self, algorithm: SigningAlgorithm, now: Timestamp) -> Result<StoredKey, Fault> {
        if algorithm.signs_access_tokens() {
            return new_key(&self.vault, self.entropy.as_ref(), algorithm, now);
        }
        let size =
            if self.settings.oauth.rules.long_rsa_keys { RsaSize::Bits3072 } else { RsaSize::Bits2048 };
        new_rsa_key(&self.vault, self.entropy.as_ref(), size, now).await
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

//! The keys that sign access tokens.

use std::sync::PoisonError;
use std::time::Duration;

use tidegate_crypto::{KeyRing, SigningAlgorithm, SigningKey, Vault};
use tidegate_database::Store;
use tidegate_domain::{Entropy, Timestamp};

use crate::fault::Fault;
use crate::tables::keys::StoredKey;
use crate::{Kernel, KernelTables, Settings};

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

    /// Reads the keys again, once a second at most: a token of an unknown key is a reason, and anybody can make one up.
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

/// The names of the keys in use and whether each signs: what tells one ring from the next.
pub(crate) type KeyNames = Vec<(String, bool)>;

/// The keys whose tokens still live, making the first key where there is none. Nodes that start together may make one
/// each; all of them verify, and the newest signs.
pub(crate) async fn first_ring(
    store: &Store,
    vault: &Vault,
    entropy: &dyn Entropy,
    settings: &Settings,
    now: Timestamp,
) -> Result<(KeyRing, KeyNames), Fault> {
    if store.read().await?.keys().all().await?.iter().all(|key| key.retired_at.is_some()) {
        let stored = new_key(vault, entropy, SigningAlgorithm::default(), now)?;
        let mut unit = store.begin().await?;
        unit.keys().insert(&stored).await?;
        unit.commit().await?;
    }
    let usable = usable(store, settings, now).await?;
    Ok((open_ring(&usable, vault)?, names(&usable)))
}

async fn usable(store: &Store, settings: &Settings, now: Timestamp) -> Result<Vec<StoredKey>, Fault> {
    let keys = store.read().await?.keys().all().await?;
    Ok(keys.into_iter().filter(|key| verifies_until(key, settings).is_none_or(|until| until > now)).collect())
}

fn verifies_until(key: &StoredKey, settings: &Settings) -> Option<Timestamp> {
    key.retired_at.map(|at| Timestamp::from_micros(at).plus(settings.longest_access_token))
}

fn names(keys: &[StoredKey]) -> KeyNames {
    keys.iter().map(|key| (key.kid.clone(), key.retired_at.is_none())).collect()
}

/// The newest key that was not retired signs; all verify.
fn open_ring(keys: &[StoredKey], vault: &Vault) -> Result<KeyRing, Fault> {
    let mut signing = None;
    let mut others = Vec::new();
    for key in keys {
        let algorithm = SigningAlgorithm::from_name(&key.algorithm)
            .ok_or_else(|| Fault::Internal(format!("signing key {} has an unknown algorithm", key.kid)))?;
        let created_at = Timestamp::from_micros(key.created_at);
        let opened = SigningKey::open(vault, &key.kid, algorithm, created_at, &key.sealed)?;
        if signing.is_none() && key.retired_at.is_none() {
            signing = Some(opened);
        } else {
            others.push(opened.verification_key().clone());
        }
    }
    let signing = signing.ok_or_else(|| Fault::Internal("there is no signing key".to_owned()))?;
    Ok(KeyRing::new(signing, others))
}

fn new_key(
    vault: &Vault,
    entropy: &dyn Entropy,
    algorithm: SigningAlgorithm,
    now: Timestamp,
) -> Result<StoredKey, Fault> {
    let key = SigningKey::generate(algorithm, now, entropy)?;
    Ok(StoredKey {
        kid: key.kid().to_owned(),
        algorithm: algorithm.as_str().to_owned(),
        sealed: key.seal(vault, entropy)?,
        created_at: now.micros(),
        retired_at: None,
    })
}

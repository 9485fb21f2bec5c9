//! The keys that sign and verify access tokens and ID tokens, as a node holds them.

use std::sync::Arc;

use tidegate_crypto::{KeyRing, RsaSize, SigningAlgorithm, SigningKey, Vault};
use tidegate_database::Store;
use tidegate_domain::{Entropy, Timestamp};

use crate::fault::Fault;
use crate::tables::keys::{KeyUse, StoredKey};
use crate::{KernelTables, Settings};

/// The keys in use, and what is published of them: asked for by every relying party, and the same for months.
pub(crate) struct Keys {
    pub(crate) ring: KeyRing,
    pub(crate) published: Arc<str>,
}

impl From<KeyRing> for Keys {
    fn from(ring: KeyRing) -> Self {
        let published = ring.jwks().to_string().into();
        Self { ring, published }
    }
}

/// The names of the keys in use and whether each signs: two rings differ if these differ.
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
    let signs = |key: &StoredKey| key.retired_at.is_none() && key.signs_access_tokens();
    if !store.read().await?.keys().all().await?.iter().any(signs) {
        let stored = new_key(vault, entropy, SigningAlgorithm::default(), KeyUse::AccessTokens, now)?;
        let mut unit = store.begin().await?;
        unit.keys().insert(&stored).await?;
        unit.commit().await?;
    }
    let usable = usable(store, settings, now).await?;
    Ok((open_ring(&usable, vault)?, names(&usable)))
}

pub(crate) async fn usable(
    store: &Store,
    settings: &Settings,
    now: Timestamp,
) -> Result<Vec<StoredKey>, Fault> {
    let keys = store.read().await?.keys().all().await?;
    Ok(keys.into_iter().filter(|key| verifies_until(key, settings).is_none_or(|until| until > now)).collect())
}

pub(crate) fn verifies_until(key: &StoredKey, settings: &Settings) -> Option<Timestamp> {
    key.retired_at.map(|at| Timestamp::from_micros(at).plus(settings.longest_access_token))
}

pub(crate) fn names(keys: &[StoredKey]) -> KeyNames {
    keys.iter().map(|key| (key.kid.clone(), key.retired_at.is_none())).collect()
}

/// The newest key that was not retired signs; all verify. Of those of ID tokens alone, the newest of each algorithm signs.
pub(crate) fn open_ring(keys: &[StoredKey], vault: &Vault) -> Result<KeyRing, Fault> {
    let mut signing: Option<SigningKey> = None;
    let mut beside: Vec<SigningKey> = Vec::new();
    let (mut others, mut retired) = (Vec::new(), Vec::new());
    for key in keys {
        let algorithm = SigningAlgorithm::from_name(&key.algorithm)
            .ok_or_else(|| Fault::Internal(format!("signing key {} has an unknown algorithm", key.kid)))?;
        let created_at = Timestamp::from_micros(key.created_at);
        let opened = SigningKey::open(vault, &key.kid, algorithm, created_at, &key.sealed)?;
        let signs = key.retired_at.is_none();
        match key.signs_access_tokens() {
            true if signs && signing.is_none() => signing = Some(opened),
            true => others.push(opened.verification_key().clone()),
            false if signs && beside.iter().all(|known| known.algorithm() != algorithm) => {
                beside.push(opened)
            }
            false => retired.push(opened.verification_key().clone()),
        }
    }
    let signing = signing.ok_or_else(|| Fault::Internal("there is no signing key".to_owned()))?;
    Ok(KeyRing::with_id_token_keys(signing, others, beside, retired))
}

pub(crate) fn new_key(
    vault: &Vault,
    entropy: &dyn Entropy,
    algorithm: SigningAlgorithm,
    signs: KeyUse,
    now: Timestamp,
) -> Result<StoredKey, Fault> {
    stored(&SigningKey::generate(algorithm, now, entropy)?, signs, vault, entropy)
}

/// A new RSA key, made on a thread where a tenth of a second of work keeps nobody waiting.
pub(crate) async fn new_rsa_key(
    vault: &Vault,
    entropy: &dyn Entropy,
    size: RsaSize,
    now: Timestamp,
) -> Result<StoredKey, Fault> {
    let made = tokio::task::spawn_blocking(move || SigningKey::generate_rsa(size, now)).await;
    let key = made.map_err(|error| Fault::Internal(format!("no RSA key could be made: {error}")))??;
    stored(&key, KeyUse::IdTokens, vault, entropy)
}

fn stored(key: &SigningKey, signs: KeyUse, vault: &Vault, entropy: &dyn Entropy) -> Result<StoredKey, Fault> {
    Ok(StoredKey {
        kid: key.kid().to_owned(),
        algorithm: key.algorithm().as_str().to_owned(),
        sealed: key.seal(vault, entropy)?,
        created_at: key.created_at().micros(),
        retired_at: None,
        id_tokens_only: signs == KeyUse::IdTokens,
    })
}

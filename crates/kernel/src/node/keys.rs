//! The keys that sign and verify access tokens and ID tokens, as a node holds them.

use std::sync::Arc;

use tidegate_crypto::{KeyRing, RsaSize, SigningAlgorithm, SigningKey, Vault};
use tidegate_database::Store;
use tidegate_domain::{Entropy, Timestamp};

use crate::fault::Fault;
use crate::tables::keys::StoredKey;
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
    let signs = |key: &StoredKey| key.retired_at.is_none() && signs_access_tokens(key);
    if !store.read().await?.keys().all().await?.iter().any(signs) {
        let stored = new_key(vault, entropy, SigningAlgorithm::default(), now)?;
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

/// Whether a key signs access tokens: all but those of RSA do.
pub(crate) fn signs_access_tokens(key: &StoredKey) -> bool {
    SigningAlgorithm::from_name(&key.algorithm).is_none_or(SigningAlgorithm::signs_access_tokens)
}

/// The newest key that was not retired signs; all verify. Of RSA keys, the newest signs the ID tokens of those who want RS256.
pub(crate) fn open_ring(keys: &[StoredKey], vault: &Vault) -> Result<KeyRing, Fault> {
    let mut signing = None;
    let mut rsa = None;
    let mut others = Vec::new();
    for key in keys {
        let algorithm = SigningAlgorithm::from_name(&key.algorithm)
            .ok_or_else(|| Fault::Internal(format!("signing key {} has an unknown algorithm", key.kid)))?;
        let created_at = Timestamp::from_micros(key.created_at);
        let opened = SigningKey::open(vault, &key.kid, algorithm, created_at, &key.sealed)?;
        let place = if algorithm.signs_access_tokens() { &mut signing } else { &mut rsa };
        if place.is_none() && key.retired_at.is_none() {
            *place = Some(opened);
        } else {
            others.push(opened.verification_key().clone());
        }
    }
    let signing = signing.ok_or_else(|| Fault::Internal("there is no signing key".to_owned()))?;
    Ok(KeyRing::with_rsa(signing, others, rsa))
}

pub(crate) fn new_key(
    vault: &Vault,
    entropy: &dyn Entropy,
    algorithm: SigningAlgorithm,
    now: Timestamp,
) -> Result<StoredKey, Fault> {
    stored(&SigningKey::generate(algorithm, now, entropy)?, vault, entropy)
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
    stored(&key, vault, entropy)
}

fn stored(key: &SigningKey, vault: &Vault, entropy: &dyn Entropy) -> Result<StoredKey, Fault> {
    Ok(StoredKey {
        kid: key.kid().to_owned(),
        algorithm: key.algorithm().as_str().to_owned(),
        sealed: key.seal(vault, entropy)?,
        created_at: key.created_at().micros(),
        retired_at: None,
    })
}

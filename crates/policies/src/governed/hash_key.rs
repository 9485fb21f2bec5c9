//! The key that an organization's values are hashed with: HMAC-SHA-256, since a plain hash of an identity number is a lookup table.

use std::sync::Arc;

use tidegate_database::{Result as Stored, Unit, execute, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::Fault;

use crate::Policies;

/// How long it is remembered; it never changes.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);

/// What the key is sealed for.
fn context(organization: OrganizationId) -> String {
    format!("hashes of masked values, {organization}")
}

async fn find(unit: &mut Unit, organization: OrganizationId) -> Stored<Option<Vec<u8>>> {
    let row = fetch_optional!(
        unit,
        (Vec<u8>,),
        "select sealed from policy_hash_keys where organization_id = $1",
        organization.0
    )?;
    Ok(row.map(|(sealed,)| sealed))
}

/// Adds it, unless another node did.
async fn insert(
    unit: &mut Unit,
    organization: OrganizationId,
    sealed: Vec<u8>,
    now: Timestamp,
) -> Stored<()> {
    execute!(
        unit,
        "insert into policy_hash_keys (organization_id, sealed, created_at) values ($1, $2, $3) on conflict do nothing",
        organization.0,
        sealed,
        now.micros(),
    )?;
    Ok(())
}

impl Policies {
    /// The organization's key, made when it is first needed.
    pub(crate) async fn hash_key(&self, organization: OrganizationId) -> Result<Arc<[u8; 32]>, Fault> {
        let (stamp, now) = (self.kernel.stamp(&[]), self.kernel.now());
        if let Some(known) = self.hash_keys.get(&organization, stamp, now, REMEMBERED) {
            return Ok(known);
        }
        let mut unit = self.kernel.store.read().await?;
        let mut found = find(&mut unit, organization).await?;
        drop(unit);
        let context = context(organization);
        if found.is_none() {
            let entropy = self.kernel.entropy.as_ref();
            let fresh: [u8; 32] = entropy.bytes();
            let sealed = self.kernel.vault.seal(&context, &fresh, entropy)?;
            let mut unit = self.kernel.store.begin().await?;
            insert(&mut unit, organization, sealed, now).await?;
            found = find(&mut unit, organization).await?;
            unit.commit().await?;
        }
        let sealed = found.ok_or_else(|| Fault::Internal("the key of masked values is gone".to_owned()))?;
        let opened = self.kernel.vault.open(&context, &sealed)?;
        let key: [u8; 32] = opened
            .as_slice()
            .try_into()
            .map_err(|_| Fault::Internal("the key of masked values is no key".to_owned()))?;
        let key = Arc::new(key);
        self.hash_keys.put(organization, Arc::clone(&key), stamp, now);
        Ok(key)
    }
}

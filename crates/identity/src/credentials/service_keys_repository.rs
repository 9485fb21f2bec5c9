//! Keys with which programs sign in: hashes only.

use sqlx::types::Json;
use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one, fetch_optional};
use tidegate_domain::id::{AccountId, MembershipId, OrganizationId, ServiceKeyId};
use tidegate_domain::{Document, Timestamp};
use uuid::Uuid;

/// Service keys of a unit of work.
pub struct ServiceKeys<'u>(pub(crate) &'u mut Unit);

/// A key of a program.
#[derive(Clone, Debug)]
pub struct ServiceKey {
    /// Key of the key.
    pub id: ServiceKeyId,
    /// Whose.
    pub account: AccountId,
    /// Free document.
    pub metadata: Document,
    /// Made.
    pub created_at: Timestamp,
    /// When it stops signing in; never when none.
    pub expires_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: Uuid,
    account_id: Uuid,
    metadata: Json<Document>,
    created_at: i64,
    expires_at: Option<i64>,
}

impl From<KeyRow> for ServiceKey {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id.into(),
            account: row.account_id.into(),
            metadata: row.metadata.0,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
        }
    }
}

impl ServiceKey {
    /// Whether it signs in.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

impl ServiceKeys<'_> {
    /// Adds a key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, key: &ServiceKey, hash: &[u8]) -> Result<()> {
        execute!(
            self.0,
            "insert into service_keys (id, account_id, key_hash, metadata, metadata_bytes, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
            key.id.0,
            key.account.0,
            hash,
            Json(&key.metadata),
            crate::organizations::quotas_repository::bytes(&key.metadata),
            key.created_at.micros(),
            key.expires_at.map(Timestamp::micros),
        )?;
        Ok(())
    }

    /// The account's key of that hash, which may have expired.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, account: AccountId, hash: &[u8]) -> Result<Option<ServiceKey>> {
        let row = fetch_optional!(
            self.0,
            KeyRow,
            "select id, account_id, metadata, created_at, expires_at from service_keys
             where account_id = $1 and key_hash = $2",
            account.0,
            hash,
        )?;
        Ok(row.map(ServiceKey::from))
    }

    /// Makes sure that a key is still there, until the unit ends: on PostgreSQL, its deletion waits for it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim(&mut self, id: ServiceKeyId) -> Result<bool> {
        let claimed = execute!(self.0, "update service_keys set key_hash = key_hash where id = $1", id.0)?;
        Ok(claimed == 1)
    }

    /// The keys of several accounts, oldest first: those of the organization's programs whose memberships lie between
    /// `first` and `last`, both included.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_members(
        &mut self,
        organization: OrganizationId,
        first: MembershipId,
        last: MembershipId,
    ) -> Result<Vec<ServiceKey>> {
        let rows = fetch_all!(
            self.0,
            KeyRow,
            "select k.id, k.account_id, k.metadata, k.created_at, k.expires_at
             from memberships m join service_keys k on k.account_id = m.account_id
             where m.organization_id = $1 and m.is_home and m.id >= $2 and m.id <= $3 order by k.created_at, k.id",
            organization.0,
            first.0,
            last.0,
        )?;
        Ok(rows.into_iter().map(ServiceKey::from).collect())
    }

    /// The keys of an account, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_account(&mut self, account: AccountId) -> Result<Vec<ServiceKey>> {
        let rows = fetch_all!(
            self.0,
            KeyRow,
            "select id, account_id, metadata, created_at, expires_at from service_keys
             where account_id = $1 order by created_at, id",
            account.0,
        )?;
        Ok(rows.into_iter().map(ServiceKey::from).collect())
    }

    /// How many keys an account has, expired ones included.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count(&mut self, account: AccountId) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from service_keys where account_id = $1",
            account.0,
        )?;
        Ok(count)
    }

    /// Whose key it is, if that program belongs to the organization. Another organization's key looks like none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn owner(
        &mut self,
        organization: OrganizationId,
        id: ServiceKeyId,
    ) -> Result<Option<AccountId>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select k.account_id from service_keys k join memberships m on m.account_id = k.account_id
             where k.id = $2 and m.organization_id = $1 and m.is_home",
            organization.0,
            id.0,
        )?;
        Ok(row.map(|(account,)| account.into()))
    }

    /// Removes a key. False when it is gone already.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove(&mut self, id: ServiceKeyId) -> Result<bool> {
        let removed = execute!(self.0, "delete from service_keys where id = $1", id.0)?;
        Ok(removed == 1)
    }
}

//! Initial access tokens in the store: hashes only.

use tidegate_crypto::TokenHash;
use tidegate_database::{Result, Unit, execute, fetch_all, fetch_optional, prune};
use tidegate_domain::Timestamp;
use tidegate_domain::id::OrganizationId;
use uuid::Uuid;

/// An initial access token, as an operator sees it.
#[derive(Clone, Debug)]
pub struct InitialToken {
    /// Its key.
    pub id: Uuid,
    /// Whose applications it registers.
    pub organization: OrganizationId,
    /// How many more.
    pub uses_left: i64,
    /// Made.
    pub created_at: Timestamp,
    /// Refused from then on.
    pub expires_at: Timestamp,
}

/// Initial access tokens of a unit of work.
pub struct RegistrationTokens<'u>(pub(crate) &'u mut Unit);

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    organization_id: Uuid,
    uses_left: i64,
    created_at: i64,
    expires_at: i64,
}

impl From<Row> for InitialToken {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            organization: row.organization_id.into(),
            uses_left: row.uses_left,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
        }
    }
}

impl RegistrationTokens<'_> {
    /// Adds one.
    pub(crate) async fn insert(&mut self, new: &InitialToken, hash: &TokenHash) -> Result<()> {
        execute!(
            self.0,
            "insert into oauth_registration_tokens (id, hash, organization_id, uses_left, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
            new.id,
            hash.as_bytes().to_vec(),
            new.organization.0,
            new.uses_left,
            new.created_at.micros(),
            new.expires_at.micros(),
        )?;
        Ok(())
    }

    /// Those that can still be used, newest first.
    pub(crate) async fn usable(&mut self, now: Timestamp, at_most: i64) -> Result<Vec<InitialToken>> {
        let rows = fetch_all!(
            self.0,
            Row,
            "select id, organization_id, uses_left, created_at, expires_at from oauth_registration_tokens
             where expires_at > $1 and uses_left > 0 order by created_at desc, id limit $2",
            now.micros(),
            at_most,
        )?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Uses one up by one; answers whose applications it registers. Of any number who do so at once, as many do as it has uses left.
    pub(crate) async fn use_up(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<OrganizationId>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "update oauth_registration_tokens set uses_left = uses_left - 1
             where hash = $1 and uses_left > 0 and expires_at > $2 returning organization_id",
            hash.as_bytes().to_vec(),
            now.micros(),
        )?;
        Ok(row.map(|(id,)| id.into()))
    }

    /// Removes one.
    pub(crate) async fn delete(&mut self, id: Uuid) -> Result<bool> {
        Ok(execute!(self.0, "delete from oauth_registration_tokens where id = $1", id)? == 1)
    }

    /// Removes at most so many that have expired or are used up.
    pub(crate) async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "oauth_registration_tokens",
            "id",
            "where expires_at < $1 or uses_left <= 0 order by id limit $2",
            now.micros(),
            at_most,
        )
    }
}

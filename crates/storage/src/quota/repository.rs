//! What organizations keep, in the store of rows.

use tidegate_database::{Result, Unit, execute, fetch_one, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::id::OrganizationId;

/// What organizations keep, of a unit of work.
pub struct StorageUsage<'u>(pub(crate) &'u mut Unit);

/// An organization, and what it keeps.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct OrganizationUsage {
    pub(crate) number: i64,
    pub(crate) plan: String,
    pub(crate) created_at: i64,
    /// What an operator allows it. None: what its plan does.
    pub(crate) limit_bytes: Option<i64>,
    pub(crate) used_bytes: i64,
}

impl StorageUsage<'_> {
    /// An organization, and what it keeps.
    pub(crate) async fn organization(&mut self, id: OrganizationId) -> Result<Option<OrganizationUsage>> {
        fetch_optional!(
            self.0,
            OrganizationUsage,
            "select o.number, o.plan, o.created_at, u.limit_bytes, coalesce(u.used_bytes, 0) as used_bytes
             from organizations o left join storage_usage u on u.organization_id = o.id where o.id = $1",
            id.0,
        )
    }

    /// Makes the organization's row, where there is none.
    async fn ensure(&mut self, id: OrganizationId, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "insert into storage_usage (organization_id, used_bytes, updated_at) values ($1, 0, $2)
             on conflict (organization_id) do nothing",
            id.0,
            now.micros(),
        )?;
        Ok(())
    }

    /// Takes bytes of the organization's, if it then keeps no more than it may: `by_plan`, unless an operator says otherwise. Others wait
    /// for the end of this unit. False when they do not fit.
    pub(crate) async fn take(
        &mut self,
        id: OrganizationId,
        bytes: i64,
        by_plan: i64,
        now: Timestamp,
    ) -> Result<bool> {
        self.ensure(id, now).await?;
        let changed = execute!(
            self.0,
            "update storage_usage set used_bytes = used_bytes + $2, updated_at = $4
             where organization_id = $1 and used_bytes + $2 <= coalesce(limit_bytes, $3)",
            id.0,
            bytes,
            by_plan,
            now.micros(),
        )?;
        Ok(changed == 1)
    }

    /// Counts bytes that are there already, whether they fit or not; gives them back where they are less than nothing.
    pub(crate) async fn add(&mut self, id: OrganizationId, bytes: i64, now: Timestamp) -> Result<()> {
        self.ensure(id, now).await?;
        execute!(
            self.0,
            "update storage_usage set used_bytes = used_bytes + $2, updated_at = $3 where organization_id = $1",
            id.0,
            bytes,
            now.micros(),
        )?;
        Ok(())
    }

    /// Sets what an operator allows it.
    pub(crate) async fn set_limit(
        &mut self,
        id: OrganizationId,
        limit: Option<i64>,
        now: Timestamp,
    ) -> Result<()> {
        self.ensure(id, now).await?;
        execute!(
            self.0,
            "update storage_usage set limit_bytes = $2, updated_at = $3 where organization_id = $1",
            id.0,
            limit,
            now.micros(),
        )?;
        Ok(())
    }

    /// How many files it has stored.
    pub(crate) async fn count_files(&mut self, id: OrganizationId) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from storage_files where organization_id = $1 and state = 'stored'",
            id.0,
        )?;
        Ok(count)
    }
}

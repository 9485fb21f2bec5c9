//! Deleted data sources in the store.

use tidegate_database::{Result, execute, fetch_all, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, DataSourceId, OrganizationId};
use uuid::Uuid;

use super::repository::Sources;
use super::row::{Row, select};
use super::source::DataSource;

impl Sources<'_> {
    /// The deleted one of that number: for the operator.
    pub(super) async fn deleted(&mut self, number: i64) -> Result<Option<DataSource>> {
        let row = fetch_optional!(
            self.0,
            Row,
            select!("where s.number = $1 and s.deleted_at is not null"),
            number
        )?;
        row.map(Row::read).transpose()
    }

    /// Restores a deleted one, which is to be tested then.
    pub(super) async fn restore(&mut self, source: &DataSource, slug: &str, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update data_sources set deleted_at = null, purge_at = null, slug = $2, status = 'testing', failure_count = 0,
                failure_reason = null, version = version + 1, updated_at = $3
             where id = $1",
            source.id.0,
            slug,
            now.micros(),
        )?;
        self.touch(source.organization);
        Ok(())
    }

    /// The keys of all of the organizations that an account owns, deleted ones included.
    pub(crate) async fn of_owner(&mut self, account: AccountId) -> Result<Vec<DataSourceId>> {
        let rows = fetch_all!(
            self.0,
            (Uuid,),
            "select id from data_sources where organization_id in
                (select organization_id from memberships where account_id = $1 and role = 'owner')",
            account.0,
        )?;
        Ok(rows.into_iter().map(|(id,)| id.into()).collect())
    }

    /// Deletes one, so that it can be restored until `purge_at`.
    pub(super) async fn delete(
        &mut self,
        source: &DataSource,
        account: Option<i64>,
        now: Timestamp,
        purge_at: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update data_sources set deleted_at = $2, purge_at = $3, version = version + 1, status = 'inactive',
                updated_at = $2, updated_by = case when $4 is null then updated_by else $4 end
             where id = $1",
            source.id.0,
            now.micros(),
            purge_at.micros(),
            account,
        )?;
        self.touch(source.organization);
        Ok(())
    }

    /// Has the oldest deleted ones of an organization removed for good, all but so many: who makes and deletes without end fills nothing.
    pub(super) async fn purge_beyond(
        &mut self,
        organization: OrganizationId,
        kept: i64,
        now: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update data_sources set purge_at = $2 where organization_id = $1 and deleted_at is not null and number not in
                (select number from data_sources where organization_id = $1 and deleted_at is not null
                 order by deleted_at desc, number desc limit $3)",
            organization.0,
            now.micros(),
            kept,
        )?;
        Ok(())
    }

    /// Removes one for good, with all that is known of it.
    pub(crate) async fn remove(&mut self, id: DataSourceId) -> Result<bool> {
        execute!(self.0, "delete from data_schemas where source_id = $1", id.0)?;
        execute!(self.0, "delete from data_source_checks where source_id = $1", id.0)?;
        execute!(self.0, "update data_generations set retired_at = created_at where source_id = $1", id.0,)?;
        let removed = fetch_optional!(
            self.0,
            (Uuid,),
            "delete from data_sources where id = $1 returning organization_id",
            id.0,
        )?;
        let Some((organization,)) = removed else { return Ok(false) };
        self.touch(organization.into());
        Ok(true)
    }

    /// Removes deleted ones whose time is over.
    pub(crate) async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        let rows = fetch_all!(
            self.0,
            (Uuid,),
            "select id from data_sources where purge_at <= $1 order by purge_at limit $2",
            now.micros(),
            at_most,
        )?;
        let mut removed = 0;
        for (id,) in rows {
            removed += u64::from(self.remove(id.into()).await?);
        }
        Ok(removed)
    }
}

//! Assignments of policies in the store.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one, fetch_optional};
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::{Document, Timestamp};
use uuid::Uuid;

use super::policy::{StoredAssignment, Targets};
use super::repository::document;

/// Assignments of a unit of work.
pub struct Assignments<'u>(pub(crate) &'u mut Unit);

#[derive(sqlx::FromRow)]
struct Row {
    number: i64,
    policy_number: i64,
    data_source_id: Option<i64>,
    dataset_id: Option<i64>,
    query_id: Option<i64>,
    role_id: Option<i64>,
    user_id: Option<i64>,
    workspace_id: Option<i64>,
    group_name: Option<String>,
    is_active: bool,
    metadata: String,
    applied_at: i64,
    applied_by: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select a.number, p.number as policy_number, a.data_source_id, a.dataset_id, a.query_id, a.role_id, a.user_id,
                a.workspace_id, a.group_name, a.is_active, a.metadata, a.applied_at, a.applied_by
             from policy_assignments a join policies p on p.id = a.policy_id ",
            $rest
        )
    };
}

impl Row {
    fn read(self) -> Result<StoredAssignment> {
        Ok(StoredAssignment {
            number: self.number,
            policy: self.policy_number,
            targets: Targets {
                data_source: self.data_source_id,
                dataset: self.dataset_id,
                query: self.query_id,
                role: self.role_id,
                user: self.user_id,
                workspace: self.workspace_id,
                group: self.group_name,
            },
            is_active: self.is_active,
            metadata: document(&self.metadata, "policy_assignments.metadata")?,
            applied_at: Timestamp::from_micros(self.applied_at),
            applied_by: self.applied_by,
        })
    }
}

impl Assignments<'_> {
    /// Adds one; answers its number.
    pub(crate) async fn insert(
        &mut self,
        policy: Uuid,
        targets: &Targets,
        is_active: bool,
        metadata: &Document,
        account: i64,
        now: Timestamp,
    ) -> Result<i64> {
        let (number,) = fetch_one!(
            self.0,
            (i64,),
            "insert into policy_assignments (policy_id, data_source_id, dataset_id, query_id, role_id, user_id,
                workspace_id, group_name, is_active, metadata, applied_at, applied_by)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning number",
            policy,
            targets.data_source,
            targets.dataset,
            targets.query,
            targets.role,
            targets.user,
            targets.workspace,
            targets.group.as_deref(),
            is_active,
            metadata.as_str(),
            now.micros(),
            account,
        )?;
        Ok(number)
    }

    /// Those of a policy.
    pub(crate) async fn of(&mut self, policy: Uuid) -> Result<Vec<StoredAssignment>> {
        let rows = fetch_all!(self.0, Row, select!("where a.policy_id = $1 order by a.number"), policy)?;
        rows.into_iter().map(Row::read).collect()
    }

    /// The one of a policy that has that number.
    pub(crate) async fn find(&mut self, policy: Uuid, number: i64) -> Result<Option<StoredAssignment>> {
        let row = fetch_optional!(
            self.0,
            Row,
            select!("where a.policy_id = $1 and a.number = $2"),
            policy,
            number
        )?;
        row.map(Row::read).transpose()
    }

    /// How many the policies of an organization have. Those of deleted ones do not count.
    pub(crate) async fn count(&mut self, organization: OrganizationId) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from policy_assignments a join policies p on p.id = a.policy_id
             where p.organization_id = $1 and p.deleted_at is null",
            organization.0,
        )?;
        Ok(count)
    }

    /// Those of all active policies of an organization, inactive ones too, without their metadata, which decide nothing.
    pub(crate) async fn of_organization(
        &mut self,
        organization: OrganizationId,
    ) -> Result<Vec<StoredAssignment>> {
        let rows = fetch_all!(
            self.0,
            Row,
            "select a.number, p.number as policy_number, a.data_source_id, a.dataset_id, a.query_id, a.role_id, a.user_id,
                a.workspace_id, a.group_name, a.is_active, '{}' as metadata, a.applied_at, a.applied_by
             from policy_assignments a join policies p on p.id = a.policy_id
             where p.organization_id = $1 and p.deleted_at is null and p.is_active = $2 order by a.number",
            organization.0,
            true,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Removes one of a policy.
    pub(crate) async fn remove(&mut self, policy: Uuid, number: i64) -> Result<()> {
        execute!(
            self.0,
            "delete from policy_assignments where policy_id = $1 and number = $2",
            policy,
            number
        )?;
        Ok(())
    }

    /// Organizations in which a person is named.
    pub(crate) async fn organizations_naming(&mut self, account: AccountId) -> Result<Vec<OrganizationId>> {
        let rows = fetch_all!(
            self.0,
            (Uuid,),
            "select distinct p.organization_id from policy_assignments a join policies p on p.id = a.policy_id
             where a.user_id = (select number from accounts where id = $1)",
            account.0,
        )?;
        Ok(rows.into_iter().map(|(id,)| id.into()).collect())
    }

    /// Has assignments to a person that goes match nobody any more. The rows stay: without its last one a policy would hold in its
    /// whole workspace.
    pub(crate) async fn forget(&mut self, account: AccountId) -> Result<()> {
        execute!(
            self.0,
            "update policy_assignments set is_active = $2 where user_id = (select number from accounts where id = $1)",
            account.0,
            false,
        )?;
        Ok(())
    }
}

//! Policies in the store.

use tidegate_database::{Result, StoreError, Unit, execute, fetch_all, fetch_one, fetch_optional, lock_row};
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::{Document, Timestamp};
use tidegate_kernel::changes;
use tidegate_policy::PolicyType;
use uuid::Uuid;

use super::find::Listing;
use super::policy::{NewPolicy, PolicyRecord};

/// Policies of a unit of work.
pub struct PolicyRows<'u>(pub(crate) &'u mut Unit);

#[derive(sqlx::FromRow)]
struct Row {
    number: i64,
    id: Uuid,
    organization_id: Uuid,
    organization_number: i64,
    workspace_number: Option<i64>,
    name: String,
    description: Option<String>,
    kind: String,
    is_active: bool,
    priority: i64,
    metadata: String,
    version: i64,
    created_by: i64,
    updated_by: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

/// Selects whole rows.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select p.number, p.id, p.organization_id, o.number as organization_number, w.number as workspace_number,
                p.name, p.description, p.kind, p.is_active, p.priority, p.metadata, p.version, p.created_by, p.updated_by,
                p.created_at, p.updated_at
             from policies p join organizations o on o.id = p.organization_id
                left join workspaces w on w.id = p.workspace_id ",
            $rest
        )
    };
}

/// What a list is narrowed to: `$1` to `$5` are organization, workspace, type, state and pattern, null for any.
macro_rules! filtered {
    () => {
        "where p.organization_id = $1 and p.deleted_at is null and ($2 is null or w.number = $2)
            and ($3 is null or p.kind = $3) and ($4 is null or p.is_active = $4)
            and ($5 is null or p.search_text like $5 escape '\\') "
    };
}

impl Row {
    fn read(self) -> Result<PolicyRecord> {
        Ok(PolicyRecord {
            id: self.id,
            number: self.number,
            organization: self.organization_id.into(),
            organization_number: self.organization_number,
            workspace: self.workspace_number,
            name: self.name,
            description: self.description,
            kind: PolicyType::from_name(&self.kind).ok_or(StoreError::Unreadable("policies.kind"))?,
            is_active: self.is_active,
            priority: self.priority,
            metadata: document(&self.metadata, "policies.metadata")?,
            version: self.version,
            created_by: self.created_by,
            updated_by: self.updated_by,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

/// A stored free document.
pub(crate) fn document(text: &str, column: &'static str) -> Result<Document> {
    Document::parse(text).map_err(|_| StoreError::Unreadable(column))
}

/// What is searched.
fn search_text(name: &str, description: Option<&str>) -> String {
    format!("{name}\n{}", description.unwrap_or_default()).to_lowercase()
}

/// A pattern of LIKE that finds `text` anywhere; `\` is its escape.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

impl PolicyRows<'_> {
    /// Keeps other changes of the organization's policies waiting until the unit ends.
    pub(crate) async fn lock(&mut self, organization: OrganizationId) -> Result<()> {
        lock_row!(self.0, "organizations", organization.0)
    }

    /// Has every node read the organization's policies again once the unit is committed.
    pub(crate) fn touch(&mut self, organization: OrganizationId) {
        self.0.note(changes::policies(organization));
    }

    /// The key of the organization's workspace of that number.
    pub(crate) async fn workspace(
        &mut self,
        organization: OrganizationId,
        number: i64,
    ) -> Result<Option<Uuid>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select id from workspaces where organization_id = $1 and number = $2",
            organization.0,
            number,
        )?;
        Ok(row.map(|(id,)| id))
    }

    /// Whether the organization has another workspace than that.
    pub(crate) async fn has_other_workspace(
        &mut self,
        organization: OrganizationId,
        number: i64,
    ) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select number from workspaces where organization_id = $1 and number <> $2 limit 1",
            organization.0,
            number,
        )?;
        Ok(row.is_some())
    }

    /// Whether the account of that number is a member of the organization.
    pub(crate) async fn has_member(&mut self, organization: OrganizationId, account: i64) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select a.number from accounts a join memberships m on m.account_id = a.id
             where m.organization_id = $1 and a.number = $2",
            organization.0,
            account,
        )?;
        Ok(row.is_some())
    }

    /// The key of the member of that number.
    pub(crate) async fn member(
        &mut self,
        organization: OrganizationId,
        account: i64,
    ) -> Result<Option<AccountId>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select a.id from accounts a join memberships m on m.account_id = a.id
             where m.organization_id = $1 and a.number = $2",
            organization.0,
            account,
        )?;
        Ok(row.map(|(id,)| id.into()))
    }

    /// Adds one.
    pub(crate) async fn insert(
        &mut self,
        id: Uuid,
        organization: OrganizationId,
        workspace: Option<Uuid>,
        new: &NewPolicy,
        account: i64,
        now: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "insert into policies (id, organization_id, workspace_id, name, description, kind, is_active, priority,
                metadata, search_text, version, created_by, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $12, $12)",
            id,
            organization.0,
            workspace,
            new.name.as_str(),
            new.description.as_deref(),
            new.kind.as_str(),
            new.is_active,
            new.priority,
            new.metadata.as_str(),
            search_text(&new.name, new.description.as_deref()),
            account,
            now.micros(),
        )?;
        self.touch(organization);
        Ok(())
    }

    /// How many the organization has.
    pub(crate) async fn count(&mut self, organization: OrganizationId) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from policies where organization_id = $1 and deleted_at is null",
            organization.0,
        )?;
        Ok(count)
    }

    /// The one of that number.
    pub(crate) async fn find(
        &mut self,
        organization: OrganizationId,
        number: i64,
    ) -> Result<Option<PolicyRecord>> {
        let row = fetch_optional!(
            self.0,
            Row,
            select!("where p.organization_id = $1 and p.number = $2 and p.deleted_at is null"),
            organization.0,
            number,
        )?;
        row.map(Row::read).transpose()
    }

    /// The one of that key.
    pub(crate) async fn of_key(&mut self, id: Uuid) -> Result<Option<PolicyRecord>> {
        let row = fetch_optional!(self.0, Row, select!("where p.id = $1 and p.deleted_at is null"), id)?;
        row.map(Row::read).transpose()
    }

    /// A page of those listed.
    pub(crate) async fn page(
        &mut self,
        organization: OrganizationId,
        listing: &Listing,
    ) -> Result<Vec<PolicyRecord>> {
        let rows = fetch_all!(
            self.0,
            Row,
            concat!(
                select!(""),
                filtered!(),
                "order by p.priority desc, p.created_at desc, p.number desc limit $6 offset $7"
            ),
            organization.0,
            listing.workspace,
            listing.kind.map(PolicyType::as_str),
            listing.is_active,
            listing.search.as_deref().map(containing),
            listing.page_size,
            listing.skipped(),
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// How many there are in all pages.
    pub(crate) async fn count_listed(
        &mut self,
        organization: OrganizationId,
        listing: &Listing,
    ) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            concat!(
                "select count(*) from policies p left join workspaces w on w.id = p.workspace_id ",
                filtered!()
            ),
            organization.0,
            listing.workspace,
            listing.kind.map(PolicyType::as_str),
            listing.is_active,
            listing.search.as_deref().map(containing),
        )?;
        Ok(count)
    }

    /// All active ones of the organization, to be enforced: without what is for people.
    pub(crate) async fn active(&mut self, organization: OrganizationId) -> Result<Vec<PolicyRecord>> {
        let rows = fetch_all!(
            self.0,
            Row,
            "select p.number, p.id, p.organization_id, o.number as organization_number, w.number as workspace_number,
                p.name, null as description, p.kind, p.is_active, p.priority, '{}' as metadata, p.version, p.created_by,
                p.updated_by, p.created_at, p.updated_at
             from policies p join organizations o on o.id = p.organization_id
                left join workspaces w on w.id = p.workspace_id
             where p.organization_id = $1 and p.deleted_at is null and p.is_active = $2 order by p.number",
            organization.0,
            true,
        )?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Numbers and versions of the active ones, by number.
    pub(crate) async fn active_versions(&mut self, organization: OrganizationId) -> Result<Vec<(i64, i64)>> {
        fetch_all!(
            self.0,
            (i64, i64),
            "select number, version from policies
             where organization_id = $1 and deleted_at is null and is_active = $2 order by number",
            organization.0,
            true,
        )
    }

    /// By type how many there are, and how many of them are active.
    pub(crate) async fn totals(
        &mut self,
        organization: OrganizationId,
        workspace: Option<i64>,
    ) -> Result<Vec<(String, i64, i64)>> {
        fetch_all!(
            self.0,
            (String, i64, i64),
            "select p.kind, count(*), count(case when p.is_active then 1 end)
             from policies p left join workspaces w on w.id = p.workspace_id
             where p.organization_id = $1 and p.deleted_at is null and ($2 is null or w.number = $2) group by p.kind",
            organization.0,
            workspace,
        )
    }

    /// Writes what can be changed of one, which is of a new version then.
    pub(crate) async fn change(&mut self, policy: &PolicyRecord, account: i64, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update policies set name = $2, description = $3, is_active = $4, priority = $5, metadata = $6,
                search_text = $7, version = version + 1, updated_by = $8, updated_at = $9
             where id = $1",
            policy.id,
            policy.name.as_str(),
            policy.description.as_deref(),
            policy.is_active,
            policy.priority,
            policy.metadata.as_str(),
            search_text(&policy.name, policy.description.as_deref()),
            account,
            now.micros(),
        )?;
        self.touch(policy.organization);
        Ok(())
    }

    /// Deletes one; its row is kept for a while.
    pub(crate) async fn delete(&mut self, policy: &PolicyRecord, account: i64, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update policies set deleted_at = $2, version = version + 1, updated_by = $3, updated_at = $2 where id = $1",
            policy.id,
            now.micros(),
            account,
        )?;
        self.touch(policy.organization);
        Ok(())
    }

    /// Removes for good, of the deleted ones of an organization, some beyond the latest `keep`.
    pub(crate) async fn remove_deleted(&mut self, organization: OrganizationId, keep: i64) -> Result<()> {
        let rows = fetch_all!(
            self.0,
            (Uuid,),
            "select id from policies where organization_id = $1 and deleted_at is not null
             order by deleted_at desc, number desc limit 20 offset $2",
            organization.0,
            keep,
        )?;
        // The oldest first, as they are pruned: neither then waits for the other while the other waits for it.
        for (id,) in rows.into_iter().rev() {
            self.remove(id).await?;
        }
        Ok(())
    }

    /// The keys of all of the organizations that an account owns, deleted ones included, with their organizations.
    pub(crate) async fn of_owner(&mut self, account: AccountId) -> Result<Vec<(Uuid, Uuid)>> {
        fetch_all!(
            self.0,
            (Uuid, Uuid),
            "select id, organization_id from policies where organization_id in
                (select organization_id from memberships where account_id = $1 and role = 'owner')",
            account.0,
        )
    }

    /// Removes one for good.
    pub(crate) async fn remove(&mut self, id: Uuid) -> Result<()> {
        execute!(self.0, "delete from policy_rules where policy_id = $1", id)?;
        execute!(self.0, "delete from policy_assignments where policy_id = $1", id)?;
        execute!(self.0, "delete from policies where id = $1", id)?;
        Ok(())
    }

    /// Removes some that were deleted before then; answers how many.
    pub(crate) async fn prune(&mut self, deleted: Timestamp, at_most: i64) -> Result<u64> {
        let rows = fetch_all!(
            self.0,
            (Uuid,),
            "select id from policies where deleted_at < $1 order by deleted_at limit $2",
            deleted.micros(),
            at_most,
        )?;
        let mut removed = 0;
        for (id,) in rows {
            self.remove(id).await?;
            removed += 1;
        }
        Ok(removed)
    }
}

//! Organizations, their roles and workspaces, and who is a member.

use std::time::Duration;

use sqlx::types::Json;
use tidegate_database::{
    Result, Unit, execute, fetch_all, fetch_one, fetch_optional, put_off, put_off_rows, rows,
};
use tidegate_domain::account::{MemberOrganization, Workspace};
use tidegate_domain::id::{AccountId, MembershipId, OrganizationId, WorkspaceId};
use tidegate_domain::{Document, Role, Timestamp};
use tidegate_kernel::KernelTables;
use tidegate_kernel::issue::SignInTarget;
use tidegate_kernel::tables::role;
use uuid::Uuid;

/// The source of memberships that a manager made.
pub(crate) const MANAGED: &str = "managed";

/// Organizations of a unit of work.
pub struct Organizations<'u>(pub(crate) &'u mut Unit);

/// A new organization.
#[derive(Clone, Copy, Debug)]
pub struct NewOrganization<'a> {
    /// Key.
    pub id: OrganizationId,
    /// Name.
    pub name: &'a str,
    /// Domain part of the founder's e-mail address.
    pub domain: &'a str,
    /// Plan.
    pub plan: &'a str,
    /// Now.
    pub created_at: Timestamp,
}

/// A new workspace.
#[derive(Clone, Copy, Debug)]
pub struct NewWorkspace<'a> {
    /// Key.
    pub id: WorkspaceId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Name.
    pub name: &'a str,
    /// Name in URLs.
    pub slug: &'a str,
    /// Whether members land there.
    pub is_default: bool,
    /// Now.
    pub created_at: Timestamp,
}

/// A new membership.
#[derive(Clone, Copy, Debug)]
pub struct NewMembership<'a> {
    /// Key.
    pub id: MembershipId,
    /// Who.
    pub account: AccountId,
    /// Where.
    pub organization: OrganizationId,
    /// As what.
    pub role: Role,
    /// How they came: `signup`, `provisioned`, `managed`.
    pub source: &'a str,
    /// Whether the organization's managers look after the account.
    pub is_home: bool,
    /// Now.
    pub joined_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct MemberRow {
    id: Uuid,
    number: i64,
    name: String,
    domain: String,
    plan: String,
    role: String,
    joined_at: i64,
    source: String,
}

#[derive(sqlx::FromRow)]
struct WorkspaceRow {
    id: Uuid,
    number: i64,
    organization_id: Uuid,
    name: String,
    slug: String,
    is_default: bool,
    created_at: i64,
}

impl From<WorkspaceRow> for Workspace {
    fn from(row: WorkspaceRow) -> Self {
        Self {
            id: row.id.into(),
            number: row.number,
            organization: row.organization_id.into(),
            name: row.name,
            slug: row.slug,
            is_default: row.is_default,
            created_at: Timestamp::from_micros(row.created_at),
        }
    }
}

/// An organization with all that everybody's own has.
#[derive(Clone, Copy, Debug)]
pub struct PersonalOrganization<'a> {
    /// The organization itself.
    pub organization: NewOrganization<'a>,
    /// Its workspace.
    pub workspace: NewWorkspace<'a>,
    /// The roles its members can be given, each with its key.
    pub roles: [(Uuid, &'static str); 3],
    /// Its owner, who has access to the workspace.
    pub owner: NewMembership<'a>,
}

impl NewMembership<'_> {
    /// What a manager made is an invitation until it is accepted.
    fn accepted_at(&self) -> Option<i64> {
        (self.source != MANAGED).then(|| self.joined_at.micros())
    }
}

impl Organizations<'_> {
    /// Adds a person's own organization, in one trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert_personal(&mut self, new: PersonalOrganization<'_>) -> Result<()> {
        let PersonalOrganization { organization, workspace, roles, owner } = new;
        put_off!(
            self.0,
            "insert into organizations (id, name, domain, plan, settings, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $6)",
            organization.id.0,
            organization.name,
            organization.domain,
            organization.plan,
            Json(Document::default()),
            organization.created_at.micros(),
        )?;
        put_off!(
            self.0,
            "insert into workspaces (id, organization_id, name, slug, is_default, created_at)
             values ($1, $2, $3, $4, $5, $6)",
            workspace.id.0,
            organization.id.0,
            workspace.name,
            workspace.slug,
            workspace.is_default,
            workspace.created_at.micros(),
        )?;
        put_off_rows!(
            self.0,
            &rows("insert into roles (organization_id, id, name) values", 0, 3, roles.len(), ""),
            [],
            &roles,
            (id, name) => [organization.id.0, *id, *name],
        )?;
        put_off!(
            self.0,
            "insert into memberships (id, account_id, organization_id, role, source, is_home, joined_at, accepted_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            owner.id.0,
            owner.account.0,
            organization.id.0,
            owner.role.as_str(),
            owner.source,
            owner.is_home,
            owner.joined_at.micros(),
            owner.accepted_at(),
        )?;
        put_off!(
            self.0,
            "insert into membership_workspaces (membership_id, workspace_id) values ($1, $2)",
            owner.id.0,
            workspace.id.0,
        )?;
        self.0.touch_account(owner.account);
        Ok(())
    }

    /// Adds a member, with access to `workspace`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert_membership(&mut self, new: NewMembership<'_>, workspace: WorkspaceId) -> Result<()> {
        execute!(
            self.0,
            "insert into memberships (id, account_id, organization_id, role, source, is_home, joined_at, accepted_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            new.id.0,
            new.account.0,
            new.organization.0,
            new.role.as_str(),
            new.source,
            new.is_home,
            new.joined_at.micros(),
            new.accepted_at(),
        )?;
        execute!(
            self.0,
            "insert into membership_workspaces (membership_id, workspace_id) values ($1, $2)",
            new.id.0,
            workspace.0,
        )?;
        self.0.touch_account(new.account);
        Ok(())
    }

    /// Where a member lands: the workspace of that number if they may enter it, else the default workspace of the
    /// organization that is their home, or of the one they joined first. None when they may not, or are a member of nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sign_in_target(
        &mut self,
        account: AccountId,
        workspace: Option<i64>,
    ) -> Result<Option<SignInTarget>> {
        let row = fetch_optional!(
            self.0,
            (Uuid, Option<Uuid>, String),
            "select m.organization_id, w.id, m.role
             from memberships m
             left join membership_workspaces mw on mw.membership_id = m.id
             left join workspaces w on w.id = mw.workspace_id
             where m.account_id = $1 and (w.number = $2 or $2 = 0)
             order by m.is_home desc, m.joined_at, m.id, w.is_default desc, w.number limit 1",
            account.0,
            // Numbers begin at 1; 0 means "any".
            workspace.map_or(0, |number| if number == 0 { -1 } else { number }),
        )?;
        row.map(|(organization, workspace, name)| {
            Ok(SignInTarget {
                organization: organization.into(),
                workspace: workspace.map(WorkspaceId),
                role: role(&name)?,
            })
        })
        .transpose()
    }

    /// The workspace members of an organization land in.
    ///
    /// # Errors
    /// Those of the database; also when the organization is gone.
    pub async fn default_workspace(&mut self, organization: OrganizationId) -> Result<WorkspaceId> {
        let (id,) = fetch_one!(
            self.0,
            (Uuid,),
            "select id from workspaces where organization_id = $1 order by is_default desc, number limit 1",
            organization.0,
        )?;
        Ok(id.into())
    }

    /// An organization's free document. None when there is no such organization.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn metadata(&mut self, organization: OrganizationId) -> Result<Option<Document>> {
        let row = fetch_optional!(
            self.0,
            (Json<Document>,),
            "select metadata from organizations where id = $1",
            organization.0,
        )?;
        Ok(row.map(|(metadata,)| metadata.0))
    }

    /// Replaces an organization's free document.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn set_metadata(
        &mut self,
        organization: OrganizationId,
        metadata: &Document,
        now: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update organizations set metadata = $2, metadata_bytes = $3, updated_at = $4 where id = $1",
            organization.0,
            Json(metadata),
            crate::organizations::quotas_repository::bytes(metadata),
            now.micros(),
        )?;
        Ok(())
    }

    /// Locks an organization's row for the rest of the unit, so that two changes of it follow one another. False when
    /// there is none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock(&mut self, organization: OrganizationId) -> Result<bool> {
        let locked = execute!(
            self.0,
            "update organizations set updated_at = updated_at where id = $1",
            organization.0,
        )?;
        Ok(locked == 1)
    }

    /// Who owns an organization.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn owner(&mut self, organization: OrganizationId) -> Result<Option<AccountId>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select account_id from memberships where organization_id = $1 and role = 'owner'",
            organization.0,
        )?;
        Ok(row.map(|(account,)| account.into()))
    }

    /// For how long a token lives at most that a member makes for the organization. None where it says nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn access_token_lifetime(&mut self, organization: OrganizationId) -> Result<Option<Duration>> {
        let row = fetch_optional!(
            self.0,
            (Option<i64>,),
            "select access_token_expire_minutes from organizations where id = $1",
            organization.0,
        )?;
        let minutes = row.and_then(|(minutes,)| minutes).and_then(|minutes| u64::try_from(minutes).ok());
        Ok(minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60))))
    }

    /// Sets for how many minutes such a token lives at most; as long as its maker likes when none. False when there is no such organization.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn set_access_token_minutes(
        &mut self,
        organization: OrganizationId,
        minutes: Option<i64>,
        now: Timestamp,
    ) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update organizations set access_token_expire_minutes = $2, updated_at = $3 where id = $1",
            organization.0,
            minutes,
            now.micros(),
        )?;
        Ok(changed == 1)
    }

    /// The organizations an account is a member of, in the order it joined them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_member(&mut self, account: AccountId) -> Result<Vec<MemberOrganization>> {
        let rows = fetch_all!(
            self.0,
            MemberRow,
            "select o.id, o.number, o.name, o.domain, o.plan, m.role, m.joined_at, m.source
             from memberships m join organizations o on o.id = m.organization_id
             where m.account_id = $1 order by m.joined_at, m.id",
            account.0,
        )?;
        rows.into_iter()
            .map(|row| {
                Ok(MemberOrganization {
                    id: row.id.into(),
                    number: row.number,
                    name: row.name,
                    domain: row.domain,
                    plan: row.plan,
                    role: role(&row.role)?,
                    joined_at: Timestamp::from_micros(row.joined_at),
                    source: row.source,
                })
            })
            .collect()
    }

    /// The workspaces an account may enter.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn workspaces_of_member(&mut self, account: AccountId) -> Result<Vec<Workspace>> {
        let rows = fetch_all!(
            self.0,
            WorkspaceRow,
            "select w.id, w.number, w.organization_id, w.name, w.slug, w.is_default, w.created_at
             from memberships m
             join membership_workspaces mw on mw.membership_id = m.id
             join workspaces w on w.id = mw.workspace_id
             where m.account_id = $1 order by w.number",
            account.0,
        )?;
        Ok(rows.into_iter().map(Workspace::from).collect())
    }

    /// The workspaces of an organization.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn workspaces(&mut self, organization: OrganizationId) -> Result<Vec<Workspace>> {
        let rows = fetch_all!(
            self.0,
            WorkspaceRow,
            "select id, number, organization_id, name, slug, is_default, created_at from workspaces
             where organization_id = $1 order by number",
            organization.0,
        )?;
        Ok(rows.into_iter().map(Workspace::from).collect())
    }
}

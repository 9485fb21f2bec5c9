//! Accounts and organizations of the whole installation, as its operator sees them.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::account::AccountKind;
use tidegate_domain::id::{AccountId, IdentifierId, OrganizationId};
use tidegate_kernel::KernelTables;
use uuid::Uuid;

use super::search::Sought;
use super::shown::shown;

/// The installation's accounts and organizations in a unit of work.
pub struct Installation<'u>(pub(crate) &'u mut Unit);

/// Which accounts are listed.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// Members of this organization only.
    pub organization: Option<OrganizationId>,
    /// Only those with this text in the name shown or in an identifier, as it is stored or as it is shown; case does not count.
    pub search: String,
    /// Only disabled ones.
    pub disabled: bool,
}

/// An account of a list.
#[derive(Clone, Debug)]
pub struct AccountSummary {
    /// The number some contracts show; the list's order.
    pub number: i64,
    /// Key.
    pub id: AccountId,
    /// Person or program.
    pub kind: AccountKind,
    /// The primary address, else the phone or name, as it is stored; none for a deleted account.
    pub login: Option<String>,
    /// Whether that identifier is verified.
    pub verified: bool,
    /// Name shown to people.
    pub display_name: String,
    /// Since when it is kept out.
    pub disabled_at: Option<Timestamp>,
    /// Created.
    pub created_at: Timestamp,
}

/// An identifier of an account.
#[derive(Clone, Debug)]
pub struct Identifier {
    /// Key.
    pub id: IdentifierId,
    /// `email`, `phone` or `service_name`.
    pub kind: String,
    /// The address, number or name, as it is stored.
    pub value: String,
    /// Since when it is known to be the account owner's.
    pub verified_at: Option<Timestamp>,
    /// Whether it signs in.
    pub is_primary: bool,
    /// Added.
    pub created_at: Timestamp,
}

/// An organization of a list.
#[derive(Clone, Debug)]
pub struct OrganizationSummary {
    /// The number some contracts show; the list's order.
    pub number: i64,
    /// Key.
    pub id: OrganizationId,
    /// Name.
    pub name: String,
    /// Plan.
    pub plan: String,
    /// Its owner's address, phone or name.
    pub owner: Option<String>,
    /// Members, programs included.
    pub members: i64,
    /// Created.
    pub created_at: Timestamp,
}

/// A member of an organization.
#[derive(Clone, Debug)]
pub struct MemberSummary {
    /// The account.
    pub account: AccountId,
    /// Its address, phone or name.
    pub login: Option<String>,
    /// Its role.
    pub role: String,
    /// Whether the organization's managers administer the account.
    pub is_home: bool,
    /// False for an invitation.
    pub accepted: bool,
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    number: i64,
    id: Uuid,
    kind: String,
    display_name: String,
    disabled_at: Option<i64>,
    created_at: i64,
    login: Option<String>,
    verified_at: Option<i64>,
}

impl From<AccountRow> for AccountSummary {
    fn from(row: AccountRow) -> Self {
        Self {
            number: row.number,
            id: row.id.into(),
            kind: AccountKind::from_name(&row.kind).unwrap_or(AccountKind::Individual),
            login: row.login,
            verified: row.verified_at.is_some(),
            display_name: row.display_name,
            disabled_at: row.disabled_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
        }
    }
}

#[derive(sqlx::FromRow)]
struct OrganizationRow {
    number: i64,
    id: Uuid,
    name: String,
    plan: String,
    created_at: i64,
    members: i64,
    owner: Option<String>,
}

impl From<OrganizationRow> for OrganizationSummary {
    fn from(row: OrganizationRow) -> Self {
        Self {
            number: row.number,
            id: row.id.into(),
            name: row.name,
            plan: row.plan,
            owner: row.owner.map(shown),
            members: row.members,
            created_at: Timestamp::from_micros(row.created_at),
        }
    }
}

/// One identifier of the account `$account`: the address if it has one.
macro_rules! first_identifier {
    ($column:literal, $account:literal) => {
        concat!(
            "(select i.",
            $column,
            " from identifiers i where i.account_id = ",
            $account,
            " order by i.is_primary desc, case i.kind when 'phone' then 1 else 0 end, i.created_at limit 1)"
        )
    };
}

macro_rules! select_accounts {
    ($rest:literal) => {
        concat!(
            "select a.number, a.id, a.kind, a.display_name, a.disabled_at, a.created_at, ",
            first_identifier!("value", "a.id"),
            " as login, ",
            first_identifier!("verified_at", "a.id"),
            " as verified_at from accounts a where ",
            $rest
        )
    };
}

macro_rules! select_organizations {
    ($rest:literal) => {
        concat!(
            "select o.number, o.id, o.name, o.plan, o.created_at,
                (select count(*) from memberships m where m.organization_id = o.id) as members,
                (select ",
            first_identifier!("value", "m.account_id"),
            " from memberships m where m.organization_id = o.id and m.role = 'owner') as owner
             from organizations o where ",
            $rest
        )
    };
}

impl Installation<'_> {
    /// As [`accounts`](Self::accounts), with some that only might have the text: the engines fold the case of other letters
    /// than ASCII in different ways, and see a domain only as it is stored.
    pub(super) async fn account_candidates(
        &mut self,
        filter: &AccountFilter,
        sought: &Sought,
        after: i64,
        limit: i64,
    ) -> Result<Vec<AccountSummary>> {
        let rows = fetch_all!(
            self.0,
            AccountRow,
            select_accounts!(
                "a.number > $1
                 and exists (select 1 from identifiers i where i.account_id = a.id)
                 and ($2 = '%%' or lower(a.display_name) like $2 escape '!' or exists
                    (select 1 from identifiers i where i.account_id = a.id
                        and (lower(i.value) like $2 escape '!' or i.value like '%@%xn--%')))
                 and ($3 = false or a.disabled_at is not null)
                 and ($4 = false or exists
                    (select 1 from memberships m where m.account_id = a.id and m.organization_id = $5))
                 order by a.number limit $6"
            ),
            after,
            sought.pattern(),
            filter.disabled,
            filter.organization.is_some(),
            filter.organization.map_or_else(Uuid::nil, |organization| organization.0),
            limit,
        )?;
        Ok(rows.into_iter().map(AccountSummary::from).collect())
    }

    /// The account of that number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn numbered(&mut self, number: i64) -> Result<Option<AccountId>> {
        let row = fetch_optional!(self.0, (Uuid,), "select id from accounts where number = $1", number)?;
        Ok(row.map(|(id,)| id.into()))
    }

    /// The account of that key, as it is listed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn account(&mut self, id: AccountId) -> Result<Option<AccountSummary>> {
        let row = fetch_optional!(self.0, AccountRow, select_accounts!("a.id = $1"), id.0)?;
        Ok(row.map(AccountSummary::from))
    }

    /// The account's identifiers, those that sign in first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn identifiers(&mut self, account: AccountId) -> Result<Vec<Identifier>> {
        let rows = fetch_all!(
            self.0,
            (Uuid, String, String, Option<i64>, bool, i64),
            "select id, kind, value, verified_at, is_primary, created_at from identifiers
             where account_id = $1 order by is_primary desc, kind, created_at",
            account.0,
        )?;
        Ok(rows
            .into_iter()
            .map(|(id, kind, value, verified_at, is_primary, created_at)| Identifier {
                id: id.into(),
                kind,
                value,
                verified_at: verified_at.map(Timestamp::from_micros),
                is_primary,
                created_at: Timestamp::from_micros(created_at),
            })
            .collect())
    }

    /// Removes an identifier and what was sent to it. `successor` signs in from then on, where one is given.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_identifier(
        &mut self,
        account: AccountId,
        identifier: &Identifier,
        successor: Option<&Identifier>,
    ) -> Result<()> {
        execute!(
            self.0,
            "delete from challenges where account_id = $1 and address = $2",
            account.0,
            identifier.value.as_str(),
        )?;
        execute!(
            self.0,
            "delete from identifiers where account_id = $1 and id = $2",
            account.0,
            identifier.id.0,
        )?;
        if let Some(successor) = successor {
            execute!(self.0, "update identifiers set is_primary = true where id = $1", successor.id.0)?;
        }
        self.0.touch_account(account);
        Ok(())
    }

    /// Keeps an account out from now on, or no longer.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn set_disabled(
        &mut self,
        account: AccountId,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update accounts set disabled_at = $2, updated_at = $3 where id = $1",
            account.0,
            since.map(Timestamp::micros),
            now.micros(),
        )?;
        self.0.touch_account(account);
        Ok(())
    }

    /// How many others belong to organizations the account owns.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn others_in_owned(&mut self, account: AccountId) -> Result<i64> {
        let (others,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from memberships m where m.account_id <> $1 and m.organization_id in
                (select organization_id from memberships where account_id = $1 and role = 'owner')",
            account.0,
        )?;
        Ok(others)
    }

    /// Locks the organizations an account owns, so that nobody joins or takes them over before the unit ends.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_owned(&mut self, account: AccountId) -> Result<()> {
        execute!(
            self.0,
            "update organizations set updated_at = updated_at where id in
                (select organization_id from memberships where account_id = $1 and role = 'owner')",
            account.0,
        )?;
        Ok(())
    }

    /// Ends the organizations an account owns: their databases are deleted, and the domains they managed are free.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn dissolve_owned(&mut self, account: AccountId, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "delete from managed_domains where organization_id in
                (select organization_id from memberships where account_id = $1 and role = 'owner')",
            account.0,
        )?;
        execute!(
            self.0,
            "update databases set deleted_at = $2 where deleted_at is null and organization_id in
                (select organization_id from memberships where account_id = $1 and role = 'owner')",
            account.0,
            now.micros(),
        )?;
        Ok(())
    }

    /// Whether the account has a password.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_password(&mut self, account: AccountId) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select changed_at from passwords where account_id = $1",
            account.0,
        )?;
        Ok(row.is_some())
    }

    /// As [`organizations`](Self::organizations), with some that only might have the text.
    pub(super) async fn organization_candidates(
        &mut self,
        sought: &Sought,
        shared_only: bool,
        after: i64,
        limit: i64,
    ) -> Result<Vec<OrganizationSummary>> {
        let rows = fetch_all!(
            self.0,
            OrganizationRow,
            select_organizations!(
                "o.number > $1 and ($2 = '%%' or lower(o.name) like $2 escape '!')
                 and ($3 = false or (select count(*) from memberships m where m.organization_id = o.id) > 1)
                 and exists (select 1 from memberships m where m.organization_id = o.id)
                 order by o.number limit $4"
            ),
            after,
            sought.pattern(),
            shared_only,
            limit,
        )?;
        Ok(rows.into_iter().map(OrganizationSummary::from).collect())
    }

    /// The organization of that key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn organization(&mut self, id: OrganizationId) -> Result<Option<OrganizationSummary>> {
        let row = fetch_optional!(self.0, OrganizationRow, select_organizations!("o.id = $1"), id.0)?;
        Ok(row.map(OrganizationSummary::from))
    }

    /// The organization of that number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn organization_numbered(&mut self, number: i64) -> Result<Option<OrganizationId>> {
        let row = fetch_optional!(self.0, (Uuid,), "select id from organizations where number = $1", number)?;
        Ok(row.map(|(id,)| id.into()))
    }

    /// Up to `limit` members of an organization, in the order they came.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn members(&mut self, organization: OrganizationId, limit: i64) -> Result<Vec<MemberSummary>> {
        let rows = fetch_all!(
            self.0,
            (Uuid, String, bool, Option<i64>, Option<String>),
            concat!(
                "select m.account_id, m.role, m.is_home, m.accepted_at, ",
                first_identifier!("value", "m.account_id"),
                " as login from memberships m where m.organization_id = $1 order by m.joined_at, m.id limit $2"
            ),
            organization.0,
            limit,
        )?;
        Ok(rows
            .into_iter()
            .map(|(account, role, is_home, accepted_at, login)| MemberSummary {
                account: account.into(),
                login: login.map(shown),
                role,
                is_home,
                accepted: accepted_at.is_some(),
            })
            .collect())
    }

    /// Domains whose accounts the organization manages without asking their owners.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn managed_domains(&mut self, organization: OrganizationId) -> Result<Vec<String>> {
        let rows = fetch_all!(
            self.0,
            (String,),
            "select domain from managed_domains where organization_id = $1 order by domain",
            organization.0,
        )?;
        Ok(rows.into_iter().map(|(domain,)| domain).collect())
    }
}

//! The people and programs of an organization, as those who look after them see them.

use serde::Deserialize;
use sqlx::types::Json;
use tidegate_database::{Keyed, Result, StoreError, Unit, execute, fetch_list, fetch_optional};
use tidegate_domain::account::{LoginName, ServiceName};
use tidegate_domain::document::MAX_DOCUMENT;
use tidegate_domain::id::{AccountId, MembershipId, OrganizationId};
use tidegate_domain::{Document, EmailAddress, PhoneNumber, Role, Timestamp};
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::role;
use uuid::Uuid;

/// Members of a unit of work. Every look-up names the organization: another one's accounts look like none.
pub struct Members<'u>(pub(crate) &'u mut Unit);

/// An account whose home is the organization.
#[derive(Clone, Debug)]
pub struct Member {
    /// Key.
    pub account: AccountId,
    /// The membership, in the order of whose keys members are listed: the order they came in.
    pub membership: MembershipId,
    /// Address or name.
    pub login: LoginName,
    /// Whether the address is known to be theirs.
    pub verified: bool,
    /// Whether the account's owner, or the operator for them, agreed that the organization manages it.
    pub accepted: bool,
    /// The role.
    pub role: Role,
    /// Given name; may be empty.
    pub first_name: String,
    /// Family name; may be empty.
    pub last_name: String,
    /// Free document.
    pub metadata: Document,
}

/// Most bytes of the documents of one page.
const PAGE_BYTES: i64 = 1 << 20;
/// How many accounts fit into it whatever they are.
const ALWAYS_FIT: i64 = 16;
const _: () = assert!(ALWAYS_FIT.unsigned_abs() * MAX_DOCUMENT as u64 <= PAGE_BYTES.unsigned_abs());

/// Which accounts are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// People.
    Individuals,
    /// Programs.
    Services,
}

#[derive(sqlx::FromRow)]
struct MemberRow {
    account_id: Uuid,
    membership_id: Uuid,
    kind: String,
    value: String,
    verified_at: Option<i64>,
    accepted_at: Option<i64>,
    role: String,
    first_name: String,
    last_name: String,
    user_metadata: Json<Document>,
}

/// A row of a page without its keys, those of the account and of the membership: the fields of [`MemberRow`] but the kind, which all rows have
/// in common. The document may be left out.
#[derive(sqlx::FromRow, Deserialize)]
struct PageRow {
    value: String,
    verified_at: Option<i64>,
    accepted_at: Option<i64>,
    role: String,
    first_name: String,
    last_name: String,
    user_metadata: Option<Json<Document>>,
}

/// Members of the organization `$1`. Identifiers before accounts: a page of programs reads no account of a person.
macro_rules! select {
    ($columns:expr, $rest:expr) => {
        concat!(
            "select ",
            $columns,
            " from memberships m
             join identifiers i on i.account_id = m.account_id and i.is_primary
             join accounts a on a.id = m.account_id
             where m.organization_id = $1 and m.is_home and ",
            $rest
        )
    };
}

/// The columns of [`MemberRow`].
macro_rules! select_members {
    ($rest:literal) => {
        select!(
            "a.id as account_id, m.id as membership_id, i.kind, i.value, i.verified_at, m.accepted_at, m.role, a.first_name, a.last_name, a.user_metadata",
            $rest
        )
    };
}

/// The [`PageRow`]s of one kind (`$2`) that come after the membership `$3`.
macro_rules! fetch_page {
    ($unit:expr, $metadata:literal, $limit:literal $(, $value:expr)* $(,)?) => {
        fetch_list!(
            $unit,
            ["account_id", "membership_id"],
            PageRow,
            "value, verified_at, accepted_at, role, first_name, last_name, json(user_metadata)",
            select!(
                concat!(
                    "m.account_id, m.id as membership_id, i.value, i.verified_at, m.accepted_at, m.role, a.first_name, a.last_name, ",
                    $metadata,
                    " as user_metadata"
                ),
                concat!("i.kind = $2 and m.id > $3 order by m.id limit ", $limit)
            )
            $(, $value)*
        )
    };
}

impl Member {
    fn listed(kind: &str, row: Keyed<2, PageRow>) -> Result<Self> {
        let Keyed { keys: [account, membership], rest: row } = row;
        Ok(Self {
            account: account.into(),
            membership: membership.into(),
            login: login(kind, row.value)?,
            verified: row.verified_at.is_some(),
            accepted: row.accepted_at.is_some(),
            role: role(&row.role)?,
            first_name: row.first_name,
            last_name: row.last_name,
            metadata: row.user_metadata.ok_or(StoreError::Unreadable("accounts.user_metadata"))?.0,
        })
    }
}

fn login(kind: &str, value: String) -> Result<LoginName> {
    match kind {
        "email" => Ok(LoginName::Email(EmailAddress::from_stored(value))),
        "phone" => Ok(LoginName::Phone(PhoneNumber::from_stored(value))),
        "service_name" => Ok(LoginName::Service(ServiceName::from_stored(value))),
        _ => Err(StoreError::Unreadable("identifiers.kind")),
    }
}

impl TryFrom<MemberRow> for Member {
    type Error = StoreError;

    fn try_from(row: MemberRow) -> Result<Self> {
        Ok(Self {
            account: row.account_id.into(),
            membership: row.membership_id.into(),
            login: login(&row.kind, row.value)?,
            verified: row.verified_at.is_some(),
            accepted: row.accepted_at.is_some(),
            role: role(&row.role)?,
            first_name: row.first_name,
            last_name: row.last_name,
            metadata: row.user_metadata.0,
        })
    }
}

impl Members<'_> {
    /// The organization's account of that address or name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, organization: OrganizationId, login: &LoginName) -> Result<Option<Member>> {
        let row = fetch_optional!(
            self.0,
            MemberRow,
            select_members!("i.kind = $2 and i.value = $3"),
            organization.0,
            login.kind(),
            login.as_str(),
        )?;
        row.map(Member::try_from).transpose()
    }

    /// The organization's account of that key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_by_key(
        &mut self,
        organization: OrganizationId,
        account: AccountId,
    ) -> Result<Option<Member>> {
        let row = fetch_optional!(
            self.0,
            MemberRow,
            // An account has one primary identifier of each kind. So an address identifies one member.
            select_members!(
                "a.id = $2 order by case i.kind when 'phone' then 1 else 0 end, i.created_at limit 1"
            ),
            organization.0,
            account.0,
        )?;
        row.map(Member::try_from).transpose()
    }

    /// Accounts that come after the membership `after`, or from the first: up to `limit`, or a few where their documents would have more than
    /// [`PAGE_BYTES`] together. Also whether others may follow.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn page(
        &mut self,
        organization: OrganizationId,
        listed: Listed,
        after: Option<MembershipId>,
        limit: i64,
    ) -> Result<(Vec<Member>, bool)> {
        let kind = match listed {
            Listed::Individuals => "email",
            Listed::Services => "service_name",
        };
        let after = after.map_or_else(Uuid::nil, Uuid::from);
        // Where no document is longer than its part of a page, all of them fit, and need not be added up.
        let rows = fetch_page!(
            self.0,
            "case when a.metadata_bytes <= $5 then a.user_metadata end",
            "$4",
            organization.0,
            kind,
            after,
            limit,
            PAGE_BYTES / limit.max(1),
        )?;
        let is_whole = rows.iter().all(|row| row.rest.user_metadata.is_some());
        let rows = if is_whole { rows } else { self.bounded_page(organization, kind, after, limit).await? };
        let goes_on = [limit, ALWAYS_FIT].iter().any(|full| i64::try_from(rows.len()) == Ok(*full));
        let members = rows.into_iter().map(|row| Member::listed(kind, row)).collect::<Result<_>>()?;
        Ok((members, goes_on))
    }

    /// A page of documents of any length.
    async fn bounded_page(
        &mut self,
        organization: OrganizationId,
        kind: &str,
        after: Uuid,
        limit: i64,
    ) -> Result<Vec<Keyed<2, PageRow>>> {
        fetch_page!(
            self.0,
            "a.user_metadata",
            // A sum of numbers costs little beside the rows; a running one in them would hold and copy each.
            "case when (select coalesce(sum(metadata_bytes), 0) from (
                select a.metadata_bytes from memberships m
                join identifiers i on i.account_id = m.account_id and i.is_primary
                join accounts a on a.id = m.account_id
                where m.organization_id = $1 and m.is_home and i.kind = $2 and m.id > $3 order by m.id limit $4
            ) next) <= $5 then $4 else $6 end",
            organization.0,
            kind,
            after,
            limit,
            PAGE_BYTES,
            ALWAYS_FIT,
        )
    }

    /// Writes what managers may change of an account beside its password. The name shown follows given and family name as
    /// long as it is made of them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn describe(
        &mut self,
        account: AccountId,
        first_name: &str,
        last_name: &str,
        metadata: &Document,
        now: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "update accounts set
                display_name = case when display_name = trim(first_name || ' ' || last_name)
                    then trim($2 || ' ' || $3) else display_name end,
                first_name = $2, last_name = $3, user_metadata = $4, metadata_bytes = $5, updated_at = $6
             where id = $1",
            account.0,
            first_name,
            last_name,
            Json(metadata),
            crate::organizations::quotas_repository::bytes(metadata),
            now.micros(),
        )?;
        self.0.touch_account(account);
        Ok(())
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// Those of the database: an organization has one owner at any time.
    pub async fn set_role(
        &mut self,
        organization: OrganizationId,
        account: AccountId,
        role: Role,
    ) -> Result<()> {
        execute!(
            self.0,
            "update memberships set role = $3 where organization_id = $1 and account_id = $2",
            organization.0,
            account.0,
            role.as_str(),
        )?;
        self.0.touch_account(account);
        Ok(())
    }
}

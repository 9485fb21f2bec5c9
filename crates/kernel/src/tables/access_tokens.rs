//! Personal access tokens: hashes only.

use tidegate_database::{Result, StoreError, Unit, execute, fetch_all, fetch_one, fetch_optional, prune};
use tidegate_domain::account::AccountKind;
use tidegate_domain::id::{AccessTokenId, AccountId, OrganizationId, SessionId};
use tidegate_domain::session::AmrSet;
use tidegate_domain::{ContractId, EmailAddress, Role, Scopes, Timestamp};
use uuid::Uuid;

use super::role;
use super::sessions::{AccessTokenUse, SessionRecord};
use crate::KernelTables;

/// Personal access tokens of a unit of work.
pub struct AccessTokens<'u>(pub(crate) &'u mut Unit);

/// A new token.
#[derive(Clone, Debug)]
pub struct NewAccessToken<'a> {
    /// Key.
    pub id: AccessTokenId,
    /// Whose.
    pub account: AccountId,
    /// Where it acts.
    pub organization: OrganizationId,
    /// Whether it is made for that organization.
    pub for_organization: bool,
    /// It never allows more than this role.
    pub role: Role,
    /// The contract that issues it.
    pub contract: ContractId,
    /// What its owner calls it.
    pub name: &'a str,
    /// SHA-256 of its text.
    pub hash: &'a [u8],
    /// What it may do at most.
    pub scopes: &'a Scopes,
    /// Now.
    pub created_at: Timestamp,
    /// When it expires; never when none.
    pub expires_at: Option<Timestamp>,
}

/// A token as it is listed.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// Key.
    pub id: AccessTokenId,
    /// Its number.
    pub number: i64,
    /// Whose.
    pub account: AccountId,
    /// The number of that account.
    pub account_number: i64,
    /// The number of the organization it was made for; none for a token of its owner's alone.
    pub organization_number: Option<i64>,
    /// What its owner calls it.
    pub name: String,
    /// What it may do at most.
    pub scopes: Scopes,
    /// Made.
    pub created_at: Timestamp,
    /// When it expires; never when none.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, known to a minute or so.
    pub last_used_at: Option<Timestamp>,
}

/// What a token is changed to.
#[derive(Clone, Debug, Default)]
pub struct AccessTokenChange {
    /// What its owner calls it.
    pub name: Option<String>,
    /// What it may do at most.
    pub scopes: Option<Scopes>,
}

#[derive(sqlx::FromRow)]
struct RecordRow {
    id: Uuid,
    account_id: Uuid,
    number: i64,
    kind: String,
    display_name: String,
    value: Option<String>,
    verified_at: Option<i64>,
    created_at: i64,
    organization_id: Uuid,
    member_role: String,
    role: String,
    contract: String,
    scope: String,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    disabled_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct TokenRow {
    id: Uuid,
    number: i64,
    account_id: Uuid,
    account_number: i64,
    organization_number: Option<i64>,
    name: String,
    scope: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl From<TokenRow> for AccessToken {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.id.into(),
            number: row.number,
            account: row.account_id.into(),
            account_number: row.account_number,
            organization_number: row.organization_number,
            name: row.name,
            scopes: Scopes::from_stored(&row.scope),
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
        }
    }
}

/// The statement that reads tokens as they are listed.
macro_rules! listed {
    ($which:literal) => {
        concat!(
            "select t.id, t.number, t.account_id, a.number as account_number,
                case when t.for_organization then o.number end as organization_number,
                t.name, t.scope, t.created_at, t.expires_at, t.last_used_at
             from access_tokens t join organizations o on o.id = t.organization_id join accounts a on a.id = t.account_id ",
            $which
        )
    };
}

impl AccessTokens<'_> {
    /// Adds a token; answers its number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: &NewAccessToken<'_>) -> Result<i64> {
        let (number,) = fetch_one!(
            self.0,
            (i64,),
            "insert into access_tokens (id, account_id, organization_id, for_organization, role, contract, name,
                token_hash, scope, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning number",
            new.id.0,
            new.account.0,
            new.organization.0,
            new.for_organization,
            new.role.as_str(),
            new.contract.as_str(),
            new.name,
            new.hash,
            new.scopes.to_string(),
            new.created_at.micros(),
            new.expires_at.map(Timestamp::micros),
        )?;
        Ok(number)
    }

    /// The token of that hash, and whose it is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, hash: &[u8]) -> Result<Option<(AccessTokenId, AccountId)>> {
        let row = fetch_optional!(
            self.0,
            (Uuid, Uuid),
            "select id, account_id from access_tokens where token_hash = $1",
            hash,
        )?;
        Ok(row.map(|(id, account)| (id.into(), account.into())))
    }

    /// The token of that key with all a request needs to know, as if it were a session. None when it was revoked, and when its
    /// owner has left the organization.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn record(&mut self, id: AccessTokenId) -> Result<Option<SessionRecord>> {
        let row = fetch_optional!(
            self.0,
            RecordRow,
            "select t.id, t.account_id, a.number, a.kind, a.display_name, i.value, i.verified_at, a.created_at,
                t.organization_id, m.role as member_role, t.role, t.contract, t.scope, t.expires_at, t.last_used_at,
                a.disabled_at
             from access_tokens t
             join accounts a on a.id = t.account_id
             left join identifiers i on i.account_id = a.id and i.kind = 'email' and i.is_primary
             join memberships m on m.account_id = a.id and m.organization_id = t.organization_id
             where t.id = $1",
            id.0,
        )?;
        row.map(|row| {
            let last_used_at = row.last_used_at.map_or(Timestamp::from_micros(0), Timestamp::from_micros);
            Ok(SessionRecord {
                id: SessionId(row.id),
                account: row.account_id.into(),
                subject: None,
                account_number: row.number,
                display_name: row.display_name,
                kind: AccountKind::from_name(&row.kind).ok_or(StoreError::Unreadable("accounts.kind"))?,
                email: row.value.map(EmailAddress::from_stored),
                email_verified: row.verified_at.is_some(),
                account_created_at: Timestamp::from_micros(row.created_at),
                organization: row.organization_id.into(),
                role: role(&row.member_role)?,
                contract: ContractId::parse(&row.contract)
                    .map_err(|_| StoreError::Unreadable("access_tokens.contract"))?,
                // Its bearer has proved nothing else, and never lately.
                amr: AmrSet::default(),
                auth_time: Timestamp::from_micros(0),
                last_activity_at: last_used_at,
                expires_at: row.expires_at.map_or(Timestamp::from_micros(i64::MAX), Timestamp::from_micros),
                ended: row.disabled_at.is_some(),
                scopes: Scopes::from_stored(&row.scope),
                access_token: Some(AccessTokenUse { role: role(&row.role)? }),
                application: None,
            })
        })
        .transpose()
    }

    /// Notes when tokens were last used.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn used(&mut self, id: AccessTokenId, at: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update access_tokens set last_used_at = $2
             where id = $1 and (last_used_at is null or last_used_at < $2)",
            id.0,
            at.micros(),
        )?;
        Ok(())
    }

    /// The tokens of an account, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_account(
        &mut self,
        account: AccountId,
        skip: i64,
        limit: i64,
    ) -> Result<Vec<AccessToken>> {
        let rows = fetch_all!(
            self.0,
            TokenRow,
            listed!("where t.account_id = $1 order by t.created_at desc, t.number desc limit $3 offset $2"),
            account.0,
            skip,
            limit,
        )?;
        Ok(rows.into_iter().map(AccessToken::from).collect())
    }

    /// How many tokens an account has, expired ones included.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count(&mut self, account: AccountId) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from access_tokens where account_id = $1",
            account.0,
        )?;
        Ok(count)
    }

    /// The tokens that members made for an organization, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_organization(
        &mut self,
        organization: OrganizationId,
        skip: i64,
        limit: i64,
    ) -> Result<Vec<AccessToken>> {
        let rows = fetch_all!(
            self.0,
            TokenRow,
            listed!(
                "where t.organization_id = $1 and t.for_organization order by t.created_at desc, t.number desc limit $3 offset $2"
            ),
            organization.0,
            skip,
            limit,
        )?;
        Ok(rows.into_iter().map(AccessToken::from).collect())
    }

    /// How many tokens members made for an organization, expired ones included.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_of_organization(&mut self, organization: OrganizationId) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from access_tokens where organization_id = $1 and for_organization",
            organization.0,
        )?;
        Ok(count)
    }

    /// The account's token of that number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn numbered(&mut self, account: AccountId, number: i64) -> Result<Option<AccessToken>> {
        let row = fetch_optional!(
            self.0,
            TokenRow,
            listed!("where t.account_id = $1 and t.number = $2"),
            account.0,
            number,
        )?;
        Ok(row.map(AccessToken::from))
    }

    /// The token of that number that a member made for the organization.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn numbered_of_organization(
        &mut self,
        organization: OrganizationId,
        number: i64,
    ) -> Result<Option<AccessToken>> {
        let row = fetch_optional!(
            self.0,
            TokenRow,
            listed!("where t.organization_id = $1 and t.number = $2 and t.for_organization"),
            organization.0,
            number,
        )?;
        Ok(row.map(AccessToken::from))
    }

    /// Changes a token. False when it is gone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn change(&mut self, id: AccessTokenId, change: &AccessTokenChange) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update access_tokens set name = coalesce($2, name), scope = coalesce($3, scope) where id = $1",
            id.0,
            change.name.as_deref(),
            change.scopes.as_ref().map(Scopes::to_string),
        )?;
        self.0.touch_access_token(id);
        Ok(changed == 1)
    }

    /// Removes a token. False when it is gone already.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove(&mut self, id: AccessTokenId) -> Result<bool> {
        let removed = execute!(self.0, "delete from access_tokens where id = $1", id.0)?;
        self.0.touch_access_token(id);
        Ok(removed == 1)
    }

    /// Removes all tokens of an account; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_all(&mut self, account: AccountId) -> Result<usize> {
        let rows = fetch_all!(
            self.0,
            (Uuid,),
            "delete from access_tokens where account_id = $1 returning id",
            account.0,
        )?;
        rows.iter().for_each(|(id,)| self.0.touch_access_token((*id).into()));
        Ok(rows.len())
    }

    /// Removes all tokens that were made for an organization; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_all_of_organization(&mut self, organization: OrganizationId) -> Result<usize> {
        let rows = fetch_all!(
            self.0,
            (Uuid,),
            "delete from access_tokens where organization_id = $1 and for_organization returning id",
            organization.0,
        )?;
        rows.iter().for_each(|(id,)| self.0.touch_access_token((*id).into()));
        Ok(rows.len())
    }

    /// Removes tokens that expired before `before`; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, before: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "access_tokens",
            "number",
            "where expires_at < $1 order by expires_at, number limit $2",
            before.micros(),
            at_most,
        )
    }
}

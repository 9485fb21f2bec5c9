//! What people have allowed applications, in the store.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_optional, prune, put_off};
use tidegate_domain::ContractId;
use tidegate_domain::id::{AccountId, ApplicationId, OrganizationId};
use tidegate_domain::{Scopes, Timestamp};
use uuid::Uuid;

use crate::applications::origin;

/// Stands for the contract through which access was given where nobody was asked.
pub(crate) const MEMBERSHIP: &str = "membership";

/// What a person has allowed an application.
#[derive(Clone, Debug)]
pub struct Consent {
    /// Its `client_id`.
    pub application: ApplicationId,
    /// What the application is called.
    pub name: String,
    /// Whose application it is: what its founder called it. Strangers are not shown it.
    pub organization: String,
    /// The same as a key.
    pub organization_id: OrganizationId,
    /// The origin of its addresses, where it registered itself: its organization has not looked at it.
    pub registered_itself_at: Option<String>,
    /// The contract whose client asked, `browser` for the hosted page; `membership` where nobody was asked.
    pub given_through: String,
    /// All that was ever allowed.
    pub scopes: Scopes,
    /// When it was first.
    pub created_at: Timestamp,
    /// When something was last added.
    pub updated_at: Timestamp,
}

/// Consents of a unit of work.
pub struct Consents<'u>(pub(crate) &'u mut Unit);

#[derive(sqlx::FromRow)]
struct Row {
    application_id: Uuid,
    name: String,
    organization_id: Uuid,
    organization_name: String,
    registration_hash: Option<Vec<u8>>,
    document_uri: Option<String>,
    redirect_uris: String,
    given_through: String,
    scope: String,
    created_at: i64,
    updated_at: i64,
}

impl From<Row> for Consent {
    fn from(row: Row) -> Self {
        let is_self_registered = row.registration_hash.is_some() || row.document_uri.is_some();
        let redirects = || row.redirect_uris.split_ascii_whitespace().next();
        let address = row.document_uri.as_deref().or_else(redirects).unwrap_or_default();
        Self {
            registered_itself_at: is_self_registered.then(|| origin(address)),
            application: row.application_id.into(),
            name: row.name,
            organization: row.organization_name,
            organization_id: row.organization_id.into(),
            given_through: row.given_through,
            scopes: Scopes::from_stored(&row.scope),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select c.application_id, p.name, p.organization_id, o.name as organization_name,
                p.registration_hash, p.document_uri, p.redirect_uris,
                c.given_through, c.scope, c.created_at, c.updated_at
             from oauth_consents c join oauth_applications p on p.id = c.application_id
             join organizations o on o.id = p.organization_id ",
            $rest
        )
    };
}

/// What an account gave an application.
pub(crate) struct Given {
    /// When it was asked: on the hosted page, or through one contract.
    pub(crate) asked: Scopes,
    /// When nobody was asked, as a member of the application's organization.
    pub(crate) as_member: Scopes,
}

impl Consents<'_> {
    /// What the account has allowed the application on the hosted page or through that contract, and what it gave as a member.
    pub(crate) async fn given(
        &mut self,
        account: AccountId,
        application: ApplicationId,
        contract: ContractId,
    ) -> Result<Given> {
        let rows = fetch_all!(
            self.0,
            (String, String),
            "select scope, given_through from oauth_consents
             where account_id = $1 and application_id = $2 and given_through in ($3, $4, $5)",
            account.0,
            application.0,
            contract.as_str(),
            ContractId::BROWSER.as_str(),
            MEMBERSHIP,
        )?;
        let mut given = Given { asked: Scopes::NONE, as_member: Scopes::NONE };
        for (scope, through) in rows {
            let whole = if through == MEMBERSHIP { &mut given.as_member } else { &mut given.asked };
            *whole = whole.union(&Scopes::from_stored(&scope));
        }
        Ok(given)
    }

    /// All that the account has allowed, by the applications' names.
    pub(crate) async fn of_account(&mut self, account: AccountId) -> Result<Vec<Consent>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!("where c.account_id = $1 order by p.name, c.application_id, c.given_through"),
            account.0,
        )?;
        Ok(rows.into_iter().map(Consent::from).collect())
    }

    /// Remembers that the account allows the application these scopes besides those that it has allowed. False when it had allowed
    /// all of them.
    pub(crate) async fn allow(
        &mut self,
        account: AccountId,
        application: ApplicationId,
        given_through: &str,
        scopes: &Scopes,
        now: Timestamp,
    ) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (String,),
            "select scope from oauth_consents where account_id = $1 and application_id = $2 and given_through = $3",
            account.0,
            application.0,
            given_through,
        )?;
        let allowed = row.map(|(scope,)| Scopes::from_stored(&scope));
        if allowed.as_ref().is_some_and(|allowed| allowed.contains_all(scopes)) {
            return Ok(false);
        }
        let all = allowed.unwrap_or(Scopes::NONE).union(scopes);
        execute!(
            self.0,
            "insert into oauth_consents (account_id, application_id, given_through, scope, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $5)
             on conflict (account_id, application_id, given_through) do update set scope = excluded.scope, updated_at = excluded.updated_at",
            account.0,
            application.0,
            given_through,
            all.to_string(),
            now.micros(),
        )?;
        Ok(true)
    }

    /// Forgets what the account has allowed the application. False when it had allowed nothing.
    pub(crate) async fn delete(&mut self, account: AccountId, application: ApplicationId) -> Result<bool> {
        let deleted = execute!(
            self.0,
            "delete from oauth_consents where account_id = $1 and application_id = $2",
            account.0,
            application.0,
        )?;
        Ok(deleted > 0)
    }

    /// Forgets what the account has allowed: put off to the next statement. Codes are not, so that units which forget an application lock the
    /// rows in the same order.
    pub(crate) async fn delete_of_account(&mut self, account: AccountId) -> Result<()> {
        put_off!(self.0, "delete from oauth_consents where account_id = $1", account.0)
    }

    /// Forgets what was allowed the application.
    pub(crate) async fn delete_of_application(&mut self, application: ApplicationId) -> Result<()> {
        execute!(self.0, "delete from oauth_consents where application_id = $1", application.0)?;
        Ok(())
    }

    /// Removes what was allowed applications that are gone; answers how many.
    pub(crate) async fn prune(&mut self, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "oauth_consents",
            "account_id, application_id, given_through",
            "where not exists (select 1 from oauth_applications p where p.id = application_id) limit $1",
            at_most,
        )
    }
}

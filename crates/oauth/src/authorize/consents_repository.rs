//! What people have allowed applications, in the store.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_optional};
use tidegate_domain::id::{AccountId, ApplicationId};
use tidegate_domain::{Scopes, Timestamp};
use uuid::Uuid;

use super::consents::Consent;

/// Consents of a unit of work.
pub struct Consents<'u>(pub(crate) &'u mut Unit);

#[derive(sqlx::FromRow)]
struct Row {
    application_id: Uuid,
    name: String,
    organization_name: String,
    scope: String,
    created_at: i64,
    updated_at: i64,
}

impl From<Row> for Consent {
    fn from(row: Row) -> Self {
        Self {
            application: row.application_id.into(),
            name: row.name,
            organization: row.organization_name,
            scopes: Scopes::from_stored(&row.scope),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select c.application_id, p.name, o.name as organization_name, c.scope, c.created_at, c.updated_at
             from oauth_consents c join oauth_applications p on p.id = c.application_id
             join organizations o on o.id = p.organization_id ",
            $rest
        )
    };
}

impl Consents<'_> {
    /// What the account has allowed the application.
    pub(crate) async fn find(
        &mut self,
        account: AccountId,
        application: ApplicationId,
    ) -> Result<Option<Consent>> {
        let row = fetch_optional!(
            self.0,
            Row,
            select!("where c.account_id = $1 and c.application_id = $2"),
            account.0,
            application.0,
        )?;
        Ok(row.map(Consent::from))
    }

    /// All that the account has allowed, by the applications' names.
    pub(crate) async fn of_account(&mut self, account: AccountId) -> Result<Vec<Consent>> {
        let rows = fetch_all!(
            self.0,
            Row,
            select!("where c.account_id = $1 order by p.name, c.application_id"),
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
        scopes: &Scopes,
        now: Timestamp,
    ) -> Result<bool> {
        let allowed = self.find(account, application).await?.map(|consent| consent.scopes);
        if allowed.as_ref().is_some_and(|allowed| allowed.contains_all(scopes)) {
            return Ok(false);
        }
        let all = allowed.unwrap_or(Scopes::NONE).union(scopes);
        execute!(
            self.0,
            "insert into oauth_consents (account_id, application_id, scope, created_at, updated_at)
             values ($1, $2, $3, $4, $4)
             on conflict (account_id, application_id) do update set scope = excluded.scope, updated_at = excluded.updated_at",
            account.0,
            application.0,
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
        Ok(deleted == 1)
    }

    /// Forgets what the account has allowed.
    pub(crate) async fn delete_of_account(&mut self, account: AccountId) -> Result<()> {
        execute!(self.0, "delete from oauth_consents where account_id = $1", account.0)?;
        Ok(())
    }

    /// Forgets what was allowed the application.
    pub(crate) async fn delete_of_application(&mut self, application: ApplicationId) -> Result<()> {
        execute!(self.0, "delete from oauth_consents where application_id = $1", application.0)?;
        Ok(())
    }

    /// Removes what was allowed applications that are gone; answers how many.
    pub(crate) async fn prune(&mut self, at_most: i64) -> Result<u64> {
        execute!(
            self.0,
            "delete from oauth_consents where application_id in
                (select c.application_id from oauth_consents c
                 left join oauth_applications p on p.id = c.application_id where p.id is null limit $1)",
            at_most,
        )
    }
}

//! Sessions.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one, fetch_optional};
use tidegate_domain::account::Session;
use tidegate_domain::database::Binding;
use tidegate_domain::flexible_id::FlexibleId;
use tidegate_domain::id::{AccountId, ApplicationId, DatabaseId, ServiceKeyId, SessionId};
use tidegate_domain::session::{AmrSet, EndReason};
use tidegate_domain::{Scopes, Timestamp};
use uuid::Uuid;

use super::ended_sessions::EndedRow;
pub use super::new_sessions::{NewSession, NewSessionApplication};
pub use super::session_records::{AccessTokenUse, ApplicationUse, SessionRecord};
use crate::KernelTables;

/// Sessions of a unit of work.
pub struct Sessions<'u>(pub(crate) &'u mut Unit);

/// The scopes that are stored so.
pub(super) fn scopes(stored: Option<&str>) -> Scopes {
    stored.map_or(Scopes::Full, Scopes::from_stored)
}

#[derive(sqlx::FromRow)]
pub(super) struct SessionRow {
    pub(super) id: Uuid,
    pub(super) number: i64,
    pub(super) account_id: Uuid,
    pub(super) organization_id: Uuid,
    pub(super) ip: String,
    pub(super) user_agent: String,
    pub(super) created_at: i64,
    pub(super) last_activity_at: i64,
    pub(super) expires_at: i64,
    pub(super) ends_at: i64,
    pub(super) revoked_at: Option<i64>,
}

impl Sessions<'_> {
    /// The session whose token has that hash: key and number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_by_token(&mut self, hash: &[u8]) -> Result<Option<(SessionId, i64)>> {
        let row = fetch_optional!(
            self.0,
            (Uuid, i64),
            "select id, number from sessions where token_hash = $1",
            hash,
        )?;
        Ok(row.map(|(id, number)| (id.into(), number)))
    }

    /// Notes that a session is in use, unless that was noted after `before`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn used(&mut self, id: SessionId, now: Timestamp, before: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update sessions set last_activity_at = $2 where id = $1 and last_activity_at < $3",
            id.0,
            now.micros(),
            before.micros(),
        )?;
        self.0.touch_session(id);
        Ok(())
    }

    /// Notes that a session was refreshed. False when it has ended meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn refreshed(&mut self, id: SessionId, now: Timestamp, expires_at: Timestamp) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update sessions set last_activity_at = $2, expires_at = $3 where id = $1 and revoked_at is null",
            id.0,
            now.micros(),
            expires_at.micros(),
        )?;
        Ok(changed == 1)
    }

    /// Notes that a session's owner proved anew who they are, and how. False when it has ended meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn authenticated_again(&mut self, id: SessionId, amr: AmrSet, now: Timestamp) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update sessions set amr = $2, auth_time = $3 where id = $1 and revoked_at is null and expires_at > $3",
            id.0,
            amr.to_string(),
            now.micros(),
        )?;
        self.0.touch_session(id);
        Ok(changed == 1)
    }

    /// What a session is bound to.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn binding(&mut self, id: SessionId) -> Result<Option<Binding>> {
        let row = fetch_optional!(
            self.0,
            (Uuid, Option<String>, Option<String>),
            "select database_id, frontend_user, frontend_session from sessions
             where id = $1 and database_id is not null",
            id.0,
        )?;
        Ok(row.map(|(database, user, session)| Binding {
            database: database.into(),
            user: user.map(FlexibleId::from_stored),
            session: session.map(FlexibleId::from_stored),
        }))
    }

    /// Binds a session to another database. The end user it was bound to is one of the other database's, and goes.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn bind(&mut self, id: SessionId, database: DatabaseId) -> Result<()> {
        execute!(
            self.0,
            "update sessions set database_id = $2, frontend_user = null, frontend_session = null where id = $1",
            id.0,
            database.0,
        )?;
        Ok(())
    }

    /// The account's sessions that are neither ended nor expired, latest activity first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn active(&mut self, account: AccountId, now: Timestamp) -> Result<Vec<Session>> {
        let rows = fetch_all!(
            self.0,
            SessionRow,
            "select id, number, account_id, organization_id, ip, user_agent, created_at, last_activity_at, expires_at,
                ends_at, revoked_at
             from sessions where account_id = $1 and revoked_at is null and expires_at > $2
             order by last_activity_at desc, number desc",
            account.0,
            now.micros(),
        )?;
        Ok(rows.into_iter().map(Session::from).collect())
    }

    /// How many of the account's sessions are active, and how many are kept in all.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn counts(&mut self, account: AccountId, now: Timestamp) -> Result<(i64, i64)> {
        fetch_one!(
            self.0,
            (i64, i64),
            "select count(case when revoked_at is null and expires_at > $2 then 1 end), count(*)
             from sessions where account_id = $1",
            account.0,
            now.micros(),
        )
    }

    /// Ends one session, and for a reason of security those of applications that it gave access; false when it was not active.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end(&mut self, id: SessionId, reason: EndReason, now: Timestamp) -> Result<bool> {
        let ended = fetch_optional!(
            self.0,
            EndedRow,
            // One of an application is nothing to look at later, and there may be many: it is pruned from now on.
            "update sessions set revoked_at = $2, revoked_reason = $3,
                ends_at = case when application_id is null then ends_at else $2 end
             where id = $1 and revoked_at is null and expires_at > $2 returning id, coalesce(subject_id, account_id) as subject, application_id",
            id.0,
            now.micros(),
            reason.as_str(),
        )?;
        self.0.touch_session(id);
        let Some(ended) = ended else { return Ok(false) };
        self.ended(&[ended], reason, now)?;
        if reason.ends_delegated() {
            self.end_delegated(id, reason, now).await?;
        }
        Ok(true)
    }

    /// Ends the sessions of applications that a session gave access.
    async fn end_delegated(&mut self, by: SessionId, reason: EndReason, now: Timestamp) -> Result<()> {
        let rows = fetch_all!(
            self.0,
            EndedRow,
            "update sessions set revoked_at = $2, revoked_reason = $3
             where approved_by = $1 and revoked_at is null returning id, coalesce(subject_id, account_id) as subject, application_id",
            by.0,
            now.micros(),
            reason.as_str(),
        )?;
        self.ended(&rows, reason, now)
    }

    /// Ends the account's active session of that number; answers its key. None when there is no such session of
    /// theirs.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_numbered(
        &mut self,
        account: AccountId,
        number: i64,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<Option<SessionId>> {
        let row = fetch_optional!(
            self.0,
            EndedRow,
            "update sessions set revoked_at = $3, revoked_reason = $4
             where account_id = $1 and number = $2 and revoked_at is null and expires_at > $3
             returning id, coalesce(subject_id, account_id) as subject, application_id",
            account.0,
            number,
            now.micros(),
            reason.as_str(),
        )?;
        let Some(ended) = row else { return Ok(None) };
        let id = ended.id.into();
        self.ended(&[ended], reason, now)?;
        self.0.touch_account(account);
        if reason.ends_delegated() {
            self.end_delegated(id, reason, now).await?;
        }
        Ok(Some(id))
    }

    /// Ends all of the account's sessions, also expired ones: another node's clock may be behind. Answers how many were
    /// active.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_all(&mut self, account: AccountId, reason: EndReason, now: Timestamp) -> Result<usize> {
        let rows = fetch_all!(
            self.0,
            (Uuid, Uuid, Option<Uuid>, i64),
            "update sessions set revoked_at = $2, revoked_reason = $3
             where account_id = $1 and revoked_at is null
             returning id, coalesce(subject_id, account_id), application_id, expires_at",
            account.0,
            now.micros(),
            reason.as_str(),
        )?;
        let ended: Vec<EndedRow> = rows
            .iter()
            .map(|(id, subject, application_id, _)| EndedRow {
                id: *id,
                subject: *subject,
                application_id: *application_id,
            })
            .collect();
        self.ended(&ended, reason, now)?;
        self.0.touch_account(account);
        Ok(rows.iter().filter(|(_, _, _, expires_at)| *expires_at > now.micros()).count())
    }

    /// Ends all sessions that were opened with a key, and those of applications that they gave access.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_opened_with(
        &mut self,
        key: ServiceKeyId,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<()> {
        let rows = fetch_all!(
            self.0,
            EndedRow,
            "update sessions set revoked_at = $2, revoked_reason = $3
             where revoked_at is null and (service_key_id = $1
                or approved_by in (select o.id from sessions o where o.service_key_id = $1))
             returning id, coalesce(subject_id, account_id) as subject, application_id",
            key.0,
            now.micros(),
            reason.as_str(),
        )?;
        self.ended(&rows, reason, now)
    }

    /// Ends all sessions that were opened for an application, or those of one account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_of_application(
        &mut self,
        application: ApplicationId,
        account: Option<AccountId>,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<usize> {
        let rows = fetch_all!(
            self.0,
            EndedRow,
            "update sessions set revoked_at = $3, revoked_reason = $4
             where application_id = $1 and account_id = coalesce($2, account_id) and revoked_at is null
             returning id, coalesce(subject_id, account_id) as subject, application_id",
            application.0,
            account.map(Uuid::from),
            now.micros(),
            reason.as_str(),
        )?;
        self.ended(&rows, reason, now)?;
        Ok(rows.len())
    }

    /// Ends the oldest sessions of an account that were opened for an application, beyond so many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_oldest_of_application(
        &mut self,
        application: ApplicationId,
        account: AccountId,
        most: i64,
        now: Timestamp,
    ) -> Result<()> {
        let rows = fetch_all!(
            self.0,
            (Uuid,),
            "update sessions set revoked_at = $3, revoked_reason = $4, ends_at = $3 where id in
                (select o.id from sessions o
                 where o.application_id = $1 and o.account_id = $2 and o.revoked_at is null
                 order by o.number desc limit 100000 offset $5) returning id",
            application.0,
            account.0,
            now.micros(),
            EndReason::Superseded.as_str(),
            most,
        )?;
        rows.iter().for_each(|(id,)| self.0.touch_session((*id).into()));
        Ok(())
    }

    /// Removes sessions that ended before `before`, with their refresh tokens; answers how many. None while another node
    /// is at it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, before: Timestamp, at_most: i64) -> Result<u64> {
        // Pruning begins with the oldest: on PostgreSQL all others wait for its row, and when it is gone
        // they find it gone. Two at work at once would lock rows in a circle.
        let first = execute!(
            self.0,
            "update sessions set ends_at = ends_at where id =
                (select id from sessions where ends_at < $1 order by ends_at, id limit 1)",
            before.micros(),
        )?;
        if first == 0 {
            return Ok(0);
        }
        execute!(
            self.0,
            "delete from refresh_tokens where session_id in
                (select id from sessions where ends_at < $1 order by ends_at, id limit $2)",
            before.micros(),
            at_most,
        )?;
        execute!(
            self.0,
            "delete from sessions where id in
                (select id from sessions where ends_at < $1 order by ends_at, id limit $2)",
            before.micros(),
            at_most,
        )
    }
}

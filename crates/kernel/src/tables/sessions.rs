//! Sessions.

use tidegate_database::{Result, StoreError, Unit, execute, fetch_all, fetch_one, fetch_optional};
use tidegate_domain::account::{AccountKind, Session};
use tidegate_domain::database::Binding;
use tidegate_domain::flexible_id::FlexibleId;
use tidegate_domain::id::{AccountId, DatabaseId, OrganizationId, ServiceKeyId, SessionId, WorkspaceId};
use tidegate_domain::session::{AmrSet, EndReason, SessionTimes};
use tidegate_domain::{ContractId, EmailAddress, PermissionSet, Role, Scopes, Timestamp};
use uuid::Uuid;

use super::role;

use crate::KernelTables;

/// Sessions of a unit of work.
pub struct Sessions<'u>(pub(crate) &'u mut Unit);

/// A new session.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// Key.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// The organization signed in to.
    pub organization: OrganizationId,
    /// The workspace signed in to.
    pub workspace: Option<WorkspaceId>,
    /// The contract it was opened through.
    pub contract: ContractId,
    /// How its owner proved who they are.
    pub amr: AmrSet,
    /// When they did.
    pub auth_time: Timestamp,
    /// Whether they asked to be remembered.
    pub remember_me: bool,
    /// Address it was opened from.
    pub ip: &'a str,
    /// Program it was opened with.
    pub user_agent: &'a str,
    /// Now.
    pub created_at: Timestamp,
    /// When it ends.
    pub times: SessionTimes,
    /// What its tokens are bound to.
    pub binding: Option<&'a Binding>,
    /// The key its owner signed in with, where it was one.
    pub service_key: Option<ServiceKeyId>,
    /// SHA-256 of its token, where that is opaque.
    pub token_hash: Option<&'a [u8]>,
    /// What its tokens may do at most.
    pub scopes: &'a Scopes,
}

/// Everything a request needs to know about the session its token names, or about a personal access token: that stands for a session.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// Key.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// The account's number.
    pub account_number: i64,
    /// The account's name.
    pub display_name: String,
    /// Person or program.
    pub kind: AccountKind,
    /// Its primary address; none for a program.
    pub email: Option<EmailAddress>,
    /// Whether that address is known to be theirs.
    pub email_verified: bool,
    /// When the account was made.
    pub account_created_at: Timestamp,
    /// The organization signed in to.
    pub organization: OrganizationId,
    /// The role there now.
    pub role: Role,
    /// The contract that opened it.
    pub contract: ContractId,
    /// How its owner proved who they are.
    pub amr: AmrSet,
    /// When they last did.
    pub auth_time: Timestamp,
    /// When it was last known to be used.
    pub last_activity_at: Timestamp,
    /// Ends unless refreshed before.
    pub expires_at: Timestamp,
    /// Ended before its time, or the account was disabled.
    pub ended: bool,
    /// What its tokens may do at most.
    pub scopes: Scopes,
    /// Present where it is no session, but a personal access token.
    pub access_token: Option<AccessTokenUse>,
}

/// What is known of a personal access token besides what is known of a session.
#[derive(Clone, Copy, Debug)]
pub struct AccessTokenUse {
    /// It never allows more than this role.
    pub role: Role,
}

impl SessionRecord {
    /// What its tokens may do at most, whatever they say themselves.
    pub(crate) fn permissions(&self) -> PermissionSet {
        let by_scope = self.scopes.permissions();
        self.access_token.map_or(by_scope, |token| by_scope.intersection(token.role.permissions()))
    }
}

/// Scopes as they are stored: nothing where there is no limit.
fn stored(scopes: &Scopes) -> Option<String> {
    (!scopes.is_full()).then(|| scopes.to_string())
}

/// The scopes that are stored so.
pub(super) fn scopes(stored: Option<&str>) -> Scopes {
    stored.map_or(Scopes::Full, Scopes::from_stored)
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
    role: String,
    dialect: String,
    amr: String,
    auth_time: i64,
    last_activity_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    disabled_at: Option<i64>,
    scope: Option<String>,
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
    /// Opens a session; answers its number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: &NewSession<'_>) -> Result<i64> {
        let (number,) = fetch_one!(
            self.0,
            (i64,),
            "insert into sessions (id, account_id, organization_id, workspace_id, dialect, amr, remember_me, ip,
                user_agent, created_at, last_activity_at, expires_at, ends_at, database_id, frontend_user,
                frontend_session, service_key_id, token_hash, auth_time, scope)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
             returning number",
            new.id.0,
            new.account.0,
            new.organization.0,
            new.workspace.map(Uuid::from),
            new.contract.as_str(),
            new.amr.to_string(),
            new.remember_me,
            new.ip,
            new.user_agent,
            new.created_at.micros(),
            new.times.expires_at.micros(),
            new.times.ends_at.micros(),
            new.binding.map(|binding| binding.database.0),
            new.binding.and_then(|binding| binding.user.as_ref()).map(FlexibleId::as_str),
            new.binding.and_then(|binding| binding.session.as_ref()).map(FlexibleId::as_str),
            new.service_key.map(Uuid::from),
            new.token_hash,
            new.auth_time.micros(),
            stored(new.scopes),
        )?;
        self.0.touch_account(new.account);
        Ok(number)
    }

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

    /// The session of that key with all a request needs to know. None also when its owner has left the organization.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn record(&mut self, id: SessionId) -> Result<Option<SessionRecord>> {
        let row = fetch_optional!(
            self.0,
            RecordRow,
            "select s.id, s.account_id, a.number, a.kind, a.display_name, i.value, i.verified_at, a.created_at,
                s.organization_id, m.role, s.dialect, s.amr, coalesce(s.auth_time, s.created_at) as auth_time,
                s.last_activity_at, s.expires_at, s.revoked_at, a.disabled_at, s.scope
             from sessions s
             join accounts a on a.id = s.account_id
             left join identifiers i on i.account_id = a.id and i.kind = 'email' and i.is_primary
             join memberships m on m.account_id = a.id and m.organization_id = s.organization_id
             where s.id = $1",
            id.0,
        )?;
        row.map(|row| {
            Ok(SessionRecord {
                id: row.id.into(),
                account: row.account_id.into(),
                account_number: row.number,
                display_name: row.display_name,
                kind: AccountKind::from_name(&row.kind).ok_or(StoreError::Unreadable("accounts.kind"))?,
                email: row.value.map(EmailAddress::from_stored),
                email_verified: row.verified_at.is_some(),
                account_created_at: Timestamp::from_micros(row.created_at),
                organization: row.organization_id.into(),
                role: role(&row.role)?,
                contract: ContractId::parse(&row.dialect)
                    .map_err(|_| StoreError::Unreadable("sessions.dialect"))?,
                amr: AmrSet::from_stored(&row.amr),
                auth_time: Timestamp::from_micros(row.auth_time),
                last_activity_at: Timestamp::from_micros(row.last_activity_at),
                expires_at: Timestamp::from_micros(row.expires_at),
                ended: row.revoked_at.is_some() || row.disabled_at.is_some(),
                scopes: scopes(row.scope.as_deref()),
                access_token: None,
            })
        })
        .transpose()
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

    /// Ends one session; false when it was not active.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end(&mut self, id: SessionId, reason: EndReason, now: Timestamp) -> Result<bool> {
        let ended = execute!(
            self.0,
            "update sessions set revoked_at = $2, revoked_reason = $3
             where id = $1 and revoked_at is null and expires_at > $2",
            id.0,
            now.micros(),
            reason.as_str(),
        )?;
        self.0.touch_session(id);
        Ok(ended == 1)
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
            (Uuid,),
            "update sessions set revoked_at = $3, revoked_reason = $4
             where account_id = $1 and number = $2 and revoked_at is null and expires_at > $3 returning id",
            account.0,
            number,
            now.micros(),
            reason.as_str(),
        )?;
        Ok(row.map(|(id,)| {
            self.0.touch_session(id.into());
            self.0.touch_account(account);
            id.into()
        }))
    }

    /// Ends all of the account's sessions, also expired ones: another node's clock may be behind. Answers how many were
    /// active.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_all(&mut self, account: AccountId, reason: EndReason, now: Timestamp) -> Result<usize> {
        let rows = fetch_all!(
            self.0,
            (Uuid, i64),
            "update sessions set revoked_at = $2, revoked_reason = $3
             where account_id = $1 and revoked_at is null returning id, expires_at",
            account.0,
            now.micros(),
            reason.as_str(),
        )?;
        rows.iter().for_each(|(id, _)| self.0.touch_session((*id).into()));
        self.0.touch_account(account);
        Ok(rows.iter().filter(|(_, expires_at)| *expires_at > now.micros()).count())
    }

    /// Ends all sessions that were opened with a key.
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
            (Uuid,),
            "update sessions set revoked_at = $2, revoked_reason = $3
             where service_key_id = $1 and revoked_at is null returning id",
            key.0,
            now.micros(),
            reason.as_str(),
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

//! The audit log.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use sqlx::types::Json;
use tidegate_database::{Deferred, MOST_ROWS, Result, Unit, fetch_all, fetch_one, prune, put_off_rows, rows};
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, AuditEventId, OrganizationId, SessionId};
use tidegate_domain::{ContractId, Origin, Timestamp};
use uuid::Uuid;

use crate::KernelTables;

/// The audit log of a unit of work.
pub struct Audit<'u>(pub(crate) &'u mut Unit);

/// Something that happened.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Key.
    pub id: AuditEventId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: Action,
    /// The account; none for an unknown address.
    pub account: Option<AccountId>,
    /// In which organization.
    pub organization: Option<OrganizationId>,
    /// In which session.
    pub session: Option<SessionId>,
    /// What caused it.
    pub origin: Origin,
    /// From which address; empty where there is no client.
    pub ip: String,
    /// With which program.
    pub user_agent: String,
    /// What else is worth knowing; never a secret.
    pub metadata: Value,
}

/// What an audit event is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject {
    /// The account.
    pub account: Option<AccountId>,
    /// The organization.
    pub organization: Option<OrganizationId>,
    /// The session.
    pub session: Option<SessionId>,
}

impl From<AccountId> for Subject {
    fn from(account: AccountId) -> Self {
        Self { account: Some(account), ..Self::default() }
    }
}

/// Which sign-ins to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInFilter {
    /// All.
    Any,
    /// Those that succeeded.
    Success,
    /// Those that failed.
    Failure,
    /// Attempts to go on with a session by a refresh token that had been replaced: among those that failed.
    Replay,
}

/// What is said of one, as the reason why it failed.
pub const REPLAYED: &str = "refresh_token_replayed";

/// A sign-in, as its owner sees it.
#[derive(Clone, Debug)]
pub struct SignInEvent {
    /// The integer some contracts show.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// `auth.login.success` or `auth.login.failure`.
    pub action: String,
    /// From which address.
    pub ip: String,
    /// With which program.
    pub user_agent: String,
    /// How, or why not.
    pub metadata: Value,
}

#[derive(sqlx::FromRow)]
struct EventRow {
    number: i64,
    at: i64,
    action: String,
    ip: String,
    user_agent: String,
    metadata: Json<Value>,
}

impl From<EventRow> for SignInEvent {
    fn from(row: EventRow) -> Self {
        Self {
            number: row.number,
            at: Timestamp::from_micros(row.at),
            action: row.action,
            ip: row.ip,
            user_agent: row.user_agent,
            metadata: row.metadata.0,
        }
    }
}

impl SignInEvent {
    /// A replayed refresh token as the failure that it is, in the words of a sign-in: those are the ones contracts know.
    fn into_sign_in(mut self) -> Self {
        if self.action == Action::RefreshTokenReplayed.as_str() {
            self.action = Action::SignInFailed.as_str().to_owned();
            self.metadata = json!({ "reason": REPLAYED });
        }
        self
    }
}

impl SignInFilter {
    /// The actions to look for; one twice where fewer are wanted.
    fn actions(self) -> (&'static str, &'static str, &'static str) {
        let (success, failure) = (Action::SignInSucceeded.as_str(), Action::SignInFailed.as_str());
        let replay = Action::RefreshTokenReplayed.as_str();
        match self {
            Self::Any => (success, failure, replay),
            Self::Success => (success, success, success),
            Self::Failure => (failure, failure, replay),
            Self::Replay => (replay, replay, replay),
        }
    }
}

/// Events of a unit that are yet to be written.
#[derive(Default)]
struct NewEvents(Vec<NewEvent>);

impl Deferred for NewEvents {
    fn write(self: Box<Self>, unit: &mut Unit) -> BoxFuture<'_, Result<()>> {
        async move {
            for events in self.0.chunks(MOST_ROWS) {
                write(unit, events).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

async fn write(unit: &mut Unit, events: &[NewEvent]) -> Result<()> {
    put_off_rows!(
        unit,
        &rows(
            "insert into audit_events (id, at, action, account_id, organization_id, session_id, dialect, ip,
                user_agent, metadata, origin) values",
            0,
            11,
            events.len(),
            "on conflict (id) do update set repeats = audit_events.repeats + 1, at = excluded.at,
                ip = excluded.ip, user_agent = excluded.user_agent, metadata = excluded.metadata",
        ),
        [],
        events,
        event => [
            event.id.0,
            event.at.micros(),
            event.action.as_str(),
            event.account.map(Uuid::from),
            event.organization.map(Uuid::from),
            event.session.map(Uuid::from),
            event.origin.contract().map_or("", ContractId::as_str),
            event.ip.as_str(),
            event.user_agent.as_str(),
            Json(&event.metadata),
            event.origin.as_str(),
        ],
    )
}

impl Audit<'_> {
    /// Records an event; one whose key is there is added to that one. It is written with the others of the unit, at its end.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, event: NewEvent) -> Result<()> {
        // An unknown address is announced as an unknown account: the notification costs the same.
        self.0.touch_account(event.account.unwrap_or(AccountId(event.id.0)));
        // A key stands in a statement once.
        if self.0.deferred::<NewEvents>()?.0.iter().any(|other| other.id == event.id) {
            self.0.write_deferred().await?;
        }
        self.0.deferred::<NewEvents>()?.0.push(event);
        Ok(())
    }

    /// Removes events before `before`; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, before: Timestamp, at_most: i64) -> Result<u64> {
        self.0.write_deferred().await?;
        prune!(
            self.0,
            "audit_events",
            "number",
            "where at < $1 order by at limit $2",
            before.micros(),
            at_most,
        )
    }

    /// The same of events that belong to no account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune_without_account(&mut self, before: Timestamp, at_most: i64) -> Result<u64> {
        self.0.write_deferred().await?;
        prune!(
            self.0,
            "audit_events",
            "number",
            "where account_id is null and at < $1 order by at limit $2",
            before.micros(),
            at_most,
        )
    }

    /// The account's sign-ins, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sign_ins(
        &mut self,
        account: AccountId,
        filter: SignInFilter,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<SignInEvent>> {
        let (one, other, third) = filter.actions();
        self.0.write_deferred().await?;
        let rows = fetch_all!(
            self.0,
            EventRow,
            "select number, at, action, ip, user_agent, metadata from audit_events
             where account_id = $1 and (action = $2 or action = $3 or action = $4)
             order by number desc limit $5 offset $6",
            account.0,
            one,
            other,
            third,
            limit,
            offset,
        )?;
        Ok(rows.into_iter().map(SignInEvent::from).map(SignInEvent::into_sign_in).collect())
    }

    /// Everything recorded about the account, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_account(&mut self, account: AccountId) -> Result<Vec<SignInEvent>> {
        self.0.write_deferred().await?;
        let rows = fetch_all!(
            self.0,
            EventRow,
            "select number, at, action, ip, user_agent, metadata from audit_events
             where account_id = $1 order by number",
            account.0,
        )?;
        Ok(rows.into_iter().map(SignInEvent::from).collect())
    }

    /// How many sign-ins of the account are recorded.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_sign_ins(&mut self, account: AccountId, filter: SignInFilter) -> Result<i64> {
        let (one, other, third) = filter.actions();
        self.0.write_deferred().await?;
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from audit_events
             where account_id = $1 and (action = $2 or action = $3 or action = $4)",
            account.0,
            one,
            other,
            third,
        )?;
        Ok(count)
    }
}

//! The unit of work: everything one request does to the store, or nothing of it.

use std::sync::Arc;

use tidegate_domain::id::{AccountId, SessionId};

use crate::engine::{Change, ChangeListener, Connection, Session};
use crate::{
    Result, StoreError, accounts::Accounts, audit::Audit, broker_cursors::BrokerCursors,
    brokerage::BrokerageAccounts, challenges::Challenges, databases::Databases, idempotency::Idempotency,
    keys::Keys, limits::Limits, members::Members, organizations::Organizations, outbox::Outbox,
    quotas::Quotas, refresh_tokens::RefreshTokens, sandbox_accounts::SandboxAccounts,
    service_keys::ServiceKeys, sessions::Sessions,
};

/// Changes told one by one; with more, the caches forget everything, which is quicker.
const MOST_CHANGES: usize = 200;

/// One transaction. Dropped without [`Unit::commit`], it never happened.
///
/// Keep it short and pure database: hashing, signing and network come before or after it.
pub struct Unit {
    session: Session,
    changes: Vec<Change>,
    listener: Option<Arc<dyn ChangeListener>>,
    /// Whether a statement failed, or was cut off and may have been run or not.
    doomed: bool,
}

impl Unit {
    pub(crate) fn new(session: Session, listener: Option<Arc<dyn ChangeListener>>) -> Self {
        Self { session, changes: Vec::new(), listener, doomed: false }
    }

    /// The connection, for the statement `sql`. The unit is doomed until [`Unit::succeeded`] says that it was run.
    ///
    /// # Errors
    /// [`StoreError::Database`] when a statement before it was not run: PostgreSQL would refuse this one anyway; SQLite
    /// would run it, after some errors outside of any transaction. Also when the unit is one to read with and the
    /// statement is not: SQLite would refuse it anyway; PostgreSQL would run it, and the caches would not hear of it.
    pub(crate) fn connection(&mut self, sql: &str) -> Result<Connection<'_>> {
        if self.doomed {
            return Err(doomed());
        }
        if !self.session.writes() && !sql.starts_with("select") {
            return Err(StoreError::Database("a unit that only reads cannot write".to_owned()));
        }
        self.doomed = self.session.writes();
        Ok(self.session.connection())
    }

    /// Notes that a statement was run.
    pub(crate) fn succeeded(&mut self) {
        self.doomed = false;
    }

    /// Makes everything durable, then tells the caches. When this returns `Ok` the work survives power loss.
    ///
    /// Once it is asked for, it happens, and the caches hear of it, whether or not anybody still waits.
    ///
    /// # Errors
    /// Those of the database; nothing was written then. [`StoreError::Database`] also when a statement of the unit
    /// failed: what is left of it is not what its caller meant.
    pub async fn commit(self) -> Result<()> {
        if self.doomed {
            return Err(doomed());
        }
        if !self.session.writes() {
            return Ok(());
        }
        // In a task of its own: a caller who goes away cannot stop it half-way with the writer in hand, nor keep from
        // the caches that a session has ended.
        let finishing = tokio::spawn(async move {
            self.session.commit(&self.changes).await?;
            if let Some(listener) = self.listener {
                self.changes.into_iter().for_each(|change| listener.changed(change));
            }
            Ok(())
        });
        finishing.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    /// Notes a change that caches must hear of once it is committed.
    pub(crate) fn note(&mut self, change: Change) {
        if self.changes.len() >= MOST_CHANGES {
            self.changes = vec![Change::Everything];
        } else if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// Notes that what is shown of an account changes with this unit.
    pub fn touch_account(&mut self, account: AccountId) {
        self.note(Change::Account(account));
    }

    /// Notes that a session changes with this unit.
    pub fn touch_session(&mut self, session: SessionId) {
        self.note(Change::Session(session));
    }

    /// Accounts, their identifiers and passwords.
    pub fn accounts(&mut self) -> Accounts<'_> {
        Accounts(self)
    }

    /// Organizations, workspaces and memberships.
    pub fn organizations(&mut self) -> Organizations<'_> {
        Organizations(self)
    }

    /// Accounts as the managers of their organization see them.
    pub fn members(&mut self) -> Members<'_> {
        Members(self)
    }

    /// Keys of programs.
    pub fn service_keys(&mut self) -> ServiceKeys<'_> {
        ServiceKeys(self)
    }

    /// Databases.
    pub fn databases(&mut self) -> Databases<'_> {
        Databases(self)
    }

    /// Sessions.
    pub fn sessions(&mut self) -> Sessions<'_> {
        Sessions(self)
    }

    /// Refresh tokens.
    pub fn refresh_tokens(&mut self) -> RefreshTokens<'_> {
        RefreshTokens(self)
    }

    /// Challenges.
    pub fn challenges(&mut self) -> Challenges<'_> {
        Challenges(self)
    }

    /// The audit log.
    pub fn audit(&mut self) -> Audit<'_> {
        Audit(self)
    }

    /// Mails and messages to be sent.
    pub fn outbox(&mut self) -> Outbox<'_> {
        Outbox(self)
    }

    /// Answers to repeated requests.
    pub fn idempotency(&mut self) -> Idempotency<'_> {
        Idempotency(self)
    }

    /// How much organizations keep.
    pub fn quotas(&mut self) -> Quotas<'_> {
        Quotas(self)
    }

    /// Rate limits.
    pub fn limits(&mut self) -> Limits<'_> {
        Limits(self)
    }

    /// People's accounts at a broker.
    pub fn brokerage(&mut self) -> BrokerageAccounts<'_> {
        BrokerageAccounts(self)
    }

    /// How far a broker's events were read.
    pub fn broker_cursors(&mut self) -> BrokerCursors<'_> {
        BrokerCursors(self)
    }

    /// What the embedded sandbox of a broker keeps.
    pub fn sandbox_accounts(&mut self) -> SandboxAccounts<'_> {
        SandboxAccounts(self)
    }

    /// Signing keys.
    pub fn keys(&mut self) -> Keys<'_> {
        Keys(self)
    }
}

fn doomed() -> StoreError {
    StoreError::Database(
        "a statement of this unit of work failed, so nothing of the unit is written".to_owned(),
    )
}

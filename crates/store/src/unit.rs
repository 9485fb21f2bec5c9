//! The unit of work: everything one request does to the store, or nothing of it.

use std::sync::Arc;

use tidegate_domain::id::{AccountId, SessionId};

use crate::engine::{Change, ChangeListener, Connection, Session};
use crate::{
    Result, accounts::Accounts, audit::Audit, challenges::Challenges, idempotency::Idempotency, keys::Keys,
    limits::Limits, organizations::Organizations, outbox::Outbox, refresh_tokens::RefreshTokens,
    sessions::Sessions,
};

/// One transaction. Dropped without [`Unit::commit`], it never happened.
///
/// Keep it short and pure database: hashing, signing and network come before or after it.
pub struct Unit {
    session: Session,
    changes: Vec<Change>,
    listener: Option<Arc<dyn ChangeListener>>,
}

impl Unit {
    pub(crate) fn new(session: Session, listener: Option<Arc<dyn ChangeListener>>) -> Self {
        Self { session, changes: Vec::new(), listener }
    }

    pub(crate) fn connection(&mut self) -> Connection<'_> {
        self.session.connection()
    }

    /// Makes everything durable, then tells the caches. When this returns `Ok` the work survives power loss.
    ///
    /// # Errors
    /// Those of the database; nothing was written then.
    pub async fn commit(self) -> Result<()> {
        self.session.commit(&self.changes).await?;
        if let Some(listener) = self.listener {
            self.changes.into_iter().for_each(|change| listener.changed(change));
        }
        Ok(())
    }

    /// Notes a change that caches must hear of once it is committed.
    pub(crate) fn note(&mut self, change: Change) {
        if !self.changes.contains(&change) {
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

    /// Rate limits.
    pub fn limits(&mut self) -> Limits<'_> {
        Limits(self)
    }

    /// Signing keys.
    pub fn keys(&mut self) -> Keys<'_> {
        Keys(self)
    }
}

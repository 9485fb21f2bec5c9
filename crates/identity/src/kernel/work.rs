//! One request's unit of work, and what most use cases do in it.

use serde_json::Value;
use tidegate_domain::Timestamp;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, OrganizationId, SessionId};
use tidegate_domain::limit::{Exceeded, Limit};
use tidegate_store::Unit;
use tidegate_store::audit::NewEvent;

use crate::kernel::fault::Fault;
use crate::kernel::throttle::Counted;
use crate::{Actor, Call, Identity};

/// A unit of work on behalf of a caller.
pub(crate) struct Work<'a> {
    pub(crate) app: &'a Identity,
    pub(crate) call: &'a Call,
    pub(crate) unit: Unit,
    pub(crate) now: Timestamp,
}

/// What an audit event is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) account: Option<AccountId>,
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) session: Option<SessionId>,
}

impl From<AccountId> for Subject {
    fn from(account: AccountId) -> Self {
        Self { account: Some(account), ..Self::default() }
    }
}

impl Identity {
    /// Begins a unit of work.
    pub(crate) async fn begin<'a>(&'a self, call: &'a Call) -> Result<Work<'a>, Fault> {
        Ok(Work { app: self, call, unit: self.store.begin().await?, now: self.now() })
    }
}

impl Work<'_> {
    /// Records that something happened.
    pub(crate) async fn audit(
        &mut self,
        action: Action,
        subject: impl Into<Subject>,
        metadata: Value,
    ) -> Result<(), Fault> {
        let subject = subject.into();
        let event = NewEvent {
            id: self.app.entropy.uuid(self.now).into(),
            at: self.now,
            action,
            account: subject.account,
            organization: subject.organization,
            session: subject.session,
            dialect: Some(self.call.profile.dialect),
            ip: &self.call.ip.to_string(),
            user_agent: &self.call.user_agent,
            metadata,
        };
        Ok(self.unit.audit().insert(&event).await?)
    }

    /// Waits for whoever else changes the account's password or answers what was sent to it, and keeps the next one
    /// waiting until this unit ends: what is opened while a password is replaced must not outlive it. To be taken before
    /// any other row of the account, so that no two wait for each other.
    pub(crate) async fn lock(&mut self, account: AccountId) -> Result<(), Fault> {
        Ok(self.unit.accounts().lock(account).await?)
    }

    /// Refuses an actor whose session has ended, or whose role has sunk, since their token was accepted: hashing and
    /// waiting take a while, and what is remembered of a session may be two seconds old.
    pub(crate) async fn still(&mut self, actor: &Actor) -> Result<(), Fault> {
        let known = self.unit.sessions().record(actor.session.id).await?;
        let holds = known.is_some_and(|known| !known.ended && known.role >= actor.session.role);
        if holds { Ok(()) } else { Err(Fault::SessionEnded) }
    }

    /// Counts one more against a limit; answers by how much that is too many, if it is.
    pub(crate) async fn count(
        &mut self,
        counted: Counted<'_>,
        limit: Option<Limit>,
    ) -> Result<Option<Exceeded>, Fault> {
        let Some(limit) = limit else {
            return Ok(None);
        };
        let bucket = self.app.bucket(self.call, counted);
        let standing = self.unit.limits().count(&bucket, limit, 1, self.now).await?;
        Ok(standing.exceeded.then(|| standing.exceeded_at(self.now)))
    }

    /// Makes it all durable.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        Ok(self.unit.commit().await?)
    }
}

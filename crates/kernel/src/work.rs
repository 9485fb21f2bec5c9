//! One request's unit of work, and what most use cases do in it.

use serde_json::Value;
use tidegate_database::Unit;
use tidegate_domain::Timestamp;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, OrganizationId, SessionId};
use tidegate_domain::limit::{Exceeded, Limit};

use crate::fault::Fault;
use crate::tables::audit::NewEvent;
use crate::throttle::Counted;
use crate::{Call, Kernel, KernelTables};

/// A unit of work on behalf of a caller, lent by the feature whose use case it is.
pub struct Work<'w> {
    /// The kernel.
    pub kernel: &'w Kernel,
    /// Who is calling.
    pub call: &'w Call,
    /// The unit of work.
    pub unit: &'w mut Unit,
    /// When it began.
    pub now: Timestamp,
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

impl Work<'_> {
    /// Records that something happened.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit(
        &mut self,
        action: Action,
        subject: impl Into<Subject>,
        metadata: Value,
    ) -> Result<(), Fault> {
        let subject = subject.into();
        let event = NewEvent {
            id: self.kernel.entropy.uuid(self.now).into(),
            at: self.now,
            action,
            account: subject.account,
            organization: subject.organization,
            session: subject.session,
            contract: Some(self.call.profile.contract),
            ip: &self.call.ip.to_string(),
            user_agent: &self.call.user_agent,
            metadata,
        };
        Ok(self.unit.audit().insert(&event).await?)
    }

    /// Waits for whoever else changes the account's password or answers what was sent to it, and keeps the next one
    /// waiting until this unit ends: what is opened while a password is replaced must not outlive it. To be taken before
    /// any other row of the account, so that no two wait for each other.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn lock(&mut self, account: AccountId) -> Result<(), Fault> {
        Ok(self.unit.account_cards().lock(account).await?)
    }

    /// Counts one more against a limit; answers by how much that is too many, if it is.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count(
        &mut self,
        counted: Counted<'_>,
        limit: Option<Limit>,
    ) -> Result<Option<Exceeded>, Fault> {
        let Some(limit) = limit else {
            return Ok(None);
        };
        let bucket = self.kernel.bucket(self.call, counted);
        let standing = self.unit.limits().count(&bucket, limit, 1, self.now).await?;
        Ok(standing.exceeded.then(|| standing.exceeded_at(self.now)))
    }
}

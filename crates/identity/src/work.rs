//! One request's unit of work.

use serde_json::Value;
use tidegate_database::Unit;
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_domain::limit::{Exceeded, Limit};
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::message::{CodeText, Mail};
use tidegate_kernel::reserved::Reserved;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, CountedMessage, Fault, Grant};

use crate::Identity;

/// A unit of work on behalf of a caller. One that acts for a signed-in caller carries the grant by which it acts.
pub(crate) struct Work<'a, G = ()> {
    pub(crate) app: &'a Identity,
    pub(crate) call: &'a Call,
    pub(crate) unit: Unit,
    pub(crate) now: Timestamp,
    pub(crate) grant: G,
    /// What is counted already as the failure it may turn out to be; given back with the commit, or where there is none.
    pub(crate) reserved: Option<Reserved>,
}

/// A unit of work of a signed-in caller, who has been found to be allowed it in the same unit.
pub(crate) type Acting<'a> = Work<'a, Grant>;

/// The caller is no member of the organization, or their role there does not allow it. One that does not exist looks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("you are no member of this organization, or your role there does not allow this")]
pub struct NoAccess;

impl Identity {
    /// Begins a unit of work for a caller who is not signed in: what they send proves what they may do.
    pub(crate) async fn begin<'a>(&'a self, call: &'a Call) -> Result<Work<'a>, Fault> {
        let unit = self.kernel.begin_for_call(call).await?;
        Ok(Work { app: self, call, unit, now: self.kernel.now(), grant: (), reserved: None })
    }

    /// Begins a unit of work of a signed-in caller, if they may do this now. The session is read again in the unit; where
    /// the permission is about the caller's own account, the account is locked first, until the unit ends.
    pub(crate) async fn begin_as<'a>(
        &'a self,
        call: &'a Call,
        actor: &Actor,
        permission: Permission,
    ) -> Result<Acting<'a>, Fault> {
        let mut unit = self.kernel.begin_for_call(call).await?;
        let grant = self.kernel.grant_in(&mut unit, actor, permission).await?;
        Ok(Work { app: self, call, unit, now: self.kernel.now(), grant, reserved: None })
    }

    /// Begins a unit of work of a signed-in caller in one of their organizations, if their role there allows this. It acts by the
    /// grant that they have there.
    pub(crate) async fn begin_in<'a>(
        &'a self,
        call: &'a Call,
        actor: &Actor,
        organization: i64,
        permission: Permission,
    ) -> Outcome<Acting<'a>, NoAccess> {
        let mut unit = self.kernel.begin_for_call(call).await?;
        let grant = self.grant_in(&mut unit, actor, organization, permission).await?;
        Ok(Work { app: self, call, unit, now: self.kernel.now(), grant, reserved: None })
    }

    /// Begins to read for a signed-in caller in one of their organizations, if their role there allows this.
    pub(crate) async fn read_in(
        &self,
        actor: &Actor,
        organization: i64,
        permission: Permission,
    ) -> Outcome<(Unit, Grant), NoAccess> {
        let mut unit = self.kernel.store.read().await?;
        let grant = self.grant_in(&mut unit, actor, organization, permission).await?;
        Ok((unit, grant))
    }

    async fn grant_in(
        &self,
        unit: &mut Unit,
        actor: &Actor,
        organization: i64,
        permission: Permission,
    ) -> Outcome<Grant, NoAccess> {
        match self.kernel.grant_in_organization(unit, actor, organization, permission).await? {
            Some(grant) => Ok(grant),
            None => refuse(NoAccess),
        }
    }

    /// Counts a message for a signed-in caller, if they may do this: before the unit that sends it begins.
    pub(crate) async fn count_message_as(
        &self,
        call: &Call,
        actor: &Actor,
        permission: Permission,
    ) -> Result<CountedMessage, Fault> {
        actor.authorize(permission)?;
        self.kernel.count_message(call).await
    }

    /// Begins to read for a signed-in caller, if they may; what is known of their session may be two seconds old.
    pub(crate) async fn read_as<'a>(
        &self,
        actor: &'a Actor,
        permission: Permission,
    ) -> Result<(Unit, &'a Grant), Fault> {
        let grant = actor.authorize(permission)?;
        self.kernel.ensure_session_current(grant).await?;
        Ok((self.kernel.store.read().await?, grant))
    }
}

/// What every feature does in its units of work. Written out rather than dereferenced to: use cases pass `work.now` and
/// `work.call` along while they write to `work.unit`.
impl<G> Work<'_, G> {
    /// The same work as the kernel sees it.
    pub(crate) fn kernel(&mut self) -> tidegate_kernel::Work<'_> {
        tidegate_kernel::Work {
            kernel: &self.app.kernel,
            call: self.call,
            unit: &mut self.unit,
            now: self.now,
        }
    }

    pub(crate) async fn audit(
        &mut self,
        action: Action,
        subject: impl Into<Subject>,
        metadata: Value,
    ) -> Result<(), Fault> {
        self.kernel().audit(action, subject, metadata).await
    }

    pub(crate) async fn lock(&mut self, account: AccountId) -> Result<(), Fault> {
        self.kernel().lock(account).await
    }

    pub(crate) async fn count(
        &mut self,
        counted: Counted<'_>,
        limit: Option<Limit>,
    ) -> Result<Option<Exceeded>, Fault> {
        self.kernel().count(counted, limit).await
    }

    pub(crate) async fn send(&mut self, mail: Mail<'_>, counted: CountedMessage) -> Result<(), Fault> {
        self.kernel().send(mail, counted).await
    }

    pub(crate) async fn notify(&mut self, mail: Mail<'_>) -> Result<(), Fault> {
        self.kernel().notify(mail).await
    }

    pub(crate) async fn text_code(
        &mut self,
        text: CodeText<'_>,
        counted: CountedMessage,
    ) -> Result<(), Fault> {
        self.kernel().text_code(text, counted).await
    }

    /// Makes it all durable.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        let Self { mut unit, reserved, .. } = self;
        let Some(reserved) = reserved else {
            return Ok(unit.commit().await?);
        };
        reserved.refund_in_unit(&mut unit).await?;
        unit.commit().await?;
        // The work is done: what stays counted by mistake is no reason to say that it failed.
        if let Err(fault) = reserved.give_back().await {
            tracing::warn!(error = %fault, "an attempt that did not fail stays counted as one");
        }
        Ok(())
    }
}

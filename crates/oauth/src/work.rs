//! One request's unit of work.

use serde_json::Value;
use tidegate_database::Unit;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, SessionId};
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::tables::sessions::SessionRecord;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, Fault, Grant};

use crate::Oauth;
use crate::applications::ApplicationError;

/// A unit of work on behalf of a caller. One that acts for a signed-in caller carries the grant by which it acts.
pub(crate) struct Work<'a, G = ()> {
    pub(crate) app: &'a Oauth,
    pub(crate) call: &'a Call,
    pub(crate) unit: Unit,
    pub(crate) now: Timestamp,
    pub(crate) grant: G,
}

/// A unit of work of a signed-in caller, who has been found to be allowed it in the same unit.
pub(crate) type Acting<'a> = Work<'a, Grant>;

impl Oauth {
    /// Begins a unit of work for a caller who is not signed in: what they send proves what they may do.
    pub(crate) async fn begin<'a>(&'a self, call: &'a Call) -> Result<Work<'a>, Fault> {
        let unit = self.kernel.begin_for_call(call).await?;
        Ok(Work { app: self, call, unit, now: self.kernel.now(), grant: () })
    }

    /// Begins a unit of work of a signed-in caller, if they may do this now. The session is read again in the unit.
    pub(crate) async fn begin_as<'a>(
        &'a self,
        call: &'a Call,
        actor: &Actor,
        permission: Permission,
    ) -> Result<Acting<'a>, Fault> {
        let mut unit = self.kernel.begin_for_call(call).await?;
        let grant = self.kernel.grant_in(&mut unit, actor, permission).await?;
        Ok(Work { app: self, call, unit, now: self.kernel.now(), grant })
    }

    /// Begins a unit of work of a signed-in caller in one of their organizations, if their role there allows this. It acts by the
    /// grant that they have there.
    pub(crate) async fn begin_in<'a>(
        &'a self,
        call: &'a Call,
        actor: &Actor,
        organization: i64,
        permission: Permission,
    ) -> Outcome<Acting<'a>, ApplicationError> {
        let mut unit = self.kernel.begin_for_call(call).await?;
        let grant = self.grant_in(&mut unit, actor, organization, permission).await?;
        Ok(Work { app: self, call, unit, now: self.kernel.now(), grant })
    }

    /// Begins to read for a signed-in caller in one of their organizations, if their role there allows this.
    pub(crate) async fn read_in(
        &self,
        actor: &Actor,
        organization: i64,
        permission: Permission,
    ) -> Outcome<(Unit, Grant), ApplicationError> {
        let mut unit = self.kernel.store.read().await?;
        let grant = self.grant_in(&mut unit, actor, organization, permission).await?;
        Ok((unit, grant))
    }

    /// Whether another organization exists, who is no member does not learn.
    async fn grant_in(
        &self,
        unit: &mut Unit,
        actor: &Actor,
        organization: i64,
        permission: Permission,
    ) -> Outcome<Grant, ApplicationError> {
        match self.kernel.grant_in_organization(unit, actor, organization, permission).await? {
            Some(grant) => Ok(grant),
            None => refuse(ApplicationError::OrganizationDenied),
        }
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

impl Work<'_> {
    /// The session that approved what an application exchanges now, locked with its account: as it is now, for an approval at `at`. None
    /// where it has ended, or could not approve it now.
    pub(crate) async fn approving(
        &mut self,
        account: AccountId,
        session: SessionId,
        at: Timestamp,
    ) -> Result<Option<SessionRecord>, Fault> {
        self.kernel().lock(account).await?;
        let approving = self.app.kernel.current_session(&mut self.unit, session).await?;
        let Some(approving) = approving.filter(|approving| approving.account == account) else {
            return Ok(None);
        };
        match self.kernel().require_shown(&approving, approving.contract, at).await {
            Err(Fault::StepUpRequired) => Ok(None),
            Err(fault) => Err(fault),
            Ok(()) => Ok(Some(approving)),
        }
    }
}

impl Acting<'_> {
    /// Refuses a caller who has not shown lately enough who they are: see [`authorize_recent`].
    ///
    /// [`authorize_recent`]: tidegate_kernel::Work::authorize_recent
    pub(crate) async fn authorize_recent(&mut self) -> Result<(), Fault> {
        let mut work = tidegate_kernel::Work {
            kernel: &self.app.kernel,
            call: self.call,
            unit: &mut self.unit,
            now: self.now,
        };
        work.authorize_recent(&self.grant).await
    }
}

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

    /// Makes it all durable.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        Ok(self.unit.commit().await?)
    }
}

//! One request's unit of work.

use tidegate_database::Unit;
use tidegate_domain::id::{AccountId, SessionId};
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::tables::sessions::SessionRecord;
use tidegate_kernel::{Actor, Call, Fault, Grant};

use crate::Oauth;
use crate::applications::ApplicationError;

tidegate_kernel::feature_work!(Oauth: begin, read);

impl Oauth {
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

//! One request's unit of work.

use serde_json::Value;
use tidegate_database::Unit;
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::hooks::ContactDetails;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, Fault, Grant};

use crate::Brokerage;

/// A unit of work on behalf of a caller. One that acts for a signed-in caller carries the grant by which it acts.
pub(crate) struct Work<'a, G = ()> {
    pub(crate) app: &'a Brokerage,
    pub(crate) call: &'a Call,
    pub(crate) unit: Unit,
    pub(crate) now: Timestamp,
    pub(crate) grant: G,
}

/// A unit of work of a signed-in caller, who has been found to be allowed it in the same unit.
pub(crate) type Acting<'a> = Work<'a, Grant>;

impl Brokerage {
    /// Begins a unit of work that notes what the broker did.
    pub(crate) async fn begin<'a>(&'a self, call: &'a Call) -> Result<Work<'a>, Fault> {
        let unit = self.kernel.begin_for_call(call).await?;
        Ok(Work { app: self, call, unit, now: self.kernel.now(), grant: () })
    }

    /// Begins a unit of work of a signed-in caller, if they may do this now: see [`Kernel::grant_in`].
    ///
    /// [`Kernel::grant_in`]: tidegate_kernel::Kernel::grant_in
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
}

/// What every feature does in its units of work.
impl<G> Work<'_, G> {
    fn kernel(&mut self) -> tidegate_kernel::Work<'_> {
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

    pub(crate) async fn contact_learned(
        &mut self,
        account: AccountId,
        details: ContactDetails<'_>,
    ) -> Result<(), Fault> {
        self.kernel().contact_learned(account, details).await
    }

    /// Makes it all durable.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        Ok(self.unit.commit().await?)
    }
}

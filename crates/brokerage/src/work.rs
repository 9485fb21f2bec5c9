//! One request's unit of work.

use serde_json::Value;
use tidegate_database::Unit;
use tidegate_domain::Timestamp;
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_kernel::hooks::ContactDetails;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, Fault};

use crate::Brokerage;

/// A unit of work on behalf of a caller.
pub(crate) struct Work<'a> {
    pub(crate) app: &'a Brokerage,
    pub(crate) call: &'a Call,
    pub(crate) unit: Unit,
    pub(crate) now: Timestamp,
}

impl Brokerage {
    /// Begins a unit of work.
    pub(crate) async fn begin<'a>(&'a self, call: &'a Call) -> Result<Work<'a>, Fault> {
        Ok(Work { app: self, call, unit: self.kernel.store.begin().await?, now: self.kernel.now() })
    }
}

/// What every feature does in its units of work.
impl Work<'_> {
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

    pub(crate) async fn still(&mut self, actor: &Actor) -> Result<(), Fault> {
        self.kernel().still(actor).await
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

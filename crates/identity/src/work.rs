//! One request's unit of work.

use serde_json::Value;
use tidegate_database::Unit;
use tidegate_domain::Timestamp;
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_domain::limit::{Exceeded, Limit};
use tidegate_kernel::message::{CodeText, Mail};
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, Fault};

use crate::Identity;

/// A unit of work on behalf of a caller.
pub(crate) struct Work<'a> {
    pub(crate) app: &'a Identity,
    pub(crate) call: &'a Call,
    pub(crate) unit: Unit,
    pub(crate) now: Timestamp,
}

impl Identity {
    /// Begins a unit of work.
    pub(crate) async fn begin<'a>(&'a self, call: &'a Call) -> Result<Work<'a>, Fault> {
        Ok(Work { app: self, call, unit: self.kernel.store.begin().await?, now: self.kernel.now() })
    }
}

/// What every feature does in its units of work. Written out rather than dereferenced to: use cases pass `work.now` and
/// `work.call` along while they write to `work.unit`.
impl Work<'_> {
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

    pub(crate) async fn still(&mut self, actor: &Actor) -> Result<(), Fault> {
        self.kernel().still(actor).await
    }

    pub(crate) async fn count(
        &mut self,
        counted: Counted<'_>,
        limit: Option<Limit>,
    ) -> Result<Option<Exceeded>, Fault> {
        self.kernel().count(counted, limit).await
    }

    pub(crate) async fn send(&mut self, mail: Mail<'_>) -> Result<(), Fault> {
        self.kernel().send(mail).await
    }

    pub(crate) async fn notify(&mut self, mail: Mail<'_>) -> Result<(), Fault> {
        self.kernel().notify(mail).await
    }

    pub(crate) async fn text_code(&mut self, text: CodeText<'_>) -> Result<(), Fault> {
        self.kernel().text_code(text).await
    }

    /// Makes it all durable.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        Ok(self.unit.commit().await?)
    }
}

//! One request's unit of work.

use serde_json::Value;
use tidegate_database::Unit;
use tidegate_domain::audit::Action;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, Fault, Grant};

use crate::Catalog;
use crate::sources::access::Viewer;

/// A unit of work on behalf of a caller. One that acts for a signed-in caller carries the grant by which it acts.
pub(crate) struct Work<'a, G = ()> {
    pub(crate) app: &'a Catalog,
    pub(crate) call: &'a Call,
    pub(crate) unit: Unit,
    pub(crate) now: Timestamp,
    pub(crate) grant: G,
}

/// A unit of work of a signed-in caller, who has been found to be allowed it in the same unit.
pub(crate) type Acting<'a> = Work<'a, Grant>;

impl Catalog {
    /// Begins a unit of work of the operator's.
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

impl Acting<'_> {
    /// Whose sources the caller sees.
    pub(crate) fn viewer(&self) -> Viewer {
        Viewer::of(&self.grant)
    }
}

impl<G> Work<'_, G> {
    pub(crate) async fn audit(
        &mut self,
        action: Action,
        subject: impl Into<Subject>,
        metadata: Value,
    ) -> Result<(), Fault> {
        let mut work = tidegate_kernel::Work {
            kernel: &self.app.kernel,
            call: self.call,
            unit: &mut self.unit,
            now: self.now,
        };
        work.audit(action, subject, metadata).await
    }

    /// Makes it all durable.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        Ok(self.unit.commit().await?)
    }
}

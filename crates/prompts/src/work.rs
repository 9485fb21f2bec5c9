//! One request's unit of work.

use serde_json::Value;
use tidegate_database::Unit;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{AccountId, OrganizationId, WorkspaceId};
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, Call, Fault, Grant};

use crate::ports::SourceName;
use crate::{PromptRefusal, PromptTables, Prompts};

/// Whose questions are meant: one person's, in one organization. Those of others do not exist for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    pub(crate) organization: OrganizationId,
    pub(crate) account: AccountId,
}

impl Person {
    pub(crate) fn of(grant: &Grant) -> Self {
        Self { organization: grant.organization(), account: grant.account() }
    }
}

/// A unit of work on behalf of a signed-in caller, who has been found to be allowed it in the same unit.
pub(crate) struct Acting<'a> {
    pub(crate) app: &'a Prompts,
    pub(crate) call: &'a Call,
    pub(crate) unit: Unit,
    pub(crate) now: Timestamp,
    pub(crate) grant: Grant,
}

impl Prompts {
    /// Begins a unit of work of a signed-in caller, if they may do this now. The session is read again in the unit.
    pub(crate) async fn begin_as<'a>(
        &'a self,
        call: &'a Call,
        actor: &Actor,
        permission: Permission,
    ) -> Result<Acting<'a>, Fault> {
        let mut unit = self.kernel.begin_for_call(call).await?;
        let grant = self.kernel.grant_in(&mut unit, actor, permission).await?;
        Ok(Acting { app: self, call, unit, now: self.kernel.now(), grant })
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
    pub(crate) fn person(&self) -> Person {
        Person::of(&self.grant)
    }

    /// The workspace of that number that the caller belongs to, or the one they land in, with its number.
    pub(crate) async fn workspace(
        &mut self,
        number: Option<i64>,
    ) -> Outcome<(WorkspaceId, i64), PromptRefusal> {
        let sees_all = self.grant.allows(Permission::AdministerDataSources);
        let person = self.person();
        match self.unit.prompts().workspace(person, sees_all, number).await? {
            Some(workspace) => Ok(workspace),
            None => refuse(PromptRefusal::WorkspaceNotFound),
        }
    }

    /// Refuses data sources that the caller does not see.
    pub(crate) async fn require_sources(
        &mut self,
        numbers: &[i64],
    ) -> Outcome<Vec<SourceName>, PromptRefusal> {
        let seen = self.app.ports.sources.seen(&mut self.unit, &self.grant).await?;
        match numbers.iter().find(|number| seen.iter().all(|source| source.number != **number)) {
            Some(unseen) => refuse(PromptRefusal::SourceNotFound(*unseen)),
            None => Ok(seen.into_iter().filter(|source| numbers.contains(&source.number)).collect()),
        }
    }

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

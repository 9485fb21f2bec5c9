//! One request's unit of work.

use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::Grant;
use tidegate_kernel::fault::{Outcome, refuse};

use crate::ports::SourceName;
use crate::{PromptRefusal, Prompts};

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

tidegate_kernel::feature_work!(Prompts: read);

impl Acting<'_> {
    pub(crate) fn person(&self) -> Person {
        Person::of(&self.grant)
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
}

//! What a policy is assigned to is there.

use std::collections::HashSet;

use tidegate_domain::Role;
use tidegate_kernel::fault::{Outcome, refuse};
use uuid::Uuid;

use super::error::PolicyRefusal;
use super::policy::Targets;
use crate::PolicyTables;
use crate::work::Acting;

impl Acting<'_> {
    /// The key of the organization's workspace of that number.
    pub(super) async fn workspace(&mut self, number: i64) -> Outcome<Uuid, PolicyRefusal> {
        let organization = self.grant.organization();
        match self.unit.policies().workspace(organization, number).await? {
            Some(key) => Ok(key),
            None => refuse(PolicyRefusal::TargetNotFound { kind: "workspace", number }),
        }
    }

    /// Refuses what names nothing, or something that the organization does not have. Data sets and saved queries come with their
    /// own modules: until then there are none.
    pub(super) async fn require_targets(&mut self, all: &[Targets]) -> Outcome<(), PolicyRefusal> {
        let organization = self.grant.organization();
        let sources = match all.iter().any(|targets| targets.data_source.is_some()) {
            true => self.app.sources.sources(&mut self.unit, organization).await?,
            false => Vec::new(),
        };
        let sources: HashSet<i64> = sources.iter().map(|source| source.number).collect();
        for targets in all {
            self.require_target(targets, &sources).await?;
        }
        Ok(())
    }

    async fn require_target(
        &mut self,
        targets: &Targets,
        sources: &HashSet<i64>,
    ) -> Outcome<(), PolicyRefusal> {
        let organization = self.grant.organization();
        if targets.is_empty() {
            return refuse(PolicyRefusal::NoTarget);
        }
        let missing = |kind, number| refuse(PolicyRefusal::TargetNotFound { kind, number });
        if let Some(number) = targets.dataset {
            return missing("data set", number);
        }
        if let Some(number) = targets.query {
            return missing("query", number);
        }
        if let Some(number) = targets.role
            && Role::from_number(number).is_none()
        {
            return missing("role", number);
        }
        if let Some(number) = targets.user
            && !self.unit.policies().has_member(organization, number).await?
        {
            return missing("user", number);
        }
        if let Some(number) = targets.workspace {
            self.workspace(number).await?;
        }
        if let Some(number) = targets.data_source
            && !sources.contains(&number)
        {
            return missing("data source", number);
        }
        Ok(())
    }
}

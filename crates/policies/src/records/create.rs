//! A policy is made.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::quota::Quota;
use tidegate_domain::{Document, Permission};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use super::error::PolicyRefusal;
use super::find::full;
use super::lacking::{of_alternatives, with_what_it_lacks};
use super::policy::{
    FullPolicy, MAX_ASSIGNMENTS, MAX_ASSIGNMENTS_OF_ALL, MAX_CONFIG_OF_ALL, MAX_RULES, MAX_RULES_OF_ALL,
    NewPolicy, Targets,
};
use crate::work::Acting;
use crate::{Policies, PolicyTables};

impl Policies {
    /// Makes a policy of the caller's organization. Its rules are read and checked against the relations they are about: what could not
    /// be enforced is refused now.
    ///
    /// Source: RiverGen "policies", create.
    ///
    /// # Errors
    /// [`PolicyRefusal::TargetNotFound`], [`PolicyRefusal::WrongRule`], [`PolicyRefusal::BadRule`], [`PolicyRefusal::TooMany`],
    /// [`PolicyRefusal::TooManyOfAll`].
    pub async fn create_policy(
        &self,
        call: &Call,
        actor: &Actor,
        new: NewPolicy,
    ) -> Outcome<FullPolicy, PolicyRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManagePolicies).await?;
        let made = work.add(&new).await?;
        let metadata = json!({ "policy": made.policy.number, "type": made.policy.kind.as_str() });
        let subject = work.grant.subject();
        work.audit(Action::PolicyCreated, subject, metadata).await?;
        work.commit().await?;
        Ok(made)
    }
}

impl Acting<'_> {
    async fn add(&mut self, new: &NewPolicy) -> Outcome<FullPolicy, PolicyRefusal> {
        bounded("rules", new.rules.len(), MAX_RULES)?;
        bounded("assignments", new.targets.len(), MAX_ASSIGNMENTS)?;
        let (kernel, now, organization) = (&self.app.kernel, self.now, self.grant.organization());
        self.lock_policies().await?;
        let workspace = match new.workspace {
            Some(number) => Some(self.workspace(number).await?),
            None => None,
        };
        self.require_targets(&new.targets).await?;
        let warnings = self.check_rules(new.kind, &new.rules, new.workspace, &new.targets).await?;
        let (id, account) = (kernel.new_uuid(), self.grant.session().account_number);
        self.unit.policies().insert(id, organization, workspace, new, account, now).await?;
        let count = self.unit.policies().count(organization).await?;
        kernel.settings.quotas.judge(Quota::Policies, count)?;
        self.unit.policy_rules().insert(id, &new.rules, now).await?;
        for targets in &new.targets {
            let metadata = Document::default();
            self.unit.policy_assignments().insert(id, targets, true, &metadata, account, now).await?;
        }
        self.require_room().await?;
        let made = self.unit.policies().of_key(id).await?;
        let made = made.ok_or_else(|| Fault::Internal("a policy is gone that was just made".to_owned()))?;
        let unheeded = self.unheeded_workspace(made.number, new).await?;
        let empty = self.empty_groups(&new.targets).await?;
        let told = of_alternatives(made.number, &new.targets).into_iter().chain(unheeded).chain(empty);
        let warnings = told.chain(warnings).collect();
        Ok(with_what_it_lacks(full(&mut self.unit, made, warnings).await?))
    }

    /// Refuses what was just added if all policies of the organization have more now than they may.
    pub(super) async fn require_room(&mut self) -> Outcome<(), PolicyRefusal> {
        let organization = self.grant.organization();
        let (rules, characters) = self.unit.policy_rules().totals(organization).await?;
        let assignments = self.unit.policy_assignments().count(organization).await?;
        for (what, count, limit) in [
            ("rules", rules, MAX_RULES_OF_ALL),
            ("characters of rule_config", characters, MAX_CONFIG_OF_ALL),
            ("assignments", assignments, MAX_ASSIGNMENTS_OF_ALL),
        ] {
            if usize::try_from(count).unwrap_or(usize::MAX) > limit {
                return refuse(PolicyRefusal::TooManyOfAll { what, limit });
            }
        }
        Ok(())
    }
}

/// Refuses more than a policy may have.
pub(super) fn bounded(what: &'static str, count: usize, limit: usize) -> Outcome<(), PolicyRefusal> {
    if count > limit { refuse(PolicyRefusal::TooMany { what, limit }) } else { Ok(()) }
}

/// One assignment for each number.
pub fn expanded(numbers: &[i64], target: impl Fn(&mut Targets, i64)) -> Vec<Targets> {
    let one = |number: &i64| {
        let mut targets = Targets::default();
        target(&mut targets, *number);
        targets
    };
    numbers.iter().map(one).collect()
}

//! A policy is changed.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::{Document, Permission};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use super::create::bounded;
use super::error::PolicyRefusal;
use super::find::{found, full};
use super::lacking::with_what_it_lacks;
use super::policy::{FullPolicy, MAX_RULES, NewRule, PolicyRecord, Targets};
use crate::work::Acting;
use crate::{Policies, PolicyTables};

/// What is to be changed of a policy; what is none stays. An inner `None` clears what may be empty.
#[derive(Clone, Debug, Default)]
pub struct PolicyChange {
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<Option<String>>,
    /// Whether it holds.
    pub is_active: Option<bool>,
    /// Higher first.
    pub priority: Option<i64>,
    /// The client's own.
    pub metadata: Option<Document>,
    /// Take the place of its rules (extension).
    pub rules: Option<Vec<NewRule>>,
}

impl Policies {
    /// Changes a policy of the caller's organization, which is of a new version then: what is decided from now on is decided by it.
    ///
    /// Source: RiverGen "policies/{policy_id}", update.
    ///
    /// # Errors
    /// [`PolicyRefusal::NotFound`]; for rules those of [`Policies::create_policy`].
    pub async fn change_policy(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
        change: PolicyChange,
    ) -> Outcome<FullPolicy, PolicyRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManagePolicies).await?;
        let policy = work.policy_to_change(number).await?;
        let rules = change.rules.clone();
        let warnings = match &rules {
            Some(rules) => work.replace_rules(&policy, rules).await?,
            None => Vec::new(),
        };
        let changed = applied(policy, change);
        let account = work.grant.session().account_number;
        work.unit.policies().change(&changed, account, work.now).await?;
        let metadata = json!({ "policy": number, "version": changed.version + 1, "rules": rules.is_some() });
        let subject = work.grant.subject();
        work.audit(Action::PolicyUpdated, subject, metadata).await?;
        let Some(after) = work.unit.policies().of_key(changed.id).await? else {
            return refuse(PolicyRefusal::NotFound);
        };
        let after = with_what_it_lacks(full(&mut work.unit, after, warnings).await?);
        work.commit().await?;
        Ok(after)
    }
}

fn applied(policy: PolicyRecord, change: PolicyChange) -> PolicyRecord {
    PolicyRecord {
        name: change.name.unwrap_or(policy.name),
        description: change.description.unwrap_or(policy.description),
        is_active: change.is_active.unwrap_or(policy.is_active),
        priority: change.priority.unwrap_or(policy.priority),
        metadata: change.metadata.unwrap_or(policy.metadata),
        ..policy
    }
}

impl Acting<'_> {
    /// The organization's policy of that number, to be changed: others wait until the unit ends.
    pub(super) async fn policy_to_change(&mut self, number: i64) -> Outcome<PolicyRecord, PolicyRefusal> {
        self.lock_policies().await?;
        let organization = self.grant.organization();
        found(&mut self.unit, organization, number).await
    }

    /// Keeps other changes of the organization's policies waiting until the unit ends. Who lost their role while they waited changes none.
    pub(super) async fn lock_policies(&mut self) -> Result<(), Fault> {
        let organization = self.grant.organization();
        self.unit.policies().lock(organization).await?;
        self.grant = self.app.kernel.renewed(&mut self.unit, &self.grant).await?;
        Ok(())
    }

    async fn replace_rules(
        &mut self,
        policy: &PolicyRecord,
        rules: &[NewRule],
    ) -> Outcome<Vec<String>, PolicyRefusal> {
        bounded("rules", rules.len(), MAX_RULES)?;
        let assignments = self.unit.policy_assignments().of(policy.id).await?;
        let targets: Vec<Targets> = assignments.into_iter().map(|assignment| assignment.targets).collect();
        let warnings = self.check_rules(policy.kind, rules, policy.workspace, &targets).await?;
        self.unit.policy_rules().replace(policy.id, rules, self.now).await?;
        self.require_room().await?;
        Ok(warnings)
    }
}

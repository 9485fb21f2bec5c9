//! A policy is assigned, and an assignment removed.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::{Document, Permission, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};
use tidegate_policy::RuleType;

use super::create::bounded;
use super::error::PolicyRefusal;
use super::policy::{
    MAX_ASSIGNED_METADATA, MAX_ASSIGNMENTS, NewRule, PolicyRecord, RuleRecord, StoredAssignment, Targets,
};
use super::repository::document;
use crate::work::Acting;
use crate::{Policies, PolicyTables};

/// An assignment to be made.
#[derive(Clone, Debug)]
pub struct NewAssignment {
    /// To what: all of it must match.
    pub targets: Targets,
    /// Whether it counts.
    pub is_active: bool,
    /// The client's own.
    pub metadata: Document,
}

impl Policies {
    /// Assigns a policy of the caller's organization. Its rules must fit a data source that is named.
    ///
    /// Source: RiverGen "policies/{policy_id}/assignments".
    ///
    /// # Errors
    /// [`PolicyRefusal::NotFound`], [`PolicyRefusal::NoTarget`], [`PolicyRefusal::TargetNotFound`], [`PolicyRefusal::BadRule`],
    /// [`PolicyRefusal::TooMany`], [`PolicyRefusal::TooManyOfAll`].
    pub async fn assign_policy(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
        new: NewAssignment,
    ) -> Outcome<StoredAssignment, PolicyRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManagePolicies).await?;
        let policy = work.policy_to_change(number).await?;
        let made = work.assign(&policy, &new).await?;
        let metadata = json!({ "policy": number, "assignment": made.number });
        let subject = work.grant.subject();
        work.audit(Action::PolicyAssigned, subject, metadata).await?;
        work.commit().await?;
        Ok(made)
    }

    /// Removes an assignment of a policy; answers when. Without its last one a policy holds in its workspace, or nowhere if it has
    /// none.
    ///
    /// Source: extension of RiverGen "policies/{policy_id}/assignments/{assignment_id}", delete.
    ///
    /// # Errors
    /// [`PolicyRefusal::NotFound`], [`PolicyRefusal::AssignmentNotFound`].
    pub async fn remove_assignment(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
        assignment: i64,
    ) -> Outcome<Timestamp, PolicyRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManagePolicies).await?;
        let policy = work.policy_to_change(number).await?;
        if work.unit.policy_assignments().find(policy.id, assignment).await?.is_none() {
            return refuse(PolicyRefusal::AssignmentNotFound);
        }
        work.unit.policy_assignments().remove(policy.id, assignment).await?;
        let account = work.grant.session().account_number;
        work.unit.policies().change(&policy, account, work.now).await?;
        let metadata = json!({ "policy": number, "assignment": assignment });
        let subject = work.grant.subject();
        work.audit(Action::PolicyUnassigned, subject, metadata).await?;
        let now = work.now;
        work.commit().await?;
        Ok(now)
    }
}

impl Acting<'_> {
    async fn assign(
        &mut self,
        policy: &PolicyRecord,
        new: &NewAssignment,
    ) -> Outcome<StoredAssignment, PolicyRefusal> {
        self.require_targets(std::slice::from_ref(&new.targets)).await?;
        let others = self.unit.policy_assignments().of(policy.id).await?;
        bounded("assignments", others.len() + 1, MAX_ASSIGNMENTS)?;
        let kept: usize = others.iter().map(|other| other.metadata.as_str().len()).sum();
        bounded(
            "bytes of metadata of assignments",
            kept + new.metadata.as_str().len(),
            MAX_ASSIGNED_METADATA,
        )?;
        if new.targets.data_source.is_some() {
            let stored = self.unit.policy_rules().of(policy.id).await?;
            let rules: Vec<NewRule> = stored.iter().map(rule).collect::<Result<_, Fault>>()?;
            let targets = std::slice::from_ref(&new.targets);
            self.check_rules(policy.kind, &rules, policy.workspace, targets).await?;
        }
        let (account, now) = (self.grant.session().account_number, self.now);
        let number = self
            .unit
            .policy_assignments()
            .insert(policy.id, &new.targets, new.is_active, &new.metadata, account, now)
            .await?;
        self.require_room().await?;
        self.unit.policies().change(policy, account, now).await?;
        let made = self.unit.policy_assignments().find(policy.id, number).await?;
        made.ok_or_else(|| Fault::Internal("an assignment is gone that was just made".to_owned()).into())
    }
}

/// A stored rule as it was when it was made.
fn rule(stored: &RuleRecord) -> Result<NewRule, Fault> {
    let unknown = || Fault::Internal(format!("the rule {} is of a type that is not known", stored.number));
    Ok(NewRule {
        name: stored.name.clone(),
        kind: RuleType::from_name(&stored.kind).ok_or_else(unknown)?,
        config: document(&stored.config, "policy_rules.config")?,
        order: stored.order,
        is_active: stored.is_active,
    })
}

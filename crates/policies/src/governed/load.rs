//! The active policies of an organization, as the pure crate takes them. Remembered until one of them changes, and for two seconds at most.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::Fault;
use tidegate_kernel::cache::MAX_AGE;
use tidegate_policy::{Assignment, Policy, Rule, RuleKind, RuleType};

use crate::records::{PolicyRecord, RuleRecord, StoredAssignment};
use crate::{Policies, PolicyTables};

impl Policies {
    /// The active policies of an organization.
    pub(crate) async fn active_policies(
        &self,
        organization: OrganizationId,
    ) -> Result<Arc<Vec<Policy>>, Fault> {
        let (stamp, now) = (self.kernel.stamp(&[organization.0]), self.kernel.now());
        if let Some(known) = self.active.get(&organization, stamp, now, MAX_AGE) {
            return Ok(known);
        }
        let Stored { policies, rules, assignments } = self.stored(organization).await?;
        // In one order, whenever and wherever they are loaded: what a person sees is told apart by it.
        let mut by_number: BTreeMap<i64, Policy> = policies
            .into_iter()
            .map(|policy| {
                let active = Policy {
                    id: policy.number,
                    version: policy.version,
                    priority: policy.priority,
                    workspace: policy.workspace,
                    assignments: Vec::new(),
                    rules: Vec::new(),
                };
                (policy.number, active)
            })
            .collect();
        for stored in &rules {
            if let Some(policy) = by_number.get_mut(&stored.policy) {
                policy.rules.push(rule(stored));
            }
        }
        for stored in assignments {
            if let Some(policy) = by_number.get_mut(&stored.policy) {
                policy.assignments.push(assignment(stored));
            }
        }
        let active = Arc::new(by_number.into_values().collect::<Vec<_>>());
        self.active.put(organization, Arc::clone(&active), stamp, now);
        Ok(active)
    }

    /// What is stored, as it was at one moment. Each statement sees what was committed before it: without looking again, a policy made
    /// after the first of them and one deleted before the second would both be missed, and nothing would hold.
    async fn stored(&self, organization: OrganizationId) -> Result<Stored, Fault> {
        let mut unit = self.kernel.store.read().await?;
        for _ in 0..MOST_READINGS {
            let policies = unit.policies().active(organization).await?;
            let rules = unit.policy_rules().active(organization).await?;
            let assignments = unit.policy_assignments().of_organization(organization).await?;
            // Every change of a policy, of its rules and of its assignments raises its version.
            let versions = unit.policies().active_versions(organization).await?;
            if policies.iter().map(|policy| (policy.number, policy.version)).eq(versions) {
                return Ok(Stored { policies, rules, assignments });
            }
        }
        Err(Fault::Busy { retry_after: 1 })
    }
}

/// How often policies that are changed all the time are read before the caller has to wait.
const MOST_READINGS: usize = 16;

/// Active policies with what belongs to them.
struct Stored {
    policies: Vec<PolicyRecord>,
    rules: Vec<RuleRecord>,
    assignments: Vec<StoredAssignment>,
}

/// What a stored rule says. One that is not understood, as after going back to an earlier version of the program, denies.
fn rule(stored: &RuleRecord) -> Rule {
    let read = || {
        let kind = RuleType::from_name(&stored.kind).ok_or_else(|| format!("type {}", stored.kind))?;
        let config: Map<String, Value> =
            serde_json::from_str(&stored.config).map_err(|_| "no object".to_owned())?;
        RuleKind::stored(kind, &config).map_err(|error| error.to_string())
    };
    Rule { id: stored.number, order: stored.order, kind: read().unwrap_or_else(RuleKind::Unreadable) }
}

fn assignment(stored: StoredAssignment) -> Assignment {
    let targets = stored.targets;
    Assignment {
        is_active: stored.is_active,
        data_source: targets.data_source,
        dataset: targets.dataset,
        query: targets.query,
        role: targets.role,
        user: targets.user,
        workspace: targets.workspace,
        group: targets.group,
    }
}

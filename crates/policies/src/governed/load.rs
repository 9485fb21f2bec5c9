//! The active policies of an organization, as the pure crate takes them. Remembered until one of them changes, and for two seconds at most.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};
use tidegate_crypto::digest::ContentDigest;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::Fault;
use tidegate_kernel::cache::MAX_AGE;
use tidegate_policy::{Assignment, Policy, Rule, RuleKind, RuleType};

use crate::records::{PolicyRecord, RuleRecord, StoredAssignment};
use crate::{Policies, PolicyTables};

/// The active policies of an organization, with what is known of them all without asking who looks. It is made when they are loaded and goes
/// with them: whoever has one never has a part of another.
pub(crate) struct Active {
    /// In the order of their numbers.
    pub(crate) policies: Vec<Policy>,
    /// Whether one of them hashes.
    pub(crate) hashes: bool,
    /// See [`Active::digest`].
    digest: OnceLock<Option<String>>,
}

impl Active {
    pub(crate) fn new(policies: Vec<Policy>) -> Self {
        let hashes = |rule: &Rule| matches!(&rule.kind, RuleKind::Mask(mask) if mask.hashes());
        let hashes = policies.iter().flat_map(|policy| &policy.rules).any(hashes);
        Self { policies, hashes, digest: OnceLock::new() }
    }

    /// What stands for all that they say; none where that depends on the time. Each query asks three times for it, and to write fifty
    /// policies out takes longer than to apply them.
    pub(crate) fn digest(&self) -> Option<&str> {
        let depends_on_time = |rule: &Rule| match &rule.kind {
            RuleKind::Allow(access) | RuleKind::Deny(access) => access.window.is_some(),
            _ => false,
        };
        let made = self.digest.get_or_init(|| {
            let is_fixed = !self.policies.iter().flat_map(|policy| &policy.rules).any(depends_on_time);
            is_fixed.then(|| ContentDigest::of(format!("{:?}", self.policies).as_bytes()))
        });
        made.as_deref()
    }
}

impl Policies {
    /// The active policies of an organization.
    pub(crate) async fn active_policies(&self, organization: OrganizationId) -> Result<Arc<Active>, Fault> {
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
        let active = Arc::new(Active::new(by_number.into_values().collect()));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(id: i64, kind: RuleType, config: &Value) -> Policy {
        let kind = RuleKind::stored(kind, config.as_object().unwrap()).unwrap();
        let assignments = vec![Assignment { is_active: true, role: Some(1), ..Assignment::default() }];
        let rules = vec![Rule { id, order: 0, kind }];
        Policy { id, version: 1, priority: 0, workspace: None, assignments, rules }
    }

    fn digest(policies: Vec<Policy>) -> Option<String> {
        Active::new(policies).digest().map(str::to_owned)
    }

    #[test]
    fn whatever_policies_say_is_in_their_digest() {
        let filter = |value: &str| {
            policy(
                1,
                RuleType::FilterRows,
                &json!({ "table": "emp", "condition": format!("region = '{value}'") }),
            )
        };
        let first = digest(vec![filter("EU")]);
        assert!(first.is_some());
        assert_eq!(first, digest(vec![filter("EU")]), "loaded anew, and on another node");
        let mut changed = vec![filter("EU"); 7];
        changed[0].version = 2;
        changed[1].priority = 1;
        changed[2].workspace = Some(1);
        changed[3].assignments.clear();
        changed[4].assignments[0].is_active = false;
        changed[5].rules.clear();
        changed[6].rules[0].order = 1;
        let mut digests: Vec<_> = changed.into_iter().map(|changed| digest(vec![changed])).collect();
        digests.extend([
            first,
            digest(vec![filter("US")]),
            digest(Vec::new()),
            digest(vec![filter("EU"); 2]),
        ]);
        let count = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }

    #[test]
    fn there_is_no_digest_of_what_depends_on_the_time() {
        let window = json!({ "table": "emp", "time_window": { "start": "09:00", "end": "17:00" } });
        for kind in [RuleType::AllowAccess, RuleType::DenyAccess] {
            assert_eq!(digest(vec![policy(1, kind, &window)]), None);
        }
    }

    #[test]
    fn a_key_is_asked_for_where_one_of_them_hashes() {
        let mask = |kind: &str| {
            policy(1, RuleType::MaskColumn, &json!({ "table": "emp", "column": "ssn", "masking_type": kind }))
        };
        assert!(
            Active::new(vec![mask("null"), mask("hash")]).hashes && !Active::new(vec![mask("null")]).hashes
        );
    }
}

//! Which active policies do not fit a table. It is denied to those they are for, who are told nothing of that; those who write policies are.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidegate_domain::id::OrganizationId;
use tidegate_kernel::Fault;
use tidegate_policy::{Policy, RuleKind};

use super::load::Active;
use crate::Policies;
use crate::hooks::KnownRelation;
use crate::records::checked::relations_called;
use crate::records::native::declared;

/// Most tables that are told of one policy.
const MOST_TOLD: usize = 200;

/// The active policies of an organization, to be held against its tables.
pub struct Fit(Arc<Active>);

impl Policies {
    /// The active policies of an organization, to be held against its tables; none where it has no policy.
    ///
    /// # Errors
    /// Only faults.
    pub async fn fit(&self, organization: OrganizationId) -> Result<Option<Fit>, Fault> {
        let active = self.active_policies(organization).await?;
        Ok((!active.policies.is_empty()).then(|| Fit(active)))
    }

    /// The tables that a policy names and does not fit as they are known now: they may have changed, or come, since it was written.
    pub(crate) async fn misfits_of(
        &self,
        organization: OrganizationId,
        number: i64,
    ) -> Result<Vec<String>, Fault> {
        let active = self.active_policies(organization).await?;
        let Some(policy) = active.policies.iter().find(|policy| policy.id == number) else {
            return Ok(Vec::new());
        };
        let named = policy.rules.iter().filter_map(|rule| rule.kind.place().1);
        let named: BTreeSet<&str> = named.filter(|table| *table != "*").collect();
        let mut unit = self.kernel.store.read().await?;
        // Several names may mean one table.
        let mut told = BTreeSet::new();
        for table in named {
            let known = relations_called(&mut unit, self.sources.as_ref(), organization, table).await?;
            told.extend(known.iter().flat_map(|known| misfits(policy, known)));
        }
        Ok(told.into_iter().take(MOST_TOLD).collect())
    }
}

impl Fit {
    /// What is to be told of the policies that do not fit a table.
    pub fn misfits(&self, known: &KnownRelation) -> Vec<String> {
        self.0.policies.iter().flat_map(|policy| misfits(policy, known)).collect()
    }
}

fn misfits(policy: &Policy, known: &KnownRelation) -> Vec<String> {
    if !is_about(policy, known.source) {
        return Vec::new();
    }
    let relation = declared(known);
    let concerned = policy.rules.iter().filter(|rule| rule.kind.concerns(&relation));
    let told = concerned.filter_map(|rule| {
        if matches!(&rule.kind, RuleKind::Allow(access) | RuleKind::Deny(access) if !access.concerns_reading)
        {
            return None;
        }
        // Of what is about every table, only a condition needs its columns in each.
        let is_named = rule.kind.place().1.is_some_and(|table| table != "*");
        if !is_named && !matches!(rule.kind, RuleKind::Filter(_)) {
            return None;
        }
        let error = rule.kind.check(&relation).err()?;
        let does = if matches!(rule.kind, RuleKind::Allow(_)) { "does not wholly allow" } else { "denies" };
        Some(format!(
            "policy {} does not fit {} of data source {}, which it {does}: {}",
            policy.id, relation.table, relation.source, error.message
        ))
    });
    told.collect()
}

/// Whether it holds for anybody who reads that data source, as far as that is known without them.
fn is_about(policy: &Policy, source: i64) -> bool {
    if policy.assignments.is_empty() {
        return policy.workspace.is_some();
    }
    policy.assignments.iter().any(|assignment| {
        assignment.is_active
            && assignment.has_target()
            && assignment.data_source.is_none_or(|meant| meant == source)
    })
}

//! How many policies there are.

use tidegate_domain::Permission;
use tidegate_kernel::{Actor, Fault};
use tidegate_policy::PolicyType;

use crate::{Policies, PolicyTables};

/// Policies of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyTotals {
    /// Which.
    pub kind: PolicyType,
    /// All that are not deleted.
    pub total: i64,
    /// Those of them that hold.
    pub active: i64,
}

impl Policies {
    /// How many policies of each type the organization has, or one of its workspaces.
    ///
    /// Source: RiverGen "policies/dashboard".
    ///
    /// # Errors
    /// Only faults.
    pub async fn policy_totals(
        &self,
        actor: &Actor,
        workspace: Option<i64>,
    ) -> Result<Vec<PolicyTotals>, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPolicies).await?;
        let counted = unit.policies().totals(grant.organization(), workspace).await?;
        let of = |kind: PolicyType| {
            let found = counted.iter().find(|(name, ..)| name == kind.as_str());
            let (total, active) = found.map_or((0, 0), |(_, total, active)| (*total, *active));
            PolicyTotals { kind, total, active }
        };
        Ok(PolicyType::ALL.into_iter().map(of).collect())
    }
}

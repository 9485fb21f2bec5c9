//! Policies are read.

use tidegate_database::Unit;
use tidegate_domain::Permission;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Fault};
use tidegate_policy::PolicyType;

use super::error::PolicyRefusal;
use super::policy::{FullPolicy, PolicyRecord};
use crate::{Policies, PolicyTables};

/// Which policies are listed.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Those of the workspace of that number.
    pub workspace: Option<i64>,
    /// Those of that type.
    pub kind: Option<PolicyType>,
    /// Those in that state.
    pub is_active: Option<bool>,
    /// Those with that in their name or description.
    pub search: Option<String>,
    /// From 1.
    pub page: i64,
    /// At most so many.
    pub page_size: i64,
}

impl Listing {
    pub(super) const fn skipped(&self) -> i64 {
        self.page.saturating_sub(1).saturating_mul(self.page_size)
    }
}

/// A page of policies.
#[derive(Clone, Debug)]
pub struct PolicyPage {
    /// The page, by priority, highest first; of equal ones the newest first.
    pub policies: Vec<PolicyRecord>,
    /// How many there are in all.
    pub total: i64,
}

impl Policies {
    /// A page of the organization's policies.
    ///
    /// Source: RiverGen "policies", list.
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_policies(&self, actor: &Actor, listing: &Listing) -> Result<PolicyPage, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPolicies).await?;
        let policies = unit.policies().page(grant.organization(), listing).await?;
        let total = unit.policies().count_listed(grant.organization(), listing).await?;
        Ok(PolicyPage { policies, total })
    }

    /// One of the organization's policies, with its rules and assignments, and for those who write policies the tables that it does not fit.
    ///
    /// Source: RiverGen "policies/{policy_id}".
    ///
    /// # Errors
    /// [`PolicyRefusal::NotFound`].
    pub async fn read_policy(&self, actor: &Actor, number: i64) -> Outcome<FullPolicy, PolicyRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPolicies).await?;
        let organization = grant.organization();
        let policy = found(&mut unit, organization, number).await?;
        let mut read = full(&mut unit, policy, Vec::new()).await?;
        drop(unit);
        // Who writes policies knows the names of all tables.
        if grant.allows(Permission::ManagePolicies) {
            read.warnings = self.misfits_of(organization, number).await?;
        }
        Ok(read)
    }
}

/// The organization's policy of that number.
pub(crate) async fn found(
    unit: &mut Unit,
    organization: OrganizationId,
    number: i64,
) -> Outcome<PolicyRecord, PolicyRefusal> {
    match unit.policies().find(organization, number).await? {
        Some(policy) => Ok(policy),
        None => refuse(PolicyRefusal::NotFound),
    }
}

/// With all that belongs to it.
pub(super) async fn full(
    unit: &mut Unit,
    policy: PolicyRecord,
    warnings: Vec<String>,
) -> Result<FullPolicy, Fault> {
    let rules = unit.policy_rules().of(policy.id).await?;
    let assignments = unit.policy_assignments().of(policy.id).await?;
    Ok(FullPolicy { policy, rules, assignments, warnings })
}

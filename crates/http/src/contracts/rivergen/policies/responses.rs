//! Response bodies.

use serde::Serialize;
use serde_json::value::RawValue;
use tidegate_domain::Role;
use tidegate_policies::evaluations::find::{EvaluationListing, EvaluationPage, StoredEvaluation};
use tidegate_policies::records::dashboard::PolicyTotals;
use tidegate_policies::records::find::{Listing, PolicyPage};
use tidegate_policies::records::{FullPolicy, PolicyRecord, RuleRecord, StoredAssignment};
use tidegate_policy::PolicyType;
use utoipa::ToSchema;

use super::super::data_sources::SourcePagination;

/// A stored document as it was sent.
fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A policy in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedPolicyData {
    id: i64,
    organization_id: i64,
    workspace_id: Option<i64>,
    name: String,
    description: Option<String>,
    /// `row_level_security`, `data_masking`, `query_limit` or `access_control`.
    r#type: &'static str,
    is_active: bool,
    priority: i64,
    created_at: String,
    updated_at: String,
}

impl From<&PolicyRecord> for ListedPolicyData {
    fn from(policy: &PolicyRecord) -> Self {
        Self {
            id: policy.number,
            organization_id: policy.organization_number,
            workspace_id: policy.workspace,
            name: policy.name.clone(),
            description: policy.description.clone(),
            r#type: policy.kind.as_str(),
            is_active: policy.is_active,
            priority: policy.priority,
            created_at: policy.created_at.iso_seconds(),
            updated_at: policy.updated_at.iso_seconds(),
        }
    }
}

/// A page of policies.
#[derive(Serialize, ToSchema)]
pub(super) struct PoliciesData {
    /// By priority, highest first; of equal ones the newest first.
    items: Vec<ListedPolicyData>,
    pagination: SourcePagination,
}

impl PoliciesData {
    pub(super) fn new(found: &PolicyPage, listing: &Listing) -> Self {
        Self {
            items: found.policies.iter().map(ListedPolicyData::from).collect(),
            pagination: SourcePagination::of(listing.page, listing.page_size, found.total),
        }
    }
}

/// A rule of a policy.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyRuleData {
    id: i64,
    policy_id: i64,
    rule_name: String,
    /// `filter_rows`, `mask_column`, `limit_query`, `allow_access` or `deny_access`.
    rule_type: String,
    #[schema(value_type = Object)]
    rule_config: Box<RawValue>,
    rule_order: i64,
    is_active: bool,
    created_at: String,
    updated_at: String,
}

impl From<&RuleRecord> for PolicyRuleData {
    fn from(rule: &RuleRecord) -> Self {
        Self {
            id: rule.number,
            policy_id: rule.policy,
            rule_name: rule.name.clone(),
            rule_type: rule.kind.clone(),
            rule_config: raw(&rule.config),
            rule_order: rule.order,
            is_active: rule.is_active,
            created_at: rule.created_at.iso_seconds(),
            updated_at: rule.updated_at.iso_seconds(),
        }
    }
}

/// To what a policy is assigned.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyAssignmentData {
    id: i64,
    policy_id: i64,
    data_source_id: Option<i64>,
    dataset_id: Option<i64>,
    query_id: Option<i64>,
    role_id: Option<i64>,
    role_name: Option<&'static str>,
    user_id: Option<i64>,
    workspace_id: Option<i64>,
    /// A name among the `groups` of people.
    group: Option<String>,
    is_active: bool,
    applied_at: String,
    applied_by_user_id: i64,
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
}

impl From<&StoredAssignment> for PolicyAssignmentData {
    fn from(assignment: &StoredAssignment) -> Self {
        let targets = &assignment.targets;
        Self {
            id: assignment.number,
            policy_id: assignment.policy,
            data_source_id: targets.data_source,
            dataset_id: targets.dataset,
            query_id: targets.query,
            role_id: targets.role,
            role_name: targets.role.and_then(Role::from_number).map(Role::as_str),
            user_id: targets.user,
            workspace_id: targets.workspace,
            group: targets.group.clone(),
            is_active: assignment.is_active,
            applied_at: assignment.applied_at.iso_seconds(),
            applied_by_user_id: assignment.applied_by,
            metadata: raw(assignment.metadata.as_str()),
        }
    }
}

/// A policy with its rules and assignments.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyData {
    #[serde(flatten)]
    listed: ListedPolicyData,
    rules: Vec<PolicyRuleData>,
    assignments: Vec<PolicyAssignmentData>,
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
    created_by_user_id: i64,
    updated_by_user_id: Option<i64>,
    /// Raised by each change of the policy, its rules and its assignments.
    version: i64,
    /// Where it was just written, what does less, or other, than it says. Where it is read, the tables that it names and does not fit.
    warnings: Vec<String>,
}

impl From<&FullPolicy> for PolicyData {
    fn from(full: &FullPolicy) -> Self {
        Self {
            listed: (&full.policy).into(),
            rules: full.rules.iter().map(PolicyRuleData::from).collect(),
            assignments: full.assignments.iter().map(PolicyAssignmentData::from).collect(),
            metadata: raw(full.policy.metadata.as_str()),
            created_by_user_id: full.policy.created_by,
            updated_by_user_id: full.policy.updated_by,
            version: full.policy.version,
            warnings: full.warnings.clone(),
        }
    }
}

/// A policy that was changed.
#[derive(Serialize, ToSchema)]
pub(super) struct ChangedPolicyData {
    id: i64,
    organization_id: i64,
    workspace_id: Option<i64>,
    name: String,
    description: Option<String>,
    r#type: &'static str,
    is_active: bool,
    priority: i64,
    updated_at: String,
    updated_by_user_id: Option<i64>,
    /// Its rules as they are now.
    rules: Vec<PolicyRuleData>,
    version: i64,
    /// What is right but does less, or other, than it says.
    warnings: Vec<String>,
}

impl From<&FullPolicy> for ChangedPolicyData {
    fn from(full: &FullPolicy) -> Self {
        let policy = &full.policy;
        Self {
            id: policy.number,
            organization_id: policy.organization_number,
            workspace_id: policy.workspace,
            name: policy.name.clone(),
            description: policy.description.clone(),
            r#type: policy.kind.as_str(),
            is_active: policy.is_active,
            priority: policy.priority,
            updated_at: policy.updated_at.iso_seconds(),
            updated_by_user_id: policy.updated_by,
            rules: full.rules.iter().map(PolicyRuleData::from).collect(),
            version: policy.version,
            warnings: full.warnings.clone(),
        }
    }
}

/// A policy was deleted.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletedPolicyData {
    pub(super) policy_id: i64,
    pub(super) deleted_at: String,
}

/// An assignment was removed.
#[derive(Serialize, ToSchema)]
pub(super) struct RemovedAssignmentData {
    pub(super) policy_id: i64,
    pub(super) assignment_id: i64,
    pub(super) deleted_at: String,
}

/// Policies of one type.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyTotalsData {
    r#type: &'static str,
    name: &'static str,
    description: &'static str,
    total_policies: i64,
    active_policies: i64,
    /// Whether any of them is active.
    is_active: bool,
}

/// How many policies of each type there are. One key is in the plural, as the contract has it.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyDashboardData {
    row_level_security: PolicyTotalsData,
    data_masking: PolicyTotalsData,
    query_limits: PolicyTotalsData,
    access_control: PolicyTotalsData,
}

impl PolicyDashboardData {
    pub(super) fn new(totals: &[PolicyTotals]) -> Self {
        let of = |kind: PolicyType| {
            let found = totals.iter().find(|totals| totals.kind == kind);
            let (name, description) = shown(kind);
            PolicyTotalsData {
                r#type: kind.as_str(),
                name,
                description,
                total_policies: found.map_or(0, |totals| totals.total),
                active_policies: found.map_or(0, |totals| totals.active),
                is_active: found.is_some_and(|totals| totals.active > 0),
            }
        };
        Self {
            row_level_security: of(PolicyType::RowLevelSecurity),
            data_masking: of(PolicyType::DataMasking),
            query_limits: of(PolicyType::QueryLimit),
            access_control: of(PolicyType::AccessControl),
        }
    }
}

/// What people call a type, and what it is about.
const fn shown(kind: PolicyType) -> (&'static str, &'static str) {
    match kind {
        PolicyType::RowLevelSecurity => ("Row-Level Security", "Which rows of a table people see"),
        PolicyType::DataMasking => ("Data Masking", "What people see instead of a value"),
        PolicyType::QueryLimit => ("Query Limits", "How much people may ask for"),
        PolicyType::AccessControl => ("Access Control", "Who may read which tables and columns, and when"),
    }
}

/// What a policy decided.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyEvaluationData {
    id: i64,
    policy_id: Option<i64>,
    policy_rule_id: Option<i64>,
    user_id: i64,
    query_id: Option<i64>,
    data_source_id: i64,
    dataset_id: Option<i64>,
    /// `allowed`, `denied` or `modified`.
    evaluation_result: String,
    /// `filtered_rows`, `masked_data`, `limited_query`, `blocked` or `none`.
    action_taken: String,
    #[schema(value_type = Object)]
    evaluation_details: Box<RawValue>,
    evaluated_at: String,
    ip_address: String,
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
    /// The table, with its schema.
    relation: String,
    /// The version that the policy had.
    policy_version: Option<i64>,
}

impl From<&StoredEvaluation> for PolicyEvaluationData {
    fn from(stored: &StoredEvaluation) -> Self {
        Self {
            id: stored.number,
            policy_id: stored.policy,
            policy_rule_id: stored.rule,
            user_id: stored.user,
            query_id: stored.query,
            data_source_id: stored.data_source,
            dataset_id: stored.dataset,
            evaluation_result: stored.result.clone(),
            action_taken: stored.action.clone(),
            evaluation_details: raw(&stored.details),
            evaluated_at: stored.evaluated_at.iso_seconds(),
            ip_address: stored.ip.clone(),
            metadata: raw(&stored.metadata),
            relation: stored.relation.clone(),
            policy_version: stored.policy_version,
        }
    }
}

/// A page of what a policy decided.
#[derive(Serialize, ToSchema)]
pub(super) struct EvaluationsData {
    /// Newest first.
    items: Vec<PolicyEvaluationData>,
    pagination: SourcePagination,
}

impl EvaluationsData {
    pub(super) fn new(found: &EvaluationPage, listing: &EvaluationListing) -> Self {
        Self {
            items: found.evaluations.iter().map(PolicyEvaluationData::from).collect(),
            pagination: SourcePagination::of(listing.page, listing.page_size, found.total),
        }
    }
}

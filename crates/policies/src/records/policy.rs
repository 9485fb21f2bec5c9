//! A policy, its rules and assignments.

use tidegate_domain::id::OrganizationId;
use tidegate_domain::{Document, Timestamp};
use tidegate_policy::{PolicyType, RuleType};
use uuid::Uuid;

/// Longest name of a policy or a rule, in characters.
pub const MAX_NAME: usize = 255;
/// Longest description, in characters.
pub const MAX_DESCRIPTION: usize = 2_000;
/// Most rules of a policy.
pub const MAX_RULES: usize = 100;
/// Most assignments of a policy.
pub const MAX_ASSIGNMENTS: usize = 1_000;
/// Most rules of all policies of an organization: all that are active are read together.
pub const MAX_RULES_OF_ALL: usize = 5_000;
/// Most characters of their configurations.
pub const MAX_CONFIG_OF_ALL: usize = 4 * 1024 * 1024;
/// Most assignments of all policies of an organization.
pub const MAX_ASSIGNMENTS_OF_ALL: usize = 10_000;
/// Most metadata of all assignments of a policy, in bytes.
pub const MAX_ASSIGNED_METADATA: usize = 256 * 1024;
/// Deleted policies of an organization that are kept, the latest.
pub(crate) const MAX_DELETED: i64 = 20;
/// Largest metadata, and largest configuration of a rule, in bytes.
pub const MAX_METADATA: usize = 16 * 1024;
/// Highest priority and order: every client can send it.
pub const MAX_PRIORITY: i64 = 1_000_000_000;
/// Longest name of a group, in characters.
pub const MAX_GROUP: usize = 255;

/// A policy without its rules and assignments.
#[derive(Clone, Debug)]
pub struct PolicyRecord {
    /// Its key.
    pub(crate) id: Uuid,
    /// Its number: the contract's `id`.
    pub number: i64,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The number of that organization.
    pub organization_number: i64,
    /// The number of its workspace; none of the organization's.
    pub workspace: Option<i64>,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// What its rules are about.
    pub kind: PolicyType,
    /// Whether it holds.
    pub is_active: bool,
    /// Higher first.
    pub priority: i64,
    /// The client's own.
    pub metadata: Document,
    /// Counts its changes.
    pub version: i64,
    /// The number of the account that made it.
    pub created_by: i64,
    /// The number of the account that changed it last.
    pub updated_by: Option<i64>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A rule of a policy.
#[derive(Clone, Debug)]
pub struct RuleRecord {
    /// Its number.
    pub number: i64,
    /// The number of its policy.
    pub policy: i64,
    /// For people.
    pub name: String,
    /// As it was stored: perhaps of a later version.
    pub kind: String,
    /// JSON, as it was sent.
    pub config: String,
    /// Lower first.
    pub order: i64,
    /// Whether it holds.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// To what a policy is assigned: numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// A data source.
    pub data_source: Option<i64>,
    /// A data set.
    pub dataset: Option<i64>,
    /// A saved query.
    pub query: Option<i64>,
    /// A role.
    pub role: Option<i64>,
    /// A person.
    pub user: Option<i64>,
    /// A workspace.
    pub workspace: Option<i64>,
    /// A group, by its name (extension).
    pub group: Option<String>,
}

impl Targets {
    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it says for whom.
    pub(super) fn names_people(&self) -> bool {
        self.role.is_some() || self.user.is_some() || self.group.is_some()
    }

    /// Whether it says of what, or where.
    pub(super) fn names_places(&self) -> bool {
        self.data_source.is_some()
            || self.dataset.is_some()
            || self.query.is_some()
            || self.workspace.is_some()
    }
}

/// An assignment of a policy.
#[derive(Clone, Debug)]
pub struct StoredAssignment {
    /// Its number.
    pub number: i64,
    /// The number of its policy.
    pub policy: i64,
    /// What it names.
    pub targets: Targets,
    /// Whether it counts.
    pub is_active: bool,
    /// The client's own.
    pub metadata: Document,
    /// When it was made.
    pub applied_at: Timestamp,
    /// The number of the account that made it.
    pub applied_by: i64,
}

/// A policy with all that belongs to it.
#[derive(Clone, Debug)]
pub struct FullPolicy {
    /// It.
    pub policy: PolicyRecord,
    /// Its rules, in order.
    pub rules: Vec<RuleRecord>,
    /// To what it is assigned.
    pub assignments: Vec<StoredAssignment>,
    /// What is right but does less, or other, than it says: told when it is written. Later the tables that it does not fit.
    pub warnings: Vec<String>,
}

/// A rule to be made.
#[derive(Clone, Debug)]
pub struct NewRule {
    /// For people.
    pub name: String,
    /// What it does.
    pub kind: RuleType,
    /// How.
    pub config: Document,
    /// Lower first.
    pub order: i64,
    /// Whether it holds.
    pub is_active: bool,
}

/// A policy to be made.
#[derive(Clone, Debug)]
pub struct NewPolicy {
    /// The number of its workspace.
    pub workspace: Option<i64>,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// What its rules are about.
    pub kind: PolicyType,
    /// Whether it holds.
    pub is_active: bool,
    /// Higher first.
    pub priority: i64,
    /// Its rules.
    pub rules: Vec<NewRule>,
    /// The client's own.
    pub metadata: Document,
    /// One assignment for each.
    pub targets: Vec<Targets>,
}

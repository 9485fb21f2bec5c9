//! Why a use case of policies refused.

use tidegate_policy::RuleError;

/// Why nothing was done with a policy. Each text may be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// There is none of that number in the organization.
    #[error("the policy does not exist")]
    NotFound,
    /// The policy has none of that number.
    #[error("the assignment does not exist")]
    AssignmentNotFound,
    /// What it is to be assigned to does not exist in the organization.
    #[error("the {kind} {number} does not exist")]
    TargetNotFound {
        /// What.
        kind: &'static str,
        /// Which.
        number: i64,
    },
    /// An assignment without a target.
    #[error(
        "name at least one of data_source_id, dataset_id, query_id, role_id, user_id, workspace_id and group"
    )]
    NoTarget,
    /// A rule that policies of this type do not have.
    #[error("rules[{place}].rule_type: a policy of type {policy} has no rules of type {rule}")]
    WrongRule {
        /// Which rule, from 0.
        place: usize,
        /// The policy's type.
        policy: &'static str,
        /// The rule's type.
        rule: &'static str,
    },
    /// A rule that means nothing, or does not fit the relation it is about.
    #[error("rules[{place}].{error}")]
    BadRule {
        /// Which rule, from 0.
        place: usize,
        /// Why.
        error: RuleError,
    },
    /// The policy has as many as it may.
    #[error("a policy has at most {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        limit: usize,
    },
    /// All policies of the organization together have as many as they may.
    #[error("all policies of an organization together have at most {limit} {what}")]
    TooManyOfAll {
        /// Of what.
        what: &'static str,
        /// How many.
        limit: usize,
    },
    /// A simulation of nobody, or of nothing.
    #[error("{0}")]
    Unanswerable(&'static str),
    /// The relation is not known.
    #[error("the table does not exist in the data source, or was not discovered yet")]
    RelationNotFound,
    /// Nothing here runs queries.
    #[error("this server runs no queries; simulate a table instead of SQL")]
    NoQueries,
    /// The query of a simulation did not succeed.
    #[error("{code}: {message}")]
    QueryFailed {
        /// A code of the engine.
        code: &'static str,
        /// What it says of it.
        message: String,
    },
}

//! Why a rule is refused.

use thiserror::Error;

/// Why a condition is refused: written for the administrator who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("at character {place}: {message}")]
pub struct ConditionError {
    /// The character, from 1, at which it was noticed.
    pub place: usize,
    /// What is wrong, with the column and the nearest name where it is about a column.
    pub message: String,
}

impl ConditionError {
    pub(crate) fn new(place: usize, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}

/// Why a rule is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct RuleError {
    /// The field of the rule, such as `rule_config.condition`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl RuleError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

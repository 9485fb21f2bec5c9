//! What an operator decides about policies.

use std::time::Duration;

/// Policies. The keys are in `[data]` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicySettings {
    /// Whether nobody may read a relation unless a policy allows it.
    pub deny_by_default: bool,
    /// How long it is kept what policies decided.
    pub keep_evaluations: Duration,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self { deny_by_default: false, keep_evaluations: Duration::from_secs(30 * 24 * 3_600) }
    }
}

//! How much a person may ask for.

use crate::PolicyRef;

/// A limit, and which policy says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The number.
    pub value: u64,
    /// The policy that has the smallest; of several, the first in order of evaluation.
    pub policy: PolicyRef,
    /// Its rule.
    pub rule: i64,
}

/// Limits of queries on a relation. Absent means that no policy limits it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a result.
    pub max_rows: Option<Limited>,
    /// Seconds that a query may run.
    pub max_execution_time_seconds: Option<Limited>,
    /// Queries of the person within an hour, on all nodes together.
    pub max_queries_per_hour: Option<Limited>,
    /// Queries of the person within 24 hours.
    pub max_queries_per_day: Option<Limited>,
}

impl Limits {
    /// The smaller of each.
    #[must_use]
    pub fn smallest(self, other: Self) -> Self {
        Self {
            max_rows: smaller(self.max_rows, other.max_rows),
            max_execution_time_seconds: smaller(
                self.max_execution_time_seconds,
                other.max_execution_time_seconds,
            ),
            max_queries_per_hour: smaller(self.max_queries_per_hour, other.max_queries_per_hour),
            max_queries_per_day: smaller(self.max_queries_per_day, other.max_queries_per_day),
        }
    }
}

fn smaller(one: Option<Limited>, other: Option<Limited>) -> Option<Limited> {
    match (one, other) {
        (Some(one), Some(other)) if other.value < one.value => Some(other),
        (one, other) => one.or(other),
    }
}

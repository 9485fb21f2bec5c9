//! The feature's tables.

use tidegate_database::{Migration, Unit};

use crate::evaluations::repository::Evaluations;
use crate::records::assignments_repository::Assignments;
use crate::records::repository::PolicyRows;
use crate::records::rules_repository::Rules;

/// The feature's part of the schema. Only ever appended to.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 24, name: "policies", text: include_str!("../migrations/0024_policies.sql") }];

/// The feature's repositories of a unit of work.
pub trait PolicyTables {
    /// Policies.
    fn policies(&mut self) -> PolicyRows<'_>;

    /// Their rules.
    fn policy_rules(&mut self) -> Rules<'_>;

    /// To what they are assigned.
    fn policy_assignments(&mut self) -> Assignments<'_>;

    /// What they decided.
    fn policy_evaluations(&mut self) -> Evaluations<'_>;
}

impl PolicyTables for Unit {
    fn policies(&mut self) -> PolicyRows<'_> {
        PolicyRows(self)
    }

    fn policy_rules(&mut self) -> Rules<'_> {
        Rules(self)
    }

    fn policy_assignments(&mut self) -> Assignments<'_> {
        Assignments(self)
    }

    fn policy_evaluations(&mut self) -> Evaluations<'_> {
        Evaluations(self)
    }
}

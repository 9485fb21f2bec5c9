//! Looks at plans after everybody else has: whether each relation is still behind its barrier. It shares no code with what builds plans, so
//! that an error there, or in a rule of the engine, ends in a refusal and not in rows.

mod logical;
mod physical;

use datafusion::execution::context::SessionState;
use std::sync::Arc;

pub(crate) use logical::check as check_logical;
pub(crate) use physical::check as check_physical;

use crate::table::GovernedTable;

/// What a session has opened: against this plans are checked.
pub(crate) struct Expected {
    /// The session's number, as in each seal.
    pub(crate) session: u64,
    /// Its relations, at their places.
    pub(crate) tables: Vec<Arc<GovernedTable>>,
}

/// A plan is refused. The reason is for the operator: a rule of the engine did what it must not.
fn refused(reason: &'static str) -> crate::error::QueryError {
    tracing::error!(reason, "a plan was refused by the checker");
    crate::error::QueryError::denied()
}

/// Whether the session runs the rules that were looked at.
pub(crate) fn check_rules(state: &SessionState) -> Result<(), crate::error::QueryError> {
    let logical = state.optimizers().iter().map(|rule| rule.name()).eq(crate::rules::LOGICAL.iter().copied());
    let analyzer =
        state.analyzer().rules.iter().map(|rule| rule.name()).eq(crate::rules::ANALYZER.iter().copied());
    if logical && analyzer { Ok(()) } else { Err(refused("rules")) }
}

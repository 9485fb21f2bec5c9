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

/// What the operator can do about it: their policies do not decide it.
const ADVICE: &str =
    "a fault of this program, and no policy of yours: report it, with this line and the query";

/// A plan is refused. The reason is for the operator: a rule of the engine did what it must not.
fn refused(reason: &'static str) -> crate::error::QueryError {
    tracing::error!(reason, advice = ADVICE, "a plan was refused by the checker");
    crate::error::QueryError::denied()
}

/// Whether the session runs the rules that were looked at.
pub(crate) fn check_rules(state: &SessionState) -> Result<(), crate::error::QueryError> {
    let logical = state.optimizers().iter().map(|rule| rule.name()).eq(crate::rules::LOGICAL.iter().copied());
    let analyzer =
        state.analyzer().rules.iter().map(|rule| rule.name()).eq(crate::rules::ANALYZER.iter().copied());
    if logical && analyzer { Ok(()) } else { Err(refused("rules")) }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    /// Takes the log lines.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_operator_is_told_that_a_refused_plan_is_a_fault_of_the_program() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        // Another test may be the first to come by this line just now, and settle that nobody listens.
        tracing::callsite::rebuild_interest_cache();
        let told = refused("a hidden column");
        assert_eq!(told.code, crate::Code::PolicyDenied);
        let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for part in ["reason=\"a hidden column\"", ADVICE] {
            assert!(logged.contains(part), "{part} is not in {logged}");
        }
    }
}

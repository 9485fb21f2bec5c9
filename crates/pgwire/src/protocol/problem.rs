//! What clients are told when something is not done: a code of the standard's (SQLSTATE), of a closed list, and a sentence of ours.

use tidegate_kernel::fault::{Fault, Refused};
use tidegate_prompts::ports::{QueryCode, QueryFailure};

use super::frontend::Malformed;

/// What is told, and whether the connection ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) is_fatal: bool,
    /// Of [`Problem::STATES`].
    pub(crate) state: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Problem {
    /// Every code that is ever told.
    #[cfg(test)]
    pub(crate) const STATES: [&'static str; 25] = [
        "08P01", "0A000", "22000", "22P02", "25P02", "26000", "28000", "28P01", "34000", "3D000", "42501",
        "42601", "42703", "42704", "42804", "42P01", "42P05", "53200", "53300", "53400", "54000", "57014",
        "57P01", "58000", "XX000",
    ];

    pub(crate) fn new(state: &'static str, message: impl Into<String>) -> Self {
        Self { is_fatal: false, state, message: message.into(), hint: None }
    }

    pub(crate) fn fatal(state: &'static str, message: impl Into<String>) -> Self {
        Self { is_fatal: true, ..Self::new(state, message) }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Something of PostgreSQL that there is not here.
    pub(crate) fn unsupported(what: &str) -> Self {
        Self::new("0A000", format!("{what} is not supported."))
    }

    /// The same whatever was wrong.
    pub(crate) fn not_signed_in() -> Self {
        Self::fatal("28P01", "The e-mail address and the access token do not belong together.")
            .hint("The user is your e-mail address, the password a personal access token with the scope data:query.")
    }

    /// All places of the listener are held by clients that are signed in. PostgreSQL says so with the same code.
    pub(crate) fn crowded() -> Self {
        Self::fatal("53300", "Too many clients are connected already.")
            .hint("Try again in a moment. The operator's limit is pgwire.connections.")
    }

    /// The connection is gone: nobody is told.
    pub(crate) fn gone() -> Self {
        Self::fatal("08P01", "The connection is closed.")
    }

    pub(crate) fn cancelled() -> Self {
        Self::new("57014", "The query was cancelled.")
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        Self::fatal("08P01", format!("Not the protocol: {malformed}."))
    }
}

/// The code of each reason why a query has no answer.
pub(crate) const fn state(code: QueryCode) -> &'static str {
    match code {
        QueryCode::Syntax => "42601",
        QueryCode::UnknownRelation => "42P01",
        QueryCode::UnknownColumn => "42703",
        QueryCode::StatementNotAllowed => "0A000",
        QueryCode::TypeMismatch => "42804",
        QueryCode::EvaluationFailed => "22000",
        QueryCode::LimitRows => "54000",
        QueryCode::LimitTime | QueryCode::Cancelled => "57014",
        QueryCode::LimitMemory => "53200",
        QueryCode::LimitConcurrency => "53300",
        QueryCode::SourceUnavailable => "58000",
        QueryCode::PolicyDenied => "42501",
        QueryCode::Internal => "XX000",
    }
}

impl From<QueryFailure> for Problem {
    fn from(failure: QueryFailure) -> Self {
        let problem = Self::new(state(failure.code), failure.message);
        match failure.nearest.as_slice() {
            [] => problem,
            nearest => problem.hint(format!("Nearest: {}.", nearest.join(", "))),
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::SessionEnded => Self::fatal("57P01", "The access token is not valid any more."),
            Fault::Forbidden(reason) => {
                Self::new("42501", format!("The access token does not allow this: {reason}."))
            }
            Fault::StepUpRequired => Self::new("42501", "The access token does not allow this."),
            Fault::RateLimited { retry_after, .. } => {
                Self::new("53400", format!("Too many requests; try again in {retry_after} s."))
            }
            Fault::Busy { retry_after } => {
                Self::new("53300", format!("Too much is under way; try again in {retry_after} s."))
            }
            fault => {
                tracing::error!(error = %fault, "a statement cannot be answered");
                Self::new("XX000", "The statement cannot be answered at the moment.")
            }
        }
    }
}

impl<E: Into<Problem>> From<Refused<E>> for Problem {
    fn from(refused: Refused<E>) -> Self {
        match refused {
            Refused::Rule(rule) => rule.into(),
            Refused::Fault(fault) => fault.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_code_of_the_closed_list() {
        let all = [
            QueryCode::Syntax,
            QueryCode::UnknownRelation,
            QueryCode::UnknownColumn,
            QueryCode::StatementNotAllowed,
            QueryCode::TypeMismatch,
            QueryCode::EvaluationFailed,
            QueryCode::LimitRows,
            QueryCode::LimitTime,
            QueryCode::LimitMemory,
            QueryCode::LimitConcurrency,
            QueryCode::SourceUnavailable,
            QueryCode::PolicyDenied,
            QueryCode::Cancelled,
            QueryCode::Internal,
        ];
        for code in all {
            assert!(Problem::STATES.contains(&state(code)), "{code:?}");
            assert_eq!(state(code).len(), 5);
        }
    }

    #[test]
    fn what_happened_inside_is_not_told() {
        let told = Problem::from(Fault::Internal("row 7: SECRET".to_owned()));
        assert_eq!((told.state, told.message.contains("SECRET")), ("XX000", false));
        let told = Problem::from(Fault::Unavailable("postgres://u:p@db".to_owned()));
        assert!(!told.message.contains("db"));
    }
}

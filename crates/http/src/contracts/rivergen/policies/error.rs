//! What can go wrong with policies, in the contract's codes.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use tidegate_policies::records::PolicyRefusal;

use super::super::platform::PlatformError;
use crate::wire::fields::Violations;

impl From<PolicyRefusal> for PlatformError {
    fn from(refusal: PolicyRefusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            PolicyRefusal::NotFound
            | PolicyRefusal::AssignmentNotFound
            | PolicyRefusal::TargetNotFound { .. }
            | PolicyRefusal::RelationNotFound => Self::not_found(text),
            PolicyRefusal::NoTarget
            | PolicyRefusal::WrongRule { .. }
            | PolicyRefusal::BadRule { .. }
            | PolicyRefusal::TooMany { .. }
            | PolicyRefusal::TooManyOfAll { .. }
            | PolicyRefusal::Unanswerable(_)
            | PolicyRefusal::NoQueries
            | PolicyRefusal::QueryFailed { .. } => Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", text),
        }
    }
}

pub(super) type PolicyPath = Result<Path<i64>, PathRejection>;
pub(super) type AssignmentPath = Result<Path<(i64, i64)>, PathRejection>;

/// The number in a path.
pub(super) fn number(path: PolicyPath) -> Result<i64, Violations> {
    path.map(|Path(number)| number).map_err(|_| Violations::of("policy_id", "must be an integer"))
}

/// The numbers in a path.
pub(super) fn numbers(path: AssignmentPath) -> Result<(i64, i64), Violations> {
    path.map(|Path(numbers)| numbers)
        .map_err(|_| Violations::of("assignment_id", "must be an integer, as must policy_id"))
}

//! What can go wrong in Prompt Studio, in the contract's codes.

use axum::extract::Path;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::StatusCode;
use tidegate_prompts::PromptRefusal;
use tidegate_prompts::ports::QueryCode;

use super::super::platform::PlatformError;
use crate::wire::fields::Violations;

impl From<PromptRefusal> for PlatformError {
    fn from(refusal: PromptRefusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            PromptRefusal::PromptNotFound
            | PromptRefusal::ExecutionNotFound
            | PromptRefusal::TemplateNotFound
            | PromptRefusal::WorkspaceNotFound
            | PromptRefusal::SourceNotFound(_)
            | PromptRefusal::MemberNotFound => Self::not_found(text),
            PromptRefusal::UnknownModel(_) | PromptRefusal::Template(_) | PromptRefusal::Period(_) => {
                Self::bad_request(text)
            }
            PromptRefusal::SystemTemplate => Self::forbidden(text),
            PromptRefusal::NotCompleted(_) | PromptRefusal::AlreadyOver(_) => {
                Self::new(StatusCode::CONFLICT, "CONFLICT", text)
            }
            PromptRefusal::Busy { retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", text).retry_after(retry_after)
            }
            PromptRefusal::Query { code: QueryCode::PolicyDenied, .. } => Self::forbidden(text),
            PromptRefusal::Query { code: QueryCode::SourceUnavailable, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", text)
            }
            PromptRefusal::Query { code: QueryCode::LimitConcurrency, .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", text).retry_after(5)
            }
            PromptRefusal::Query { code: QueryCode::Internal, .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "INTERNAL_SERVER_ERROR",
                "An unexpected error occurred",
            ),
            PromptRefusal::Query { .. } => Self::bad_request(text),
        }
    }
}

pub(in super::super) type NumberPath = Result<Path<i64>, PathRejection>;

/// The number in a path.
pub(in super::super) fn number(name: &'static str, path: NumberPath) -> Result<i64, Violations> {
    path.map(|Path(number)| number).map_err(|_| Violations::of(name, "must be an integer"))
}

/// A query that is none.
pub(in super::super) fn no_query(_: QueryRejection) -> Violations {
    Violations::of("query", "must be a valid query string")
}

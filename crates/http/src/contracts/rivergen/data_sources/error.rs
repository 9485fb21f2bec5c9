//! What can go wrong with data sources, in the contract's codes.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use tidegate_catalog::sources::SourceRefusal;

use super::super::platform::PlatformError;
use crate::wire::fields::Violations;

impl From<SourceRefusal> for PlatformError {
    fn from(refusal: SourceRefusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            SourceRefusal::NotFound
            | SourceRefusal::WorkspaceNotFound
            | SourceRefusal::FileNotFound
            | SourceRefusal::NoFile => Self::not_found(text),
            SourceRefusal::Elsewhere => Self::forbidden(text),
            SourceRefusal::Governed | SourceRefusal::GovernedChange => Self::forbidden(text),
            SourceRefusal::Incomplete { .. }
            | SourceRefusal::Contradiction(_)
            | SourceRefusal::Misspelt(_) => Self::bad_request(text),
            SourceRefusal::Failed { code, message, .. } => {
                Self::bad_request(format!("{}: {message}", code.as_str()))
            }
            SourceRefusal::BreakerOpen { retry_after, .. } => {
                Self::bad_request(text).retry_after(retry_after)
            }
            SourceRefusal::Busy { retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", text).retry_after(retry_after)
            }
            SourceRefusal::StillRunning { retry_after } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", text)
                    .retry_after(retry_after)
            }
        }
    }
}

pub(super) type SourcePath = Result<Path<i64>, PathRejection>;

/// The number in a path.
pub(super) fn number(path: SourcePath) -> Result<i64, Violations> {
    path.map(|Path(number)| number).map_err(|_| Violations::of("data_source_id", "must be an integer"))
}

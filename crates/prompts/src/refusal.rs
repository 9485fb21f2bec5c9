//! Why a use case of Prompt Studio refused.

use crate::ports::QueryCode;

/// Why nothing was done. Each text may be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptRefusal {
    /// There is none of that number, or it is not the caller's.
    #[error("the prompt does not exist")]
    PromptNotFound,
    /// Likewise.
    #[error("the execution does not exist")]
    ExecutionNotFound,
    /// Likewise.
    #[error("the template does not exist")]
    TemplateNotFound,
    /// Likewise.
    #[error("the workspace does not exist")]
    WorkspaceNotFound,
    /// Likewise. Those that others have are answered as those that nobody has.
    #[error("the data source {0} does not exist")]
    SourceNotFound(i64),
    /// There is no member of that number in the organization.
    #[error("the user does not exist")]
    MemberNotFound,
    /// No model of that name or class is configured.
    #[error("the AI model is unknown; known are {0}")]
    UnknownModel(String),
    /// A template or its parameters do not fit.
    #[error("{0}")]
    Template(String),
    /// Templates that come with the program are not changed.
    #[error("a system template cannot be changed")]
    SystemTemplate,
    /// Its result is asked for, and it has none.
    #[error("the execution is {0}; only a completed one has a result")]
    NotCompleted(&'static str),
    /// It is over.
    #[error("the execution is {0} already")]
    AlreadyOver(&'static str),
    /// As much runs for the person or the organization as may.
    #[error("too many queries are running; try again in {retry_after} s")]
    Busy {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// A result is asked for, and its query fails now.
    #[error("{}: {message}", .code.as_str())]
    Query {
        /// Why.
        code: QueryCode,
        /// It, in a sentence.
        message: String,
    },
    /// A period that is none.
    #[error("{0}")]
    Period(&'static str),
}

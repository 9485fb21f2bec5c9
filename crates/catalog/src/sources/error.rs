//! Why a use case of data sources refused.

use tidegate_connect::ErrorCode;

/// Why nothing was done with a data source. Each text may be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceRefusal {
    /// There is none of that number, or it is not the caller's to see.
    #[error("the data source does not exist")]
    NotFound,
    /// Likewise.
    #[error("the workspace does not exist")]
    WorkspaceNotFound,
    /// There is no such object, or it is not the caller's.
    #[error("the file does not exist; upload it first and send its object name as file_path")]
    FileNotFound,
    /// Stored secrets would go to a server that another person names.
    #[error(
        "only who made the data source, and administrators, may have its stored credentials sent to another server; make a data \
         source of your own"
    )]
    Elsewhere,
    /// Policies decide what the caller sees of it.
    #[error("policies decide what you see of this data source: read it by a query")]
    Governed,
    /// Policies decide what the caller sees of it, by the names that would change.
    #[error(
        "policies decide what you see of this data source: only who made it, and administrators, may change where and how it is read"
    )]
    GovernedChange,
    /// It is not one of files.
    #[error("the data source has no file")]
    NoFile,
    /// Fields that its type needs are missing.
    #[error("a data source of type {kind} needs {}", fields.join(", "))]
    Incomplete {
        /// The type.
        kind: &'static str,
        /// Which fields.
        fields: Vec<&'static str>,
    },
    /// Fields do not go together, or one has in it what belongs into another.
    #[error("{0}")]
    Contradiction(&'static str),
    /// An option is not known, and nearly one that is.
    #[error("{0}")]
    Misspelt(String),
    /// The source did not do what it was asked for.
    #[error("{message}")]
    Failed {
        /// What kind of failure.
        code: ErrorCode,
        /// It, without anything secret.
        message: String,
        /// What more there is to say to the operator, and to nobody else.
        detail: String,
    },
    /// It failed too often lately, and is left alone for a while.
    #[error(
        "the data source failed {failures} times in a row and is left alone; try again in {retry_after} s, or test it"
    )]
    BreakerOpen {
        /// How often.
        failures: i64,
        /// Seconds to wait.
        retry_after: u64,
    },
    /// As much runs for the organization as may.
    #[error("too many tests and discoveries are running; try again in {retry_after} s")]
    Busy {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// It takes longer than a request may, and goes on.
    #[error("the discovery is still running; ask again in {retry_after} s for its result")]
    StillRunning {
        /// Seconds to wait.
        retry_after: u64,
    },
}

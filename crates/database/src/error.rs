//! What can go wrong in the store.

/// A failed store operation. Carries the cause for the log; clients never see it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot take the work now: connections exhausted, a lock not obtained in time, a lost connection.
    /// Trying again later may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The database's address cannot be used.
    #[error("{0}")]
    Address(String),
    /// The database is of a newer version of Tidegate, or its migrations were tampered with.
    #[error("the database's schema does not fit this version of tidegate: {0}")]
    Migration(String),
    /// A stored value that no version of Tidegate has written.
    #[error("the database holds an unreadable value in {0}")]
    Unreadable(&'static str),
    /// Anything else.
    #[error("the database failed: {0}")]
    Database(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error;
        match &error {
            Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => {
                Self::Unavailable(error.to_string())
            }
            Error::Database(cause) if is_transient(cause.code().as_deref().unwrap_or_default()) => {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Database(error.to_string()),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::Execute(cause) => cause.into(),
            MigrateError::VersionMissing(version) => Self::Migration(format!(
                "migration {version} was applied by a newer version; start that version, or restore a backup"
            )),
            other => Self::Migration(other.to_string()),
        }
    }
}

/// PostgreSQL's serialization failure, deadlock, connection limits and shutdown classes; SQLite's busy and locked.
fn is_transient(code: &str) -> bool {
    matches!(code, "40001" | "40P01" | "53300" | "5" | "6" | "261" | "517")
        || code.starts_with("57P")
        || code.starts_with("08")
}

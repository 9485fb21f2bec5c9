//! What can go wrong in the store.

/// A failed store operation. Carries the cause for the log; clients never see it.
#[derive(Clone, Debug, thiserror::Error)]
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
            Error::Database(cause) => match class_of(cause.code().as_deref().unwrap_or_default()) {
                Class::Unavailable => Self::Unavailable(error.to_string()),
                Class::Pooler => Self::Unavailable(format!("{error}; {POOLER}")),
                Class::Other => Self::Database(error.to_string()),
            },
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

/// What a statement finds that was prepared on another connection than it believes.
const POOLER: &str = "a pooler in transaction mode has to support prepared statements (PgBouncer from 1.21, with \
     max_prepared_statements); else use its session mode";

/// What an error of the database says about the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// The database cannot do this now: try later, or on another node.
    Unavailable,
    /// A pooler is not configured for what is asked of it.
    Pooler,
    /// Nothing: the statement or the data is wrong.
    Other,
}

/// Sorts by SQLSTATE class (PostgreSQL, five characters) or by primary result code (SQLite, a number).
fn class_of(code: &str) -> Class {
    let is_unavailable = match (code.len(), code.parse::<u32>()) {
        (5, _) => is_unavailable_state(code),
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL: the low byte of an extended code.
        (_, Ok(code)) => matches!(code & 0xff, 5..=10 | 13..=15),
        _ => false,
    };
    match code {
        "26000" | "42P05" => Class::Pooler,
        _ if is_unavailable => Class::Unavailable,
        _ => Class::Other,
    }
}

/// PostgreSQL: lost connections (08), read-only transactions (25006, after a fail-over) and ones that were ended (25P0x), refused
/// sign-in (28), rollbacks (40), a missing database (3D), no resources (53), locks (55), an operator's doing (57), the system's (58).
fn is_unavailable_state(state: &str) -> bool {
    let class = state.get(..2).unwrap_or_default();
    matches!(state, "25006" | "25P03" | "25P04" | "55006" | "55P03")
        || matches!(class, "08" | "28" | "3D" | "53" | "57" | "58")
        || (class == "40" && state != "40002")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_what_they_say_about_the_next_attempt() {
        for passing in [
            // PostgreSQL: read-only, disk full, too many connections, shut down, cancelled, input/output, deadlock, locked.
            "25006", "53100", "53200", "53300", "57P01", "57P03", "57014", "58030", "40001", "40P01", "55P03",
            "08006", "28P01", "3D000",
            // SQLite: busy, locked, read-only (and its database moved), full, input/output (and writing), cannot be opened.
            "5", "6", "8", "1032", "13", "10", "778", "14", "261", "517", "7", "15",
        ] {
            assert_eq!(class_of(passing), Class::Unavailable, "{passing}");
        }
        for wrong in [
            "23505", "42P01", "42703", "22P02", "XX001", "40002", "", "1", "11", "19", "26", "1811", "2067",
            "20",
        ] {
            assert_eq!(class_of(wrong), Class::Other, "{wrong}");
        }
        assert_eq!((class_of("26000"), class_of("42P05")), (Class::Pooler, Class::Pooler));
    }
}

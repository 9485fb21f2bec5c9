//! What can go wrong in the store.

use std::fmt;
use std::path::Path;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

use crate::limit::Limit;

/// A failed store operation. Carries the cause for the log; clients never see it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot take the work now: connections exhausted, a lock not obtained in time, a lost connection.
    /// Trying again later may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(Reason),
    /// The database's address cannot be used.
    #[error("{0}")]
    Address(String),
    /// The database is of a newer version of Tidegate, or its migrations were tampered with.
    #[error("the database's schema does not fit this version of tidegate: {0}")]
    Migration(String),
    /// The database cannot be opened as it is configured.
    #[error("{0}")]
    Refused(Refusal),
    /// A stored value that no version of Tidegate has written.
    #[error("the database holds an unreadable value in {0}")]
    Unreadable(&'static str),
    /// The database found that its own files are damaged. What it answers is not to be relied on.
    #[error("the database is damaged: {said}")]
    Damaged {
        /// What the database said.
        said: String,
        /// What to do about it.
        advice: String,
    },
    /// A file of the database was removed or replaced while it was open: what is written now is lost with the next restart.
    #[error("{what}")]
    Lost {
        /// Which file, and what became of it.
        what: String,
        /// What to do about it.
        advice: String,
    },
    /// Anything else.
    #[error("the database failed: {0}")]
    Database(Reason),
}

impl StoreError {
    /// What to do about it, where that is known. It stands in the text, too.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.advice),
            Self::Damaged { advice, .. } | Self::Lost { advice, .. } => Some(advice),
            Self::Unavailable(reason) | Self::Database(reason) => reason.advice.as_deref(),
            Self::Address(_) | Self::Migration(_) | Self::Unreadable(_) => None,
        }
    }
}

/// Why an operation failed.
#[derive(Clone, Debug)]
pub struct Reason {
    /// What is wrong.
    pub what: String,
    /// What to do about it, where that is known.
    pub advice: Option<String>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.advice {
            Some(advice) => write!(f, "{}; {advice}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Reason {}

impl From<String> for Reason {
    fn from(what: String) -> Self {
        Self { what, advice: None }
    }
}

impl From<&str> for Reason {
    fn from(what: &str) -> Self {
        what.to_owned().into()
    }
}

/// Why a database cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {advice}")]
pub struct Refusal {
    /// Stable, for programs.
    pub code: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl Refusal {
    /// A refusal that says what is wrong and what to do about it.
    pub fn new(code: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code, what: what.into(), advice: advice.into() }
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error;
        let text = plain(&error);
        match &error {
            Error::Io(cause) => {
                // The pool's own has its advice apart.
                let reason = cause.get_ref().and_then(|cause| cause.downcast_ref::<Reason>()).cloned();
                Self::Unavailable(reason.unwrap_or_else(|| text.into()))
            }
            Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => {
                Self::Unavailable(text.into())
            }
            Error::Database(cause) => {
                let code = cause.code().unwrap_or_default();
                let class = class_of(&code);
                if class == Class::Damaged {
                    let advice = if code.len() == 5 { DAMAGED_SERVER } else { DAMAGED_FILE };
                    return Self::Damaged { said: text, advice: advice.to_owned() };
                }
                let advice = if gives_taken_key(&code, cause.as_ref()) {
                    Some(RESTORE_ANEW.to_owned())
                } else {
                    advice_of(&code, routine_of(cause.as_ref()))
                };
                let reason = Reason { what: text, advice };
                match class {
                    Class::Unavailable | Class::Pooler => Self::Unavailable(reason),
                    Class::Damaged | Class::Other => Self::Database(reason),
                }
            }
            _ => Self::Database(text.into()),
        }
    }
}

/// What a database said, in its own words: without those of the library, and without the place in the server's source.
pub(crate) fn plain(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(cause) => match cause.code() {
            Some(code) => format!("{} (code {code})", cause.message()),
            None => cause.message().to_owned(),
        },
        sqlx::Error::Io(cause) => without_number(&cause.to_string()).to_owned(),
        sqlx::Error::PoolTimedOut => "no connection became free in time".to_owned(),
        other => without_number(&other.to_string()).to_owned(),
    }
}

/// A message of the system without its number: `No such file or directory (os error 2)`.
pub(crate) fn without_number(text: &str) -> &str {
    text.split_once(" (os error ").map_or(text, |(said, _)| said)
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::Execute(cause) => cause.into(),
            MigrateError::ExecuteMigration(cause, version) => match Self::from(cause) {
                Self::Database(reason) => Self::Migration(format!("migration {version}: {reason}")),
                other => other,
            },
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

/// What to do where SQLite does not get the lock of its file.
pub const LOCK_HELD: &str =
    "another program holds the database's lock: end it, a backup or an open `sqlite3` for example";

/// What to do where PostgreSQL ended something after the time that the setting allows: Tidegate itself sets none.
macro_rules! time_limit {
    ($setting:literal) => {
        concat!(
            $setting,
            " of the role, the database or the server is too short for it: take it off where it was set, `alter role USER reset ",
            $setting,
            "` or `alter database NAME reset ",
            $setting,
            "`; `select source from pg_settings where name = '",
            $setting,
            "'` says where, asked by the user of the database's address"
        )
    };
}

/// What to do about an error, by its code in either engine.
pub(crate) fn advice(code: &str) -> Option<&'static str> {
    if code.len() == 5 {
        return match code {
            "26000" | "42P05" => Some(POOLER),
            "25006" => Some(
                "it is read-only, as a standby is: give the address of the primary server. Where default_transaction_read_only was set, reset it: \
                 `tidegate doctor` says where",
            ),
            "42501" => Some(
                "the user of the database's address needs the right. To make tables: `alter database NAME owner to USER`, or `grant usage, \
                 create on schema SCHEMA to USER`. For tables of another role: that role in the address, or `alter table NAME owner to \
                 USER` for each",
            ),
            "3F000" => Some(
                "create the schema that options[search_path] names, or let the user of the database's address use it: `grant usage, create on \
                 schema SCHEMA to USER`",
            ),
            "53100" => Some("free space on the database server's disk"),
            "57014" => Some(concat!("unless somebody cancelled it: ", time_limit!("statement_timeout"))),
            "55P03" => Some(time_limit!("lock_timeout")),
            "25P03" => Some(time_limit!("idle_in_transaction_session_timeout")),
            "25P04" => Some(time_limit!("transaction_timeout")),
            "57P05" => Some(time_limit!("idle_session_timeout")),
            "57P03" => Some("the server starts or stops: try again in a moment"),
            "XX001" | "XX002" => Some(DAMAGED_SERVER),
            _ => None,
        };
    }
    match code.parse::<u32>().ok()? & 0xff {
        5 | 6 => Some(LOCK_HELD),
        8 => Some(
            "the file or its directory cannot be written: see its permissions, and whether the disk is mounted read-only",
        ),
        10 => Some(
            "the disk fails or is full, or a file may grow no larger: see the system's log, `df` and `ulimit -f`",
        ),
        11 => Some(DAMAGED_FILE),
        13 => Some("the disk is full: free space"),
        14 => Some(
            "see whether its directory can be written, whether its disk has space, and whether the process may open more files: \
             `ulimit -n`",
        ),
        26 => Some(
            "the file is no SQLite database, or is encrypted, or its log FILE-wal was emptied or overwritten: then stop the server, move all \
             three away (FILE-shm, too) and restore your backup with `tidegate restore BACKUP`",
        ),
        _ => None,
    }
}

/// Where in PostgreSQL an error arose: the same in every language of the server, which its message is not.
fn routine_of<'c>(cause: &'c (dyn DatabaseError + 'static)) -> &'c str {
    cause.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::routine).unwrap_or_default()
}

/// The same, where one code has several causes: with `routine`, where in PostgreSQL it arose.
fn advice_of(code: &str, routine: &str) -> Option<String> {
    match code {
        "53300" => Some(Limit::met(routine, "USER", "NAME").advice()),
        _ => advice(code).map(str::to_owned),
    }
}

/// Whether PostgreSQL generated a key that a row has already: all such keys are called so, and no others are.
fn gives_taken_key(code: &str, cause: &(dyn DatabaseError + 'static)) -> bool {
    let postgres = cause.try_downcast_ref::<PgDatabaseError>();
    code == "23505" && postgres.is_some_and(|cause| is_generated_key(cause.constraint(), cause.detail()))
}

/// The columns are written so in every language of the server.
fn is_generated_key(constraint: Option<&str>, detail: Option<&str>) -> bool {
    constraint.is_some_and(|name| name.ends_with("_pkey"))
        && detail.is_some_and(|detail| detail.contains("(number)=("))
}

/// Advice that is about the database's `FILE`, with the file's own name.
pub(crate) fn naming(file: &Path, advice: &str) -> String {
    let shown = file.display().to_string();
    advice.replace("NEW", &format!("{shown}.recovered")).replace("FILE", &shown)
}

/// What to do where sequences are behind their tables.
pub(crate) const RESTORE_ANEW: &str = "a dump was restored over existing tables: stop the server, and restore it into an empty database, or in \
     the place of these tables: `pg_restore --clean --if-exists --no-owner --dbname=ADDRESS FILE`";
/// What is left to do with a damaged file.
pub(crate) const DAMAGED_FILE: &str = "stop the server, keep a copy of FILE, and of FILE-wal and FILE-shm where they are there. With a backup, move \
     them away and restore your backup with `tidegate restore BACKUP`. Without one, recover what can be read with `sqlite3 FILE .recover | \
     sqlite3 NEW` (where NEW is empty, as with the sqlite3 of Debian: `sqlite3 FILE .dump | sed 's/^ROLLBACK;.*/COMMIT;/' | sqlite3 NEW`), \
     see whether `sqlite3 NEW 'pragma integrity_check; select count(*) from accounts'` answers ok and your accounts, move the damaged files \
     away, put the other in their place with `mv NEW FILE`, run `tidegate doctor`, and start";
/// And with a damaged PostgreSQL.
const DAMAGED_SERVER: &str = "see the log of the PostgreSQL server; stop both, keep a copy of its data directory, then restore your \
     backup. `pg_amcheck` lists what is damaged, and `reindex` repairs an index";

/// What an error of the database says about the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// The database cannot do this now: try later, or on another node.
    Unavailable,
    /// A pooler is not configured for what is asked of it.
    Pooler,
    /// What is stored is damaged.
    Damaged,
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
        "XX001" | "XX002" => Class::Damaged,
        _ if is_damaged_file(code) => Class::Damaged,
        _ if is_unavailable => Class::Unavailable,
        _ => Class::Other,
    }
}

/// SQLite: CORRUPT and NOTADB, also in the low byte of an extended code.
fn is_damaged_file(code: &str) -> bool {
    code.len() != 5 && code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 11 | 26))
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
        for wrong in
            ["23505", "42P01", "42703", "22P02", "XX000", "40002", "", "1", "19", "1811", "2067", "20"]
        {
            assert_eq!(class_of(wrong), Class::Other, "{wrong}");
        }
        // Corrupt, its index, no database; data_corrupted, index_corrupted.
        for damaged in ["11", "267", "779", "26", "XX001", "XX002"] {
            assert_eq!(class_of(damaged), Class::Damaged, "{damaged}");
        }
        assert_eq!((class_of("26000"), class_of("42P05")), (Class::Pooler, Class::Pooler));
    }

    #[test]
    fn each_error_that_an_operator_can_end_says_how() {
        for (code, begin) in [
            ("25006", "it is read-only, as a standby is"),
            ("42501", "the user of the database's address needs the right"),
            ("3F000", "create the schema"),
            ("42P05", "a pooler in transaction mode"),
            ("53100", "free space"),
            ("57014", "unless somebody cancelled it: statement_timeout of the role"),
            ("55P03", "lock_timeout of the role"),
            ("25P03", "idle_in_transaction_session_timeout of the role"),
            ("25P04", "transaction_timeout of the role"),
            ("57P05", "idle_session_timeout of the role"),
            ("57P03", "the server starts or stops"),
            ("5", "another program holds the database's lock"),
            ("261", "another program holds the database's lock"),
            ("1032", "the file or its directory cannot be written"),
            ("778", "the disk fails or is full"),
            ("11", "stop the server, keep a copy"),
            ("267", "stop the server, keep a copy"),
            ("XX001", "see the log of the PostgreSQL server"),
            ("13", "the disk is full"),
            ("14", "see whether its directory can be written"),
            ("26", "the file is no SQLite database"),
        ] {
            assert!(advice(code).is_some_and(|advice| advice.starts_with(begin)), "{code}");
        }
        assert_eq!((advice("23505"), advice("2067"), advice("")), (None, None, None));
    }

    #[test]
    fn only_keys_that_the_database_gives_are_advised_to_be_restored() {
        for (constraint, detail, is_told) in [
            (Some("sessions_pkey"), Some("Key (number)=(12) already exists."), true),
            (
                Some("sessions_pkey"),
                Some("Schl\u{fc}ssel \u{bb}(number)=(12)\u{ab} existiert bereits."),
                true,
            ),
            (Some("credentials_pkey"), Some("Key (account_id)=(x) already exists."), false),
            (Some("members_pkey"), Some("Key (organization_id, number)=(x, 12) already exists."), false),
            (Some("accounts_number_key"), Some("Key (number)=(12) already exists."), false),
            (Some("sessions_pkey"), None, false),
            (None, None, false),
        ] {
            assert_eq!(is_generated_key(constraint, detail), is_told, "{constraint:?} {detail:?}");
        }
    }

    #[test]
    fn a_limit_of_a_role_or_a_database_is_told_from_that_of_the_server() {
        for (code, routine, begin) in [
            ("53300", "InitializeSessionUserId", Some("raise its limit with `alter role USER")),
            ("53300", "CheckMyDatabase", Some("raise its limit with `alter database NAME")),
            ("53300", "InitProcess", Some("raise max_connections of the server, or lower")),
            ("42501", "CheckMyDatabase", Some("the user of the database's address")),
            ("28000", "InitializeSessionUserId", None),
        ] {
            let advice = advice_of(code, routine);
            let begins =
                advice.as_deref().zip(begin).is_some_and(|(advice, begin)| advice.starts_with(begin));
            assert_eq!(begins, begin.is_some(), "{code} {routine}: {advice:?}");
        }
    }

    #[test]
    fn advice_stands_at_the_end_of_the_text_and_apart_from_it() {
        let reason =
            Reason { what: "busy (code 5)".to_owned(), advice: Some("end it (soon); or wait".to_owned()) };
        let error = StoreError::Unavailable(reason);
        assert_eq!(error.to_string(), "the database is unavailable: busy (code 5); end it (soon); or wait");
        assert_eq!(error.advice(), Some("end it (soon); or wait"));
        // What the database says is no advice, whatever it looks like.
        let error = StoreError::Database("no row (code 1); nor another".into());
        assert_eq!(error.to_string(), "the database failed: no row (code 1); nor another");
        assert_eq!(error.advice(), None);
    }

    #[test]
    fn a_message_has_no_number_of_the_system() {
        assert_eq!(without_number("Permission denied (os error 13)"), "Permission denied");
        let error = sqlx::Error::Io(std::io::Error::from_raw_os_error(2));
        let text = StoreError::from(error).to_string();
        assert_eq!(text, "the database is unavailable: No such file or directory");
    }
}

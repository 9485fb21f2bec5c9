//! Who serves a SQLite file: one process at a time, which notes itself in a lock beside the file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use tidegate_database::error::LOCK_HELD;
use tidegate_database::{Denial, OpenDescriptor, Store, descriptors_of, identity};
use tokio::time::sleep;

use super::{absence, with_suffix};
use crate::config::Config;
use crate::failure::{Failure, without_numbers};

/// How long a server that is looked for may take to accept a connection: one that is stopped or has no room does not.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// How long a process that stops may have a file open that it removed.
const CLOSED_WITHIN: Duration = Duration::from_millis(100);
/// What stands at the end of the lock of a server that was started for development.
const DEVELOPMENT: &str = " dev";
/// The same of one whose limits are as ever.
const DEVELOPMENT_WITH_LIMITS: &str = " dev limits";

/// What to do about a server beside which another one cannot be.
const STOP_THE_OTHER: &str = "stop that process first; a second installation needs another --data-dir, and several nodes of one need \
     PostgreSQL";

/// Held by the one process that serves a SQLite file; let go of by the system when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct ServingLock {
    file: File,
}

impl ServingLock {
    /// Takes the lock of a database's file.
    ///
    /// # Errors
    /// When another process has it, or the file system has no locks.
    pub(crate) fn take(database: &Path) -> Result<Self, Failure> {
        Self::take_or(database, STOP_THE_OTHER)
    }

    /// The same, with what is to be done where another process has it.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn take_or(database: &Path, advice: &str) -> Result<Self, Failure> {
        // One that begins beside this has no file yet, and lost none.
        Self::take_advising(database, |pid| {
            if pid.is_some_and(|pid| has_another(pid, database)) {
                format!("do NOT stop it yet: {}. Then: {advice}", save_it_first(pid, database))
            } else {
                advice.to_owned()
            }
        })
    }

    /// `advise` is told which process has it, where that is known.
    fn take_advising(database: &Path, advise: impl FnOnce(Option<u32>) -> String) -> Result<Self, Failure> {
        let path = lock_file(database);
        let shown = path.display();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| {
                let (what, advice) = match error.kind() {
                    io::ErrorKind::PermissionDenied => {
                        let denial = Denial::of(&path);
                        (format!("may not be written by this user{}", denial.reason()), denial.advice())
                    }
                    _ => {
                        let error = without_numbers(&error.to_string());
                        (format!("cannot be written: {error}"), "see its permissions and its disk".to_owned())
                    }
                };
                Failure::advised("data_directory", format!("{shown} {what}"), advice)
            })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = noted_pid(&mut file);
                return Err(served_already(database, pid).advise(advise(pid)));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Failure::advised(
                    "data_directory",
                    format!("{shown} cannot be locked: {error}"),
                    "keep the database on a local disk: SQLite needs its locks as well",
                ));
            }
        }
        // Only says who has it.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", process::id()))
            .and_then(|()| file.flush());
        Ok(Self { file })
    }

    /// Notes for commands beside it where its process listens, whether it is for development, and with which limits.
    pub(crate) fn note_address(&mut self, address: SocketAddr, config: &Config) {
        let mode = match (config.dev, config.dev_limits) {
            (true, false) => DEVELOPMENT,
            (true, true) => DEVELOPMENT_WITH_LIMITS,
            (false, _) => "",
        };
        // Only says so.
        let _ = write!(self.file, " {address}{mode}").and_then(|()| self.file.flush());
    }
}

/// Takes the lock of a database's file where there is one: a server holds it also when the file itself was removed. No lock is made.
///
/// # Errors
/// When a process has it, with what to do first.
pub(crate) fn take_lock_left(database: &Path) -> Result<Option<ServingLock>, Failure> {
    let directory = database.parent().filter(|parent| !parent.as_os_str().is_empty());
    if !directory.unwrap_or(Path::new(".")).is_dir() || !lock_file(database).exists() {
        return Ok(None);
    }
    let stop = "stop that process first";
    let lock = ServingLock::take_advising(database, |pid| {
        if has_what_was_lost(pid, database) {
            format!("do NOT stop it yet: {}. Then: {stop}", save_it_first(pid, database))
        } else {
            stop.to_owned()
        }
    });
    lock.map(Some)
}

/// Refuses a database whose server has another file open than the one that is there now: whoever opens this one finds the log of the other
/// beside it, and SQLite would copy that into it, and empty it. The same where it is the log, or the index of it: SQLite would make another,
/// and neither process would see what the other writes.
///
/// # Errors
/// Names the process, and where it has what is lost.
pub(crate) async fn refuse_replaced(config: &Config) -> Result<(), Failure> {
    let Some(database) = config.database_file() else { return Ok(()) };
    let noted = fs::read_to_string(lock_file(&database)).unwrap_or_default();
    let Some(pid) = pid_in(&noted) else { return Ok(()) };
    if pid == process::id() {
        return Ok(());
    }
    let look = || if is_alive(pid) { missed_of(pid, &database).ok().flatten() } else { None };
    let Some(Missed { file, .. }) = lasting(look).await else { return Ok(()) };
    let became = if file.exists() { "was replaced by another file" } else { "was removed or renamed" };
    Err(Failure::advised(
        "database_lost",
        format!("{} {became} while process {pid} had it open; nothing was opened", file.display()),
        format!(
            "if it was renamed, rename it back. Else do NOT stop process {pid}: {}. Then: stop that process, and serve the copy",
            save_it_first(Some(pid), &database)
        ),
    ))
}

/// What is seen, if it is seen a moment later, too: as a process stops, SQLite removes the log and its index before it closes them.
async fn lasting<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    look()?;
    sleep(CLOSED_WITHIN).await;
    look()
}

/// A failure for a lock that was not got, with the server that may have it.
pub(crate) fn naming_the_server(config: &Config, failure: Failure) -> Failure {
    let Some(what) = without_lock(&failure) else { return failure };
    match served(config) {
        Served::At { pid, .. } => served_by(pid, failure.code(), what),
        Served::Nowhere | Served::Unknown => failure,
    }
}

/// What is wrong, where a lock was not got and no server is named yet: then the advice is another one.
fn without_lock(failure: &Failure) -> Option<&str> {
    match failure.parts() {
        (what, Some(advice)) => (advice == LOCK_HELD).then_some(what),
        // A use case keeps the advice in its text alone.
        (text, None) => text.strip_suffix(LOCK_HELD)?.strip_suffix("; "),
    }
}

fn served_by(pid: u32, code: &'static str, what: &str) -> Failure {
    Failure::advised(
        code,
        what,
        format!(
            "process {pid} serves the database: where a file was copied over it meanwhile, that process has the lock, and a restart of it \
             mends that. Else {LOCK_HELD}"
        ),
    )
}

/// Who serves a database's file just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// No process.
    Nowhere,
    /// Another process, which listens at that address.
    At { address: String, pid: u32 },
    /// It cannot be seen: the database is no file, or its lock is out of reach.
    Unknown,
}

/// Who serves the configured database. Nothing is made or changed, and the lock is not tried: for a moment that would keep a server
/// from it.
pub(crate) fn served(config: &Config) -> Served {
    let Some(database) = config.database_file() else { return Served::Unknown };
    let noted = match fs::read_to_string(lock_file(&database)) {
        Ok(noted) => noted,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Served::Nowhere,
        Err(_) => return Served::Unknown,
    };
    let mut words = noted.split(' ');
    let (pid, address) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let Ok(pid) = pid.trim().parse::<u32>() else { return Served::Unknown };
    // A process that has ended and was not waited for yet is still there, and another may have got its number.
    let listens = || {
        let address = address.parse::<SocketAddr>();
        address.is_ok_and(|address| TcpStream::connect_timeout(&address, ANSWERED_WITHIN).is_ok())
    };
    // A start that is refused listens already, and has noted itself.
    if pid == process::id() || !is_alive(pid) {
        return Served::Nowhere;
    }
    match address {
        "" => Served::Unknown,
        address if listens() => Served::At { address: address.to_owned(), pid },
        _ => Served::Nowhere,
    }
}

/// Whether the configured database is served for development just now, as far as that can be seen without asking the server.
pub(crate) fn is_served_in_development(config: &Config) -> bool {
    is_served_as(config, &[DEVELOPMENT, DEVELOPMENT_WITH_LIMITS])
}

/// Whether that is so with limits that are a hundred times higher.
pub(crate) fn is_served_with_raised_limits(config: &Config) -> bool {
    is_served_as(config, &[DEVELOPMENT])
}

fn is_served_as(config: &Config, modes: &[&str]) -> bool {
    let Some(database) = config.database_file() else { return false };
    let noted = fs::read_to_string(lock_file(&database)).unwrap_or_default();
    modes.iter().any(|mode| noted.ends_with(mode)) && pid_in(&noted).is_some_and(is_alive)
}

/// Whether there is a process of that number.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| match test_kill_process(pid) {
        Ok(()) => true,
        // It is another user's.
        Err(error) => error == Errno::PERM,
    })
}

/// The number of the process that has a lock.
fn noted_pid(file: &mut File) -> Option<u32> {
    let mut noted = String::new();
    let _ = file.take(100).read_to_string(&mut noted);
    pid_in(&noted)
}

/// The same of what stands in it.
fn pid_in(noted: &str) -> Option<u32> {
    noted.split(' ').next()?.trim().parse().ok()
}

fn served_already(database: &Path, pid: Option<u32>) -> Failure {
    let by = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    Failure::new("already_served", format!("the database {} is served already, by {by}", database.display()))
}

/// What to do before a process is stopped that has a database open of which a file was removed.
pub(super) fn save_it_first(pid: Option<u32>, database: &Path) -> String {
    let whole = "what was in the database";
    let (lost, from) = match pid.and_then(|pid| missed_of(pid, database).ok().flatten()) {
        Some(Missed { file, left }) => {
            // Without its log the database has all but that.
            let lost = if file == database { whole } else { "what was written last" };
            (lost, left.join(" and "))
        }
        None => (whole, "there".to_owned()),
    };
    format!(
        "{lost} is only there. Copy it from {from} first, as docs/operations.md, \"A removed database\", says"
    )
}

/// Whether what was in a database that is gone, or empty, can still be in a process that serves it: where this user may not look, it can.
pub(super) fn has_what_was_lost(pid: Option<u32>, database: &Path) -> bool {
    match pid.map(|pid| left_in(pid, database)) {
        Some(Ok(left)) => !left.is_empty() || !database.exists(),
        Some(Err(_)) | None => absence(database).is_some(),
    }
}

/// Whether a process has another file open than the one that is there, as far as this user may look.
fn has_another(pid: u32, database: &Path) -> bool {
    left_in(pid, database).is_ok_and(|left| !left.is_empty())
}

/// Where a process has a database and its log open of which one, or the index of the log, was removed, replaced or renamed. Nothing where all
/// that it has open is there.
///
/// # Errors
/// This user may not look.
fn left_in(pid: u32, database: &Path) -> io::Result<Vec<String>> {
    Ok(missed_of(pid, database)?.map_or_else(Vec::new, |missed| missed.left))
}

/// What a process has open of a database of which a file is not the one that is there.
struct Missed {
    /// Which of its files that is.
    file: PathBuf,
    /// Where the database and its log can be copied from.
    left: Vec<String>,
}

fn missed_of(pid: u32, database: &Path) -> io::Result<Option<Missed>> {
    let real = real_path(database);
    let there = identity(&real)?;
    let open = descriptors_of(pid)?;
    let found = |open: &OpenDescriptor| identity(&open.at).unwrap_or_default();
    let is_another = |open: &OpenDescriptor| found(open).is_some_and(|file| there != Some(file));
    let log_name = with_suffix(&real, "-wal");
    let log = open.iter().find(|open| open.name == log_name);
    let by_name = open.iter().find(|open| open.name == real && is_another(open));
    let missed = by_name.or_else(|| {
        // One that was renamed has a new name, and its log the old one.
        let has_it = there.is_some() && open.iter().any(|open| found(open) == there);
        if log.is_none() || has_it { None } else { open.iter().find(|open| Store::is_sqlite_file(&open.at)) }
    });
    let (copied, file) = match (missed, missed_beside(&open, &real)) {
        (Some(missed), _) => (missed, database.to_owned()),
        (None, Some(file)) => match open.iter().find(|open| open.name == real) {
            Some(copied) => (copied, file),
            None => return Ok(None),
        },
        (None, None) => return Ok(None),
    };
    let left = [Some(copied), log].into_iter().flatten().map(shown).collect();
    Ok(Some(Missed { file, left }))
}

/// A log or its index that a process has open and that was removed or replaced.
fn missed_beside(open: &[OpenDescriptor], real: &Path) -> Option<PathBuf> {
    ["-wal", "-shm"].into_iter().map(|suffix| with_suffix(real, suffix)).find(|path| {
        let Ok(there) = identity(path) else { return false };
        let found = |open: &OpenDescriptor| identity(&open.at).unwrap_or_default();
        open.iter().any(|open| open.name == *path && found(open).is_some_and(|file| there != Some(file)))
    })
}

fn shown(open: &OpenDescriptor) -> String {
    let name = open.name.file_name().unwrap_or_default();
    format!("{} ({})", open.at.display(), name.to_string_lossy())
}

/// Beside the database, by whatever name it is reached.
fn lock_file(database: &Path) -> PathBuf {
    with_suffix(&real_path(database), ".lock")
}

/// The file itself where the database is a link to it; also where there is none.
fn real_path(database: &Path) -> PathBuf {
    fs::canonicalize(database).unwrap_or_else(|_| {
        let directory = database.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = fs::canonicalize(directory.unwrap_or(Path::new("."))).unwrap_or_default();
        directory.join(database.file_name().unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tidegate_database::{Reason, StoreError};
    use tidegate_kernel::Fault;

    use super::*;

    #[test]
    fn one_process_serves_a_file_by_whatever_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tidegate.db");
        let lock = ServingLock::take(&path).unwrap();
        let text = ServingLock::take(&path).unwrap_err().message().to_owned();
        assert!(text.contains(&format!("served already, by process {};", std::process::id())), "{text}");
        fs::write(&path, "").unwrap();
        let link = directory.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(ServingLock::take(&link).unwrap_err().code(), "already_served");
        ServingLock::take(&directory.path().join("other.db")).unwrap();
        drop(lock);
        ServingLock::take(&link).unwrap();
    }

    #[test]
    fn a_lock_that_is_not_got_is_told_with_the_process_that_serves() {
        let (reason, advice) = ("database is locked (code 5)", Some(LOCK_HELD.to_owned()));
        let error = StoreError::Unavailable(Reason { what: reason.to_owned(), advice });
        // Of the store, and of a use case.
        let found = [Failure::from(error.clone()), Failure::from(Fault::from(error))];
        for (failure, begin) in found.iter().zip(["the database is unavailable: ", ""]) {
            let what = without_lock(failure).unwrap();
            assert_eq!(what, format!("{begin}{reason}"));
            let told = served_by(17, failure.code(), what);
            assert_eq!((told.parts().0, told.code()), (what, "database_unavailable"));
            let advice = told.parts().1.unwrap();
            assert!(
                advice.starts_with("process 17 serves the database: ") && advice.ends_with(LOCK_HELD),
                "{advice}"
            );
            assert_eq!(without_lock(&told), None, "it is told once");
        }
        assert_eq!(without_lock(&Failure::advised("database_disk_full", "it is full", "free space")), None);
    }

    #[tokio::test]
    async fn what_a_process_that_stops_removes_is_not_missed() {
        for (seen, lasts) in [([None, Some(1)], None), ([Some(1), None], None), ([Some(1), Some(2)], Some(2))]
        {
            let looks = Cell::new(0);
            let look = || seen[looks.replace(looks.get() + 1)];
            assert_eq!(lasting(look).await, lasts, "{seen:?}");
        }
    }

    #[test]
    fn a_file_that_a_process_has_open_is_missed_where_another_or_none_is_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let left = || left_in(process::id(), &at("a.db")).unwrap().join(" ");
        let begin = "SQLite format 3\0 and more";
        for name in ["a.db", "a.db-wal"] {
            fs::write(at(name), begin).unwrap();
        }
        let open = || (File::open(at("a.db")).unwrap(), File::open(at("a.db-wal")).unwrap());
        let opened = open();
        assert_eq!(left(), "");
        // The log alone: what is in it counts with the database.
        fs::remove_file(at("a.db-wal")).unwrap();
        for is_replaced in [false, true] {
            if is_replaced {
                fs::write(at("a.db-wal"), begin).unwrap();
            }
            let missed = missed_of(process::id(), &at("a.db")).unwrap().unwrap();
            assert_eq!(missed.file, real_path(&at("a.db-wal")));
            assert!(left().contains(" (a.db) ") && left().contains(" (a.db-wal)"), "{}", left());
            let advice = save_it_first(Some(process::id()), &at("a.db"));
            assert!(
                advice.starts_with("what was written last is only there. Copy it from /proc/"),
                "{advice}"
            );
        }
        drop(opened);
        let _opened = open();
        assert_eq!(left(), "");
        // Emptied in place: nothing is left to copy.
        fs::write(at("a.db"), "").unwrap();
        assert_eq!(left(), "");
        assert!(!has_what_was_lost(Some(process::id()), &at("a.db")));
        fs::write(at("a.db"), begin).unwrap();
        for is_replaced in [false, true] {
            fs::rename(at("a.db"), at("away")).unwrap();
            if is_replaced {
                fs::write(at("a.db"), begin).unwrap();
            }
            let renamed = left();
            assert!(renamed.contains(" (away)") && renamed.contains(" (a.db-wal)"), "{renamed}");
            fs::rename(at("away"), at("a.db")).unwrap();
            assert_eq!(left(), "");
        }
        fs::write(at("other"), begin).unwrap();
        fs::rename(at("other"), at("a.db")).unwrap();
        let replaced = left();
        assert!(replaced.contains(" (a.db)") && replaced.contains(" (a.db-wal)"), "{replaced}");
        assert!(has_what_was_lost(Some(process::id()), &at("a.db")));
        let advice = save_it_first(Some(process::id()), &at("a.db"));
        assert!(advice.starts_with("what was in the database is only there. Copy it from "), "{advice}");
    }
}

//! Whether there is an installation where a command looks for one, and whether it is served already.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use tidegate_database::{DatabaseUrl, Denial, Store};

use crate::config::Config;
use crate::copied::named;
use crate::failure::{Failure, without_numbers};
use crate::program::shell_word;
use crate::schema::{Unnoted, unnoted_tables};

/// How long a server that is looked for may take to accept a connection: one that is stopped or has no room does not.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// What stands at the end of the lock of a server that was started for development.
const DEVELOPMENT: &str = " dev";
/// How to get from a wrong directory to the right one.
const POINT_AT_IT: &str = "run this in the directory where the server was started, or name the data directory with --data-dir, \
     TIDEGATE_DATA_DIR or data_dir in tidegate.toml, and a PostgreSQL database with --database or TIDEGATE_DATABASE; a new \
     installation is made by `tidegate serve`, or by --new of `tidegate migrate` and `tidegate org create`";

/// What to do about a database that `tidegate copy` is to read: the data directory has nothing to do with one that is named.
const NAME_THE_SOURCE: &str = "name the database that is to be read with --from: sqlite:PATH, with the path of its file, or \
     postgres://USER:PASSWORD@HOST/NAME";

/// What to do about a server beside which another one cannot be.
const STOP_THE_OTHER: &str = "stop that process first; a second installation needs another --data-dir, and several nodes of one need \
     PostgreSQL";

/// What to do before a server is stopped whose database was removed.
const SAVE_IT_FIRST: &str =
    "copy it from there before you stop that, as docs/operations.md, \"A removed database\", says";

/// Refuses a SQLite file that is not there: an empty one would only hide a wrong directory.
///
/// # Errors
/// Names the directory that was looked in, and how to name another.
pub(crate) fn refuse_missing_file(config: &Config) -> Result<(), Failure> {
    refuse_unfinished_restore(config)?;
    match config.database_file() {
        // What cannot be seen is told when it is opened. An empty file is what a failed copy leaves: opened, it would be written to.
        Some(path) if absence(&path).is_some() => Err(missing(config)),
        _ => Ok(()),
    }
}

/// The same of a database that was named as the one to read.
///
/// # Errors
/// Names the directory that was looked in, and how to name another file.
pub(crate) fn refuse_missing_source(config: &Config) -> Result<(), Failure> {
    refuse_unfinished_restore(config)?;
    if config.database_file().is_none_or(|path| absence(&path).is_none()) {
        return Ok(());
    }
    let (what, other) = what_is_missing(config);
    let advice = match other {
        Some(file) => format!("there is one at {0}: name that with --from sqlite:{0}", file.display()),
        None => NAME_THE_SOURCE.to_owned(),
    };
    Err(Failure::advised("database_missing", what, advice))
}

/// The same of one that is there and was never migrated: it is not of an earlier version, and to migrate it would only make it look like a
/// source.
///
/// # Errors
/// Names the database, and how to name another; or those of the database.
pub(crate) async fn refuse_empty_source(config: &Config, store: &Store) -> Result<(), Failure> {
    if store.is_begun().await? {
        return Ok(());
    }
    let what = format!("the database {} is empty: it has no tables of Tidegate", config.database_url());
    Err(Failure::advised("database_missing", what, NAME_THE_SOURCE))
}

/// How a database's file is not there.
pub(crate) fn absence(file: &Path) -> Option<&'static str> {
    match fs::metadata(file) {
        Ok(found) if found.is_file() && found.len() == 0 => Some("is empty (0 bytes)"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("is missing"),
        _ => None,
    }
}

/// Where `tidegate restore` has a database until all that belongs to it is in its place.
pub(crate) fn restore_draft(database: &Path) -> PathBuf {
    with_suffix(database, ".restoring")
}

/// The path with something added to its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Refuses a SQLite file that `tidegate restore` has not put in its place yet: what there is of it is a draft.
fn refuse_unfinished_restore(config: &Config) -> Result<(), Failure> {
    let Some(database) = config.database_file() else { return Ok(()) };
    let draft = restore_draft(&database);
    if absence(&database).is_none() || !draft.exists() {
        return Ok(());
    }
    let directory = absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    let draft = absolute(&draft).unwrap_or(draft);
    let place = match config.database {
        Some(_) => format!(" --database {}", shell_word(&named(&config.database_url()))),
        None => String::new(),
    };
    Err(Failure::advised(
        "database_lost",
        format!("a restore did not finish: there is {}, and no database yet", draft.display()),
        format!(
            "if it still runs, wait for its end; else run `tidegate restore FILE --data-dir {}{place}` again, with the same backup: it begins \
             anew, and uploaded files that it copied stay",
            shell_word(&directory.display().to_string())
        ),
    ))
}

/// What an installation left in the data directory besides its database.
#[derive(Debug)]
pub(crate) struct Traces(Vec<String>);

impl Traces {
    /// Master keys, logs of a database, other databases and backups. A configuration file is none: it is there before the first start.
    pub(crate) fn find(config: &Config) -> Self {
        if !config.uses_data_dir() {
            return Self(Vec::new());
        }
        let file = config.database_file();
        let is_lost = file.as_deref().is_some_and(|file| absence(file).is_some());
        let database = file.and_then(|file| fs::canonicalize(file).ok());
        // What cannot be listed is told when something is written there.
        let entries = fs::read_dir(&config.data_dir).into_iter().flatten().flatten();
        let found = entries.map(|entry| entry.path()).filter(|path| is_trace(path, is_lost));
        let others = found.filter(|path| database.is_none() || fs::canonicalize(path).ok() != database);
        let name = |path: PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let mut names: Vec<String> = others.filter_map(name).collect();
        names.sort();
        Self(names)
    }

    /// Refuses to begin an installation where the database's file is lost.
    ///
    /// # Errors
    /// Says what is there and what is not.
    pub(crate) fn refuse_lost_file(&self, config: &Config) -> Result<(), Failure> {
        refuse_unfinished_restore(config)?;
        let Some(file) = config.database_file() else { return Ok(()) };
        match absence(&file) {
            Some(state) if !self.0.is_empty() => Err(self.lost(config, state)),
            _ => Ok(()),
        }
    }

    /// The same of a database without tables. The traces are looked for first: another process makes its key after its tables.
    ///
    /// # Errors
    /// As above, or those of the database.
    pub(crate) async fn refuse_lost_tables(&self, config: &Config, store: &Store) -> Result<(), Failure> {
        if self.0.is_empty() || store.is_begun().await? {
            return Ok(());
        }
        Err(self.lost(config, "has no tables of Tidegate"))
    }

    fn lost(&self, config: &Config, state: &str) -> Failure {
        let directory = absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
        let shown = directory.display();
        let (database, advice) = match config.database_url() {
            DatabaseUrl::Sqlite(path) => {
                let path = absolute(&path).unwrap_or(path);
                let restore = format!("restore your backup with `tidegate restore FILE --data-dir {shown}`");
                let advice = match served(config) {
                    Served::At(address) => {
                        format!(
                            "the server at {address} still has what was in it: {SAVE_IT_FIRST}. Else {restore}"
                        )
                    }
                    Served::Nowhere | Served::Unknown => restore,
                };
                (path.display().to_string(), advice)
            }
            url @ DatabaseUrl::Postgres(_) => (url.to_string(), move_there(&directory, &url)),
        };
        Failure::advised(
            "database_lost",
            format!(
                "the database {database} {state}, but {shown} has {} of an earlier installation",
                self.0.join(" and ")
            ),
            format!("{advice}. If a new installation is to begin here all the same: `tidegate serve --new`"),
        )
    }
}

/// How accounts get into a PostgreSQL database that has none.
fn move_there(directory: &Path, url: &DatabaseUrl) -> String {
    let file = directory.join("tidegate.db");
    let from = if Store::is_sqlite_file(&file) {
        shell_word(&format!("sqlite:{}", file.display()))
    } else {
        "sqlite:PATH".to_owned()
    };
    let to = shell_word(&url.to_string());
    format!(
        "check the database's address, restore your backup, or move a SQLite database there: `tidegate copy --from {from} --to {to}`"
    )
}

/// The log of a database is one where the database is lost: a first start that was cut off leaves both.
fn is_trace(path: &Path, is_lost: bool) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_named_so = name.ends_with(".key") || (is_lost && name.ends_with("-wal"));
    let has_content = || fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0);
    (is_named_so && has_content()) || Store::is_sqlite_file(path)
}

/// Where an installation is, for people.
pub(crate) fn place(config: &Config) -> String {
    match config.database_url() {
        DatabaseUrl::Sqlite(path) => {
            let path = absolute(&path).unwrap_or(path);
            path.parent().unwrap_or(Path::new("/")).display().to_string()
        }
        url @ DatabaseUrl::Postgres(_) => format!("the database {url}"),
    }
}

/// Refuses a database that no version of Tidegate has migrated.
///
/// # Errors
/// As above, or those of the database.
pub(crate) async fn refuse_missing(config: &Config, store: &Store) -> Result<(), Failure> {
    if store.is_begun().await? { Ok(()) } else { Err(missing(config)) }
}

fn missing(config: &Config) -> Failure {
    let (what, other) = what_is_missing(config);
    let advice = match other.as_deref().and_then(Path::parent) {
        Some(directory) => format!("there is one in {}: name that with --data-dir", directory.display()),
        None => POINT_AT_IT.to_owned(),
    };
    Failure::advised("database_missing", what, advice)
}

/// What is not there, and the database that may be meant: the directory in which the server was started was named, and not the one that
/// it made there.
fn what_is_missing(config: &Config) -> (String, Option<PathBuf>) {
    let path = match config.database_url() {
        DatabaseUrl::Sqlite(path) => absolute(&path).unwrap_or(path),
        url @ DatabaseUrl::Postgres(_) => {
            return (format!("there is no installation of Tidegate in the database {url}"), None);
        }
    };
    let name = path.file_name().unwrap_or_default();
    let directory = path.parent().unwrap_or(Path::new("/"));
    let what = format!(
        "there is no installation of Tidegate in {}: no database {}",
        directory.display(),
        name.to_string_lossy()
    );
    let below = directory.join("tidegate-data").join(name);
    (what, Some(below).filter(|file| Store::is_sqlite_file(file)))
}

/// Refuses a database that a copy goes into, or was cut off in: it has tables and no rows, as a new installation has.
///
/// # Errors
/// Names the database, and what to do; or those of the database.
pub(crate) async fn refuse_unfinished_copy(config: &Config, store: &Store) -> Result<(), Failure> {
    if !store.has_unfinished_copy().await? {
        return Ok(());
    }
    let url = config.database_url();
    Err(Failure::advised(
        "database_lost",
        format!("a copy into the database {url} did not finish: it has no rows yet"),
        format!(
            "if it still runs, wait for its end; else start it again, with the same source: `tidegate copy --from SOURCE --to {}`. It \
             begins anew. If a new installation is to begin there all the same: `tidegate serve --new`",
            shell_word(&url.to_string())
        ),
    ))
}

/// Refuses a SQLite file in which another program keeps its tables, and a PostgreSQL schema in which they have the names of ours: a schema
/// may be shared with others.
///
/// # Errors
/// Names the database and tables; or those of the database.
pub(crate) async fn refuse_foreign(config: &Config, store: &Store) -> Result<(), Failure> {
    let url = config.database_url();
    let table = store.foreign_table().await?;
    if matches!(url, DatabaseUrl::Sqlite(_)) && table.is_none() {
        return Ok(());
    }
    let (what, advice) = match (unnoted_tables(store).await?, table) {
        (Unnoted::ListMissing, _) => (
            format!(
                "the database {url} has the tables of Tidegate, and not the list of the migrations that made them"
            ),
            "restore your backup",
        ),
        (_, Some(table)) => (
            format!(
                "the database {url} is of another program: it has a table {table}, and none of Tidegate's"
            ),
            "give another path",
        ),
        (Unnoted::Taken(names), None) => (
            format!(
                "the database {url} has tables that are not Tidegate's and are called as its own are: {}",
                names.join(", ")
            ),
            "give an empty database, or a schema of its own: ?options[search_path]=NAME after the address",
        ),
        (Unnoted::Nothing, None) => return Ok(()),
    };
    Err(Failure::advised("database_foreign", what, advice))
}

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
            Err(TryLockError::WouldBlock) => return Err(served_already(database, &mut file).advise(advice)),
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
            .and_then(|()| write!(file, "{}", std::process::id()))
            .and_then(|()| file.flush());
        Ok(Self { file })
    }

    /// Notes for commands beside it where its process listens, and whether it is for development.
    pub(crate) fn note_address(&mut self, address: SocketAddr, is_development: bool) {
        let mode = if is_development { DEVELOPMENT } else { "" };
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
    let advice = match absence(database) {
        Some(_) => format!("it still has what was in it: {SAVE_IT_FIRST}. Then {stop}"),
        None => stop.to_owned(),
    };
    ServingLock::take_or(database, &advice).map(Some)
}

/// Who serves a database's file just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// No process.
    Nowhere,
    /// A process that listens at that address, where it has noted one.
    At(String),
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
    // A process that has ended and was not waited for yet is still there, and another may have got its number.
    let listens = || {
        let address = address.parse::<SocketAddr>();
        address.is_ok_and(|address| TcpStream::connect_timeout(&address, ANSWERED_WITHIN).is_ok())
    };
    match is_alive(pid) {
        Some(true) if address.is_empty() => Served::Unknown,
        Some(true) if listens() => Served::At(address.to_owned()),
        Some(_) => Served::Nowhere,
        None => Served::Unknown,
    }
}

/// Whether the configured database is served for development just now, as far as that can be seen without asking the server.
pub(crate) fn is_served_in_development(config: &Config) -> bool {
    let Some(database) = config.database_file() else { return false };
    let noted = fs::read_to_string(lock_file(&database)).unwrap_or_default();
    let pid = noted.split(' ').next().unwrap_or_default();
    noted.ends_with(DEVELOPMENT) && is_alive(pid) == Some(true)
}

/// Whether there is a process of that id; none where it is no id.
fn is_alive(pid: &str) -> Option<bool> {
    pid.trim().parse().ok().and_then(Pid::from_raw).map(|pid| match test_kill_process(pid) {
        Ok(()) => true,
        // It is another user's.
        Err(error) => error == Errno::PERM,
    })
}

fn served_already(database: &Path, file: &mut File) -> Failure {
    let mut pid = String::new();
    let _ = file.take(100).read_to_string(&mut pid);
    let by = match pid.split(' ').next().unwrap_or_default().trim().parse::<u32>() {
        Ok(pid) => format!("process {pid}"),
        Err(_) => "another process".to_owned(),
    };
    Failure::new("already_served", format!("the database {} is served already, by {by}", database.display()))
}

/// Beside the database, by whatever name it is reached.
fn lock_file(database: &Path) -> PathBuf {
    let real = fs::canonicalize(database).unwrap_or_else(|_| {
        let directory = database.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = fs::canonicalize(directory.unwrap_or(Path::new("."))).unwrap_or_default();
        directory.join(database.file_name().unwrap_or_default())
    });
    with_suffix(&real, ".lock")
}

#[cfg(test)]
mod tests {
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
}

//! Whether there is an installation where a command looks for one, and whether it is served already.

mod serving_lock;

use std::ffi::OsString;
use std::path::{Path, PathBuf, absolute};
use std::{fs, io};

use tidegate_database::{DatabaseUrl, Store};

pub(crate) use self::serving_lock::{
    Served, ServingLock, is_served_in_development, is_served_with_raised_limits, naming_the_server,
    refuse_replaced, served, take_lock_left,
};
use self::serving_lock::{has_what_was_lost, save_it_first};
use crate::config::Config;
use crate::copied::named;
use crate::failure::{Failure, refuse};
use crate::program::shell_word;
use crate::schema::{KNOWN_BY, Unnoted, unnoted_tables};

/// How to get from a wrong directory to the right one.
const POINT_AT_IT: &str = "run this in the directory where the server was started, or name the data directory with --data-dir, \
     TIDEGATE_DATA_DIR or data_dir in tidegate.toml, and a PostgreSQL database with --database or TIDEGATE_DATABASE; a new \
     installation is made by `tidegate serve`, or by --new of `tidegate migrate` and `tidegate org create`";

/// What to do about a database that `tidegate copy` is to read: the data directory has nothing to do with one that is named.
const NAME_THE_SOURCE: &str = "name the database that is to be read with --from: sqlite:PATH, with the path of its file, or \
     postgres://USER:PASSWORD@HOST/NAME";

/// Refuses a SQLite file that is not there: an empty one would only hide a wrong directory.
///
/// # Errors
/// Names the directory that was looked in, and how to name another.
pub(crate) fn refuse_missing_file(config: &Config) -> Result<(), Failure> {
    refuse_unfinished_restore(config)?;
    match config.database_file().as_deref().and_then(absence) {
        // What cannot be seen is told when it is opened.
        None => Ok(()),
        // An empty file is what a failed copy leaves: opened, it would be written to. Beside a key it is a database that was lost, and this the
        // right directory.
        Some(EMPTY) => Traces::find(config).refuse_lost_file(config).and(Err(missing(config))),
        Some(_) => Err(missing(config)),
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
    refuse_hidden(store, true).await?;
    let what = format!("the database {} is empty: it has no tables of Tidegate", config.database_url());
    Err(Failure::advised("database_missing", what, NAME_THE_SOURCE))
}

/// The state of a file without content.
const EMPTY: &str = "is empty (0 bytes)";

/// How a database's file is not there.
pub(crate) fn absence(file: &Path) -> Option<&'static str> {
    match fs::metadata(file) {
        Ok(found) if found.is_file() && found.len() == 0 => Some(EMPTY),
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
        if store.is_begun().await? {
            return Ok(());
        }
        refuse_hidden(store, !self.0.is_empty()).await?;
        if self.0.is_empty() {
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
                    Served::At { address, pid } if has_what_was_lost(Some(pid), &path) => {
                        let save = save_it_first(Some(pid), &path);
                        format!("do NOT stop the server at {address} (process {pid}): {save}. Else {restore}")
                    }
                    // Emptied in place: the server has the same file open.
                    Served::At { address, pid } => format!(
                        "stop the server at {address} (process {pid}), move {0}-wal and {0}-shm away where they are there, and {restore}",
                        path.display()
                    ),
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
    if store.is_begun().await? {
        return Ok(());
    }
    refuse_hidden(store, true).await?;
    Err(missing(config))
}

/// Refuses a database without tables in which an installation is, in a schema that the search path does not have. The address of the database
/// may name another schema, for an installation of its own: where that is expected to be there, `is_named` refuses it, too.
///
/// # Errors
/// Names the schema, and what shows it; or those of the database.
async fn refuse_hidden(store: &Store, is_named: bool) -> Result<(), Failure> {
    refuse(store.why_hidden(KNOWN_BY, is_named).await?)
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
    let shown = name.to_string_lossy();
    let state = match absence(&path) {
        Some(EMPTY) => format!("{shown} {EMPTY}"),
        _ => format!("no database {shown}"),
    };
    let what = format!("there is no installation of Tidegate in {}: {state}", directory.display());
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

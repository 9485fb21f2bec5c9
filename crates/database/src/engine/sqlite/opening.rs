//! What keeps a SQLite file from being opened, seen before SQLite says that something is wrong with something.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::log::{Log, beside};
use crate::Result;
use crate::denial::Denial;
use crate::error::{Refusal, StoreError, advice, naming, plain, without_number};

/// What a SQLite file begins with (sqlite.org/fileformat2.html, section 1.3.1).
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Looks whether the file can be opened, or made where it is not there.
///
/// # Errors
/// [`StoreError::Refused`] with what to do.
pub(crate) fn look_at(path: &Path) -> Result<()> {
    let directory = directory_of(path);
    match fs::metadata(&directory) {
        Ok(found) if !found.is_dir() => {
            let what = format!("{} is no directory", directory.display());
            return Err(refused("database_directory", what, "give a file in a directory: sqlite:PATH"));
        }
        Ok(_) => {}
        Err(error) => return Err(unusable(&directory, &error, "the directory of the database")),
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            let what = format!("the database {} is a directory", path.display());
            return Err(refused("database_not_sqlite", what, "give the file in it: sqlite:PATH"));
        }
        Ok(_) => look_into(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(path, &error, "the database")),
    }
    // The log and the index of it are files beside the database.
    access(&directory, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| unusable(&directory, &error.into(), "the directory of the database"))
}

fn look_into(path: &Path) -> Result<()> {
    let mut file = File::open(path).map_err(|error| unusable(path, &error, "the database"))?;
    let mut head = [0; 16];
    match file.read_exact(&mut head) {
        Ok(()) if head == MAGIC => {}
        // An empty file is an empty database.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof && is_empty(&file) => {}
        Ok(()) => return Err(no_database(path)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(no_database(path)),
        Err(error) => return Err(unusable(path, &error, "the database")),
    }
    OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(|error| unusable(path, &error, "the database"))
        .map(drop)
}

/// Whether a file begins as SQLite databases do.
pub(crate) fn has_magic(path: &Path) -> bool {
    let mut head = [0; 16];
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    is_file && File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == MAGIC
}

/// Whether changes of a SQLite file are in a log beside it first (section 1.3.3: 2 is the mode with a log). A database that is served is such a
/// file, and stays one; what `vacuum into` writes is none.
pub(crate) fn has_log_mode(path: &Path) -> bool {
    let mut head = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && is_head_with_log_mode(&head)
}

fn is_head_with_log_mode(head: &[u8; 20]) -> bool {
    head.starts_with(MAGIC) && head.ends_with(&[2, 2])
}

/// Whether a file has no log of its own, which is known of one that is not there, that is empty, or whose head says so.
///
/// # Errors
/// Those of the system: the file cannot be looked at.
fn has_no_log(path: &Path) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        opened => opened?,
    };
    let mut head = [0; 20];
    match file.read_exact(&mut head) {
        Ok(()) => Ok(!is_head_with_log_mode(&head)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(is_empty(&file)),
        Err(error) => Err(error),
    }
}

/// Refuses a log that is not of the file beside it. SQLite would copy it into the file, or remove it beside an empty one.
///
/// A file has the mode with a log on the disk before it has one, and loses the mode after it (`pragma journal_mode`). One without the mode,
/// and one that is empty or not there, has no log of its own. The log is looked at first: another process that makes a database writes the mode
/// before it. Of one with the mode, the log tells whether the file has what it goes on from.
///
/// # Errors
/// [`StoreError::Refused`] with what to do, also where the file cannot be read.
pub(super) fn refuse_log_of_another(path: &Path) -> Result<()> {
    let (log, index) = (beside(path, "-wal"), beside(path, "-shm"));
    let Some(found) = Log::begin(&log) else { return Ok(()) };
    let of = if has_no_log(path).map_err(|error| unusable(path, &error, "the database"))? {
        "which has none, but of another database that was there"
    } else if found.can_be_of(path).unwrap_or(true) {
        // Or one cannot be read, which SQLite tells.
        return Ok(());
    } else {
        "which lacks what was written before it, but of another database or a newer state of this one"
    };
    let shown = path.display();
    let (log, index) = (log.display(), index.display());
    Err(refused(
        "database_foreign_log",
        format!("{log} is not the log of {shown}, {of}; neither was opened"),
        format!(
            "if a server still runs, stop it, and put your file there again afterwards: as it stops, the server copies its log into the file. \
             Then move {log} away, and {index} where it is there, and run this again. Keep them: what was written last to the other database \
             is in there, and can be read beside that one alone"
        ),
    ))
}

fn is_empty(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.len() == 0)
}

fn no_database(path: &Path) -> StoreError {
    refused(
        "database_not_sqlite",
        format!("the file {} is no SQLite database", path.display()),
        "give another path; if it was the database, move it away and restore your backup with `tidegate restore BACKUP`",
    )
}

/// What SQLite itself found wrong as it opened the file.
pub(super) fn refusal(path: &Path, error: &sqlx::Error) -> StoreError {
    let code = match error {
        sqlx::Error::Database(cause) => cause.code().unwrap_or_default().into_owned(),
        _ => String::new(),
    };
    let name = match code.parse::<u32>().unwrap_or_default() & 0xff {
        8 => "database_read_only",
        11 => "database_damaged",
        13 => "database_disk_full",
        26 => "database_not_sqlite",
        _ => "database",
    };
    let advice = advice(&code).unwrap_or("see whether its directory can be written and its disk has space");
    let advice = naming(path, advice);
    refused(name, format!("cannot open the SQLite database {}: {}", path.display(), plain(error)), advice)
}

/// What the system says of a path.
fn unusable(path: &Path, error: &io::Error, what: &str) -> StoreError {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound => refused(
            "database_directory",
            format!("{what}, {shown}, does not exist"),
            "create it, or give another path",
        ),
        ErrorKind::PermissionDenied => {
            let denial = Denial::of(path);
            refused(
                "database_permission",
                format!("{what}, {shown}, may not be read and written by this user{}", denial.reason()),
                denial.advice(),
            )
        }
        ErrorKind::ReadOnlyFilesystem => {
            let directory = if path.is_dir() { path.to_owned() } else { directory_of(path) };
            refused(
                "database_read_only",
                format!("{what}, {shown}, is on a file system that is mounted read-only"),
                format!(
                    "mount it writable, or give another path. To save what is in it, copy the whole directory to a disk that can be written \
                     (`cp -a {} COPY`), and run this with the copy: --data-dir COPY; where `database` is set, also --database \
                     sqlite:COPY/FILE",
                    directory.display()
                ),
            )
        }
        // EMFILE, ENFILE
        _ if matches!(error.raw_os_error(), Some(23 | 24)) => refused(
            "database",
            format!("{what}, {shown}, cannot be opened: {}", without_number(&error.to_string())),
            "let the process open more files: `ulimit -n`, or LimitNOFILE of systemd",
        ),
        _ => refused(
            "database",
            format!("{what}, {shown}, cannot be used: {}", without_number(&error.to_string())),
            "see its permissions and its disk",
        ),
    }
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn refused(code: &'static str, what: impl Into<String>, advice: impl Into<String>) -> StoreError {
    Refusal::new(code, what, advice).into()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
    use sqlx::{Connection as _, SqliteConnection};

    use super::*;

    fn code(path: &Path) -> &'static str {
        match look_at(path) {
            Ok(()) => "",
            Err(StoreError::Refused(refusal)) => refusal.code,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_file_is_judged_before_sqlite_touches_it() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("empty.db"), "").unwrap();
        fs::write(at("short.db"), "Dear").unwrap();
        fs::write(at("letter.db"), "Dear Ada, this is no database").unwrap();
        fs::write(at("magic.db"), b"SQLite format 3\0and the rest").unwrap();
        for (name, expected) in [
            ("new.db", ""),
            ("empty.db", ""),
            ("magic.db", ""),
            ("short.db", "database_not_sqlite"),
            ("letter.db", "database_not_sqlite"),
            ("", "database_not_sqlite"),
            ("nowhere/new.db", "database_directory"),
            ("letter.db/new.db", "database_directory"),
        ] {
            assert_eq!(code(&at(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_file_with_a_log_is_told_from_one_without_by_its_header() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        for (versions, has_log) in [(&[2, 2][..], true), (&[1, 1], false), (&[], false)] {
            fs::write(&path, [MAGIC, &[16, 0], versions].concat()).unwrap();
            assert_eq!(has_log_mode(&path), has_log, "{versions:?}");
        }
        assert!(!has_log_mode(&directory.path().join("none.db")));
    }

    #[tokio::test]
    async fn a_log_is_only_opened_with_the_database_that_it_is_of() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let options = SqliteConnectOptions::new().filename(at("a.db")).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        for statement in ["create table notes (text text)", "insert into notes values ('last')"] {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        let backup = at("backup.db");
        sqlx::query("vacuum into $1").bind(backup.to_str()).execute(&mut connection).await.unwrap();
        // As a kill leaves them.
        for (from, to) in [("a.db", "b.db"), ("a.db-wal", "b.db-wal")] {
            fs::copy(at(from), at(to)).unwrap();
        }
        refuse_log_of_another(&at("b.db")).unwrap();
        refuse_log_of_another(&backup).unwrap();
        for begins in [fs::read(&backup).unwrap(), Vec::new()] {
            fs::write(at("b.db"), begins).unwrap();
            let refusal = refuse_log_of_another(&at("b.db")).unwrap_err().to_string();
            assert!(
                refusal.contains("b.db-wal is not the log of ") && refusal.contains("b.db-shm"),
                "{refusal}"
            );
        }
        fs::remove_file(at("b.db")).unwrap();
        assert!(refuse_log_of_another(&at("b.db")).is_err());
        // What cannot be read, and what was cut off, is not taken for a file without a log.
        fs::create_dir(at("b.db")).unwrap();
        let refusal = refuse_log_of_another(&at("b.db")).unwrap_err().to_string();
        assert!(refusal.contains("b.db, cannot be used: "), "{refusal}");
        fs::remove_dir(at("b.db")).unwrap();
        fs::write(at("b.db"), [MAGIC, &[16]].concat()).unwrap();
        refuse_log_of_another(&at("b.db")).unwrap();
        fs::remove_file(at("b.db")).unwrap();
        fs::write(at("b.db-wal"), "").unwrap();
        refuse_log_of_another(&at("b.db")).unwrap();
    }

    #[tokio::test]
    async fn a_database_that_another_process_makes_meanwhile_has_its_own_log() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let options = SqliteConnectOptions::new().filename(at("a.db")).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("create table notes (text text)").execute(&mut connection).await.unwrap();
        let (made, log) = (fs::read(at("a.db")).unwrap(), fs::read(at("a.db-wal")).unwrap());
        fs::write(at("b.db"), "").unwrap();
        // Whoever opens it waits for the other end, and for each byte.
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("b.db-wal"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let (file, pipe) = (at("b.db"), at("b.db-wal"));
        let other = std::thread::spawn(move || {
            let mut pipe = OpenOptions::new().write(true).open(pipe).unwrap();
            fs::write(file, made).unwrap();
            pipe.write_all(&log)
        });
        refuse_log_of_another(&at("b.db")).unwrap();
        // It may have had more than is looked at.
        drop(other.join().unwrap());
    }

    #[test]
    fn each_fault_of_the_system_has_advice_of_its_own() {
        let path = Path::new("/srv/tidegate/tidegate.db");
        let said =
            |number: i32| unusable(path, &io::Error::from_raw_os_error(number), "the database").to_string();
        // ENOENT, EACCES, EROFS, EIO
        assert!(said(2).ends_with("does not exist; create it, or give another path"), "{}", said(2));
        assert!(said(13).contains("may not be read and written by this user ("), "{}", said(13));
        let read_only = said(30);
        assert!(read_only.contains("mounted read-only; mount it writable"), "{read_only}");
        assert!(read_only.contains("`cp -a /srv/tidegate COPY`"), "the whole directory: {read_only}");
        assert!(said(5).contains("cannot be used") && !said(5).contains("os error"), "{}", said(5));
    }
}

//! Whether the files of a database are still those that were opened. A process goes on writing into a file that was removed, and
//! SQLite, in its mode with a log, does not look.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{Result, StoreError};

/// The file of a database and those that SQLite keeps beside it for as long as it is open.
pub(super) struct OpenFiles(Mutex<Vec<OpenFile>>);

struct OpenFile {
    path: PathBuf,
    /// Device and number of the file, once it was seen: SQLite makes those beside the database when it needs them. No other file gets
    /// the number while this one is open.
    seen: Option<(u64, u64)>,
}

impl OpenFiles {
    /// The files of a database that was just opened.
    pub(super) fn of(database: &Path) -> Self {
        let named = |suffix: &str| {
            // SQLite puts them beside the file itself, not beside a link to it.
            let mut name = OsString::from(fs::canonicalize(database).unwrap_or_else(|_| database.to_owned()));
            name.push(suffix);
            OpenFile { path: name.into(), seen: None }
        };
        let mut files =
            vec![OpenFile { path: database.to_owned(), seen: None }, named("-wal"), named("-shm")];
        for file in &mut files {
            file.seen = identity(&file.path).unwrap_or_default();
        }
        Self(Mutex::new(files))
    }

    /// Refuses files that are gone or are others by now.
    ///
    /// # Errors
    /// [`StoreError::Lost`] with what to do.
    pub(super) fn check(&self) -> Result<()> {
        for file in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            // What cannot be seen may be there.
            let Ok(found) = identity(&file.path) else { continue };
            match (file.seen, found) {
                (None, found) => file.seen = found,
                (Some(seen), Some(found)) if seen == found => {}
                (Some(_), Some(_)) => return Err(lost(&file.path, "was replaced by another file")),
                (Some(_), None) => return Err(lost(&file.path, "was removed or renamed")),
            }
        }
        Ok(())
    }
}

/// Device and number of a file; none where there is no file.
fn identity(path: &Path) -> std::io::Result<Option<(u64, u64)>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn lost(path: &Path, became: &str) -> StoreError {
    let shown = path.display();
    let is_there = |directory: &Path| directory.as_os_str().is_empty() || directory.exists();
    let (what, left) = match path.parent().filter(|directory| !is_there(directory)) {
        Some(directory) => {
            (format!("the directory {} was removed or renamed", directory.display()), String::new())
        }
        None => (
            format!("{shown} {became}"),
            format!(", move away what is left of {shown} and of the files beside it,"),
        ),
    };
    StoreError::Lost {
        what: format!("{what} while the database was open"),
        advice: format!(
            "If it was renamed, rename it back. If it was removed, what was in it can be copied from the server until that is stopped: see \
             docs/operations.md, \"A removed database\". Else stop the server{left} and restore your last backup with `tidegate restore \
             BACKUP`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_gone_or_another_is_noticed_and_one_that_is_back_too() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("a.db"), "").unwrap();
        std::os::unix::fs::symlink(at("a.db"), at("link.db")).unwrap();
        let files = OpenFiles::of(&at("link.db"));
        files.check().unwrap();
        // Made after it was opened.
        fs::write(at("a.db-wal"), "").unwrap();
        files.check().unwrap();
        for name in ["a.db", "a.db-wal"] {
            fs::rename(at(name), at("away")).unwrap();
            let removed = files.check().unwrap_err().to_string();
            assert!(removed.contains("was removed or renamed while the database was open"), "{removed}");
            fs::write(at(name), "").unwrap();
            let replaced = files.check().unwrap_err().to_string();
            assert!(replaced.contains("was replaced by another file"), "{replaced}");
            fs::rename(at("away"), at(name)).unwrap();
            files.check().unwrap();
        }
    }

    #[test]
    fn a_directory_that_is_gone_is_told_as_that() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("a.db"), "").unwrap();
        let files = OpenFiles::of(&data.join("a.db"));
        files.check().unwrap();
        fs::remove_dir_all(&data).unwrap();
        let StoreError::Lost { what, advice } = files.check().unwrap_err() else { panic!("not lost") };
        assert!(what.ends_with("data was removed or renamed while the database was open"), "{what}");
        assert!(what.starts_with("the directory ") && !advice.contains("what is left of"), "{advice}");
    }
}

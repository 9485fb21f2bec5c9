//! Whether the files of a database are still those that were opened. A process goes on writing into a file that was removed, and
//! SQLite, in its mode with a log, does not look.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, PoisonError};

use super::log::beside;
use crate::descriptors::{descriptors_of, identity};
use crate::{Result, StoreError};

/// The file of a database and those that SQLite keeps beside it for as long as it is open.
pub(super) struct OpenFiles(Mutex<Watched>);

struct Watched {
    /// The database, its log, and the index of the log.
    files: [OpenFile; 3],
    /// Where they can be copied from, since one of them was missed.
    left: Option<String>,
}

struct OpenFile {
    path: PathBuf,
    /// Device and number of the file, once it was seen: SQLite makes those beside the database when it needs them. No other file gets
    /// the number while this one is open.
    seen: Option<(u64, u64)>,
}

impl OpenFile {
    fn new(path: PathBuf) -> Self {
        let seen = identity(&path).unwrap_or_default();
        Self { path, seen }
    }

    /// The file and what became of it, if it is not the one that was opened. What cannot be seen may be there.
    fn changed(&mut self) -> Option<(PathBuf, &'static str)> {
        let found = identity(&self.path).ok()?;
        let became = match (self.seen, found) {
            (None, found) => {
                self.seen = found;
                return None;
            }
            (Some(seen), Some(found)) if seen == found => return None,
            (Some(_), Some(_)) => "was replaced by another file",
            (Some(_), None) => "was removed or renamed",
        };
        Some((self.path.clone(), became))
    }
}

impl OpenFiles {
    /// The files of a database that was just opened.
    pub(super) fn of(database: &Path) -> Self {
        let named = |suffix: &str| OpenFile::new(beside(database, suffix));
        let files = [OpenFile::new(database.to_owned()), named("-wal"), named("-shm")];
        Self(Mutex::new(Watched { files, left: None }))
    }

    /// Refuses files that are gone or are others by now.
    ///
    /// # Errors
    /// [`StoreError::Lost`] with what to do.
    pub(super) fn check(&self) -> Result<()> {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Watched { files, left } = &mut *watched;
        let Some((path, became)) = files.iter_mut().find_map(OpenFile::changed) else {
            *left = None;
            return Ok(());
        };
        // Looked for once: whoever asks whether this node is ready asks for this, too.
        let left = left.get_or_insert_with(|| where_left(files));
        Err(lost(&path, became, left))
    }
}

/// Where the database and its log can be copied from while this process has them open: it follows "copy it".
fn where_left([database, log, _]: &[OpenFile; 3]) -> String {
    let open = descriptors_of(process::id()).unwrap_or_default();
    let descriptor = |file: &OpenFile| {
        let seen = file.seen?;
        let found = open.iter().find(|open| identity(&open.at).ok().flatten() == Some(seen))?;
        let name = file.path.file_name().unwrap_or_default();
        Some(format!("{} ({})", found.at.display(), name.to_string_lossy()))
    };
    match (descriptor(database), descriptor(log)) {
        (Some(database), Some(log)) => format!(" from {database} and {log}"),
        (Some(one), None) | (None, Some(one)) => format!(" from {one}"),
        (None, None) => String::new(),
    }
}

/// `left` is where the database can be copied from.
fn lost(path: &Path, became: &str, left: &str) -> StoreError {
    let shown = path.display();
    let is_there = |directory: &Path| directory.as_os_str().is_empty() || directory.exists();
    let (what, rest) = match path.parent().filter(|directory| !is_there(directory)) {
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
            "If it was renamed, rename it back. Else do NOT stop this process ({pid}): what was in the database is only there. Copy it{left} \
             first: see docs/operations.md, \"A removed database\". Only where nothing of it is needed, stop the server{rest} and restore \
             your last backup with `tidegate restore BACKUP`",
            pid = process::id()
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
    fn what_is_lost_is_told_with_where_it_is_still_open() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["a.db", "a.db-wal"] {
            fs::write(at(name), name).unwrap();
        }
        let _open = (fs::File::open(at("a.db")).unwrap(), fs::File::open(at("a.db-wal")).unwrap());
        let files = OpenFiles::of(&at("a.db"));
        fs::remove_file(at("a.db")).unwrap();
        for _ in 0..2 {
            let StoreError::Lost { advice, .. } = files.check().unwrap_err() else { panic!("not lost") };
            assert!(advice.contains(&format!("do NOT stop this process ({})", process::id())), "{advice}");
            // Each is where the advice says.
            for name in ["a.db", "a.db-wal"] {
                let before = advice.split_once(&format!(" ({name})")).expect(&advice).0;
                let descriptor = before.rsplit(' ').next().unwrap();
                assert!(descriptor.starts_with(&format!("/proc/{}/fd/", process::id())), "{advice}");
                assert_eq!(fs::read_to_string(descriptor).unwrap(), name);
            }
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

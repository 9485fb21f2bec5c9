//! What files a process has open, also those that were removed since.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What the system adds to the name of a file that was removed.
const REMOVED: &str = " (deleted)";

/// A file that a process has open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenDescriptor {
    /// The descriptor. The file can be read there for as long as the process has it open: `/proc/PID/fd/9`.
    pub at: PathBuf,
    /// The name that the file has, or had until it was removed.
    pub name: PathBuf,
    /// Whether it was removed.
    pub is_removed: bool,
}

/// The descriptors of a process, the first one first. None of them is opened: to close it again would end the locks that SQLite has on it.
///
/// # Errors
/// Those of the system: there is no such process, or it is another user's.
pub fn descriptors_of(pid: u32) -> io::Result<Vec<OpenDescriptor>> {
    let directory = PathBuf::from(format!("/proc/{pid}/fd"));
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        let at = entry.path();
        // One that was closed meanwhile is none.
        let Ok(link) = fs::read_link(&at) else { continue };
        let number = entry.file_name().to_string_lossy().parse::<u64>().unwrap_or(u64::MAX);
        found.push((number, named(at, &link)));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, descriptor)| descriptor).collect())
}

/// Device and number of a file, by which it is known whatever its name is; none where there is no file.
///
/// # Errors
/// Those of the system: the file cannot be seen.
pub fn identity(path: &Path) -> io::Result<Option<(u64, u64)>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn named(at: PathBuf, link: &Path) -> OpenDescriptor {
    let text = link.to_string_lossy();
    match text.strip_suffix(REMOVED) {
        Some(name) => OpenDescriptor { at, name: PathBuf::from(name), is_removed: true },
        None => OpenDescriptor { at, name: link.to_owned(), is_removed: false },
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_that_was_removed_is_read_from_the_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(directory.path()).unwrap().join("a.db");
        fs::write(&path, "all accounts").unwrap();
        let open = File::open(&path).unwrap();
        let ours = || {
            let mut found = descriptors_of(std::process::id()).unwrap();
            found.retain(|descriptor| descriptor.name == path);
            found
        };
        let [there]: [OpenDescriptor; 1] = ours().try_into().unwrap();
        assert!(!there.is_removed);
        fs::remove_file(&path).unwrap();
        let [removed]: [OpenDescriptor; 1] = ours().try_into().unwrap();
        assert_eq!(removed, OpenDescriptor { is_removed: true, ..there });
        assert_eq!(fs::read_to_string(&removed.at).unwrap(), "all accounts");
        fs::write(&path, "others").unwrap();
        assert_ne!(identity(&removed.at).unwrap(), identity(&path).unwrap());
        drop(open);
        assert!(ours().is_empty());
        assert!(descriptors_of(u32::MAX).is_err());
    }
}

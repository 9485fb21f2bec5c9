//! A directory tree that is reached without following links.
//!
//! Each step from the directory down opens one name without following it. A link that somebody puts there is no file of ours, and a
//! pipe or device is never opened to wait for.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{
    Access, AtFlags, Dir, FileType, Mode, OFlags, Stat, access, fstat, fsync, linkat, mkdirat, openat, stat,
    statat, unlinkat,
};
use rustix::io::Errno;

use super::denied::denied;
use crate::{ObjectKey, ObjectsError};

/// Where files are while they are being uploaded. No key begins with a dot.
pub(super) const INCOMING: &str = ".incoming";
/// Says that the directory is one of files: an empty one in its place is a disk that is not there.
pub(super) const MARKER: &str = ".tidegate-files";
/// Below what the files of organizations are.
const OF_ORGANIZATIONS: &str = "organizations";

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Without waiting for the other end of a pipe.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const OWN_DIRECTORY: Mode = Mode::RWXU;
const OWN_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The directory.
#[derive(Debug)]
pub(super) struct Tree {
    place: PathBuf,
    /// What was at that place when it was looked at last.
    opened: Mutex<Arc<Opened>>,
}

/// A directory that is open: it stays the same one wherever it is moved to.
#[derive(Debug)]
struct Opened {
    root: OwnedFd,
    incoming: OwnedFd,
}

impl Tree {
    /// Opens it, and makes it where there is none.
    pub(super) fn open(place: &Path) -> Result<Self, ObjectsError> {
        let opened = Opened::prepare(place).map_err(|error| unusable(place, &error))?;
        Ok(Self { place: place.to_owned(), opened: Mutex::new(Arc::new(opened)) })
    }

    /// Looks whether it can be opened, or made where there is none: what is made to see that is removed again. False where there is none
    /// yet.
    pub(super) fn look_at(place: &Path) -> Result<bool, ObjectsError> {
        match fs::metadata(place) {
            Ok(_) => look_into(place).map(|()| true).map_err(|error| unusable(place, &error)),
            // A link to nowhere is not there either, and no directory can be made in its place.
            Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(place).is_err() => {
                try_to_make(place).map(|()| false)
            }
            Err(error) => Err(unusable(place, &error)),
        }
    }

    /// The directory that is at its place now. Where another one of files was put there, that is opened: what was written to the one that
    /// was moved away, whoever serves the other one would not find.
    fn opened(&self) -> Result<Arc<Opened>, ObjectsError> {
        let opened = Arc::clone(&self.opened.lock().unwrap_or_else(PoisonError::into_inner));
        let held = fstat(&opened.root)?;
        let is_another = match stat(&self.place) {
            Ok(found) => !is_same(&found, &held),
            // What cannot be seen just now may be the same.
            Err(error) => matches!(error, Errno::NOENT | Errno::NOTDIR),
        };
        if is_another { self.open_again() } else { Ok(opened) }
    }

    /// Opens what was put in its place. Nothing is made there: it may be a disk that is not mounted any more, or still be copied.
    fn open_again(&self) -> Result<Arc<Opened>, ObjectsError> {
        let shown = self.place.display();
        let has_no_mark = fs::symlink_metadata(self.place.join(MARKER)).is_err_and(|error| {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        });
        if has_no_mark && !has_uploads(&self.place) {
            return Err(ObjectsError::Unusable(format!(
                "storage.directory {shown} was removed, moved away or replaced while it was served; put it back, or mount its disk: it is \
                 used again at once. Where its files are lost, restart the server"
            )));
        }
        // One with uploads and without the mark is refused here.
        let opened = Opened::prepare(&self.place).map_err(|error| unusable(&self.place, &error))?;
        tracing::warn!(
            "storage.directory {shown} is another directory than before, which is used from now on"
        );
        let opened = Arc::new(opened);
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&opened);
        Ok(opened)
    }

    /// An error with where it was met. That something is not there, or there already, says enough.
    fn about(&self, below: &str, error: ObjectsError) -> ObjectsError {
        match error {
            ObjectsError::Unavailable(said) => {
                let shown = || format!("{}: {said}", self.place.join(below).display());
                ObjectsError::Unavailable(denied(&self.place, below).unwrap_or_else(shown))
            }
            other => other,
        }
    }

    /// The file under a key.
    pub(super) fn file(&self, key: &ObjectKey) -> Result<File, ObjectsError> {
        self.open_file(key).map_err(|error| self.about(key.as_str(), error))
    }

    fn open_file(&self, key: &ObjectKey) -> Result<File, ObjectsError> {
        let (directory, name) = self.opened()?.parent(key, false)?;
        let file = openat(&directory, name, FILE, Mode::empty())?;
        let kind = FileType::from_raw_mode(fstat(&file)?.st_mode);
        if kind == FileType::RegularFile { Ok(file.into()) } else { Err(ObjectsError::NotFound) }
    }

    /// A new file that has no key yet.
    pub(super) fn create_staged(&self, name: &str) -> Result<File, ObjectsError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let created = openat(&self.opened()?.incoming, name, flags, OWN_FILE);
        created.map(File::from).map_err(|error| self.about(INCOMING, error.into()))
    }

    /// Gives a staged file, which is open, a key as well, durably.
    pub(super) fn link(&self, staged: &str, file: &File, key: &ObjectKey) -> Result<(), ObjectsError> {
        self.link_to(staged, file, key).map_err(|error| self.about(key.as_str(), error))
    }

    fn link_to(&self, staged: &str, file: &File, key: &ObjectKey) -> Result<(), ObjectsError> {
        let opened = self.opened()?;
        let begun = fstat(file)?;
        // A copy of the directory that was put in its place may have a part of the file.
        let found = statat(&opened.incoming, staged, AtFlags::SYMLINK_NOFOLLOW);
        if !found.is_ok_and(|found| is_same(&found, &begun)) {
            return Err(ObjectsError::Unusable(format!(
                "storage.directory {} was replaced, or a file removed from it, while that file was uploaded; upload it again",
                self.place.display()
            )));
        }
        let (directory, name) = opened.parent(key, true)?;
        linkat(&opened.incoming, staged, &directory, name, AtFlags::empty())?;
        Ok(fsync(&directory)?)
    }

    pub(super) fn unlink_staged(&self, name: &str) -> Result<(), ObjectsError> {
        Ok(unlinkat(&self.opened()?.incoming, name, AtFlags::empty())?)
    }

    /// Removes the file under a key, durably.
    pub(super) fn unlink(&self, key: &ObjectKey) -> Result<(), ObjectsError> {
        self.unlink_from(key).map_err(|error| self.about(key.as_str(), error))
    }

    fn unlink_from(&self, key: &ObjectKey) -> Result<(), ObjectsError> {
        let (directory, name) = self.opened()?.parent(key, false)?;
        unlinkat(&directory, name, AtFlags::empty())?;
        Ok(fsync(&directory)?)
    }

    /// Removes staged files that nobody wrote to since then; answers how many.
    pub(super) fn remove_staged_before(&self, before: SystemTime) -> Result<u64, ObjectsError> {
        let before = before.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let opened = self.opened()?;
        let mut removed = 0;
        for name in names(opened.incoming.as_fd())? {
            let Ok(found) = statat(&opened.incoming, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if u64::try_from(found.st_mtime).is_ok_and(|modified| modified < before) {
                unlinkat(&opened.incoming, &name, AtFlags::empty())?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// What is in a directory of the tree, given by its parts: names, and whether each is a directory. Nothing for a directory that
    /// is not there.
    pub(super) fn entries(&self, parts: &[String]) -> Result<Vec<(String, bool)>, ObjectsError> {
        self.read_entries(parts).map_err(|error| self.about(&parts.join("/"), error))
    }

    fn read_entries(&self, parts: &[String]) -> Result<Vec<(String, bool)>, ObjectsError> {
        let mut directory = self.opened()?.root.try_clone()?;
        for part in parts {
            directory = match openat(&directory, part.as_str(), DIRECTORY, Mode::empty()) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Vec::new()),
                other => other?,
            };
        }
        let mut found = Vec::new();
        for name in names(directory.as_fd())? {
            let Ok(entry) = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            match FileType::from_raw_mode(entry.st_mode) {
                FileType::Directory => found.push((name, true)),
                FileType::RegularFile => found.push((name, false)),
                _ => {}
            }
        }
        found.sort();
        Ok(found)
    }
}

impl Opened {
    /// Opens it, and makes it where there is none.
    fn prepare(place: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(place)?;
        // The directory itself may be a link: its operator made it.
        let root: OwnedFd = File::open(place)?.into();
        let is_marked = || openat(&root, MARKER, FILE, Mode::empty()).is_ok();
        if !is_marked() {
            // Unless somebody else, who opens it for the first time too, has marked it meanwhile.
            if !is_empty(&root)? && !is_marked() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            fsync(openat(&root, MARKER, flags, OWN_FILE)?)?;
        }
        match mkdirat(&root, INCOMING, OWN_DIRECTORY) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        fsync(&root)?;
        if let Some(parent) = parent_of(place) {
            File::open(parent)?.sync_all()?;
        }
        let incoming = openat(&root, INCOMING, DIRECTORY, Mode::empty())?;
        Ok(Self { root, incoming })
    }

    /// The directory of a key and its name in there.
    fn parent<'k>(&self, key: &'k ObjectKey, make: bool) -> Result<(OwnedFd, &'k str), ObjectsError> {
        let mut directory = self.root.try_clone()?;
        let mut parts = key.parts().peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return Ok((directory, part));
            }
            directory = match openat(&directory, part, DIRECTORY, Mode::empty()) {
                Err(Errno::NOENT) if make => make_directory(&directory, part)?,
                other => other?,
            };
        }
        Err(ObjectsError::NotFound)
    }
}

/// What is wrong with the directory, for its operator.
fn unusable(place: &Path, error: &io::Error) -> ObjectsError {
    let shown = place.display();
    if let Ok(target) = fs::read_link(place)
        && !place.exists()
    {
        return ObjectsError::Unusable(format!(
            "storage.directory {shown} is a link to {}, which does not exist; mount the disk that it is on, or create it, or name another \
             directory in storage.directory",
            target.display()
        ));
    }
    let cannot = format!("storage.directory {shown} cannot be used: {error}");
    match error.kind() {
        io::ErrorKind::InvalidData if has_uploads(place) => ObjectsError::Unusable(format!(
            "storage.directory {shown} has uploaded files, and not the hidden file {MARKER}, which marks it as theirs: it was copied without \
             hidden files, or the mark was removed; copy it again with `cp -a FROM/. {shown}/`, or, where all files are there, run \
             `touch {shown}/{MARKER}` as the user that serves"
        )),
        io::ErrorKind::InvalidData => ObjectsError::Unusable(format!(
            "storage.directory {shown} holds something else; name an empty directory in storage.directory, or a new one"
        )),
        io::ErrorKind::PermissionDenied => ObjectsError::Denied(cannot),
        _ => ObjectsError::Unusable(cannot),
    }
}

/// Whether there are folders of organizations in it.
fn has_uploads(place: &Path) -> bool {
    let organizations = fs::read_dir(place.join(OF_ORGANIZATIONS)).into_iter().flatten().flatten();
    organizations.map(|found| found.path().join("files")).any(|files| files.is_dir())
}

/// Whether what is there is a directory of files or may become one, and may be written to.
fn look_into(place: &Path) -> io::Result<()> {
    if !fs::metadata(place)?.is_dir() {
        return Err(Errno::NOTDIR.into());
    }
    let root: OwnedFd = File::open(place)?.into();
    if openat(&root, MARKER, FILE, Mode::empty()).is_err() && !is_empty(&root)? {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(access(place, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Makes a directory in the nearest one that is there, and removes it again: permissions alone do not tell, because some file systems, such
/// as /proc, take none from anybody.
fn try_to_make(place: &Path) -> Result<(), ObjectsError> {
    let mut above = place
        .ancestors()
        .skip(1)
        .map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    let above = above.find(|above| above.exists()).unwrap_or(Path::new("/"));
    let trial = above.join(format!(".tidegate-trial-{}", std::process::id()));
    let made = match DirBuilder::new().mode(0o700).create(&trial) {
        // Left behind by a process of the same number that was killed.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    let removed = made.and_then(|()| match fs::remove_dir(&trial) {
        // Removed by another process of the same number, as nodes in containers are that share the directory above.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    });
    removed.map_err(|error| {
        let what =
            format!("storage.directory {} cannot be made in {}: {error}", place.display(), above.display());
        ObjectsError::Unusable(what)
    })
}

/// Whether both are of one file or directory.
fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Makes a directory in another one, durably, and opens it.
fn make_directory(parent: &OwnedFd, name: &str) -> Result<OwnedFd, ObjectsError> {
    match mkdirat(parent, name, OWN_DIRECTORY) {
        // Another upload made it meanwhile.
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    // Also where another one made it: it may not have come to this yet.
    fsync(parent)?;
    Ok(openat(parent, name, DIRECTORY, Mode::empty())?)
}

/// The names in a directory that are text.
fn names(directory: impl AsFd) -> Result<Vec<String>, ObjectsError> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory)? {
        match entry?.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(name) => found.push(name.to_owned()),
        }
    }
    Ok(found)
}

fn is_empty(directory: &OwnedFd) -> io::Result<bool> {
    for entry in Dir::read_from(directory)? {
        // What a file system of its own has.
        if ![&b"."[..], b"..", b"lost+found"].contains(&entry?.file_name().to_bytes()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The directory that a path is in.
fn parent_of(place: &Path) -> Option<PathBuf> {
    let parent = place.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn whoever_makes_it_beside_others_finds_it_made() {
        let here = tempfile::tempdir().unwrap();
        for round in 0..300 {
            let place = here.path().join(round.to_string());
            thread::scope(|scope| {
                let made: Vec<_> = (0..4).map(|_| scope.spawn(|| Tree::open(&place).map(drop))).collect();
                made.into_iter().for_each(|made| made.join().unwrap().unwrap());
            });
        }
    }
}

//! Copies all files to another directory, and back.
//!
//! A published file never changes, so a copy that is made while a server runs has each file whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::LocalObjects;
use super::tree::MARKER;
use crate::{ObjectKey, ObjectsError};

/// How many files were copied, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Copied {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

impl LocalObjects {
    /// Copies every file into a directory that must not be there yet. Blocks.
    pub(crate) fn copy_to(&self, target: &Path) -> Result<Copied, ObjectsError> {
        DirBuilder::new().mode(0o700).create(target)?;
        // So that the copy can take the place of a directory that is lost.
        new_file(&target.join(MARKER))?.sync_all()?;
        let mut copied = Copied::default();
        let mut pending: Vec<Vec<String>> = vec![Vec::new()];
        while let Some(parts) = pending.pop() {
            for (name, is_directory) in self.tree.entries(&parts)? {
                let mut path = parts.clone();
                path.push(name);
                let Ok(key) = ObjectKey::parse(&path.join("/")) else { continue };
                let place = target.join(key.as_str());
                if is_directory {
                    DirBuilder::new().mode(0o700).create(&place)?;
                    pending.push(path);
                } else {
                    match self.tree.file(&key) {
                        Ok(file) => copied.add(copy(file, &place)?),
                        // Removed meanwhile.
                        Err(ObjectsError::NotFound) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            File::open(parts.iter().fold(target.to_owned(), |path, part| path.join(part)))?.sync_all()?;
        }
        Ok(copied)
    }

    /// Copies every file of such a directory in. A file that is here already stays as it is. Blocks.
    pub(crate) fn copy_from(&self, source: &Path) -> Result<Copied, ObjectsError> {
        let mut copied = Copied::default();
        let mut pending = vec![String::new()];
        while let Some(below) = pending.pop() {
            for entry in fs::read_dir(source.join(&below))? {
                let entry = entry?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let path = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
                let kind = entry.file_type()?;
                match ObjectKey::parse(&path) {
                    Ok(_) if kind.is_dir() => pending.push(path),
                    Ok(key) if kind.is_file() => {
                        if let Some(bytes) = self.take_in(&entry.path(), &key)? {
                            copied.add(bytes);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(copied)
    }

    /// Copies one file in; none where it is here.
    fn take_in(&self, source: &Path, key: &ObjectKey) -> Result<Option<u64>, ObjectsError> {
        let name = format!("restoring-{}", std::process::id());
        // Of a restore that was cut off.
        match self.tree.unlink_staged(&name) {
            Ok(()) | Err(ObjectsError::NotFound) => {}
            Err(error) => return Err(error),
        }
        let mut staged = self.tree.create_staged(&name)?;
        let bytes = io::copy(&mut File::open(source)?, &mut staged)?;
        staged.sync_all()?;
        let linked = self.tree.link(&name, &staged, key);
        self.tree.unlink_staged(&name)?;
        match linked {
            Ok(()) => Ok(Some(bytes)),
            Err(ObjectsError::Exists) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn copy(mut from: File, to: &Path) -> io::Result<u64> {
    let mut written = new_file(to)?;
    let bytes = io::copy(&mut from, &mut written)?;
    written.sync_all()?;
    Ok(bytes)
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_copy_has_every_file_and_comes_back() {
        let here = tempfile::tempdir().unwrap();
        let files = LocalObjects::open(&here.path().join("files")).unwrap();
        for (number, key) in
            ["organizations/1/files/1/a.csv", "organizations/1/files/2/b/c.csv"].into_iter().enumerate()
        {
            let mut staged = files.stage(number.to_string()).await.unwrap();
            staged.write(key.as_bytes()).await.unwrap();
            files.publish(staged, &ObjectKey::parse(key).unwrap()).await.unwrap();
        }
        drop(files.stage("under way".to_owned()).await.unwrap());
        let target = here.path().join("backup");
        let copied = files.copy_to(&target).unwrap();
        assert_eq!((copied.files, copied.bytes), (2, 60));
        assert!(files.copy_to(&target).is_err(), "nothing is overwritten");
        let restored = LocalObjects::open(&here.path().join("restored")).unwrap();
        assert_eq!(restored.copy_from(&target).unwrap(), copied);
        assert_eq!(restored.copy_from(&target).unwrap().files, 0, "what is there stays");
        let key = ObjectKey::parse("organizations/1/files/2/b/c.csv").unwrap();
        assert_eq!(restored.find(&key).await.unwrap().1.size, 31);
        // The copy itself is such a directory, too.
        let moved = LocalObjects::open(&target).unwrap();
        assert_eq!(moved.find(&key).await.unwrap().1.size, 31);
    }
}

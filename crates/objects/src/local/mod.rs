//! Files in a directory of this machine.

pub(crate) mod backup;
pub(crate) mod denied;
mod interface;
mod listing;
pub(crate) mod staged;
mod tree;
mod writeback;

use std::fs::File;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::path::Path;
use object_store::{ObjectMeta, PutResult};

use crate::{ObjectKey, ObjectsError, Staged};

use tree::Tree;

/// A directory that holds files under their keys, and those that are being uploaded.
#[derive(Clone, Debug)]
pub(crate) struct LocalObjects {
    tree: Arc<Tree>,
}

impl LocalObjects {
    /// Opens a directory, and makes it where there is none.
    ///
    /// # Errors
    /// [`ObjectsError::Unusable`] when it cannot be made or used, or holds something else; [`ObjectsError::Denied`].
    pub(crate) fn open(place: &FilePath) -> Result<Self, ObjectsError> {
        Ok(Self { tree: Arc::new(Tree::open(place)?) })
    }

    /// Looks whether a directory can be opened, or made where there is none, and makes nothing. False where there is none yet.
    ///
    /// # Errors
    /// As [`LocalObjects::open`].
    pub(crate) fn look_at_directory(place: &FilePath) -> Result<bool, ObjectsError> {
        Tree::look_at(place)
    }

    /// Begins a file that has no key yet.
    pub(crate) async fn stage(&self, name: String) -> Result<Staged, ObjectsError> {
        let tree = Arc::clone(&self.tree);
        tokio::task::spawn_blocking(move || Staged::create(tree, name)).await?
    }

    /// Gives a staged file its key, durably.
    ///
    /// # Errors
    /// [`ObjectsError::Exists`]; those of the directory.
    pub(crate) async fn publish(
        &self,
        mut staged: Staged,
        key: &ObjectKey,
    ) -> Result<PutResult, ObjectsError> {
        let e_tag = Some(quoted(&staged.digest().await?));
        let (tree, key) = (Arc::clone(&self.tree), key.clone());
        tokio::task::spawn_blocking(move || {
            tree.link(staged.name(), staged.sync()?, &key)?;
            // Its staged name goes with it.
            drop(staged);
            Ok(PutResult { e_tag, version: None })
        })
        .await?
    }

    /// The file under a key, open to be read, and what is known of it.
    pub(crate) async fn find(&self, key: &ObjectKey) -> Result<(File, ObjectMeta), ObjectsError> {
        let (tree, key) = (Arc::clone(&self.tree), key.clone());
        tokio::task::spawn_blocking(move || {
            let file = tree.file(&key)?;
            let meta = meta_of(&file, key.path())?;
            Ok((file, meta))
        })
        .await?
    }

    /// Removes the file under a key, durably. False where there is none.
    pub(crate) async fn remove(&self, key: &ObjectKey) -> Result<bool, ObjectsError> {
        let (tree, key) = (Arc::clone(&self.tree), key.clone());
        tokio::task::spawn_blocking(move || match tree.unlink(&key) {
            Ok(()) => Ok(true),
            Err(ObjectsError::NotFound) => Ok(false),
            Err(error) => Err(error),
        })
        .await?
    }

    /// Removes staged files that nobody has written to for so long: of processes that died. Answers how many.
    #[expect(clippy::disallowed_methods, reason = "it is compared with the clock of the file system")]
    pub(crate) async fn remove_abandoned(&self, age: Duration) -> Result<u64, ObjectsError> {
        let tree = Arc::clone(&self.tree);
        tokio::task::spawn_blocking(move || tree.remove_staged_before(SystemTime::now() - age)).await?
    }
}

/// What is known of an open file.
pub(crate) fn meta_of(file: &File, location: Path) -> Result<ObjectMeta, ObjectsError> {
    use std::os::unix::fs::MetadataExt;
    let found = file.metadata()?;
    let modified = found.modified()?;
    let e_tag = format!("\"{:x}-{:x}-{:x}\"", found.ino(), found.mtime_nsec() ^ found.mtime(), found.len());
    Ok(ObjectMeta {
        location,
        last_modified: modified.into(),
        size: found.len(),
        e_tag: Some(e_tag),
        version: None,
    })
}

/// As an entity tag (RFC 9110 section 8.8.3).
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

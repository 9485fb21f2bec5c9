//! Lists a tree of files without holding it: one directory at a time.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::{LocalObjects, meta_of};
use crate::{ObjectKey, ObjectsError};

/// What is still to be looked at, the next one last.
struct Walk {
    objects: LocalObjects,
    pending: Vec<(Vec<String>, bool)>,
}

impl LocalObjects {
    /// All files below a directory, in the order of their keys within each directory.
    pub(super) fn below(
        &self,
        directory: Option<&Path>,
    ) -> BoxStream<'static, Result<ObjectMeta, ObjectsError>> {
        let parts = directory
            .map(|path| path.parts().map(|part| part.as_ref().to_owned()).collect())
            .unwrap_or_default();
        let walk = Walk { objects: self.clone(), pending: vec![(parts, true)] };
        stream::unfold(walk, |mut walk| async move {
            match walk.next().await {
                Ok(Some(found)) => Some((Ok(found), walk)),
                Ok(None) => None,
                Err(error) => {
                    walk.pending.clear();
                    Some((Err(error), walk))
                }
            }
        })
        .boxed()
    }

    async fn entries(&self, parts: Vec<String>) -> Result<Vec<(String, bool)>, ObjectsError> {
        let tree = Arc::clone(&self.tree);
        tokio::task::spawn_blocking(move || tree.entries(&parts)).await?
    }

    /// The files in a directory, and the directories in it.
    pub(super) async fn within(
        &self,
        directory: Option<&Path>,
    ) -> Result<(Vec<ObjectMeta>, Vec<Path>), ObjectsError> {
        let parts: Vec<String> = directory
            .map(|path| path.parts().map(|part| part.as_ref().to_owned()).collect())
            .unwrap_or_default();
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        for (name, is_directory) in self.entries(parts.clone()).await? {
            let mut path = parts.clone();
            path.push(name);
            let Ok(key) = ObjectKey::parse(&path.join("/")) else { continue };
            if is_directory {
                directories.push(key.path());
            } else if let Some(meta) = self.look_at(&key).await? {
                files.push(meta);
            }
        }
        Ok((files, directories))
    }

    /// A file that was listed; none where it is gone since.
    async fn look_at(&self, key: &ObjectKey) -> Result<Option<ObjectMeta>, ObjectsError> {
        let (tree, key) = (Arc::clone(&self.tree), key.clone());
        let looking = tokio::task::spawn_blocking(move || meta_of(&tree.file(&key)?, key.path()));
        match looking.await? {
            Ok(meta) => Ok(Some(meta)),
            Err(ObjectsError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Walk {
    async fn next(&mut self) -> Result<Option<ObjectMeta>, ObjectsError> {
        while let Some((parts, is_directory)) = self.pending.pop() {
            if is_directory {
                let mut entries = self.objects.entries(parts.clone()).await?;
                entries.reverse();
                for (name, is_directory) in entries {
                    // What is being uploaded, and what somebody else put there: no key names it.
                    if ObjectKey::parse(&name).is_ok() {
                        let mut path = parts.clone();
                        path.push(name);
                        self.pending.push((path, is_directory));
                    }
                }
            } else if let Ok(key) = ObjectKey::parse(&parts.join("/"))
                && let Some(meta) = self.objects.look_at(&key).await?
            {
                return Ok(Some(meta));
            }
        }
        Ok(None)
    }
}

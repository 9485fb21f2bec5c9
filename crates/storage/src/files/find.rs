//! What is known of a file.

use tidegate_domain::Permission;
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Outcome, refuse};

use super::content::by_name;
use super::file::FileDetails;
use super::folder::OutsideOfFolder;
use crate::fault::store_fault;
use crate::work::own_folder;
use crate::{Storage, StorageTables};

/// Why nothing was done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Outside of the caller's folder, whether it exists or not.
    #[error("the object is outside of your folder")]
    Outside,
    /// There is none in the caller's folder.
    #[error("there is no such object")]
    NotFound,
}

impl From<OutsideOfFolder> for FileError {
    fn from(OutsideOfFolder: OutsideOfFolder) -> Self {
        Self::Outside
    }
}

impl Storage {
    /// What is known of one of the caller's files.
    ///
    /// Source: RiverGen "storage/objects/{object_name}/metadata".
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn find_file(&self, actor: &Actor, object_name: &str) -> Outcome<FileDetails, FileError> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnFiles).await?;
        let Ok(key) = own_folder(&mut unit, grant).await?.admit(object_name) else {
            return refuse(FileError::Outside);
        };
        if let Some(file) = unit.files().stored(key.as_str()).await? {
            return Ok(file.into());
        }
        // One that is removed or on its way has an object for a while, and is no file any more or not yet.
        if unit.files().state(key.as_str()).await?.is_some() {
            return refuse(FileError::NotFound);
        }
        drop(unit);
        match self.objects.find(&key).await.map_err(store_fault)? {
            Some(found) => Ok(FileDetails {
                object_name: found.key,
                size: found.size,
                content_type: by_name(key.name()).to_owned(),
                last_modified: found.last_modified,
                etag: found.etag,
            }),
            None => refuse(FileError::NotFound),
        }
    }
}

//! The caller's files.

use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Fault, Outcome, refuse};

use super::file::{FileCategory, TrackedFile};
use super::folder::{OutsideOfFolder, OwnFolder};
use super::repository::Owned;
use crate::work::own_folder;
use crate::{Storage, StorageTables};

/// Most objects of one list.
pub const MOST_OBJECTS: i64 = 10_000;

/// A page of files.
#[derive(Clone, Debug)]
pub struct FilePage {
    /// The newest first, each with the number of the data source that is built on it.
    pub files: Vec<(TrackedFile, Option<i64>)>,
    /// How many there are in all.
    pub total: u64,
}

/// The bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Since when the caller's organization may have files there.
    pub created_at: Timestamp,
}

/// Objects of a folder.
#[derive(Clone, Debug)]
pub struct ObjectList {
    /// In the order in which they came.
    pub objects: Vec<TrackedFile>,
    /// The caller's folder.
    pub folder: OwnFolder,
    /// What their keys begin with.
    pub prefix: String,
    /// Whether there are more.
    pub is_truncated: bool,
}

impl Storage {
    /// A page of the caller's files, the newest first.
    ///
    /// Source: RiverGen "storage/files".
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_files(
        &self,
        actor: &Actor,
        category: Option<FileCategory>,
        skip: i64,
        limit: i64,
    ) -> Result<FilePage, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnFiles).await?;
        let owned = Owned {
            account: grant.account(),
            organization: grant.organization(),
            category: category.map_or("", FileCategory::as_str),
        };
        let total = unit.files().count(owned).await?;
        let files = unit.files().page(owned, skip, limit).await?;
        let names: Vec<&str> = files.iter().map(|file| file.object_name.as_str()).collect();
        let sources = match self.sources.get() {
            Some(sources) => sources.sources_of(&mut unit, owned.organization, &names).await?,
            None => Vec::new(),
        };
        let sources = sources.into_iter().chain(std::iter::repeat(None));
        let files = files.into_iter().zip(sources).collect();
        Ok(FilePage { files, total: u64::try_from(total).unwrap_or(0) })
    }

    /// The bucket that the caller's files are in.
    ///
    /// Source: RiverGen "storage/buckets".
    ///
    /// # Errors
    /// Only faults.
    pub async fn bucket(&self, actor: &Actor) -> Result<Bucket, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnFiles).await?;
        let found =
            unit.storage_usage().organization(grant.organization()).await?.ok_or(Fault::SessionEnded)?;
        let created_at = Timestamp::from_micros(found.created_at);
        Ok(Bucket { name: self.objects.bucket().to_owned(), created_at })
    }

    /// The caller's objects whose keys begin so; with those of folders below, or without.
    ///
    /// Source: RiverGen "storage/buckets/{bucket_name}/objects".
    ///
    /// # Errors
    /// [`OutsideOfFolder`] for another bucket, and for a prefix outside of the caller's folder.
    pub async fn list_objects(
        &self,
        actor: &Actor,
        bucket: &str,
        prefix: Option<&str>,
        is_recursive: bool,
        after: i64,
    ) -> Outcome<ObjectList, OutsideOfFolder> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadOwnFiles).await?;
        let folder = own_folder(&mut unit, grant).await?;
        let prefix = match prefix {
            // The folder without the slash at its end is the folder.
            Some(prefix) if format!("{prefix}/") != folder.prefix() => prefix.to_owned(),
            _ => folder.prefix(),
        };
        if bucket != self.objects.bucket() || !folder.admits_prefix(&prefix) {
            return refuse(OutsideOfFolder);
        }
        let directly_in =
            if is_recursive { "" } else { prefix.rsplit_once('/').map_or("", |(folder, _)| folder) };
        let owned = Owned { account: grant.account(), organization: grant.organization(), category: "" };
        let mut objects = unit.files().below(owned, (&prefix, directly_in), after, MOST_OBJECTS + 1).await?;
        let most = usize::try_from(MOST_OBJECTS).unwrap_or(usize::MAX);
        let is_truncated = objects.len() > most;
        objects.truncate(most);
        Ok(ObjectList { objects, folder, prefix, is_truncated })
    }
}

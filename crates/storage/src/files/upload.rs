//! A file is uploaded.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};
use tidegate_kernel::{Actor, Call};
use tidegate_objects::{ObjectKey, Staged};

use super::content::{ContentError, HEAD, TAIL, judge};
use super::file::{FileCategory, TrackedFile};
use super::folder::SubFolder;
use super::name::FileName;
use super::repository::NewRow;
use crate::fault::store_fault;
use crate::quota::usage::Usage;
use crate::settings::StorageLimits;
use crate::work::{Acting, own_folder};
use crate::{Storage, StorageTables};

/// How long bytes stay reserved for a file that is on its way into the store. A file of 100 MiB takes seconds.
const RESERVED: Duration = Duration::from_secs(900);

/// What is said of a file that is uploaded.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// What it is called.
    pub name: FileName,
    /// Where in the caller's folder it is put.
    pub folder: SubFolder,
    /// What it is for.
    pub category: FileCategory,
}

/// Why a file was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The organization would keep more than it may.
    #[error(
        "the organization may keep at most {limit} bytes of files, and {available} are left; delete some files first"
    )]
    QuotaExceeded {
        /// In bytes.
        limit: u64,
        /// In bytes.
        available: u64,
    },
    /// The file is larger than any may be.
    #[error("a file may have at most {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// It is not what it is said to be.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Its name and folder are too long together.
    #[error("the path and the name are too long together")]
    LongKey,
}

/// How large the next file may be, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// By the organization's quota.
    limit: u64,
    available: u64,
    /// By itself.
    file: u64,
}

impl Room {
    const fn of(usage: &Usage, limits: &StorageLimits) -> Self {
        Self { limit: usage.limit, available: usage.available(), file: limits.file_bytes }
    }

    /// Refuses a file that has so many bytes already.
    ///
    /// # Errors
    /// [`UploadError::TooLarge`], [`UploadError::QuotaExceeded`].
    pub const fn admit(&self, bytes: u64) -> Result<(), UploadError> {
        if bytes > self.file {
            return Err(UploadError::TooLarge { limit: self.file });
        }
        if bytes > self.available {
            return Err(UploadError::QuotaExceeded { limit: self.limit, available: self.available });
        }
        Ok(())
    }
}

impl Storage {
    /// How large the caller's next file may be, as far as can be said now: so that what cannot be stored is not read.
    ///
    /// # Errors
    /// Only faults.
    pub async fn room(&self, actor: &Actor) -> Result<Room, Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ManageOwnFiles).await?;
        let usage = self.quota_in(&mut unit, grant.organization()).await?.ok_or(Fault::SessionEnded)?;
        Ok(Room::of(&usage, &self.limits))
    }

    /// Begins to take a file's bytes. Nobody sees them, and they go away with what this answers.
    ///
    /// # Errors
    /// Only faults.
    pub async fn stage(&self, actor: &Actor) -> Result<Staged, Fault> {
        actor.authorize(Permission::ManageOwnFiles)?;
        let name = self.kernel.new_uuid().to_string();
        self.objects.stage(name).await.map_err(store_fault)
    }

    /// Stores a file whose bytes are here. When this answers, the file is durable, and counted.
    ///
    /// Source: RiverGen "storage/upload".
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn upload(
        self: &Arc<Self>,
        call: &Call,
        actor: &Actor,
        new: NewFile,
        staged: Staged,
    ) -> Outcome<TrackedFile, UploadError> {
        actor.authorize(Permission::ManageOwnFiles)?;
        let (app, call, actor) = (Arc::clone(self), call.clone(), actor.clone());
        // Continues when the client disconnects: what is reserved is stored, or given back.
        let storing = tokio::spawn(async move { app.store(&call, &actor, &new, staged).await });
        storing.await.unwrap_or_else(|error| Err(Fault::Internal(error.to_string()).into()))
    }

    async fn store(
        &self,
        call: &Call,
        actor: &Actor,
        new: &NewFile,
        mut staged: Staged,
    ) -> Outcome<TrackedFile, UploadError> {
        let content_type = content_type_of(&mut staged, new).await?;
        let etag = etag_of(&staged.digest().await.map_err(store_fault)?);
        let (file, key) = self.reserve(call, actor, new, (staged.size(), content_type, etag)).await?;
        let published = self.objects.publish(staged, &key).await.map_err(store_fault);
        let stored = match published {
            Ok(()) => self.settle_upload(call, actor, &file).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = stored {
            match self.take_back(&file, &key).await {
                Ok(false) => {}
                Ok(true) => return Err(fault.into()),
                // What cannot be taken back now, the job takes back when the reservation is over.
                Err(error) => {
                    tracing::warn!(%error, "an upload that failed stays reserved for a while");
                    return Err(fault.into());
                }
            }
        }
        metrics::counter!("tidegate_storage_uploaded_bytes_total").increment(file.size);
        Ok(file)
    }

    /// Reserves the file's bytes and its key.
    async fn reserve(
        &self,
        call: &Call,
        actor: &Actor,
        new: &NewFile,
        (size, content_type, etag): (u64, &str, String),
    ) -> Outcome<(TrackedFile, ObjectKey), UploadError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFiles).await?;
        let (organization, account, now) = (work.grant.organization(), work.grant.account(), work.now);
        let folder = own_folder(&mut work.unit, &work.grant).await?;
        let unique_name = new.name.unique(now, self.kernel.entropy.bytes());
        let Ok(key) = folder.key(&new.folder, &unique_name) else {
            return refuse(UploadError::LongKey);
        };
        let id = self.kernel.entropy.uuid(now);
        self.take(&mut work, size).await?;
        let row = NewRow {
            id,
            organization,
            account,
            object_name: key.as_str(),
            file_name: new.name.as_str(),
            category: new.category,
            content_type,
            size: signed(size),
            etag: &etag,
            state: "uploading",
            created_at: now,
            now,
            reserved_until: now.plus(RESERVED),
        };
        let number = work.unit.files().insert(&row).await?;
        let number = number.ok_or_else(|| Fault::Internal("a file's key is taken".to_owned()))?;
        work.commit().await?;
        let file = TrackedFile {
            id,
            number,
            organization,
            account,
            object_name: key.to_string(),
            file_name: new.name.as_str().to_owned(),
            unique_name,
            category: new.category,
            content_type: content_type.to_owned(),
            size,
            etag,
            created_at: now,
        };
        Ok((file, key))
    }

    /// Takes the file's bytes of what the organization may keep.
    async fn take(&self, work: &mut Acting<'_>, bytes: u64) -> Outcome<(), UploadError> {
        let organization = work.grant.organization();
        let usage = self.quota_in(&mut work.unit, organization).await?.ok_or(Fault::SessionEnded)?;
        Room::of(&usage, &self.limits).admit(bytes).map_err(Refused::Rule)?;
        let (bytes, limit) = (signed(bytes), signed(usage.limit));
        // The statement reads anew what an operator allows, and what is used.
        if work.unit.storage_usage().take(organization, bytes, limit, work.now).await? {
            return Ok(());
        }
        // Another upload was quicker.
        refuse(UploadError::QuotaExceeded { limit: usage.limit, available: 0 })
    }

    /// Says that the file is stored.
    async fn settle_upload(&self, call: &Call, actor: &Actor, file: &TrackedFile) -> Result<(), Fault> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFiles).await?;
        if !work.unit.files().settle(file.id, work.now).await? {
            return Err(Fault::Unavailable("the file store: an upload took too long".to_owned()));
        }
        let subject = work.grant.subject();
        let metadata = json!({
            "object_name": file.object_name, "size": file.size, "content_type": file.content_type,
        });
        work.audit(Action::FileUploaded, subject, metadata).await?;
        work.commit().await
    }

    /// Removes what an upload has stored so far, and gives its bytes back. False when the file is stored after all: a connection that ends
    /// while a unit is committed does not say whether it was, and the object of a file that is listed must not go.
    async fn take_back(&self, file: &TrackedFile, key: &ObjectKey) -> Result<bool, Fault> {
        let mut unit = self.kernel.store.begin().await?;
        let is_taken = unit.files().take_back(file.id, self.kernel.now()).await?;
        let is_stored = !is_taken && unit.files().stored(&file.object_name).await?.is_some();
        unit.commit().await?;
        if is_stored {
            return Ok(false);
        }
        // Also where the job has it already: it may have looked for the object before that was there.
        self.finish_removing(file, key).await?;
        Ok(true)
    }
}

/// What a file is, by its bytes.
async fn content_type_of(staged: &mut Staged, new: &NewFile) -> Outcome<&'static str, UploadError> {
    let head = staged.read(0, HEAD).await.map_err(store_fault)?;
    let tail = u64::try_from(TAIL).unwrap_or(0);
    let tail = staged.read(staged.size().saturating_sub(tail), TAIL).await.map_err(store_fault)?;
    match judge(new.name.as_str(), new.category, &head, &tail) {
        Ok(content_type) => Ok(content_type),
        Err(error) => refuse(error.into()),
    }
}

/// The entity tag: of its content alone.
fn etag_of(digest: &str) -> String {
    format!("\"{}\"", digest.get(..32).unwrap_or(digest))
}

/// As a column holds it.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

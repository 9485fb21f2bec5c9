//! A file is removed.

use std::sync::Arc;

use serde_json::json;
use tidegate_database::Unit;
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};
use tidegate_objects::ObjectKey;

use super::file::TrackedFile;
use super::find::FileError;
use crate::fault::store_fault;
use crate::work::own_folder;
use crate::{ReadingSource, Storage, StorageTables};

/// The state of a file that is there, and of one that the store has lost.
const STORED: &str = "stored";
const LOST: &str = "missing";

impl Storage {
    /// Removes one of the caller's files, for good, also one that the store has lost. Answers the data sources that read it, which do not
    /// answer from now on.
    ///
    /// Source: RiverGen "storage/objects/{object_name}", delete.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn remove_file(
        self: &Arc<Self>,
        call: &Call,
        actor: &Actor,
        object_name: &str,
    ) -> Outcome<Vec<ReadingSource>, FileError> {
        actor.authorize(Permission::ManageOwnFiles)?;
        let (app, call, actor) = (Arc::clone(self), call.clone(), actor.clone());
        let object_name = object_name.to_owned();
        // Continues when the client disconnects.
        let removing = tokio::spawn(async move { app.remove(&call, &actor, &object_name).await });
        removing.await.unwrap_or_else(|error| Err(Fault::Internal(error.to_string()).into()))
    }

    async fn remove(
        &self,
        call: &Call,
        actor: &Actor,
        object_name: &str,
    ) -> Outcome<Vec<ReadingSource>, FileError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFiles).await?;
        let Ok(key) = own_folder(&mut work.unit, &work.grant).await?.admit(object_name) else {
            return refuse(FileError::Outside);
        };
        let Some((file, from)) = removable(&mut work.unit, &key).await? else {
            let state = work.unit.files().state(key.as_str()).await?;
            drop(work);
            self.remove_untracked(&key, state.as_deref()).await?;
            // Data sources are built on files that are tracked.
            return Ok(Vec::new());
        };
        let is_ours = file.account == work.grant.account();
        // Of two who remove it, one does.
        if !is_ours || !work.unit.files().change_state(file.id, (from, "removing"), work.now).await? {
            return refuse(FileError::NotFound);
        }
        if from == LOST {
            // They were given back when it was lost, and are once more when it is removed.
            work.unit.storage_usage().add(file.organization, bytes_of(&file), work.now).await?;
        }
        let reading = match self.sources.get() {
            Some(sources) => {
                sources.removed(&mut work.unit, &work.grant, &file.object_name, work.now).await?
            }
            None => Vec::new(),
        };
        let subject = work.grant.subject();
        let metadata = json!({ "object_name": file.object_name, "size": file.size });
        work.audit(Action::FileRemoved, subject, metadata).await?;
        work.commit().await?;
        // From here on it is removed for everybody; what fails now, the job does.
        if let Err(fault) = self.finish_removing(&file, &key).await {
            tracing::warn!(error = %fault, "a file is removed from the store later");
        }
        Ok(reading)
    }

    /// Removes an object that was put into the caller's folder past us.
    async fn remove_untracked(&self, key: &ObjectKey, state: Option<&str>) -> Outcome<(), FileError> {
        // One that is removed or on its way has an object for a while, and is no file any more or not yet.
        if state.is_some() || self.objects.find(key).await.map_err(store_fault)?.is_none() {
            return refuse(FileError::NotFound);
        }
        self.objects.remove(key).await.map_err(store_fault)?;
        Ok(())
    }

    /// Removes the object of a file that is being removed, says so, and gives its bytes back: once, however often it is called.
    pub(crate) async fn finish_removing(&self, file: &TrackedFile, key: &ObjectKey) -> Result<(), Fault> {
        self.objects.remove(key).await.map_err(store_fault)?;
        let now = self.kernel.now();
        let mut unit = self.kernel.store.begin().await?;
        if unit.files().removed(file.id, now).await? {
            unit.storage_usage().add(file.organization, -bytes_of(file), now).await?;
        }
        Ok(unit.commit().await?)
    }
}

/// The file under a key that can be removed, and its state. One that the store has lost can be: nobody has to wait for it.
async fn removable(
    unit: &mut Unit,
    key: &ObjectKey,
) -> tidegate_database::Result<Option<(TrackedFile, &'static str)>> {
    if let Some(file) = unit.files().stored(key.as_str()).await? {
        return Ok(Some((file, STORED)));
    }
    Ok(unit.files().missing(key.as_str()).await?.map(|file| (file, LOST)))
}

fn bytes_of(file: &TrackedFile) -> i64 {
    i64::try_from(file.size).unwrap_or(i64::MAX)
}

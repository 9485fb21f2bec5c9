//! Finds rows whose object is gone, and objects without a row.
//!
//! Uploads and removals that are cut off leave neither: see `settle`. What is found here comes from outside: a restored backup of the
//! database or of the files, a lost disk, somebody who put files into the bucket. So nothing is thrown away lightly: a row without an
//! object waits for it as *missing*, an object gets a row where its owner exists.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tidegate_kernel::Fault;
use tidegate_kernel::jobs::{Job, JobError, JobRun, RetryPolicy, Schedule};
use tidegate_objects::{ObjectKey, Stored};

use crate::fault::store_fault;
use crate::files::content::by_name;
use crate::files::file::{FileCategory, TrackedFile};
use crate::files::repository::NewRow;
use crate::{Storage, StorageTables};

/// The job's name.
pub(crate) const NAME: &str = "storage orphans";
/// How often. It asks the store once for each file.
const EVERY: Duration = Duration::from_secs(24 * 3_600);
const JITTER: Duration = Duration::from_secs(3_600);
const PAUSE: Duration = Duration::from_secs(600);
/// Rows that are read at once.
const AT_ONCE: i64 = 200;
/// Objects younger than this may be of an upload that is under way.
const YOUNG: Duration = Duration::from_secs(3_600);
/// Objects of nobody are removed when they are so old: a backup of the database may still be restored.
const KEEP_FOREIGN: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Below what all keys are.
const ROOT: &str = "organizations";

pub(crate) const JOB: Job<Storage> = Job {
    schedule: Some(Schedule::Installation { every: EVERY, jitter: JITTER, at_start: false }),
    retry: RetryPolicy { max_attempts: u32::MAX, first_delay: PAUSE, factor: 2, max_delay: EVERY },
    // However many files there are.
    limit: None,
    ..Job::new(NAME, |storage, run| async move { storage.find_orphans(Some(&run)).await }.boxed())
};

impl Storage {
    /// Compares every row with its object and every object with its row, as the job does every day.
    ///
    /// # Errors
    /// Those of the stores; what was found until then is settled.
    pub async fn compare_with_store(&self) -> Result<(), JobError> {
        self.find_orphans(None).await
    }

    /// Looks at every row and every object.
    ///
    /// # Errors
    /// Those of the stores; what was found until then is settled.
    pub(crate) async fn find_orphans(&self, run: Option<&JobRun>) -> Result<(), JobError> {
        let is_stopping = || run.is_some_and(|run| run.stopping().now_or_never().is_some());
        self.remove_files_of_former_members().await?;
        let mut unit = self.kernel.store.read().await.map_err(Fault::from)?;
        let has_files = !unit.files().in_state("stored", 0, 1).await.map_err(Fault::from)?.is_empty();
        drop(unit);
        if !has_files && !self.objects.is_begun() {
            return Ok(());
        }
        // A store that does not answer has lost nothing.
        self.objects.check().await.map_err(store_fault)?;
        for (state, other) in [("stored", "missing"), ("missing", "stored")] {
            let mut after = 0;
            loop {
                let mut unit = self.kernel.store.read().await.map_err(Fault::from)?;
                let files = unit.files().in_state(state, after, AT_ONCE).await.map_err(Fault::from)?;
                drop(unit);
                let Some(last) = files.last() else { break };
                after = last.number;
                for file in &files {
                    self.compare(file, (state, other)).await?;
                }
                if is_stopping() {
                    return Err(JobError::Stopped);
                }
            }
        }
        let mut objects = self.objects.list(ROOT);
        while let Some(found) = objects.next().await {
            self.look_at_object(&found.map_err(store_fault)?).await?;
            if is_stopping() {
                return Err(JobError::Stopped);
            }
        }
        Ok(())
    }

    /// Begins to remove the files of those who are members of their organization no more: nobody reaches them, and its quota counts them.
    async fn remove_files_of_former_members(&self) -> Result<(), Fault> {
        let mut files = 0;
        loop {
            let mut unit = self.kernel.store.begin().await?;
            let some = unit.files().begin_removing_of_former(self.kernel.now(), AT_ONCE).await?;
            unit.commit().await?;
            files += some;
            if some < AT_ONCE.unsigned_abs() {
                break;
            }
        }
        if files > 0 {
            tracing::info!(files, "files of former members are removed");
        }
        Ok(())
    }

    /// Moves a file between stored and missing, if the store says otherwise than its row.
    async fn compare(&self, file: &TrackedFile, (state, other): (&str, &str)) -> Result<(), Fault> {
        let Ok(key) = ObjectKey::parse(&file.object_name) else {
            return Ok(());
        };
        let is_there = self.objects.find(&key).await.map_err(store_fault)?.is_some();
        if is_there == (state == "stored") {
            return Ok(());
        }
        let now = self.kernel.now();
        let mut unit = self.kernel.store.begin().await?;
        if unit.files().change_state(file.id, (state, other), now).await? {
            let bytes = i64::try_from(file.size).unwrap_or(i64::MAX);
            let counted = if is_there { bytes } else { -bytes };
            unit.storage_usage().add(file.organization, counted, now).await?;
            unit.commit().await?;
            if is_there {
                tracing::warn!(file = file.number, "a file that was missing is there again");
            } else {
                metrics::counter!("tidegate_storage_missing_files_total").increment(1);
                tracing::error!(
                    file = file.number,
                    object = file.object_name.as_str(),
                    "the store has lost a file; it is listed no more until it is back"
                );
            }
        }
        Ok(())
    }

    /// Gives an object without a row one, or removes it.
    async fn look_at_object(&self, found: &Stored) -> Result<(), Fault> {
        let now = self.kernel.now();
        let Ok(key) = ObjectKey::parse(&found.key) else {
            return Ok(());
        };
        if found.last_modified > now.minus(YOUNG) {
            return Ok(());
        }
        let mut unit = self.kernel.store.begin().await?;
        let state = unit.files().state(key.as_str()).await?;
        match state.as_deref() {
            None => {}
            // An upload that was too slow, cut off behind its end, or a backup of the files that is older than the row. Its owner was
            // told that it is gone, and its bytes are counted no more.
            Some("removed") => {
                drop(unit);
                self.objects.remove(&key).await.map_err(store_fault)?;
                tracing::warn!(
                    bytes = found.size,
                    "removed a file from the store that had been removed before"
                );
                return Ok(());
            }
            Some(_) => return Ok(()),
        }
        let owner = match owner_of(&key) {
            Some((organization, account)) => unit.files().member(organization, account).await?,
            None => None,
        };
        let Some((organization, account)) = owner else {
            drop(unit);
            if found.last_modified < now.minus(KEEP_FOREIGN) {
                self.objects.remove(&key).await.map_err(store_fault)?;
                tracing::warn!(bytes = found.size, "removed a file of nobody from the store");
            }
            return Ok(());
        };
        let size = i64::try_from(found.size).unwrap_or(i64::MAX);
        let row = NewRow {
            id: self.kernel.entropy.uuid(now),
            organization,
            account,
            object_name: key.as_str(),
            file_name: key.name(),
            category: FileCategory::General,
            content_type: by_name(key.name()),
            size,
            etag: &found.etag,
            state: "stored",
            created_at: found.last_modified,
            now,
            reserved_until: now,
        };
        if unit.files().insert(&row).await?.is_some() {
            unit.storage_usage().add(organization, size, now).await?;
            unit.commit().await?;
            tracing::warn!(bytes = found.size, "a file in the store had no row; it has one now");
        }
        Ok(())
    }
}

/// The numbers of the organization and the account in a key.
fn owner_of(key: &ObjectKey) -> Option<(i64, i64)> {
    let mut parts = key.as_str().split('/');
    let (ROOT, organization, "files", account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?)
    else {
        return None;
    };
    // Without a file's name behind them they are no folder.
    parts.next()?;
    Some((organization.parse().ok()?, account.parse().ok()?))
}

//! Finishes what was cut off: uploads whose time is over are taken back, files that are being removed are removed.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::Fault;
use tidegate_kernel::jobs::{Job, JobError, RetryPolicy, Schedule};
use tidegate_objects::ObjectKey;

use crate::files::file::TrackedFile;
use crate::{Storage, StorageTables};

/// The job's name.
pub(crate) const NAME: &str = "storage settling";
/// The name of the one that removes the files of a deleted account at once.
pub(crate) const REMOVE_NAME: &str = "storage removal";
/// How often.
const EVERY: Duration = Duration::from_secs(60);
/// So much later, at random.
const JITTER: Duration = Duration::from_secs(5);
/// Files that are looked at in one.
const AT_ONCE: i64 = 100;
/// How long nothing was written to a staged file that an upload left behind. Slow uploads write more often.
const ABANDONED: Duration = Duration::from_secs(24 * 3_600);

pub(crate) const JOB: Job<Storage> = Job {
    schedule: Some(Schedule::Installation { every: EVERY, jitter: JITTER, at_start: false }),
    retry: RetryPolicy { max_attempts: u32::MAX, first_delay: EVERY, factor: 1, max_delay: EVERY },
    wanted: Some(|storage| async move { storage.is_unsettled().await }.boxed()),
    ..Job::new(NAME, |storage, run| async move { settle(&storage, &run).await }.boxed())
};

pub(crate) const REMOVE_JOB: Job<Storage> =
    Job::new(REMOVE_NAME, |storage, run| async move { settle(&storage, &run).await }.boxed());

/// What earlier processes of this node left behind, once when it starts and every day.
pub(crate) const ABANDONED_JOB: Job<Storage> = Job {
    schedule: Some(Schedule::Node { every: ABANDONED, at_start: true }),
    ..Job::new("storage staging", |storage, _| {
        async move {
            let removed = storage.objects.remove_abandoned(ABANDONED).await;
            match removed.map_err(|error| JobError::Again(error.to_string()))? {
                0 => {}
                files => tracing::info!(files, "removed what uploads left behind that were cut off"),
            }
            Ok(())
        }
        .boxed()
    })
};

async fn settle(storage: &Storage, run: &tidegate_kernel::jobs::JobRun) -> Result<(), JobError> {
    while storage.settle_some().await? > 0 {
        if run.stopping().now_or_never().is_some() {
            return Err(JobError::Stopped);
        }
    }
    Ok(())
}

impl Storage {
    async fn is_unsettled(&self) -> Result<bool, Fault> {
        let mut unit = self.kernel.store.read().await?;
        Ok(!unit.files().unsettled(self.kernel.now(), 1).await?.is_empty())
    }

    /// Settles everything that is due now, as the job does every minute.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn settle_unfinished(&self) -> Result<(), Fault> {
        while self.settle_some().await? > 0 {}
        Ok(())
    }

    /// Settles some files; answers how many.
    ///
    /// # Errors
    /// The first that fails; the others are settled.
    pub(crate) async fn settle_some(&self) -> Result<usize, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let files = unit.files().unsettled(self.kernel.now(), AT_ONCE).await?;
        drop(unit);
        let mut failed = None;
        for file in &files {
            if let Err(fault) = self.settle_one(file).await {
                failed.get_or_insert(fault);
            }
        }
        match failed {
            Some(fault) => Err(fault),
            None => Ok(files.len()),
        }
    }

    async fn settle_one(&self, file: &TrackedFile) -> Result<(), Fault> {
        let Ok(key) = ObjectKey::parse(&file.object_name) else {
            return Err(Fault::Internal("storage_files.object_name is no key".to_owned()));
        };
        let mut unit = self.kernel.store.begin().await?;
        // From here on the upload cannot be stored any more: its object may go.
        let is_over = unit.files().begin_settling(file.id, self.kernel.now()).await?;
        unit.commit().await?;
        if is_over { self.finish_removing(file, &key).await } else { Ok(()) }
    }
}

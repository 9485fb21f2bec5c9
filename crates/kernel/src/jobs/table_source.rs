//! The table of jobs as work of the runner.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::fault::Fault;
use crate::jobs::registry::RegisteredJob;
use crate::jobs::repository::JobRow;
use crate::jobs::source::{Source, Work};
use crate::{Kernel, KernelTables};

/// Jobs that run at a time on a node, of all names.
const AT_ONCE: usize = 16;

/// The jobs that this version knows: those of a newer one wait for a node that does.
pub(super) struct TableSource {
    pub(super) kernel: Arc<Kernel>,
    pub(super) jobs: Vec<RegisteredJob>,
}

/// A job to be run, and its place among those that run.
pub(super) struct ClaimedJob {
    pub(super) job: RegisteredJob,
    pub(super) row: JobRow,
    place: OwnedSemaphorePermit,
}

impl TableSource {
    /// Adds the rows of scheduled jobs that are not there.
    pub(super) async fn schedule(&self) -> Result<(), Fault> {
        let there = self.kernel.store.read().await?.jobs().scheduled().await?;
        let missing =
            self.jobs.iter().filter(|job| job.is_scheduled() && !there.iter().any(|name| name == job.name));
        for job in missing {
            let Some(schedule) = job.schedule else { continue };
            let row = self.kernel.job(job.name, &Value::Null)?.at(self.kernel.first_run(schedule));
            let mut unit = self.kernel.store.begin().await?;
            unit.jobs().schedule(&row).await?;
            unit.commit().await?;
        }
        Ok(())
    }

    /// Claims what is due and wanted. Reads first: looking costs a reader, claiming a turn at the writer.
    pub(super) async fn claim_jobs(&self, mut room: usize) -> Result<Vec<ClaimedJob>, Fault> {
        let due = self.kernel.store.read().await?.jobs().due(self.kernel.now()).await?;
        let mut wanted = Vec::new();
        for job in self.jobs.iter().filter(|job| job.has_rows() && due.iter().any(|name| name == job.name)) {
            if job.room.available_permits() > 0 && is_wanted(job).await {
                wanted.push(job);
            }
        }
        let mut claimed = Vec::new();
        if wanted.is_empty() {
            return Ok(claimed);
        }
        let (mut unit, now) = (self.kernel.store.begin().await?, self.kernel.now());
        for job in wanted {
            let mut places = Vec::new();
            while places.len() < room
                && let Ok(place) = Arc::clone(&job.room).try_acquire_owned()
            {
                places.push(place);
            }
            let at_most = i64::try_from(places.len()).unwrap_or(i64::MAX);
            let rows = unit.jobs().claim(job.name, now, job.lease, at_most).await?;
            room = room.saturating_sub(rows.len());
            claimed.extend(rows.into_iter().zip(places).map(|(row, place)| ClaimedJob {
                job: job.clone(),
                row,
                place,
            }));
        }
        unit.commit().await?;
        Ok(claimed)
    }
}

/// One that cannot say keeps nobody else waiting.
async fn is_wanted(job: &RegisteredJob) -> bool {
    let Some(wanted) = &job.wanted else { return true };
    wanted().await.unwrap_or_else(|fault| {
        tracing::warn!(job = job.name, error = %fault, "whether a job has anything to do could not be read");
        false
    })
}

impl Source for TableSource {
    fn name(&self) -> &'static str {
        "jobs"
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), Fault>> {
        self.schedule().boxed()
    }

    fn news(&self) -> BoxFuture<'_, ()> {
        self.kernel.memory.jobs.notified().boxed()
    }

    fn claim<'s>(
        &'s self,
        room: usize,
        stopping: &'s watch::Receiver<bool>,
    ) -> BoxFuture<'s, Result<Vec<Work>, Fault>> {
        async move {
            let work = self.claim_jobs(room).await?.into_iter().map(|ClaimedJob { job, row, place }| {
                let (kernel, stopping) = (Arc::clone(&self.kernel), stopping.clone());
                async move {
                    let ran = kernel.run_claimed(&job, row, stopping).await;
                    drop(place);
                    ran.map(drop)
                }
                .boxed()
            });
            Ok(work.collect())
        }
        .boxed()
    }
}

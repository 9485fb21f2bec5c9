//! Sources that are due are handed to the jobs that test them and discover their tables: once in the whole installation.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_domain::Timestamp;
use tidegate_kernel::jobs::{Job, JobError, RetryPolicy, Schedule};
use tidegate_kernel::{Fault, KernelTables};

use crate::life::test_job;
use crate::schemas::discovery_job;
use crate::{Catalog, CatalogTables};

/// The job's name.
pub(crate) const NAME: &str = "data source schedule";
/// How often.
const EVERY: Duration = Duration::from_secs(5);
/// Sources that are handed on in one unit of work.
const AT_ONCE: i64 = 50;

pub(crate) const JOB: Job<Catalog> = Job {
    schedule: Some(Schedule::Installation { every: EVERY, jitter: Duration::ZERO, at_start: true }),
    retry: RetryPolicy { max_attempts: u32::MAX, first_delay: EVERY, factor: 1, max_delay: EVERY },
    at_once: 1,
    wanted: Some(|catalog| async move { catalog.is_anything_due().await }.boxed()),
    ..Job::new(NAME, |catalog, run| {
        async move {
            while catalog.hand_on().await? == AT_ONCE.unsigned_abs() {
                if run.stopping().now_or_never().is_some() {
                    return Err(JobError::Stopped);
                }
            }
            Ok(())
        }
        .boxed()
    })
};

impl Catalog {
    async fn is_anything_due(&self) -> Result<bool, Fault> {
        let now = self.kernel.now();
        let mut unit = self.kernel.store.read().await?;
        Ok(unit.data_source_checks().is_anything_due(now, self.horizon(now)).await?)
    }

    /// No check is later than that, unless a node's clock was ahead.
    fn horizon(&self, now: Timestamp) -> Timestamp {
        now.plus(self.settings.health_interval * 2)
    }

    /// Hands a batch on; answers how many.
    async fn hand_on(&self) -> Result<u64, Fault> {
        let now = self.kernel.now();
        let mut unit = self.kernel.store.begin().await?;
        unit.data_source_checks().bring_forward(self.horizon(now), now).await?;
        let due = unit.data_source_checks().due(now, AT_ONCE).await?;
        // A source before its job, as whoever changes or tests one does: the other way round both could wait for each other.
        for id in &due {
            unit.data_source_checks().check_at(*id, now.plus(self.settings.health_interval)).await?;
            unit.jobs().enqueue(&test_job::of(&self.kernel, *id)?).await?;
        }
        let discoveries = unit.data_source_checks().due_for_discovery(now, AT_ONCE).await?;
        for id in &discoveries {
            // Until it is done, which sets the next one.
            unit.data_source_checks().discover_at(*id, now.plus(self.settings.health_interval)).await?;
            unit.jobs().enqueue(&discovery_job::of(&self.kernel, *id)?).await?;
        }
        unit.commit().await?;
        Ok(due.len().max(discoveries.len()).try_into().unwrap_or(u64::MAX))
    }
}

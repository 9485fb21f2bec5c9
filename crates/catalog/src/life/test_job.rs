//! A source that was made or changed, or is due, is tested in the background.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use tidegate_domain::id::DataSourceId;
use tidegate_kernel::jobs::{Job, JobError, JobRun, NewJob};
use tidegate_kernel::{Fault, Kernel, KernelTables};
use uuid::Uuid;

use crate::life::testing::TestReport;
use crate::{Catalog, CatalogTables};

/// The job's name.
pub(crate) const NAME: &str = "data source tests";
/// Sources that are tested at the same time on a node. Places for other jobs are left.
const AT_ONCE: usize = 10;
/// The longest time for one: the longest attempt, and its retries.
const LIMIT: Duration = Duration::from_secs(600);
/// When a source is tried again whose organization has as much running as it may.
pub(crate) const LATER: Duration = Duration::from_secs(2);

pub(crate) const JOB: Job<Catalog> = Job {
    at_once: AT_ONCE,
    limit: Some(LIMIT),
    ..Job::new(NAME, |catalog, run| async move { catalog.run_test(&run).await }.boxed())
};

/// A test of a source, to be enqueued; only one of a source waits.
pub(crate) fn of(kernel: &Kernel, id: DataSourceId) -> Result<NewJob, Fault> {
    Ok(kernel.job(NAME, &json!({ "data_source": id.0 }))?.once_for(id.to_string()))
}

/// Which source a job is about.
pub(crate) fn source_of(payload: &Value) -> Result<DataSourceId, JobError> {
    let id = payload.get("data_source").and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok());
    id.map(DataSourceId).ok_or_else(|| JobError::Never("its payload names no data source".to_owned()))
}

impl Catalog {
    async fn run_test(&self, run: &JobRun) -> Result<(), JobError> {
        let id = source_of(&run.payload)?;
        let mut unit = self.kernel.store.read().await.map_err(Fault::from)?;
        // One that is gone needs no test.
        let found = unit.data_sources().find(id).await.map_err(Fault::from)?;
        drop(unit);
        let Some(source) = found else { return Ok(()) };
        let Some(slot) = self.slots.try_take(source.organization) else {
            return Ok(self.postpone(of(&self.kernel, id)?).await?);
        };
        let outcome = self.attempts(&source, slot).await?;
        let (number, tested_at, warnings) = (source.number, self.kernel.now(), Vec::new());
        let report = TestReport { number, tested_at, outcome, warnings };
        self.record(&source, &report, Some(run)).await?;
        Ok(())
    }

    /// Has a job run a little later: nothing failed, and others get their turn.
    pub(crate) async fn postpone(&self, job: NewJob) -> Result<(), Fault> {
        let job = job.at(self.kernel.now().plus(LATER));
        let mut unit = self.kernel.store.begin().await?;
        unit.jobs().enqueue(&job).await?;
        Ok(unit.commit().await?)
    }
}

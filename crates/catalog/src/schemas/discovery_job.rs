//! The tables of a source are discovered in the background: when it answers for the first time, and again as its settings say.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;
use tidegate_domain::id::DataSourceId;
use tidegate_kernel::jobs::{Job, JobError, JobRun, NewJob};
use tidegate_kernel::{Fault, Kernel, KernelTables};

use super::discover::{Failure, LIMIT};
use crate::life::test_job::source_of;
use crate::sources::{DataSource, SourceStatus};
use crate::{Catalog, CatalogTables};

/// The job's name.
pub(crate) const NAME: &str = "data source discoveries";
/// Sources that are discovered at the same time on a node by jobs.
pub(crate) const AT_ONCE: usize = 4;
/// Of these, sources of one organization: a discovery may take ten minutes.
pub(crate) const EACH: usize = 2;

pub(crate) const JOB: Job<Catalog> = Job {
    at_once: AT_ONCE,
    // The discovery's own limit is shorter.
    limit: Some(LIMIT.saturating_add(Duration::from_secs(60))),
    ..Job::new(NAME, |catalog, run| async move { catalog.run_discovery(&run).await }.boxed())
};

/// A discovery of a source, to be enqueued; only one of a source waits.
pub(crate) fn of(kernel: &Kernel, id: DataSourceId) -> Result<NewJob, Fault> {
    Ok(kernel.job(NAME, &json!({ "data_source": id.0 }))?.once_for(id.to_string()))
}

impl Catalog {
    /// Whether the tables of a source that were never discovered are about to be: it is about to be tested, or its discovery waits or runs.
    ///
    /// # Errors
    /// Only faults.
    pub async fn is_being_discovered(&self, source: &DataSource) -> Result<bool, Fault> {
        match source.status {
            SourceStatus::Testing => Ok(true),
            SourceStatus::Active => {
                let mut unit = self.kernel.store.read().await?;
                Ok(unit.jobs().is_under_way(NAME, &source.id.to_string()).await?)
            }
            _ => Ok(false),
        }
    }

    async fn run_discovery(&self, run: &JobRun) -> Result<(), JobError> {
        let id = source_of(&run.payload)?;
        let mut unit = self.kernel.store.read().await.map_err(Fault::from)?;
        let found = unit.data_sources().find(id).await.map_err(Fault::from)?;
        drop(unit);
        let Some(source) = found else { return Ok(()) };
        let turn = self.discovery_turns.try_take(source.organization);
        let Some((_turn, slot)) = turn.zip(self.slots.try_take(source.organization)) else {
            return Ok(self.postpone(of(&self.kernel, id)?).await?);
        };
        match self.discover(&source, None, slot).await {
            // A source that does not answer is tested again as ever; its tables are discovered when it does.
            Ok(_) | Err(Failure::Source(_) | Failure::Outdated) => Ok(()),
            Err(Failure::Fault(text)) => Err(JobError::Again(text)),
        }
    }
}

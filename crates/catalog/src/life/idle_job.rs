//! Closes what a node has open and nobody uses, or what was changed or deleted on another node.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::Fault;
use tidegate_kernel::jobs::{Job, Schedule};

use crate::life::pools::close;
use crate::{Catalog, CatalogTables};

/// The job's name.
pub(crate) const NAME: &str = "data source connections";
/// How often.
const EVERY: Duration = Duration::from_secs(15);

pub(crate) const JOB: Job<Catalog> = Job {
    schedule: Some(Schedule::Node { every: EVERY, at_start: false }),
    ..Job::new(NAME, |catalog, _| async move { Ok(catalog.close_unused().await?) }.boxed())
};

impl Catalog {
    /// Closes sources that are idle, outdated or gone.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn close_unused(&self) -> Result<(), Fault> {
        for idle in self.pools.take_idle(self.kernel.now(), self.settings.pool_idle) {
            close(&idle).await;
        }
        let open = self.pools.versions();
        if open.is_empty() {
            return Ok(());
        }
        let mut unit = self.kernel.store.read().await?;
        let mut outdated = Vec::new();
        for (id, version) in open {
            if unit.data_sources().version(id).await? != Some(version) {
                outdated.push(id);
            }
        }
        drop(unit);
        for id in outdated {
            self.pools.drop_source(id).await;
        }
        Ok(())
    }
}

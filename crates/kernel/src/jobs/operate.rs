//! Jobs as operators see them.

use crate::fault::Fault;
use crate::jobs::repository::JobRow;
use crate::{Kernel, KernelTables};

impl Kernel {
    /// The newest jobs, of one state (`pending`, `running`, `dead`) or of all, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_jobs(&self, state: Option<&str>, limit: i64) -> Result<Vec<JobRow>, Fault> {
        Ok(self.store.read().await?.jobs().list(state, limit).await?)
    }

    /// Runs a dead job again. False when no such job is dead.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn retry_job(&self, number: i64) -> Result<bool, Fault> {
        let mut unit = self.store.begin().await?;
        let revived = unit.jobs().revive(number, self.now()).await?;
        unit.commit().await?;
        Ok(revived)
    }

    /// Removes a dead job. False when no such job is dead.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn drop_job(&self, number: i64) -> Result<bool, Fault> {
        let mut unit = self.store.begin().await?;
        let buried = unit.jobs().bury(number).await?;
        unit.commit().await?;
        Ok(buried)
    }
}

//! The last uses of personal access tokens are written now and then, all in one unit of work.

use std::time::Duration;

use futures_util::FutureExt;

use crate::fault::Fault;
use crate::jobs::{Job, Schedule};
use crate::{Kernel, KernelTables};

/// The job's name.
const NAME: &str = "token uses";
/// How often.
const EVERY: Duration = Duration::from_secs(15);

impl Kernel {
    /// Writes when tokens were last used on this node. What a crash loses is the uses of the last moments.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn write_token_uses(&self) -> Result<(), Fault> {
        let uses = self.memory.token_uses.take();
        if uses.is_empty() {
            return Ok(());
        }
        let mut unit = self.store.begin().await?;
        for (token, at) in uses {
            unit.access_tokens().used(token, at).await?;
        }
        Ok(unit.commit().await?)
    }
}

/// A job of each node.
pub(crate) const JOB: Job<Kernel> = Job {
    schedule: Some(Schedule::Node { every: EVERY, at_start: false }),
    ..Job::new(NAME, |kernel, _| async move { Ok(kernel.write_token_uses().await?) }.boxed())
};

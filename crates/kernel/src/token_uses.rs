//! The last uses of personal access tokens are written now and then, a few in each unit of work.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_domain::Timestamp;
use tidegate_domain::id::AccessTokenId;

use crate::fault::Fault;
use crate::jobs::{Job, Schedule};
use crate::{Kernel, KernelTables};

/// The job's name.
const NAME: &str = "token uses";
/// How often.
const EVERY: Duration = Duration::from_secs(15);
/// Most that one unit of work writes: others wait for it.
const AT_ONCE: usize = 64;

impl Kernel {
    /// Writes when tokens were last used on this node. What a crash loses is the uses of the last moments.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn write_token_uses(&self) -> Result<(), Fault> {
        let uses = self.memory.token_uses.take();
        let mut failed = None;
        for some in uses.chunks(AT_ONCE) {
            if let Err(fault) = self.write_some_uses(some).await {
                // The next run writes them.
                some.iter().for_each(|(token, at)| self.memory.token_uses.note(*token, *at));
                failed = Some(fault);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn write_some_uses(&self, uses: &[(AccessTokenId, Timestamp)]) -> Result<(), Fault> {
        let mut unit = self.store.begin().await?;
        for (token, at) in uses {
            unit.access_tokens().used(*token, *at).await?;
        }
        Ok(unit.commit().await?)
    }
}

/// A job of each node.
pub(crate) const JOB: Job<Kernel> = Job {
    schedule: Some(Schedule::Node { every: EVERY, at_start: false }),
    ..Job::new(NAME, |kernel, _| async move { Ok(kernel.write_token_uses().await?) }.boxed())
};

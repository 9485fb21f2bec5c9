//! A node says again and again which executions it runs, how far they are, and what a model explains of an answer that it is writing; and
//! learns which were called off elsewhere.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::Fault;
use tidegate_kernel::jobs::{Job, Schedule};

use super::live::Drafted;
use super::repository::Progress;
use super::start::LEASE;
use crate::{PromptTables, Prompts};

/// The job's name.
pub(crate) const NAME: &str = "prompt leases";
/// How often: a cancelled execution ends on its node so much later at most.
const EVERY: Duration = Duration::from_secs(2);

pub(crate) const JOB: Job<Prompts> = Job {
    schedule: Some(Schedule::Node { every: EVERY, at_start: false }),
    ..Job::new(NAME, |prompts, _| async move { Ok(prompts.renew_leases().await?) }.boxed())
};

impl Prompts {
    /// Renews what this node holds: all that can be, whatever becomes of one.
    ///
    /// # Errors
    /// The last one of the store.
    pub async fn renew_leases(&self) -> Result<(), Fault> {
        let mut result = Ok(());
        for (number, progress, draft) in self.live.all() {
            match self.renew_lease(number, progress, &draft).await {
                Ok(true) => {}
                Ok(false) => self.live.cancel(number),
                Err(fault) => result = Err(fault),
            }
        }
        result
    }

    /// False when it is over.
    async fn renew_lease(&self, number: i64, progress: Progress, draft: &Drafted) -> Result<bool, Fault> {
        let until = self.kernel.now().plus(LEASE);
        let mut unit = self.kernel.store.begin().await?;
        let is_held = unit.prompt_executions().renew(number, progress, draft, until).await?;
        unit.commit().await?;
        Ok(is_held)
    }
}

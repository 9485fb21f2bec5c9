//! Executions whose node is gone are failed ones, with that as their reason.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::Fault;
use tidegate_kernel::jobs::{Job, RetryPolicy, Schedule};

use super::execution::ExecutionStatus;
use crate::{PromptTables, Prompts};

/// The job's name.
pub(crate) const NAME: &str = "lost prompts";
/// How often.
const EVERY: Duration = Duration::from_secs(5);
/// Executions of one run.
const AT_ONCE: i64 = 50;
/// Why they failed.
const WHY: (&str, &str) = ("interrupted", "The server stopped while it ran. Run it again.");

pub(crate) const JOB: Job<Prompts> = Job {
    schedule: Some(Schedule::Installation { every: EVERY, jitter: Duration::ZERO, at_start: true }),
    retry: RetryPolicy { max_attempts: u32::MAX, first_delay: EVERY, factor: 1, max_delay: EVERY },
    at_once: 1,
    wanted: Some(|prompts| async move { prompts.is_anything_lost().await }.boxed()),
    ..Job::new(NAME, |prompts, _| async move { Ok(prompts.fail_lost().await?) }.boxed())
};

impl Prompts {
    async fn is_anything_lost(&self) -> Result<bool, Fault> {
        let mut unit = self.kernel.store.read().await?;
        Ok(!unit.prompt_executions().lost(self.kernel.now(), 1).await?.is_empty())
    }

    async fn fail_lost(&self) -> Result<(), Fault> {
        let now = self.kernel.now();
        let lost = self.kernel.store.read().await?.prompt_executions().lost(now, AT_ONCE).await?;
        for (number, person) in lost {
            // One by one: two units that write sums of several people in different orders would wait for each other.
            let mut unit = self.kernel.store.begin().await?;
            if !unit.prompt_executions().is_lost(number, now).await? {
                continue;
            }
            let Some(found) = unit.prompt_executions().own(person, number).await? else { continue };
            if !unit.prompt_executions().stop(number, ExecutionStatus::Failed, WHY, now).await? {
                continue;
            }
            let run = self.stopped(&found, person, ExecutionStatus::Failed, now);
            unit.prompt_usage().add(&run).await?;
            if let Some(prompt) = found.prompt {
                unit.prompts().end(prompt, number, ExecutionStatus::Failed, run.total_ms).await?;
            }
            unit.commit().await?;
        }
        Ok(())
    }
}

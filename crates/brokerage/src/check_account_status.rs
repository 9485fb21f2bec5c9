//! Asks the broker for the status of accounts that are due for a check: a scheduled job of the installation.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::Fault;
use tidegate_kernel::jobs::{Job, JobError, RetryPolicy, Schedule};

use crate::{Brokerage, BrokerageTables};

/// The job's name.
pub const NAME: &str = "brokerage standings";
/// How often due accounts are looked for.
const EVERY: Duration = Duration::from_secs(2);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(crate) const JOB: Job<Brokerage> = Job {
    schedule: Some(Schedule::Installation { every: EVERY, jitter: Duration::ZERO, at_start: true }),
    retry: RetryPolicy { max_attempts: u32::MAX, first_delay: EVERY, factor: 2, max_delay: LONGEST_WAIT },
    // However many there are: each call of the broker has its own limit.
    limit: None,
    wanted: Some(|brokerage| async move { brokerage.is_check_due().await }.boxed()),
    ..Job::new(NAME, |brokerage, run| {
        async move {
            // Stops between two batches when the node stops.
            while brokerage.check_brokerage().await? > 0 {
                if run.stopping().now_or_never().is_some() {
                    return Err(JobError::Stopped);
                }
            }
            Ok(())
        }
        .boxed()
    })
};

impl Brokerage {
    /// Whether a check is due.
    pub(crate) async fn is_check_due(&self) -> Result<bool, Fault> {
        let due = self.kernel.store.read().await?.brokerage().next_check(self.broker.name()).await?;
        Ok(due.is_some_and(|due| due <= self.kernel.now()))
    }
}

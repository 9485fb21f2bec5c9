//! What a node exchanges with the others, as a job of each node.

use std::time::Duration;

use futures_util::FutureExt;

use crate::Kernel;
use crate::jobs::{Job, JobError, Schedule};

/// The job's name.
pub(crate) const NAME: &str = "exchange";

/// Exchanges request counts every second, and notices new signing keys: at once where another node made them, within a
/// second where a command beside this process did.
pub(crate) const JOB: Job<Kernel> = Job {
    schedule: Some(Schedule::Node { every: Duration::from_secs(1), at_start: false }),
    woken: Some(|kernel| async move { kernel.memory.keys.notified().await }.boxed()),
    ..Job::new(NAME, |kernel, _| {
        async move {
            let (keys, meters) = (kernel.reload_signing_keys().await, kernel.exchange_meters().await);
            keys.map_err(|fault| JobError::Again(format!("the signing keys could not be read: {fault}")))?;
            meters.map_err(|fault| JobError::Again(format!("request counts could not be exchanged: {fault}")))
        }
        .boxed()
    })
};

//! Jobs as the runner sees them: of any feature.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tidegate_delivery::RetryPolicy;
use tokio::sync::Semaphore;

use crate::fault::Fault;
use crate::jobs::job::{Job, JobError, JobRun, Later, Schedule};

type Run = Arc<dyn Fn(JobRun) -> Later<Result<(), JobError>> + Send + Sync>;
type Wanted = Arc<dyn Fn() -> Later<Result<bool, Fault>> + Send + Sync>;
type Woken = Arc<dyn Fn() -> Later<()> + Send + Sync>;

/// A job with the feature it is of.
#[derive(Clone)]
pub(crate) struct RegisteredJob {
    pub(crate) name: &'static str,
    pub(crate) retry: RetryPolicy,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) lease: Duration,
    pub(crate) limit: Option<Duration>,
    /// How many more may run on this node.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) wanted: Option<Wanted>,
    pub(crate) woken: Option<Woken>,
    pub(crate) run: Run,
}

impl RegisteredJob {
    /// Ties a job to its feature. Features hold the kernel, so the kernel does not keep them alive.
    pub(crate) fn new<F: Send + Sync + 'static>(feature: &Arc<F>, job: Job<F>) -> Self {
        let feature: Weak<F> = Arc::downgrade(feature);
        let (wanting, waking) = (feature.clone(), feature.clone());
        let wanted = job.wanted.map(|wanted| -> Wanted {
            Arc::new(move || match wanting.upgrade() {
                Some(feature) => wanted(feature),
                None => std::future::ready(Ok(false)).boxed(),
            })
        });
        let woken = job.woken.map(|woken| -> Woken {
            Arc::new(move || match waking.upgrade() {
                Some(feature) => woken(feature),
                None => std::future::pending().boxed(),
            })
        });
        let run = job.run;
        Self {
            name: job.name,
            retry: job.retry,
            schedule: job.schedule,
            lease: job.lease,
            limit: job.limit,
            room: Arc::new(Semaphore::new(job.at_once)),
            wanted,
            woken,
            run: Arc::new(move |of| match feature.upgrade() {
                Some(feature) => run(feature, of),
                None => std::future::ready(Err(JobError::Stopped)).boxed(),
            }),
        }
    }

    /// The longest time from now to the next run of its schedule, or to another attempt where the last one failed.
    pub(crate) fn longest_wait(&self, failed: bool) -> Duration {
        match self.schedule {
            Some(Schedule::Installation { every, jitter, .. }) if !failed => every + jitter,
            _ => self.retry.max_delay,
        }
    }

    /// Whether it has a row of its own, which is always there.
    pub(crate) const fn is_scheduled(&self) -> bool {
        matches!(self.schedule, Some(Schedule::Installation { .. }))
    }

    /// Whether it has rows at all.
    pub(crate) const fn has_rows(&self) -> bool {
        !matches!(self.schedule, Some(Schedule::Node { .. }))
    }
}

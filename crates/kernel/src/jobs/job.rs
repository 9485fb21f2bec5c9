//! What a job is.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tidegate_database::Unit;
use tidegate_delivery::RetryPolicy;
use tidegate_domain::{Clock, Timestamp};
use tokio::sync::watch;
use uuid::Uuid;

use crate::fault::Fault;
use crate::jobs::attempt::AttemptError;
use crate::jobs::claim::Claim;
use crate::jobs::repository::Jobs;

/// How long a node holds a job. The runner renews it while the job runs, so it is the time after which another node takes
/// the job of a node that died.
const LEASE: Duration = Duration::from_secs(30);

/// What is answered, once it is known.
pub(crate) type Later<T> = BoxFuture<'static, T>;

/// Reads whether there is anything to do.
pub(crate) type Probe<F> = fn(Arc<F>) -> Later<Result<bool, Fault>>;

/// A kind of background work of a feature `F`.
pub struct Job<F> {
    /// Its name in the table, in metrics, in the log and on the command line. Never changes later.
    pub name: &'static str,
    /// When a failed attempt is repeated, and after how many the job is dead. A scheduled job never is.
    pub retry: RetryPolicy,
    /// When it runs without being enqueued.
    pub schedule: Option<Schedule>,
    /// How long a claim holds without being renewed.
    pub lease: Duration,
    /// The longest time for one attempt; none for a job that goes on until the node stops.
    pub limit: Option<Duration>,
    /// How many of it run at a time on a node.
    pub at_once: usize,
    /// Reads whether there is anything to do, before a due job is claimed: a claim costs a write.
    pub wanted: Option<Probe<F>>,
    /// Ends the pause of a job that runs on each node, before its time.
    pub woken: Option<fn(Arc<F>) -> Later<()>>,
    /// Does it. It may run twice: when its node dies, or a lease runs out.
    pub run: fn(Arc<F>, JobRun) -> Later<Result<(), JobError>>,
}

/// When a job runs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Once in every interval in the whole installation, on one of its nodes: it has one row, claimed by lease.
    Installation {
        /// From the end of one run to the next.
        every: Duration,
        /// At most so much is added, at random.
        jitter: Duration,
        /// Whether a new installation runs it at once.
        at_start: bool,
    },
    /// On each node, without a row.
    Node {
        /// From the end of one run to the next.
        every: Duration,
        /// Whether it runs at once when the node starts.
        at_start: bool,
    },
}

impl<F> Job<F> {
    /// A job that is enqueued, with the usual retries: ten within three quarters of an hour.
    pub const fn new(name: &'static str, run: fn(Arc<F>, JobRun) -> Later<Result<(), JobError>>) -> Self {
        Self {
            name,
            retry: RetryPolicy {
                max_attempts: 10,
                first_delay: Duration::from_secs(5),
                factor: 2,
                max_delay: Duration::from_secs(3_600),
            },
            schedule: None,
            lease: LEASE,
            limit: Some(Duration::from_secs(600)),
            at_once: 4,
            wanted: None,
            woken: None,
            run,
        }
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// It is tried again, as its retry policy says.
    #[error("{0}")]
    Again(String),
    /// Trying again cannot help: the job is dead.
    #[error("{0}")]
    Never(String),
    /// It stopped because its node stops: no failure. Another node goes on with it at once.
    #[error("its node stopped")]
    Stopped,
}

impl From<Fault> for JobError {
    fn from(fault: Fault) -> Self {
        Self::Again(fault.to_string())
    }
}

impl AttemptError for JobError {
    fn is_stop(&self) -> bool {
        *self == Self::Stopped
    }
}

/// One attempt at a job.
pub struct JobRun {
    /// What it was enqueued with; `null` for a scheduled one.
    pub payload: Value,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    pub(crate) row: Option<Held>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stopping: watch::Receiver<bool>,
}

/// A claimed row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) id: Uuid,
    pub(crate) claim: Claim,
    pub(crate) lease: Duration,
}

impl Held {
    /// Holds it for another lease. False when another worker has taken it.
    pub(crate) async fn renew(self, unit: &mut Unit, now: Timestamp) -> Result<bool, Fault> {
        Ok(Jobs(unit).renew(self.id, self.claim, now.plus(self.lease)).await?)
    }
}

impl JobRun {
    /// The next attempt at a job without a row.
    pub(crate) fn again(&self) -> Self {
        let (clock, stopping) = (Arc::clone(&self.clock), self.stopping.clone());
        Self { payload: Value::Null, attempt: self.attempt, row: self.row, clock, stopping }
    }

    /// Makes what `unit` writes depend on this attempt still holding the job. False when another worker has taken it:
    /// then nothing of the unit may be committed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn renew(&self, unit: &mut Unit) -> Result<bool, Fault> {
        match self.row {
            Some(held) => held.renew(unit, self.clock.now()).await,
            None => Ok(true),
        }
    }

    /// Ends when the node is about to stop: what runs long returns then.
    pub async fn stopping(&self) {
        stopped(&mut self.stopping.clone()).await;
    }
}

/// Ends when the node is about to stop.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A sender that is gone has stopped, too.
    drop(stopping.wait_for(|stop| *stop).await);
}

//! One attempt at a claimed job, from its payload to its settlement.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tidegate_domain::{Entropy, Timestamp};
use tokio::sync::watch;

use crate::fault::Fault;
use crate::jobs::attempt::{Failure, attempt};
use crate::jobs::enqueue::purpose;
use crate::jobs::job::{Held, JobError, JobRun, Schedule};
use crate::jobs::registry::RegisteredJob;
use crate::jobs::repository::{JobRow, Settlement};
use crate::{Kernel, KernelTables};

/// What came of an attempt at a job.
pub(super) type Outcome = Result<(), Failure<JobError>>;

impl Kernel {
    /// Runs a claimed job, holding its lease meanwhile, and settles it. Answers what came of it; none when another worker
    /// took it.
    pub(super) async fn run_claimed(
        &self,
        job: &RegisteredJob,
        row: JobRow,
        stopping: watch::Receiver<bool>,
    ) -> Result<Option<Outcome>, Fault> {
        let held = Held { id: row.id, claim: row.claim(), lease: job.lease };
        let outcome = match self.payload(&row) {
            // Each attempt ended with its node: a job that brings nodes down must not go on for ever.
            _ if !job.is_scheduled() && row.attempts > i64::from(job.retry.max_attempts) => {
                Err(Failure::Error(JobError::Never("no worker lived to the end of it".to_owned())))
            }
            Err(error) => Err(Failure::Error(error)),
            Ok(payload) => {
                let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
                let clock = Arc::clone(&self.clock);
                let run = JobRun { payload, attempt: attempts, row: Some(held), clock, stopping };
                let running = async { (job.run)(run).await };
                tokio::select! {
                    outcome = attempt(job.name, job.limit, running) => outcome,
                    () = self.hold(held) => {
                        tracing::warn!(job = job.name, number = row.number, "another worker has taken a job; it is stopped here");
                        return Ok(None);
                    }
                }
            }
        };
        self.settle_job(job, &row, &outcome).await?;
        Ok(Some(outcome))
    }

    /// A key that this node has not been given yet opens it on another, or after the next start.
    fn payload(&self, row: &JobRow) -> Result<Value, JobError> {
        let again = |error: &dyn std::fmt::Display| JobError::Again(format!("its payload: {error}"));
        if !row.sealed {
            return serde_json::from_slice(&row.payload).map_err(|error| again(&error));
        }
        let opened = self.vault.open(&purpose(&row.name, row.id), &row.payload);
        serde_json::from_slice(&opened.map_err(|error| again(&error))?).map_err(|error| again(&error))
    }

    /// Renews a lease for as long as the job is held. Ends when another worker has taken it.
    async fn hold(&self, held: Held) {
        loop {
            tokio::time::sleep(held.lease / 3).await;
            match self.renew_lease(held).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(fault) => {
                    tracing::warn!(error = %fault, "a job's lease could not be renewed; trying again")
                }
            }
        }
    }

    async fn renew_lease(&self, held: Held) -> Result<bool, Fault> {
        let mut unit = self.store.begin().await?;
        let renewed = held.renew(&mut unit, self.now()).await?;
        unit.commit().await?;
        Ok(renewed)
    }

    async fn settle_job(&self, job: &RegisteredJob, row: &JobRow, outcome: &Outcome) -> Result<(), Fault> {
        let (name, number, now) = (job.name, row.number, self.now());
        let error = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let settlement = self.settlement(job, row, outcome, &error);
        let mut unit = self.store.begin().await?;
        let settled = unit.jobs().settle(row.id, row.claim(), settlement).await?;
        unit.commit().await?;
        match settlement {
            _ if !settled => {
                tracing::warn!(
                    job = name,
                    number,
                    "another worker has taken a job meanwhile; this attempt is not recorded"
                );
            }
            Settlement::Again { at, .. } => {
                let seconds = at.since(now).as_secs();
                tracing::warn!(job = name, number, %error, seconds, "a job failed; it is tried again");
            }
            Settlement::Dead { .. } => {
                tracing::error!(job = name, number, %error, "a job is given up; see `tidegate jobs list --state dead`");
            }
            Settlement::Released { .. } => {
                tracing::info!(job = name, number, "a job stopped with its node; it goes on elsewhere");
            }
            Settlement::Done | Settlement::Next { .. } => {}
        }
        Ok(())
    }

    fn settlement<'e>(
        &self,
        job: &RegisteredJob,
        row: &JobRow,
        outcome: &Outcome,
        error: &'e str,
    ) -> Settlement<'e> {
        let now = self.now();
        let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
        match (outcome, job.schedule) {
            (Ok(()), Some(Schedule::Installation { every, jitter, .. })) => {
                Settlement::Next { at: now.plus(every + self.up_to(jitter)) }
            }
            (Ok(()), _) => Settlement::Done,
            (Err(Failure::Error(JobError::Stopped)), _) => Settlement::Released { at: now },
            (Err(_), Some(_)) => {
                let delay = job.retry.next(attempts).unwrap_or(job.retry.max_delay);
                Settlement::Again { at: now.plus(delay), error }
            }
            (Err(Failure::Error(JobError::Never(_))), None) => Settlement::Dead { at: now, error },
            (Err(_), None) => match job.retry.next(attempts) {
                Some(delay) => Settlement::Again { at: now.plus(delay), error },
                None => Settlement::Dead { at: now, error },
            },
        }
    }

    /// At most that long, at random: nodes and installations do not all act at once.
    fn up_to(&self, jitter: Duration) -> Duration {
        let entropy: &dyn Entropy = self.entropy.as_ref();
        let millis = u32::try_from(jitter.as_millis()).unwrap_or(u32::MAX);
        Duration::from_millis(u64::from(entropy.below(millis.saturating_add(1))))
    }

    /// When a scheduled job runs for the first time in an installation.
    pub(super) fn first_run(&self, schedule: Schedule) -> Timestamp {
        match schedule {
            Schedule::Installation { every, jitter, at_start: false } => {
                self.now().plus(every + self.up_to(jitter))
            }
            Schedule::Installation { .. } | Schedule::Node { .. } => self.now(),
        }
    }
}

//! The table of jobs as work of the runner.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tidegate_domain::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::fault::Fault;
use crate::jobs::registry::RegisteredJob;
use crate::jobs::repository::JobRow;
use crate::jobs::source::{Claimed, Source};
use crate::{Kernel, KernelTables};

/// Jobs that run at a time on a node, of all names.
const AT_ONCE: usize = 16;
/// How far apart the clocks of two nodes may be before one takes the other's lease for too long.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// How often it is looked for jobs that a clock has put off.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Jobs that are brought forward at a time.
const LATE_AT_ONCE: i64 = 100;

/// The jobs that this version knows: those of a newer one wait for a node that does.
pub(super) struct TableSource {
    kernel: Arc<Kernel>,
    jobs: Vec<RegisteredJob>,
    /// When it was last looked for jobs that a clock has put off, in microseconds.
    looked_at: AtomicI64,
}

/// A job to be run, and its place among those that run.
pub(super) struct ClaimedJob {
    pub(super) job: RegisteredJob,
    pub(super) row: JobRow,
    place: OwnedSemaphorePermit,
}

impl TableSource {
    pub(super) const fn new(kernel: Arc<Kernel>, jobs: Vec<RegisteredJob>) -> Self {
        Self { kernel, jobs, looked_at: AtomicI64::new(i64::MIN) }
    }

    /// Adds the rows of scheduled jobs that are not there.
    pub(super) async fn schedule(&self) -> Result<(), Fault> {
        let there = self.kernel.store.read().await?.jobs().scheduled().await?;
        let missing =
            self.jobs.iter().filter(|job| job.is_scheduled() && !there.iter().any(|name| name == job.name));
        for job in missing {
            let Some(schedule) = job.schedule else { continue };
            let row = self.kernel.job(job.name, &Value::Null)?.at(self.kernel.first_run(schedule));
            let mut unit = self.kernel.store.begin().await?;
            unit.jobs().schedule(&row).await?;
            unit.commit().await?;
        }
        Ok(())
    }

    /// Brings forward what a node whose clock was ahead has put off, or holds: by this node's clock, the schedule's next run is at most a
    /// period away, and a lease ends with the time it is given for.
    async fn bring_forward(&self) -> Result<(), Fault> {
        let now = self.kernel.now();
        let looked_at = Timestamp::from_micros(self.looked_at.load(Ordering::Relaxed));
        // This node's clock may be the one that is set right.
        if looked_at <= now && now < looked_at.plus(LOOK_EVERY) {
            return Ok(());
        }
        self.looked_at.store(now.micros(), Ordering::Relaxed);
        let waits = self.jobs.iter().map(|job| job.longest_wait(false).min(job.lease + CLOCK_TOLERANCE));
        let soonest = waits.min();
        let Some(soonest) = soonest else { return Ok(()) };
        let rows = self.kernel.store.read().await?.jobs().beyond(now.plus(soonest), LATE_AT_ONCE).await?;
        let (mut late, mut seen) = (Vec::new(), now);
        for row in rows {
            let Some(job) = self.jobs.iter().find(|job| job.name == row.name) else { continue };
            let (wait, lease) = (job.longest_wait(row.last_error.is_some()), job.lease + CLOCK_TOLERANCE);
            let (run_at, lease_end) = (now.plus(wait), now.plus(lease));
            let put_off = Some(row.run_at()).filter(|at| row.scheduled && *at > run_at);
            let held = Some(row.leased_until()).filter(|until| *until > lease_end);
            if put_off.is_some() || held.is_some() {
                // It was not written later than that.
                let written = put_off.map(|at| at.minus(wait)).max(held.map(|until| until.minus(lease)));
                seen = seen.max(written.unwrap_or(now));
                late.push((row, run_at, lease_end));
            }
        }
        if late.is_empty() {
            return Ok(());
        }
        tell_put_off(late.len(), now, seen);
        let mut unit = self.kernel.store.begin().await?;
        for (row, run_at, lease_end) in &late {
            let run_at = if row.scheduled { *run_at } else { row.run_at() };
            unit.jobs().bring_forward(row, run_at, *lease_end).await?;
        }
        Ok(unit.commit().await?)
    }

    /// Claims what is due and wanted. Reads first: looking costs a reader, claiming a turn at the writer.
    pub(super) async fn claim_jobs(&self, mut room: usize) -> Result<Vec<ClaimedJob>, Fault> {
        self.bring_forward().await?;
        let due = self.kernel.store.read().await?.jobs().due(self.kernel.now()).await?;
        let mut wanted = Vec::new();
        for job in self.jobs.iter().filter(|job| job.has_rows() && due.iter().any(|name| name == job.name)) {
            if job.room.available_permits() > 0 && is_wanted(job).await {
                wanted.push(job);
            }
        }
        let mut claimed = Vec::new();
        if wanted.is_empty() {
            return Ok(claimed);
        }
        let (mut unit, now) = (self.kernel.store.begin().await?, self.kernel.now());
        for job in wanted {
            let mut places = Vec::new();
            while places.len() < room
                && let Ok(place) = Arc::clone(&job.room).try_acquire_owned()
            {
                places.push(place);
            }
            let at_most = i64::try_from(places.len()).unwrap_or(i64::MAX);
            let rows = unit.jobs().claim(job.name, now, job.lease, at_most).await?;
            room = room.saturating_sub(rows.len());
            claimed.extend(rows.into_iter().zip(places).map(|(row, place)| ClaimedJob {
                job: job.clone(),
                row,
                place,
            }));
        }
        unit.commit().await?;
        Ok(claimed)
    }
}

/// Tells once of all jobs that a clock has put off, which was at `seen` at least. Which of the two is right is not known here: of one machine
/// it is more often the one that it has now.
fn tell_put_off(jobs: usize, now: Timestamp, seen: Timestamp) {
    if seen <= now.plus(CLOCK_TOLERANCE) {
        tracing::warn!(jobs, "a node's clock was a little ahead: jobs are brought forward");
        return;
    }
    let (now, seen) = (now.iso_seconds(), seen.iso_seconds());
    tracing::error!(
        jobs,
        "this machine's clock, {now}, is earlier than what the database has seen, {seen}: set it, and keep it with NTP (`timedatectl set-ntp \
         true`). Until then the tokens that are issued here are taken for expired elsewhere. If it is right, it or another node's was \
         ahead before. Jobs that were put off are brought forward"
    );
}

/// One that cannot say keeps nobody else waiting.
async fn is_wanted(job: &RegisteredJob) -> bool {
    let Some(wanted) = &job.wanted else { return true };
    wanted().await.unwrap_or_else(|fault| {
        tracing::warn!(job = job.name, error = %fault, "whether a job has anything to do could not be read");
        false
    })
}

impl Source for TableSource {
    fn name(&self) -> &'static str {
        "jobs"
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), Fault>> {
        self.schedule().boxed()
    }

    fn news(&self) -> BoxFuture<'_, ()> {
        self.kernel.memory.jobs.notified().boxed()
    }

    fn claim<'s>(
        &'s self,
        room: usize,
        stopping: &'s watch::Receiver<bool>,
    ) -> BoxFuture<'s, Result<Claimed, Fault>> {
        async move {
            let work = self.claim_jobs(room).await?.into_iter().map(|ClaimedJob { job, row, place }| {
                let (kernel, stopping) = (Arc::clone(&self.kernel), stopping.clone());
                async move {
                    let ran = kernel.run_claimed(&job, row, stopping).await;
                    drop(place);
                    ran.map(drop)
                }
                .boxed()
            });
            // A job has a room of its own besides.
            Ok(Claimed { work: work.collect(), more: true })
        }
        .boxed()
    }
}

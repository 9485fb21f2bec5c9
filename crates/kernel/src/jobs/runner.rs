//! The one loop behind all background work, with its supervision.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::Value;
use tidegate_database::Repeats;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::Kernel;
use crate::fault::Fault;
use crate::jobs::attempt::{Failure, attempt};
use crate::jobs::job::{JobError, JobRun, Schedule, stopped};
use crate::jobs::outbox_source::OutboxSource;
use crate::jobs::registry::RegisteredJob;
use crate::jobs::source::Source;
use crate::jobs::table_source::TableSource;
use crate::tables::outbox::Channel;

/// How often a source is looked at when nothing says that there is something in it.
const POLL: Duration = Duration::from_secs(1);
/// How long what runs may take to finish once the node stops. What is cut off is run again, once its lease has run out.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Runs the background work of a node.
pub struct Runner {
    kernel: Arc<Kernel>,
    jobs: Vec<RegisteredJob>,
    delivers: bool,
}

impl Runner {
    /// All of it: every registered job, and the outbox.
    pub fn new(kernel: &Arc<Kernel>) -> Self {
        Self { kernel: Arc::clone(kernel), jobs: kernel.jobs(), delivers: true }
    }

    /// The jobs of these names only.
    pub fn only(kernel: &Arc<Kernel>, names: &[&str]) -> Self {
        let jobs = kernel.jobs().into_iter().filter(|job| names.contains(&job.name)).collect();
        Self { kernel: Arc::clone(kernel), jobs, delivers: false }
    }

    /// Runs until `stop`, then claims nothing more and lets what runs finish, for ten seconds at most. Dropped, it stops at
    /// once.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (tell, stopping) = watch::channel(false);
        let mut lanes = JoinSet::new();
        for source in self.sources() {
            lanes.spawn(work_through(source, stopping.clone()));
        }
        for job in self.jobs {
            if let Some(Schedule::Node { every, at_start }) = job.schedule {
                let clock = Arc::clone(&self.kernel.clock);
                let run =
                    JobRun { payload: Value::Null, attempt: 1, row: None, clock, stopping: stopping.clone() };
                lanes.spawn(repeat(job, every, at_start, run));
            }
        }
        stop.await;
        tell.send_replace(true);
        let finishing = async { while lanes.join_next().await.is_some() {} };
        if timeout(STOP_WITHIN, finishing).await.is_err() {
            tracing::warn!(
                "some background work did not finish in time and was cut off; it is run again later"
            );
            lanes.shutdown().await;
        }
    }

    fn sources(&self) -> Vec<Arc<dyn Source>> {
        let kernel = || Arc::clone(&self.kernel);
        let mut sources: Vec<Arc<dyn Source>> = vec![Arc::new(TableSource::new(kernel(), self.jobs.clone()))];
        if self.delivers {
            for channel in Channel::ALL {
                sources.push(Arc::new(OutboxSource { kernel: kernel(), channel }));
            }
        }
        sources
    }
}

impl Kernel {
    /// Runs once what is due of the job of that name, at most as many as run at a time; answers what came of each, in
    /// words where it failed. None are due while another node runs them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn run_job(self: &Arc<Self>, name: &str) -> Result<Vec<Result<(), String>>, Fault> {
        let Runner { kernel, jobs, .. } = Runner::only(self, &[name]);
        let source = TableSource::new(kernel, jobs);
        source.schedule().await?;
        let (_tell, stopping) = watch::channel(false);
        let claimed = source.claim_jobs(usize::MAX).await?;
        let runs = claimed.into_iter().map(|claimed| {
            let stopping = stopping.clone();
            async move { self.run_claimed(&claimed.job, claimed.row, stopping).await }
        });
        let outcomes: Vec<_> = join_all(runs).await.into_iter().collect::<Result<_, _>>()?;
        Ok(outcomes
            .into_iter()
            .flatten()
            .map(|outcome| outcome.map_err(|failure| failure.to_string()))
            .collect())
    }
}

/// Works a source through until the node stops. Starts again after a panic, which is a defect.
async fn work_through(source: Arc<dyn Source>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let lane = AssertUnwindSafe(lane(source.as_ref(), stopping.clone())).catch_unwind();
        if lane.await.is_err() {
            tracing::error!(source = source.name(), "background work panicked and is restarted");
            pause(POLL, &mut stopping).await;
        }
    }
}

/// Claims and runs what comes until the node stops, then finishes what runs.
async fn lane(source: &dyn Source, mut stopping: watch::Receiver<bool>) {
    let failures = Repeats::default();
    while let Err(fault) = source.prepare().await {
        unread(source, &fault, &failures);
        pause(POLL, &mut stopping).await;
        if *stopping.borrow() {
            return;
        }
    }
    let mut running = JoinSet::new();
    let (mut should_claim, mut more) = (true, false);
    while !*stopping.borrow() {
        while let Some(ended) = running.try_join_next() {
            note(source, ended);
            should_claim |= more;
        }
        let room = source.at_once().saturating_sub(running.len());
        let mut is_read = true;
        if room > 0 && std::mem::take(&mut should_claim) {
            match source.claim(room, &stopping).await {
                Ok(claimed) => {
                    if failures.succeeded() > 0 {
                        tracing::info!(source = source.name(), "background work is read again");
                    }
                    more = claimed.more;
                    should_claim = more && !claimed.work.is_empty();
                    claimed.work.into_iter().for_each(|one| {
                        running.spawn(one);
                    });
                }
                Err(fault) => {
                    is_read = false;
                    unread(source, &fault, &failures);
                }
            }
            if should_claim {
                continue;
            }
        }
        tokio::select! {
            () = source.news(), if room > 0 && is_read => should_claim = true,
            // One that ended leaves room for what there was none for.
            Some(ended) = running.join_next(), if !running.is_empty() => {
                note(source, ended);
                should_claim = more;
            }
            () = sleep(POLL) => should_claim = true,
            () = stopped(&mut stopping) => {}
        }
    }
    while let Some(ended) = running.join_next().await {
        note(source, ended);
    }
}

/// Runs a job of this node again and again.
async fn repeat(job: RegisteredJob, every: Duration, at_start: bool, run: JobRun) {
    let mut stopping = run.stopping.clone();
    let mut is_due = at_start;
    let failures = Repeats::default();
    loop {
        if !is_due {
            let woken = async {
                match &job.woken {
                    Some(woken) => woken().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep(every) => {}
                () = woken => {}
                () = stopped(&mut stopping) => {}
            }
        }
        if *stopping.borrow() {
            return;
        }
        is_due = false;
        match attempt(job.name, job.limit, async { (job.run)(run.again()).await }).await {
            Ok(()) => {
                failures.succeeded();
            }
            Err(Failure::Error(JobError::Stopped)) => {}
            Err(failure) => {
                if let Some(times) = failures.failed() {
                    tracing::warn!(job = job.name, error = %failure, times, "a job failed; it is tried again");
                }
            }
        }
    }
}

async fn pause(time: Duration, stopping: &mut watch::Receiver<bool>) {
    drop(timeout(time, stopped(stopping)).await);
}

fn unread(source: &dyn Source, fault: &Fault, failures: &Repeats) {
    if let Some(times) = failures.failed() {
        let source = source.name();
        tracing::error!(source, error = %fault, times, "background work could not be read; trying again");
    }
}

/// What could not be recorded is done again, once its lease has run out.
fn note(source: &dyn Source, ended: Result<Result<(), Fault>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => {
            tracing::error!(source = source.name(), error = %fault, "the outcome of background work could not be recorded");
        }
        Err(error) => {
            tracing::error!(source = source.name(), %error, "background work ended before it was settled")
        }
    }
}

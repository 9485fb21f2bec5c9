//! A feature with jobs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use tidegate_kernel::jobs::repository::JobRow;
use tidegate_kernel::jobs::{Job, JobError, JobRun, NewJob, RetryPolicy, Schedule};
use tidegate_kernel::{Kernel, KernelTables};
use tidegate_testkit::{Engine, Fixture, Node, TestApp, eventually};
use tokio::sync::Semaphore;

/// What a job is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Succeed,
    Fail,
    FailForGood,
    Stop,
    Panic,
}

/// A feature of one node.
pub(crate) struct Shop {
    pub(crate) kernel: Arc<Kernel>,
    next: Mutex<Next>,
    /// The payloads of finished attempts.
    ran: Mutex<Vec<Value>>,
    begun: AtomicUsize,
    /// How often a unit of work was found not to be its job's any more.
    lost: AtomicUsize,
    stopped: AtomicUsize,
    wanted: AtomicBool,
    /// Each waiting job needs a permit to go on.
    gate: Semaphore,
}

pub(crate) const PACK: &str = "pack";
pub(crate) const WAIT: &str = "wait";
pub(crate) const HOLD: &str = "hold";
pub(crate) const SWEEP: &str = "sweep";
pub(crate) const TICK: &str = "tick";

/// Tried three times: after 10 s and 20 s.
const RETRY: RetryPolicy = RetryPolicy {
    max_attempts: 3,
    first_delay: Duration::from_secs(10),
    factor: 2,
    max_delay: Duration::from_secs(3_600),
};

const PACK_JOB: Job<Shop> =
    Job { retry: RETRY, ..Job::new(PACK, |shop, run| async move { shop.run(run).await }.boxed()) };

/// Waits at the gate.
const WAIT_JOB: Job<Shop> =
    Job { retry: RETRY, ..Job::new(WAIT, |shop, run| async move { shop.wait(run).await }.boxed()) };

/// Waits at the gate with a lease that is renewed every few milliseconds.
const HOLD_JOB: Job<Shop> =
    Job { lease: HOLD_LEASE, ..Job::new(HOLD, |shop, run| async move { shop.hold(run).await }.boxed()) };

pub(crate) const HOLD_LEASE: Duration = Duration::from_millis(30);

/// Counts what is stopped before its end.
struct Stopped<'s>(&'s AtomicUsize);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

const SWEEP_JOB: Job<Shop> = Job {
    retry: RETRY,
    schedule: Some(Schedule::Installation {
        every: Duration::from_secs(60),
        jitter: Duration::from_secs(5),
        at_start: true,
    }),
    wanted: Some(|shop| std::future::ready(Ok(shop.wanted.load(Ordering::SeqCst))).boxed()),
    ..Job::new(SWEEP, |shop, run| async move { shop.run(run).await }.boxed())
};

const TICK_JOB: Job<Shop> = Job {
    schedule: Some(Schedule::Node { every: Duration::from_millis(1), at_start: true }),
    ..Job::new(TICK, |shop, run| async move { shop.run(run).await }.boxed())
};

impl Shop {
    /// A feature on a kernel, its jobs registered.
    pub(crate) fn open(kernel: &Arc<Kernel>) -> Arc<Self> {
        let shop = Arc::new(Self {
            kernel: Arc::clone(kernel),
            next: Mutex::new(Next::Succeed),
            ran: Mutex::default(),
            begun: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            stopped: AtomicUsize::new(0),
            wanted: AtomicBool::new(true),
            gate: Semaphore::new(0),
        });
        for job in [PACK_JOB, WAIT_JOB, HOLD_JOB, SWEEP_JOB, TICK_JOB] {
            kernel.register_job(&shop, job);
        }
        shop
    }

    async fn run(&self, run: JobRun) -> Result<(), JobError> {
        let next = *self.next.lock().unwrap();
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.ran.lock().unwrap().push(run.payload);
        match next {
            Next::Succeed => Ok(()),
            Next::Fail => Err(JobError::Again("no boxes".to_owned())),
            Next::FailForGood => Err(JobError::Never("no such shop".to_owned())),
            Next::Stop => Err(JobError::Stopped),
            Next::Panic => panic!("the shelf broke"),
        }
    }

    async fn wait(&self, run: JobRun) -> Result<(), JobError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        let mut unit = self.kernel.store.begin().await.unwrap();
        if !run.renew(&mut unit).await? {
            self.lost.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        unit.commit().await.unwrap();
        self.ran.lock().unwrap().push(run.payload);
        Ok(())
    }

    async fn hold(&self, _: JobRun) -> Result<(), JobError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let stopped = Stopped(&self.stopped);
        self.gate.acquire().await.unwrap().forget();
        std::mem::forget(stopped);
        Ok(())
    }

    pub(crate) fn stopped(&self) -> usize {
        self.stopped.load(Ordering::SeqCst)
    }

    pub(crate) fn next(&self, next: Next) {
        *self.next.lock().unwrap() = next;
    }

    pub(crate) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::SeqCst);
    }

    pub(crate) fn ran(&self) -> Vec<Value> {
        self.ran.lock().unwrap().clone()
    }

    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }

    pub(crate) fn open_gate(&self) {
        self.gate.add_permits(1);
    }

    pub(crate) async fn begins(&self, count: usize) {
        eventually("the job begins", || {
            std::future::ready((self.begun.load(Ordering::SeqCst) >= count).then_some(()))
        })
        .await;
    }

    /// Enqueues a job of that payload.
    pub(crate) async fn enqueue(&self, name: &'static str, payload: Value) {
        self.add(&self.kernel.job(name, &payload).unwrap()).await;
    }

    /// Enqueues a job, committed; answers the number of the one that waits.
    pub(crate) async fn add(&self, job: &NewJob) -> i64 {
        let mut unit = self.kernel.store.begin().await.unwrap();
        let number = unit.jobs().enqueue(job).await.unwrap();
        unit.commit().await.unwrap();
        number
    }

    /// Runs what is due of a job; answers what came of it.
    pub(crate) async fn work(&self, name: &str) -> Vec<Result<(), String>> {
        self.kernel.run_job(name).await.unwrap()
    }

    /// The jobs in the table, of all names but the schedules' of other features.
    pub(crate) async fn rows(&self) -> Vec<JobRow> {
        let mut rows = self.kernel.list_jobs(None, 1_000).await.unwrap();
        rows.retain(|row| [PACK, WAIT, HOLD, SWEEP].contains(&row.name.as_str()));
        rows
    }

    /// The one row there is.
    pub(crate) async fn row(&self) -> JobRow {
        let mut rows = self.rows().await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }
}

/// An application with a shop.
pub(crate) struct Story {
    pub(crate) app: TestApp,
    pub(crate) shop: Arc<Shop>,
}

impl Fixture for Story {
    async fn prepare(engine: Engine) -> Self {
        let app = TestApp::start(engine).await;
        let shop = Shop::open(app.kernel());
        Self { app, shop }
    }
}

impl Story {
    pub(crate) fn advance(&self, seconds: u64) {
        self.app.advance(Duration::from_secs(seconds));
    }

    /// The clock of a node that was ahead is set right.
    pub(crate) fn rewind(&self, seconds: u64) {
        self.app.clock.set(self.app.now().minus(Duration::from_secs(seconds)));
    }

    /// Another node, with its own shop. The node must be kept.
    pub(crate) async fn another(&self) -> (Node, Arc<Shop>) {
        let node = self.app.another_node().await;
        let shop = Shop::open(&node.kernel);
        (node, shop)
    }
}

//! The threads that hash passwords.

mod queue;
mod successes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_domain::account::AccountKind;
use tidegate_domain::{Entropy, Password, Timestamp};
use tokio::sync::oneshot;

use self::queue::{FairQueue, Lane};
use self::successes::RecentSuccesses;
use crate::password::{Decoys, Effort, SchemeCount};
use crate::{PasswordError, PasswordHasher, Verification};

/// Hashes passwords on threads of its own, as a hash keeps a core busy for a quarter of a second.
///
/// The threads run at a lower priority than the ones that answer requests. The queue is bounded and shared among those
/// who ask: each network, and each acting account, has a turn before any has a second, and a full queue drops the newest
/// job of the one with the most. Networks with a recent successful sign-in go first, three turns in four. Dropping the
/// pool ends its threads.
pub struct HashPool {
    shared: Arc<Shared>,
    threads: usize,
}

/// How much a pool takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Hashes computed at once.
    pub threads: usize,
    /// Hashes waiting.
    pub queue: usize,
}

/// On whose behalf a password is hashed. Both keys are keyed hashes: the pool compares them and learns no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The client's network.
    pub network: [u8; 32],
    /// The account that acts, where a request has one.
    pub account: Option<[u8; 32]>,
    /// Now.
    pub at: Timestamp,
}

/// What a password is verified against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPassword {
    /// The stored hash. None for a name without an account, and for an account without a password.
    pub hash: Option<String>,
    /// What kind of account has such a name.
    pub kind: AccountKind,
    /// A keyed hash of the name, the same at every attempt: it chooses the decoy where there is no hash to verify.
    pub name: [u8; 32],
}

/// Why a password was not hashed or verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The queue is full.
    #[error("too many passwords to hash, come back in {retry_after_seconds} s")]
    Busy {
        /// When the present queue should be done.
        retry_after_seconds: u64,
    },
    /// The stored hash cannot be checked: an operator has to look at it. The client sees a mismatch.
    #[error(transparent)]
    Unreadable(PasswordError),
    /// The hash function failed.
    #[error("a password could not be hashed")]
    Internal,
}

/// What the threads and those who ask share.
struct Shared {
    hasher: PasswordHasher,
    state: Mutex<State>,
    /// A job was added, or the pool is being dropped.
    changed: Condvar,
    pace: Pace,
    decoys: Mutex<Arc<Decoys>>,
    /// Verifications done, by what they cost.
    verified: Mutex<BTreeMap<String, u64>>,
}

struct State {
    queue: FairQueue<Box<dyn Job>>,
    successes: RecentSuccesses,
    is_closed: bool,
}

/// Something to be hashed or verified.
trait Job: Send {
    /// Whether its answer is waited for: the client may have gone away, or the deadline passed.
    fn is_wanted(&self) -> bool;
    /// Does it, and says whether there was anything left to do.
    fn run(self: Box<Self>, shared: &Shared, entropy: &dyn Entropy) -> bool;
    /// Answers that it is not done.
    fn refuse(self: Box<Self>, why: HashError);
}

/// A job and where its answer goes.
struct PendingWork<T, W> {
    reply: oneshot::Sender<Result<T, HashError>>,
    work: W,
}

/// The moving average of the time a hash takes, in microseconds.
#[derive(Debug)]
struct Pace(AtomicU64);

/// How much nicer than others a thread is: they go first when cores are scarce.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;
const LONGEST_RETRY_SECONDS: u64 = 60;

impl Default for PoolSize {
    /// A thread per core, and as many hashes waiting as they do in about four seconds.
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { threads, queue: threads * 16 }
    }
}

impl Requester {
    /// Its keys.
    fn parties(&self) -> impl Iterator<Item = [u8; 32]> + use<> {
        std::iter::once(self.network).chain(self.account)
    }
}

impl HashPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(hasher: PasswordHasher, entropy: Arc<dyn Entropy>, size: PoolSize) -> io::Result<Self> {
        let threads = size.threads.max(1);
        let shared = Arc::new(Shared::new(hasher, size.queue));
        // Before the threads are started: when one is not, those that are must end.
        let pool = Self { shared, threads };
        for number in 0..threads {
            let (shared, entropy) = (Arc::clone(&pool.shared), Arc::clone(&entropy));
            thread::Builder::new()
                .name(format!("password-hash-{number}"))
                .spawn(move || work(&shared, &*entropy))?;
        }
        Ok(pool)
    }

    /// Hashes a password for storage.
    ///
    /// # Errors
    /// [`HashError::Busy`] when the queue is full and this job is the one dropped, at once or later;
    /// [`HashError::Internal`].
    pub async fn hash(&self, requester: Requester, password: Password) -> Result<String, HashError> {
        self.submit(requester, move |shared: &Shared, entropy: &dyn Entropy| {
            shared.hasher.hash(&password, entropy)
        })
        .await
    }

    /// Checks a password against its stored hash. Where there is none, as much is computed as for one of the hashes that
    /// are stored, and the answer is [`Verification::Mismatch`].
    ///
    /// # Errors
    /// [`HashError::Busy`] as above, [`HashError::Unreadable`], [`HashError::Internal`].
    pub async fn verify(
        &self,
        requester: Requester,
        password: Password,
        stored: StoredPassword,
    ) -> Result<Verification, HashError> {
        self.submit(requester, move |shared: &Shared, _: &dyn Entropy| shared.verify(&password, &stored))
            .await
    }

    /// Remembers that a sign-in from that network succeeded: for a week, and as long as this process runs.
    pub fn note_success(&self, requester: Requester) {
        self.shared.state().successes.note(requester.network, requester.at);
    }

    /// Chooses the decoys by what is stored. Until the first call they cost what the configured scheme costs.
    pub fn set_decoys(&self, stored: &[SchemeCount]) {
        let decoys = Arc::new(self.shared.hasher.decoys(stored));
        *self.shared.decoys.lock().unwrap_or_else(PoisonError::into_inner) = decoys;
    }

    /// How many passwords wait.
    pub fn depth(&self) -> usize {
        self.shared.state().queue.len()
    }

    /// How many verifications were done since the start, by scheme and cost; decoys count like others.
    pub fn verified(&self) -> BTreeMap<String, u64> {
        self.shared.verified.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn submit<T, W>(&self, requester: Requester, work: W) -> Result<T, HashError>
    where
        T: Send + 'static,
        W: FnOnce(&Shared, &dyn Entropy) -> Result<T, PasswordError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let (dropped, waiting) = self.shared.push(requester, Box::new(PendingWork { reply, work }));
        if let Some(dropped) = dropped {
            let retry_after_seconds = self.shared.pace.seconds_for(waiting, self.threads);
            dropped.refuse(HashError::Busy { retry_after_seconds });
        }
        answer.await.map_err(|_| HashError::Internal)?
    }
}

impl fmt::Debug for HashPool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HashPool").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl<T, W> Job for PendingWork<T, W>
where
    T: Send + 'static,
    W: FnOnce(&Shared, &dyn Entropy) -> Result<T, PasswordError> + Send + 'static,
{
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(self: Box<Self>, shared: &Shared, entropy: &dyn Entropy) -> bool {
        if !self.is_wanted() {
            return false;
        }
        let Self { reply, work } = *self;
        // Whether the answer is still wanted is not this thread's concern.
        let _ = reply.send(work(shared, entropy).map_err(HashError::from));
        true
    }

    fn refuse(self: Box<Self>, why: HashError) {
        let _ = self.reply.send(Err(why));
    }
}

impl From<PasswordError> for HashError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Failed => Self::Internal,
            unreadable => Self::Unreadable(unreadable),
        }
    }
}

impl Shared {
    fn new(hasher: PasswordHasher, queue: usize) -> Self {
        let state =
            State { queue: FairQueue::new(queue), successes: RecentSuccesses::new(), is_closed: false };
        Self {
            decoys: Mutex::new(Arc::new(hasher.decoys(&[]))),
            hasher,
            state: Mutex::new(state),
            changed: Condvar::new(),
            pace: Pace::new(),
            verified: Mutex::new(BTreeMap::new()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job; answers the one dropped for it, if any, and how many wait now.
    fn push(&self, requester: Requester, job: Box<dyn Job>) -> (Option<Box<dyn Job>>, usize) {
        let mut state = self.state();
        let lane = match state.successes.contain(&requester.network, requester.at) {
            true => Lane::Priority,
            false => Lane::Ordinary,
        };
        if state.queue.is_full() {
            state.queue.retain(|job| job.is_wanted());
        }
        let dropped = state.queue.push(requester, lane, job);
        let waiting = state.queue.len();
        drop(state);
        self.changed.notify_one();
        (dropped, waiting)
    }

    /// Waits for the next job. None once the pool is dropped.
    fn next(&self) -> Option<Box<dyn Job>> {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(job) = state.queue.pop() {
                return Some(job);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn verify(&self, password: &Password, stored: &StoredPassword) -> Result<Verification, PasswordError> {
        let unreadable = match stored.hash.as_deref().map(|hash| (hash, self.hasher.effort(hash))) {
            Some((hash, Ok(effort))) => {
                self.count(effort);
                return self.hasher.verify(password, hash);
            }
            Some((_, Err(error))) => Some(error),
            None => None,
        };
        // An unreadable hash, too, takes as long as a name without an account.
        let decoys = Arc::clone(&self.decoys.lock().unwrap_or_else(PoisonError::into_inner));
        let effort = decoys.draw(stored.kind, &stored.name);
        self.count(effort);
        effort.spend(password)?;
        unreadable.map_or(Ok(Verification::Mismatch), Err)
    }

    fn count(&self, effort: Effort) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        *verified.entry(effort.to_string()).or_default() += 1;
    }
}

/// Takes jobs until the pool is dropped.
fn work(shared: &Shared, entropy: &dyn Entropy) {
    yield_to_requests();
    while let Some(job) = shared.next() {
        shared.pace.measure(|| {
            // A panic in a hash function fails one sign-in, not the thread: the job's reply is dropped unanswered.
            catch_unwind(AssertUnwindSafe(|| job.run(shared, entropy))).unwrap_or(false)
        });
    }
}

/// Lowers this thread's priority. Where that is not allowed, hashing works the same at the normal one.
fn yield_to_requests() {
    // On Linux the "process" is the calling thread (setpriority(2), "C library/kernel differences").
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICENESS);
}

impl Pace {
    /// Starts from a quarter of a second, about what bcrypt takes with cost 12.
    fn new() -> Self {
        Self(AtomicU64::new(250_000))
    }

    /// Does `job`, and counts its time if it says that it worked.
    #[expect(clippy::disallowed_methods, reason = "measures work, decides nothing but a hint to the client")]
    fn measure(&self, job: impl FnOnce() -> bool) {
        let started = Instant::now();
        if job() {
            self.count(started.elapsed());
        }
    }

    fn count(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Two threads may overwrite each other's measurement; an average forgives that.
        let average = self.0.load(Ordering::Relaxed);
        self.0.store(average - average / 8 + took / 8, Ordering::Relaxed);
    }

    /// Whole seconds after which `waiting` jobs are done, at least 1.
    fn seconds_for(&self, waiting: usize, threads: usize) -> u64 {
        let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        let threads = u64::try_from(threads).unwrap_or(1).max(1);
        let micros = self.0.load(Ordering::Relaxed).saturating_mul(waiting) / threads;
        micros.div_ceil(1_000_000).clamp(1, LONGEST_RETRY_SECONDS)
    }
}

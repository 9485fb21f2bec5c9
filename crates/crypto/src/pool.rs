//! The threads that hash passwords.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tidegate_domain::{Entropy, Password};
use tokio::sync::oneshot;

use crate::{PasswordError, PasswordHasher, Verification};

/// Hashes passwords on threads of its own, as a hash keeps a core busy for a quarter of a second.
///
/// The threads run at a lower priority than the ones that answer requests, and the queue is bounded: under a flood of
/// sign-ins some are told to come back, all else stays fast. Dropping the pool ends its threads.
#[derive(Debug)]
pub struct HashPool {
    jobs: Sender<Job>,
    threads: usize,
    pace: Arc<Pace>,
}

/// How much a pool takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Hashes computed at once.
    pub threads: usize,
    /// Hashes waiting.
    pub queue: usize,
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

/// Does a job and says whether there was anything left to do.
type Job = Box<dyn FnOnce(&PasswordHasher, &dyn Entropy) -> bool + Send>;

/// The moving average of the time a hash takes, in microseconds.
#[derive(Debug)]
struct Pace(AtomicU64);

/// A thread's niceness: other threads go first when cores are scarce.
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

impl HashPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(hasher: PasswordHasher, entropy: Arc<dyn Entropy>, size: PoolSize) -> io::Result<Self> {
        let threads = size.threads.max(1);
        let (jobs, queue) = bounded(size.queue.max(1));
        let hasher = Arc::new(hasher);
        let pace = Arc::new(Pace::new());
        for number in 0..threads {
            let (hasher, entropy) = (Arc::clone(&hasher), Arc::clone(&entropy));
            let (queue, pace) = (queue.clone(), Arc::clone(&pace));
            thread::Builder::new()
                .name(format!("password-hash-{number}"))
                .spawn(move || work(&queue, &hasher, &*entropy, &pace))?;
        }
        Ok(Self { jobs, threads, pace })
    }

    /// Hashes a password for storage.
    ///
    /// # Errors
    /// [`HashError::Busy`] at once when the queue is full, [`HashError::Internal`].
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        self.submit(move |hasher, entropy| hasher.hash(&password, entropy)).await
    }

    /// Checks a password against its stored hash. `None` means that no such account exists: the decoy is checked, which
    /// takes as long, and the answer is [`Verification::Mismatch`].
    ///
    /// # Errors
    /// [`HashError::Busy`] at once when the queue is full, [`HashError::Unreadable`], [`HashError::Internal`].
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<String>,
    ) -> Result<Verification, HashError> {
        self.submit(move |hasher, _| {
            let verdict = stored.as_deref().map(|stored| hasher.verify(&password, stored));
            match verdict {
                Some(Ok(verdict)) => Ok(verdict),
                // An unreadable hash, too, takes as long as any other.
                Some(Err(error)) => hasher.verify(&password, hasher.decoy()).and(Err(error)),
                None => hasher.verify(&password, hasher.decoy()).map(|_| Verification::Mismatch),
            }
        })
        .await
    }

    /// How many passwords wait.
    pub fn depth(&self) -> usize {
        self.jobs.len()
    }

    async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PasswordHasher, &dyn Entropy) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, HashError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |hasher, entropy| {
            // Nobody waits any more: the client went away or the deadline passed.
            if reply.is_closed() {
                return false;
            }
            // Whether the answer is still wanted is not this thread's concern.
            let _ = reply.send(work(hasher, entropy));
            true
        });
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => {
                HashError::Busy { retry_after_seconds: self.pace.seconds_for(self.jobs.len(), self.threads) }
            }
            TrySendError::Disconnected(_) => HashError::Internal,
        })?;
        let answer = answer.await.map_err(|_| HashError::Internal)?;
        answer.map_err(HashError::from)
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

/// Takes jobs until the pool is dropped.
fn work(queue: &Receiver<Job>, hasher: &PasswordHasher, entropy: &dyn Entropy, pace: &Pace) {
    yield_to_requests();
    for job in queue {
        pace.measure(|| {
            // A panic in a hash function fails one sign-in, not the thread: the job's reply is dropped unanswered.
            catch_unwind(AssertUnwindSafe(|| job(hasher, entropy))).unwrap_or(false)
        });
    }
}

/// Lowers this thread's priority. Where that is not allowed, hashing works the same at the normal one.
fn yield_to_requests() {
    // On Linux the "process" is the calling thread (setpriority(2), "C library/kernel differences").
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use std::sync::{Mutex, PoisonError};
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::PasswordScheme;
    use crate::testing::Seeded;

    const ONE_AND_ONE: PoolSize = PoolSize { threads: 1, queue: 1 };

    fn hasher() -> PasswordHasher {
        PasswordHasher::new(PasswordScheme::Bcrypt { cost: 4 }, None, Vec::new(), &Seeded::new(1)).unwrap()
    }

    fn pool(entropy: Arc<dyn Entropy>, size: PoolSize) -> HashPool {
        HashPool::start(hasher(), entropy, size).unwrap()
    }

    fn password() -> Password {
        Password::new("correct horse")
    }

    /// Entropy that stops a hashing thread as it draws a salt, until the test lets it go on.
    struct Gate {
        draws: AtomicUsize,
        entered: mpsc::Sender<()>,
        opened: Mutex<mpsc::Receiver<()>>,
    }

    /// The test's side of a [`Gate`].
    struct Keeper {
        gate: Arc<Gate>,
        entered: mpsc::Receiver<()>,
        open: mpsc::Sender<()>,
    }

    impl Gate {
        fn closed() -> Keeper {
            let (entered, entered_here) = mpsc::channel();
            let (open, opened) = mpsc::channel();
            let gate = Self { draws: AtomicUsize::new(0), entered, opened: Mutex::new(opened) };
            Keeper { gate: Arc::new(gate), entered: entered_here, open }
        }
    }

    impl Entropy for Gate {
        fn fill(&self, buffer: &mut [u8]) {
            self.draws.fetch_add(1, Ordering::SeqCst);
            let _ = self.entered.send(());
            // An error means that the test is over.
            let _ = self.opened.lock().unwrap_or_else(PoisonError::into_inner).recv();
            buffer.fill(7);
        }
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_password_hashed_by_the_pool_verifies_by_the_pool() {
        let pool = pool(Arc::new(Seeded::new(2)), PoolSize::default());
        let stored = pool.hash(password()).await.unwrap();
        let verdict = |typed: &str| pool.verify(Password::new(typed), Some(stored.clone()));
        assert_eq!(verdict("correct horse").await, Ok(Verification::Match));
        assert_eq!(verdict("wrong").await, Ok(Verification::Mismatch));
    }

    #[tokio::test]
    async fn an_unknown_account_has_no_password() {
        let pool = pool(Arc::new(Seeded::new(2)), ONE_AND_ONE);
        assert_eq!(pool.verify(password(), None).await, Ok(Verification::Mismatch));
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_read_is_reported_apart_from_a_mismatch() {
        let pool = pool(Arc::new(Seeded::new(2)), ONE_AND_ONE);
        assert_eq!(
            pool.verify(password(), Some("imported by mistake".to_owned())).await,
            Err(HashError::Unreadable(PasswordError::Unrecognised))
        );
    }

    #[tokio::test]
    async fn a_full_queue_says_busy_at_once_and_recovers() {
        let keeper = Gate::closed();
        let pool = pool(keeper.gate.clone(), ONE_AND_ONE);
        let mut working = pin!(pool.hash(password()));
        assert!(poll(working.as_mut()).is_pending());
        keeper.entered.recv().unwrap();
        let mut waiting = pin!(pool.hash(password()));
        assert!(poll(waiting.as_mut()).is_pending());
        assert_eq!(pool.depth(), 1);

        for _ in 0..3 {
            let refused = poll(pin!(pool.verify(password(), None)));
            assert_eq!(refused, Poll::Ready(Err(HashError::Busy { retry_after_seconds: 1 })));
        }

        keeper.open.send(()).unwrap();
        keeper.open.send(()).unwrap();
        assert!(working.await.is_ok());
        assert!(waiting.await.is_ok());
        assert_eq!(pool.depth(), 0);
        assert_eq!(pool.verify(password(), None).await, Ok(Verification::Mismatch));
    }

    #[tokio::test]
    async fn nobody_hashes_for_a_client_that_went_away() {
        let keeper = Gate::closed();
        let pool = pool(keeper.gate.clone(), PoolSize { threads: 1, queue: 4 });
        let mut working = pin!(pool.hash(password()));
        assert!(poll(working.as_mut()).is_pending());
        keeper.entered.recv().unwrap();
        {
            let mut abandoned = pin!(pool.hash(password()));
            assert!(poll(abandoned.as_mut()).is_pending());
        }
        for _ in 0..3 {
            keeper.open.send(()).unwrap();
        }
        assert!(working.await.is_ok());
        assert!(pool.hash(password()).await.is_ok());
        assert_eq!(keeper.gate.draws.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_panic_fails_one_password_and_not_the_thread() {
        struct BrokenOnce(AtomicUsize);
        impl Entropy for BrokenOnce {
            fn fill(&self, buffer: &mut [u8]) {
                assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "no randomness yet");
                buffer.fill(7);
            }
        }
        let pool = pool(Arc::new(BrokenOnce(AtomicUsize::new(0))), ONE_AND_ONE);
        assert_eq!(pool.hash(password()).await, Err(HashError::Internal));
        assert!(pool.hash(password()).await.is_ok());
    }

    #[test]
    fn dropping_the_pool_ends_its_threads() {
        struct Farewell(mpsc::Sender<()>);
        impl Entropy for Farewell {
            fn fill(&self, _: &mut [u8]) {}
        }
        impl Drop for Farewell {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (last_thread_gone, gone) = mpsc::channel();
        let entropy = Arc::new(Farewell(last_thread_gone));
        drop(pool(entropy, PoolSize { threads: 3, queue: 1 }));
        // Returns once no thread holds the entropy any more.
        gone.recv().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn hashing_gives_way_to_the_threads_that_answer_requests() {
        use rustix::process::getpriority_process;
        let before = getpriority_process(None);
        let hashing = thread::spawn(|| {
            yield_to_requests();
            getpriority_process(None)
        });
        assert_eq!(hashing.join().unwrap(), Ok(NICENESS));
        assert_eq!(getpriority_process(None), before);
    }

    #[test]
    fn clients_are_asked_back_when_the_queue_should_be_done() {
        let pace = Pace::new();
        assert_eq!(pace.seconds_for(0, 2), 1);
        assert_eq!(pace.seconds_for(32, 2), 4);
        assert_eq!(pace.seconds_for(33, 2), 5);
        assert_eq!(pace.seconds_for(1_000_000, 1), LONGEST_RETRY_SECONDS);
        for _ in 0..100 {
            pace.count(Duration::from_secs(2));
        }
        assert_eq!(pace.seconds_for(8, 2), 8);
    }
}

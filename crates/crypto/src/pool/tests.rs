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
    PasswordHasher::new(PasswordScheme::Bcrypt { cost: 4 }, None, Vec::new()).unwrap()
}

fn pool(entropy: Arc<dyn Entropy>, size: PoolSize) -> HashPool {
    HashPool::start(hasher(), entropy, size).unwrap()
}

fn password() -> Password {
    Password::new("correct horse")
}

/// Somebody on the network of that number.
fn on(network: u8) -> Requester {
    Requester { network: [network; 32], account: None, at: Timestamp::from_seconds(0) }
}

/// What is stored for a name.
fn stored(hash: Option<&str>) -> StoredPassword {
    StoredPassword { hash: hash.map(str::to_owned), kind: AccountKind::Individual, name: [7; 32] }
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
    let hash = pool.hash(on(1), password()).await.unwrap();
    let verdict = |typed: &str| pool.verify(on(1), Password::new(typed), stored(Some(&hash)));
    assert_eq!(verdict("correct horse").await, Ok(Verification::Match));
    assert_eq!(verdict("wrong").await, Ok(Verification::Mismatch));
}

#[tokio::test]
async fn an_unknown_account_has_no_password() {
    let pool = pool(Arc::new(Seeded::new(2)), ONE_AND_ONE);
    assert_eq!(pool.verify(on(1), password(), stored(None)).await, Ok(Verification::Mismatch));
}

#[tokio::test]
async fn a_hash_that_cannot_be_read_is_reported_apart_from_a_mismatch() {
    let pool = pool(Arc::new(Seeded::new(2)), ONE_AND_ONE);
    assert_eq!(
        pool.verify(on(1), password(), stored(Some("imported by mistake"))).await,
        Err(HashError::Unreadable(PasswordError::Unrecognised))
    );
}

#[tokio::test]
async fn a_full_queue_says_busy_at_once_and_recovers() {
    let keeper = Gate::closed();
    let pool = pool(keeper.gate.clone(), ONE_AND_ONE);
    let mut working = pin!(pool.hash(on(1), password()));
    assert!(poll(working.as_mut()).is_pending());
    keeper.entered.recv().unwrap();
    let mut waiting = pin!(pool.hash(on(1), password()));
    assert!(poll(waiting.as_mut()).is_pending());
    assert_eq!(pool.depth(), 1);

    for _ in 0..3 {
        let refused = poll(pin!(pool.verify(on(1), password(), stored(None))));
        assert_eq!(refused, Poll::Ready(Err(HashError::Busy { retry_after_seconds: 1 })));
    }

    keeper.open.send(()).unwrap();
    keeper.open.send(()).unwrap();
    assert!(working.await.is_ok());
    assert!(waiting.await.is_ok());
    assert_eq!(pool.depth(), 0);
    assert_eq!(pool.verify(on(1), password(), stored(None)).await, Ok(Verification::Mismatch));
}

#[tokio::test]
async fn nobody_hashes_for_a_client_that_went_away() {
    let keeper = Gate::closed();
    let pool = pool(keeper.gate.clone(), PoolSize { threads: 1, queue: 4 });
    let mut working = pin!(pool.hash(on(1), password()));
    assert!(poll(working.as_mut()).is_pending());
    keeper.entered.recv().unwrap();
    {
        let mut abandoned = pin!(pool.hash(on(1), password()));
        assert!(poll(abandoned.as_mut()).is_pending());
    }
    for _ in 0..3 {
        keeper.open.send(()).unwrap();
    }
    assert!(working.await.is_ok());
    assert!(pool.hash(on(1), password()).await.is_ok());
    assert_eq!(keeper.gate.draws.load(Ordering::SeqCst), 2);
}

/// Hashes and verifications in a pool of one thread, which is held until all are in the queue.
struct Story {
    keeper: Keeper,
    pool: Arc<HashPool>,
    answers: tokio::task::JoinSet<(&'static str, Result<(), HashError>)>,
}

impl Story {
    async fn begin(queue: usize) -> Self {
        let keeper = Gate::closed();
        let pool = Arc::new(pool(keeper.gate.clone(), PoolSize { threads: 1, queue }));
        let mut story = Self { keeper, pool, answers: tokio::task::JoinSet::new() };
        story.set_password("first", on(0)).await;
        story.keeper.entered.recv().unwrap();
        story
    }

    async fn set_password(&mut self, who: &'static str, requester: Requester) {
        let pool = Arc::clone(&self.pool);
        self.answers.spawn(async move { (who, pool.hash(requester, password()).await.map(drop)) });
        tokio::task::yield_now().await;
    }

    async fn sign_in(&mut self, who: &'static str, requester: Requester) {
        let pool = Arc::clone(&self.pool);
        self.answers
            .spawn(async move { (who, pool.verify(requester, password(), stored(None)).await.map(drop)) });
        tokio::task::yield_now().await;
    }

    /// Lets the thread go on; answers how many of each were served, and how many were told to come back.
    async fn end(mut self) -> BTreeMap<(&'static str, bool), usize> {
        drop(self.keeper.open);
        let mut answers = BTreeMap::new();
        while let Some(answer) = self.answers.join_next().await {
            let (who, outcome) = answer.unwrap();
            assert!(matches!(outcome, Ok(()) | Err(HashError::Busy { .. })), "{outcome:?}");
            *answers.entry((who, outcome.is_ok())).or_default() += 1;
        }
        answers
    }
}

#[tokio::test]
async fn one_account_that_sets_passwords_over_forty_connections_keeps_nobody_from_signing_in() {
    let mut story = Story::begin(32).await;
    for connection in 0..40 {
        let requester = Requester { account: Some([200; 32]), ..on(100 + connection % 3) };
        story.set_password("account", requester).await;
    }
    for client in 1..=20 {
        story.sign_in("client", on(client)).await;
    }
    let served = [(("account", false), 28), (("account", true), 12), (("client", true), 20)];
    let first = [(("first", true), 1)];
    assert_eq!(story.end().await, served.into_iter().chain(first).collect());
}

#[tokio::test]
async fn wrong_sign_ins_from_six_addresses_keep_nobody_else_from_signing_in() {
    let mut story = Story::begin(32).await;
    for _ in 0..100 {
        for attacker in 101..=106 {
            story.sign_in("attacker", on(attacker)).await;
        }
    }
    for client in 1..=20 {
        story.sign_in("client", on(client)).await;
    }
    let answers = story.end().await;
    assert_eq!(answers.get(&("client", true)), Some(&20), "{answers:?}");
    assert_eq!(answers.get(&("attacker", true)), Some(&12), "{answers:?}");
}

#[tokio::test]
async fn more_networks_than_may_wait_do_not_keep_out_one_that_signed_in_lately() {
    let mut story = Story::begin(16).await;
    story.pool.note_success(on(1));
    for attacker in 100..200 {
        story.sign_in("attacker", on(attacker)).await;
    }
    story.sign_in("newcomer", on(2)).await;
    story.sign_in("client", on(1)).await;
    // A week later it is a network like others.
    story.sign_in("stale", Requester { at: Timestamp::from_seconds(7 * 24 * 3_600), ..on(1) }).await;
    let answers = story.end().await;
    assert_eq!(answers.get(&("client", true)), Some(&1), "{answers:?}");
    for refused in ["newcomer", "stale"] {
        assert_eq!(answers.get(&(refused, false)), Some(&1), "{answers:?}");
    }
}

#[tokio::test]
async fn a_dropped_job_is_told_when_to_come_back() {
    let keeper = Gate::closed();
    let pool = pool(keeper.gate.clone(), PoolSize { threads: 1, queue: 2 });
    let mut working = pin!(pool.hash(on(1), password()));
    assert!(poll(working.as_mut()).is_pending());
    keeper.entered.recv().unwrap();
    let (mut older, mut newer) = (pin!(pool.hash(on(1), password())), pin!(pool.hash(on(1), password())));
    assert!(poll(older.as_mut()).is_pending() && poll(newer.as_mut()).is_pending());
    let mut newcomer = pin!(pool.verify(on(2), password(), stored(None)));
    assert!(poll(newcomer.as_mut()).is_pending());
    assert_eq!(poll(newer.as_mut()), Poll::Ready(Err(HashError::Busy { retry_after_seconds: 1 })));
    assert!(poll(older.as_mut()).is_pending());
    drop(keeper.open);
    assert!(newcomer.await.is_ok() && older.await.is_ok() && working.await.is_ok());
}

#[tokio::test]
async fn verifications_are_counted_by_what_they_cost_and_decoys_among_them() {
    let pool = pool(Arc::new(Seeded::new(2)), ONE_AND_ONE);
    let count = |scheme: &str, passwords| SchemeCount {
        kind: AccountKind::Individual,
        scheme: scheme.to_owned(),
        passwords,
    };
    pool.set_decoys(&[count("tg1$-$2b$05$53", 1), count("tg1$-$argon2id$v=19$m=64,t=1,p=1$43", 1)]);
    let hash = pool.hash(on(1), password()).await.unwrap();
    // Known, unreadable, and two unknown names of either decoy.
    let unknown = |name| StoredPassword { name: [name; 32], ..stored(None) };
    for stored in [stored(Some(&hash)), stored(Some("unreadable")), unknown(0), unknown(255)] {
        let _ = pool.verify(on(1), Password::new("wrong"), stored).await;
    }
    let expected = [("argon2id m=64 t=1 p=1", 2), ("bcrypt cost=4", 1), ("bcrypt cost=5", 1)];
    assert_eq!(pool.verified(), expected.map(|(effort, times)| (effort.to_owned(), times)).into());
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
    assert_eq!(pool.hash(on(1), password()).await, Err(HashError::Internal));
    assert!(pool.hash(on(1), password()).await.is_ok());
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
    assert_eq!(hashing.join().unwrap(), before.map(|before| (before + NICENESS).min(19)));
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

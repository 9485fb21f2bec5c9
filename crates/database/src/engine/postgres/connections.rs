//! The connections that units of work run on.
//!
//! sqlx's pool asks the server whenever a connection is given back. Here a connection is asked only where a statement was left unfinished.

use std::io::{self, ErrorKind};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult, Timeouts};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::super::to_the_end::to_the_end;
use super::{ACQUIRE_TIMEOUT, SUSPECT_AFTER, is_closed, opening};
use crate::error::Reason;

/// Connections are replaced after this time, for what a server keeps with each.
const OLDEST: Duration = Duration::from_secs(30 * 60);
/// Connections that nobody used for this time are closed.
const IDLE: Duration = Duration::from_secs(10 * 60);
/// How often those are looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// How soon a server that refuses connections is asked again, at first and at most.
const ASK_AGAIN: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(500)];
/// How long a connection that rested may take to answer that it lives.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// How often it is checked that all connections were given back, and for how long.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
/// How often all connections are replaced where one may only read. A standby refuses every write: those that read there go on.
const REPLACED_AGAIN: Duration = Duration::from_secs(1);

/// A connection out of the pool. Whoever waits for one is told when it is given back or thrown away.
struct Lent {
    /// None once it is dropped.
    object: Option<Object<Maker>>,
    given_back: Arc<Notify>,
}

impl Lent {
    /// Throws it away: its place is another's.
    fn discard(mut self) {
        drop(self.object.take().map(Object::take));
    }

    /// Notes that a statement failed.
    fn failed(&self, error: &sqlx::Error) {
        if has_code(error, "25006")
            && let Some(pool) = self.object.as_ref().and_then(Object::pool)
        {
            pool.manager().note_read_only();
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.object.as_ref().unwrap_or_else(|| unreachable!("it is taken out when it is given back"))
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.object.as_mut().unwrap_or_else(|| unreachable!("it is taken out when it is given back"))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        drop(self.object.take());
        self.given_back.notify_one();
    }
}

/// A connection, given back when dropped. One on which a statement was cut off or failed answers first, or is thrown away: whoever is
/// given it next must not wait for that statement, nor read its answer.
pub(crate) struct Pooled {
    /// None once it is dropped.
    lent: Option<Lent>,
    is_unclear: bool,
}

impl Pooled {
    /// Notes that a statement begins.
    pub(crate) fn begins(&mut self) {
        self.is_unclear = true;
    }

    /// Notes that the statement was run to its end.
    pub(crate) fn settled(&mut self) {
        self.is_unclear = false;
    }

    /// Notes that it failed.
    pub(crate) fn failed(&self, error: &sqlx::Error) {
        if let Some(lent) = &self.lent {
            lent.failed(error);
        }
    }

    /// The same without any care for how it is given back.
    fn into_lent(mut self) -> Option<Lent> {
        self.lent.take()
    }
}

impl Deref for Pooled {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.lent.as_ref().unwrap_or_else(|| unreachable!("it is taken out when it is given back"))
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.lent.as_mut().unwrap_or_else(|| unreachable!("it is taken out when it is given back"))
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(mut connection) = self.lent.take().filter(|_| self.is_unclear) else { return };
        let Ok(runtime) = Handle::try_current() else {
            // The process is ending, and its connections with it.
            connection.discard();
            return;
        };
        // It keeps its place meanwhile.
        runtime.spawn(async move {
            if !matches!(timeout(ACQUIRE_TIMEOUT, connection.ping()).await, Ok(Ok(()))) {
                connection.discard();
            }
        });
    }
}

/// Makes connections, and checks that idle ones still live.
pub(crate) struct Maker {
    connect: PgConnectOptions,
    /// Why the server took the last one not, until it takes one.
    refused: Mutex<Option<Refused>>,
    /// When a server that has no room for another one is asked again, until it has.
    full: Mutex<Option<Full>>,
    /// When one of them could only read.
    read_only: Mutex<Option<Instant>>,
    /// Tells those who wait for one that is in use.
    given_back: Arc<Notify>,
}

/// A server has as many connections as it allows: its own limit, or that of the role or of the database.
#[derive(Clone, Copy)]
struct Full {
    ask_at: Instant,
    pause: Duration,
}

impl Full {
    /// Asked now, at the first time or after `before`: the next time is later by twice the pause.
    fn asked(before: Option<Self>) -> Self {
        let [shortest, longest] = ASK_AGAIN;
        let pause = before.map_or(shortest, |before| (before.pause * 2).min(longest));
        Self { ask_at: Instant::now() + pause, pause }
    }
}

/// Why no connection was made.
pub(crate) enum NotMade {
    /// The server has no room for another one. One that is in use may be given back first.
    Full,
    Failed(sqlx::Error),
}

/// A server takes no connection.
struct Refused {
    why: Reason,
    since: Instant,
    last: Instant,
}

impl Refused {
    /// Another refusal. What was long before says nothing of the time between.
    fn after(before: Option<Self>, why: Reason, now: Instant) -> Self {
        let before = before.filter(|before| now.duration_since(before.last) < ACQUIRE_TIMEOUT);
        Self { why, since: before.map_or(now, |before| before.since), last: now }
    }

    /// Whether it has lasted for longer than a restart is waited for.
    fn lasts(&self) -> bool {
        self.last.duration_since(self.since) >= ACQUIRE_TIMEOUT
    }
}

impl Maker {
    fn new(connect: PgConnectOptions) -> Self {
        Self {
            connect,
            refused: Mutex::default(),
            full: Mutex::default(),
            read_only: Mutex::default(),
            given_back: Arc::default(),
        }
    }

    /// Whether the server may be asked for a connection. Of all who find it full, one asks at a time.
    fn may_ask(&self) -> bool {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        match *full {
            Some(known) if Instant::now() < known.ask_at => false,
            Some(known) => {
                *full = Some(Full::asked(Some(known)));
                true
            }
            None => true,
        }
    }

    /// Notes whether the server has no room for another connection.
    fn note_full(&self, is_full: bool) {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        // Who asked again has noted already when that is next.
        let known = full.unwrap_or_else(|| Full::asked(None));
        *full = is_full.then_some(known);
    }

    /// When the server is asked again for another one.
    fn asks_again(&self) -> Instant {
        let full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.map_or_else(Instant::now, |full| full.ask_at)
    }

    /// Notes why the server takes no connection; whether nothing has answered there for long. `answers`: it said so itself.
    fn note(&self, why: Option<Reason>, answers: bool) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        // However long it was full, say, its restart begins when it answers no more.
        let before = refused.take().filter(|_| !answers);
        *refused = why.map(|why| Refused::after(before, why, Instant::now()));
        refused.as_ref().is_some_and(Refused::lasts)
    }

    /// Notes that a connection can only read. It keeps what the server was set to when it was made, and so do those that are as old:
    /// none of them is used again.
    fn note_read_only(&self) {
        let mut read_only = self.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        if read_only.is_none_or(|since| since.elapsed() >= REPLACED_AGAIN) {
            *read_only = Some(Instant::now());
        }
    }

    /// Whether a connection of that age may be one that can only read.
    fn is_read_only(&self, age: Duration) -> bool {
        let read_only = self.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        read_only.is_some_and(|since| since.elapsed() <= age)
    }

    /// What there is to say where no connection was to be had in time: that the server takes none, or that all are in use.
    fn timed_out(&self) -> sqlx::Error {
        match self.refused.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(refused) => {
                sqlx::Error::Io(io::Error::new(ErrorKind::ConnectionRefused, refused.why.clone()))
            }
            None => sqlx::Error::PoolTimedOut,
        }
    }
}

impl managed::Manager for Maker {
    type Type = PgConnection;
    type Error = NotMade;

    /// A server that is being restarted refuses connections for a moment: it is asked again for as long as the pool waits. One at whose
    /// address nothing has listened for that long is asked once. One that is full is not waited for here: who holds a place in the pool
    /// meanwhile would miss a connection that is given back.
    async fn create(&self) -> Result<PgConnection, NotMade> {
        if !self.may_ask() {
            return Err(NotMade::Full);
        }
        let [mut pause, longest] = ASK_AGAIN;
        loop {
            let made = PgConnection::connect_with(&self.connect).await;
            self.note_full(made.as_ref().is_err_and(is_full));
            match made {
                Err(error) if is_full(&error) => {
                    self.note(Some(opening::said_with_advice(&self.connect, &error)), true);
                    return Err(NotMade::Full);
                }
                Err(error) if passes(&error) => {
                    let answers = !matches!(error, sqlx::Error::Io(_));
                    if self.note(Some(opening::said(&self.connect, &error).into()), answers) {
                        return Err(NotMade::Failed(self.timed_out()));
                    }
                    sleep(pause).await;
                }
                // The system's own words name no server.
                Err(sqlx::Error::Io(cause)) => {
                    let kind = cause.kind();
                    let said = opening::said(&self.connect, &sqlx::Error::Io(cause));
                    return Err(NotMade::Failed(sqlx::Error::Io(io::Error::new(kind, said))));
                }
                made => {
                    self.note(None, true);
                    return made.map_err(NotMade::Failed);
                }
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// A ping before every statement would double the round trips. So only connections that rested are asked, which finds what a
    /// restarted server left behind; and [`Connections::begin`] replaces the rest.
    async fn recycle(&self, connection: &mut PgConnection, metrics: &Metrics) -> RecycleResult<NotMade> {
        if metrics.age() >= OLDEST {
            return Err(RecycleError::message("old enough"));
        }
        if self.is_read_only(metrics.age()) {
            return Err(RecycleError::message("it may be one that can only read"));
        }
        if metrics.last_used() >= SUSPECT_AFTER {
            connection.ping().await.map_err(NotMade::Failed)?;
        }
        Ok(())
    }
}

/// Whether the server has no room for another connection.
fn is_full(error: &sqlx::Error) -> bool {
    has_code(error, "53300")
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    matches!(error, sqlx::Error::Database(cause) if cause.code().as_deref() == Some(code))
}

/// Whether the server may take the same connection in a moment.
fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(cause) => cause.kind() == ErrorKind::ConnectionRefused,
        sqlx::Error::Database(cause) => cause.is_transient_in_connect_phase(),
        _ => false,
    }
}

/// The pool. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connections(managed::Pool<Maker>);

impl Connections {
    /// A pool of `most` connections, made when they are first needed.
    pub(super) fn new(connect: PgConnectOptions, most: usize) -> Self {
        let patience = Some(ACQUIRE_TIMEOUT);
        let pool = managed::Pool::builder(Maker::new(connect))
            .max_size(most)
            .timeouts(Timeouts { wait: patience, create: patience, recycle: Some(ANSWERED_WITHIN) })
            .runtime(Runtime::Tokio1)
            .build();
        let Ok(pool) = pool else { unreachable!("timeouts need a runtime, and there is one") };
        let swept = pool.weak();
        tokio::spawn(async move {
            while let Some(pool) = swept.upgrade().filter(|pool| !pool.is_closed()) {
                pool.retain(|_, metrics| metrics.last_used() < IDLE);
                drop(pool);
                sleep(SWEEP).await;
            }
        });
        Self(pool)
    }

    /// A connection to read with, or for a single statement.
    pub(crate) async fn acquire(&self) -> sqlx::Result<Pooled> {
        self.acquire_until(Instant::now() + ACQUIRE_TIMEOUT).await
    }

    async fn acquire_until(&self, deadline: Instant) -> sqlx::Result<Pooled> {
        let maker = self.0.manager();
        loop {
            let Ok(acquired) = timeout_at(deadline, self.0.get()).await else {
                return Err(maker.timed_out());
            };
            match acquired {
                Ok(object) => {
                    let lent = Lent { object: Some(object), given_back: Arc::clone(&maker.given_back) };
                    return Ok(Pooled { lent: Some(lent), is_unclear: false });
                }
                Err(PoolError::Backend(NotMade::Full)) => {}
                Err(PoolError::Backend(NotMade::Failed(error))) => return Err(error),
                Err(PoolError::Timeout(_)) => return Err(maker.timed_out()),
                Err(PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                    return Err(sqlx::Error::PoolClosed);
                }
            }
            // Whichever is first: one that is in use is given back, or the server is asked again.
            let again = maker.asks_again().min(deadline);
            let _ = timeout_at(again, maker.given_back.notified()).await;
            if Instant::now() >= deadline {
                return Err(maker.timed_out());
            }
        }
    }

    /// Begins a transaction; connections that the server closed meanwhile are dropped and replaced.
    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction> {
        let deadline = Instant::now() + ACQUIRE_TIMEOUT;
        for _ in 0..self.0.status().max_size {
            match Transaction::begin(self.acquire_until(deadline).await?).await {
                Err(error) if is_closed(&error) => tracing::debug!(%error, "replacing a closed connection"),
                begun => return begun,
            }
        }
        Transaction::begin(self.acquire_until(deadline).await?).await
    }

    /// Waits until every connection was given back, and closes them.
    pub(crate) async fn close(&self) {
        self.0.close();
        let given_back = async {
            while self.0.status().size > 0 {
                sleep(LOOK_AGAIN).await;
            }
        };
        if timeout(CLOSED_WITHIN, given_back).await.is_err() {
            tracing::warn!("some statements did not end in time; their connections are left to the server");
        }
    }
}

/// A transaction. Dropped without [`Transaction::commit`], it is rolled back before anybody else uses the connection.
pub(crate) struct Transaction(Option<Lent>);

impl Transaction {
    async fn begin(connection: Pooled) -> sqlx::Result<Self> {
        // Cut off, it would give back a connection that is in an unknown transaction: whatever is done with it
        // next would stay unseen, and a node that listens on it would hear nothing.
        to_the_end(async move {
            // Dropped on an error, it is rolled back, or thrown away with its connection.
            let mut transaction = Self(connection.into_lent());
            match timeout(ACQUIRE_TIMEOUT, transaction.execute("begin")).await {
                Ok(begun) => begun?,
                Err(_elapsed) => {
                    if let Some(connection) = transaction.0.take() {
                        connection.discard();
                    }
                    return Err(sqlx::Error::PoolTimedOut);
                }
            };
            Ok(transaction)
        })
        .await
    }

    /// Notes that a statement failed.
    pub(crate) fn failed(&self, error: &sqlx::Error) {
        if let Some(lent) = &self.0 {
            lent.failed(error);
        }
    }

    /// Commits. Must not be cut off: nobody would know whether it was done.
    pub(crate) async fn commit(mut self) -> sqlx::Result<()> {
        self.execute("commit").await?;
        drop(self.0.take());
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_ref().unwrap_or_else(|| unreachable!("it is taken out when the transaction ends"))
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().unwrap_or_else(|| unreachable!("it is taken out when the transaction ends"))
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.0.take() else { return };
        let Ok(runtime) = Handle::try_current() else {
            // The process is ending, and its connections with it.
            connection.discard();
            return;
        };
        runtime.spawn(async move {
            if !matches!(timeout(ACQUIRE_TIMEOUT, connection.execute("rollback")).await, Ok(Ok(_))) {
                connection.discard();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::opening::tests::{error, greeting, message};
    use super::*;
    use crate::StoreError;

    /// Nothing listens there any more.
    async fn gone() -> (u16, Connections) {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let address = format!("postgres://ada:hunter2@127.0.0.1:{port}/shop");
        (port, Connections::new(PgConnectOptions::from_str(&address).unwrap(), 2))
    }

    #[tokio::test]
    async fn a_server_that_takes_no_connection_is_told_as_that_and_not_as_a_full_pool() {
        let (port, connections) = gone().await;
        let (read, written) = tokio::join!(connections.acquire(), connections.begin());
        for error in [read.err(), written.err()] {
            let said = StoreError::from(error.unwrap()).to_string();
            let told =
                format!("the database is unavailable: PostgreSQL at 127.0.0.1:{port} refuses connections");
            assert_eq!(said, told);
        }
    }

    #[tokio::test]
    async fn a_server_that_has_refused_for_longer_than_a_restart_takes_is_asked_once() {
        let (port, connections) = gone().await;
        let maker = connections.0.manager();
        let now = Instant::now();
        let since = now.checked_sub(ACQUIRE_TIMEOUT).unwrap();
        *maker.refused.lock().unwrap() = Some(Refused { why: "refused".into(), since, last: now });
        // Else it is asked again for ever: the pool alone ends that.
        let Err(NotMade::Failed(error)) = managed::Manager::create(maker).await else {
            panic!("made, or full")
        };
        let told = format!("PostgreSQL at 127.0.0.1:{port} refuses connections");
        assert!(error.to_string().contains(&told), "{error}");
    }

    #[tokio::test]
    async fn only_refusals_that_follow_one_another_last() {
        let after = |before, seconds| {
            let now = Instant::now() + Duration::from_secs(seconds);
            Refused::after(before, "refused".into(), now)
        };
        let first = after(None, 0);
        assert!(!first.lasts());
        let second = after(Some(first), 3);
        assert!(!second.lasts());
        let third = after(Some(second), 6);
        assert!(third.lasts());
        assert!(!after(Some(third), 60).lasts(), "it may have been back meanwhile");
    }

    #[tokio::test]
    async fn a_restart_of_a_server_that_was_full_for_long_is_waited_for() {
        let (_, connections) = gone().await;
        let maker = connections.0.manager();
        let now = Instant::now();
        let since = now.checked_sub(ACQUIRE_TIMEOUT).unwrap();
        *maker.refused.lock().unwrap() = Some(Refused { why: "refused".into(), since, last: now });
        assert!(!maker.note(Some("too many connections".into()), true));
        assert!(!maker.note(Some("refused".into()), false));
        assert!(matches!(maker.timed_out(), sqlx::Error::Io(_)));
    }

    #[tokio::test]
    async fn what_was_refused_once_is_forgotten_when_a_connection_is_made() {
        let (_, connections) = gone().await;
        let maker = connections.0.manager();
        maker.note(Some("refused".into()), false);
        assert!(matches!(maker.timed_out(), sqlx::Error::Io(_)));
        maker.note(None, true);
        assert!(matches!(maker.timed_out(), sqlx::Error::PoolTimedOut));
    }

    /// A server that has room for one connection, and a pool that wants two.
    async fn with_room_for_one() -> Connections {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            for number in 0.. {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(client, number == 0));
            }
        });
        let address = format!("postgres://ada:hunter2@127.0.0.1:{port}/shop?sslmode=disable");
        Connections::new(PgConnectOptions::from_str(&address).unwrap(), 2)
    }

    /// Lets a client in, or not, and tells it as often as it asks that it is.
    async fn answer(mut client: TcpStream, has_room: bool) -> io::Result<()> {
        let mut length = [0; 4];
        client.read_exact(&mut length).await?;
        client.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize - 4]).await?;
        if !has_room {
            let full = "too many connections for role \"ada\"";
            return client.write_all(&error("53300", "InitializeSessionUserId", full)).await;
        }
        client.write_all(&greeting("17.0")).await?;
        loop {
            let mut kind = [0];
            client.read_exact(&mut kind).await?;
            client.read_exact(&mut length).await?;
            client.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize - 4]).await?;
            client.write_all(&message(b'Z', b"I")).await?;
        }
    }

    #[tokio::test]
    async fn who_finds_the_server_full_is_given_a_connection_that_another_gives_back() {
        let connections = with_room_for_one().await;
        let first = connections.acquire().await.unwrap();
        let second = tokio::spawn({
            let connections = connections.clone();
            async move { connections.acquire().await.map(drop) }
        });
        let is_full = || connections.0.manager().full.lock().unwrap().is_some();
        while !is_full() {
            sleep(LOOK_AGAIN).await;
        }
        drop(first);
        second.await.unwrap().unwrap();
        // What was in vain is named, and what to do about it is said apart, too.
        let error = StoreError::from(connections.0.manager().timed_out());
        let told = error.to_string();
        for part in ["too many connections for role \"ada\"", "; raise its limit with `alter role ada "] {
            assert!(told.contains(part), "{told}");
        }
        let advice = error.advice().unwrap();
        assert!(
            advice.starts_with("raise its limit with `alter role ada ") && told.ends_with(advice),
            "{advice}"
        );
    }

    #[tokio::test]
    async fn a_connection_that_can_only_read_takes_all_that_are_as_old_with_it_once_in_a_second() {
        let (_, connections) = gone().await;
        let maker = connections.0.manager();
        assert!(!maker.is_read_only(Duration::MAX));
        maker.note_read_only();
        assert!(maker.is_read_only(Duration::MAX));
        let (now, noted) = (Instant::now(), || *maker.read_only.lock().unwrap());
        let before = now.checked_sub(REPLACED_AGAIN * 2).unwrap();
        *maker.read_only.lock().unwrap() = Some(before);
        assert!(!maker.is_read_only(REPLACED_AGAIN), "it was made later");
        maker.note_read_only();
        assert!(noted() > Some(before));
        *maker.read_only.lock().unwrap() = Some(now + OLDEST);
        maker.note_read_only();
        assert_eq!(noted(), Some(now + OLDEST));
    }

    #[tokio::test]
    async fn a_server_that_is_full_is_asked_by_one_at_a_time() {
        // Where nothing listens, one who asked would ask for ever.
        let (_, connections) = gone().await;
        let maker = connections.0.manager();
        let now = Instant::now();
        *maker.full.lock().unwrap() = Some(Full { ask_at: now + CLOSED_WITHIN * 100, pause: ASK_AGAIN[0] });
        for _ in 0..3 {
            assert!(matches!(managed::Manager::create(maker).await, Err(NotMade::Full)));
        }
        // Who may ask has all others wait, and for longer each time.
        *maker.full.lock().unwrap() = Some(Full { ask_at: now, pause: ASK_AGAIN[0] });
        assert!(maker.may_ask());
        maker.note_full(true);
        let next = maker.full.lock().unwrap().unwrap();
        assert!(next.ask_at > now && next.pause == ASK_AGAIN[0] * 2);
        maker.note_full(false);
        assert!(maker.full.lock().unwrap().is_none());
    }
}

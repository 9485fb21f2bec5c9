//! Load: many connections, each sending one request after another, for a fixed time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout_at};

use crate::Result;
use crate::wire::{Answer, Connection};

/// Latencies beyond are counted as this long.
const LONGEST_MICROS: u64 = 60_000_000;
/// Answers to what was sent last may take this long after the end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections are open by then.
const TO_CONNECT: Duration = Duration::from_millis(200);

/// What one connection says.
pub(crate) trait Client: Send {
    /// The next request. None when there is nothing more to say: the measurement ends there.
    fn request(&mut self) -> Option<&[u8]>;

    /// Its answer. An error ends the measurement: a wrong answer must not count as a fast one.
    fn answered(&mut self, answer: &Answer<'_>) -> Result<()>;
}

/// How fast requests follow one another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// The next when the last was answered (closed loop): what the server can do.
    AsAnswered,
    /// So many a second through all connections together, whatever the answers take (open loop): how long people wait.
    PerSecond(u32),
}

/// Connections that do the same.
pub(crate) struct Load {
    pub(crate) clients: Vec<Box<dyn Client>>,
    pub(crate) pace: Pace,
}

/// For how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Not counted.
    pub(crate) warm_up: Duration,
    /// Counted.
    pub(crate) counted: Duration,
}

/// What came of a load.
pub(crate) struct Measured {
    latencies: Histogram<u64>,
    seconds: f64,
    /// Answers in all, those that were not counted included.
    pub(crate) answers: u64,
}

impl Measured {
    /// Answers a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }

    /// The latency that `percent` of the answers did not exceed, in milliseconds.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        self.latencies.value_at_percentile(percent) as f64 / 1_000.0
    }
}

/// When a measurement begins, begins to count, and ends.
#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    counted_from: Instant,
    end: Instant,
}

impl Window {
    fn new(timing: Timing) -> Self {
        let start = Instant::now() + TO_CONNECT;
        let counted_from = start + timing.warm_up;
        Self { start, counted_from, end: counted_from + timing.counted }
    }
}

/// Puts `loads` on the server at the same time, each from a thread of its own.
pub(crate) fn run(server: SocketAddr, loads: Vec<Load>, timing: Timing) -> Result<Vec<Measured>> {
    let window = Window::new(timing);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            loads.into_iter().map(|load| scope.spawn(move || drive(server, load, window))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a load thread panicked")?).collect()
    })
}

/// Talks on one connection, outside of any measurement.
pub(crate) fn with_connection<T>(
    server: SocketAddr,
    talk: impl AsyncFnOnce(&mut Connection) -> Result<T>,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(server).await?;
        talk(&mut connection).await
    })
}

/// A load, on a runtime of one thread: the other cores belong to the server.
fn drive(server: SocketAddr, load: Load, window: Window) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tally = Arc::new(Mutex::new(Tally {
        latencies: Histogram::new_with_max(LONGEST_MICROS, 3)?,
        answers: 0,
        end: window.end,
    }));
    let clients = load.clients.len();
    let talking = async {
        let mut talks = JoinSet::new();
        for (place, client) in load.clients.into_iter().enumerate() {
            let schedule = Schedule::new(load.pace, place, clients, window.start);
            let connection = Connection::open(server).await?;
            talks.spawn(talk(client, connection, schedule, window, Arc::clone(&tally)));
        }
        while let Some(talk) = talks.join_next().await {
            talk??;
        }
        Ok(())
    };
    let done: Result<Result<()>, _> =
        runtime.block_on(async { timeout_at((window.end + PATIENCE).into(), talking).await });
    done.map_err(|_| "the server stopped answering")??;
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    if tally.latencies.is_empty() {
        return Err("nothing was answered in the time counted".into());
    }
    Ok(Measured {
        latencies: tally.latencies.clone(),
        seconds: (tally.end - window.counted_from).as_secs_f64(),
        answers: tally.answers,
    })
}

/// What the connections of a load count together. They share a thread, so none waits for another.
struct Tally {
    latencies: Histogram<u64>,
    answers: u64,
    /// Nothing is counted after it: the window's end, or when a connection had nothing more to say.
    end: Instant,
}

async fn talk(
    mut client: Box<dyn Client>,
    mut connection: Connection,
    mut schedule: Schedule,
    window: Window,
    tally: Arc<Mutex<Tally>>,
) -> Result<()> {
    loop {
        let begun = schedule.next().await;
        if begun >= window.end {
            return Ok(());
        }
        let Some(request) = client.request() else {
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.end = tally.end.min(begun);
            return Ok(());
        };
        let answer = connection.call(request).await?;
        let done = Instant::now();
        client.answered(&answer)?;
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.answers += 1;
        // By its end: an answer that takes longer than the window is still one answer in it.
        if done >= window.counted_from && done <= tally.end {
            let micros = u64::try_from((done - begun).as_micros()).unwrap_or(u64::MAX);
            tally.latencies.saturating_record(micros);
        }
    }
}

/// When a connection sends.
struct Schedule {
    /// Between two requests of this connection; none for as fast as answered.
    interval: Option<Duration>,
    due: Instant,
}

impl Schedule {
    fn new(pace: Pace, place: usize, clients: usize, start: Instant) -> Self {
        match pace {
            Pace::AsAnswered => Self { interval: None, due: start },
            Pace::PerSecond(rate) => {
                let between = Duration::from_secs(1).div_f64(f64::from(rate));
                let (place, clients) = (as_u32(place), as_u32(clients));
                Self { interval: Some(between * clients), due: start + between * place }
            }
        }
    }

    /// Waits until the next request is due; answers the instant from which its latency counts.
    ///
    /// That is when it was due, if the connection was still busy then: who waits in a queue waits. If the connection was
    /// idle it is when the timer woke it, for timers are only good for a millisecond.
    async fn next(&mut self) -> Instant {
        let now = Instant::now();
        let due = self.due;
        match self.interval {
            None if due <= now => now,
            None => wait_until(due).await,
            Some(interval) => {
                self.due += interval;
                if due <= now { due } else { wait_until(due).await }
            }
        }
    }
}

async fn wait_until(instant: Instant) -> Instant {
    sleep_until(instant.into()).await;
    Instant::now()
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_that_waited_for_its_connection_waited() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Pace::PerSecond(1_000), 3, 10, start);
        assert!(schedule.next().await >= start + Duration::from_millis(3));
        assert_eq!(schedule.due, start + Duration::from_millis(13));
        // The answer took longer than until the next one was due.
        schedule.due = start;
        assert_eq!(schedule.next().await, start);
    }
}

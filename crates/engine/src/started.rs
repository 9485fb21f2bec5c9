//! What the engine has once it started: a runtime of its own, so that a query that does not let go of its thread holds up neither timers nor
//! requests, on threads whose stacks are deep. All that recurses over a query is on them, and so is all that is made once: those who ask may
//! have small stacks, and a stack that overflows ends the process.

use std::num::NonZero;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::admission::Place;
use crate::error::{Phase, QueryError, classify};
use crate::functions::Functions;
use crate::options::Options;
use crate::session::Common;

/// The engine, started.
pub(crate) struct Started {
    _runtime: OwnRuntime,
    pub(crate) handle: Handle,
    pub(crate) functions: Functions,
    pub(crate) common: Common,
    pub(crate) threads: usize,
}

/// The threads of the engine.
struct OwnRuntime(Option<Runtime>);

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        // A runtime must not be waited for within another.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a thread with a deep stack gives. It is as deep as its query: where nobody takes it any more, it is dropped on such a thread, too.
struct Given<T: Send + 'static> {
    take: oneshot::Receiver<Result<T, QueryError>>,
    handle: Handle,
}

impl<T: Send + 'static> Drop for Given<T> {
    fn drop(&mut self) {
        self.take.close();
        if let Ok(given) = self.take.try_recv() {
            self.handle.spawn_blocking(move || drop(given));
        }
    }
}

/// Lowers this thread's priority. Where that is not allowed, queries run at the normal one.
#[cfg(target_os = "linux")]
fn give_way(niceness: i32) {
    // On Linux the "process" is the calling thread (setpriority(2), "C library/kernel differences").
    let _ = rustix::process::nice(niceness);
}

#[cfg(not(target_os = "linux"))]
fn give_way(_: i32) {}

impl Started {
    /// Functions, rules and sessions are made on a thread of the engine's own, too: that of the first query is any other's, whose stack may
    /// be small.
    pub(crate) async fn new(options: &Options) -> Result<Self, QueryError> {
        let threads = options
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, NonZero::get))
            .max(1);
        let niceness = options.niceness;
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            // For reading and planning, one for each query, and for pieces of files: what waits for others has threads of its own.
            .max_blocking_threads(options.concurrency.server.saturating_mul(2).max(8))
            .thread_stack_size(options.stack_bytes)
            .thread_name("queries")
            .on_thread_start(move || give_way(niceness))
            .enable_all()
            .build()
            .map_err(|_| QueryError::unavailable())?;
        let handle = runtime.handle().clone();
        let runtime = OwnRuntime(Some(runtime));
        let made = handle.spawn_blocking(|| {
            let functions = Functions::new();
            let common = Common::new(&functions).map_err(|error| classify(&error, Phase::Planning))?;
            Ok::<_, QueryError>((functions, common))
        });
        // It panicked.
        let (functions, common) = made.await.unwrap_or_else(|_| Err(QueryError::unavailable()))?;
        Ok(Self { _runtime: runtime, handle, functions, common, threads })
    }

    /// On a thread with a deep stack: neither parser nor planner may end the process.
    pub(crate) async fn on_thread<T: Send + 'static>(
        &self,
        place: &Arc<Place>,
        work: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let (give, take) = oneshot::channel();
        let mut given = Given { take, handle: self.handle.clone() };
        // The place is taken as long as the thread is, also when nobody waits any more.
        let place = Arc::clone(place);
        self.handle.spawn_blocking(move || {
            drop(give.send(work()));
            drop(place);
        });
        // Nothing is sent by a thread that panicked.
        (&mut given.take).await.unwrap_or_else(|_| Err(QueryError::denied()))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn queries_give_way_to_requests() {
        let before = getpriority_process(None);
        let started = Started::new(&Options { niceness: 5, ..Options::default() }).await.unwrap();
        let (of_tasks, of_files) = (
            started.handle.spawn(async { getpriority_process(None) }),
            started.handle.spawn_blocking(|| getpriority_process(None)),
        );
        let (of_tasks, of_files) = (of_tasks.await, of_files.await);
        let nicer = before.map(|before| (before + 5).min(19));
        assert_eq!((of_tasks.unwrap(), of_files.unwrap()), (nicer, nicer));
        assert_eq!(getpriority_process(None), before);
    }
}

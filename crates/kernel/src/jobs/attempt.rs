//! One attempt at anything, bounded in time, with panics caught.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    /// It said so.
    Error(E),
    /// It panicked, which is a defect.
    Panicked,
    /// It was stopped after that time.
    TookTooLong(Duration),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panicked => f.write_str("it panicked; the log has the place"),
            Self::TookTooLong(limit) => write!(f, "it took over {limit:?}"),
        }
    }
}

/// An error of an attempt.
pub(crate) trait AttemptError {
    /// Whether the attempt ended only because its node stops.
    fn is_stop(&self) -> bool {
        false
    }
}

/// Makes one attempt at a job, and measures it.
///
/// # Errors
/// [`Failure`].
#[expect(clippy::disallowed_methods, reason = "latency is measured, not decided upon")]
pub(crate) async fn attempt<T, E: AttemptError>(
    job: &'static str,
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure<E>> {
    let started = Instant::now();
    let work = AssertUnwindSafe(work).catch_unwind();
    let ended = match limit {
        Some(limit) => {
            tokio::time::timeout(limit, work).await.map_err(|_elapsed| Failure::TookTooLong(limit))
        }
        None => Ok(work.await),
    };
    let result = match ended {
        Ok(Ok(result)) => result.map_err(Failure::Error),
        Ok(Err(_panic)) => {
            tracing::error!(job, "a job panicked");
            Err(Failure::Panicked)
        }
        Err(failure) => Err(failure),
    };
    let word = match &result {
        Ok(_) => "done",
        Err(Failure::Error(error)) if error.is_stop() => "stopped",
        Err(_) => "failed",
    };
    metrics::histogram!("tidegate_job_duration_seconds", "job" => job, "result" => word)
        .record(started.elapsed().as_secs_f64());
    result
}

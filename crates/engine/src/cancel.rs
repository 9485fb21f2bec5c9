//! How a query ends before it is done: its caller, or its time.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::error::QueryError;

/// Cancels a query. Clones cancel the same one.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Sender<bool>);

impl Default for Cancel {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Cancel {
    /// Cancels it, now or before it starts.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.is_cancelled() { Err(QueryError::cancelled()) } else { Ok(()) }
    }

    async fn cancelled(&self) {
        let mut seen = self.0.subscribe();
        // We hold the sender: it is there.
        let _ = seen.wait_for(|cancelled| *cancelled).await;
    }
}

/// When a query has to end. Its timers are those of the caller's runtime, which queries do not hold up.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    cancel: Cancel,
    began: Instant,
    deadline: Option<Instant>,
}

impl Stop {
    pub(crate) fn new(cancel: Cancel, began: Instant, time: Duration) -> Self {
        Self { cancel, began, deadline: began.checked_add(time) }
    }

    /// Less time, counted from the beginning as well.
    pub(crate) fn sooner(&mut self, time: Duration) {
        let other = self.began.checked_add(time);
        self.deadline = match (self.deadline, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Ends when the query has to; says why.
    pub(crate) async fn over(&self) -> QueryError {
        let time = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => QueryError::cancelled(),
            () = time => QueryError::time(),
        }
    }

    /// Waits for what comes, but no longer than the query may take.
    pub(crate) async fn before<T>(&self, work: impl Future<Output = T>) -> Result<T, QueryError> {
        tokio::select! {
            biased;
            ended = self.over() => Err(ended),
            done = work => Ok(done),
        }
    }
}

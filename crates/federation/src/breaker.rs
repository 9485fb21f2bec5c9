//! What one provider that does not answer may cost: a few requests under way, and no more of them for a moment.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::error::FederationError;

/// Most requests to one provider at a time. Each takes a few seconds at most.
const AT_ONCE: usize = 32;
/// After so many failures in a row nobody asks for a while.
const FAILURES: u32 = 10;
/// For so long. Then one request tries again.
const PAUSE: Duration = Duration::from_secs(5);

/// Bounds the requests to one provider. A pause is measured on the monotonic clock: a wall clock that is set back must not make an hour of
/// five seconds.
pub(crate) struct Breaker {
    under_way: Semaphore,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    failures: u32,
    paused_until: Option<Instant>,
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { under_way: Semaphore::new(AT_ONCE), seen: Mutex::default() }
    }

    /// Lets a request through, or refuses it at once: nobody waits for a turn.
    pub(crate) fn enter(&self, what: &str, now: Instant) -> Result<SemaphorePermit<'_>, FederationError> {
        let refused = |why| Err(FederationError::Unavailable(format!("{what}: {why}")));
        let Ok(permit) = self.under_way.try_acquire() else {
            return refused("too many requests to the provider are under way");
        };
        let mut seen = self.lock();
        match seen.paused_until {
            Some(until) if now < until => refused("the provider did not answer lately"),
            Some(_) => {
                // One tries; the others wait for what becomes of it.
                seen.paused_until = Some(now + PAUSE);
                Ok(permit)
            }
            None => Ok(permit),
        }
    }

    /// Notes what became of a request: a provider that refuses it is there.
    pub(crate) fn note(&self, is_there: bool, now: Instant) {
        let mut seen = self.lock();
        if is_there {
            *seen = Seen::default();
            return;
        }
        seen.failures = seen.failures.saturating_add(1);
        if seen.failures >= FAILURES {
            seen.paused_until = Some(now + PAUSE);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_asks_a_provider_that_does_not_answer_but_one_now_and_then() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let breaker = Breaker::new();
        for _ in 0..FAILURES {
            drop(breaker.enter("token", at(0)).unwrap());
            breaker.note(false, at(0));
        }
        assert!(breaker.enter("token", at(4)).is_err());
        drop(breaker.enter("token", at(5)).unwrap());
        assert!(breaker.enter("token", at(5)).is_err(), "another one is trying");
        breaker.note(false, at(5));
        assert!(breaker.enter("token", at(9)).is_err());
        drop(breaker.enter("token", at(10)).unwrap());
        breaker.note(true, at(10));
        assert!(breaker.enter("token", at(10)).is_ok() && breaker.enter("token", at(10)).is_ok());
    }

    #[test]
    fn no_more_than_so_many_wait_for_one_provider() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        let mut waiting: Vec<_> = (0..AT_ONCE).map(|_| breaker.enter("token", now).unwrap()).collect();
        assert!(breaker.enter("token", now).is_err());
        drop(waiting.pop());
        assert!(breaker.enter("token", now).is_ok());
    }
}

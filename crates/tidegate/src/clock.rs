//! The clock of the system.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tidegate_domain::{Clock, Timestamp};

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "every other clock is this one, passed as an argument")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Measures how long something takes.
#[expect(clippy::disallowed_methods, reason = "measures work for an operator to read, decides nothing")]
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

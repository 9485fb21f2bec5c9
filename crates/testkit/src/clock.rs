//! Time that passes when the test says so.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_domain::{Clock, Timestamp};

/// A clock that only moves when a test advances it. Share it in an `Arc`.
#[derive(Debug)]
pub struct FakeClock(Mutex<Timestamp>);

impl FakeClock {
    /// When every test begins: 2026-01-05T09:00:00Z, a Monday.
    pub const START: Timestamp = Timestamp::from_seconds(1_767_603_600);

    /// A clock at [`FakeClock::START`].
    pub fn new() -> Self {
        Self(Mutex::new(Self::START))
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().expect("clock");
        *now = now.plus(by);
    }

    /// Sets the time, also to one in the past.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().expect("clock") = now;
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("clock")
    }
}

/// The real time, for what talks to servers that look at the real clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        Timestamp::from_micros(i64::try_from(since.as_micros()).expect("a time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_until_it_is_told_to_pass() {
        let clock = FakeClock::new();
        assert_eq!(clock.now().iso_seconds(), "2026-01-05T09:00:00Z");
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now().iso_millis(), "2026-01-05T09:00:01.500Z");
    }
}

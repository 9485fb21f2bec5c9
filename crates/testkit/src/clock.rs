//! Time that passes when the test says so.

use std::sync::Mutex;
use std::time::Duration;

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

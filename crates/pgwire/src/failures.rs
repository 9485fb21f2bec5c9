//! How often sign-ins failed of late, by network. In memory: a token cannot be guessed, so this bounds only what strangers cost. What is
//! counted durably, for passwords, is left alone: whoever has a wrong token in a tool must keep nobody from signing in elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_domain::Timestamp;

/// Failures of one network (an IPv4 address, an IPv6 /48) within a minute, after which nothing is looked at.
const MOST: u32 = 60;
/// The minute.
const WINDOW: Duration = Duration::from_secs(60);
/// Networks that are remembered before old ones are looked for.
const NETWORKS: usize = 10_000;

#[derive(Clone, Copy)]
struct Count {
    since: Timestamp,
    failures: u32,
}

/// Failures by network.
#[derive(Default)]
pub(crate) struct Failures(Mutex<HashMap<String, Count>>);

impl Failures {
    fn counts(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so many sign-ins of a network failed that the next one is not looked at.
    pub(crate) fn are_too_many(&self, network: &str, now: Timestamp) -> bool {
        let counts = self.counts();
        counts.get(network).is_some_and(|count| now.since(count.since) < WINDOW && count.failures >= MOST)
    }

    /// Counts one more.
    pub(crate) fn count(&self, network: String, now: Timestamp) {
        let mut counts = self.counts();
        if counts.len() >= NETWORKS {
            counts.retain(|_, count| now.since(count.since) < WINDOW);
        }
        let count = counts.entry(network).or_insert(Count { since: now, failures: 0 });
        if now.since(count.since) >= WINDOW {
            *count = Count { since: now, failures: 0 };
        }
        count.failures = count.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_fails_too_often_is_not_looked_at_for_a_minute() {
        let failures = Failures::default();
        let now = Timestamp::from_seconds(1_700_000_000);
        for _ in 0..MOST {
            assert!(!failures.are_too_many("192.0.2.1", now));
            failures.count("192.0.2.1".to_owned(), now);
        }
        assert!(failures.are_too_many("192.0.2.1", now));
        assert!(!failures.are_too_many("192.0.2.2", now));
        let later = now.plus(WINDOW);
        assert!(!failures.are_too_many("192.0.2.1", later));
        failures.count("192.0.2.1".to_owned(), later);
        assert!(!failures.are_too_many("192.0.2.1", later));
    }
}

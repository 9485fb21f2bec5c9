//! Which networks signed in lately.

use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use tidegate_domain::Timestamp;

/// How long a network is served first after a successful sign-in.
const AGE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Networks remembered, about 100 bytes each; the one whose success is the oldest is forgotten first.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(32_767);

/// Networks with a recent successful sign-in, each as a keyed hash.
pub(super) struct RecentSuccesses(LruCache<[u8; 32], Timestamp>);

impl RecentSuccesses {
    pub(super) fn new() -> Self {
        Self(LruCache::new(MOST))
    }

    pub(super) fn note(&mut self, network: [u8; 32], at: Timestamp) {
        self.0.put(network, at);
    }

    pub(super) fn contain(&self, network: &[u8; 32], now: Timestamp) -> bool {
        self.0.peek(network).is_some_and(|at| now.since(*at) < AGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_counts_for_a_week() {
        let (mut successes, week) = (RecentSuccesses::new(), 7 * 24 * 3_600);
        successes.note([1; 32], Timestamp::from_seconds(0));
        assert!(successes.contain(&[1; 32], Timestamp::from_seconds(week - 1)));
        assert!(!successes.contain(&[1; 32], Timestamp::from_seconds(week)));
        assert!(!successes.contain(&[2; 32], Timestamp::from_seconds(0)));
    }

    #[test]
    fn the_oldest_success_is_forgotten_where_there_are_too_many() {
        let mut successes = RecentSuccesses::new();
        for number in 0..=MOST.get() {
            let mut network = [0; 32];
            network[..8].copy_from_slice(&number.to_be_bytes());
            successes.note(network, Timestamp::from_seconds(0));
        }
        assert_eq!(successes.0.len(), MOST.get());
        assert!(!successes.contain(&[0; 32], Timestamp::from_seconds(0)));
    }
}

//! Randomness as an argument.

use uuid::Uuid;

use crate::Timestamp;

/// A source of random bytes. The program's is the operating system's; tests seed theirs.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `buffer` with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn Entropy {
    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A new row key: UUIDv7 (RFC 9562 section 5.7) of the instant `now`.
    pub fn uuid(&self, now: Timestamp) -> Uuid {
        uuid::Builder::from_unix_timestamp_millis(now.millis(), &self.bytes()).into_uuid()
    }

    /// A number below `bound`, each equally likely.
    pub fn below(&self, bound: u32) -> u32 {
        // Rejecting the incomplete last range keeps the remainder unbiased.
        let limit = u32::MAX - u32::MAX % bound.max(1);
        loop {
            let drawn = u32::from_le_bytes(self.bytes());
            if drawn < limit {
                return drawn % bound.max(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    #[test]
    fn row_keys_sort_by_the_time_they_were_made() {
        let entropy: &dyn Entropy = &Counting(AtomicU8::new(0));
        let early = entropy.uuid(Timestamp::from_seconds(1_700_000_000));
        let late = entropy.uuid(Timestamp::from_seconds(1_700_000_001));
        assert!(early < late);
        assert_eq!(early.get_version_num(), 7);
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let entropy: &dyn Entropy = &Counting(AtomicU8::new(0));
        assert!((0..1_000).all(|_| entropy.below(7) < 7));
    }
}

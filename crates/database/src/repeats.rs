//! What goes on failing is logged at growing intervals, with how often it has failed.

use std::sync::atomic::{AtomicU64, Ordering};

/// From here on the intervals grow no more.
const LARGEST: u64 = 1_024;

/// Counts failures in a row of one thing that is tried again and again.
#[derive(Debug, Default)]
pub struct Repeats(AtomicU64);

impl Repeats {
    /// Notes a failure. Answers how many there were in a row if this one is to be logged: the first, the second, the fourth, the eighth,
    /// and so on, and from the 1,024th on each 1,024th.
    pub fn failed(&self) -> Option<u64> {
        let times = self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        ((times.is_power_of_two() && times <= LARGEST) || times.is_multiple_of(LARGEST)).then_some(times)
    }

    /// Notes a success. Answers how many failures went before it.
    pub fn succeeded(&self) -> u64 {
        if self.0.load(Ordering::Relaxed) == 0 { 0 } else { self.0.swap(0, Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_are_told_ever_more_rarely_and_the_next_row_from_its_beginning() {
        let repeats = Repeats::default();
        let told: Vec<u64> = (0..4_000).filter_map(|_| repeats.failed()).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_072]);
        assert_eq!((repeats.succeeded(), repeats.succeeded()), (4_000, 0));
        assert_eq!(repeats.failed(), Some(1));
    }
}

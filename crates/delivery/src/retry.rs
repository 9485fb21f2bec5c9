//! When a failed delivery is tried again.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

/// Delays that grow by a factor up to a ceiling, for a bounded number of attempts.
///
/// The defaults wait 5, 10, 20, ... seconds, ten attempts within three quarters of an hour: a one-time code is worth
/// little after its ten minutes, and a mail server that greylists lets the second or third attempt through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// How often a message is tried in total. Then it is a dead letter.
    #[default(10)]
    pub max_attempts: u32,
    /// Seconds between the first attempt and the second.
    #[serde(with = "tidegate_domain::time::seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(5))]
    pub first_delay: Duration,
    /// How many times longer each delay is than the one before.
    #[default(2)]
    pub factor: u32,
    /// Longest delay in seconds.
    #[serde(with = "tidegate_domain::time::seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(3_600))]
    pub max_delay: Duration,
}

impl RetryPolicy {
    /// How long to wait after `attempts_so_far` attempts; `None` when that was the last one and the message is a dead
    /// letter. What was never tried is due at once.
    pub fn next(&self, attempts_so_far: u32) -> Option<Duration> {
        if attempts_so_far >= self.max_attempts {
            return None;
        }
        let Some(doublings) = attempts_so_far.checked_sub(1) else {
            return Some(Duration::ZERO);
        };
        let delay = self
            .factor
            .checked_pow(doublings)
            .and_then(|times| self.first_delay.checked_mul(times))
            .unwrap_or(self.max_delay);
        Some(delay.min(self.max_delay))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_doubles_from_five_seconds_and_gives_up_after_ten_attempts() {
        let policy = RetryPolicy::default();
        let delays: Vec<u64> =
            (0..).map_while(|attempts| policy.next(attempts)).map(|delay| delay.as_secs()).collect();
        assert_eq!(delays, [0, 5, 10, 20, 40, 80, 160, 320, 640, 1_280]);
    }

    #[test]
    fn configuration_names_what_it_changes_and_nothing_unknown() {
        let policy: RetryPolicy = serde_json::from_str(r#"{"max_attempts": 3, "first_delay": 60}"#).unwrap();
        assert_eq!(policy.next(2), Some(Duration::from_secs(120)));
        assert_eq!(policy.next(3), None);
        assert!(serde_json::from_str::<RetryPolicy>(r#"{"max_attempt": 3}"#).is_err());
    }

    proptest! {
        #[test]
        fn delays_grow_to_the_ceiling_and_end_with_the_last_attempt(
            max_attempts in 0_u32..60,
            first_delay in 0_u64..100_000,
            factor in 1_u32..1_000,
            max_delay in 0_u64..100_000,
        ) {
            let policy = RetryPolicy {
                max_attempts,
                first_delay: Duration::from_secs(first_delay),
                factor,
                max_delay: Duration::from_secs(max_delay),
            };
            let delays: Vec<Duration> = (0..=max_attempts).map_while(|attempts| policy.next(attempts)).collect();
            prop_assert_eq!(delays.len(), max_attempts as usize);
            prop_assert!(delays.is_sorted());
            prop_assert!(delays.iter().all(|delay| *delay <= policy.max_delay));
            prop_assert_eq!(policy.next(u32::MAX), None);
        }
    }
}

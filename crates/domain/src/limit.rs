//! Rate limits: how often something may happen.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::Timestamp;

/// At most `attempts` in any window of `window` that begins with the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many are accepted in the window.
    pub attempts: u32,
    /// Seconds until the count starts anew.
    #[serde(with = "crate::time::seconds")]
    #[schemars(with = "u64")]
    pub window: Duration,
}

/// Limits on mails and text messages, of all contracts and templates together. One that is absent does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct MessageLimits {
    /// Messages to one mailbox or phone.
    #[default(Some(Limit::new(12, 3_600)))]
    pub by_recipient: Option<Limit>,
    /// Messages caused from one client network.
    #[default(Some(Limit::new(100, 3_600)))]
    pub by_network: Option<Limit>,
    /// Messages caused by one signed-in account.
    #[default(Some(Limit::new(100, 3_600)))]
    pub by_account: Option<Limit>,
    /// Messages caused by all accounts signed in to one organization.
    #[default(Some(Limit::new(500, 3_600)))]
    pub by_organization: Option<Limit>,
}

impl MessageLimits {
    /// No limit at all.
    pub const NONE: Self =
        Self { by_recipient: None, by_network: None, by_account: None, by_organization: None };
}

/// The status of a caller under a [`Limit`]. Feeds the `X-RateLimit-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitStatus {
    /// The limit's number.
    pub limit: u32,
    /// How many more are accepted before the reset.
    pub remaining: u32,
    /// When the count starts anew.
    pub resets_at: Timestamp,
    /// Whether this one went over the limit.
    pub exceeded: bool,
}

/// A limit that was met, for the caller who met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which limit, and when it ends.
    pub status: LimitStatus,
    /// Whole seconds to wait.
    pub retry_after: u64,
}

impl Limit {
    /// `attempts` per `seconds`.
    pub const fn new(attempts: u32, seconds: u64) -> Self {
        Self { attempts, window: Duration::from_secs(seconds) }
    }

    /// A limit of that many times the attempts in the same window.
    #[must_use]
    pub const fn times(self, factor: u32) -> Self {
        Self { attempts: self.attempts.saturating_mul(factor), window: self.window }
    }

    /// Judges the `count`-th attempt of a window that ends at `resets_at`.
    pub fn judge(self, count: i64, resets_at: Timestamp) -> LimitStatus {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        LimitStatus {
            limit: self.attempts,
            remaining: self.attempts.saturating_sub(count),
            resets_at,
            exceeded: count > self.attempts,
        }
    }
}

impl LimitStatus {
    /// This status as met `now`.
    pub fn exceeded_at(self, now: Timestamp) -> Exceeded {
        Exceeded { status: self, retry_after: self.retry_after(now) }
    }

    /// Whole seconds a refused caller has to wait (`Retry-After`, RFC 9110 section 10.2.3); at least one.
    pub fn retry_after(&self, now: Timestamp) -> u64 {
        u64::try_from(self.resets_at.seconds_ceil() - now.seconds()).unwrap_or(0).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_pass_and_the_sixth_waits_for_the_window() {
        let limit = Limit::new(5, 900);
        let end = Timestamp::from_seconds(900);
        assert!(!limit.judge(5, end).exceeded);
        let sixth = limit.judge(6, end);
        assert!(sixth.exceeded);
        assert_eq!((sixth.remaining, sixth.retry_after(Timestamp::from_seconds(300))), (0, 600));
    }
}

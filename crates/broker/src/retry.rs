//! When a call to the broker is made again, and how the time until then is spent.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use tidegate_domain::Timestamp;

/// How often a call is made, and how far apart.
///
/// The defaults are the vendor library's: three attempts, three seconds apart. A broker that asks for more
/// patience than `max_delay` gets it from its caller: a client is waiting for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// How often a call is made in total.
    #[schemars(example = 3)]
    #[default(3)]
    pub max_attempts: u32,
    /// Seconds between two attempts where the broker names no time.
    #[serde(with = "tidegate_domain::time::seconds")]
    #[schemars(with = "u64", example = 3)]
    #[default(Duration::from_secs(3))]
    pub delay: Duration,
    /// Longest wait in seconds that the broker may ask for.
    #[serde(with = "tidegate_domain::time::seconds")]
    #[schemars(with = "u64", example = 10)]
    #[default(Duration::from_secs(10))]
    pub max_delay: Duration,
}

impl RetryPolicy {
    /// How long to wait after `attempts_so_far`, when the broker asked for `asked`; `None` to give up.
    pub fn next(&self, attempts_so_far: u32, asked: Option<Duration>) -> Option<Duration> {
        let delay = asked.unwrap_or(self.delay);
        (attempts_so_far < self.max_attempts && delay <= self.max_delay.max(self.delay)).then_some(delay)
    }
}

/// Lets time pass between two attempts. The program sleeps; tests take notes instead.
pub trait Wait: Send + Sync + 'static {
    /// Done after `delay`.
    fn wait(&self, delay: Duration) -> BoxFuture<'_, ()>;
}

/// Waits by the runtime's timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sleep;

impl Wait for Sleep {
    fn wait(&self, delay: Duration) -> BoxFuture<'_, ()> {
        tokio::time::sleep(delay).boxed()
    }
}

/// How long the broker asks to be left alone: `Retry-After` in seconds or as a date (RFC 9110 section
/// 10.2.3), else `x-ratelimit-reset` in seconds since the epoch.
pub(crate) fn asked_delay(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let until = |seconds: i64| Timestamp::from_seconds(seconds).since(now);
    let retry_after = text(RETRY_AFTER.as_str()).and_then(|text| match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?;
            Some(until(date.timestamp().as_second()))
        }
    });
    retry_after.or_else(|| text("x-ratelimit-reset")?.parse().ok().map(until))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(784_111_770);

    fn asked(headers: &[(&'static str, &str)]) -> Option<u64> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        asked_delay(&headers, NOW).map(|delay| delay.as_secs())
    }

    #[test]
    fn the_broker_may_ask_in_seconds_by_date_and_by_its_own_header() {
        assert_eq!(asked(&[("retry-after", "7")]), Some(7));
        assert_eq!(asked(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), Some(7));
        assert_eq!(asked(&[("x-ratelimit-reset", "784111775")]), Some(5));
        assert_eq!(asked(&[("x-ratelimit-reset", "1")]), Some(0));
        assert_eq!(asked(&[("retry-after", "2"), ("x-ratelimit-reset", "784111775")]), Some(2));
        assert_eq!(asked(&[("retry-after", "soon"), ("x-ratelimit-reset", "784111775")]), Some(5));
        assert_eq!(asked(&[("retry-after", "soon"), ("x-ratelimit-reset", "later")]), None);
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn patience_has_an_end() {
        let policy = RetryPolicy::default();
        let seconds = Duration::from_secs;
        assert_eq!(policy.next(1, None), Some(seconds(3)));
        assert_eq!(policy.next(2, Some(seconds(10))), Some(seconds(10)));
        assert_eq!(policy.next(2, Some(seconds(11))), None);
        assert_eq!(policy.next(3, None), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_ignored(after in "[ -~]{0,40}", reset in "[0-9-]{0,25}") {
            asked(&[("retry-after", &after), ("x-ratelimit-reset", &reset)]);
        }
    }
}

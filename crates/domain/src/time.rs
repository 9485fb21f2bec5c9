//! Instants and the clock.

use std::time::Duration;

use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Serialize};

/// Tells the time. The program owns one; tests own another.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// An instant: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

const MICROS_PER_SECOND: i64 = 1_000_000;

impl Timestamp {
    /// The instant `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The instant `seconds` seconds after the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// The instant in RFC 3339 form, with any offset. None for what is no instant.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|instant| Self(instant.as_microsecond()))
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, rounded down; zero before it.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.div_euclid(1_000)).unwrap_or(0)
    }

    /// Seconds since the Unix epoch, rounded down. The unit of JWT dates (RFC 7519 section 2).
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// The instant `seconds` seconds after the Unix epoch, for wires that count in fractions. None for what is no instant.
    pub fn from_fractional_seconds(seconds: f64) -> Option<Self> {
        // Exact far beyond any date: 2^53 microseconds are 285 years.
        let micros = (seconds * MICROS_PER_SECOND as f64).round();
        (micros.is_finite() && micros.abs() < 9.0e18).then_some(Self(micros as i64))
    }

    /// Seconds since the Unix epoch with their fraction.
    pub fn fractional_seconds(self) -> f64 {
        self.0 as f64 / MICROS_PER_SECOND as f64
    }

    /// Seconds since the Unix epoch, rounded up: for deadlines a client waits for.
    pub fn seconds_ceil(self) -> i64 {
        self.seconds() + i64::from(self.0.rem_euclid(MICROS_PER_SECOND) != 0)
    }

    /// This instant `by` later, at most the end of time.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros_of(by)))
    }

    /// This instant `by` earlier.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros_of(by)))
    }

    /// How long after `earlier` this instant is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// ISO 8601, UTC, second precision: `2024-01-01T12:00:00Z`.
    pub fn iso_seconds(self) -> String {
        self.iso(0)
    }

    /// ISO 8601, UTC, millisecond precision: `2024-01-01T12:00:00.000Z`.
    pub fn iso_millis(self) -> String {
        self.iso(3)
    }

    /// ISO 8601, UTC, microsecond precision: `2024-01-01T12:00:00.000000Z`.
    pub fn iso_micros(self) -> String {
        self.iso(6)
    }

    /// With so many decimals of a second; what is finer is cut off.
    fn iso(self, decimals: u8) -> String {
        let instant = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        DateTimePrinter::new().precision(Some(decimals)).timestamp_to_string(&instant)
    }

    pub(crate) fn format(self, pattern: &str) -> String {
        let instant = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        instant.strftime(pattern).to_string()
    }
}

fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Durations as whole seconds in configuration.
pub mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes whole seconds.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.as_secs())
    }

    /// Reads whole seconds.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

/// Serialises a duration that may be left out as whole seconds.
pub(crate) mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_contract_gets_its_precision() {
        let instant = Timestamp::from_micros(1_704_110_400_123_456);
        assert_eq!(instant.iso_seconds(), "2024-01-01T12:00:00Z");
        assert_eq!(instant.iso_millis(), "2024-01-01T12:00:00.123Z");
        assert_eq!(instant.iso_micros(), "2024-01-01T12:00:00.123456Z");
        let before_the_epoch = Timestamp::from_micros(-1_500);
        assert_eq!(before_the_epoch.iso_millis(), "1969-12-31T23:59:59.998Z");
        assert_eq!(Timestamp::from_seconds(0).iso_millis(), "1970-01-01T00:00:00.000Z");
        // What is finer is cut off: nothing lies ahead of when it was.
        let almost = Timestamp::from_micros(999_999);
        assert_eq!(almost.iso_seconds(), "1970-01-01T00:00:00Z");
        assert_eq!(almost.iso_millis(), "1970-01-01T00:00:00.999Z");
        assert_eq!(Timestamp::from_seconds(-30_641_760_000).iso_seconds(), "0999-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_seconds(253_402_207_200).iso_micros(), "9999-12-30T22:00:00.000000Z");
        // Beyond what has a date.
        assert_eq!(Timestamp::from_micros(i64::MAX).iso_seconds(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_rfc3339("2024-01-01T15:00:00.123456+03:00"), Some(instant));
        assert_eq!(Timestamp::from_rfc3339("2024-01-01"), None);
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::from_seconds(1).since(end), Duration::ZERO);
    }

    #[test]
    fn a_deadline_is_rounded_up_to_the_second_a_client_may_come_back() {
        assert_eq!(Timestamp::from_micros(1_000_001).seconds_ceil(), 2);
        assert_eq!(Timestamp::from_seconds(2).seconds_ceil(), 2);
    }
}

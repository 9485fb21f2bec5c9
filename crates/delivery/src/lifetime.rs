//! How long what a message brings is valid.

use std::time::Duration;

use serde_json::{Value, json};

/// A lifetime in minutes, as templates have it in `minutes`: whole ones, rounded down. Under one minute it is a fraction, of which the filter `duration`
/// makes seconds; operators' own templates use both.
pub fn minutes(lifetime: Duration) -> Value {
    match lifetime.as_secs() {
        seconds @ 0..60 => json!(Duration::from_secs(seconds).as_secs_f64() / 60.0),
        seconds => json!(seconds / 60),
    }
}

/// The lifetime of which [`minutes`] made a number.
pub(crate) fn of_minutes(minutes: f64) -> Duration {
    Duration::try_from_secs_f64((minutes * 60.0).round()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_come_back_as_they_were() {
        for seconds in 0..60 {
            let lifetime = Duration::from_secs(seconds);
            assert_eq!(of_minutes(minutes(lifetime).as_f64().unwrap()), lifetime);
        }
        assert_eq!(minutes(Duration::from_secs(60)), json!(1));
        assert_eq!(minutes(Duration::from_secs(629)), json!(10));
        assert_eq!(of_minutes(10.0), Duration::from_secs(600));
        for nonsense in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(of_minutes(nonsense), Duration::ZERO);
        }
    }
}

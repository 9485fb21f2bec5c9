//! Dates of birth.

use std::fmt;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A date of birth. It helps identity theft: shown to the account owner and the broker only.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DateOfBirth(Date);

/// The text is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a date such as 1980-01-31")]
pub struct InvalidDate;

impl DateOfBirth {
    /// Reads `YYYY-MM-DD`.
    ///
    /// # Errors
    /// [`InvalidDate`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidDate> {
        // The library reads other spellings too, such as 19800131.
        let is_plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        text.parse().ok().filter(|_| is_plain).map(Self).ok_or(InvalidDate)
    }

    /// The instant at which the day begins where clocks are `east` of UTC.
    pub fn begins(self, east: Duration) -> Timestamp {
        let midnight = self.0.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp().as_microsecond());
        Timestamp::from_micros(midnight.unwrap_or_default()).minus(east)
    }
}

impl TryFrom<String> for DateOfBirth {
    type Error = InvalidDate;

    fn try_from(text: String) -> Result<Self, InvalidDate> {
        Self::parse(&text)
    }
}

impl From<DateOfBirth> for String {
    fn from(born: DateOfBirth) -> Self {
        born.0.to_string()
    }
}

impl fmt::Debug for DateOfBirth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DateOfBirth")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_day_in_nairobi_begins_on_the_day_before_in_utc() {
        let born = DateOfBirth::parse("1980-01-01").unwrap();
        assert_eq!(born.begins(Duration::from_secs(3 * 3_600)).iso_micros(), "1979-12-31T21:00:00.000000Z");
        assert_eq!(serde_json::to_string(&born).unwrap(), "\"1980-01-01\"");
        assert!(!format!("{born:?}").contains("1980"));
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "1980-1-1",
            "19800101",
            "1980-02-30",
            "1980-01-01T00:00",
            "80-01-01",
            "-980-01-01",
            "+1980-1-1",
        ] {
            assert_eq!(DateOfBirth::parse(text), Err(InvalidDate), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_day_or_none(text in "[0-9-]{0,12}|\\PC{0,12}") {
            if let Ok(born) = DateOfBirth::parse(&text) {
                prop_assert_eq!(serde_json::to_string(&born).unwrap(), format!("\"{text}\""));
                born.begins(Duration::from_secs(3_600));
            }
        }
    }
}

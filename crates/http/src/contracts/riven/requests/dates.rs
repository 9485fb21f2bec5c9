//! Dates and instants as the broker writes them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use tidegate_domain::Timestamp;

/// A day of the calendar, `YYYY-MM-DD`. None for any other spelling and for days that never were.
pub(super) fn date(text: &str) -> Option<Date> {
    // The parser takes more of ISO 8601 than the broker does.
    is_like(text, "0000-00-00").then(|| text.parse().ok())?
}

/// The day it is at `now` in UTC.
pub(super) fn day_of(now: Timestamp) -> Date {
    let now = jiff::Timestamp::from_microsecond(now.micros()).unwrap_or_default();
    TimeZone::UTC.to_datetime(now).date()
}

/// Whether `text` is an instant of RFC 3339 section 5.6: `2024-01-01T12:00:00.5Z`, `2024-01-01T15:00:00+03:00`.
pub(super) fn is_instant(text: &str) -> bool {
    let Some((seconds, rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else {
        return false;
    };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    is_like(seconds, "0000-00-00T00:00:00")
        && (zone == "Z" || is_like(zone, "+00:00") || is_like(zone, "-00:00"))
        && text.parse::<jiff::Timestamp>().is_ok()
}

/// Whether `text` is `pattern`, each of its zeros replaced by any digit.
fn is_like(text: &str, pattern: &str) -> bool {
    let same = |(c, pattern): (u8, u8)| if pattern == b'0' { c.is_ascii_digit() } else { c == pattern };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_days_that_were_are_dates() {
        assert_eq!(date("1980-01-01"), Some(jiff::civil::date(1980, 1, 1)));
        assert_eq!(date("2024-02-29"), Some(jiff::civil::date(2024, 2, 29)));
        for text in [
            "2023-02-29",
            "1980-13-01",
            "1980-00-10",
            "1980-1-1",
            "19800101",
            "01-01-1980",
            "1980-01-01T00:00:00Z",
            "-001980-01-01",
            "1980-01-0\u{661}",
            " 1980-01-01",
            "",
        ] {
            assert_eq!(date(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_instants_of_rfc_3339_are_instants() {
        for text in [
            "2020-09-11T18:09:33Z",
            "2020-09-11T18:09:33.123456789Z",
            "2020-09-11T21:09:33+03:00",
            "2020-09-11T18:09:33.1-00:00",
            "2016-12-31T23:59:60Z",
        ] {
            assert!(is_instant(text), "{text:?}");
        }
        for text in [
            "",
            "2020-09-11",
            "2020-09-11T18:09:33",
            "2020-09-11T18:09Z",
            "2020-09-11T18:09:33.Z",
            "2020-09-11T18:09:33,5Z",
            "2020-09-11T25:09:33Z",
            "2020-02-30T18:09:33Z",
            "2020-09-11T18:09:33+03",
            "2020-09-11T18:09:33Z[Africa/Nairobi]",
            "2020-09-11T18:09:33\u{e9}",
            "1599847773",
        ] {
            assert!(!is_instant(text), "{text:?}");
        }
    }

    #[test]
    fn the_day_is_that_of_utc() {
        assert_eq!(day_of(Timestamp::from_seconds(1_704_110_400)), jiff::civil::date(2024, 1, 1));
        day_of(Timestamp::from_micros(i64::MAX));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,40}") {
            date(&text);
            is_instant(&text);
        }

        #[test]
        fn any_digits_are_read_or_refused_without_a_panic(
            text in "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,30})?(Z|[+-][0-9]{2}:[0-9]{2}))?",
        ) {
            if let Some(date) = date(&text) {
                prop_assert_eq!(date.to_string(), text.clone());
            }
            is_instant(&text);
        }
    }
}

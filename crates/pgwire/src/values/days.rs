//! Days and times as PostgreSQL writes them (`datestyle` ISO), for every day that Arrow can hold.

use std::fmt::Write;

/// Days from 1970 to 2000, the first day that PostgreSQL counts.
pub(crate) const EPOCH_DAYS: i64 = 10_957;
/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// Year, month and day of a day counted from 1970, in the proleptic Gregorian calendar; year 0 is 1 BC.
fn civil(days: i64) -> (i64, i64, i64) {
    // Days are counted from a March the first, so that leap days are the last ones of their years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// A day, and whether it is before the year 1.
fn day_text(days: i64) -> (String, bool) {
    let (year, month, day) = civil(days);
    let is_before = year < 1;
    let year = if is_before { 1 - year } else { year };
    (format!("{year:04}-{month:02}-{day:02}"), is_before)
}

/// A date.
pub(crate) fn date(days: i64) -> String {
    let (mut text, is_before) = day_text(days);
    if is_before {
        text.push_str(" BC");
    }
    text
}

/// A time of the day, in microseconds.
pub(crate) fn time(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    text
}

/// An instant in microseconds since 1970, of UTC where it has a time zone.
pub(crate) fn timestamp(micros: i64, is_zoned: bool) -> String {
    let (day, is_before) = day_text(micros.div_euclid(DAY));
    let zone = if is_zoned { "+00" } else { "" };
    let era = if is_before { " BC" } else { "" };
    format!("{day} {}{zone}{era}", time(micros.rem_euclid(DAY)))
}

/// An interval (`intervalstyle` postgres).
pub(crate) fn interval(months: i32, days: i32, micros: i64) -> String {
    let mut text = String::new();
    let (years, rest) = (months / 12, months % 12);
    for (number, one, many) in [(years, "year", "years"), (rest, "mon", "mons"), (days, "day", "days")] {
        if number != 0 {
            let unit = if number == 1 { one } else { many };
            let _ = write!(text, "{number} {unit} ");
        }
    }
    if micros != 0 || text.is_empty() {
        let sign = if micros < 0 { "-" } else { "" };
        let magnitude = i64::try_from(micros.unsigned_abs()).unwrap_or(i64::MAX);
        text.push_str(sign);
        text.push_str(&time(magnitude));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_and_instants_are_written_as_postgresql_does() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(EPOCH_DAYS), "2000-01-01");
        assert_eq!(date(-719_528), "0001-01-01 BC");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(timestamp(1_700_000_000_120_000, false), "2023-11-14 22:13:20.12");
        assert_eq!(timestamp(-1, true), "1969-12-31 23:59:59.999999+00");
        assert_eq!(time(86_399_000_000), "23:59:59");
        assert_eq!(interval(14, 3, 3_723_000_000), "1 year 2 mons 3 days 01:02:03");
        assert_eq!(interval(0, 0, 0), "00:00:00");
        assert_eq!(interval(0, -1, -1_000_000), "-1 days -00:00:01");
    }

    proptest! {
        #[test]
        fn every_day_has_a_text(days in any::<i32>(), micros in any::<i64>(), months in any::<i32>()) {
            prop_assert!(!date(i64::from(days)).is_empty());
            prop_assert!(!timestamp(micros, true).is_empty());
            prop_assert!(!interval(months, days, micros).is_empty());
        }
    }
}

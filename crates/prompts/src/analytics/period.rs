//! Periods, and their days in a time zone.

use jiff::tz::TimeZone;
use tidegate_domain::Timestamp;

use crate::PromptRefusal;

/// A quarter of an hour, in microseconds.
const QUARTER: i64 = 900 * 1_000_000;
/// Longest period, in days.
const MAX_DAYS: i64 = 3_660;

/// A period in quarters of an hour since 1970: from the first, up to the end, which is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quarters {
    pub(crate) first: i64,
    pub(crate) end: i64,
}

/// The quarter of an hour that an instant is in.
pub(crate) const fn quarter_of(instant: Timestamp) -> i64 {
    instant.micros().div_euclid(QUARTER)
}

/// Quarters of a day of UTC.
const OF_DAY: i64 = 96;

impl Quarters {
    /// The quarter alone.
    pub(crate) const fn only(quarter: i64) -> Self {
        Self { first: quarter, end: quarter + 1 }
    }

    /// From an instant to another, each with all of its quarter.
    pub(crate) const fn around(from: Timestamp, to: Timestamp) -> Self {
        Self { first: quarter_of(from), end: quarter_of(to) + 1 }
    }

    /// All of a day of UTC, since 1970.
    pub(crate) const fn of_day(day: i64) -> Self {
        Self { first: day * OF_DAY, end: (day + 1) * OF_DAY }
    }

    /// The whole days of UTC in it, as days since 1970, and what is before and after them.
    pub(crate) const fn by_days(self) -> (Self, (i64, i64), Self) {
        let first = (self.first + OF_DAY - 1).div_euclid(OF_DAY);
        let end = self.end.div_euclid(OF_DAY);
        if first >= end {
            return (self, (0, 0), Self { first: self.end, end: self.end });
        }
        let before = Self { first: self.first, end: first * OF_DAY };
        (before, (first, end), Self { first: end * OF_DAY, end: self.end })
    }
}

/// The day of UTC that a quarter is in, since 1970.
pub(crate) const fn day_of_utc(quarter: i64) -> i64 {
    quarter.div_euclid(OF_DAY)
}

/// When a quarter begins.
pub(crate) const fn begin_of(quarter: i64) -> Timestamp {
    Timestamp::from_micros(quarter.saturating_mul(QUARTER))
}

/// A day of a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    /// `YYYY-MM-DD`.
    pub(crate) date: String,
    pub(crate) quarters: Quarters,
}

/// Some days of a time zone, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Days {
    pub(crate) zone: TimeZone,
    pub(crate) days: Vec<Day>,
}

/// The time zone of that name of the IANA database; UTC when none is given.
///
/// # Errors
/// [`PromptRefusal::Period`].
pub(crate) fn zone(name: Option<&str>) -> Result<TimeZone, PromptRefusal> {
    match name {
        None => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(name).map_err(|_| {
            PromptRefusal::Period("time_zone must be a name of the IANA database, such as Europe/Berlin")
        }),
    }
}

impl Days {
    /// The last `count` days, today included.
    pub(crate) fn last(count: i64, zone: TimeZone, now: Timestamp) -> Result<Self, PromptRefusal> {
        let today = date_of(now, &zone)?;
        let first = today.checked_sub(jiff::Span::new().days(count - 1)).map_err(|_| no_date())?;
        Self::between(first, today, zone)
    }

    /// From a date to another, which is in it.
    pub(crate) fn between(
        first: jiff::civil::Date,
        last: jiff::civil::Date,
        zone: TimeZone,
    ) -> Result<Self, PromptRefusal> {
        if last < first {
            return Err(PromptRefusal::Period("end_date must not be before start_date"));
        }
        let mut days = Vec::new();
        let mut date = first;
        let mut begin = begin_of_day(date, &zone)?;
        while date <= last {
            if i64::try_from(days.len()).unwrap_or(i64::MAX) >= MAX_DAYS {
                return Err(PromptRefusal::Period("the period must be at most ten years"));
            }
            let next = date.tomorrow().map_err(|_| no_date())?;
            let end = begin_of_day(next, &zone)?;
            let quarters = Quarters { first: quarter_of(begin), end: quarter_of(end) };
            days.push(Day { date: date.to_string(), quarters });
            (date, begin) = (next, end);
        }
        Ok(Self { zone, days })
    }

    /// All of it.
    pub(crate) fn whole(&self) -> Quarters {
        let first = self.days.first().map_or(0, |day| day.quarters.first);
        Quarters { first, end: self.days.last().map_or(first, |day| day.quarters.end) }
    }

    /// The period of equal length before it.
    pub(crate) fn before(&self) -> Quarters {
        let whole = self.whole();
        Quarters { first: whole.first - (whole.end - whole.first), end: whole.first }
    }

    /// The place of the day that a quarter is in.
    pub(crate) fn day_of(&self, quarter: i64) -> Option<usize> {
        let after = self.days.partition_point(|day| day.quarters.first <= quarter);
        let place = after.checked_sub(1)?;
        self.days.get(place).filter(|day| quarter < day.quarters.end).map(|_| place)
    }

    /// The hour of its day that a quarter is in.
    pub(crate) fn hour_of(&self, quarter: i64) -> usize {
        let instant = jiff::Timestamp::from_microsecond(begin_of(quarter).micros()).unwrap_or_default();
        usize::try_from(instant.to_zoned(self.zone.clone()).hour()).unwrap_or(0)
    }
}

const fn no_date() -> PromptRefusal {
    PromptRefusal::Period("the date is out of range")
}

fn date_of(instant: Timestamp, zone: &TimeZone) -> Result<jiff::civil::Date, PromptRefusal> {
    let instant = jiff::Timestamp::from_microsecond(instant.micros()).map_err(|_| no_date())?;
    Ok(instant.to_zoned(zone.clone()).date())
}

/// When a day begins: where midnight is skipped, a little later.
fn begin_of_day(date: jiff::civil::Date, zone: &TimeZone) -> Result<Timestamp, PromptRefusal> {
    let begin = date.to_zoned(zone.clone()).map_err(|_| no_date())?;
    Ok(Timestamp::from_micros(begin.timestamp().as_microsecond()))
}

/// A date of an ISO 8601 text: a date, or an instant, which is on a day of the zone.
///
/// # Errors
/// [`PromptRefusal::Period`].
pub(crate) fn date(text: &str, zone: &TimeZone) -> Result<jiff::civil::Date, PromptRefusal> {
    let wrong = PromptRefusal::Period("dates must be of ISO 8601, such as 2024-01-31");
    match Timestamp::from_rfc3339(text) {
        Some(instant) => date_of(instant, zone),
        None if text.len() == 10 => text.parse().map_err(|_| wrong),
        None => Err(wrong),
    }
}

/// An instant of an ISO 8601 text: an instant, or the beginning of a day of UTC.
///
/// # Errors
/// [`PromptRefusal::Period`].
pub(crate) fn instant(text: &str) -> Result<Timestamp, PromptRefusal> {
    match Timestamp::from_rfc3339(text) {
        Some(instant) => Ok(instant),
        None => begin_of_day(date(text, &TimeZone::UTC)?, &TimeZone::UTC),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Zones of odd offsets, and of odd changes of the clocks.
    const ZONES: [&str; 12] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Asia/Kathmandu",
        "Asia/Tehran",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Asia/Pyongyang",
    ];

    proptest! {
        /// What sums by quarters stand on: no day and no hour of any zone begins within one. Before 2012 clocks were changed at 00:01
        /// in some; there are no sums of then.
        #[test]
        fn a_quarter_is_of_the_day_and_the_hour_of_all_that_is_in_it(
            micros in 1_704_067_200_000_000_i64..2_524_608_000_000_000,
            place in 0..ZONES.len(),
            around in 0_i64..4,
        ) {
            let zone = zone(Some(ZONES[place])).unwrap();
            let instant = Timestamp::from_micros(micros);
            let civil = jiff::Timestamp::from_microsecond(micros).unwrap().to_zoned(zone.clone());
            let first = civil.date().checked_sub(jiff::Span::new().days(around)).unwrap();
            let last = civil.date().checked_add(jiff::Span::new().days(around)).unwrap();
            let days = Days::between(first, last, zone).unwrap();
            let day = days.day_of(quarter_of(instant)).unwrap();
            prop_assert_eq!(&days.days[day].date, &civil.date().to_string());
            prop_assert_eq!(days.hour_of(quarter_of(instant)), usize::try_from(civil.hour()).unwrap());
            // Days follow one another without a gap.
            prop_assert!(days.days.windows(2).all(|two| two[0].quarters.end == two[1].quarters.first));
        }

        #[test]
        fn whole_days_and_what_is_around_them_are_the_period(first in -500_i64..500, length in 0_i64..700) {
            let period = Quarters { first, end: first + length };
            let (before, (day, end), after) = period.by_days();
            for quarter in first - 200..first + length + 200 {
                let within = |part: Quarters| i32::from(part.first <= quarter && quarter < part.end);
                let of_days = i32::from(day <= day_of_utc(quarter) && day_of_utc(quarter) < end);
                prop_assert_eq!(within(before) + of_days + within(after), within(period));
            }
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).unwrap()
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let now = at("2026-03-29T22:30:00Z");
        let utc = Days::last(2, zone(None).unwrap(), now).unwrap();
        assert_eq!(
            utc.days.iter().map(|day| day.date.as_str()).collect::<Vec<_>>(),
            ["2026-03-28", "2026-03-29"]
        );
        let berlin = Days::last(2, zone(Some("Europe/Berlin")).unwrap(), now).unwrap();
        assert_eq!(
            berlin.days.iter().map(|day| day.date.as_str()).collect::<Vec<_>>(),
            ["2026-03-29", "2026-03-30"]
        );
        // The clocks were put forward that day: it has 23 hours.
        let first = berlin.days[0].quarters;
        assert_eq!(first.end - first.first, 23 * 4);
        assert_eq!(berlin.day_of(quarter_of(at("2026-03-29T21:59:59Z"))), Some(0));
        assert_eq!(berlin.day_of(quarter_of(at("2026-03-29T22:00:00Z"))), Some(1));
        assert_eq!(berlin.day_of(quarter_of(at("2026-03-30T22:00:00Z"))), None);
        assert_eq!(berlin.hour_of(quarter_of(at("2026-03-29T22:00:00Z"))), 0);
        // Zones of odd offsets are whole quarters, too.
        let nepal = Days::last(1, zone(Some("Asia/Kathmandu")).unwrap(), now).unwrap();
        assert_eq!(begin_of(nepal.days[0].quarters.first), at("2026-03-29T18:15:00Z"));
    }

    #[test]
    fn the_period_before_is_as_long() {
        let days = Days::last(7, TimeZone::UTC, at("2026-11-29T12:00:00Z")).unwrap();
        let (whole, before) = (days.whole(), days.before());
        assert_eq!((before.end, before.end - before.first), (whole.first, whole.end - whole.first));
    }

    #[test]
    fn impossible_dates_and_zones_are_refused() {
        for wrong in [
            "",
            "2026-02-30",
            "2026-13-01",
            "yesterday",
            "20260101",
            "2026-1-1",
            "99999-01-01",
            "2026-01-01T25:00:00Z",
        ] {
            assert!(date(wrong, &TimeZone::UTC).is_err(), "{wrong}");
        }
        assert!(zone(Some("Europe/Atlantis")).is_err());
        let day = |text| date(text, &TimeZone::UTC).unwrap();
        assert!(Days::between(day("2026-01-02"), day("2026-01-01"), TimeZone::UTC).is_err());
        assert!(Days::between(day("1900-01-01"), day("2026-01-01"), TimeZone::UTC).is_err());
        assert_eq!(Days::between(day("2026-01-01"), day("2026-01-01"), TimeZone::UTC).unwrap().days.len(), 1);
        assert_eq!(instant("2026-01-01").unwrap(), at("2026-01-01T00:00:00Z"));
    }
}

//! Times of day at which a rule holds.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use crate::RuleError;
use crate::condition::clock;

/// From `start` until before `end`, each day or on some. An end before the start is on the next day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    start: Time,
    end: Time,
    zone: TimeZone,
    /// Days on which it starts; all if empty.
    days: Vec<Weekday>,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl TimeWindow {
    /// Reads `{"start": "09:00", "end": "17:30", "timezone": "Europe/Berlin", "days": ["mon"]}`. Without a zone it is UTC.
    ///
    /// # Errors
    /// Names the field.
    pub fn parse(config: &Json) -> Result<Self, RuleError> {
        let field = |name: &str| format!("rule_config.time_window.{name}");
        let known = ["start", "end", "timezone", "days"];
        let mut members = config.as_object().into_iter().flat_map(serde_json::Map::keys);
        if let Some(name) = members.find(|name| !known.contains(&name.as_str())) {
            return Err(RuleError::new(field(name), format!("is not known here; {} are", known.join(", "))));
        }
        let time = |name: &str| {
            let text = config.get(name).and_then(Json::as_str).unwrap_or_default();
            clock(text).ok_or_else(|| RuleError::new(field(name), "must be a time of day such as 09:00"))
        };
        let (start, end) = (time("start")?, time("end")?);
        if start == end {
            return Err(RuleError::new(field("end"), "must not equal start"));
        }
        let zone = match config.get("timezone") {
            None | Some(Json::Null) => TimeZone::UTC,
            Some(name) => name
                .as_str()
                .filter(|name| !name.is_empty() && name.len() <= 64)
                .and_then(|name| TimeZone::get(name).ok())
                .ok_or_else(|| RuleError::new(field("timezone"), "must be a zone such as Europe/Berlin"))?,
        };
        Ok(Self { start, end, zone, days: days(config.get("days"))? })
    }

    /// Whether it is open at a point in time, in milliseconds since 1970-01-01. Not at one beyond the calendar.
    pub fn is_open(&self, now_millis: i64) -> bool {
        let Ok(now) = jiff::Timestamp::from_millisecond(now_millis) else { return false };
        let local = self.zone.to_datetime(now);
        let (today, time) = (local.date().weekday(), local.time());
        let starts_on = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        if self.start < self.end {
            return starts_on(today) && self.start <= time && time < self.end;
        }
        (starts_on(today) && self.start <= time) || (starts_on(today.previous()) && time < self.end)
    }

    /// When it is open, and what its clock shows at a point in time: `mon, tue 09:00-17:30 Europe/Berlin; it is sun 12:05`.
    pub(crate) fn told(&self, now_millis: i64) -> String {
        let days: Vec<&str> = self.days.iter().map(|day| name(*day)).collect();
        let blank = if days.is_empty() { "" } else { " " };
        let zone = self.zone.iana_name().unwrap_or_default();
        let open = format!("{}{blank}{}-{} {zone}", days.join(", "), short(self.start), short(self.end));
        let Ok(now) = jiff::Timestamp::from_millisecond(now_millis) else { return open };
        let local = self.zone.to_datetime(now);
        let (day, hour, minute) = (name(local.date().weekday()), local.hour(), local.minute());
        format!("{open}; it is {day} {hour:02}:{minute:02}")
    }
}

fn name(day: Weekday) -> &'static str {
    DAYS.iter().find(|(_, known)| *known == day).map_or("", |(name, _)| *name)
}

/// A time of day without seconds where they are zero.
fn short(time: Time) -> String {
    let text = time.to_string();
    text.strip_suffix(":00").unwrap_or(&text).to_owned()
}

fn days(config: Option<&Json>) -> Result<Vec<Weekday>, RuleError> {
    let wrong = || {
        RuleError::new(
            "rule_config.time_window.days",
            r#"must be a list of mon, tue, wed, thu, fri, sat, sun, as ["mon", "tue"]"#,
        )
    };
    let listed = match config {
        None | Some(Json::Null) => return Ok(Vec::new()),
        Some(listed) => {
            listed.as_array().filter(|days| !days.is_empty() && days.len() <= 7).ok_or_else(wrong)?
        }
    };
    let known = |day: &Json| {
        let name = day.as_str()?.to_lowercase();
        DAYS.iter().find(|(known, _)| *known == name).map(|(_, day)| *day)
    };
    listed.iter().map(known).collect::<Option<_>>().ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(window: &Json, at: &str) -> bool {
        let at: jiff::Timestamp = at.parse().unwrap();
        TimeWindow::parse(window).unwrap().is_open(at.as_millisecond())
    }

    #[test]
    fn windows_open_by_the_clock_of_their_zone() {
        let berlin = json!({ "start": "09:00", "end": "17:00", "timezone": "Europe/Berlin" });
        // Summer is two hours ahead of UTC, winter one.
        assert!(open(&berlin, "2024-07-01T07:00:00Z") && !open(&berlin, "2024-07-01T06:59:59Z"));
        assert!(!open(&berlin, "2024-01-01T07:00:00Z") && open(&berlin, "2024-01-01T08:00:00Z"));
        assert!(open(&berlin, "2024-07-01T14:59:59Z") && !open(&berlin, "2024-07-01T15:00:00Z"));
    }

    #[test]
    fn windows_are_told_with_what_their_clock_shows() {
        let told = |window: &Json, at: &str| {
            let at: jiff::Timestamp = at.parse().unwrap();
            TimeWindow::parse(window).unwrap().told(at.as_millisecond())
        };
        let some = json!({ "start": "09:00", "end": "17:30:15", "timezone": "Europe/Berlin", "days": ["mon", "TUE"] });
        let expected = "mon, tue 09:00-17:30:15 Europe/Berlin; it is mon 08:59";
        assert_eq!(told(&some, "2024-07-01T06:59:59Z"), expected);
        let each = json!({ "start": "22:00", "end": "06:00" });
        assert_eq!(told(&each, "2024-07-07T12:05:00Z"), "22:00-06:00 UTC; it is sun 12:05");
    }

    #[test]
    fn windows_across_midnight_belong_to_the_day_they_start_on() {
        // 2024-07-01 was a Monday.
        let night = json!({ "start": "22:00", "end": "06:00", "days": ["mon"] });
        assert!(open(&night, "2024-07-01T23:00:00Z") && open(&night, "2024-07-02T05:59:00Z"));
        assert!(!open(&night, "2024-07-01T05:00:00Z") && !open(&night, "2024-07-02T22:00:00Z"));
    }

    #[test]
    fn what_is_no_window_is_refused_with_its_field() {
        for (window, field) in [
            (json!({}), "start"),
            (json!({ "start": "9", "end": "10:00" }), "start"),
            (json!({ "start": "09:00", "end": "25:00" }), "end"),
            (json!({ "start": "09:00+02:00", "end": "17:00" }), "start"),
            (json!({ "start": "09:00", "end": "17:00[Europe/Berlin]" }), "end"),
            (json!({ "start": "2024-07-01T09:00", "end": "17:00" }), "start"),
            (json!({ "start": "09:00", "end": "09:00" }), "end"),
            (json!({ "start": "09:00", "end": "10:00", "timezone": "Mars/Olympus" }), "timezone"),
            (json!({ "start": "09:00", "end": "10:00", "timezone": "../../etc/passwd" }), "timezone"),
            (json!({ "start": "09:00", "end": "10:00", "days": ["noday"] }), "days"),
            (json!("always"), "start"),
            (json!({ "start": "09:00", "end": "10:00", "time_zone": "Europe/Berlin" }), "time_zone"),
        ] {
            let error = TimeWindow::parse(&window).unwrap_err();
            assert_eq!(error.field, format!("rule_config.time_window.{field}"), "{window}");
        }
    }
}

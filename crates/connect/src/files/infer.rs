//! The type that holds every value of a column, and the values in it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use jiff::civil::{Date, DateTime};

use crate::error::SourceError;
use crate::rows::Cell;

/// The types a column of a text file can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No value yet.
    #[default]
    Unknown,
    Boolean,
    Int,
    Float,
    Date,
    Timestamp,
    /// With a zone; kept in UTC.
    Instant,
    Text,
    /// Text that is JSON: objects and arrays of a JSON file.
    Json,
}

impl Kind {
    /// The narrowest kind that holds both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, kind) | (kind, Self::Unknown) => kind,
            (a, b) if a == b => a,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) => Self::Timestamp,
            _ => Self::Text,
        }
    }

    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Unknown | Self::Text | Self::Json => DataType::Utf8,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int => "bigint",
            Self::Float => "double",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Instant => "timestamp with time zone",
            Self::Unknown | Self::Text => "text",
            Self::Json => "json",
        }
    }

    /// The kind of a value written as text. Only what is written the same way again counts as a number: `007` and `+5` are text,
    /// and so are numbers with more digits than their type holds.
    pub(crate) fn of_text(text: &str) -> Self {
        let bytes = text.as_bytes();
        match bytes.first() {
            None => Self::Unknown,
            Some(b't' | b'T' | b'f' | b'F') if boolean(text).is_some() => Self::Boolean,
            Some(b'0'..=b'9' | b'-' | b'.') => number_or_date(text),
            _ => Self::Text,
        }
    }

    /// The value in a text of a column of this kind. Empty text is NULL.
    pub(crate) fn cell<'a>(self, text: &'a str) -> Result<Cell<'a>, SourceError> {
        if text.is_empty() {
            return Ok(Cell::Null);
        }
        let cell = match self {
            Self::Unknown | Self::Text | Self::Json => Some(Cell::Text(text)),
            Self::Boolean => boolean(text).map(Cell::Boolean),
            Self::Int => text.parse().ok().map(Cell::Int),
            Self::Float => float(text).map(Cell::Float),
            Self::Date => date(text).map(Cell::Date),
            Self::Timestamp => {
                timestamp(text).or_else(|| date(text).map(|days| i64::from(days) * DAY)).map(Cell::Timestamp)
            }
            Self::Instant => instant(text).map(Cell::Timestamp),
        };
        cell.ok_or_else(|| {
            SourceError::query("A value does not fit its column: the file changed while it was read, or other files of the relation have other values.")
        })
    }
}

/// A number; none for an integer that a double does not hold. One file's columns have none, but several files' together may.
fn float(text: &str) -> Option<f64> {
    let is_long = text.len() > 15 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if is_long && text.parse::<i64>().is_ok_and(|number| number.unsigned_abs() > 1 << 53) {
        return None;
    }
    text.parse().ok()
}

/// Microseconds.
const DAY: i64 = 86_400_000_000;

fn number_or_date(text: &str) -> Kind {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let padded = digits > 1 && unsigned.starts_with('0');
    if digits == unsigned.len() {
        let exact = !padded && text != "-0" && text.parse::<i64>().is_ok();
        return if exact { Kind::Int } else { Kind::Text };
    }
    if digits == 4 && unsigned.as_bytes().get(4) == Some(&b'-') && unsigned.len() == text.len() {
        return if date(text).is_some() {
            Kind::Date
        } else if timestamp(text).is_some() {
            Kind::Timestamp
        } else if instant(text).is_some() {
            Kind::Instant
        } else {
            Kind::Text
        };
    }
    if padded || !is_float(unsigned) { Kind::Text } else { Kind::Float }
}

/// Digits, at most one point and one exponent, and few enough digits that none is lost.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|text| {
        let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
        !bare.is_empty()
            && all_digits(bare)
            && text.parse::<i32>().is_ok_and(|power| (-290..=290).contains(&power))
    });
    let digits = whole.len() + fraction.len();
    let significant = format!("{whole}{fraction}").trim_matches('0').len();
    digits > 0
        && all_digits(whole)
        && all_digits(fraction)
        && exponent_fits
        && significant <= 15
        && digits <= 300
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    days(text.parse().ok()?)
}

/// Days since 1970-01-01.
pub(crate) fn days(date: Date) -> Option<i32> {
    let epoch = jiff::civil::date(1970, 1, 1);
    Some(date.since((jiff::Unit::Day, epoch)).ok()?.get_days())
}

/// Microseconds since 1970-01-01 of a moment without a zone.
pub(crate) fn microseconds(moment: DateTime) -> Option<i64> {
    let utc = moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    (utc.subsec_nanosecond() % 1_000 == 0).then(|| utc.as_microsecond())
}

/// `2024-01-31 12:30:00.123456`, with a blank or a `T`.
fn timestamp(text: &str) -> Option<i64> {
    let is_moment = matches!(text.as_bytes().get(10), Some(b' ' | b'T'));
    if !is_moment
        || text.len() < 16
        || text.ends_with(['Z', 'z', ']'])
        || text.get(11..)?.contains(['+', '-'])
    {
        return None;
    }
    microseconds(text.parse().ok()?)
}

fn instant(text: &str) -> Option<i64> {
    if !matches!(text.as_bytes().get(10), Some(b' ' | b'T')) || text.contains('[') {
        return None;
    }
    let moment: jiff::Timestamp = text.parse().ok()?;
    (moment.subsec_nanosecond() % 1_000 == 0).then(|| moment.as_microsecond())
}

/// What is known of the values of one column.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inferred {
    pub(crate) kind: Kind,
    /// An integer that a double does not hold.
    large: bool,
}

impl Inferred {
    /// Counts a value written as text in.
    pub(crate) fn add_text(&mut self, text: &str) {
        if self.kind == Kind::Text {
            return;
        }
        let kind = Kind::of_text(text);
        if kind == Kind::Int {
            let small =
                text.len() < 16 || text.parse::<i64>().is_ok_and(|number| number.unsigned_abs() <= 1 << 53);
            self.large |= !small;
        }
        self.add(kind);
    }

    /// Whether a column of this kind holds every value that was counted in.
    pub(crate) fn fits(self, kind: Kind) -> bool {
        kind.and(self.kind) == kind && !(kind == Kind::Float && self.large)
    }

    pub(crate) fn add(&mut self, kind: Kind) {
        self.kind = self.kind.and(kind);
        if self.kind == Kind::Float && self.large {
            self.kind = Kind::Text;
        }
    }
}

/// Columns with names that are there and differ.
pub(crate) fn schema(columns: impl IntoIterator<Item = (String, Kind)>) -> SchemaRef {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let fields: Vec<Field> = columns
        .into_iter()
        .enumerate()
        .map(|(index, (name, kind))| {
            let name = if name.trim().is_empty() { format!("column_{}", index + 1) } else { name };
            let name = distinct(name, &mut seen);
            let metadata = HashMap::from([("native".to_owned(), kind.name().to_owned())]);
            Field::new(name, kind.data_type(), true).with_metadata(metadata)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// The same columns with other kinds.
pub(crate) fn widened(schema: &Schema, kinds: &[Kind]) -> SchemaRef {
    let names = schema.fields().iter().map(|field| field.name().clone());
    self::schema(names.zip(kinds.iter().copied()))
}

fn distinct(name: String, seen: &mut HashMap<String, usize>) -> String {
    let mut candidate = name.clone();
    loop {
        let count = seen.entry(candidate.clone()).or_default();
        *count += 1;
        if *count == 1 {
            return candidate;
        }
        let next = seen.get(&name).copied().unwrap_or(2);
        candidate = format!("{name}_{next}");
        if seen.contains_key(&candidate) {
            seen.entry(name.clone()).and_modify(|count| *count += 1);
        }
    }
}

/// The type's name as discovery shows it.
pub(crate) fn type_name(field: &Field) -> String {
    field.metadata().get("native").cloned().unwrap_or_else(|| field.data_type().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_written_the_same_way_again_is_a_number() {
        for (text, kind) in [
            ("1", Kind::Int),
            ("-12", Kind::Int),
            ("0", Kind::Int),
            ("9223372036854775807", Kind::Int),
            ("9223372036854775808", Kind::Text),
            ("007", Kind::Text),
            ("-0", Kind::Text),
            ("+5", Kind::Text),
            ("1.5", Kind::Float),
            (".5", Kind::Float),
            ("1e5", Kind::Float),
            ("1e999", Kind::Text),
            ("0.12345678901234567890", Kind::Text),
            ("1.2.3", Kind::Text),
            ("-", Kind::Text),
            (".", Kind::Text),
            ("1e", Kind::Text),
            ("true", Kind::Boolean),
            ("tRue", Kind::Text),
            ("2024-02-29", Kind::Date),
            ("2023-02-29", Kind::Text),
            ("2024-01-31 12:30:00", Kind::Timestamp),
            ("2024-01-31T12:30", Kind::Timestamp),
            ("2024-01-31T12:30:00Z", Kind::Instant),
            ("2024-01-31T12:30:00.1+02:00", Kind::Instant),
            ("2024-01-31T12:30:00.123456789", Kind::Text),
            ("", Kind::Unknown),
            ("nan", Kind::Text),
        ] {
            assert_eq!(Kind::of_text(text), kind, "{text}");
        }
    }

    #[test]
    fn a_column_takes_the_kind_that_holds_all() {
        let all = |texts: &[&str]| {
            let mut inferred = Inferred::default();
            texts.iter().for_each(|text| inferred.add_text(text));
            inferred.kind
        };
        assert_eq!(all(&["1", "", "2.5"]), Kind::Float);
        assert_eq!(all(&["9007199254740993", "2.5"]), Kind::Text, "a double does not hold the first");
        assert_eq!(all(&["2.5", "9007199254740993"]), Kind::Text);
        assert_eq!(all(&["2024-01-01", "2024-01-01 10:00"]), Kind::Timestamp);
        assert_eq!(all(&["2024-01-01 10:00", "2024-01-01T10:00:00Z"]), Kind::Text);
        assert_eq!(all(&["1", "x"]), Kind::Text);
        assert_eq!(all(&["1", "true"]), Kind::Text);
        assert_eq!(all(&["", ""]), Kind::Unknown);
    }

    #[test]
    fn a_kind_holds_what_it_was_made_of_and_less() {
        let fits = |text: &str, kind: Kind| {
            let mut inferred = Inferred::default();
            inferred.add_text(text);
            inferred.fits(kind)
        };
        assert!(
            fits("1", Kind::Int) && fits("1", Kind::Float) && fits("1", Kind::Text) && fits("", Kind::Int)
        );
        assert!(!fits("1.5", Kind::Int) && !fits("true", Kind::Int) && !fits("1", Kind::Unknown));
        assert!(!fits("9007199254740993", Kind::Float));
    }

    #[test]
    fn names_are_there_and_differ() {
        let schema = schema(["a", "", "a", "a_2", " ", "a"].map(|name| (name.to_owned(), Kind::Int)));
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), 6, "{names:?}");
        assert_eq!(names[..2], ["a", "column_2"]);
    }

    #[test]
    fn values_are_exact() {
        assert_eq!(Kind::Date.cell("1970-01-02").unwrap(), Cell::Date(1));
        assert_eq!(Kind::Date.cell("1969-12-31").unwrap(), Cell::Date(-1));
        assert_eq!(Kind::Timestamp.cell("1970-01-01 00:00:01.5").unwrap(), Cell::Timestamp(1_500_000));
        assert_eq!(Kind::Timestamp.cell("1970-01-02").unwrap(), Cell::Timestamp(DAY));
        assert_eq!(Kind::Instant.cell("1970-01-01T01:00:00+01:00").unwrap(), Cell::Timestamp(0));
        assert_eq!(Kind::Int.cell("").unwrap(), Cell::Null);
        assert!(Kind::Int.cell("x").is_err());
    }
}

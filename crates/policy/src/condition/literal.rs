//! Literals and attributes as values of a column's type.

use crate::{Attribute, ColumnType, Decimal, Value, number};

/// Something written or known that is to become a value of a type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Raw<'r> {
    Text(&'r str),
    Number(&'r str),
    Boolean(bool),
}

impl<'r> Raw<'r> {
    /// One value of an attribute; none of a list.
    pub(crate) fn of(attribute: &'r Attribute) -> Option<Self> {
        match attribute {
            Attribute::Text(text) => Some(Self::Text(text)),
            Attribute::Number(number) => Some(Self::Number(number)),
            Attribute::Boolean(truth) => Some(Self::Boolean(*truth)),
            Attribute::List(_) => None,
        }
    }

    /// What people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Boolean(_) => "true or false",
        }
    }
}

/// The value of that type; none if it is not one, exactly. `lenient` is for attributes: metadata and claims often have numbers as text,
/// and identifiers as numbers.
pub(crate) fn literal(raw: Raw<'_>, kind: ColumnType, lenient: bool) -> Option<Value> {
    let numeric = match raw {
        Raw::Number(text) => number::decimal(text),
        Raw::Text(text) if lenient => number::decimal(text),
        _ => None,
    };
    match (kind, raw) {
        (ColumnType::Boolean, Raw::Boolean(truth)) => Some(Value::Boolean(truth)),
        (ColumnType::Boolean, Raw::Text("true")) if lenient => Some(Value::Boolean(true)),
        (ColumnType::Boolean, Raw::Text("false")) if lenient => Some(Value::Boolean(false)),
        (ColumnType::Int { .. } | ColumnType::UInt { .. }, _) => {
            numeric?.integer().filter(|value| kind.holds_int(*value)).map(Value::Int)
        }
        (ColumnType::Float { .. }, Raw::Number(text)) => float(text),
        (ColumnType::Float { .. }, Raw::Text(text)) if lenient => numeric.and_then(|_| float(text)),
        (ColumnType::Decimal { scale, .. }, _) => numeric?
            .rescaled(scale)
            .filter(|unscaled| kind.holds_unscaled(*unscaled))
            .map(|unscaled| Value::Decimal(Decimal { unscaled, scale })),
        (ColumnType::Text, Raw::Text(text)) => Some(Value::Text(text.to_owned())),
        (ColumnType::Text, Raw::Number(text)) if lenient => Some(Value::Text(text.to_owned())),
        (ColumnType::Date, Raw::Text(text)) => date(text),
        (ColumnType::Time, Raw::Text(text)) => time(text),
        (ColumnType::Timestamp { zoned, .. }, Raw::Text(text)) => timestamp(text, zoned),
        _ => None,
    }
}

fn float(text: &str) -> Option<Value> {
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Value::Float)
}

fn date(text: &str) -> Option<Value> {
    let date: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
    days(date).map(Value::Date)
}

fn days(date: jiff::civil::Date) -> Option<i32> {
    let epoch = jiff::civil::date(1970, 1, 1);
    (date - epoch).get_days().into()
}

fn micros(time: jiff::civil::Time) -> i64 {
    let seconds = i64::from(time.hour()) * 3_600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    seconds * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1_000
}

fn time(text: &str) -> Option<Value> {
    clock(text).map(micros).map(Value::Time)
}

/// A time of day as a clock shows it: one with an offset or a zone is of another clock, which would not be looked at.
pub(crate) fn clock(text: &str) -> Option<jiff::civil::Time> {
    let is_plain = text.contains(':') && text.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.'));
    text.parse().ok().filter(|_| is_plain)
}

/// A point in time. One without an offset is UTC for columns with a zone; one with an offset is none for others.
fn timestamp(text: &str, zoned: bool) -> Option<Value> {
    if zoned && let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Value::Timestamp(instant.as_microsecond()));
    }
    if !zoned && text.parse::<jiff::Timestamp>().is_ok() {
        return None;
    }
    // The name of a zone without an offset would not be looked at.
    let moment: jiff::civil::DateTime = text.parse().ok().filter(|_| !text.contains('['))?;
    let day = i64::from(days(moment.date())?);
    Some(Value::Timestamp(day * 86_400_000_000 + micros(moment.time())))
}

//! Columns of a topic: where a message stands, its parts, and, of messages that are JSON objects, their members.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::records::Message;
use crate::error::SourceError;
use crate::filter::{Filter, Literal, Operator};
use crate::rows::{Cell, Unfit};
use crate::wire::json;

/// Members that become columns at most.
const MOST: usize = 1_000;

pub(super) const PARTITION: &str = "_partition";
pub(super) const OFFSET: &str = "_offset";
pub(super) const TIMESTAMP: &str = "_timestamp";
const KEY: &str = "_key";
const VALUE: &str = "_value";
const HEADERS: &str = "_headers";
const OWN: [&str; 6] = [PARTITION, OFFSET, TIMESTAMP, KEY, VALUE, HEADERS];

/// What the values of a member are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Boolean,
    Int,
    Float,
    Text,
    /// Anything else, and several of these: as JSON.
    Json,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_i64() => Self::Int,
            Value::Number(number) if number.is_f64() => Self::Float,
            Value::String(_) => Self::Text,
            _ => Self::Json,
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Nothing, kind) | (kind, Self::Nothing) => kind,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            _ => Self::Json,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            _ => DataType::Utf8,
        }
    }
}

/// What messages are taken to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// What a sample shows.
    Auto,
    Json,
    Text,
    Binary,
}

impl Format {
    pub(super) fn parse(word: &str) -> Self {
        match word {
            "json" => Self::Json,
            "text" => Self::Text,
            "binary" => Self::Binary,
            _ => Self::Auto,
        }
    }
}

/// A topic whose columns are known.
pub(crate) struct Plan {
    pub(crate) schema: SchemaRef,
    kinds: HashMap<String, Kind>,
    unfit: Unfit,
}

/// Learns columns.
pub(super) struct Sample {
    text_keys: bool,
    text_values: bool,
    objects: bool,
    any: bool,
    members: Vec<(String, Kind)>,
}

impl Sample {
    pub(super) fn new() -> Self {
        Self { text_keys: true, text_values: true, objects: true, any: false, members: Vec::new() }
    }

    pub(super) fn add(&mut self, message: &Message<'_>) {
        let is_text = |bytes: Option<&[u8]>| bytes.is_none_or(|bytes| std::str::from_utf8(bytes).is_ok());
        self.text_keys &= is_text(message.key);
        self.text_values &= is_text(message.value);
        let Some(value) = message.value else { return };
        self.any = true;
        let Ok(object) = serde_json::from_slice::<Map<String, Value>>(value) else {
            self.objects = false;
            return;
        };
        for (name, value) in object {
            let kind = Kind::of(&value);
            let has_room = self.members.len() < MOST;
            match self.members.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = known.or(kind),
                None if has_room && !OWN.contains(&name.as_str()) => {
                    self.members.push((name, kind));
                }
                None => {}
            }
        }
    }

    pub(super) fn plan(self, format: Format, unfit: Unfit) -> Plan {
        let text = |is_text: bool| if is_text { DataType::Utf8 } else { DataType::Binary };
        let value = match format {
            Format::Json | Format::Text => DataType::Utf8,
            Format::Binary => DataType::Binary,
            Format::Auto => text(self.text_values),
        };
        let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let mut fields = vec![
            Field::new(PARTITION, DataType::Int32, false),
            Field::new(OFFSET, DataType::Int64, false),
            Field::new(TIMESTAMP, moment, true),
            Field::new(KEY, text(self.text_keys), true),
            Field::new(VALUE, value, true),
            Field::new(HEADERS, DataType::Utf8, true),
        ];
        let mut kinds = HashMap::new();
        if format == Format::Json || format == Format::Auto && self.objects && self.any {
            for (name, kind) in self.members {
                // Of a member that was null everywhere any value may come.
                let kind = if kind == Kind::Nothing { Kind::Json } else { kind };
                fields.push(Field::new(&name, kind.data_type(), true));
                kinds.insert(name, kind);
            }
        }
        Plan { schema: Arc::new(Schema::new(fields)), kinds, unfit }
    }
}

/// Where a message stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Microseconds since 1970-01-01.
    pub(super) timestamp: Option<i64>,
}

impl Plan {
    /// The members of a message, if any of the columns wants them.
    pub(super) fn members(
        &self,
        wanted: &Schema,
        value: Option<&[u8]>,
    ) -> Result<Map<String, Value>, SourceError> {
        let first = wanted.fields().iter().find(|field| self.kinds.contains_key(field.name()));
        let (Some(field), Some(value)) = (first, value) else { return Ok(Map::new()) };
        match serde_json::from_slice(value) {
            Ok(members) => Ok(members),
            Err(_) => self.unfit.cell(field.name(), "a message that is no JSON object").map(|_| Map::new()),
        }
    }

    /// Gives the value of a column of a message to a function.
    pub(super) fn cell<R>(
        &self,
        field: &Field,
        position: Position,
        message: &Message<'_>,
        members: &Map<String, Value>,
        then: impl FnOnce(Cell<'_>) -> Result<R, SourceError>,
    ) -> Result<R, SourceError> {
        let name = field.name().as_str();
        match name {
            PARTITION => then(Cell::Int(position.partition.into())),
            OFFSET => then(Cell::Int(position.offset)),
            TIMESTAMP => then(position.timestamp.map_or(Cell::Null, Cell::Timestamp)),
            KEY => self.bytes(field, message.key, then),
            VALUE => self.bytes(field, message.value, then),
            HEADERS => match headers(message)? {
                None => then(Cell::Null),
                Some(text) => then(Cell::Text(&text)),
            },
            _ => self.member(name, members.get(name).unwrap_or(&Value::Null), then),
        }
    }

    fn bytes<R>(
        &self,
        field: &Field,
        bytes: Option<&[u8]>,
        then: impl FnOnce(Cell<'_>) -> Result<R, SourceError>,
    ) -> Result<R, SourceError> {
        match bytes {
            None => then(Cell::Null),
            Some(bytes) if *field.data_type() == DataType::Binary => then(Cell::Bytes(bytes)),
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => then(Cell::Text(text)),
                Err(_) => then(self.unfit.cell(field.name(), "bytes that are no text")?),
            },
        }
    }

    fn member<R>(
        &self,
        name: &str,
        value: &Value,
        then: impl FnOnce(Cell<'_>) -> Result<R, SourceError>,
    ) -> Result<R, SourceError> {
        let kind = self.kinds.get(name).copied().unwrap_or(Kind::Json);
        let text;
        let cell = match (kind, value) {
            (_, Value::Null) => Some(Cell::Null),
            (Kind::Boolean, Value::Bool(value)) => Some(Cell::Boolean(*value)),
            (Kind::Int, Value::Number(number)) => number.as_i64().map(Cell::Int),
            (Kind::Float, Value::Number(number)) => double(number).map(Cell::Float),
            (Kind::Text, Value::String(value)) => Some(Cell::Text(value)),
            (Kind::Json, value) => {
                text = value.to_string();
                Some(Cell::Text(&text))
            }
            _ => None,
        };
        match cell {
            Some(cell) => then(cell),
            None => then(self.unfit.cell(name, "a value of another type than a sample of the topic showed")?),
        }
    }
}

/// A number as a double, whole ones only if that is the same number.
#[expect(clippy::cast_precision_loss, reason = "numbers that would lose are left out")]
fn double(number: &serde_json::Number) -> Option<f64> {
    match number.as_i64() {
        Some(whole) => (whole.unsigned_abs() <= 1 << 53).then_some(whole as f64),
        None => number.as_f64().filter(|_| number.is_f64()),
    }
}

/// Headers as JSON: a list of names and values, which are text or, where they are none, base64.
fn headers(message: &Message<'_>) -> Result<Option<String>, SourceError> {
    let headers = message.headers().ok_or_else(super::wire::garbled)?;
    if headers.is_empty() {
        return Ok(None);
    }
    let mut text = String::from("[");
    for (index, (name, value)) in headers.into_iter().enumerate() {
        text.push_str(if index > 0 { ",{\"name\":" } else { "{\"name\":" });
        json::string(&mut text, &String::from_utf8_lossy(name));
        match value.map(|value| (std::str::from_utf8(value), value)) {
            None => text.push_str(",\"value\":null}"),
            Some((Ok(value), _)) => {
                text.push_str(",\"value\":");
                json::string(&mut text, value);
                text.push('}');
            }
            Some((Err(_), value)) => {
                json::plain(&mut text, format_args!(",\"base64\":\"{}\"}}", STANDARD.encode(value)));
            }
        }
    }
    text.push(']');
    Ok(Some(text))
}

/// Whether a filter speaks of positions only, and of values that they have.
pub(super) fn is_of_positions(filter: &Filter) -> bool {
    let mut all = true;
    filter.leaves(&mut |column, _, values| {
        all &= match column {
            PARTITION | OFFSET => values.iter().all(|value| matches!(value, Literal::Int(_))),
            TIMESTAMP => values.iter().all(|value| matches!(value, Literal::Timestamp(_))),
            _ => false,
        };
    });
    all
}

/// Whether a position satisfies a filter; none if that is unknown, as it is of what has no timestamp.
pub(super) fn satisfies(filter: &Filter, position: Position) -> Option<bool> {
    let own = |column: &str| match column {
        PARTITION => Some(i64::from(position.partition)),
        OFFSET => Some(position.offset),
        _ => position.timestamp,
    };
    let number = |literal: &Literal| match literal {
        Literal::Int(number) | Literal::Timestamp(number) => Some(*number),
        _ => None,
    };
    match filter {
        Filter::Compare { column, operator, value } => {
            let (own, value) = (own(column)?, number(value)?);
            Some(match operator {
                Operator::Eq => own == value,
                Operator::NotEq => own != value,
                Operator::Lt => own < value,
                Operator::LtEq => own <= value,
                Operator::Gt => own > value,
                Operator::GtEq => own >= value,
            })
        }
        // NULL is in none, and not in an empty one.
        Filter::In { values, negated, .. } if values.is_empty() => Some(*negated),
        Filter::In { column, values, negated } => {
            let own = own(column)?;
            Some(values.iter().any(|value| number(value) == Some(own)) != *negated)
        }
        Filter::Between { column, low, high, negated } => {
            let (own, low, high) = (own(column)?, number(low)?, number(high)?);
            Some((low <= own && own <= high) != *negated)
        }
        Filter::IsNull { column, negated } => Some(own(column).is_none() != *negated),
        Filter::And(all) => joined(all, position, false),
        Filter::Or(any) => joined(any, position, true),
        Filter::Not(inner) => satisfies(inner, position).map(|holds| !holds),
    }
}

/// AND and OR with unknown parts; one part that `decides` is enough.
fn joined(parts: &[Filter], position: Position, decides: bool) -> Option<bool> {
    let mut unknown = false;
    for part in parts {
        match satisfies(part, position) {
            Some(holds) if holds == decides => return Some(decides),
            None => unknown = true,
            Some(_) => {}
        }
    }
    if unknown { None } else { Some(!decides) }
}

/// The offsets that filters can be true of: the first, and the one after the last. Others may be left out unread.
pub(super) fn bounds(filters: &[Filter]) -> (i64, i64) {
    let (mut from, mut to) = (0, i64::MAX);
    for filter in filters {
        match filter {
            Filter::And(all) => {
                let (low, high) = bounds(all);
                (from, to) = (from.max(low), to.min(high));
            }
            Filter::Compare { column, operator, value: Literal::Int(value) } if column == OFFSET => {
                let after = value.saturating_add(1);
                match operator {
                    Operator::Eq => (from, to) = (from.max(*value), to.min(after)),
                    Operator::Gt => from = from.max(after),
                    Operator::GtEq => from = from.max(*value),
                    Operator::Lt => to = to.min(*value),
                    Operator::LtEq => to = to.min(after),
                    Operator::NotEq => {}
                }
            }
            Filter::Between { column, low: Literal::Int(low), high: Literal::Int(high), negated: false }
                if column == OFFSET =>
            {
                (from, to) = (from.max(*low), to.min(high.saturating_add(1)));
            }
            _ => {}
        }
    }
    (from, to)
}

/// Whether a partition can have messages that satisfy filters.
pub(super) fn concerns(filters: &[Filter], partition: i32) -> bool {
    filters.iter().all(|filter| match filter {
        Filter::Compare { column, operator: Operator::Eq, value } if column == PARTITION => {
            *value == Literal::Int(partition.into())
        }
        Filter::In { column, values, negated: false } if column == PARTITION => {
            values.contains(&Literal::Int(partition.into()))
        }
        Filter::And(all) => concerns(all, partition),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(column: &str, operator: Operator, value: Literal) -> Filter {
        Filter::Compare { column: column.to_owned(), operator, value }
    }

    #[test]
    fn filters_on_positions_are_decided_as_sql_does() {
        let position = Position { partition: 1, offset: 10, timestamp: None };
        let after = compare(TIMESTAMP, Operator::Gt, Literal::Timestamp(0));
        let tenth = compare(OFFSET, Operator::Eq, Literal::Int(10));
        assert_eq!(satisfies(&after, position), None);
        assert_eq!(satisfies(&Filter::Not(Box::new(after.clone())), position), None);
        assert_eq!(satisfies(&Filter::Or(vec![after.clone(), tenth.clone()]), position), Some(true));
        assert_eq!(satisfies(&Filter::And(vec![after, tenth.clone()]), position), None);
        assert_eq!(satisfies(&Filter::And(vec![]), position), Some(true));
        assert!(is_of_positions(&tenth));
        assert!(!is_of_positions(&compare("a", Operator::Eq, Literal::Int(1))));
        assert!(!is_of_positions(&compare(OFFSET, Operator::Eq, Literal::Utf8("1".to_owned()))));
        assert_eq!(bounds(&[compare(OFFSET, Operator::Gt, Literal::Int(4)), tenth]), (10, 11));
        assert!(!concerns(&[compare(PARTITION, Operator::Eq, Literal::Int(2))], 1));
    }
}

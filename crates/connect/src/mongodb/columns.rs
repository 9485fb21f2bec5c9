//! Columns of a collection, learned from some of its documents, and the values of documents as cells.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bson::raw::{RawBsonRef, RawDocument};
use bson::spec::BinarySubtype;

use crate::error::SourceError;
use crate::rows::{Cell, Unfit};
use crate::wire::json::{self, DEEPEST, uuid_text};

/// Columns at most; what more there is stands in [`OTHER`].
const MOST: usize = 2_000;
/// Bytes of the name of a column at most: names are kept for as long as the source is open. Fields with longer ones stand in [`OTHER`], too.
const LONGEST_NAME: usize = 1_000;
/// The column of fields that the sample did not show.
pub(super) const OTHER: &str = "_other";

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only NULL was seen.
    Nothing,
    Boolean,
    Int,
    Float,
    Text,
    ObjectId,
    Date,
    Bytes,
    Uuid,
    Decimal,
    /// Documents, arrays, anything else, and several of these: as extended JSON.
    Json,
}

impl Kind {
    fn of(value: &RawBsonRef<'_>) -> Self {
        match value {
            RawBsonRef::Null | RawBsonRef::Undefined => Self::Nothing,
            RawBsonRef::Boolean(_) => Self::Boolean,
            RawBsonRef::Int32(_) | RawBsonRef::Int64(_) => Self::Int,
            RawBsonRef::Double(_) => Self::Float,
            RawBsonRef::String(_) => Self::Text,
            RawBsonRef::ObjectId(_) => Self::ObjectId,
            RawBsonRef::DateTime(_) => Self::Date,
            RawBsonRef::Decimal128(_) => Self::Decimal,
            RawBsonRef::Binary(binary) => match binary.subtype {
                BinarySubtype::Generic => Self::Bytes,
                BinarySubtype::Uuid if binary.bytes.len() == 16 => Self::Uuid,
                _ => Self::Json,
            },
            _ => Self::Json,
        }
    }

    /// What holds the values of both.
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
            Self::Date => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Bytes => DataType::Binary,
            _ => DataType::Utf8,
        }
    }

    /// The name of the type.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "null",
            Self::Boolean => "bool",
            Self::Int => "long",
            Self::Float => "double",
            Self::Text => "string",
            Self::ObjectId => "objectId",
            Self::Date => "date",
            Self::Bytes => "binData",
            Self::Uuid => "uuid",
            Self::Decimal => "decimal",
            Self::Json => "mixed",
        }
    }
}

/// A collection whose columns are known.
pub(crate) struct Plan {
    pub(crate) schema: SchemaRef,
    pub(super) kinds: HashMap<String, Kind>,
    pub(super) unfit: Unfit,
}

/// Learns columns.
#[derive(Default)]
pub(super) struct Sample {
    /// In the order of appearance.
    pub(super) fields: Vec<(String, Kind)>,
    places: HashMap<String, usize>,
}

impl Sample {
    pub(super) fn add(&mut self, document: &RawDocument) -> Result<(), SourceError> {
        for element in document.iter() {
            let (name, value) = element.map_err(|_| super::wire::garbled())?;
            let kind = Kind::of(&value);
            let next = self.fields.len();
            match self.places.get(name.as_str()).and_then(|place| self.fields.get_mut(*place)) {
                Some((_, known)) => *known = known.or(kind),
                None if next < MOST && name.as_str() != OTHER && name.as_str().len() <= LONGEST_NAME => {
                    self.places.insert(name.as_str().to_owned(), next);
                    self.fields.push((name.as_str().to_owned(), kind));
                }
                None => {}
            }
        }
        Ok(())
    }

    pub(super) fn plan(mut self, unfit: Unfit) -> Plan {
        // Of a field that was NULL everywhere any value may come.
        for (_, kind) in &mut self.fields {
            *kind = kind.or(if *kind == Kind::Nothing { Kind::Json } else { *kind });
        }
        let field = |name: &str, kind: Kind| {
            let metadata = HashMap::from([("native".to_owned(), kind.name().to_owned())]);
            Field::new(name, kind.data_type(), true).with_metadata(metadata)
        };
        let mut fields: Vec<Field> = self.fields.iter().map(|(name, kind)| field(name, *kind)).collect();
        fields.push(field(OTHER, Kind::Json));
        Plan { schema: Arc::new(Schema::new(fields)), kinds: self.fields.into_iter().collect(), unfit }
    }
}

impl Plan {
    /// Gives the value of a column to a function.
    pub(super) fn cell<R>(
        &self,
        name: &str,
        value: RawBsonRef<'_>,
        then: impl FnOnce(Cell<'_>) -> Result<R, SourceError>,
    ) -> Result<R, SourceError> {
        let kind = self.kinds.get(name).copied().unwrap_or(Kind::Json);
        let text;
        let cell = match (kind, value) {
            (_, RawBsonRef::Null | RawBsonRef::Undefined) => Some(Cell::Null),
            (Kind::Boolean, RawBsonRef::Boolean(value)) => Some(Cell::Boolean(value)),
            (Kind::Int, RawBsonRef::Int32(value)) => Some(Cell::Int(value.into())),
            (Kind::Int, RawBsonRef::Int64(value)) => Some(Cell::Int(value)),
            (Kind::Float, RawBsonRef::Int32(value)) => Some(Cell::Float(value.into())),
            (Kind::Float, RawBsonRef::Int64(value)) => exact(value).map(Cell::Float),
            (Kind::Float, RawBsonRef::Double(value)) => Some(Cell::Float(value)),
            (Kind::Text, RawBsonRef::String(value)) => Some(Cell::Text(value)),
            (Kind::Date, RawBsonRef::DateTime(value)) => {
                value.timestamp_millis().checked_mul(1_000).map(Cell::Timestamp)
            }
            (Kind::Bytes, RawBsonRef::Binary(value)) if value.subtype == BinarySubtype::Generic => {
                Some(Cell::Bytes(value.bytes))
            }
            (Kind::ObjectId, RawBsonRef::ObjectId(value)) => {
                text = value.to_hex();
                Some(Cell::Text(&text))
            }
            (Kind::Decimal, RawBsonRef::Decimal128(value)) => {
                text = value.to_string();
                Some(Cell::Text(&text))
            }
            (Kind::Uuid, RawBsonRef::Binary(value)) if value.subtype == BinarySubtype::Uuid => {
                text = uuid_text(value.bytes);
                Some(Cell::Text(&text))
            }
            (Kind::Json, value) => {
                let mut written = String::new();
                json(&mut written, value, 0)?;
                text = written;
                Some(Cell::Text(&text))
            }
            _ => None,
        };
        match cell {
            Some(cell) => then(cell),
            None => then(
                self.unfit.cell(name, "a value of another type than a sample of the collection showed")?,
            ),
        }
    }
}

/// A whole number as a double, if that is the same number.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "that is what is looked at")]
fn exact(number: i64) -> Option<f64> {
    let double = number as f64;
    (double.abs() < 9.2e18 && double as i64 == number).then_some(double)
}

/// Writes a value as relaxed extended JSON.
pub(super) fn json(out: &mut String, value: RawBsonRef<'_>, depth: usize) -> Result<(), SourceError> {
    if depth > DEEPEST {
        return Err(SourceError::query(format!("A document is nested deeper than {DEEPEST}.")));
    }
    match value {
        RawBsonRef::Double(number) if number.is_finite() => json::float(out, number),
        RawBsonRef::Double(number) => {
            let name = if number.is_nan() {
                "NaN"
            } else if number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            json::plain(out, format_args!("{{\"$numberDouble\":\"{name}\"}}"));
        }
        RawBsonRef::String(text) => json::string(out, text),
        RawBsonRef::Array(array) => {
            out.push('[');
            for (index, element) in array.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json(out, element.map_err(|_| super::wire::garbled())?, depth + 1)?;
            }
            out.push(']');
        }
        RawBsonRef::Document(document) => {
            out.push('{');
            for (index, element) in document.iter().enumerate() {
                let (name, value) = element.map_err(|_| super::wire::garbled())?;
                if index > 0 {
                    out.push(',');
                }
                json::string(out, name.as_str());
                out.push(':');
                json(out, value, depth + 1)?;
            }
            out.push('}');
        }
        RawBsonRef::Boolean(yes) => json::plain(out, yes),
        RawBsonRef::Null => out.push_str("null"),
        RawBsonRef::Int32(number) => json::plain(out, number),
        RawBsonRef::Int64(number) => json::plain(out, number),
        other => extended(out, &other),
    }
    Ok(())
}

/// Writes what JSON has no form of its own for.
fn extended(out: &mut String, value: &RawBsonRef<'_>) {
    let mut named = |name: &str, text: &str| {
        json::plain(out, format_args!("{{\"{name}\":"));
        json::string(out, text);
        out.push('}');
    };
    match value {
        RawBsonRef::ObjectId(id) => named("$oid", &id.to_hex()),
        RawBsonRef::Decimal128(number) => named("$numberDecimal", &number.to_string()),
        RawBsonRef::Symbol(text) => named("$symbol", text),
        RawBsonRef::JavaScriptCode(code) => named("$code", code),
        RawBsonRef::DateTime(moment) => {
            let millis = moment.timestamp_millis();
            match jiff::Timestamp::from_millisecond(millis) {
                Ok(moment) => named("$date", &moment.to_string()),
                Err(_) => json::plain(out, format_args!("{{\"$date\":{{\"$numberLong\":\"{millis}\"}}}}")),
            }
        }
        RawBsonRef::Binary(binary) => {
            let (text, kind) = (STANDARD.encode(binary.bytes), u8::from(binary.subtype));
            json::plain(
                out,
                format_args!("{{\"$binary\":{{\"base64\":\"{text}\",\"subType\":\"{kind:02x}\"}}}}"),
            );
        }
        RawBsonRef::RegularExpression(regex) => {
            out.push_str("{\"$regularExpression\":{\"pattern\":");
            json::string(out, regex.pattern.as_str());
            out.push_str(",\"options\":");
            json::string(out, regex.options.as_str());
            out.push_str("}}");
        }
        RawBsonRef::Timestamp(moment) => {
            json::plain(
                out,
                format_args!("{{\"$timestamp\":{{\"t\":{},\"i\":{}}}}}", moment.time, moment.increment),
            );
        }
        RawBsonRef::Undefined => out.push_str("{\"$undefined\":true}"),
        RawBsonRef::MinKey => out.push_str("{\"$minKey\":1}"),
        RawBsonRef::MaxKey => out.push_str("{\"$maxKey\":1}"),
        // Deprecated: code with its variables, and pointers.
        other => named("$deprecated", &format!("{:?}", other.element_type())),
    }
}

#[cfg(test)]
mod tests {
    use bson::raw::RawDocumentBuf;
    use bson::{Bson, doc};

    use super::*;

    fn raw(document: &bson::Document) -> RawDocumentBuf {
        RawDocumentBuf::from_bytes(document.to_vec().unwrap()).unwrap()
    }

    #[test]
    fn columns_hold_what_the_sample_showed_and_the_rest_is_json() {
        let mut sample = Sample::default();
        sample.add(&raw(&doc! { "a": 1, "b": 1_i64, "c": Bson::Null, "d": "x" })).unwrap();
        sample.add(&raw(&doc! { "a": 2_i64, "b": 1.5, "d": { "e": [1] } })).unwrap();
        let plan = sample.plan(Unfit::Refuse);
        let kinds = ["a", "b", "c", "d"].map(|name| plan.kinds[name]);
        assert_eq!(kinds, [Kind::Int, Kind::Float, Kind::Json, Kind::Json]);
        assert_eq!(plan.schema.fields().last().unwrap().name(), OTHER);
        assert!(plan.cell("a", RawBsonRef::String("x"), |_| Ok(())).is_err());
        assert!(plan.cell("b", RawBsonRef::Int64(i64::MAX), |_| Ok(())).is_err());
        plan.cell("b", RawBsonRef::Int64(1 << 53), |cell| {
            assert_eq!(cell, Cell::Float(9_007_199_254_740_992.0));
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn names_that_are_too_long_are_no_columns() {
        let mut sample = Sample::default();
        let mut document = doc! { "a": 1 };
        document.insert("n".repeat(1_001), 1);
        sample.add(&raw(&document)).unwrap();
        let plan = sample.plan(Unfit::Refuse);
        let names: Vec<&str> = plan.schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["a", OTHER]);
    }

    #[test]
    fn everything_is_json_that_a_reader_accepts() {
        let document = doc! {
            "oid": bson::oid::ObjectId::from_bytes([7; 12]), "at": bson::DateTime::from_millis(1_500),
            "far": bson::DateTime::from_millis(i64::MAX), "n": f64::NAN, "b": [Bson::Null, Bson::MinKey, Bson::MaxKey],
            "bin": Bson::Binary(bson::Binary { subtype: BinarySubtype::UserDefined(0x80), bytes: vec![1] }),
            "t": Bson::Timestamp(bson::Timestamp { time: 1, increment: 2 }), "q\"": "\0",
        };
        let mut text = String::new();
        json(&mut text, RawBsonRef::Document(&raw(&document)), 0).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["at"]["$date"], "1970-01-01T00:00:01.5Z");
        assert_eq!(value["bin"]["$binary"]["subType"], "80");
        let mut deep = Bson::Null;
        for _ in 0..1_000 {
            deep = Bson::Array(vec![deep]);
        }
        assert!(json(&mut text, RawBsonRef::Document(&raw(&doc! { "deep": deep })), 0).is_err());
    }
}

//! Types of CQL and their values.

use std::net::IpAddr;

use arrow_schema::{DataType, IntervalUnit, TimeUnit};

use crate::error::SourceError;
use crate::filter::Literal;
use crate::rows::{Cell, Unfit};
use crate::wire::json::uuid_text;
use crate::wire::{Bytes, json, number};

/// Types inside one another at most.
const DEEPEST: usize = 16;
/// Parts of a tuple or fields of a user's type at most.
const MOST_PARTS: u16 = 1_000;

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Ascii,
    Text,
    BigInt,
    Blob,
    Boolean,
    Decimal,
    Double,
    Float,
    Int,
    Timestamp,
    Uuid,
    VarInt,
    Inet,
    Date,
    Time,
    SmallInt,
    TinyInt,
    Duration,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Tuple(Vec<Type>),
    User(Vec<(String, Type)>),
    /// Anything else, by its class.
    Custom,
}

/// A value with its length before it: none of them is `None` outside, NULL is `None` inside.
#[expect(clippy::option_option, reason = "missing bytes and NULL are two things")]
pub(super) fn value<'a>(rest: &mut Bytes<'a>) -> Option<Option<&'a [u8]>> {
    match usize::try_from(rest.i32_be()?) {
        Ok(length) => rest.take(length).map(Some),
        Err(_) => Some(None),
    }
}

/// Reads a type.
pub(super) fn read(rest: &mut Bytes<'_>, depth: usize) -> Option<Type> {
    if depth > DEEPEST {
        return None;
    }
    Some(match rest.u16_be()? {
        0x01 => Type::Ascii,
        0x02 | 0x05 => Type::BigInt,
        0x03 => Type::Blob,
        0x04 => Type::Boolean,
        0x06 => Type::Decimal,
        0x07 => Type::Double,
        0x08 => Type::Float,
        0x09 => Type::Int,
        0x0A | 0x0D => Type::Text,
        0x0B => Type::Timestamp,
        0x0C | 0x0F => Type::Uuid,
        0x0E => Type::VarInt,
        0x10 => Type::Inet,
        0x11 => Type::Date,
        0x12 => Type::Time,
        0x13 => Type::SmallInt,
        0x14 => Type::TinyInt,
        0x15 => Type::Duration,
        0x20 | 0x22 => Type::List(Box::new(read(rest, depth + 1)?)),
        0x21 => Type::Map(Box::new(read(rest, depth + 1)?), Box::new(read(rest, depth + 1)?)),
        0x30 => {
            super::wire::text(rest)?;
            super::wire::text(rest)?;
            let count = rest.u16_be().filter(|count| *count <= MOST_PARTS)?;
            let field =
                |rest: &mut Bytes<'_>| Some((super::wire::text(rest)?.to_owned(), read(rest, depth + 1)?));
            Type::User((0..count).map(|_| field(rest)).collect::<Option<_>>()?)
        }
        0x31 => {
            let count = rest.u16_be().filter(|count| *count <= MOST_PARTS)?;
            Type::Tuple((0..count).map(|_| read(rest, depth + 1)).collect::<Option<_>>()?)
        }
        0x00 => {
            super::wire::text(rest)?;
            Type::Custom
        }
        _ => return None,
    })
}

/// The type of a column by its name in the system's tables. What is written in brackets is text here, whatever it is.
pub(super) fn named(name: &str) -> Type {
    let name = name.trim();
    match name {
        "ascii" => Type::Ascii,
        "text" | "varchar" => Type::Text,
        "bigint" | "counter" => Type::BigInt,
        "blob" => Type::Blob,
        "boolean" => Type::Boolean,
        "decimal" => Type::Decimal,
        "double" => Type::Double,
        "float" => Type::Float,
        "int" => Type::Int,
        "timestamp" => Type::Timestamp,
        "uuid" | "timeuuid" => Type::Uuid,
        "varint" => Type::VarInt,
        "inet" => Type::Inet,
        "date" => Type::Date,
        "time" => Type::Time,
        "smallint" => Type::SmallInt,
        "tinyint" => Type::TinyInt,
        "duration" => Type::Duration,
        _ if name.starts_with("list<") || name.starts_with("set<") || name.starts_with("map<") => {
            Type::Tuple(Vec::new())
        }
        _ if name.starts_with("tuple<") || name.starts_with("frozen<") => Type::Tuple(Vec::new()),
        // Classes and vectors as bytes; types of the user's own, by their names, as JSON.
        _ if name.starts_with('\'') || name.starts_with("vector<") => Type::Custom,
        _ => Type::User(Vec::new()),
    }
}

impl Type {
    /// What holds every value.
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::BigInt => DataType::Int64,
            Self::Blob | Self::Custom => DataType::Binary,
            Self::Boolean => DataType::Boolean,
            Self::Double => DataType::Float64,
            Self::Float => DataType::Float32,
            Self::Int => DataType::Int32,
            Self::SmallInt => DataType::Int16,
            Self::TinyInt => DataType::Int8,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Date => DataType::Date32,
            Self::Duration => DataType::Interval(IntervalUnit::MonthDayNano),
            // Numbers of any length, times of day in nanoseconds, addresses, and what is made of several.
            _ => DataType::Utf8,
        }
    }

    /// A value of this type as it is sent, if it is compared there as here.
    pub(super) fn encoded(&self, literal: &Literal) -> Option<Vec<u8>> {
        match (self, literal) {
            (Self::Text, Literal::Utf8(text)) => Some(text.clone().into_bytes()),
            (Self::Ascii, Literal::Utf8(text)) if text.is_ascii() => Some(text.clone().into_bytes()),
            (Self::Uuid, Literal::Utf8(text)) => {
                let bytes = hex::decode(text.replace('-', "")).ok().filter(|bytes| bytes.len() == 16)?;
                (uuid_text(&bytes) == *text).then_some(bytes)
            }
            (Self::Inet, Literal::Utf8(text)) => {
                let address: IpAddr = text.parse().ok()?;
                (address.to_string() == *text).then(|| match address {
                    IpAddr::V4(address) => address.octets().to_vec(),
                    IpAddr::V6(address) => address.octets().to_vec(),
                })
            }
            (Self::BigInt, Literal::Int(number)) => Some(number.to_be_bytes().to_vec()),
            (Self::Int, Literal::Int(number)) => Some(i32::try_from(*number).ok()?.to_be_bytes().to_vec()),
            (Self::SmallInt, Literal::Int(number)) => {
                Some(i16::try_from(*number).ok()?.to_be_bytes().to_vec())
            }
            (Self::TinyInt, Literal::Int(number)) => Some(i8::try_from(*number).ok()?.to_be_bytes().to_vec()),
            (Self::Boolean, Literal::Boolean(yes)) => Some(vec![u8::from(*yes)]),
            (Self::Blob, Literal::Binary(bytes)) => Some(bytes.clone()),
            (Self::Date, Literal::Date(days)) => Some(days.wrapping_sub(i32::MIN).to_be_bytes().to_vec()),
            (Self::Timestamp, Literal::Timestamp(moment)) if moment % 1_000 == 0 => {
                Some((moment / 1_000).to_be_bytes().to_vec())
            }
            _ => None,
        }
    }

    /// Whether values are ordered there as here.
    pub(super) fn is_ordered_alike(&self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Ascii
                | Self::BigInt
                | Self::Int
                | Self::SmallInt
                | Self::TinyInt
                | Self::Date
                | Self::Timestamp
        )
    }
}

/// Gives a value as a column has it to a function.
pub(super) fn cell<R>(
    name: &str,
    kind: &Type,
    bytes: Option<&[u8]>,
    unfit: Unfit,
    then: impl FnOnce(Cell<'_>) -> Result<R, SourceError>,
) -> Result<R, SourceError> {
    let Some(bytes) = bytes else { return then(Cell::Null) };
    if bytes.is_empty() && !matches!(kind, Type::Text | Type::Ascii | Type::Blob | Type::Custom) {
        return then(unfit.cell(name, "an empty value, as Thrift left them")?);
    }
    let text;
    let cell = match kind {
        Type::Text | Type::Ascii => std::str::from_utf8(bytes).ok().map(Cell::Text),
        Type::Blob | Type::Custom => Some(Cell::Bytes(bytes)),
        Type::BigInt => exact(bytes, Bytes::i64_be).map(Cell::Int),
        Type::Int => exact(bytes, Bytes::i32_be).map(|number| Cell::Int(number.into())),
        Type::SmallInt => exact(bytes, Bytes::i16_be).map(|number| Cell::Int(number.into())),
        Type::TinyInt => exact(bytes, Bytes::i8).map(|number| Cell::Int(number.into())),
        Type::Boolean => exact(bytes, Bytes::u8).map(|number| Cell::Boolean(number != 0)),
        Type::Double => exact(bytes, Bytes::f64_be).map(Cell::Float),
        Type::Float => exact(bytes, Bytes::f32_be).map(|number| Cell::Float(number.into())),
        Type::Date => exact(bytes, Bytes::i32_be).map(|days| Cell::Date(days.wrapping_add(i32::MIN))),
        Type::Timestamp => match exact(bytes, Bytes::i64_be).map(|millis| millis.checked_mul(1_000)) {
            Some(None) => return then(unfit.cell(name, "a moment beyond 290,000 years")?),
            moment => moment.flatten().map(Cell::Timestamp),
        },
        Type::Duration => duration(bytes),
        Type::Uuid if bytes.len() == 16 => {
            text = uuid_text(bytes);
            Some(Cell::Text(&text))
        }
        Type::Inet | Type::Time | Type::Decimal | Type::VarInt => match plain(kind, bytes) {
            Some(written) => {
                text = written;
                Some(Cell::Text(&text))
            }
            None => None,
        },
        _ => {
            let mut written = String::new();
            match json(&mut written, kind, bytes, 0) {
                Some(()) => {
                    text = written;
                    Some(Cell::Text(&text))
                }
                None => None,
            }
        }
    };
    match cell {
        Some(cell) => then(cell),
        None => Err(SourceError::sent_mistyped(name)),
    }
}

/// A number that is all there is.
fn exact<'a, T>(bytes: &'a [u8], read: impl FnOnce(&mut Bytes<'a>) -> Option<T>) -> Option<T> {
    let mut rest = Bytes(bytes);
    read(&mut rest).filter(|_| rest.is_empty())
}

/// The text of a value that has one without quotes.
fn plain(kind: &Type, bytes: &[u8]) -> Option<String> {
    match kind {
        Type::Inet => match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).ok().map(|octets| IpAddr::from(octets).to_string()),
            _ => <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::from(octets).to_string()),
        },
        Type::Time => {
            let units =
                exact(bytes, Bytes::i64_be).filter(|units| (0..86_400_000_000_000).contains(units))?;
            let (seconds, nanos) = (units / 1_000_000_000, units % 1_000_000_000);
            Some(format!("{:02}:{:02}:{:02}.{nanos:09}", seconds / 3_600, seconds / 60 % 60, seconds % 60))
        }
        Type::VarInt => number::signed(bytes),
        Type::Decimal => {
            let mut rest = Bytes(bytes);
            let scale = rest.i32_be()?;
            number::with_scale(&number::signed(rest.0)?, scale)
        }
        _ => None,
    }
}

/// Three numbers of variable length: months, days, nanoseconds.
fn duration<'a>(bytes: &[u8]) -> Option<Cell<'a>> {
    let mut rest = Bytes(bytes);
    let months = i32::try_from(variable(&mut rest)?).ok()?;
    let days = i32::try_from(variable(&mut rest)?).ok()?;
    let nanoseconds = variable(&mut rest)?;
    Some(Cell::Interval { months, days, nanoseconds })
}

/// A number whose first byte tells by its leading ones how many follow, with the sign in its last bit.
fn variable(rest: &mut Bytes<'_>) -> Option<i64> {
    let first = rest.u8()?;
    let more = first.leading_ones();
    let mask = 0xFF_u32.checked_shr(more + 1).unwrap_or(0);
    let mut number = u64::from(u32::from(first) & mask);
    for byte in rest.take(more as usize)? {
        number = number << 8 | u64::from(*byte);
    }
    let half = i64::try_from(number >> 1).ok()?;
    Some(if number & 1 == 1 { !half } else { half })
}

/// Writes a value as JSON. None if it is none of its type.
pub(super) fn json(out: &mut String, kind: &Type, bytes: &[u8], depth: usize) -> Option<()> {
    (depth <= DEEPEST).then_some(())?;
    match kind {
        Type::Text | Type::Ascii => json::string(out, std::str::from_utf8(bytes).ok()?),
        _ if bytes.is_empty() && !matches!(kind, Type::Blob | Type::Custom) => out.push_str("null"),
        Type::Blob | Type::Custom => json::quoted(out, format_args!("0x{}", hex::encode(bytes))),
        Type::BigInt => json::plain(out, exact(bytes, Bytes::i64_be)?),
        Type::Int => json::plain(out, exact(bytes, Bytes::i32_be)?),
        Type::SmallInt => json::plain(out, exact(bytes, Bytes::i16_be)?),
        Type::TinyInt => json::plain(out, exact(bytes, Bytes::i8)?),
        Type::Boolean => json::plain(out, exact(bytes, Bytes::u8)? != 0),
        Type::Double => json::float(out, exact(bytes, Bytes::f64_be)?),
        Type::Float => {
            let number = exact(bytes, Bytes::f32_be)?;
            if number.is_finite() { json::plain(out, number) } else { json::quoted(out, number) }
        }
        Type::VarInt | Type::Decimal => json::plain(out, plain(kind, bytes)?),
        Type::Inet | Type::Time => json::quoted(out, plain(kind, bytes)?),
        Type::Uuid => json::quoted(out, uuid_text(bytes)),
        Type::Date | Type::Timestamp | Type::Duration => json_time(out, kind, bytes)?,
        Type::List(inner) => list(out, inner, bytes, depth)?,
        Type::Map(key, inner) => map(out, key, inner, bytes, depth)?,
        Type::Tuple(parts) => {
            let mut rest = Bytes(bytes);
            out.push('[');
            for (index, part) in parts.iter().enumerate() {
                separate(out, index);
                element(out, part, &mut rest, depth)?;
            }
            out.push(']');
        }
        Type::User(fields) => {
            let mut rest = Bytes(bytes);
            out.push('{');
            for (index, (name, field)) in fields.iter().enumerate() {
                separate(out, index);
                json::string(out, name);
                out.push(':');
                element(out, field, &mut rest, depth)?;
            }
            out.push('}');
        }
    }
    Some(())
}

/// Writes a date, a moment or a duration as JSON.
fn json_time(out: &mut String, kind: &Type, bytes: &[u8]) -> Option<()> {
    match kind {
        Type::Date => {
            let days = exact(bytes, Bytes::i32_be)?.wrapping_add(i32::MIN);
            let span = jiff::Span::new().try_days(days).ok();
            let date = span.and_then(|span| jiff::civil::date(1970, 1, 1).checked_add(span).ok());
            match date {
                Some(date) => json::quoted(out, date),
                None => json::plain(out, days),
            }
        }
        Type::Timestamp => {
            let millis = exact(bytes, Bytes::i64_be)?;
            match jiff::Timestamp::from_millisecond(millis) {
                Ok(moment) => json::quoted(out, moment),
                Err(_) => json::plain(out, millis),
            }
        }
        Type::Duration => match duration(bytes)? {
            Cell::Interval { months, days, nanoseconds } => {
                json::quoted(out, format_args!("{months}mo{days}d{nanoseconds}ns"));
            }
            _ => return None,
        },
        _ => return None,
    }
    Some(())
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

/// A part of a value. Those that were added to the type later are missing.
fn element(out: &mut String, kind: &Type, rest: &mut Bytes<'_>, depth: usize) -> Option<()> {
    let part = if rest.is_empty() { None } else { value(rest)? };
    match part {
        Some(part) => json(out, kind, part, depth + 1),
        None => {
            out.push_str("null");
            Some(())
        }
    }
}

fn list(out: &mut String, inner: &Type, bytes: &[u8], depth: usize) -> Option<()> {
    let mut rest = Bytes(bytes);
    out.push('[');
    for index in 0..usize::try_from(rest.i32_be()?).ok()? {
        (!rest.is_empty()).then_some(())?;
        separate(out, index);
        element(out, inner, &mut rest, depth)?;
    }
    out.push(']');
    Some(())
}

/// Keys of JSON are text: those of other types are the text of their JSON.
fn map(out: &mut String, key: &Type, inner: &Type, bytes: &[u8], depth: usize) -> Option<()> {
    let mut rest = Bytes(bytes);
    out.push('{');
    for index in 0..usize::try_from(rest.i32_be()?).ok()? {
        (!rest.is_empty()).then_some(())?;
        separate(out, index);
        let mut name = String::new();
        element(&mut name, key, &mut rest, depth)?;
        if name.starts_with('"') {
            out.push_str(&name);
        } else {
            json::string(out, &name);
        }
        out.push(':');
        (!rest.is_empty()).then_some(())?;
        element(out, inner, &mut rest, depth)?;
    }
    out.push('}');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(kind: &Type, bytes: &[u8]) -> String {
        cell("c", kind, Some(bytes), Unfit::Refuse, |cell| Ok(format!("{cell:?}"))).unwrap()
    }

    #[test]
    fn values_are_read_as_the_protocol_writes_them() {
        assert_eq!(text_of(&Type::Date, &0x8000_0001_u32.to_be_bytes()), "Date(1)");
        assert_eq!(text_of(&Type::Timestamp, &1_500_i64.to_be_bytes()), "Timestamp(1500000)");
        assert_eq!(text_of(&Type::Time, &1_i64.to_be_bytes()), "Text(\"00:00:00.000000001\")");
        assert_eq!(text_of(&Type::Decimal, &[0, 0, 0, 2, 0xFF]), "Text(\"-0.01\")");
        assert_eq!(text_of(&Type::VarInt, &[1; 9]), "Text(\"18519084246547628289\")");
        assert_eq!(text_of(&Type::Inet, &[127, 0, 0, 1]), "Text(\"127.0.0.1\")");
        assert_eq!(text_of(&Type::Duration, &[2, 4, 6]), "Interval { months: 1, days: 2, nanoseconds: 3 }");
        assert_eq!(
            text_of(&Type::Duration, &[1, 0, 0xF0, 0xFF, 0xFF, 0xFF, 0xFF]),
            "Interval { months: -1, days: 0, nanoseconds: -2147483648 }"
        );
        let map = Type::Map(Box::new(Type::Int), Box::new(Type::List(Box::new(Type::Text))));
        let inner = [&[0, 0, 0, 1, 0, 0, 0, 1][..], b"x"].concat();
        let length = u32::try_from(inner.len()).unwrap().to_be_bytes();
        let bytes = [&[0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7][..], &length, &inner].concat();
        assert_eq!(text_of(&map, &bytes), "Text(\"{\\\"7\\\":[\\\"x\\\"]}\")");
        assert!(cell("c", &Type::Int, Some(&[]), Unfit::Refuse, |_| Ok(())).is_err());
        assert!(cell("c", &Type::Int, Some(&[1]), Unfit::Refuse, |_| Ok(())).is_err());
    }

    #[test]
    fn values_are_sent_as_they_are_read() {
        assert_eq!(Type::Date.encoded(&Literal::Date(1)).unwrap(), 0x8000_0001_u32.to_be_bytes());
        assert!(Type::Timestamp.encoded(&Literal::Timestamp(1)).is_none());
        let id = "00112233-4455-6677-8899-aabbccddeeff";
        assert_eq!(Type::Uuid.encoded(&Literal::Utf8(id.to_owned())).unwrap().len(), 16);
        assert!(Type::Uuid.encoded(&Literal::Utf8(id.to_uppercase())).is_none());
        assert!(Type::TinyInt.encoded(&Literal::Int(128)).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_type_or_value_is_a_panic(bytes: Vec<u8>, code in 0_u16..0x32) {
            let all = [code.to_be_bytes().to_vec(), bytes.clone()].concat();
            if let Some(kind) = read(&mut Bytes(&all), 0) {
                let _ = cell("c", &kind, Some(&bytes), Unfit::Refuse, |_| Ok(()));
                let _ = json(&mut String::new(), &kind, &bytes, 0);
            }
        }
    }
}

//! Values of parameters. They become what `POST /api/v1/queries/execute` takes: texts, numbers, booleans and null, which are bound.

use arrow_schema::DataType;
use serde_json::{Number, Value};

use super::oids::PgType;
use super::{binary, days};
use crate::protocol::problem::Problem;

/// Digits of a decimal number that are never lost.
const EXACT: usize = 15;

fn no_value(kind: PgType) -> Problem {
    Problem::new("22P02", format!("A parameter is not a value of the type {}.", kind.shown()))
}

/// A value that a client sent: of the type that it stated, or else of the one that the statement wants.
pub(crate) fn value(
    sent: Option<&[u8]>,
    is_binary: bool,
    stated: u32,
    wanted: Option<&DataType>,
) -> Result<Value, Problem> {
    let Some(bytes) = sent else { return Ok(Value::Null) };
    let kind = match (stated, wanted) {
        (0 | 705, Some(wanted)) => PgType::of(wanted),
        (0, None) => PgType::Text,
        (oid, _) => PgType::of_oid(oid).ok_or_else(|| Problem::unsupported("A parameter of this type"))?,
    };
    if matches!(kind, PgType::Bytea) {
        return Err(Problem::unsupported("A parameter of the type bytea"));
    }
    if is_binary {
        return of_binary(bytes, kind);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| no_value(kind))?;
    of_text(text, kind)
}

fn of_text(text: &str, kind: PgType) -> Result<Value, Problem> {
    if text.contains('\0') {
        return Err(no_value(kind));
    }
    let trimmed = text.trim();
    match kind {
        PgType::Bool => match trimmed.to_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Ok(Value::Bool(true)),
            "f" | "false" | "n" | "no" | "off" | "0" => Ok(Value::Bool(false)),
            _ => Err(no_value(kind)),
        },
        PgType::Int2 | PgType::Int4 | PgType::Int8 | PgType::Oid => {
            trimmed.parse::<i64>().map(Value::from).map_err(|_| no_value(kind))
        }
        PgType::Float4 | PgType::Float8 => number(trimmed).ok_or_else(|| no_value(kind)),
        PgType::Numeric => decimal(trimmed),
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// A number that is finite: others are no JSON.
fn number(text: &str) -> Option<Value> {
    let number: f64 = text.parse().ok()?;
    Number::from_f64(number).map(Value::Number)
}

/// A decimal number: whole where it is. One that would lose digits is refused: it would be compared with others than those that are meant.
fn decimal(text: &str) -> Result<Value, Problem> {
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(Value::from(whole));
    }
    let number = number(text).ok_or_else(|| no_value(PgType::Numeric))?;
    if significant(text) <= EXACT || number.as_f64().is_some_and(|number| number.to_string() == plain(text)) {
        return Ok(number);
    }
    Err(Problem::unsupported("A parameter of the type numeric with so many digits"))
}

/// How many digits of a number mean something.
fn significant(text: &str) -> usize {
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = if digits.contains('.') { digits.trim_end_matches('0') } else { digits };
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').len()
}

/// A number without what means nothing.
fn plain(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn of_binary(bytes: &[u8], kind: PgType) -> Result<Value, Problem> {
    let wrong = || no_value(kind);
    Ok(match kind {
        PgType::Bool => match bytes {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return Err(wrong()),
        },
        PgType::Int2 => Value::from(i16::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
        PgType::Int4 => Value::from(i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
        PgType::Int8 => Value::from(i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
        PgType::Oid => Value::from(u32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
        PgType::Float4 => {
            let number = f32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
            Number::from_f64(number.into()).map(Value::Number).ok_or_else(wrong)?
        }
        PgType::Float8 => {
            let number = f64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
            Number::from_f64(number).map(Value::Number).ok_or_else(wrong)?
        }
        PgType::Numeric => decimal(&binary::numeric_text(bytes).ok_or_else(wrong)?)?,
        PgType::Date => {
            let day = i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
            Value::String(days::date(i64::from(day) + days::EPOCH_DAYS))
        }
        PgType::Time => {
            let micros = i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
            Value::String(days::time(micros))
        }
        PgType::Timestamp | PgType::Timestamptz => {
            let micros = i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
            let since_1970 = micros.checked_add(days::EPOCH_DAYS * days::DAY).ok_or_else(wrong)?;
            Value::String(days::timestamp(since_1970, kind == PgType::Timestamptz))
        }
        PgType::Uuid => {
            let bytes: [u8; 16] = bytes.try_into().map_err(|_| wrong())?;
            Value::String(uuid::Uuid::from_bytes(bytes).to_string())
        }
        PgType::Jsonb => match bytes.split_first() {
            Some((1, text)) => of_text(std::str::from_utf8(text).map_err(|_| wrong())?, kind)?,
            _ => return Err(wrong()),
        },
        PgType::Text
        | PgType::Varchar
        | PgType::Bpchar
        | PgType::Name
        | PgType::Char
        | PgType::Json
        | PgType::Unknown => of_text(std::str::from_utf8(bytes).map_err(|_| wrong())?, kind)?,
        PgType::Interval | PgType::Regclass | PgType::Bytea => {
            return Err(Problem::unsupported("A binary parameter of this type"));
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_of_the_type_that_is_stated_or_wanted() {
        let text = |text: &str, oid, wanted: Option<DataType>| {
            value(Some(text.as_bytes()), false, oid, wanted.as_ref()).map_err(|problem| problem.state)
        };
        assert_eq!(text("7", 23, None), Ok(json!(7)));
        assert_eq!(text("7", 0, None), Ok(json!("7")));
        assert_eq!(text("7", 0, Some(DataType::Int64)), Ok(json!(7)));
        assert_eq!(text("O'Brien", 25, None), Ok(json!("O'Brien")));
        assert_eq!(text("t", 16, None), Ok(json!(true)));
        assert_eq!(text("1.5", 1700, None), Ok(json!(1.5)));
        assert_eq!(text("9007199254740993", 1700, None), Ok(json!(9_007_199_254_740_993_i64)));
        assert_eq!(text("0.10000000000000000000", 1700, None), Ok(json!(0.1)));
        assert_eq!(text("-0099.5", 1700, None), Ok(json!(-99.5)));
        assert_eq!(text("1234567890123456.5", 1700, None), Ok(json!(1_234_567_890_123_456.5)));
        assert_eq!(text("12345678901234567.89", 1700, None), Err("0A000"));
        assert_eq!(text("9223372036854775809", 1700, None), Err("0A000"));
        assert_eq!(text("1e30", 1700, None), Ok(json!(1e30)));
        assert_eq!(text("seven", 1700, None), Err("22P02"));
        assert_eq!(text("NaN", 1700, None), Err("22P02"));
        assert_eq!(text("seven", 23, None), Err("22P02"));
        assert_eq!(text("\\x00", 17, None), Err("0A000"));
        assert_eq!(text("{1}", 1007, None), Err("0A000"));
        assert_eq!(value(None, true, 23, None), Ok(Value::Null));
        assert_eq!(value(Some(&[0, 0, 0, 1]), true, 1082, None), Ok(json!("2000-01-02")));
        assert_eq!(value(Some(&[0, 0, 0]), true, 23, None).unwrap_err().state, "22P02");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), is_binary: bool) {
            for kind in PgType::ALL {
                drop(value(Some(&bytes), is_binary, kind.oid(), None));
            }
        }
    }
}

//! Masks on columns of a batch. Each keeps the column's type; where it cannot, nothing is shown.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, Date32Array, StringBuilder, TimestampMicrosecondArray,
    new_null_array,
};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use tidegate_policy::{ColumnType, Decimal, Mask, MaskedBy, Value};

use crate::governance;

/// A keyed hash of bytes: HMAC-SHA-256 under a key of the organization.
pub type Hasher = Arc<dyn Fn(&[u8]) -> [u8; 32] + Send + Sync>;

/// Puts the mask over a column.
pub(crate) fn apply(masked: &MaskedBy, column: &ArrayRef, hash: &Hasher) -> Result<ArrayRef, ArrowError> {
    let kind = column.data_type();
    if let Mask::Constant(value) = &masked.mask {
        return constant(value, column);
    }
    let shown = match (&masked.mask, masked.kind) {
        (Mask::Null, _) => None,
        (Mask::Hash, ColumnType::Binary) => hashed_bytes(column, hash)?,
        (mask, ColumnType::Text) => texts(mask, column, hash)?,
        (Mask::DateTruncation(unit), ColumnType::Date) => {
            let days = cast(column, &DataType::Date32)?;
            let cut =
                days.as_primitive::<Date32Type>().iter().map(|day| day.and_then(|day| unit.cut_day(day)));
            Some(Arc::new(cut.collect::<Date32Array>()) as ArrayRef)
        }
        (Mask::DateTruncation(unit), ColumnType::Timestamp { .. }) => {
            let DataType::Timestamp(_, zone) = kind else { return Ok(new_null_array(kind, column.len())) };
            let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>();
            let cut = micros.iter().map(|at| at.and_then(|at| unit.cut_micros(at)));
            Some(Arc::new(cut.collect::<TimestampMicrosecondArray>().with_timezone_opt(zone.clone()))
                as ArrayRef)
        }
        (Mask::Rounding { .. }, _) => rounded(masked, column)?,
        _ => None,
    };
    match shown {
        // What does not fit its type is not shown.
        Some(shown) => cast_with_options(&shown, kind, &CastOptions { safe: true, ..CastOptions::default() }),
        None => Ok(new_null_array(kind, column.len())),
    }
}

fn constant(value: &Value, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let kind = column.data_type();
    match governance::scalar(value, kind) {
        Ok(value) => {
            let array = value
                .to_array_of_size(column.len())
                .map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
            cast(&array, kind)
        }
        Err(_) => Ok(new_null_array(kind, column.len())),
    }
}

fn texts(mask: &Mask, column: &ArrayRef, hash: &Hasher) -> Result<Option<ArrayRef>, ArrowError> {
    if !matches!(mask, Mask::Hash | Mask::Partial { .. } | Mask::Email { .. } | Mask::Regex { .. }) {
        return Ok(None);
    }
    let plain = cast(column, &DataType::Utf8)?;
    let plain = plain.as_string::<i32>();
    let mut shown = StringBuilder::with_capacity(plain.len(), plain.value_data().len());
    for text in plain {
        match text {
            None => shown.append_null(),
            Some(text) if matches!(mask, Mask::Hash) => {
                shown.append_value(hexadecimal(&hash(text.as_bytes())))
            }
            Some(text) => shown.append_option(mask.apply_text(text)),
        }
    }
    Ok(Some(Arc::new(shown.finish())))
}

fn hashed_bytes(column: &ArrayRef, hash: &Hasher) -> Result<Option<ArrayRef>, ArrowError> {
    // 32 bytes do not fit a binary value of another fixed size.
    if let DataType::FixedSizeBinary(size) = column.data_type()
        && *size != 32
    {
        return Ok(None);
    }
    let plain = cast(column, &DataType::Binary)?;
    let mut shown = BinaryBuilder::new();
    for bytes in plain.as_binary::<i32>() {
        match bytes {
            None => shown.append_null(),
            Some(bytes) => shown.append_value(hash(bytes)),
        }
    }
    Ok(Some(Arc::new(shown.finish())))
}

fn hexadecimal(bytes: &[u8; 32]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble & 15)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Numbers, each rounded as policies round.
fn rounded(masked: &MaskedBy, column: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
    let no_hash = |_: &[u8]| [0; 32];
    let round = |value: Value| masked.mask.apply(&value, masked.kind, &no_hash);
    let whole = |value: Value| match value {
        Value::Int(number) => Some(number),
        _ => None,
    };
    Ok(Some(match masked.kind {
        ColumnType::Int { .. } => {
            let numbers = cast(column, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            let shown = numbers.iter().map(|number| {
                number.and_then(|number| {
                    whole(round(Value::Int(number.into()))).and_then(|n| i64::try_from(n).ok())
                })
            });
            Arc::new(shown.collect::<datafusion::arrow::array::Int64Array>()) as ArrayRef
        }
        ColumnType::UInt { .. } => {
            let numbers = cast(column, &DataType::UInt64)?;
            let numbers = numbers.as_primitive::<UInt64Type>();
            let shown = numbers.iter().map(|number| {
                number.and_then(|number| {
                    whole(round(Value::Int(number.into()))).and_then(|n| u64::try_from(n).ok())
                })
            });
            Arc::new(shown.collect::<datafusion::arrow::array::UInt64Array>())
        }
        ColumnType::Float { .. } => {
            let numbers = cast(column, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            let shown = numbers.iter().map(|number| {
                number.and_then(|number| match round(Value::Float(number)) {
                    Value::Float(number) => Some(number),
                    _ => None,
                })
            });
            Arc::new(shown.collect::<datafusion::arrow::array::Float64Array>())
        }
        ColumnType::Decimal { scale, .. } => {
            let numbers = cast(column, &DataType::Decimal128(38, scale))?;
            let numbers = numbers.as_primitive::<Decimal128Type>();
            let shown = numbers.iter().map(|number| {
                number.and_then(|unscaled| match round(Value::Decimal(Decimal { unscaled, scale })) {
                    Value::Decimal(number) => Some(number.unscaled),
                    _ => None,
                })
            });
            let shown = shown.collect::<datafusion::arrow::array::Decimal128Array>();
            Arc::new(shown.with_precision_and_scale(38, scale)?)
        }
        _ => return Ok(None),
    }))
}

//! Values of Arrow as the text that duckdb_values.py makes of the same values.

use std::fmt::Write;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};
use aws_lc_rs::digest::{SHA256, digest};

/// Values of a column that are compared one by one at most; of a longer one a digest of as many.
const BLOCK: usize = 1_000;
const MILLISECONDS_A_DAY: i64 = 86_400_000;

/// Values as they are if there are few, else a digest of each thousand.
pub(super) fn short(values: &[String]) -> Vec<String> {
    if values.len() <= BLOCK {
        return values.to_vec();
    }
    values.chunks(BLOCK).map(|block| hex::encode(digest(&SHA256, block.join("\n").as_bytes()))).collect()
}

pub(super) fn text(array: &dyn Array, row: usize) -> String {
    let mut text = String::new();
    write(&mut text, array, row);
    text
}

fn write(to: &mut String, array: &dyn Array, row: usize) {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        to.push_str("null");
        return;
    }
    macro_rules! number {
        ($kind:ty) => {
            write!(to, "{}", array.as_primitive::<$kind>().value(row)).unwrap()
        };
    }
    macro_rules! decimal {
        ($kind:ty) => {
            to.push_str(&array.as_primitive::<$kind>().value_as_string(row))
        };
    }
    macro_rules! keyed {
        ($kind:ty) => {{
            let keyed = array.as_dictionary::<$kind>();
            write(to, keyed.values().as_ref(), keyed.key(row).unwrap())
        }};
    }
    match array.data_type() {
        DataType::Boolean => write!(to, "{}", array.as_boolean().value(row)).unwrap(),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => float(to, array.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => float(to, f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => float(to, array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal32(..) => decimal!(Decimal32Type),
        DataType::Decimal64(..) => decimal!(Decimal64Type),
        DataType::Decimal128(..) => decimal!(Decimal128Type),
        DataType::Decimal256(..) => decimal!(Decimal256Type),
        DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..) => write!(to, "{}", time(array, row)).unwrap(),
        DataType::List(_) => list(to, array.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => list(to, array.as_list::<i64>().value(row).as_ref()),
        DataType::FixedSizeList(..) => list(to, array.as_fixed_size_list().value(row).as_ref()),
        DataType::Map(..) => list(to, &array.as_map().value(row)),
        DataType::Struct(_) => members(to, array, row),
        DataType::Dictionary(key, _) => match key.as_ref() {
            DataType::Int8 => keyed!(Int8Type),
            DataType::Int16 => keyed!(Int16Type),
            DataType::Int32 => keyed!(Int32Type),
            DataType::UInt32 => keyed!(UInt32Type),
            other => panic!("no text for keys that are {other}"),
        },
        _ => {
            to.push('x');
            to.push_str(&hex::encode(bytes(array, row)));
        }
    }
}

fn bytes(array: &dyn Array, row: usize) -> &[u8] {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).as_bytes(),
        DataType::Utf8View => array.as_string_view().value(row).as_bytes(),
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
        other => panic!("no text for {other}"),
    }
}

fn float(to: &mut String, value: f64) {
    if value.is_nan() {
        to.push_str("nan");
    } else {
        write!(to, "{:016x}", value.to_bits()).unwrap();
    }
}

/// Days since 1970, or microseconds since then or midnight; of nanoseconds the whole microseconds.
fn time(array: &dyn Array, row: usize) -> i64 {
    macro_rules! value {
        ($kind:ty) => {
            i64::from(array.as_primitive::<$kind>().value(row))
        };
    }
    match array.data_type() {
        DataType::Date32 => value!(Date32Type),
        DataType::Date64 => value!(Date64Type).div_euclid(MILLISECONDS_A_DAY),
        DataType::Time32(TimeUnit::Second) => value!(Time32SecondType) * 1_000_000,
        DataType::Time32(_) => value!(Time32MillisecondType) * 1_000,
        DataType::Time64(TimeUnit::Nanosecond) => value!(Time64NanosecondType).div_euclid(1_000),
        DataType::Time64(_) => value!(Time64MicrosecondType),
        DataType::Timestamp(TimeUnit::Second, _) => value!(TimestampSecondType) * 1_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => value!(TimestampMillisecondType) * 1_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => value!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => value!(TimestampNanosecondType).div_euclid(1_000),
        other => panic!("no time: {other}"),
    }
}

fn list(to: &mut String, inside: &dyn Array) {
    to.push('[');
    for place in 0..inside.len() {
        if place > 0 {
            to.push(',');
        }
        write(to, inside, place);
    }
    to.push(']');
}

fn members(to: &mut String, array: &dyn Array, row: usize) {
    to.push('{');
    for (place, member) in array.as_struct().columns().iter().enumerate() {
        if place > 0 {
            to.push(',');
        }
        write(to, member.as_ref(), row);
    }
    to.push('}');
}

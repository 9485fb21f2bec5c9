//! Values as the texts in which databases answer them over HTTP.

use arrow_buffer::i256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::plan::Kind;
use crate::error::SourceError;
use crate::files;
use crate::rows::{Cell, Unfit};

/// Gives the value of a text to a function.
pub(super) fn decode(
    kind: Kind,
    column: &str,
    text: Option<&str>,
    unfit: Unfit,
    append: impl FnOnce(Cell<'_>) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let Some(text) = text else { return append(Cell::Null) };
    let bare = text.trim();
    let cell = match kind {
        Kind::Text | Kind::Unreadable => return append(Cell::Text(text)),
        Kind::Hex => match hex::decode(bare) {
            Ok(bytes) => return append(Cell::Bytes(&bytes)),
            Err(_) => None,
        },
        Kind::Base64 => match STANDARD.decode(bare) {
            Ok(bytes) => return append(Cell::Bytes(&bytes)),
            Err(_) => None,
        },
        Kind::Boolean => boolean(bare).map(Cell::Boolean),
        Kind::Int | Kind::Signed(_) => bare.parse().ok().map(Cell::Int),
        Kind::Unsigned(_) => bare.parse().ok().map(Cell::UInt),
        Kind::Float => bare.parse().ok().map(Cell::Float),
        // What is written is the shortest text of a float of this size: it is read as one.
        Kind::Real => bare.parse::<f32>().ok().map(|float| Cell::Float(f64::from(float))),
        Kind::Decimal { precision, scale } => decimal(bare, precision, scale),
        Kind::Date => bare.parse().ok().and_then(files::days).map(Cell::Date),
        Kind::Time => time(shortened(bare)).map(Cell::Time),
        Kind::Timestamp | Kind::Instant => {
            shortened(bare).parse().ok().and_then(files::microseconds).map(Cell::Timestamp)
        }
        Kind::Microseconds => bare.parse().ok().map(Cell::Timestamp),
    };
    match cell {
        Some(cell) => append(cell),
        None => append(unfit.cell(column, "a value")?),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "TRUE" | "1" => Some(true),
        "false" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

/// A moment without zeros at the end of its fraction, which some databases write to the picosecond.
fn shortened(text: &str) -> &str {
    match text.rsplit_once('.') {
        Some((_, fraction)) if fraction.len() > 6 => text.trim_end_matches('0').trim_end_matches('.'),
        _ => text,
    }
}

/// Microseconds since midnight.
fn time(text: &str) -> Option<i64> {
    let time: jiff::civil::Time = text.parse().ok()?;
    let nanoseconds = i64::from(time.subsec_nanosecond());
    let seconds = (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second());
    (nanoseconds % 1_000 == 0).then(|| seconds * 1_000_000 + nanoseconds / 1_000)
}

/// A decimal of the type's precision and scale; none if a digit would be lost.
fn decimal(text: &str, precision: u8, scale: i8) -> Option<Cell<'static>> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !all_digits || whole.len() + fraction.len() == 0 {
        return None;
    }
    // The digits, and by how many places the type's last one is after their last.
    let mut digits = format!("{whole}{fraction}");
    let places =
        i32::from(scale).saturating_add(exponent).saturating_sub(i32::try_from(fraction.len()).ok()?);
    let by = usize::try_from(places.unsigned_abs()).ok()?;
    if digits.bytes().all(|digit| digit == b'0') {
        "0".clone_into(&mut digits);
    } else if places >= 0 {
        if by > 80 {
            return None;
        }
        digits.push_str(&"0".repeat(by));
    } else {
        let kept = digits.len().checked_sub(by)?;
        let lost = digits.split_off(kept);
        if lost.bytes().any(|digit| digit != b'0') {
            return None;
        }
    }
    let digits = digits.trim_start_matches('0');
    if digits.len() > usize::from(precision) {
        return None;
    }
    let sign = if negative && !digits.is_empty() { "-" } else { "" };
    let number = format!("{sign}{}", if digits.is_empty() { "0" } else { digits });
    if precision <= 38 {
        number.parse().ok().map(Cell::Decimal128)
    } else {
        i256::from_string(&number).map(Cell::Decimal256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, text: &str) -> Option<String> {
        let mut read = None;
        let decoded = decode(kind, "c", Some(text), Unfit::Refuse, |cell| {
            read = Some(format!("{cell:?}"));
            Ok(())
        });
        decoded.ok().and(read)
    }

    #[test]
    fn decimals_lose_no_digit() {
        let kind = Kind::Decimal { precision: 10, scale: 2 };
        let unscaled = |text: &str| read(kind, text);
        assert_eq!(unscaled("123.45").as_deref(), Some("Decimal128(12345)"));
        assert_eq!(unscaled("-.5").as_deref(), Some("Decimal128(-50)"));
        assert_eq!(unscaled("1E+2").as_deref(), Some("Decimal128(10000)"));
        assert_eq!(unscaled("1.230000000").as_deref(), Some("Decimal128(123)"));
        assert_eq!(unscaled("-0").as_deref(), Some("Decimal128(0)"));
        assert_eq!(unscaled("0E-30").as_deref(), Some("Decimal128(0)"));
        for text in ["1.234", "123456789.00", "NaN", "", "1.2.3", "1E99999999", "1E-99999999", "--1"] {
            assert_eq!(unscaled(text), None, "{text}");
        }
        let wide = Kind::Decimal { precision: 76, scale: 38 };
        assert!(read(wide, "0.00000000000000000000000000000000000001").is_some());
        assert!(read(wide, &"9".repeat(39)).is_none());
    }

    #[test]
    fn moments_are_exact_or_do_not_fit() {
        assert_eq!(read(Kind::Date, "1970-01-02").as_deref(), Some("Date(1)"));
        assert_eq!(
            read(Kind::Timestamp, "1970-01-01 00:00:01.500000000").as_deref(),
            Some("Timestamp(1500000)")
        );
        assert_eq!(read(Kind::Timestamp, "1970-01-01T00:00:01.5").as_deref(), Some("Timestamp(1500000)"));
        assert_eq!(
            read(Kind::Timestamp, "1970-01-01 00:00:01.500000000000").as_deref(),
            Some("Timestamp(1500000)")
        );
        assert_eq!(
            read(Kind::Timestamp, "1970-01-01 00:00:10.000000000000").as_deref(),
            Some("Timestamp(10000000)")
        );
        assert_eq!(read(Kind::Timestamp, "1970-01-01 00:00:01.000000000001"), None);
        assert_eq!(read(Kind::Timestamp, "1970-01-01 00:00:01.000000001"), None);
        assert_eq!(read(Kind::Time, "23:59:59.999999").as_deref(), Some("Time(86399999999)"));
        assert_eq!(read(Kind::Date, "-0044-03-15"), None);
        assert_eq!(read(Kind::Microseconds, "-1").as_deref(), Some("Timestamp(-1)"));
    }

    #[test]
    fn bytes_numbers_and_truth() {
        assert_eq!(read(Kind::Hex, "00FF").as_deref(), Some("Bytes([0, 255])"));
        assert_eq!(read(Kind::Base64, "AP8=").as_deref(), Some("Bytes([0, 255])"));
        assert_eq!(read(Kind::Hex, "0"), None);
        assert_eq!(read(Kind::Boolean, "true").as_deref(), Some("Boolean(true)"));
        assert_eq!(read(Kind::Boolean, "maybe"), None);
        assert_eq!(read(Kind::Float, "NaN").as_deref(), Some("Float(NaN)"));
        assert_eq!(read(Kind::Float, "-Infinity").as_deref(), Some("Float(-inf)"));
        assert_eq!(read(Kind::Int, "9223372036854775808"), None);
        assert_eq!(
            read(Kind::Unsigned(64), "18446744073709551615").as_deref(),
            Some("UInt(18446744073709551615)")
        );
        assert_eq!(read(Kind::Unsigned(8), "-1"), None);
        assert_eq!(read(Kind::Real, "0.1").as_deref(), Some("Float(0.10000000149011612)"));
    }
}

//! PostgreSQL's binary values.

use std::error::Error;

use arrow_buffer::i256;
use tokio_postgres::types::{FromSql, Type};

use crate::error::SourceError;
use crate::rows::{Cell, Unfit};

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// How the bytes of a column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decode {
    Boolean,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    /// With the scale of the Arrow type.
    Numeric128(i8),
    Numeric256(i8),
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    Interval,
}

/// The bytes of a value of any type.
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Decode {
    /// The value in the bytes of a column of this name.
    pub(crate) fn cell<'a>(
        self,
        column: &str,
        bytes: &'a [u8],
        unfit: Unfit,
    ) -> Result<Cell<'a>, SourceError> {
        let read = match self {
            Self::Boolean => bytes.first().map(|byte| Cell::Boolean(*byte != 0)),
            Self::Int2 => fixed(bytes).map(|b| Cell::Int(i16::from_be_bytes(b).into())),
            Self::Int4 => fixed(bytes).map(|b| Cell::Int(i32::from_be_bytes(b).into())),
            Self::Int8 => fixed(bytes).map(|b| Cell::Int(i64::from_be_bytes(b))),
            Self::Oid => fixed(bytes).map(|b| Cell::UInt(u32::from_be_bytes(b).into())),
            Self::Float4 => fixed(bytes).map(|b| Cell::Float(f32::from_be_bytes(b).into())),
            Self::Float8 => fixed(bytes).map(|b| Cell::Float(f64::from_be_bytes(b))),
            Self::Numeric128(_) | Self::Numeric256(_) => return self.numeric(column, bytes, unfit),
            Self::Text => match std::str::from_utf8(bytes) {
                Ok(text) => Some(Cell::Text(text)),
                Err(_) => return unfit.cell(column, "text that is not UTF-8"),
            },
            Self::Bytes => Some(Cell::Bytes(bytes)),
            Self::Date => match fixed(bytes).map(i32::from_be_bytes) {
                Some(i32::MAX | i32::MIN) => return unfit.cell(column, "an infinite date"),
                Some(days) => days.checked_add(EPOCH_DAYS).map(Cell::Date),
                None => None,
            },
            Self::Time => fixed(bytes).map(|b| Cell::Time(i64::from_be_bytes(b))),
            Self::Timestamp => match fixed(bytes).map(i64::from_be_bytes) {
                Some(i64::MAX | i64::MIN) => return unfit.cell(column, "an infinite timestamp"),
                Some(moment) => match moment.checked_add(EPOCH_MICROSECONDS) {
                    Some(moment) => Some(Cell::Timestamp(moment)),
                    None => return unfit.cell(column, "a timestamp after the year 294246"),
                },
                None => None,
            },
            Self::Interval => match interval(bytes) {
                Some(Some(cell)) => Some(cell),
                Some(None) => return unfit.cell(column, "an interval with more than 292 years of hours"),
                None => None,
            },
        };
        // 24:00 is the one time of day that Arrow does not have.
        match read {
            Some(Cell::Time(86_400_000_000)) => unfit.cell(column, "the time 24:00"),
            Some(cell) => Ok(cell),
            None => Err(SourceError::sent_mistyped(column)),
        }
    }

    fn numeric(self, column: &str, bytes: &[u8], unfit: Unfit) -> Result<Cell<'static>, SourceError> {
        let number = Numeric::read(bytes).ok_or_else(|| SourceError::sent_mistyped(column))?;
        if number.special {
            return unfit.cell(column, "NaN or infinity");
        }
        let cell = match self {
            Self::Numeric128(scale) => number.scaled128(scale).map(Cell::Decimal128),
            Self::Numeric256(scale) => number.scaled256(scale).map(Cell::Decimal256),
            _ => None,
        };
        match cell {
            Some(cell) => Ok(cell),
            None => unfit.cell(column, "a number with more digits"),
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn interval(bytes: &[u8]) -> Option<Option<Cell<'static>>> {
    let microseconds = i64::from_be_bytes(fixed(bytes.get(..8)?)?);
    let days = i32::from_be_bytes(fixed(bytes.get(8..12)?)?);
    let months = i32::from_be_bytes(fixed(bytes.get(12..16)?)?);
    let nanoseconds = microseconds.checked_mul(1_000);
    Some(nanoseconds.map(|nanoseconds| Cell::Interval { months, days, nanoseconds }))
}

/// A number of digits to the base 10,000.
struct Numeric<'a> {
    digits: &'a [u8],
    /// Power of 10,000 of the first digit.
    weight: i16,
    negative: bool,
    /// NaN or infinity.
    special: bool,
}

impl<'a> Numeric<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let count = u16::from_be_bytes(fixed(bytes.get(..2)?)?);
        let weight = i16::from_be_bytes(fixed(bytes.get(2..4)?)?);
        let sign = u16::from_be_bytes(fixed(bytes.get(4..6)?)?);
        let digits = bytes.get(8..8 + 2 * usize::from(count))?;
        Some(Self { digits, weight, negative: sign == 0x4000, special: sign >= 0xC000 })
    }

    fn digits(&self) -> impl Iterator<Item = u16> + '_ {
        self.digits.chunks_exact(2).filter_map(|pair| fixed(pair).map(u16::from_be_bytes))
    }

    /// Power of ten by which the digits, read as one integer, are multiplied to get the number at a scale.
    fn shift(&self, scale: i8) -> i32 {
        let count = i32::try_from(self.digits.len() / 2).unwrap_or(i32::MAX);
        (i32::from(self.weight) + 1 - count) * 4 + i32::from(scale)
    }

    fn scaled128(&self, scale: i8) -> Option<i128> {
        let shift = self.shift(scale);
        // The last digit may reach below the scale, with zeros: it is divided alone, or 38 digits would not fit.
        let mut value: i128 = 0;
        let count = self.digits.len() / 2;
        for (at, digit) in self.digits().enumerate() {
            let last = at + 1 == count;
            if last && shift < 0 {
                let power = 10_i128.checked_pow(shift.unsigned_abs())?;
                let digit = i128::from(digit);
                if power > 10_000 || digit % power != 0 {
                    return None;
                }
                value = value.checked_mul(10_000 / power)?.checked_add(digit / power)?;
            } else {
                value = value.checked_mul(10_000)?.checked_add(digit.into())?;
            }
        }
        if shift > 0 && value != 0 {
            value = value.checked_mul(10_i128.checked_pow(shift.unsigned_abs())?)?;
        }
        let value = if self.negative { -value } else { value };
        (value.unsigned_abs() < 10_u128.pow(38)).then_some(value)
    }

    fn scaled256(&self, scale: i8) -> Option<i256> {
        let shift = self.shift(scale);
        let mut value = i256::ZERO;
        for digit in self.digits() {
            value = value.checked_mul(i256::from_i128(10_000))?.checked_add(i256::from_i128(digit.into()))?;
        }
        let ten = i256::from_i128(10);
        if shift < 0 {
            let power = ten.checked_pow(shift.unsigned_abs())?;
            if value.checked_rem(power)? != i256::ZERO {
                return None;
            }
            value = value.checked_div(power)?;
        } else if value != i256::ZERO {
            value = value.checked_mul(ten.checked_pow(shift.unsigned_abs())?)?;
        }
        if value >= ten.checked_pow(76)? {
            return None;
        }
        Some(if self.negative { value.wrapping_neg() } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(weight: i16, negative: bool, digits: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((digits.len() as u16).to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend((if negative { 0x4000_u16 } else { 0 }).to_be_bytes());
        bytes.extend(0_u16.to_be_bytes());
        digits.iter().for_each(|digit| bytes.extend(digit.to_be_bytes()));
        bytes
    }

    #[test]
    fn numbers_are_exact() {
        let at = |bytes: &[u8], scale| Numeric::read(bytes).unwrap().scaled128(scale);
        assert_eq!(at(&numeric(0, true, &[12, 3400]), 2), Some(-1234));
        assert_eq!(at(&numeric(0, false, &[12, 3400]), 1), None, "12.34 has no place in one decimal");
        assert_eq!(at(&numeric(1, false, &[1]), 2), Some(1_000_000));
        assert_eq!(at(&numeric(0, false, &[]), 10), Some(0));
        assert_eq!(at(&numeric(-1, false, &[5]), 4), Some(5));
        let nines = numeric(8, false, &[99, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999]);
        assert_eq!(at(&nines, 4), Some(10_i128.pow(38) - 1));
        let huge = Numeric::read(&nines).unwrap().scaled256(38).unwrap();
        assert_eq!(huge.to_string(), format!("{}{}", "9".repeat(38), "0".repeat(34)));
        assert_eq!(at(&numeric(300, false, &[1]), 0), None);
        assert!(Numeric::read(&numeric(300, false, &[1])).unwrap().scaled256(0).is_none());
        assert!(Numeric::read(&[0, 9, 0, 0, 0, 0, 0, 0]).is_none());
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name_or_null() {
        let infinite = i64::MAX.to_be_bytes();
        let refused = Decode::Timestamp.cell("until", &infinite, Unfit::Refuse).unwrap_err();
        assert!(refused.message.contains("\"until\""), "{refused}");
        assert_eq!(Decode::Timestamp.cell("until", &infinite, Unfit::Null).unwrap(), Cell::Null);
        assert!(Decode::Int8.cell("id", &[1, 2], Unfit::Null).is_err(), "garbage is no value to be dropped");
    }
}

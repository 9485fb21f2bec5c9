//! Types of columns, and values of them.

use std::fmt;

/// The type of a column, as far as policies care. Engines map theirs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// A signed integer of so many bits.
    Int {
        /// 8, 16, 32 or 64.
        bits: u8,
    },
    /// An unsigned integer of so many bits.
    UInt {
        /// 8, 16, 32 or 64.
        bits: u8,
    },
    /// A binary floating-point number.
    Float {
        /// 16, 32 or 64.
        bits: u8,
    },
    /// A decimal number.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point; negative for numbers that end in zeros.
        scale: i8,
    },
    /// Characters.
    Text,
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A point in time; without a zone, what a clock on the wall showed.
    Timestamp {
        /// In which it counts.
        unit: TimeUnit,
        /// Whether it is a point in time everywhere (`timestamp with time zone`).
        zoned: bool,
    },
    /// Bytes.
    Binary,
    /// A list.
    List,
    /// A structure of named fields.
    Struct,
    /// Anything else. Nothing is compared with it, and every mask of it is NULL.
    Other,
    /// Not known yet: a source told a name of a type that says nothing. Conditions are taken as they are, and are checked when the
    /// relation is read; nothing is ever read by this type.
    Unknown,
}

/// In which a timestamp counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// Seconds.
    Second,
    /// Milliseconds.
    Millisecond,
    /// Microseconds.
    Microsecond,
    /// Nanoseconds.
    Nanosecond,
}

impl ColumnType {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int { .. } | Self::UInt { .. } => "integer",
            Self::Float { .. } => "floating-point number",
            Self::Decimal { .. } => "decimal number",
            Self::Text => "text",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp { .. } => "timestamp",
            Self::Binary => "binary",
            Self::List => "list",
            Self::Struct => "structure",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }

    /// Whether values of it are compared.
    pub const fn is_comparable(self) -> bool {
        !matches!(self, Self::Binary | Self::List | Self::Struct | Self::Other)
    }

    /// Whether an integer is within its bits.
    pub(crate) fn holds_int(self, value: i128) -> bool {
        let (low, high) = match self {
            Self::Int { bits } if (1..=64).contains(&bits) => {
                let half = 1_i128 << (bits - 1);
                (-half, half - 1)
            }
            Self::UInt { bits } if (1..=64).contains(&bits) => (0, (1_i128 << bits) - 1),
            _ => return false,
        };
        (low..=high).contains(&value)
    }

    /// Whether a decimal number of its scale has no more digits than it may.
    pub(crate) fn holds_unscaled(self, unscaled: i128) -> bool {
        let Self::Decimal { precision, .. } = self else { return false };
        10_u128.checked_pow(u32::from(precision)).is_none_or(|limit| unscaled.unsigned_abs() < limit)
    }

    /// Whether one comparison may have both.
    pub(crate) fn is_alike(self, other: Self) -> bool {
        match (self, other) {
            (Self::Unknown, other) | (other, Self::Unknown) => other.is_comparable(),
            (Self::Int { .. } | Self::UInt { .. }, Self::Int { .. } | Self::UInt { .. })
            | (Self::Float { .. }, Self::Float { .. }) => true,
            (Self::Decimal { scale, .. }, Self::Decimal { scale: other, .. }) => scale == other,
            (Self::Timestamp { zoned, .. }, Self::Timestamp { zoned: other, .. }) => zoned == other,
            _ => self == other && self.is_comparable(),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A decimal number, `unscaled * 10^-scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// All digits.
    pub unscaled: i128,
    /// How many of them are after the point.
    pub scale: i8,
}

/// A value. One in an [`Expr`](crate::Expr) is of the type of what it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// Of any integer type, signed or not, within its bits.
    Int(i128),
    /// Of any floating-point type.
    Float(f64),
    /// Of the scale of the column.
    Decimal(Decimal),
    /// Characters.
    Text(String),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01 00:00: in UTC for columns with a zone, on the clock for others. Columns of a coarser unit
    /// are compared as microseconds.
    Timestamp(i64),
    /// Bytes.
    Binary(Vec<u8>),
}

//! Values of catalogs.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use bytes::{BufMut, BytesMut};
use serde_json::Value as Json;

use crate::protocol::problem::Problem;
use crate::values::columns::element;
use crate::values::oids::PgType;

/// A value.
#[derive(Clone, Debug, Default)]
pub(crate) enum Datum {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Datum>),
}

/// Bytes that a value takes beside those of its text or its elements.
const WEIGHT: usize = 32;
/// Bytes of a text that is read as a list.
const LONGEST_LIST: usize = 100_000;

/// A type: of single values, or of lists of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) of: PgType,
    pub(crate) is_list: bool,
}

impl Type {
    pub(crate) const TEXT: Self = Self::one(PgType::Text);
    pub(crate) const BOOL: Self = Self::one(PgType::Bool);

    pub(crate) const fn one(of: PgType) -> Self {
        Self { of, is_list: false }
    }

    pub(crate) const fn list(of: PgType) -> Self {
        Self { of, is_list: true }
    }

    pub(crate) const fn oid(self) -> u32 {
        if self.is_list { self.of.array() } else { self.of.oid() }
    }
}

impl From<&str> for Datum {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Datum {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Datum {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<i32> for Datum {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<bool> for Datum {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<&Json> for Datum {
    fn from(value: &Json) -> Self {
        match value {
            Json::Null | Json::Array(_) | Json::Object(_) => Self::Null,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Self::Int(number),
                (None, Some(number)) => Self::Float(number),
                (None, None) => Self::Null,
            },
            Json::String(text) => Self::Text(text.clone()),
        }
    }
}

impl Datum {
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) const fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// Bytes that it takes.
    pub(crate) fn weight(&self) -> usize {
        WEIGHT
            + match self {
                Self::Text(text) => text.len(),
                Self::List(all) => all.iter().map(Self::weight).sum(),
                _ => 0,
            }
    }

    /// As text; none for null.
    pub(crate) fn text(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(true) => "t".to_owned(),
            Self::Bool(false) => "f".to_owned(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::List(all) => {
                let mut out = BytesMut::new();
                out.put_u8(b'{');
                for (at, one) in all.iter().enumerate() {
                    if at > 0 {
                        out.put_u8(b',');
                    }
                    match one.text() {
                        Some(text) => element(&text, &mut out),
                        None => out.extend_from_slice(b"NULL"),
                    }
                }
                out.put_u8(b'}');
                String::from_utf8_lossy(&out).into_owned()
            }
        })
    }

    /// As a whole number, if it is one or is written as one.
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(truth) => Some(i64::from(*truth)),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The elements of a list, or of a text that is written as one.
    pub(crate) fn list(&self) -> Option<Vec<Datum>> {
        match self {
            Self::List(all) => Some(all.clone()),
            Self::Text(text) if text.len() <= LONGEST_LIST => {
                let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
                if inner.is_empty() {
                    return Some(Vec::new());
                }
                Some(inner.split(',').map(|one| Self::Text(one.trim_matches('"').to_owned())).collect())
            }
            _ => None,
        }
    }

    /// The order of two values; none where either is null. Numbers and what is written as one are compared as numbers.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => None,
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Bool(one), Self::Bool(other)) => Some(one.cmp(other)),
            (Self::Bool(one), Self::Text(text)) => Some(one.cmp(&is_yes(text))),
            (Self::Text(text), Self::Bool(other)) => Some(is_yes(text).cmp(other)),
            (Self::Float(one), Self::Float(other)) => Some(one.total_cmp(other)),
            (Self::List(one), Self::List(other)) => {
                let orders = one.iter().zip(other).map(|(one, other)| one.compare(other));
                let first = orders.flatten().find(|order| order.is_ne());
                Some(first.unwrap_or_else(|| one.len().cmp(&other.len())))
            }
            (one, other) => match (one.int(), other.int()) {
                (Some(one), Some(other)) => Some(one.cmp(&other)),
                _ => Some(one.text()?.cmp(&other.text()?)),
            },
        }
    }

    /// An order of all values, of whatever types, to sort them by; null is the last.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Int(one), Self::Int(other)) => one.cmp(other),
            (Self::Float(one), Self::Float(other)) => one.total_cmp(other),
            // Where they are the same number, the whole one is first: else three of them might have no order.
            (Self::Int(one), Self::Float(other)) => wide(*one).total_cmp(other).then(Ordering::Less),
            (Self::Float(one), Self::Int(other)) => one.total_cmp(&wide(*other)).then(Ordering::Greater),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::List(one), Self::List(other)) => {
                let mut orders = one.iter().zip(other).map(|(one, other)| one.order(other));
                let first = orders.find(|order| order.is_ne());
                first.unwrap_or_else(|| one.len().cmp(&other.len()))
            }
            (one, other) => one.rank().cmp(&other.rank()),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Int(_) | Self::Float(_) => 1,
            Self::Text(_) => 2,
            Self::List(_) => 3,
            Self::Null => 4,
        }
    }

    /// What equal values have in common, to look them up.
    pub(crate) fn key(&self) -> Key {
        match (self, self.int()) {
            (_, Some(number)) => Key::Int(number),
            (other, None) => Key::Text(other.text().unwrap_or_default()),
        }
    }

    /// Writes it as a value of a row.
    pub(crate) fn write(&self, kind: Type, is_binary: bool, out: &mut BytesMut) -> Result<(), Problem> {
        let Some(text) = self.text() else {
            out.put_i32(-1);
            return Ok(());
        };
        let mut value = BytesMut::new();
        if is_binary {
            self.binary(kind, &mut value)?
        } else {
            value.extend_from_slice(text.as_bytes())
        }
        out.put_i32(i32::try_from(value.len()).map_err(|_| unsendable())?);
        out.extend_from_slice(&value);
        Ok(())
    }

    fn binary(&self, kind: Type, out: &mut BytesMut) -> Result<(), Problem> {
        if kind.is_list {
            let all = self.list().ok_or_else(unsendable)?;
            out.put_i32(i32::from(!all.is_empty()));
            out.put_i32(i32::from(all.iter().any(Self::is_null)));
            out.put_u32(kind.of.oid());
            if !all.is_empty() {
                out.put_i32(i32::try_from(all.len()).map_err(|_| unsendable())?);
                out.put_i32(1);
            }
            return all.iter().try_for_each(|one| one.write(Type::one(kind.of), true, out));
        }
        let int = || self.int().ok_or_else(unsendable);
        match kind.of {
            PgType::Bool => out.put_u8(u8::from(self.is_true() || int().is_ok_and(|number| number != 0))),
            PgType::Int2 => out.put_i16(i16::try_from(int()?).map_err(|_| unsendable())?),
            PgType::Int4 => out.put_i32(i32::try_from(int()?).map_err(|_| unsendable())?),
            PgType::Oid | PgType::Regclass => out.put_u32(u32::try_from(int()?).map_err(|_| unsendable())?),
            PgType::Int8 => out.put_i64(int()?),
            PgType::Float4 | PgType::Float8 => {
                let number = match self {
                    Self::Float(number) => *number,
                    other => other.text().and_then(|text| text.parse().ok()).ok_or_else(unsendable)?,
                };
                if kind.of == PgType::Float8 { out.put_f64(number) } else { out.put_f32(narrow(number)) }
            }
            _ => out.extend_from_slice(self.text().unwrap_or_default().as_bytes()),
        }
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the nearest number of the narrower type is meant")]
fn narrow(number: f64) -> f32 {
    number as f32
}

#[expect(clippy::cast_precision_loss, reason = "the nearest number is meant")]
fn wide(number: i64) -> f64 {
    number as f64
}

fn is_yes(text: &str) -> bool {
    matches!(text, "t" | "true" | "on" | "1" | "yes")
}

fn unsendable() -> Problem {
    Problem::new("42804", "A column of the answer cannot be sent in the binary format.")
}

/// A value to look others up by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Int(i64),
    Text(String),
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Int(number) => number.hash(state),
            Self::Text(text) => text.hash(state),
        }
    }
}

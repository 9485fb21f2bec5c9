//! Digits that people type: phones and one-time codes. Clients send them as text, or as the number they look like.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use tidegate_domain::challenge::CODE_DIGITS;
use tidegate_domain::{Secret, typed};

use super::fields::{Check, Expected, Field};

/// Digits as they were sent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum TypedDigits {
    /// As text, with whatever else stood there.
    Text(String),
    /// As a number, which has no zeros at its front.
    Number(u64),
}

impl TypedDigits {
    /// The text, or the digits of the number.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Expected for TypedDigits {
    const NAME: &'static str = "a string";
}

impl<'de> Deserialize<'de> for TypedDigits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DigitsVisitor)
    }
}

struct DigitsVisitor;

impl Visitor<'_> for DigitsVisitor {
    type Value = TypedDigits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TypedDigits, E> {
        Ok(TypedDigits::Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<TypedDigits, E> {
        Ok(TypedDigits::Number(number))
    }
}

/// An integer, however its sender writes numbers: `7.0` is one (JSON Schema 2020-12, section 6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Integer(pub(crate) i64);

impl Expected for Integer {
    const NAME: &'static str = "an integer";
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntegerVisitor)
    }
}

struct IntegerVisitor;

impl Visitor<'_> for IntegerVisitor {
    type Value = Integer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Integer::NAME)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Integer, E> {
        Ok(Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Integer, E> {
        i64::try_from(number).map(Integer).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Integer, E> {
        // Beyond, a double does not tell one integer from the next.
        let is_exact = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_991.0;
        if is_exact { Ok(Integer(number as i64)) } else { Err(E::custom(Integer::NAME)) }
    }
}

/// A one-time code of as many digits, which must be there. What else is wrong with it, `message` says.
pub(crate) fn code(
    check: &mut Check,
    name: &'static str,
    field: Field<TypedDigits>,
    length: std::ops::RangeInclusive<usize>,
    message: &'static str,
) -> Option<Secret> {
    let text = match check.required(name, field)? {
        TypedDigits::Text(text) => text,
        TypedDigits::Number(number) => {
            typed::code_of_number(number, usize::try_from(CODE_DIGITS).unwrap_or_default())
        }
    };
    match typed::code(&text, length) {
        Some(code) => Some(code),
        None => check.violated(name, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<String, String> {
        let mut check = Check::new();
        let field: Field<TypedDigits> = serde_json::from_str(json).unwrap();
        let code = code(&mut check, "code", field, 6..=6, "must be six digits");
        check.finish(code).map(|code| code.expose().to_owned()).map_err(|violations| violations.summary())
    }

    #[test]
    fn an_integer_may_be_written_with_a_point() {
        let read = |json: &str| serde_json::from_str::<Integer>(json).ok().map(|Integer(number)| number);
        assert_eq!(
            (read("7"), read("7.0"), read("-7e0"), read("1e3")),
            (Some(7), Some(7), Some(-7), Some(1_000))
        );
        for wrong in ["7.5", "1e300", "9007199254740993.5e3", "true", r#""7""#, "18446744073709551615"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_code_is_read_as_text_or_as_a_number() {
        for json in [r#""012345""#, r#""012 345""#, r#""012345\n""#, "12345"] {
            assert_eq!(read(json).as_deref(), Ok("012345"), "{json}");
        }
        for json in ["1234567", "-12345", r#""12345""#, r#""abcdef""#, "18446744073709551615"] {
            assert!(read(json).is_err(), "{json}");
        }
        for json in ["true", "12345.5", "[1]", "{}"] {
            assert_eq!(read(json), Err("code must be a string".to_owned()), "{json}");
        }
        assert_eq!(read("null"), Err("code is required".to_owned()));
    }
}

//! Free documents: JSON objects that applications keep beside their own data.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::text::{append, has_nul, merge};

/// Most bytes of a free document, as [`Document::stored_bytes`] counts them.
pub const MAX_DOCUMENT: usize = 64 * 1024;

/// A free document, kept as text: a tree of its values takes up to a hundred times as much memory.
///
/// Read it with [`Document::parse`]; deserialising is for documents that come back from the store.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Document(Box<RawValue>);

/// From the store. PostgreSQL puts spaces between values; without them, a document is as long as it was when it came.
impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Box::<RawValue>::deserialize(deserializer)?;
        // What SQLite keeps comes back as it was written: most of that needs no copy.
        if !stored.get().bytes().any(|byte| byte.is_ascii_whitespace()) {
            return Ok(Self(stored));
        }
        let compact = without_spaces(stored.get());
        if compact.len() == stored.get().len() {
            return Ok(Self(stored));
        }
        RawValue::from_string(compact).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Why a document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is not a JSON object.
    #[error("must be an object")]
    NotAnObject,
    /// PostgreSQL cannot store a NUL character.
    #[error("must not contain NUL characters")]
    Nul,
    /// A number would be changed by storing it.
    #[error("must not contain a number of more digits than can be kept exactly: send it as a string")]
    InexactNumber,
    /// More than [`MAX_DOCUMENT`] bytes.
    #[error("must be at most 64 KiB")]
    TooLarge,
}

/// `{}`
impl Default for Document {
    fn default() -> Self {
        let empty = RawValue::from_string("{}".to_owned());
        Self(empty.unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl Document {
    /// Reads a document from JSON text.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        if !numbers(text).all(is_exact) {
            return Err(DocumentError::InexactNumber);
        }
        // The tree lives only as long as this call, and only of bodies whose number of values is bounded.
        let value: Value = serde_json::from_str(text).map_err(|_| DocumentError::NotAnObject)?;
        Self::of(&value)
    }

    /// The document that this value is.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn of(value: &Value) -> Result<Self, DocumentError> {
        if !value.is_object() {
            return Err(DocumentError::NotAnObject);
        }
        if has_nul(value) {
            return Err(DocumentError::Nul);
        }
        let document = RawValue::from_string(value.to_string()).map(Self);
        let document = document.map_err(|_| DocumentError::NotAnObject)?;
        if document.stored_bytes() > MAX_DOCUMENT { Err(DocumentError::TooLarge) } else { Ok(document) }
    }

    /// This document with `change` merged into it (RFC 7396). With `preserve`, nothing is deleted and arrays grow.
    ///
    /// # Errors
    /// [`DocumentError`], about the result.
    pub fn changed(&self, change: &Self, preserve: bool) -> Result<Self, DocumentError> {
        let mut value = self.to_value()?;
        if preserve {
            append(&mut value, &change.to_value()?);
        } else {
            merge(&mut value, &change.to_value()?);
        }
        Self::of(&value)
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Bytes it takes in the store. PostgreSQL writes numbers out: `1e300` are 301 digits.
    pub fn stored_bytes(&self) -> usize {
        let text = self.as_str();
        let written_out = numbers(text).map(|number| written_length(number).saturating_sub(number.len()));
        written_out.fold(text.len(), usize::saturating_add)
    }

    /// A tree of its values. It can take many times the memory of the text; keep it only for a moment.
    ///
    /// # Errors
    /// [`DocumentError::NotAnObject`] when the stored text cannot be read.
    pub fn to_value(&self) -> Result<Value, DocumentError> {
        serde_json::from_str(self.as_str()).map_err(|_| DocumentError::NotAnObject)
    }
}

/// Equal where the values are, however they are written.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str() || self.to_value().is_ok_and(|value| *other == value)
    }
}

impl PartialEq<Value> for Document {
    fn eq(&self, other: &Value) -> bool {
        self.to_value().is_ok_and(|value| value == *other)
    }
}

/// Whether storing the number keeps its value. It is stored as a 64-bit integer or, where it is none, as the nearest
/// double (IEEE 754).
fn is_exact(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    let nearest = number.parse::<f64>().ok().filter(|nearest| nearest.is_finite());
    nearest.is_some_and(|nearest| {
        // Some doubles lie in the middle of two shortest decimals (2^50 + 0.25: both .2 and .3 name it). Programs differ in
        // which of them they write; either is that double.
        let written = [format!("{nearest:e}"), Value::from(nearest).to_string()];
        Decimal::parse(number)
            .is_some_and(|sent| written.iter().any(|written| Decimal::parse(written).as_ref() == Some(&sent)))
    })
}

/// Characters of the number when it is written without an exponent.
fn written_length(number: &str) -> usize {
    let Some(Decimal { digits, exponent, .. }) = Decimal::parse(number) else {
        return number.len();
    };
    let places = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
    if exponent >= 0 {
        digits.len().saturating_add(places)
    } else {
        digits.len().max(places).saturating_add(3)
    }
}

/// A number in its one normal form: two spellings of one number compare equal.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Decimal {
    /// Reads a JSON number. None when its exponent is beyond any number that is stored.
    fn parse(number: &str) -> Option<Self> {
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        let without_end = all.trim_end_matches('0');
        let digits = without_end.trim_start_matches('0');
        if digits.is_empty() {
            return Some(Self { is_negative: false, digits: String::new(), exponent: 0 });
        }
        let shift = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        let exponent = i64::from(exponent)
            .saturating_sub(shift(fraction.len()))
            .saturating_add(shift(all.len() - without_end.len()));
        Some(Self { is_negative: number.starts_with('-'), digits: digits.to_owned(), exponent })
    }
}

/// The numbers of a JSON text, as they are written.
pub fn numbers(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = json;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit())?;
            let (_, at) = rest.split_at(start);
            if let Some(inside) = at.strip_prefix('"') {
                rest = after_string(inside);
                continue;
            }
            let end = at.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(at.len());
            let (number, after) = at.split_at(end);
            rest = after;
            return Some(number);
        }
    })
}

/// Whether every number of a JSON text keeps its value as a 64-bit integer or a double.
pub fn has_exact_numbers(json: &str) -> bool {
    numbers(json).all(is_exact)
}

/// JSON text without the white space between its values.
fn without_spaces(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, inside)) = rest.split_once('"') {
        compact.extend(before.split_ascii_whitespace());
        rest = after_string(inside);
        compact.push('"');
        compact.push_str(inside.strip_suffix(rest).unwrap_or(inside));
    }
    compact.extend(rest.split_ascii_whitespace());
    compact
}

/// What follows a string whose first quotation mark was read.
fn after_string(inside: &str) -> &str {
    let mut is_escaped = false;
    let end = inside.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.and_then(|end| inside.get(end + 1..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_bounded_objects() {
        assert_eq!(Document::default(), json!({}));
        assert_eq!(Document::parse(" { \"a\" : [1, \"b\"] } ").unwrap().as_str(), r#"{"a":[1,"b"]}"#);
        for (text, error) in [
            ("[]", DocumentError::NotAnObject),
            ("7", DocumentError::NotAnObject),
            ("{", DocumentError::NotAnObject),
            (r#"{"a": "\u0000"}"#, DocumentError::Nul),
            (r#"{"\u0000": 1}"#, DocumentError::Nul),
        ] {
            assert_eq!(Document::parse(text).unwrap_err(), error, "{text}");
        }
        let of_length = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
        assert_eq!(Document::parse(&of_length(MAX_DOCUMENT)).unwrap().stored_bytes(), MAX_DOCUMENT);
        assert_eq!(Document::parse(&of_length(MAX_DOCUMENT + 1)), Err(DocumentError::TooLarge));
    }

    #[test]
    fn a_number_is_kept_or_refused_and_never_changed() {
        for kept in [
            "0",
            "-0",
            "-0.0",
            "1.10",
            "1E5",
            "1e+5",
            "-9223372036854775808",
            "18446744073709551615",
            "100000000000000000000",
            "0.1",
            "0.30000000000000004",
            "3.141592653589793",
            "1e300",
            "1e-300",
            "5e-324",
            "1.7976931348623157e308",
            "123.456e2",
        ] {
            let document = Document::parse(&format!("{{\"n\":{kept}}}"))
                .unwrap_or_else(|error| panic!("{kept}: {error}"));
            let again = document.changed(&Document::parse("{\"other\":1}").unwrap(), false).unwrap();
            let number = numbers(again.as_str()).next().unwrap();
            assert_eq!(Decimal::parse(number), Decimal::parse(kept), "{kept} became {number}");
        }
        for changed in [
            "123456789012345678901234567890",
            "-18446744073709551617",
            "3.14159265358979323846",
            "1e400",
            "1e-400",
            "1e99999999999",
            "0.1000000000000000055511151231257827",
        ] {
            let text = format!("{{\"a\":[{{\"n\":{changed}}}]}}");
            assert_eq!(Document::parse(&text), Err(DocumentError::InexactNumber), "{changed}");
            // In a string, it is text.
            assert!(Document::parse(&format!("{{\"n\":\"\\\"{changed}\"}}")).is_ok(), "{changed}");
        }
    }

    #[test]
    fn a_double_between_two_shortest_decimals_is_kept_by_either() {
        for (one, other) in
            [("-2185534480079730.2", "-2185534480079730.3"), ("1125899906842624.2", "1125899906842624.3")]
        {
            let [one, other] =
                [one, other].map(|number| Document::parse(&format!("{{\"n\":{number}}}")).unwrap());
            assert_eq!(one, other);
        }
        // The next decimal names the same double, and is neither of its shortest.
        assert_eq!(Document::parse("{\"n\":1125899906842624.26}"), Err(DocumentError::InexactNumber));
    }

    #[test]
    fn numbers_are_counted_as_the_store_writes_them_out() {
        let long = format!("{{\"a\":[{}0]}}", "1e300,".repeat(220));
        assert_eq!(Document::parse(&long), Err(DocumentError::TooLarge));
        assert!(Document::parse(&long.replace("1e300", "1e3")).is_ok());
        let long = format!("{{\"a\":[{}0]}}", "1e-300,".repeat(220));
        assert_eq!(Document::parse(&long), Err(DocumentError::TooLarge));
    }

    #[test]
    fn a_change_may_not_let_it_grow_beyond_its_bound() {
        let half = Document::parse(&format!("{{\"a\":[\"{}\"]}}", "x".repeat(MAX_DOCUMENT / 2))).unwrap();
        assert_eq!(half.changed(&half, true), Err(DocumentError::TooLarge));
        assert_eq!(half.changed(&half, false), Ok(half.clone()));
        let without = half.changed(&Document::parse("{\"a\": null}").unwrap(), false);
        assert_eq!(without.unwrap(), json!({}));
    }

    #[test]
    fn what_comes_back_from_the_store_is_as_long_as_what_went_there() {
        for text in [r#"{"a":[1,"b  \" c",{}],"":{"d":null}}"#, "{}", r#"{"\\":" \\"}"#] {
            let spaced = serde_json::to_string_pretty(&serde_json::from_str::<Value>(text).unwrap()).unwrap();
            let stored: Document = serde_json::from_str(&spaced).unwrap();
            assert_eq!(stored.as_str().len(), text.len(), "{spaced}");
            assert_eq!(stored, Document::parse(text).unwrap());
        }
    }

    proptest! {
        #[test]
        fn every_double_and_every_integer_is_kept(double in any::<f64>(), signed in any::<i64>(), unsigned in any::<u64>()) {
            prop_assume!(double.is_finite());
            let value = json!({ "double": double, "signed": signed, "unsigned": unsigned });
            let document = Document::parse(&value.to_string()).unwrap();
            prop_assert_eq!(document.to_value().unwrap(), value);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}|[-+0-9.eE\"\\\\\\[\\]{}:,]{0,40}") {
            drop(Document::parse(&text));
        }
    }
}

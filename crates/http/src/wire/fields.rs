//! Fields of a JSON body, read so that all errors can be reported at once.

use std::borrow::Cow;
use std::fmt::Display;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tidegate_domain::flexible_id::SentId;

/// A field as it was sent.
#[derive(Clone, Debug, Default)]
pub(crate) enum Field<T> {
    /// Not at all.
    #[default]
    Missing,
    /// As `null`.
    Null,
    /// As something of another type.
    WrongType,
    /// As it should be.
    Value(T),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Passed over as text: what is of another type never becomes values.
        let sent = <&RawValue>::deserialize(deserializer)?.get();
        if sent == "null" {
            return Ok(Self::Null);
        }
        match serde_json::from_str(sent) {
            Ok(value) => Ok(Self::Value(value)),
            Err(error) if error.is_data() => {
                let whole = whole(sent).and_then(|whole| serde_json::from_str(&whole).ok());
                Ok(whole.map_or(Self::WrongType, Self::Value))
            }
            // A number or an escape that means nothing: no type would fit.
            Err(error) => Err(D::Error::custom(error)),
        }
    }
}

/// Numbers that are whole though they are written with a fraction, `5.0`: JSON knows no integers, and some clients write all numbers so.
fn whole(sent: &str) -> Option<String> {
    fn digits(number: &str) -> Option<&str> {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_whole = whole.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
        (is_whole && fraction.bytes().all(|byte| byte == b'0')).then_some(whole)
    }
    if !sent.starts_with('[') {
        return digits(sent).map(str::to_owned);
    }
    let numbers: Vec<&RawValue> = serde_json::from_str(sent).ok()?;
    let whole: Option<Vec<&str>> = numbers.iter().map(|number| digits(number.get())).collect();
    Some(format!("[{}]", whole?.join(",")))
}

/// A JSON object, as text.
#[derive(Clone, Debug)]
pub(crate) struct ObjectText(Box<RawValue>);

impl<'de> Deserialize<'de> for ObjectText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        if text.get().starts_with('{') { Ok(Self(text)) } else { Err(D::Error::custom("not an object")) }
    }
}

impl ObjectText {
    pub(crate) fn as_str(&self) -> &str {
        self.0.get()
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Its name on the wire; a path with dots where the contract nests: `documents.0.content`.
    pub(crate) field: Cow<'static, str>,
    /// What to do about it.
    pub(crate) message: String,
}

/// What is wrong with a body, first field first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violations(Vec<Violation>);

impl Violations {
    /// One.
    pub(crate) fn of(field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(vec![Violation { field: field.into(), message: message.into() }])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    /// All of them as one sentence.
    pub(crate) fn summary(&self) -> String {
        let parts: Vec<String> = self.iter().map(|one| format!("{} {}", one.field, one.message)).collect();
        parts.join("; ")
    }

    /// The same with the paths of fields as programmers write them: `rules[0].rule_type`.
    pub(crate) fn as_sent(&self) -> String {
        let parts: Vec<String> =
            self.iter().map(|one| format!("{} {}", path_of(&one.field), one.message)).collect();
        parts.join("; ")
    }
}

/// A path with its places in brackets: `rules.0.rule_type` is `rules[0].rule_type`. Names stay as they are sent.
fn path_of(field: &str) -> String {
    let mut path = String::with_capacity(field.len() + 1);
    for name in field.split('.') {
        if !path.is_empty() && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            path.extend(["[", name, "]"]);
        } else {
            let dot = if path.is_empty() { "" } else { "." };
            path.extend([dot, name]);
        }
    }
    path
}

/// Collects what is wrong while a body is read.
#[derive(Debug, Default)]
pub(crate) struct Check(Vec<Violation>);

impl Check {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A field that must be there.
    pub(crate) fn required<T: Expected>(&mut self, name: &'static str, field: Field<T>) -> Option<T> {
        match field {
            Field::Value(value) => Some(value),
            Field::Missing | Field::Null => self.violated(name, "is required"),
            Field::WrongType => self.violated(name, format!("must be {}", T::NAME)),
        }
    }

    /// A field that may be left out, or be `null`.
    pub(crate) fn optional<T: Expected>(&mut self, name: &'static str, field: Field<T>) -> Option<T> {
        match field {
            Field::Value(value) => Some(value),
            Field::Missing | Field::Null => None,
            Field::WrongType => self.violated(name, format!("must be {}", T::NAME)),
        }
    }

    /// The parsed value, or a violation that says why it did not parse.
    pub(crate) fn parsed<T, E: Display>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => self.violated(name, error.to_string()),
        }
    }

    /// Notes a violation; answers nothing.
    pub(crate) fn violated<T>(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Option<T> {
        self.0.push(Violation { field: field.into(), message: message.into() });
        None
    }

    /// Whether the field was found to be wrong, or something in it.
    pub(crate) fn blames(&self, field: &str) -> bool {
        self.0.iter().any(|one| one.field.split('.').next() == Some(field))
    }

    /// The body, if nothing is wrong with it. `read` is `None` only where something is.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, Violations> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            _ => Err(Violations(self.0)),
        }
    }
}

/// A type a field can have, and its name in messages.
pub(crate) trait Expected {
    const NAME: &'static str;
}

impl Expected for String {
    const NAME: &'static str = "a string";
}
impl Expected for bool {
    const NAME: &'static str = "true or false";
}
impl Expected for i64 {
    const NAME: &'static str = "an integer";
}
impl Expected for f64 {
    const NAME: &'static str = "a number";
}
impl Expected for SentId {
    const NAME: &'static str = "a JSON value";
}
impl Expected for Vec<String> {
    const NAME: &'static str = "an array of strings";
}
impl Expected for Vec<i64> {
    const NAME: &'static str = "an array of integers";
}
impl Expected for Vec<Value> {
    const NAME: &'static str = "an array";
}
/// Any JSON value, whatever its type.
impl Expected for Value {
    const NAME: &'static str = "a JSON value";
}
impl Expected for Vec<SentId> {
    const NAME: &'static str = "an array";
}
/// What an application for a brokerage account is made of.
impl Expected for Map<String, Value> {
    const NAME: &'static str = "an object";
}
impl Expected for ObjectText {
    const NAME: &'static str = "an object";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Body {
        email: Field<String>,
        remember: Field<bool>,
    }

    fn check(json: &str) -> Result<(String, Option<bool>), Violations> {
        let body: Body = serde_json::from_str(json).unwrap();
        let mut check = Check::new();
        let email = check.required("email", body.email);
        let remember = check.optional("remember", body.remember);
        check.finish(email.map(|email| (email, remember)))
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let violations = check(r#"{"remember": "yes"}"#).unwrap_err();
        assert_eq!(violations.summary(), "email is required; remember must be true or false");
    }

    #[test]
    fn fields_are_called_what_is_sent() {
        for (field, name) in [
            ("email", "email is required"),
            ("selected_data_source_ids", "selected_data_source_ids is required"),
            ("rules.0.rule_type", "rules[0].rule_type is required"),
            ("rules.12.rule_config.time_window", "rules[12].rule_config.time_window is required"),
        ] {
            assert_eq!(Violations::of(field, "is required").as_sent(), name);
        }
    }

    /// How a field was read before it was kept as text: through a tree. Since then whole numbers may be written with a fraction.
    fn by_tree<T: DeserializeOwned>(value: &Value) -> Field<T> {
        let whole =
            || T::deserialize(serde_json::from_str::<Value>(&whole(&value.to_string())?).unwrap()).ok();
        match value {
            Value::Null => Field::Null,
            value => match T::deserialize(value.clone()).ok().or_else(whole) {
                Some(read) => Field::Value(read),
                None => Field::WrongType,
            },
        }
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_fraction() {
        for (written, read) in [("5.0", "5"), ("-3.0", "-3"), ("[1.0,2]", "[1,2]")] {
            assert_eq!(whole(written).as_deref(), Some(read));
        }
        for other in ["5.5", "1e300", "1e-400", "5e0", "\"5.0\"", "[1.5]", "[true]", "{}"] {
            assert_eq!(whole(other), None, "{other}");
        }
        assert!(matches!(serde_json::from_str::<Field<i64>>("7.0").unwrap(), Field::Value(7)));
    }

    fn sent<T: DeserializeOwned>(value: &Value) -> Field<T> {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    /// Read now as it was read then.
    fn assert_same<T: DeserializeOwned + PartialEq + std::fmt::Debug>(value: &Value) {
        match (sent::<T>(value), by_tree::<T>(value)) {
            (Field::Value(one), Field::Value(other)) => assert_eq!(one, other, "{value}"),
            (one, other) => {
                assert_eq!(std::mem::discriminant(&one), std::mem::discriminant(&other), "{value}")
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
            Just(Value::from("\u{0}\"\\")),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,4}", inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_field_reads_as_it_did_through_a_tree(value in any_value()) {
            assert_same::<String>(&value);
            assert_same::<bool>(&value);
            assert_same::<i64>(&value);
            assert_same::<f64>(&value);
            assert_same::<SentId>(&value);
            assert_same::<Vec<SentId>>(&value);
            match (sent::<ObjectText>(&value), by_tree::<Map<String, Value>>(&value)) {
                (Field::Value(text), Field::Value(fields)) => {
                    prop_assert_eq!(serde_json::from_str::<Value>(text.as_str()).unwrap(), Value::Object(fields));
                }
                (Field::Null, Field::Null) | (Field::WrongType, Field::WrongType) => {}
                (one, other) => prop_assert!(false, "{:?} was {:?}", one, other),
            }
        }
    }

    #[test]
    fn what_no_type_fits_makes_the_body_unreadable() {
        for unreadable in [r#""\ud800""#, "1e999"] {
            let body = format!(r#"{{"email": {unreadable}}}"#);
            assert!(serde_json::from_str::<Body>(&body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_field_of_another_type_is_known_without_reading_what_is_in_it() {
        // Every value of it would be an error of its own.
        let body = r#"{"email": [1e999, "\ud800"], "remember": {"a": 1e999}}"#;
        assert_eq!(check_text(body), "email must be a string; remember must be true or false");
    }

    fn check_text(json: &str) -> String {
        check(json).unwrap_err().summary()
    }

    #[test]
    fn null_is_absent() {
        assert_eq!(check(r#"{"email": "a", "remember": null}"#), Ok(("a".into(), None)));
    }
}

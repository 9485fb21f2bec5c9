//! Fields of a JSON body, read so that everything wrong with them can be said at once.

use std::borrow::Cow;
use std::fmt::Display;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

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
        Ok(match Value::deserialize(deserializer)? {
            Value::Null => Self::Null,
            value => T::deserialize(value).map_or(Self::WrongType, Self::Value),
        })
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
impl Expected for Vec<Value> {
    const NAME: &'static str = "an array";
}
impl Expected for Value {
    const NAME: &'static str = "a JSON value";
}
impl Expected for serde_json::Map<String, Value> {
    const NAME: &'static str = "an object";
}

#[cfg(test)]
mod tests {
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
    fn null_is_absent_and_unknown_fields_are_ignored() {
        assert_eq!(check(r#"{"email": "a", "remember": null, "x": [1]}"#), Ok(("a".into(), None)));
    }
}

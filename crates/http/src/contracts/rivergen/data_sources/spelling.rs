//! Misspelt fields of bodies.
//!
//! Fields that are not known are ignored, as the contract has it: clients send back what they were shown, and more. One that is nearly a
//! field is refused all the same: `hostt` or `passwrod` would make a source other than the one that was meant.

use std::collections::BTreeMap;

use serde::de::value::Error as NoValue;
use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_json::value::RawValue;
use tidegate_catalog::sources::source::meant;

use super::super::platform::PlatformError;
use super::requests::CredentialsBody;

/// Fields of answers that no request has. A client that sends them back means nothing by it.
const OF_ANSWERS: &[&str] = &[
    "id",
    "organization_id",
    "workspace_id",
    "type",
    "slug",
    "ssh_key_id",
    "status",
    "failure_count",
    "failure_reason",
    "last_tested_at",
    "created_at",
    "updated_at",
    "deleted_at",
];
/// So many names of one object are looked at. No body has as many fields.
const MOST_NAMES: usize = 256;

/// A body, and what is to be said of the names of its fields.
pub(super) struct Spelt<T> {
    body: T,
    misspelt: Option<String>,
}

impl<T> Spelt<T> {
    /// The body, unless one of its fields is misspelt.
    pub(super) fn checked(self) -> Result<T, PlatformError> {
        match self.misspelt {
            Some(said) => Err(PlatformError::bad_request(said)),
            None => Ok(self.body),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Spelt<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let body = serde_json::from_str(text).map_err(D::Error::custom)?;
        let sent: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(D::Error::custom)?;
        let inner = sent.get("credentials").and_then(|credentials| {
            let sent: BTreeMap<String, &RawValue> = serde_json::from_str(credentials.get()).ok()?;
            misspelt::<CredentialsBody>(&sent, "credentials.")
        });
        Ok(Self { body, misspelt: misspelt::<T>(&sent, "").or(inner) })
    }
}

/// The first name that is nearly a field.
fn misspelt<T: DeserializeOwned>(sent: &BTreeMap<String, &RawValue>, below: &str) -> Option<String> {
    let known: Vec<&'static str> = fields_of::<T>().iter().chain(OF_ANSWERS).copied().collect();
    let mut names = sent.keys().take(MOST_NAMES);
    let found = names.find_map(|name| Some((name, meant(name, &known)?)));
    found.map(|(name, meant)| format!("the field {below}{name} is not known; did you mean {meant}?"))
}

/// The names of the fields that a type reads.
fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It has nothing to read and fails always; by then it has told its fields.
    drop(T::deserialize(Names(&mut fields)));
    fields
}

/// Takes down for which fields it is asked.
struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = NoValue;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoValue> {
        Err(NoValue::custom("there is nothing to read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NoValue> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::super::requests::{ChangeCredentialsBody, ChangeDataSourceBody, CreateDataSourceBody};
    use super::*;

    fn said<T: DeserializeOwned>(body: &str) -> Option<String> {
        serde_json::from_str::<Spelt<T>>(body).unwrap().misspelt
    }

    #[test]
    fn a_field_that_is_nearly_one_is_told_and_others_are_the_clients() {
        assert!(fields_of::<CreateDataSourceBody>().contains(&"type"));
        assert!(fields_of::<ChangeCredentialsBody>().contains(&"rotate_credentials"));
        let hostt = said::<CreateDataSourceBody>(r#"{"hostt": "a"}"#);
        assert_eq!(hostt.unwrap(), "the field hostt is not known; did you mean host?");
        let inner = said::<CreateDataSourceBody>(r#"{"credentials": {"passwrod": "a"}}"#);
        assert_eq!(inner.unwrap(), "the field credentials.passwrod is not known; did you mean password?");
        for body in [r#"{"databse_name": 1}"#, r#"{"conection_string": ""}"#, r#"{"Metadata": {}}"#] {
            assert!(said::<ChangeDataSourceBody>(body).is_some(), "{body}");
        }
        assert!(said::<ChangeCredentialsBody>(r#"{"usernam": "a"}"#).is_some());
        for body in [
            "{}",
            r#"{"id": 1, "type": "csv", "status": "active", "ssh_key_id": null, "slug": "a", "updated_at": ""}"#,
            r#"{"environment": 1, "x_team": 2, "metadata": {"hostt": 1}, "credentials": null}"#,
        ] {
            assert_eq!(said::<ChangeDataSourceBody>(body), None, "{body}");
        }
    }
}

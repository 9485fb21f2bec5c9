//! When a credential ends, under names that are not read.
//!
//! Fields that are not known are ignored, as the contracts have it. One that looks like an expiry is refused all the same where a
//! credential is made: the client would have one that lives longer than it asked for, or for ever.

use std::collections::BTreeMap;

use axum::http::Uri;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use url::form_urlencoded;
use utoipa::PartialSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::wire::fields::{Check, UnknownField, Violations};

/// What names of an expiry contain, in small letters without their separators; with the usual slips of the pen.
const PARTS: [&str; 12] = [
    "expir",
    "expri",
    "exipr",
    "epxir",
    "lifetime",
    "timetolive",
    "validuntil",
    "validfor",
    "validthrough",
    "validtill",
    "validity",
    "notafter",
];
/// Most names that are told of a request.
const MOST_TOLD: usize = 20;

/// A body that makes a credential, and what in it looks like an expiry and is none of its fields.
pub(crate) struct Dated<T> {
    body: T,
    misnamed: Vec<UnknownField>,
}

impl<T> Dated<T> {
    /// The body, unless it says under another name when what it makes expires.
    pub(crate) fn checked(self) -> Result<T, Violations> {
        refuse(self.misnamed)?;
        Ok(self.body)
    }
}

impl<'de, T: DeserializeOwned + PartialSchema> Deserialize<'de> for Dated<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let body = serde_json::from_str(text).map_err(D::Error::custom)?;
        let sent: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(D::Error::custom)?;
        // Null says that there is none.
        let given = sent.iter().filter(|(_, value)| value.get() != "null");
        Ok(Self { body, misnamed: misnamed(given.map(|(name, _)| name.as_str()), &fields_of::<T>()) })
    }
}

/// Refuses a query that says under another name than `field` when what it makes expires.
pub(crate) fn check_query(uri: &Uri, field: &str) -> Result<(), Violations> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let given: Vec<_> = pairs.filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).collect();
    refuse(misnamed(given.iter().map(|name| &**name), &[field.to_owned()]))
}

/// The fields of a body that say when it expires: one, or none.
fn fields_of<T: PartialSchema>() -> Vec<String> {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => {
            object.properties.keys().filter(|name| says_expiry(name)).cloned().collect()
        }
        _ => Vec::new(),
    }
}

fn misnamed<'a>(given: impl Iterator<Item = &'a str>, fields: &[String]) -> Vec<UnknownField> {
    let unknown = given.filter(|name| says_expiry(name) && !fields.iter().any(|field| field == name));
    unknown.take(MOST_TOLD).map(|name| UnknownField::meaning(name, fields.first().cloned())).collect()
}

fn refuse(misnamed: Vec<UnknownField>) -> Result<(), Violations> {
    let mut check = Check::new();
    for field in misnamed {
        let said = match &field.nearest {
            Some(_) => format!("is not known here{}", field.hint()),
            None => "is not known here, where no expiry can be set".to_owned(),
        };
        check.violated::<()>(field.name, said);
    }
    check.finish(Some(()))
}

/// Whether a name is that of an expiry.
fn says_expiry(name: &str) -> bool {
    let letters = name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase());
    let letters: String = letters.collect();
    letters == "exp"
        || letters.starts_with("ttl")
        || letters.ends_with("ttl")
        || PARTS.iter().any(|part| letters.contains(part))
}

#[cfg(test)]
mod tests {
    use utoipa::ToSchema;

    use super::*;
    use crate::wire::fields::Field;

    #[derive(Deserialize, ToSchema)]
    struct Body {
        #[schema(value_type = String)]
        #[serde(default)]
        name: Field<String>,
        #[schema(value_type = Option<i64>)]
        #[serde(default)]
        expires_in_days: Field<i64>,
    }

    #[derive(Deserialize, ToSchema)]
    struct Undated {
        #[schema(value_type = String)]
        #[serde(default)]
        name: Field<String>,
    }

    fn said<T: DeserializeOwned + PartialSchema>(body: &str) -> Result<T, String> {
        let read = serde_json::from_str::<Dated<T>>(body).unwrap().checked();
        read.map_err(|violations| violations.summary())
    }

    #[test]
    fn an_expiry_under_another_name_is_refused_with_the_right_one() {
        for name in [
            "expires_in",
            "expires_at",
            "expires",
            "expiry",
            "exp",
            "ttl",
            "ttl_seconds",
            "tokenTtl",
            "Expires-In-Days",
            "expiration_timestamp",
            "exipres_in_days",
            "valid_until",
            "validFor",
            "not_after",
            "lifetime",
        ] {
            let told = said::<Body>(&format!(r#"{{"name": "a", "{name}": 1}}"#)).err().unwrap();
            assert_eq!(told, format!("{name} is not known here; did you mean expires_in_days?"));
            let told = said::<Undated>(&format!(r#"{{"{name}": 1}}"#)).err().unwrap();
            assert_eq!(told, format!("{name} is not known here, where no expiry can be set"));
        }
    }

    #[test]
    fn other_names_and_none_are_the_clients() {
        let body = r#"{"name": "a", "expires_in_days": 3, "expires_at": null, "export": 1, "valid_token": 2, "unknown": {"ttl": 1}}"#;
        let read = said::<Body>(body).unwrap();
        assert!(matches!(read.name, Field::Value(name) if name == "a"));
        assert!(matches!(read.expires_in_days, Field::Value(3)));
        assert!(matches!(said::<Undated>("{}").unwrap().name, Field::Missing));
    }

    #[test]
    fn a_query_is_looked_at_in_the_same_way() {
        let check = |query: &str| check_query(&format!("/a{query}").parse().unwrap(), "expires_seconds");
        for right in ["", "?expires_seconds=60", "?v=1", "?expires_in="] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        let told = check("?expires_in=60&X-Amz-Expires=60").unwrap_err().summary();
        let hint = "is not known here; did you mean expires_seconds?";
        assert_eq!(told, format!("expires_in {hint}; X-Amz-Expires {hint}"));
    }
}

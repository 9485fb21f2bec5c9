//! Values that are written as text, and what to say when the text is none.

use std::fmt;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
pub(super) use tidegate_catalog::settings::networks;
use tidegate_database::DatabaseUrl;
use tidegate_domain::Secret;
use tidegate_domain::secret::HIDDEN;

/// A database's address. Shown without its password.
#[derive(Clone, JsonSchema)]
pub(crate) struct Database(#[schemars(with = "String")] pub(crate) DatabaseUrl);

/// Text that is read and never shown.
#[derive(Clone, JsonSchema)]
pub(crate) struct SecretText(#[schemars(with = "String")] Secret);

impl SecretText {
    /// The text, for the one place that needs it.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(Self)
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<'de> Deserialize<'de> for Database {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The store's own words: they never repeat the address.
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Database {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

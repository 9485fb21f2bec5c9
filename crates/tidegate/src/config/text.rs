//! Values that are written as text, and what to say when the text is none.

use std::fmt;
use std::net::SocketAddr;

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

/// An address and a port. `localhost` is what people type for 127.0.0.1.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let numeric =
        text.strip_prefix("localhost:").map_or_else(|| text.clone(), |port| format!("127.0.0.1:{port}"));
    numeric.parse().map_err(|_| {
        D::Error::custom(format!(
            "{text:?} is not an address and a port such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080{}",
            meant_address(&text)
        ))
    })
}

/// What is missing in an address, where that can be seen.
fn meant_address(text: &str) -> String {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    match port.parse::<u16>() {
        Ok(port) if host.is_empty() => {
            format!(
                ": write 127.0.0.1:{port} for this machine alone, or 0.0.0.0:{port} for every address of it"
            )
        }
        Ok(_) if host.contains(|c: char| c.is_ascii_alphabetic()) && !host.contains(':') => {
            ": names are not looked up, so write the address of this machine, or 0.0.0.0 for every one"
                .to_owned()
        }
        _ => String::new(),
    }
}

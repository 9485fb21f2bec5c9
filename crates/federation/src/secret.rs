//! Secrets as configuration gives them: in the file, in a variable, or in a file of their own.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidegate_domain::Secret;
use tidegate_domain::secret::{hidden, without_final_line_breaks};

/// A client secret or private key, as configuration gives it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct SocialSecret(#[schemars(with = "String")] pub Secret);

impl Serialize for SocialSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hidden(self, serializer)
    }
}

impl<'de> Deserialize<'de> for SocialSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(Self)
    }
}

/// The secret, from wherever it is given: exactly one of the two.
pub(crate) fn read(
    name: &str,
    text: Option<&SocialSecret>,
    file: Option<&PathBuf>,
) -> Result<Option<Secret>, String> {
    match (text, file) {
        (Some(_), Some(_)) => Err(format!("set {name} or {name}_file, not both")),
        (Some(secret), None) => Ok(Some(secret.0.clone())),
        (None, Some(path)) => read_file(name, path).map(Some).map_err(|why| format!("{name}_file: {why}")),
        (None, None) => Ok(None),
    }
}

fn read_file(name: &str, path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // What Google's console has for download is called `client_secret_....json`.
    if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).is_ok() {
        return Err(format!(
            "{} is a JSON document: write the {name} that stands in it into a file of its own",
            path.display()
        ));
    }
    Ok(Secret::new(without_final_line_breaks(&text)))
}

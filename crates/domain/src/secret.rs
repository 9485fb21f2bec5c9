//! Text that must not be shown.

use std::fmt;

use serde::{Deserialize, Deserializer, Serializer};
use zeroize::Zeroizing;

/// What is shown in place of a secret.
pub const HIDDEN: &str = "[secret]";

/// A password, token or code in plain text. Wiped from memory when dropped; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// `text` without the line breaks that `echo`, editors and secret stores put at its end. For everything that is read from a
/// variable or a file.
pub fn without_final_line_breaks(text: &str) -> &str {
    text.trim_end_matches(['\n', '\r'])
}

/// A secret as configuration gives it.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(without_final_line_breaks(&text)))
    }
}

/// Writes a secret of the configuration for people to read: hidden.
///
/// # Errors
/// Those of the serializer.
pub fn hidden<T, S: Serializer>(_: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(HIDDEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_at_the_end_are_no_part_of_a_secret() {
        let read = |json: &str| serde_json::from_str::<Secret>(json).unwrap().expose().to_owned();
        for json in [r#""hunter2""#, r#""hunter2\n""#, r#""hunter2\r\n""#, r#""hunter2\n\n""#] {
            assert_eq!(read(json), "hunter2");
        }
        assert_eq!(read(r#"" a\nb ""#), " a\nb ");
    }

    #[test]
    fn debug_output_hides_the_text() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[secret]");
    }
}

//! Keys of files.

use std::fmt;

use object_store::path::Path;

/// Longest key, in bytes (RiverGen: `file_path`).
pub const MAX_KEY: usize = 1_000;
/// Longest part between two slashes, in bytes: what file systems take.
const MAX_SEGMENT: usize = 255;

/// What Windows does not take for a name, with any extension.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
    "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// The key of a file: parts of letters, digits, `-`, `_` and `.`, with slashes between them. Each is a name that every file system
/// takes; none leads anywhere else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Longer than any key, or one of its parts is longer than any name.
    #[error("is too long")]
    TooLong,
    /// It begins or ends with a slash, or two of them follow one another.
    #[error("must not begin or end with a slash, nor have two in a row")]
    EmptyPart,
    /// `.`, `..`, a hidden name, or one that ends with a dot.
    #[error("must have no part that begins or ends with a dot")]
    Dots,
    /// Another character.
    #[error("may have letters, digits, -, _ and . between slashes")]
    Character,
    /// A name that some systems keep for devices.
    #[error("must have no part that is the name of a device")]
    Reserved,
}

impl ObjectKey {
    /// Reads a key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY {
            return Err(KeyError::TooLong);
        }
        text.split('/').try_for_each(check_part)?;
        Ok(Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its last part.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Its parts.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The same for the store.
    pub(crate) fn path(&self) -> Path {
        // Not `Path::from`, which encodes what is not ASCII. What it refuses, a key never has.
        Path::parse(&self.0).unwrap_or_default()
    }
}

/// Refuses a part of a key that is no name.
fn check_part(part: &str) -> Result<(), KeyError> {
    if part.is_empty() {
        return Err(KeyError::EmptyPart);
    }
    if part.len() > MAX_SEGMENT {
        return Err(KeyError::TooLong);
    }
    if part.starts_with('.') || part.ends_with('.') {
        return Err(KeyError::Dots);
    }
    if !part.chars().all(is_admitted) {
        return Err(KeyError::Character);
    }
    let stem = part.split('.').next().unwrap_or_default();
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(stem)) {
        return Err(KeyError::Reserved);
    }
    Ok(())
}

/// Whether a character may be in a key.
fn is_admitted(one: char) -> bool {
    one.is_alphanumeric() || matches!(one, '-' | '_' | '.')
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_names_that_every_system_takes() {
        for right in
            ["a", "organizations/1/files/2/report_20260105_abc.csv", "Ünïcode/数据.csv", "con_1.csv", "a.b.c"]
        {
            assert_eq!(ObjectKey::parse(right).unwrap().as_str(), right);
            assert_eq!(ObjectKey::parse(right).unwrap().path().as_ref(), right, "nothing is encoded");
        }
        let long = "x".repeat(256);
        let longer = "x/".repeat(501);
        for (wrong, why) in [
            ("", KeyError::EmptyPart),
            ("/etc/passwd", KeyError::EmptyPart),
            ("a//b", KeyError::EmptyPart),
            ("a/", KeyError::EmptyPart),
            ("..", KeyError::Dots),
            ("a/../b", KeyError::Dots),
            ("a/.", KeyError::Dots),
            (".incoming/x", KeyError::Dots),
            ("a.", KeyError::Dots),
            ("a\0b", KeyError::Character),
            ("a\\b", KeyError::Character),
            ("a%2e", KeyError::Character),
            ("a\nb", KeyError::Character),
            ("C:", KeyError::Character),
            ("a/NUL", KeyError::Reserved),
            ("com1.csv", KeyError::Reserved),
            (long.as_str(), KeyError::TooLong),
            (longer.as_str(), KeyError::TooLong),
        ] {
            assert_eq!(ObjectKey::parse(wrong), Err(why), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_becomes_a_key_that_leads_elsewhere(text in "\\PC{0,40}|[./\\\\a\\x00-\\x1f]{0,12}") {
            if let Ok(key) = ObjectKey::parse(&text) {
                let bad = key.parts().any(|part| part.is_empty() || part.starts_with('.') || part.contains(['\\', '\0', ':']));
                prop_assert!(!bad, "{key}");
                prop_assert!(std::path::Path::new(key.as_str()).is_relative());
            }
        }
    }
}

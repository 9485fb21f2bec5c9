//! The key that protects all others.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tidegate_domain::{Entropy, Secret};
use zeroize::Zeroizing;

use crate::{prefixed, sized};

const PREFIX: &str = "tgmk1_";
const TEXT_LENGTH: usize = 43;

/// 32 random bytes from which a [`Vault`](crate::Vault) derives its keys. Kept outside the database.
#[derive(Clone)]
pub struct MasterKey {
    id: KeyId,
    bytes: Zeroizing<[u8; 32]>,
}

/// A master key's name: the first four bytes of its SHA-256. Says which key is needed without saying the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; 4]);

/// Text that is not a master key. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// Something else than a key.
    #[error("a master key is one line that starts with `tgmk1_`")]
    Prefix,
    /// A part of a key, or more than one.
    #[error("a master key has 43 characters after `tgmk1_`, this one has {0}: was it cut when copied?")]
    Length(usize),
    /// A mistyped key.
    #[error("a master key has only A-Z, a-z, 0-9, `-` and `_` after `tgmk1_`: was it mistyped?")]
    Alphabet,
}

impl MasterKey {
    /// A new key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        Self::of_bytes(bytes)
    }

    /// The key's name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key as a line for a key file or the configuration: `tgmk1_` and 43 characters. [`str::parse`] reads it.
    pub fn to_text(&self) -> Secret {
        prefixed(PREFIX, &*self.bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    fn of_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        let [a, b, c, d, ..] = sized::<32>(digest(&SHA256, &*bytes).as_ref());
        Self { id: KeyId([a, b, c, d]), bytes }
    }
}

impl FromStr for MasterKey {
    type Err = MasterKeyError;

    /// Reads a key, surrounding white space ignored.
    fn from_str(text: &str) -> Result<Self, MasterKeyError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(MasterKeyError::Prefix)?;
        let length = encoded.chars().count();
        if length != TEXT_LENGTH {
            return Err(MasterKeyError::Length(length));
        }
        let decoded =
            URL_SAFE_NO_PAD.decode(encoded).map(Zeroizing::new).map_err(|_| MasterKeyError::Alphabet)?;
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(&decoded);
        Ok(Self::of_bytes(bytes))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn a_key_file_gives_the_same_key_back() {
        let key = MasterKey::generate(&Seeded::new(1));
        let file = format!("{}\n", key.to_text().expose());
        let read: MasterKey = file.parse().unwrap();
        assert_eq!(read.bytes(), key.bytes());
        assert_eq!(read.id(), key.id());
    }

    #[test]
    fn the_name_is_the_start_of_the_keys_digest() {
        let text = format!("tgmk1_{}", URL_SAFE_NO_PAD.encode([0; 32]));
        let key: MasterKey = text.parse().unwrap();
        // printf '\0%.0s' {1..32} | sha256sum
        assert_eq!(key.id().to_string(), "66687aad");
    }

    #[test]
    fn an_operator_is_told_what_is_wrong_with_a_key() {
        let refusal = |text: &str| text.parse::<MasterKey>().unwrap_err();
        assert_eq!(refusal(""), MasterKeyError::Prefix);
        assert_eq!(refusal("correct horse battery staple"), MasterKeyError::Prefix);
        assert_eq!(refusal("tgmk1_AAAA"), MasterKeyError::Length(4));
        assert_eq!(refusal(&format!("tgmk1_{}", "A".repeat(44))), MasterKeyError::Length(44));
        assert_eq!(refusal(&format!("tgmk1_{}+", "A".repeat(42))), MasterKeyError::Alphabet);
        assert_eq!(refusal(&format!("tgmk1_{}", "\u{e9}".repeat(43))), MasterKeyError::Alphabet);
    }

    #[test]
    fn debug_output_names_the_key_without_showing_it() {
        let key = MasterKey::generate(&Seeded::new(1));
        assert_eq!(format!("{key:?}"), format!("MasterKey({})", key.id()));
    }
}

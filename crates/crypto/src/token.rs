//! Opaque tokens: what a client holds, and the hash that is stored instead.

use std::fmt;
use std::hash::{Hash, Hasher};

use aws_lc_rs::digest::{SHA256, digest};
use tidegate_domain::{Entropy, Secret};
use zeroize::Zeroizing;

use crate::{prefixed, same_bytes, sized};

/// A token in plain text: shown to its owner once, never stored, never printed.
///
/// It has no equality: compare [`TokenHash`]es, which takes the same time whatever differs.
#[derive(Clone, Debug)]
pub struct PlainToken(Secret);

/// SHA-256 of a token's text. A plain digest is enough, as the token has 256 random bits that cannot be guessed.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

/// Bytes that cannot be a token's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token hash has 32 bytes, not {0}")]
pub struct WrongLength(pub usize);

impl PlainToken {
    /// A new token: `prefix` (by which scanners find the kind of a leaked token), then 32 random bytes in base64url.
    pub fn generate(prefix: &str, entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        Self::of_bytes(prefix, &*bytes)
    }

    /// A new token of 20 random bytes, as 40 hexadecimal digits.
    pub fn generate_hex(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0_u8; 20]);
        entropy.fill(&mut *bytes);
        Self(Secret::new(hex::encode(*bytes)))
    }

    /// A presented token, of any form; what comes along from a clipboard at its ends is left out.
    pub fn from_presented(text: &str) -> Self {
        Self(Secret::new(tidegate_domain::typed::trimmed(text)))
    }

    /// The text, for the one response that carries it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored and looked up in its place.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose())
    }

    pub(crate) const fn from_secret(text: Secret) -> Self {
        Self(text)
    }

    pub(crate) fn of_bytes(prefix: &str, bytes: &[u8]) -> Self {
        Self(prefixed(prefix, bytes))
    }
}

impl TokenHash {
    /// The hash of a presented token, without a copy of its text: the same as that of [`PlainToken::from_presented`].
    pub fn of_presented(text: &str) -> Self {
        Self::of(tidegate_domain::typed::trimmed(text))
    }

    fn of(text: &str) -> Self {
        Self(sized(digest(&SHA256, text.as_bytes()).as_ref()))
    }

    /// The 32 bytes, for the database.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for TokenHash {
    type Error = WrongLength;

    fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
        bytes.try_into().map(Self).map_err(|_| WrongLength(bytes.len()))
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        same_bytes(&self.0, &other.0)
    }
}

impl Eq for TokenHash {}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for TokenHash {
    /// Four bytes: enough to follow one token through a log, too little to look it up with.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "TokenHash({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn a_new_token_tells_its_kind_and_carries_256_bits() {
        let token = PlainToken::generate("pat_", &Seeded::new(1));
        let body = token.expose().strip_prefix("pat_").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(body).unwrap().len(), 32);
    }

    #[test]
    fn a_hexadecimal_token_has_forty_digits() {
        let token = PlainToken::generate_hex(&Seeded::new(1));
        assert_eq!(token.expose().len(), 40);
        assert!(token.expose().bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)));
        assert_ne!(token.expose(), PlainToken::generate_hex(&Seeded::new(2)).expose());
    }

    #[test]
    fn tokens_do_not_repeat() {
        let entropy = Seeded::new(1);
        let tokens: HashSet<TokenHash> =
            (0..1_000).map(|_| PlainToken::generate("tgr_", &entropy).hash()).collect();
        assert_eq!(tokens.len(), 1_000);
    }

    #[test]
    fn a_presented_token_is_found_by_the_hash_stored_when_it_was_made() {
        let made = PlainToken::generate("tgr_", &Seeded::new(1));
        let stored = made.hash().as_bytes().to_vec();
        let presented = PlainToken::from_presented(made.expose());
        assert_eq!(TokenHash::try_from(stored.as_slice()), Ok(presented.hash()));
        assert_eq!(TokenHash::of_presented(&format!(" {}\u{200b}\n", made.expose())), presented.hash());
        let other = PlainToken::from_presented(&made.expose().replace("tgr_", "pat_"));
        assert_ne!(other.hash(), made.hash());
    }

    #[test]
    fn the_hash_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let hash = PlainToken::from_presented("abc").hash();
        assert_eq!(
            hex::encode(hash.as_bytes()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_hash_of_another_length_is_refused() {
        assert_eq!(TokenHash::try_from([0; 31].as_slice()), Err(WrongLength(31)));
    }

    #[test]
    fn debug_output_shows_neither_the_token_nor_its_hash() {
        let token = PlainToken::from_presented("abc");
        assert_eq!(format!("{token:?}"), "PlainToken([secret])");
        assert_eq!(format!("{:?}", token.hash()), "TokenHash(ba7816bf..)");
    }
}

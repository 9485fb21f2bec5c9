//! Riven's bearer tokens, in the form of Laravel Sanctum: `<row id>|<40 alphanumerics><CRC-32 of them, 8 hex
//! digits>`.
//!
//! The part after the `|` is the secret: 40 of 62 characters are 238 random bits. The row id only separates
//! where to look, and the checksum only spares looking up what was mistyped, and helps scanners to recognise
//! a leaked token. Neither proves anything. Source: Riven contract, section 1.

use tidegate_domain::{Entropy, Secret};

use crate::{PlainToken, TokenHash};

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Random characters of a token.
pub(crate) const RANDOM: usize = 40;
/// Hexadecimal digits of its checksum.
const CHECKSUM: usize = 8;

/// A presented token: of the right form, not yet looked up.
#[derive(Clone, Debug)]
pub struct SanctumToken {
    id: Option<i64>,
    secret: PlainToken,
}

/// The text cannot be a token made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token of the form <id>|<40 alphanumerics><checksum>")]
pub struct NotSanctum;

impl SanctumToken {
    /// A new token's secret: what is hashed and stored, before the row has its number.
    pub fn new_secret(entropy: &dyn Entropy) -> PlainToken {
        let mut text = String::with_capacity(RANDOM + CHECKSUM);
        push_random(&mut text, entropy);
        let checksum = checksum(text.as_bytes());
        text.push_str(&checksum);
        PlainToken::from_secret(Secret::new(text))
    }

    /// The whole token, for the one response that carries it: `secret` under the number of its row.
    pub fn whole(id: i64, secret: &PlainToken) -> PlainToken {
        PlainToken::from_secret(Secret::new(format!("{id}|{}", secret.expose())))
    }

    /// Reads a presented token, with or without the number of its row.
    ///
    /// # Errors
    /// [`NotSanctum`] when its form or checksum is wrong, which needs no look at the store.
    pub fn parse(text: &str) -> Result<Self, NotSanctum> {
        let (id, secret) = match text.split_once('|') {
            Some((id, secret)) => (Some(row(id)?), secret),
            None => (None, text),
        };
        let (random, presented) = secret.split_at_checked(RANDOM).ok_or(NotSanctum)?;
        if !random.bytes().all(|c| c.is_ascii_alphanumeric()) || presented != checksum(random.as_bytes()) {
            return Err(NotSanctum);
        }
        Ok(Self { id, secret: PlainToken::from_presented(secret) })
    }

    /// The row to look at; without one, the row is found by the hash.
    pub const fn id(&self) -> Option<i64> {
        self.id
    }

    /// SHA-256 of what follows the `|`, which is all the store holds of it. Comparing it with the stored one
    /// takes the same time whatever differs.
    pub fn hash(&self) -> TokenHash {
        self.secret.hash()
    }
}

/// Only the form it was given out in: no sign, no leading zero.
fn row(digits: &str) -> Result<i64, NotSanctum> {
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_plain).ok_or(NotSanctum)
}

/// CRC-32 (IEEE 802.3) as eight lowercase hexadecimal digits.
fn checksum(bytes: &[u8]) -> String {
    format!("{:08x}", crc32(bytes))
}

/// Appends the random characters of a token.
pub(crate) fn push_random(text: &mut String, entropy: &dyn Entropy) {
    text.extend((0..RANDOM).filter_map(|_| {
        // Below 62 each number is equally likely; a remainder of random bytes would favour the first
        // letters.
        let drawn = entropy.below(ALPHABET.len() as u32);
        ALPHABET.get(drawn as usize).copied().map(char::from)
    }));
}

/// CRC-32 (IEEE 802.3).
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn the_checksum_is_the_one_everybody_computes() {
        // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms, and zlib's of
        // nothing.
        assert_eq!(checksum(b"123456789"), "cbf43926");
        assert_eq!(checksum(b""), "00000000");
        // One whose leading zeros must be written.
        assert_eq!(checksum(b"abcdefghijABCDEFGHIJ0123456789abcdefgAGe"), "0007bb11");
    }

    #[test]
    fn a_new_token_has_forty_characters_and_their_checksum() {
        let secret = SanctumToken::new_secret(&Seeded::new(1));
        let (random, presented) = secret.expose().split_at(RANDOM);
        assert!(random.bytes().all(|c| c.is_ascii_alphanumeric()));
        assert_eq!(presented, checksum(random.as_bytes()));
        let whole = SanctumToken::whole(2, &secret);
        assert_eq!(whole.expose(), format!("2|{}", secret.expose()));
    }

    #[test]
    fn a_presented_token_leads_to_its_row_and_its_stored_hash() {
        let secret = SanctumToken::new_secret(&Seeded::new(1));
        let stored = secret.hash();
        let presented = SanctumToken::parse(SanctumToken::whole(17, &secret).expose()).unwrap();
        assert_eq!((presented.id(), presented.hash()), (Some(17), stored));
        let bare = SanctumToken::parse(secret.expose()).unwrap();
        assert_eq!((bare.id(), bare.hash()), (None, stored));
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_unlooked() {
        let secret = SanctumToken::new_secret(&Seeded::new(1));
        let secret = secret.expose();
        for text in [
            String::new(),
            "|".to_owned(),
            "2|".to_owned(),
            format!("|{secret}"),
            format!("0|{secret}"),
            format!("02|{secret}"),
            format!("+2|{secret}"),
            format!("-2|{secret}"),
            format!(" 2|{secret}"),
            format!("2|{secret} "),
            format!("2|2|{secret}"),
            format!("99999999999999999999|{secret}"),
            format!("2|{}", &secret[1..]),
            format!("2|{}", &secret[..secret.len() - 1]),
            format!("2|{}{}", &secret[..RANDOM], secret[RANDOM..].to_uppercase()) + "A",
            format!("2|{}\u{e9}", "a".repeat(RANDOM - 1)),
        ] {
            assert!(SanctumToken::parse(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_character_comes_up_about_equally_often() {
        let entropy = Seeded::new(3);
        let drawn: String =
            (0..2_000).map(|_| SanctumToken::new_secret(&entropy).expose()[..RANDOM].to_owned()).collect();
        for c in ALPHABET {
            let count = drawn.matches(char::from(*c)).count();
            // 80,000 characters: 1,290 of each, give or take five standard deviations.
            assert!((1_110..1_470).contains(&count), "{} came up {count} times", char::from(*c));
        }
    }

    #[test]
    fn tokens_do_not_repeat_and_are_not_shown() {
        let entropy = Seeded::new(1);
        let hashes: HashSet<TokenHash> =
            (0..1_000).map(|_| SanctumToken::new_secret(&entropy).hash()).collect();
        assert_eq!(hashes.len(), 1_000);
        let secret = SanctumToken::new_secret(&entropy);
        let token = SanctumToken::parse(secret.expose()).unwrap();
        assert!(!format!("{token:?} {secret:?}").contains(&secret.expose()[..8]));
    }

    proptest! {
        #[test]
        fn a_token_is_read_exactly_if_its_checksum_is_that_of_its_forty_characters(
            random in "[A-Za-z0-9]{40}",
            presented in "[0-9a-f]{8}",
            id in 1_i64..,
        ) {
            let right = checksum(random.as_bytes());
            let token = SanctumToken::parse(&format!("{id}|{random}{right}")).unwrap();
            prop_assert_eq!(token.id(), Some(id));
            prop_assert_eq!(token.hash(), PlainToken::from_presented(&format!("{random}{right}")).hash());
            let other = SanctumToken::parse(&format!("{id}|{random}{presented}"));
            prop_assert_eq!(other.is_ok(), presented == right);
        }

        #[test]
        fn one_wrong_character_is_always_noticed(seed: u64, at in 0_usize..48, wrong in "[A-Za-z0-9]") {
            // A CRC finds every error of up to 32 neighbouring bits.
            let secret = SanctumToken::new_secret(&Seeded::new(seed));
            let mut typed = secret.expose().to_owned();
            typed.replace_range(at..=at, &wrong);
            prop_assert_eq!(SanctumToken::parse(&typed).is_ok(), typed == secret.expose());
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,60}", id in "[0-9]{0,20}") {
            let _ = SanctumToken::parse(&text);
            let _ = SanctumToken::parse(&format!("{id}|{text}"));
        }
    }
}

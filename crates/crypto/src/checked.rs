//! Opaque tokens that carry a checksum: `<prefix><40 alphanumerics><CRC-32 of them, 6 digits of base 62>`.
//!
//! 40 of 62 characters are 238 random bits. The prefix tells the kind of a leaked token, and the checksum tells scanners of
//! source code that it is one: neither proves anything. What has no right checksum was never issued and is not looked up.

use tidegate_domain::{Entropy, Secret};

use crate::PlainToken;
use crate::sanctum::{RANDOM, crc32, push_random};

/// The digits of base 62, in the order that scanners of other vendors' tokens know.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits of a checksum: enough for 32 bits.
const CHECKSUM: usize = 6;

/// The text is no token of the form asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token of the form <prefix><40 alphanumerics><checksum>")]
pub struct NotChecked;

impl PlainToken {
    /// A new token with a checksum.
    pub fn generate_checked(prefix: &str, entropy: &dyn Entropy) -> Self {
        let mut text = String::with_capacity(prefix.len() + RANDOM + CHECKSUM);
        text.push_str(prefix);
        push_random(&mut text, entropy);
        let checksum = checksum(text.as_bytes().get(prefix.len()..).unwrap_or_default());
        text.push_str(&checksum);
        Self::from_secret(Secret::new(text))
    }

    /// A presented token of that kind, not yet looked up.
    ///
    /// # Errors
    /// [`NotChecked`] when its prefix, form or checksum is wrong, which needs no look at the store.
    pub fn parse_checked(prefix: &str, text: &str) -> Result<Self, NotChecked> {
        let body = text.strip_prefix(prefix).ok_or(NotChecked)?;
        let (random, presented) = body.split_at_checked(RANDOM).ok_or(NotChecked)?;
        if !random.bytes().all(|c| c.is_ascii_alphanumeric()) || presented != checksum(random.as_bytes()) {
            return Err(NotChecked);
        }
        Ok(Self::from_presented(text))
    }
}

fn checksum(bytes: &[u8]) -> String {
    let mut rest = crc32(bytes);
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn the_checksum_is_the_crc_in_base_62() {
        // 0xcbf43926 is the check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
        assert_eq!(checksum(b"123456789"), "3jZRME");
        assert_eq!(checksum(b""), "000000");
    }

    #[test]
    fn a_new_token_tells_its_kind_and_is_read_back() {
        let token = PlainToken::generate_checked("pat_", &Seeded::new(1));
        assert_eq!(token.expose().len(), 4 + RANDOM + CHECKSUM);
        let read = PlainToken::parse_checked("pat_", token.expose()).unwrap();
        assert_eq!(read.hash(), token.hash());
        assert!(PlainToken::parse_checked("secret_", token.expose()).is_err());
    }

    proptest! {
        #[test]
        fn a_token_is_read_exactly_if_its_checksum_is_that_of_its_forty_characters(
            random in "[A-Za-z0-9]{40}",
            presented in "[A-Za-z0-9]{6}",
        ) {
            let right = checksum(random.as_bytes());
            let token = PlainToken::parse_checked("pat_", &format!("pat_{random}{right}"));
            prop_assert!(token.is_ok());
            let other = PlainToken::parse_checked("pat_", &format!("pat_{random}{presented}"));
            prop_assert_eq!(other.is_ok(), presented == right);
        }

        #[test]
        fn one_wrong_character_is_always_noticed(seed: u64, at in 0_usize..50, wrong in "[A-Za-z0-9_]") {
            let token = PlainToken::generate_checked("pat_", &Seeded::new(seed));
            let mut typed = token.expose().to_owned();
            typed.replace_range(at..=at, &wrong);
            prop_assert_eq!(PlainToken::parse_checked("pat_", &typed).is_ok(), typed == token.expose());
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,60}") {
            let _ = PlainToken::parse_checked("pat_", &text);
            let _ = PlainToken::parse_checked("pat_", &format!("pat_{text}"));
        }
    }
}

//! One-time codes.

use tidegate_domain::factor::{NotARecoveryCode, RECOVERY_ALPHABET, RECOVERY_CODE_LENGTH, RecoveryCode};
use tidegate_domain::{Entropy, Secret};

/// A code of `digits` decimal digits, each equally likely, leading zeros included.
pub fn one_time_code(digits: u32, entropy: &dyn Entropy) -> Secret {
    Secret::new((0..digits).filter_map(|_| char::from_digit(entropy.below(10), 10)).collect::<String>())
}

/// A backup code of 40 random bits.
///
/// # Errors
/// [`NotARecoveryCode`] only if the alphabet and the rule for codes did not fit together.
pub fn recovery_code(entropy: &dyn Entropy) -> Result<RecoveryCode, NotARecoveryCode> {
    let symbols = (0..RECOVERY_CODE_LENGTH).filter_map(|_| {
        let index = usize::try_from(entropy.below(32)).ok()?;
        RECOVERY_ALPHABET.get(index).copied().map(char::from)
    });
    RecoveryCode::parse(&symbols.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn a_code_has_all_its_digits_even_when_the_first_are_zero() {
        let entropy = Seeded::new(1);
        let codes: Vec<Secret> = (0..500).map(|_| one_time_code(6, &entropy)).collect();
        assert!(codes.iter().all(|code| code.expose().len() == 6));
        assert!(codes.iter().all(|code| code.expose().bytes().all(|digit| digit.is_ascii_digit())));
        assert!(codes.iter().any(|code| code.expose().starts_with('0')));
    }

    #[test]
    fn backup_codes_use_the_whole_alphabet() {
        let entropy = Seeded::new(3);
        let codes: Vec<String> =
            (0..500).map(|_| recovery_code(&entropy).unwrap().expose().to_owned()).collect();
        let used: std::collections::BTreeSet<u8> = codes.iter().flat_map(|code| code.bytes()).collect();
        assert_eq!(used.len(), RECOVERY_ALPHABET.len());
        assert!(codes.iter().all(|code| code.len() == RECOVERY_CODE_LENGTH));
    }

    #[test]
    fn every_digit_comes_up_about_equally_often() {
        let entropy = Seeded::new(2);
        let drawn = one_time_code(10_000, &entropy);
        for digit in '0'..='9' {
            let count = drawn.expose().matches(digit).count();
            assert!((880..1_120).contains(&count), "{digit} came up {count} times");
        }
    }
}

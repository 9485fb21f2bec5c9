//! One-time codes.

use tidegate_domain::{Entropy, Secret};

/// A code of `digits` decimal digits, each equally likely, leading zeros included.
pub fn one_time_code(digits: u32, entropy: &dyn Entropy) -> Secret {
    Secret::new((0..digits).filter_map(|_| char::from_digit(entropy.below(10), 10)).collect::<String>())
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
    fn every_digit_comes_up_about_equally_often() {
        let entropy = Seeded::new(2);
        let drawn = one_time_code(10_000, &entropy);
        for digit in '0'..='9' {
            let count = drawn.expose().matches(digit).count();
            assert!((880..1_120).contains(&count), "{digit} came up {count} times");
        }
    }
}

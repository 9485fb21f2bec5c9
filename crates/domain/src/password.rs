//! Passwords and the rules each contract puts on a new one.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// A password in plain text, as entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Password(Secret);

/// What a contract asks of a **new** password. Signing in never applies it.
///
/// Sources: RiverGen section 1.10, IngestIQ "register", Crossing Minds "accounts/individual" and "accounts/service".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordRule {
    /// Fewest characters.
    pub min_length: usize,
    /// Most characters. Bounds the work a sign-up can cause, not the strength.
    pub max_length: usize,
    /// At least one of A-Z.
    pub upper: bool,
    /// At least one of a-z.
    pub lower: bool,
    /// At least one of 0-9.
    pub digit: bool,
    /// At least one that is neither letter nor digit.
    pub symbol: bool,
}

/// A password that breaks its rule; the text says all that is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have {}", .missing.join(", "))]
pub struct WeakPassword {
    /// Each requirement not met.
    pub missing: Vec<String>,
}

impl Password {
    /// Takes what was typed as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// The text, for the hash.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl PasswordRule {
    /// What a password has to satisfy that must satisfy both rules.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            min_length: self.min_length.max(other.min_length),
            max_length: self.max_length.min(other.max_length),
            upper: self.upper || other.upper,
            lower: self.lower || other.lower,
            digit: self.digit || other.digit,
            symbol: self.symbol || other.symbol,
        }
    }

    /// Accepts a new password or says everything it lacks.
    ///
    /// # Errors
    /// [`WeakPassword`] with each requirement not met.
    pub fn check(&self, password: &Password) -> Result<(), WeakPassword> {
        let text = password.expose();
        let length = text.chars().count();
        let has = |wanted: fn(char) -> bool| text.chars().any(wanted);
        let requirements = [
            (length >= self.min_length, format!("at least {} characters", self.min_length)),
            (length <= self.max_length, format!("at most {} characters", self.max_length)),
            (!self.upper || has(|c| c.is_ascii_uppercase()), "an upper-case letter (A-Z)".to_owned()),
            (!self.lower || has(|c| c.is_ascii_lowercase()), "a lower-case letter (a-z)".to_owned()),
            (!self.digit || has(|c| c.is_ascii_digit()), "a digit (0-9)".to_owned()),
            (
                !self.symbol || has(|c| !c.is_alphanumeric()),
                "a character that is neither letter nor digit".to_owned(),
            ),
        ];
        let missing: Vec<String> =
            requirements.into_iter().filter(|(met, _)| !met).map(|(_, text)| text).collect();
        if missing.is_empty() { Ok(()) } else { Err(WeakPassword { missing }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_can_want_three_kinds_of_character() {
        let rule = PasswordRule {
            min_length: 8,
            max_length: 1024,
            upper: true,
            lower: true,
            digit: true,
            symbol: false,
        };
        assert_eq!(rule.check(&Password::new("Abcdefg1")), Ok(()));
        let missing = |text: &str| rule.check(&Password::new(text)).map_err(|weak| weak.missing.len());
        assert_eq!(missing("Abcdef1"), Err(1));
        assert_eq!(missing("abcdefgh"), Err(2));
        assert_eq!(missing(""), Err(4));
    }

    #[test]
    fn a_rule_can_want_length_alone_counted_in_characters() {
        let rule = PasswordRule {
            min_length: 8,
            max_length: 128,
            upper: false,
            lower: false,
            digit: false,
            symbol: false,
        };
        assert_eq!(rule.check(&Password::new("securepassword")), Ok(()));
        assert_eq!(rule.check(&Password::new("\u{e9}".repeat(8))), Ok(()));
        assert!(rule.check(&Password::new("\u{e9}".repeat(7))).is_err());
        assert!(rule.check(&Password::new("x".repeat(129))).is_err());
    }
}

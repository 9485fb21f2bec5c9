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

/// One thing that a rule asks of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Requirement {
    /// So many characters at the least.
    #[error("at least {0} characters")]
    MinLength(usize),
    /// So many at the most.
    #[error("at most {0} characters")]
    MaxLength(usize),
    /// One of A-Z.
    #[error("an upper-case letter (A-Z)")]
    Upper,
    /// One of a-z.
    #[error("a lower-case letter (a-z)")]
    Lower,
    /// One of 0-9.
    #[error("a digit (0-9)")]
    Digit,
    /// One that is neither letter nor digit.
    #[error("a character that is neither letter nor digit")]
    Symbol,
}

/// A password that breaks its rule; the text says all that is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have {}", listed(.missing))]
pub struct WeakPassword {
    /// Each requirement not met.
    pub missing: Vec<Requirement>,
}

fn listed(requirements: &[Requirement]) -> String {
    requirements.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Requirement {
    /// Whether a text meets it.
    fn is_met_by(self, text: &str) -> bool {
        let has = |wanted: fn(char) -> bool| text.chars().any(wanted);
        match self {
            Self::MinLength(least) => text.chars().count() >= least,
            Self::MaxLength(most) => text.chars().count() <= most,
            Self::Upper => has(|c| c.is_ascii_uppercase()),
            Self::Lower => has(|c| c.is_ascii_lowercase()),
            Self::Digit => has(|c| c.is_ascii_digit()),
            Self::Symbol => has(|c| !c.is_alphanumeric()),
        }
    }

    /// The key of its text in a catalogue of messages, and the number in that text.
    pub const fn message(self) -> (&'static str, Option<usize>) {
        match self {
            Self::MinLength(least) => ("rule.min_length", Some(least)),
            Self::MaxLength(most) => ("rule.max_length", Some(most)),
            Self::Upper => ("rule.upper", None),
            Self::Lower => ("rule.lower", None),
            Self::Digit => ("rule.digit", None),
            Self::Symbol => ("rule.symbol", None),
        }
    }
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

    /// Everything it asks, in the order in which people are told.
    pub fn requirements(&self) -> Vec<Requirement> {
        let always = [Requirement::MinLength(self.min_length), Requirement::MaxLength(self.max_length)];
        let kinds = [
            (self.upper, Requirement::Upper),
            (self.lower, Requirement::Lower),
            (self.digit, Requirement::Digit),
            (self.symbol, Requirement::Symbol),
        ];
        let kinds = kinds.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, kind)| kind);
        always.into_iter().chain(kinds).collect()
    }

    /// Accepts a new password or says everything it lacks.
    ///
    /// # Errors
    /// [`WeakPassword`] with each requirement not met.
    pub fn check(&self, password: &Password) -> Result<(), WeakPassword> {
        let text = password.expose();
        let missing: Vec<Requirement> =
            self.requirements().into_iter().filter(|requirement| !requirement.is_met_by(text)).collect();
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

//! Passwords and the rules each contract puts on a new one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::Secret;
use crate::typed::is_unseen;

/// A password in plain text, in one form for all keyboards.
///
/// `ñ` is one character from some keyboards and two from others, and input methods type letters in full width. So a password
/// is prepared as RFC 8265 section 4.2 says (`OpaqueString`: blanks become spaces, case stays), with NFKC for NFC as NIST SP
/// 800-63B section 3.1.1.2 recommends. Line breaks and characters that cannot be seen are taken off both ends: they come from
/// clipboards, and no later sign-in could repeat them. Nothing is refused here, so that every password set before still works.
#[derive(Clone, Debug)]
pub struct Password {
    prepared: Secret,
    /// What hashes made before passwords were prepared may be of.
    before: Option<Secret>,
    /// Characters that were typed.
    typed: usize,
}

/// Passwords are equal when they are prepared to the same, however they were typed.
impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.prepared == other.prepared
    }
}

impl Eq for Password {}

/// A contract's rule for **new** passwords. Signing in never applies it.
///
/// Sources: RiverGen section 1.10, IngestIQ "register", Crossing Minds "accounts/individual" and "accounts/service".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordRule {
    /// Minimum number of characters.
    pub min_length: usize,
    /// Maximum number of characters. Bounds the work a sign-up can cause, not the strength.
    pub max_length: usize,
    /// Whether one of A-Z is needed.
    pub upper: bool,
    /// Whether one of a-z is needed.
    pub lower: bool,
    /// Whether one of 0-9 is needed.
    pub digit: bool,
    /// Whether a character that is neither letter nor digit is needed.
    pub symbol: bool,
}

/// One requirement of a password rule.
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
    let texts: Vec<String> = requirements.iter().map(ToString::to_string).collect();
    match texts.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => texts.concat(),
    }
}

impl Requirement {
    /// Whether a password meets it.
    fn is_met_by(self, password: &Password) -> bool {
        let text = password.expose();
        let has = |wanted: fn(char) -> bool| text.chars().any(wanted);
        match self {
            // A character that is prepared to many is one that was chosen.
            Self::MinLength(least) => text.chars().count().min(password.typed) >= least,
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
    /// Prepares what was typed.
    pub fn new(text: impl Into<String>) -> Self {
        let typed = Secret::new(text);
        let prepared = Secret::new(prepare(typed.expose()));
        let before = if typed == prepared {
            // Set on a keyboard that types marks apart.
            let apart = Secret::new(prepared.expose().nfd().collect::<String>());
            (apart != prepared).then_some(apart)
        } else {
            Some(typed.clone())
        };
        Self { typed: typed.expose().chars().count(), prepared, before }
    }

    /// The prepared text, for the hash.
    pub fn expose(&self) -> &str {
        self.prepared.expose()
    }

    /// What a hash may be of that was made before passwords were prepared: what was typed, or the same with its marks apart.
    /// None where that makes no difference: for all of ASCII.
    pub fn before(&self) -> Option<&str> {
        self.before.as_ref().map(Secret::expose)
    }
}

fn prepare(typed: &str) -> String {
    let is_stray = |c: char| matches!(c, '\r' | '\n') || is_unseen(c);
    let seen = typed.trim_matches(is_stray);
    if seen.is_ascii() {
        return seen.to_owned();
    }
    seen.chars().map(|c| if is_blank(c) { ' ' } else { c }).nfkc().collect()
}

/// White space of other scripts (`General_Category` Zs).
const fn is_blank(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
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

    /// All its requirements, in the order in which people read them.
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
        let missing: Vec<Requirement> =
            self.requirements().into_iter().filter(|requirement| !requirement.is_met_by(password)).collect();
        if missing.is_empty() { Ok(()) } else { Err(WeakPassword { missing }) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_is_the_same_from_every_keyboard() {
        let composed = Password::new("Ma\u{f1}ana1234");
        for typed in [
            "Man\u{303}ana1234",
            "Ma\u{f1}ana1234\n",
            "\u{feff}Man\u{303}ana1234",
            "\u{ff2d}a\u{f1}ana\u{ff11}234",
        ] {
            let password = Password::new(typed);
            assert_eq!(password, composed, "{typed:?}");
            assert_eq!(password.before(), Some(typed));
        }
        assert_eq!(composed.before(), Some("Man\u{303}ana1234"));
        assert_eq!(Password::new("a\u{a0}b"), Password::new("a b"));
        assert_ne!(Password::new("Secret1234"), Password::new("secret1234"));
        assert_ne!(Password::new(" secret "), Password::new("secret"));
        assert_ne!(Password::new("a\u{200d}b"), Password::new("ab"));
        assert_eq!(Password::new("correct horse").before(), None);
    }

    #[test]
    fn a_rule_counts_what_was_chosen() {
        let rule = PasswordRule {
            min_length: 8,
            max_length: 20,
            upper: false,
            lower: false,
            digit: true,
            symbol: false,
        };
        // One character that is prepared to eighteen.
        assert!(rule.check(&Password::new("1\u{fdfa}")).is_err());
        assert!(rule.check(&Password::new("1\u{fdfa}".repeat(8))).is_err());
        assert_eq!(rule.check(&Password::new("passwor\u{ff11}")), Ok(()));
        // Seven letters, whose marks were typed apart.
        assert!(rule.check(&Password::new("1o\u{308}o\u{308}o\u{308}o\u{308}o\u{308}o\u{308}")).is_err());
    }

    proptest! {
        #[test]
        fn what_is_prepared_stays_as_it_is(text in "\\PC{0,40}") {
            let password = Password::new(text.clone());
            let again = Password::new(password.expose());
            prop_assert_eq!(again.expose(), password.expose());
            if text.is_ascii() {
                prop_assert_eq!(password.before(), None);
            }
        }
    }

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

//! Password hashes: ours, and those imported from elsewhere.

mod decoy;
mod function;
mod scheme;
mod stored;

#[cfg(test)]
mod tests;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_domain::{Entropy, Password};
use zeroize::Zeroizing;

use self::stored::{Origin, StoredHash};

pub use self::decoy::{Decoys, Effort, SchemeCount};
pub use self::scheme::{PasswordScheme, SchemeError};

/// The key of the first step when no pepper is configured. Public: it only makes the step the same everywhere.
const NO_PEPPER: &[u8] = b"tidegate password hash v1";
const MIN_PEPPER_BYTES: usize = 32;

/// Hashes passwords in the configured way, and verifies those hashed in any way known here.
///
/// Stored form of ours: `tg1$<pepper or ->$<bcrypt or PHC string>`. The password goes through HMAC-SHA-384 and base64
/// first, 64 characters whatever its length, as bcrypt alone reads no more than 72 bytes. Anything that starts with `$`
/// was imported and is checked against the password itself.
#[derive(Debug)]
pub struct PasswordHasher {
    scheme: PasswordScheme,
    pepper: Option<Pepper>,
    old_peppers: Vec<Pepper>,
}

/// A key mixed into every password, kept outside the database: stolen hashes alone cannot be guessed at.
#[derive(Clone, Debug)]
pub struct Pepper {
    id: String,
    key: hmac::Key,
}

/// What a verification found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The password, hashed as configured.
    Match,
    /// The password, but imported, or hashed with another scheme, cost or pepper than configured: hash it anew.
    MatchOutdated,
    /// Another password.
    Mismatch,
}

/// Why a password could not be hashed, or a stored hash not be checked. It never repeats the hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// No form known here.
    #[error(
        "not a password hash known here: bcrypt ($2a$, $2b$, $2y$), $argon2id$, $argon2i$, $scrypt$, \
         $pbkdf2-sha256$ or $pbkdf2-sha512$"
    )]
    Unrecognised,
    /// A known form, but broken.
    #[error("a broken password hash: {0}")]
    Malformed(&'static str),
    /// Checking it would take so much time or memory that one sign-in could stall the server.
    #[error("a password hash too costly to check: {0}")]
    TooCostly(&'static str),
    /// Hashed with a pepper that is not here.
    #[error("hashed with pepper `{id}`, which is not configured: add it to previous_peppers")]
    UnknownPepper {
        /// The pepper's name.
        id: String,
    },
    /// The hash function gave up, most likely for lack of memory.
    #[error("the password hash function failed")]
    Failed,
}

impl Pepper {
    /// A pepper called `id`, which every hash made with it names.
    ///
    /// # Errors
    /// [`SchemeError`] when `id` is not 1 to 16 of a-z, 0-9 and `_`, or `key` is shorter than 32 bytes.
    pub fn new(id: &str, key: &[u8]) -> Result<Self, SchemeError> {
        let named = (1..=16).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !named {
            return Err(SchemeError::PepperId);
        }
        if key.len() < MIN_PEPPER_BYTES {
            return Err(SchemeError::PepperKey);
        }
        Ok(Self { id: id.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA384, key) })
    }
}

impl PasswordHasher {
    /// Hashes with `scheme` and `pepper`; verifies with `old_peppers` too.
    ///
    /// # Errors
    /// [`SchemeError`] when the scheme's parameters are out of bounds.
    pub fn new(
        scheme: PasswordScheme,
        pepper: Option<Pepper>,
        old_peppers: Vec<Pepper>,
    ) -> Result<Self, SchemeError> {
        scheme.check()?;
        Ok(Self { scheme, pepper, old_peppers })
    }

    /// Hashes `password` for storage, with a salt from `entropy`.
    ///
    /// # Errors
    /// [`PasswordError::Failed`].
    pub fn hash(&self, password: &Password, entropy: &dyn Entropy) -> Result<String, PasswordError> {
        let input = prehash(self.pepper.as_ref(), password.expose());
        let inner = self.scheme.hash(input.as_bytes(), entropy)?;
        Ok(Self::stored_form(self.pepper.as_ref(), &inner))
    }

    /// Checks `password` against a stored hash: as it is prepared, and else as it was before passwords were.
    ///
    /// # Errors
    /// Any [`PasswordError`] when `stored` cannot be checked.
    pub fn verify(&self, password: &Password, stored: &str) -> Result<Verification, PasswordError> {
        let hash = StoredHash::parse(stored)?;
        let (pepper, up_to_date) = match hash.origin {
            Origin::Imported => (None, false),
            Origin::Ours { pepper } => {
                let current = pepper == self.pepper.as_ref().map(|pepper| pepper.id.as_str());
                (self.pepper_named(pepper)?, current && hash.function == self.scheme.function())
            }
        };
        let matches = |text: &str| match hash.origin {
            Origin::Imported => hash.matches(text.as_bytes()),
            Origin::Ours { .. } => hash.matches(prehash(pepper, text).as_bytes()),
        };
        if matches(password.expose())? {
            return Ok(if up_to_date { Verification::Match } else { Verification::MatchOutdated });
        }
        let before = password.before().map(matches).transpose()?.unwrap_or(false);
        Ok(if before { Verification::MatchOutdated } else { Verification::Mismatch })
    }

    /// Whether `stored` is a hash that [`PasswordHasher::verify`] can check, found out without the work. For imports.
    ///
    /// # Errors
    /// The [`PasswordError`] that verifying would end with.
    pub fn check(&self, stored: &str) -> Result<(), PasswordError> {
        self.effort(stored).map(drop)
    }

    /// The name of the pepper that hashes of this kind need and that is not here. The end of such a hash is not looked at.
    pub fn missing_pepper<'s>(&self, stored: &'s str) -> Option<&'s str> {
        let (id, _) = stored.strip_prefix(stored::OURS)?.split_once('$')?;
        (id != stored::NO_PEPPER_ID && self.pepper_named(Some(id)).is_err()).then_some(id)
    }

    fn stored_form(pepper: Option<&Pepper>, inner: &str) -> String {
        let pepper = pepper.map_or(stored::NO_PEPPER_ID, |pepper| &pepper.id);
        format!("{}{pepper}{inner}", stored::OURS)
    }

    fn pepper_named(&self, id: Option<&str>) -> Result<Option<&Pepper>, PasswordError> {
        let Some(id) = id else { return Ok(None) };
        self.pepper
            .iter()
            .chain(&self.old_peppers)
            .find(|pepper| pepper.id == id)
            .map(Some)
            .ok_or_else(|| PasswordError::UnknownPepper { id: id.to_owned() })
    }
}

/// The first step of our hashes: 64 characters without a zero byte, each depending on the whole password.
fn prehash(pepper: Option<&Pepper>, password: &str) -> Zeroizing<String> {
    let password = password.as_bytes();
    let tag = match pepper {
        Some(pepper) => hmac::sign(&pepper.key, password),
        None => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA384, NO_PEPPER), password),
    };
    Zeroizing::new(STANDARD.encode(tag))
}

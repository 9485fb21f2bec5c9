//! Reading stored password hashes: ours, modular-crypt strings and PHC strings.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

use super::PasswordError;
use super::function::{Digest, Function};

/// What our hashes start with.
pub(super) const OURS: &str = "tg1$";
/// The pepper's name in a hash without one.
pub(super) const NO_PEPPER_ID: &str = "-";

/// Longest text of a stored hash.
pub(super) const MAX_TEXT: usize = 512;
const MIN_OUTPUT: usize = 16;
const MAX_OUTPUT: usize = 128;
/// Length of salt and output of bcrypt together, in its base64.
const BCRYPT_TEXT: usize = 53;
const BCRYPT_SALT: usize = 22;

// Some writers left bits set beyond the last byte of a salt. Those bits never counted, so they do not here.
const LENIENT: base64::engine::GeneralPurposeConfig = NO_PAD.with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BCRYPT: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, LENIENT);

/// A stored hash, taken apart.
pub(super) struct StoredHash<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) function: Function,
    salt: Vec<u8>,
    output: Vec<u8>,
}

/// Who made a hash.
pub(super) enum Origin<'a> {
    /// Tidegate, with the pepper named.
    Ours { pepper: Option<&'a str> },
    /// Another system, from the password as typed.
    Imported,
}

impl<'a> StoredHash<'a> {
    /// Takes a stored hash apart and makes sure checking it is affordable.
    pub(super) fn parse(text: &'a str) -> Result<Self, PasswordError> {
        if text.len() > MAX_TEXT {
            return Err(PasswordError::Malformed("longer than any hash"));
        }
        let (origin, inner) = match text.strip_prefix(OURS) {
            None => (Origin::Imported, text),
            Some(rest) => {
                let end = rest.find('$').ok_or(PasswordError::Malformed("cut short"))?;
                let (pepper, inner) = rest.split_at(end);
                let pepper = (pepper != NO_PEPPER_ID).then_some(pepper);
                (Origin::Ours { pepper }, inner)
            }
        };
        let (function, salt, output) = take_apart(inner)?;
        function.check()?;
        // A short output would match many passwords, an empty one all.
        if !(MIN_OUTPUT..=MAX_OUTPUT).contains(&output.len()) {
            return Err(PasswordError::Malformed("its output has not 16 to 128 bytes"));
        }
        Ok(Self { origin, function, salt, output })
    }

    /// Bytes of salt and of output.
    pub(super) fn lengths(&self) -> (usize, usize) {
        (self.salt.len(), self.output.len())
    }

    /// Whether `input` leads to this hash.
    pub(super) fn matches(&self, input: &[u8]) -> Result<bool, PasswordError> {
        let computed = self.function.compute(input, &self.salt, self.output.len())?;
        Ok(crate::same_bytes(&computed, &self.output))
    }
}

type Parts = (Function, Vec<u8>, Vec<u8>);

fn take_apart(text: &str) -> Result<Parts, PasswordError> {
    let fields: Vec<&str> = text.split('$').collect();
    match *fields.as_slice() {
        // $2x$ is left out: it marks hashes of a broken implementation that read non-ASCII passwords wrongly.
        ["", "2a" | "2b" | "2y", cost, rest] => bcrypt(cost, rest),
        ["", name @ ("argon2id" | "argon2i"), version, params, salt, output] => {
            argon2(name, version, params, salt, output)
        }
        // The reference implementation wrote no version before 1.3.
        ["", name @ ("argon2id" | "argon2i"), params, salt, output] => {
            argon2(name, "v=16", params, salt, output)
        }
        ["", "scrypt", params, salt, output] => {
            let [log_n, r, p] = numbers(params, ["ln", "r", "p"])?;
            Ok((Function::Scrypt { log_n, r, p }, decode(salt)?, decode(output)?))
        }
        ["", "pbkdf2-sha256", rounds, salt, output] => pbkdf2(Digest::Sha256, rounds, salt, output),
        ["", "pbkdf2-sha512", rounds, salt, output] => pbkdf2(Digest::Sha512, rounds, salt, output),
        _ => Err(PasswordError::Unrecognised),
    }
}

fn bcrypt(cost: &str, rest: &str) -> Result<Parts, PasswordError> {
    let cost = number(cost)?;
    let (salt, output) = Some(rest)
        .filter(|rest| rest.len() == BCRYPT_TEXT)
        .and_then(|rest| rest.split_at_checked(BCRYPT_SALT))
        .ok_or(PasswordError::Malformed("bcrypt has 53 characters of salt and output"))?;
    let decode = |text| BCRYPT.decode(text).map_err(|_| PasswordError::Malformed("not bcrypt's base64"));
    Ok((Function::Bcrypt { cost }, decode(salt)?, decode(output)?))
}

fn argon2(name: &str, version: &str, params: &str, salt: &str, output: &str) -> Result<Parts, PasswordError> {
    let variant = argon2::Algorithm::new(name).map_err(|_| PasswordError::Unrecognised)?;
    let [version] = numbers(version, ["v"])?;
    let version =
        argon2::Version::try_from(version).map_err(|_| PasswordError::Malformed("not Argon2 1.0 or 1.3"))?;
    let [memory_kib, iterations, parallelism] = numbers(params, ["m", "t", "p"])?;
    let salt = decode(salt)?;
    if salt.len() < argon2::MIN_SALT_LEN {
        return Err(PasswordError::Malformed("Argon2's salt has at least 8 bytes"));
    }
    let function = Function::Argon2 { variant, version, memory_kib, iterations, parallelism };
    Ok((function, salt, decode(output)?))
}

/// `rounds` is the number itself (passlib), or `i=<number>` with an optional `l=<output length>` (PHC).
fn pbkdf2(digest: Digest, rounds: &str, salt: &str, output: &str) -> Result<Parts, PasswordError> {
    let output = decode(output)?;
    let rounds = if rounds.contains("l=") {
        let [rounds, length] = numbers(rounds, ["i", "l"])?;
        if usize::try_from(length) != Ok(output.len()) {
            return Err(PasswordError::Malformed("not as long as it says"));
        }
        rounds
    } else if rounds.contains('=') {
        let [rounds] = numbers(rounds, ["i"])?;
        rounds
    } else {
        number(rounds)?
    };
    Ok((Function::Pbkdf2 { digest, rounds }, decode(salt)?, output))
}

/// The values of `a=1,b=2`, whose names must be `names` in that order.
fn numbers<const N: usize>(text: &str, names: [&str; N]) -> Result<[u32; N], PasswordError> {
    const MALFORMED: PasswordError = PasswordError::Malformed("its parameters are not those of its kind");
    let values: Vec<u32> = text
        .split(',')
        .zip(names)
        .map(|(item, name)| {
            let value = item.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
            number(value.ok_or(MALFORMED)?)
        })
        .collect::<Result<_, _>>()?;
    if text.split(',').count() != N {
        return Err(MALFORMED);
    }
    values.try_into().map_err(|_| MALFORMED)
}

fn number(text: &str) -> Result<u32, PasswordError> {
    text.parse().map_err(|_| PasswordError::Malformed("one of its parameters is not a number"))
}

/// Base64 without padding, also in passlib's variant with `.` for `+`.
fn decode(text: &str) -> Result<Vec<u8>, PasswordError> {
    STANDARD
        .decode(text.trim_end_matches('=').replace('.', "+"))
        .map_err(|_| PasswordError::Malformed("not base64"))
}

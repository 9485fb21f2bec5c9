//! The password hash functions themselves.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use zeroize::Zeroizing;

use super::PasswordError;

/// A hash function with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Bcrypt {
        cost: u32,
    },
    Argon2 {
        variant: argon2::Algorithm,
        version: argon2::Version,
        memory_kib: u32,
        iterations: u32,
        parallelism: u32,
    },
    Scrypt {
        log_n: u32,
        r: u32,
        p: u32,
    },
    Pbkdf2 {
        digest: Digest,
        rounds: u32,
    },
}

/// The digest below PBKDF2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    Sha256,
    Sha512,
}

// The most that one hash may cost, whatever its source: a hostile import must not block sign-in for all accounts. A few seconds
// of one core and 256 MiB are several times what OWASP's Password Storage Cheat Sheet asks for.
const MAX_BCRYPT_COST: u32 = 16;
const MAX_MEMORY_KIB: u64 = 256 * 1024;
/// Memory times passes over it, for the functions whose time goes into filling memory.
const MAX_FILLED_KIB: u64 = 1024 * 1024;
const MAX_ARGON2_LANES: u32 = 64;
const MAX_PBKDF2_ROUNDS: u32 = 5_000_000;

/// Longest input of bcrypt, with the zero byte that ends it.
const BCRYPT_INPUT: usize = 72;

impl Function {
    /// Whether the parameters are valid and affordable.
    pub(crate) fn check(self) -> Result<(), PasswordError> {
        match self {
            Self::Bcrypt { cost } => {
                require(cost >= 4, PasswordError::Malformed("bcrypt's cost is at least 4"))?;
                require(cost <= MAX_BCRYPT_COST, PasswordError::TooCostly("bcrypt's cost is at most 16"))
            }
            Self::Argon2 { memory_kib, iterations, parallelism, .. } => {
                require(
                    parallelism <= MAX_ARGON2_LANES,
                    PasswordError::TooCostly("Argon2 has at most 64 lanes"),
                )?;
                require(
                    argon2::Params::new(memory_kib, iterations, parallelism, None).is_ok(),
                    PasswordError::Malformed("Argon2 has at least one pass, one lane and 8 KiB a lane"),
                )?;
                check_memory(memory_kib.into(), iterations.into())
            }
            Self::Scrypt { log_n, r, p } => {
                let valid = (1..=32).contains(&log_n) && r > 0 && p > 0;
                require(valid, PasswordError::Malformed("scrypt's parameters are ln, r and p"))?;
                let memory = (u64::from(r) << log_n) / 8;
                // The second buffer is as large as p blocks of r * 128 bytes.
                require(
                    u64::from(r) * u64::from(p) / 8 <= MAX_MEMORY_KIB,
                    PasswordError::TooCostly("scrypt takes at most 256 MiB"),
                )?;
                check_memory(memory, p.into())
            }
            Self::Pbkdf2 { rounds, .. } => {
                require(rounds > 0, PasswordError::Malformed("PBKDF2 has at least one round"))?;
                require(
                    rounds <= MAX_PBKDF2_ROUNDS,
                    PasswordError::TooCostly("PBKDF2 has at most 5 million rounds"),
                )
            }
        }
    }

    /// The `length` output bytes for `input` and `salt`.
    pub(crate) fn compute(
        self,
        input: &[u8],
        salt: &[u8],
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, PasswordError> {
        let mut output = Zeroizing::new(vec![0; length]);
        match self {
            Self::Bcrypt { cost } => {
                let salt = salt.try_into().map_err(|_| PasswordError::Failed)?;
                let key: Zeroizing<Vec<u8>> =
                    Zeroizing::new(input.iter().copied().chain([0]).take(BCRYPT_INPUT).collect());
                let raw = Zeroizing::new(bcrypt::bcrypt(cost, salt, &key));
                output.iter_mut().zip(raw.iter()).for_each(|(to, from)| *to = *from);
            }
            Self::Argon2 { variant, version, memory_kib, iterations, parallelism } => {
                let params = argon2::Params::new(memory_kib, iterations, parallelism, Some(length))
                    .map_err(|_| PasswordError::Failed)?;
                argon2::Argon2::new(variant, version, params)
                    .hash_password_into(input, salt, &mut output)
                    .map_err(|_| PasswordError::Failed)?;
            }
            Self::Scrypt { log_n, r, p } => {
                let log_n = u8::try_from(log_n).map_err(|_| PasswordError::Failed)?;
                let params = scrypt::Params::new(log_n, r, p).map_err(|_| PasswordError::Failed)?;
                scrypt::scrypt(input, salt, &params, &mut output).map_err(|_| PasswordError::Failed)?;
            }
            Self::Pbkdf2 { digest, rounds } => {
                let algorithm = match digest {
                    Digest::Sha256 => PBKDF2_HMAC_SHA256,
                    Digest::Sha512 => PBKDF2_HMAC_SHA512,
                };
                let rounds = NonZeroU32::new(rounds).ok_or(PasswordError::Failed)?;
                pbkdf2::derive(algorithm, rounds, salt, input, &mut output);
            }
        }
        Ok(output)
    }
}

fn check_memory(memory_kib: u64, passes: u64) -> Result<(), PasswordError> {
    require(memory_kib <= MAX_MEMORY_KIB, PasswordError::TooCostly("it takes more than 256 MiB of memory"))?;
    require(
        memory_kib.saturating_mul(passes) <= MAX_FILLED_KIB,
        PasswordError::TooCostly("it fills more than 1 GiB of memory"),
    )
}

fn require(met: bool, otherwise: PasswordError) -> Result<(), PasswordError> {
    if met { Ok(()) } else { Err(otherwise) }
}

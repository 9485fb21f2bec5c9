//! How new passwords are hashed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use tidegate_domain::Entropy;

use super::PasswordError;
use super::decoy::Effort;
use super::function::Function;

/// The scheme new passwords are hashed with. Either default takes about a quarter of a second or less on one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "lowercase", deny_unknown_fields)]
pub enum PasswordScheme {
    /// bcrypt. The sign-up contract asks for it, with cost 12.
    Bcrypt {
        /// Binary logarithm of the number of rounds.
        #[serde(default = "default_cost")]
        cost: u32,
    },
    /// Argon2id (RFC 9106). The defaults are OWASP's first choice (Password Storage Cheat Sheet).
    Argon2id {
        /// Memory, in KiB.
        #[serde(default = "default_memory_kib")]
        memory_kib: u32,
        /// Passes over the memory.
        #[serde(default = "default_iterations")]
        iterations: u32,
        /// Lanes.
        #[serde(default = "default_parallelism")]
        parallelism: u32,
    },
}

/// A configuration that passwords cannot be hashed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// The scheme's parameters are out of bounds.
    #[error("password scheme: {0}")]
    OutOfBounds(&'static str),
    /// A pepper's name.
    #[error("a pepper's id has 1 to 16 of a-z, 0-9 and `_`")]
    PepperId,
    /// A pepper's key.
    #[error("a pepper's key has at least 32 bytes")]
    PepperKey,
}

const SALT_BYTES: usize = 16;
const BCRYPT_BYTES: usize = 23;
const ARGON2_BYTES: usize = 32;

impl Default for PasswordScheme {
    fn default() -> Self {
        Self::Bcrypt { cost: default_cost() }
    }
}

impl PasswordScheme {
    pub(super) fn check(self) -> Result<(), SchemeError> {
        self.function().check().map_err(|error| match error {
            PasswordError::Malformed(reason) | PasswordError::TooCostly(reason) => {
                SchemeError::OutOfBounds(reason)
            }
            _ => SchemeError::OutOfBounds("not usable"),
        })
    }

    pub(super) const fn function(self) -> Function {
        match self {
            Self::Bcrypt { cost } => Function::Bcrypt { cost },
            Self::Argon2id { memory_kib, iterations, parallelism } => Function::Argon2 {
                variant: argon2::Algorithm::Argon2id,
                version: argon2::Version::V0x13,
                memory_kib,
                iterations,
                parallelism,
            },
        }
    }

    /// The modular-crypt or PHC string of `input`.
    pub(super) fn hash(self, input: &[u8], entropy: &dyn Entropy) -> Result<String, PasswordError> {
        let salt: [u8; SALT_BYTES] = entropy.bytes();
        let output = self.function().compute(input, &salt, self.output_bytes())?;
        Ok(self.text(&salt, &output))
    }

    /// What verifying a hash in this scheme costs.
    pub(super) fn effort(self) -> Effort {
        Effort::new(self.function(), SALT_BYTES, self.output_bytes(), true)
    }

    const fn output_bytes(self) -> usize {
        match self {
            Self::Bcrypt { .. } => BCRYPT_BYTES,
            Self::Argon2id { .. } => ARGON2_BYTES,
        }
    }

    fn text(self, salt: &[u8], output: &[u8]) -> String {
        match self {
            Self::Bcrypt { cost } => {
                let [salt, output] = [salt, output].map(|bytes| bcrypt::BASE_64.encode(bytes));
                format!("$2b${cost:02}${salt}{output}")
            }
            Self::Argon2id { memory_kib, iterations, parallelism } => {
                let [salt, output] = [salt, output].map(|bytes| STANDARD_NO_PAD.encode(bytes));
                format!("$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}${salt}${output}")
            }
        }
    }
}

const fn default_cost() -> u32 {
    12
}

const fn default_memory_kib() -> u32 {
    19 * 1024
}

const fn default_iterations() -> u32 {
    2
}

const fn default_parallelism() -> u32 {
    1
}

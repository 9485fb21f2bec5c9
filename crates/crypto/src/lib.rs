//! Every algorithm Tidegate trusts: hashes, ciphers, signatures, randomness.
//!
//! No other crate names one. Time is an argument, and so is chance: the operating system's randomness is behind
//! [`SystemEntropy`], which only the program hands out. The exceptions are the nonce inside an ECDSA signature and the
//! primes of an RSA key, which the signing library draws itself.

pub mod checked;
pub mod client_jwt;
pub mod cloud;
pub mod code;
pub mod digest;
pub mod dpop;
pub mod entropy;
pub mod issuer_keys;
pub mod jwt;
pub mod keys;
pub mod mask_key;
pub mod master_key;
pub mod oauth;
pub mod password;
pub mod pool;
pub mod sanctum;
pub mod shared_key;
pub mod token;
pub mod totp;
pub mod vault;
pub mod webauthn;

#[cfg(test)]
mod testing;

pub use client_jwt::{ClientJwt, ClientJwtError, ClientKeys, ClientKeysError, JwtAlgorithm};
pub use cloud::{AwsSecretKey, AzureAccountKey};
pub use code::{one_time_code, recovery_code};
pub use digest::ContentDigest;
pub use entropy::SystemEntropy;
pub use issuer_keys::{AssertionKey, IssuerKeys, IssuerTokenError, pkce_challenge};
pub use jwt::openid::HintError;
pub use jwt::{KeyRing, SigningFailed, TokenError, TokenFault};
pub use keys::{KeyError, RsaSize, SigningAlgorithm, SigningKey, VerificationKey};
pub use mask_key::MaskKey;
pub use master_key::{KeyId, MasterKey, MasterKeyError};
pub use password::{
    Decoys, Effort, PasswordError, PasswordHasher, PasswordScheme, Pepper, SchemeCount, SchemeError,
    Verification,
};
pub use pool::{HashError, HashPool, PoolSize, Requester, StoredPassword};
pub use sanctum::SanctumToken;
pub use shared_key::SharedKey;
pub use token::{PlainToken, TokenHash};
pub use totp::TotpSeed;
pub use vault::{Vault, VaultError};
pub use webauthn::{PasskeyChallenge, RelyingParty};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tidegate_domain::Secret;

/// The bytes of a digest or tag whose algorithm makes it `N` long.
fn sized<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut sized = [0; N];
    sized.copy_from_slice(bytes);
    sized
}

/// Whether two byte strings are the same, in time that depends on their lengths alone.
fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left, right).is_ok()
}

/// `prefix` and the base64url of `bytes`, in a buffer large enough that no copy is left behind.
fn prefixed(prefix: &str, bytes: &[u8]) -> Secret {
    let mut text = String::with_capacity(prefix.len() + bytes.len() * 2);
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    Secret::new(text)
}

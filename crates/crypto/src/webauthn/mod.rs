//! Passkeys: registrations and assertions of authenticators (W3C Web Authentication), verified by `webauthn-rs`.
//!
//! The ceremonies of that library draw their own challenge and keep it in a state. Here the challenge comes from the injected
//! randomness and from the store, so it takes the place of the library's before anything is verified. The library writes what
//! strangers send to the log; it is silenced while it works.

pub mod attestation;
mod ceremony;
pub mod challenge;
pub mod relying_party;
#[cfg(any(test, feature = "testing"))]
pub mod software;
#[cfg(test)]
mod tests;

pub use challenge::PasskeyChallenge;
pub use relying_party::{RelyingParty, RelyingPartyError};

use uuid::Uuid;

/// Longest id of a credential, in bytes (Web Authentication level 3, section 5.8.5).
pub const LONGEST_CREDENTIAL_ID: usize = 1_023;
/// Longest client data taken, in bytes.
pub const LONGEST_CLIENT_DATA: usize = 8 * 1_024;
/// Longest attestation object and authenticator data taken, in bytes.
pub const LONGEST_AUTHENTICATOR_DATA: usize = 16 * 1_024;
/// Longest signature taken, in bytes: RSA with 8192 bits.
pub const LONGEST_SIGNATURE: usize = 1_024;
/// Longest user handle, in bytes (Web Authentication level 3, section 4).
pub const LONGEST_USER_HANDLE: usize = 64;
/// The algorithms of credentials (COSE): ES256 and RS256.
pub const ALGORITHMS: [i64; 2] = [-7, -257];
/// The ways to an authenticator that clients may name (Web Authentication level 3, section 5.8.4).
pub const TRANSPORTS: [&str; 6] = ["usb", "nfc", "ble", "smart-card", "hybrid", "internal"];

/// What a client answers to the options of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationResponse {
    /// The id of the credential.
    pub credential_id: Vec<u8>,
    /// What the client says of the ceremony, JSON.
    pub client_data: Vec<u8>,
    /// What the authenticator says, CBOR.
    pub attestation_object: Vec<u8>,
    /// How the client reaches the authenticator: some of [`TRANSPORTS`].
    pub transports: Vec<String>,
}

/// What a client answers to the options of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionResponse {
    /// The id of the credential.
    pub credential_id: Vec<u8>,
    /// What the client says of the ceremony, JSON.
    pub client_data: Vec<u8>,
    /// What the authenticator says.
    pub authenticator_data: Vec<u8>,
    /// The signature over both.
    pub signature: Vec<u8>,
    /// Whose the credential is, where the authenticator says so.
    pub user_handle: Option<Vec<u8>>,
}

/// A passkey that was registered.
#[derive(Clone, Debug)]
pub struct RegisteredPasskey {
    /// The credential with its public key, JSON in the library's form.
    pub credential: String,
    /// The signature counter.
    pub sign_count: u32,
    /// Whether it may be synchronized to other devices.
    pub backup_eligible: bool,
    /// Whether it is.
    pub backed_up: bool,
    /// The model of the authenticator, as it says itself; zeros where it does not.
    pub aaguid: Uuid,
}

/// A passkey as it is stored.
#[derive(Clone, Debug)]
pub struct StoredPasskey<'a> {
    /// The credential with its public key, JSON in the library's form.
    pub credential: &'a str,
    /// The signature counter of its last use.
    pub sign_count: u32,
    /// Whether it may be synchronized to other devices.
    pub backup_eligible: bool,
    /// Whether it was at its last use.
    pub backed_up: bool,
}

/// An assertion that was verified: the person was there, and the authenticator verified that it was the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedAssertion {
    /// The signature counter; 0 where the authenticator keeps none.
    pub sign_count: u32,
    /// Whether the passkey may be synchronized to other devices.
    pub backup_eligible: bool,
    /// Whether it is.
    pub backed_up: bool,
}

/// Why a registration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationRejected {
    /// What the client says of the ceremony is for another origin or another purpose.
    #[error("the client data is not for a registration at this site")]
    ClientData,
    /// What the authenticator says is malformed, is for another relying party, or was made without the person.
    #[error("the attestation object cannot be accepted")]
    Attestation,
    /// The model of the authenticator is not among those that are allowed.
    #[error("this kind of authenticator is not allowed here")]
    Authenticator,
    /// The library does not work as it did.
    #[error("the ceremony cannot be set up")]
    Broken,
}

/// Why an assertion was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionRejected {
    /// It does not verify: signature, origin, relying party or flags are not what they should be.
    #[error("the assertion does not verify")]
    Invalid,
    /// The signature counter is not ahead of the last one: there may be two copies of the key.
    #[error("the signature counter went back")]
    CounterWentBack,
    /// The stored credential cannot be read, or the library does not work as it did.
    #[error("the ceremony cannot be set up")]
    Broken,
}

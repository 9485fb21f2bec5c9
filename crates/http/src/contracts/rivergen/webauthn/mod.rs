//! Passkeys (section 6 of the contract).

pub(super) mod credentials;
mod encoded;
mod error;
pub(super) mod register;
mod requests;
mod responses;
pub(super) mod sign_in;

pub(super) use requests::{AssertedCredential, texts};
pub(super) use responses::RequestOptions;

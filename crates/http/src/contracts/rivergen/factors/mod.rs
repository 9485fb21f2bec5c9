//! Second factors, trusted devices and step-up (sections 3, 5 and 7 of the contract).

pub(super) mod devices;
mod error;
pub(super) mod mfa;
mod requests;
mod responses;
pub(super) mod sign_in;
pub(super) mod step_up;

pub(super) use responses::{MfaRequiredData, request_message};

//! Every way to a first session.

pub mod activate;
pub mod bind;
pub(crate) mod complete;
pub mod confirm_code;
pub mod confirm_link;
pub mod hosted_sign_up;
pub(crate) mod kept;
pub mod login;
pub mod passkey_sign_in;
pub mod phone_sign_in;
pub mod resend_code;
pub mod second_factor;
pub(crate) mod second_factor_repeat;
pub mod sign_in_history;
pub mod sign_up;

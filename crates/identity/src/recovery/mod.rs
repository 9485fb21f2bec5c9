//! A forgotten password, a lost second factor, an account that is not its owner's alone any more.

pub mod answer_factor_reset;
pub(crate) mod delayed_factor_reset;
pub mod footholds;
pub mod forgot_password;
pub mod reset_factors;
pub mod reset_password;
pub mod restore_email;
pub mod secure_account;

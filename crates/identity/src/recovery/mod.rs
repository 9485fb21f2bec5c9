//! A forgotten password, a lost second factor, an account that is not its owner's alone any more.

pub mod footholds;
pub mod forgot_password;
pub mod reset_factors;
pub mod reset_password;
pub mod restore_email;
pub mod secure_account;

//! A forgotten password.

pub mod footholds;
pub mod forgot_password;
pub mod reset_password;
pub mod restore_email;

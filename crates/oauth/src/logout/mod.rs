//! How people leave applications: an application has them signed out here, and hears of sessions that end.

pub(crate) mod callers;
pub(crate) mod notify;
pub mod request;

pub use request::{LogoutParameters, LogoutRefused, LogoutRequest};

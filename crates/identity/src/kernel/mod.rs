//! What every use case needs.

pub mod authenticate;
pub(crate) mod cache;
pub mod call;
pub mod deliver;
pub mod fault;
pub(crate) mod issue;
pub mod maintenance;
pub(crate) mod message;
pub(crate) mod meter;
pub(crate) mod quota;
pub mod service;
pub mod settings;
pub mod signing_keys;
pub mod sms_receipts;
pub(crate) mod throttle;
pub(crate) mod work;

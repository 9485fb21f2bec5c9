//! Devices without a browser (RFC 8628): they show a code, a person types it into the page `/device`, and the device polls for tokens.

pub mod answer;
pub(crate) mod device_codes_repository;
pub mod exchange;
pub mod request;
pub mod user_code;

pub use answer::{DeviceError, DeviceQuestion};
pub use request::DeviceRequested;
pub use user_code::UserCode;

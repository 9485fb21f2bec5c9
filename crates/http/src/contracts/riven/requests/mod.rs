//! Request bodies: sections 2 and 3.

pub(super) mod application;
mod dates;
pub(super) mod described;
mod file_type;
pub(super) mod kyc;
mod multipart;
pub(super) mod phone;
pub(super) mod shapes;
mod vocabulary;

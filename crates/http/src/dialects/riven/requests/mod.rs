//! Request bodies: sections 2 and 3.

pub(super) mod application;
mod dates;
mod file_type;
pub(super) mod kyc;
mod multipart;
mod vocabulary;

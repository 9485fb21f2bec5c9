//! Who is calling, and what they may do.

pub(crate) mod actor;
pub mod call;
pub mod grant;
pub(crate) mod reader;

//! Who is calling, and what they may do.

pub mod call;
pub mod grant;

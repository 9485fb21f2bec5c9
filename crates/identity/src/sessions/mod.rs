//! Sessions: continued, listed and ended.

pub mod continue_session;
pub mod end_session;
pub mod list_sessions;
pub mod log_out;
pub mod refresh;
pub mod resolve_session;
pub mod sign_out;

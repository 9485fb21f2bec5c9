//! Second factors whose codes are sent: by e-mail, or by text message.

pub mod confirm;
pub(crate) mod send;
pub mod set_up;

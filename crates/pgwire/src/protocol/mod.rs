//! Messages of the protocol, as bytes. Nothing here believes a length or a count that a client states: what is not there is
//! [`Malformed`](frontend::Malformed).

pub(crate) mod backend;
pub(crate) mod frontend;
pub(crate) mod incoming;
pub(crate) mod problem;

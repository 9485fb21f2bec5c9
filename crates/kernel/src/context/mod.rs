//! What every use case is given: the kernel, a unit of work, and what features register with the kernel. These name one
//! another; nothing else is in here.

pub mod hooks;
pub(crate) mod kernel;
pub(crate) mod pruning;
pub mod work;

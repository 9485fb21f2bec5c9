//! What every use case is given: the kernel, a unit of work, and the hooks of the features. The three name one another.

pub mod hooks;
pub(crate) mod kernel;
pub mod work;

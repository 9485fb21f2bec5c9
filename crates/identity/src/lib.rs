//! Accounts and how they are reached: one use case a file, each the same for every contract.
//!
//! A use case takes parsed input, works through one unit of work, and answers with domain types. Time and chance come
//! from the kernel; what differs between contracts from the caller's [`tidegate_kernel::Call::profile`].

pub mod access_tokens;
pub mod accounts;
pub mod credentials;
pub mod databases;
mod hooks;
pub mod identity;
mod maintenance;
pub mod operator;
pub mod organizations;
mod overview_cache;
pub mod provisioning;
pub mod recovery;
pub mod sessions;
pub mod sign_in;
pub mod social;
mod start;
pub mod tables;
pub(crate) mod work;

pub use identity::Identity;
pub use tables::{IdentityTables, MIGRATIONS};
pub use work::NoAccess;

//! What every feature needs: the caller and their session, tokens, rate limits, the audit log, the outbox, caches, and
//! the unit of work.
//!
//! Features do not see one another. What must cross (an account is deleted, somebody signed in) goes through the hooks
//! they register here: see [`hooks`]. What they no longer need is removed by the functions they register: see
//! [`maintenance`].

pub mod admission;
pub mod authenticate;
pub mod cache;
mod caller;
pub mod changes;
mod context;
pub mod deliver;
pub mod fault;
pub mod issue;
pub mod maintenance;
pub mod message;
mod node;
pub mod settings;
pub mod signing_keys;
pub mod sms_receipts;
pub mod tables;
pub mod throttle;
pub mod wrong_codes;

pub use authenticate::{Actor, AuthError};
pub use caller::call::{self, Call, Causer};
pub use caller::grant::{self, Grant};
pub use context::hooks;
pub use context::kernel::{Kernel, Parts};
pub use context::work::{self, Work};
pub use fault::{Fault, Outcome, Refused};
pub use issue::{SignedIn, TokenSet};
pub use settings::Settings;
pub use tables::{KernelTables, MIGRATIONS};

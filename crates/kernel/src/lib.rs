//! What every feature needs: the caller and their session, tokens, rate limits, the audit log, the outbox, caches, and
//! the unit of work.
//!
//! Features do not see one another. What must cross (an account is deleted, somebody signed in) goes through the hooks
//! they register here: see [`hooks`]. What they no longer need is removed by the functions they register: see
//! [`maintenance`].

pub mod admission;
pub mod authenticate;
pub mod cache;
pub mod call;
pub mod changes;
pub mod deliver;
pub mod fault;
pub mod grant;
pub mod hooks;
pub mod issue;
pub mod kernel;
pub mod maintenance;
pub mod message;
pub(crate) mod meter;
pub mod settings;
pub mod signing_keys;
pub mod sms_receipts;
pub mod tables;
pub mod throttle;
pub mod work;
pub mod wrong_codes;

pub use authenticate::{Actor, AuthError};
pub use call::{Call, Causer};
pub use fault::{Fault, Outcome, Refused};
pub use grant::Grant;
pub use issue::{SignedIn, TokenSet};
pub use kernel::{Kernel, Parts};
pub use settings::Settings;
pub use tables::{KernelTables, MIGRATIONS};
pub use work::Work;

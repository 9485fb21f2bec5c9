//! What every feature needs: the caller and their session, tokens, rate limits, the audit log, the outbox, caches, and
//! the unit of work.
//!
//! Features do not see one another. What must cross (an account is deleted, a sign-in succeeded) goes through the hooks
//! they register here: see [`hooks`]. What they no longer need is removed by the functions they register: see
//! [`maintenance`]. What they do in the background are jobs: see [`jobs`].
//!
//! Its files are in layers, each importing the ones before it:
//! 1. `fault`, `settings`, `cache`, `changes`, `tables`, and of `jobs` what a job is and its rows: words and rows;
//! 2. `caller`: who is calling and what they may do; `node`: what one node keeps in memory;
//! 3. `context`: the kernel, a unit of work, hooks: what every use case is given;
//! 4. the other files: what is done with it, as `impl Kernel` and `impl Work`.

pub mod admission;
mod audit;
pub mod authenticate;
pub mod cache;
mod caller;
pub mod changes;
mod context;
mod counted;
pub mod counted_client;
pub mod counted_factor;
pub mod delegate;
pub mod deliver;
pub mod dpop;
pub(crate) mod exchange;
pub mod exchanged;
pub mod fault;
pub mod issue;
pub mod jobs;
pub mod kept_out;
pub mod last_line;
mod last_used;
pub mod limit_key;
pub mod lockout;
mod logout;
pub mod maintenance;
pub mod message;
mod message_counts;
mod node;
pub mod noted;
pub mod one_time;
mod own_jobs;
mod public_url;
pub mod refresh;
mod request_limits;
pub mod reserved;
pub mod settings;
pub mod signing_keys;
pub mod sms_receipts;
pub mod tables;
pub mod throttle;
mod token_uses;
pub mod wrong_codes;

pub use authenticate::AuthError;
pub use caller::actor::{Actor, NotAdmitted};
pub use caller::call::{self, Call, Causer};
pub use caller::grant::{self, Grant};
pub use caller::reader::{Member, Reader};
pub use context::hooks;
pub use context::kernel::{Kernel, Parts};
pub use context::work::{self, Work};
pub use fault::{Fault, Outcome, Refused};
pub use issue::{SignedIn, TokenSet};
pub use node::counted_message::CountedMessage;
pub use node::readiness::NotReady;
pub use node::together::Together;
pub use settings::Settings;
pub use tables::{KernelTables, MIGRATIONS};

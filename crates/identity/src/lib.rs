//! What Tidegate does: one use case a file, each the same for every contract.
//!
//! A use case takes parsed input, works through one unit of work, and answers with domain types. Time and chance come
//! from [`Identity`]; what differs between contracts from the caller's [`Call::profile`].

pub mod accounts;
pub mod brokerage;
pub mod credentials;
pub mod databases;
pub mod kernel;
pub mod organizations;
pub mod provisioning;
pub mod recovery;
pub mod sessions;
pub mod sign_in;

pub use kernel::authenticate::{Actor, AuthError};
pub use kernel::call::Call;
pub use kernel::fault::{Fault, Outcome, Refused};
pub use kernel::issue::{SignedIn, TokenSet};
pub use kernel::service::{BrokerChoice, Identity, Parts};
pub use kernel::settings::Settings;

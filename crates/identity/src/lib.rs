//! What Tidegate does: one use case a file, each the same for every contract.
//!
//! A use case takes parsed input, works through one unit of work, and answers with domain types. Time and chance come
//! from [`Identity`]; what differs between contracts from the caller's [`Call::profile`].

pub mod activate;
pub mod authenticate;
pub mod bind;
pub mod brokerage;
mod cache;
pub mod call;
mod challenge;
pub mod change_account;
pub mod change_password;
pub mod confirm_code;
pub mod confirm_email_change;
pub mod confirm_link;
pub mod continue_session;
pub mod create_account;
pub mod databases;
pub mod deliver;
pub mod end_session;
pub mod fault;
pub mod forgot_password;
mod issue;
pub mod list_accounts;
pub mod list_sessions;
pub mod maintenance;
mod message;
pub mod metadata;
mod meter;
pub mod overview;
mod people;
pub mod provision;
pub mod redirect;
pub mod refresh;
pub mod request_email_change;
pub mod resend_code;
pub mod reset_password;
pub mod resolve_session;
mod sandbox_shelf;
pub mod service;
pub mod service_keys;
pub mod settings;
pub mod sign_in;
pub mod sign_in_history;
pub mod sign_out;
pub mod sign_up;
pub mod signing_keys;
mod throttle;
pub mod transfer_ownership;
pub mod update_profile;
mod work;

pub use authenticate::{Actor, AuthError};
pub use call::Call;
pub use fault::{Fault, Outcome, Refused};
pub use issue::{SignedIn, TokenSet};
pub use service::{BrokerChoice, Identity, Parts};
pub use settings::Settings;

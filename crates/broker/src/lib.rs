//! Brokerage accounts: opened at Alpaca's Broker API, or in a sandbox that needs no network.
//!
//! No code here uses the store, the clock or randomness. Callers use a [`Broker`] and cannot
//! tell the two apart. An account is opened for good and costs the applicant an e-mail address: an opening that failed is
//! never repeated before [`BrokerError::may_have_taken_effect`] says that it had no took_effect, or a lookup
//! by e-mail finds nothing.

mod account;
mod alpaca;
mod application;
mod error;
mod event;
mod provider;
mod retry;
pub mod sandbox;
mod sse;
mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use account::{Account, Amount, KycResults, TradingAccount};
pub use alpaca::{Alpaca, AlpacaConfig, AlpacaSecret, ConfigError, Environment, EventStream};
pub use application::{
    Agreement, Application, Contact, Disclosures, Document, DocumentContent, Identity, is_tax_number,
};
pub use error::{BrokerError, Refusal, TookEffect, Trouble};
pub use event::AccountEvent;
pub use provider::{Broker, Events};
pub use retry::{RetryPolicy, Sleep, Wait};
pub use sandbox::Sandbox;
pub use status::{AccountStatus, LocalStatus};

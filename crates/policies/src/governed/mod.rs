//! What policies let somebody see: the way in for whoever runs queries.

pub mod fit;
pub mod governance;
mod hash_key;
pub(crate) mod load;
pub mod person;

pub use governance::Governance;

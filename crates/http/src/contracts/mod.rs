//! The contracts: a folder each, which translates the wire into use cases and their outcomes into answers, and holds no
//! rule. Which of them are served is decided by the registry.

mod common_error;
mod contract;
pub(crate) mod crossing_minds;
pub(crate) mod ingestiq;
pub(crate) mod riven;
pub(crate) mod rivergen;

pub(crate) use contract::{CommonAnswers, routes_of, unknown_of};
pub use contract::{Configuration, Contract, Mount, UnknownPaths};

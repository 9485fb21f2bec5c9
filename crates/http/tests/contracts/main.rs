//! The contracts, endpoint by endpoint, against the whole application in process, on both engines.

mod bad_input;
mod cross_contract;
mod documents;
mod ingestiq;
mod pages;
mod races;
mod rivergen;
mod secrets;
mod timing;

//! The contracts, endpoint by endpoint, against the whole application in process, on both engines.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "test code: a broken expectation ends the test"
)]

mod admission;
mod attacks;
mod bad_input;
mod beyond;
mod clients;
mod cross_contract;
mod crossing_minds;
mod documents;
mod forge;
mod hashing;
mod ingestiq;
mod matrix;
mod oauth;
mod origins;
mod pages;
mod permissions;
mod races;
mod riven;
mod rivergen;
mod routes;
mod second_factor;
mod secrets;
mod tenants;
mod timing;
mod watch;

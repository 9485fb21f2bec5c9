//! Sign-in by other identity providers: it begins here, goes on at the provider, and comes back with a code.
//!
//! No request to a provider is made inside a unit of work: one unit takes the request that was begun, then the provider is asked, and
//! another unit opens the session.

pub mod accounts_repository;
pub mod begin;
pub mod carried;
pub(crate) mod connect;
pub mod error;
pub mod finish;
pub(crate) mod hooks;
pub(crate) mod join;
pub mod list;
pub(crate) mod open;
pub mod outcome;
pub mod requests_repository;

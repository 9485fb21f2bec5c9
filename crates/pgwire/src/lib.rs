//! Governed data over PostgreSQL's wire protocol (version 3), for `psql`, drivers and reporting tools.
//!
//! A person signs in with their e-mail address and a personal access token. Their statements go where `POST /api/v1/queries/execute` goes:
//! [`tidegate_prompts::Prompts`] accepts each as an execution and hands on its rows; this crate reads no data source and knows no engine.
//! What clients ask of `pg_catalog` and `information_schema` is answered from the names, types and keys that the person may see, which
//! [`listing`] keeps in memory for one statement.
//!
//! Its folders are in layers, each importing the ones before it: `protocol` (bytes and messages), `values` (types and their formats),
//! `listing` (catalogs), `session` (a connection).

mod cancel;
mod failures;
mod listing;
mod protocol;
mod seats;
mod session;
mod settings;
mod tls;
mod values;
mod words;

pub use session::server::{Metrics, Wire};
pub use settings::PgwireSettings;
pub use tls::{TlsProblem, acceptor_of, untimely};

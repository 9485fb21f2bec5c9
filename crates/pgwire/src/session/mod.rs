//! A connection, from its first message to its end.

mod answer;
mod beginning;
mod connection;
mod database;
mod extended;
mod opening;
pub(crate) mod server;
mod settings;
mod sign_in;
mod simple;

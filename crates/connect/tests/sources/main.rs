//! Every driver against the real thing, where there is one.
#![expect(clippy::disallowed_methods, reason = "these tests start the servers they ask")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken expectation ends the test"
)]

mod bigquery;
mod buckets;
mod cassandra;
mod cells;
mod databases;
mod emulators;
mod files;
mod http;
mod kafka;
mod mariadb;
mod misbehaving;
mod mongodb;
mod narrowed;
mod oauth;
mod others;
mod parquets;
mod places;
mod postgres;
mod pubsub;
mod redis;
mod servers;
mod snowflake;
mod sqlite;
mod ssh;
mod statements;
mod stubs;
mod tds;
mod tls;
mod vendors;
mod windows;
mod workbooks;
mod xlsb;

//! The program as people and scripts use it: started, told to stop, given command lines.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken expectation ends the test"
)]

mod beginning;
mod charts;
mod clients;
mod configuration;
mod connections;
mod copies;
mod crossing_minds;
mod damage;
mod databases;
mod doctor;
mod factors;
mod files;
mod fitness;
mod generated;
mod guards;
mod guides;
mod help;
mod http2;
mod jobs;
mod json;
mod keys;
mod limits;
mod logs;
mod member;
mod memory;
mod migrate;
mod mistakes;
mod moved;
mod newcomers;
mod oauth;
mod organizations;
mod outbox;
mod poolers;
mod postgres;
mod queries;
mod readme;
mod riven;
mod serve;
mod sockets;
mod sources;
mod stopping;
mod storage;
mod stores;
mod support;
mod tokens;
mod transfer;
mod tunnels;
mod users;

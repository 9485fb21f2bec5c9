//! Background work: done once in the whole installation, again when it fails, and by another node when its own dies.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a broken expectation ends the test"
)]

mod enqueue;
mod lease;
mod retry;
mod runner;
mod schedule;
mod shop;

//! What a policy means, by the numbers of the design: written as an administrator would write it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken expectation ends the test"
)]

mod meaning;
mod properties;
mod written;

//! Background work: done once in the whole installation, again when it fails, and by another node when its own dies.

mod enqueue;
mod lease;
mod retry;
mod runner;
mod schedule;
mod shop;

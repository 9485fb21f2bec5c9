//! Prompt Studio and queries: section 5 of the platform's contract, and its extensions.

mod analytics;
mod bad_input;
mod ended;
mod executions;
mod governed;
mod history;
mod injection;
mod languages;
mod line;
mod models;
mod queries;
mod questions;
mod recorded;
mod remembered;
mod script;
mod secrecy;
mod streaming;
mod sums;
mod templates;
mod times;
mod under_way;

//! Prompt Studio: questions in words and queries in SQL over governed data sources, what became of each, templates, and analytics.
//!
//! A question becomes SQL by a [`ports::Planner`] or by a model ([`models`]), and runs through [`ports::Queries`], which governs it for
//! the person who asks: nothing in this crate reads a row in any other way, and none of it knows the engine. What runs is an
//! [`executions`] row from the moment it is accepted.

pub mod analytics;
pub mod executions;
pub mod hooks;
mod maintenance;
pub mod models;
pub mod ports;
pub mod prompts;
pub mod records;
pub mod refusal;
mod removal;
pub mod settings;
mod start;
pub mod tables;
pub mod templates;
pub(crate) mod work;

pub use prompts::Prompts;
pub use refusal::PromptRefusal;
pub use settings::PromptSettings;
pub use tables::{MIGRATIONS, PromptTables};

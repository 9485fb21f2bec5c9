//! Saved questions: listed, changed, deleted, and their history.

pub mod change;
pub mod history;
pub mod list;
pub mod prompt;
pub(crate) mod repository;

pub use prompt::Prompt;

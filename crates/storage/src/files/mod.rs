//! Files: a file per use case, rules and rows beside them.

pub mod content;
pub mod download;
pub mod file;
pub mod find;
pub mod folder;
pub mod list;
pub mod name;
pub mod reach;
pub mod remove;
pub(crate) mod repository;
pub mod signed_url;
pub mod upload;

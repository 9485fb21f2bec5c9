//! Files that people upload: whose they are, what they may be, and how much an organization keeps.
//!
//! A file has a row and an object. The row comes first and reserves the bytes, then the object appears as a whole under its key, then
//! the row says so; removing goes the other way. Whatever is cut off in between, a job finishes or takes back: no file is lost that
//! was acknowledged, and what an organization keeps is counted right. See `docs/adr/0015-storage.md`.

mod fault;
pub mod files;
mod hooks;
pub mod quota;
mod settings;
mod start;
mod storage;
pub mod tables;
mod upkeep;
pub(crate) mod work;

pub use settings::StorageLimits;
pub use storage::{ReadingSource, SourcesOfFiles, Storage};
pub use tables::{MIGRATIONS, StorageTables};
pub use tidegate_objects::{Condition, Objects, Staged};

//! The feature's tables.

use tidegate_database::{Migration, Unit};

use crate::files::repository::Files;
use crate::quota::repository::StorageUsage;

/// The feature's part of the schema. Only ever appended to.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 21, name: "storage", text: include_str!("../migrations/0021_storage.sql") }];

/// The feature's repositories of a unit of work.
pub trait StorageTables {
    /// Files.
    fn files(&mut self) -> Files<'_>;

    /// How much organizations keep.
    fn storage_usage(&mut self) -> StorageUsage<'_>;
}

impl StorageTables for Unit {
    fn files(&mut self) -> Files<'_> {
        Files(self)
    }

    fn storage_usage(&mut self) -> StorageUsage<'_> {
        StorageUsage(self)
    }
}

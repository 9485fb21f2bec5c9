//! The feature's tables.

use tidegate_database::{Migration, Unit};

use crate::life::checks_repository::Checks;
use crate::schemas::repository::Schemas;
use crate::sources::repository::Sources;

/// The feature's part of the schema. Only ever appended to.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 22,
    name: "data sources",
    text: include_str!("../migrations/0022_data_sources.sql"),
}];

/// The feature's repositories of a unit of work.
pub trait CatalogTables {
    /// Data sources.
    fn data_sources(&mut self) -> Sources<'_>;

    /// Their tests.
    fn data_source_checks(&mut self) -> Checks<'_>;

    /// Their schemas.
    fn data_schemas(&mut self) -> Schemas<'_>;
}

impl CatalogTables for Unit {
    fn data_sources(&mut self) -> Sources<'_> {
        Sources(self)
    }

    fn data_source_checks(&mut self) -> Checks<'_> {
        Checks(self)
    }

    fn data_schemas(&mut self) -> Schemas<'_> {
        Schemas(self)
    }
}

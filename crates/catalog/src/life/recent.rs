//! What queries read of data sources, remembered for a moment: each asks several times for the same.

use std::sync::Arc;
use std::time::Duration;

use tidegate_domain::Timestamp;
use tidegate_kernel::Fault;
use tidegate_kernel::cache::{MAX_AGE, ReadCache};
use uuid::Uuid;

use crate::schemas::repository::{SchemaSummary, StoredTable};
use crate::sources::DataSource;
use crate::sources::access::Viewer;
use crate::{Catalog, CatalogTables};

/// Data sources that are remembered, each as often as there are people who ask it.
const SOURCES: usize = 1_024;
/// Most schemas of one of these.
const MOST_SCHEMAS: usize = 100;
/// Schemas whose tables are remembered.
const SCHEMAS: usize = 256;
/// Most tables and columns of one of these: larger ones are read page by page, and forgotten.
const MOST_TABLES: i64 = 50;
const MOST_COLUMNS: i64 = 500;

/// A data source, with what was discovered of it.
pub(crate) struct KnownSource {
    pub(crate) source: DataSource,
    pub(crate) schemas: Vec<SchemaSummary>,
}

impl KnownSource {
    /// When it was discovered last, or a schema of it.
    pub(crate) fn discovered_at(&self) -> Option<Timestamp> {
        let schemas = self.schemas.iter().map(|schema| schema.discovered_at).max();
        self.source.schema_discovered_at.max(schemas)
    }
}

/// What was read lately.
pub(crate) struct Recent {
    /// None where somebody sees no such source.
    sources: ReadCache<(Viewer, i64), Option<Arc<KnownSource>>>,
    /// By their discovery and their schema. A discovery adds its tables before it takes the place of another one; afterwards they do not change.
    tables: ReadCache<(Uuid, String), Arc<Vec<StoredTable>>>,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self { sources: ReadCache::new(SOURCES), tables: ReadCache::new(SCHEMAS) }
    }
}

impl Catalog {
    /// The data source of that number, if the viewer sees it: at most two seconds old, and at once as it was changed on this node. Whatever
    /// changes a membership notes a change of its account.
    pub(crate) async fn known_source(
        &self,
        viewer: Viewer,
        number: i64,
    ) -> Result<Option<Arc<KnownSource>>, Fault> {
        let key = (viewer, number);
        let stamp = self.kernel.stamp(&[viewer.account.0, viewer.organization.0]);
        let now = self.kernel.now();
        if let Some(known) = self.recent.sources.get(&key, stamp, now, MAX_AGE) {
            return Ok(known);
        }
        let mut unit = self.kernel.store.read().await?;
        let known = match unit.data_sources().seen(viewer, number).await? {
            Some(source) => {
                let schemas = unit.data_schemas().of(source.id, None).await?;
                Some(Arc::new(KnownSource { source, schemas }))
            }
            None => None,
        };
        if known.as_ref().is_none_or(|known| known.schemas.len() <= MOST_SCHEMAS) {
            self.recent.sources.put(key, known.clone(), stamp, now);
        }
        Ok(known)
    }

    /// All tables of a schema that has few; none where it has more.
    pub(crate) async fn few_tables(
        &self,
        schema: &SchemaSummary,
    ) -> Result<Option<Arc<Vec<StoredTable>>>, Fault> {
        if schema.tables.saturating_add(schema.views) > MOST_TABLES || schema.columns > MOST_COLUMNS {
            return Ok(None);
        }
        let key = (schema.generation, schema.name.clone());
        let (stamp, now) = (self.kernel.stamp(&[]), self.kernel.now());
        if let Some(tables) = self.recent.tables.get(&key, stamp, now, Duration::MAX) {
            return Ok(Some(tables));
        }
        let mut unit = self.kernel.store.read().await?;
        let tables = unit.data_schemas().tables(schema, None, -1, MOST_TABLES + 1).await?;
        let columns: usize = tables.iter().map(|table| table.columns.len()).sum();
        let are_few = i64::try_from(tables.len()).is_ok_and(|count| count <= MOST_TABLES)
            && i64::try_from(columns).is_ok_and(|count| count <= MOST_COLUMNS);
        if !are_few {
            return Ok(None);
        }
        let tables = Arc::new(tables);
        self.recent.tables.put(key, Arc::clone(&tables), stamp, now);
        Ok(Some(tables))
    }
}

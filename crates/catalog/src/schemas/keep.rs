//! What a discovery finds is kept as it comes: no more than a few of its tables are in memory at once.

use std::collections::HashSet;
use std::mem;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_connect::{ErrorCode, Finds, SourceError, Table, TableKind};
use tidegate_domain::Timestamp;
use tidegate_domain::id::DataSourceId;
use tidegate_kernel::fault::Fault;
use uuid::Uuid;

use super::discover::Failure;
use super::repository::SchemaSummary;
use super::stored::{NewTable, kept_name};
use crate::{Catalog, CatalogTables};

/// Most tables of a source that are kept.
const MAX_TABLES: usize = 100_000;
/// Tables that are written in one unit of work.
const TABLES_AT_ONCE: usize = 256;

/// Writes the tables of a discovery beside those of the last one, a few in a unit of work.
pub(super) struct Keeper<'c> {
    catalog: &'c Catalog,
    source: DataSourceId,
    generation: Uuid,
    /// Whether there is a row of it.
    has_begun: bool,
    /// The schemas that are kept, in the order in which they came.
    schemas: Vec<SchemaSummary>,
    names: HashSet<String>,
    /// Schemas and tables that came, those that are not kept as well.
    seen: (usize, usize),
    /// Whether what comes is of the last one of the schemas.
    is_kept: bool,
    /// Where the next table stands in its schema.
    place: i64,
    few: Vec<NewTable>,
    /// Why no more is kept.
    failure: Option<Failure>,
    /// Whether something is being written. It is still where whoever hands on was cut off in the middle of that.
    is_writing: bool,
}

impl<'c> Keeper<'c> {
    pub(super) fn new(catalog: &'c Catalog, source: DataSourceId) -> Self {
        Self {
            catalog,
            source,
            generation: catalog.kernel.new_uuid(),
            has_begun: false,
            schemas: Vec::new(),
            names: HashSet::new(),
            seen: (0, 0),
            is_kept: false,
            place: 0,
            few: Vec::new(),
            failure: None,
            is_writing: false,
        }
    }

    /// Whether it stopped, or a time ended while it was writing: what the source answers says nothing then.
    pub(super) fn has_failed(&self) -> bool {
        self.is_writing || self.failure.is_some()
    }

    /// Why, where it did.
    pub(super) fn failure(&mut self) -> Option<Failure> {
        let cut_off =
            || Failure::Fault("the time for a discovery ended while its tables were written".to_owned());
        self.failure.take().or_else(|| self.is_writing.then(cut_off))
    }

    /// Writes what is left. Answers what the tables are written under, when, and their schemas by their names.
    pub(super) async fn finish(
        &mut self,
        duration_ms: i64,
    ) -> Result<(Uuid, Timestamp, Vec<SchemaSummary>), Failure> {
        self.write().await?;
        self.begin().await?;
        let now = self.catalog.kernel.now();
        for schema in &mut self.schemas {
            (schema.discovered_at, schema.duration_ms) = (now, duration_ms);
        }
        self.schemas.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((self.generation, now, mem::take(&mut self.schemas)))
    }

    /// Has what was written removed soon. If that cannot be said now, it goes later, as of a discovery that nobody finished.
    pub(super) async fn give_up(&self) {
        if let Err(error) = self.retire().await {
            tracing::warn!(%error, "tables of a discovery that failed stay for a while");
        }
    }

    async fn retire(&self) -> Result<(), Fault> {
        if !self.has_begun {
            return Ok(());
        }
        let kernel = &self.catalog.kernel;
        let mut unit = kernel.store.begin().await?;
        unit.data_schemas().give_up(self.generation, kernel.now()).await?;
        Ok(unit.commit().await?)
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        if self.has_begun {
            return Ok(());
        }
        let kernel = &self.catalog.kernel;
        let mut unit = kernel.store.begin().await.map_err(Fault::from)?;
        unit.data_schemas().begin(self.generation, self.source, kernel.now()).await.map_err(Fault::from)?;
        unit.commit().await.map_err(Fault::from)?;
        self.has_begun = true;
        Ok(())
    }

    async fn add_schema(&mut self, name: &str) -> Result<(), Failure> {
        self.write().await?;
        self.seen.0 += 1;
        self.admit()?;
        let name = kept_name(name);
        // Two that are called the same once they are cut, or by a source that lies, are one.
        self.is_kept = self.names.insert(name.clone());
        if !self.is_kept {
            return Ok(());
        }
        // Of a source that does not answer, nothing is written.
        self.begin().await?;
        self.place = 0;
        self.schemas.push(SchemaSummary {
            name,
            tables: 0,
            views: 0,
            columns: 0,
            discovered_at: self.catalog.kernel.now(),
            duration_ms: 0,
            generation: self.generation,
        });
        Ok(())
    }

    async fn add_table(&mut self, table: Table) -> Result<(), Failure> {
        self.seen.1 += 1;
        self.admit()?;
        let Some(schema) = self.schemas.last_mut().filter(|_| self.is_kept) else { return Ok(()) };
        match table.kind {
            TableKind::View => schema.views += 1,
            TableKind::BaseTable | TableKind::Collection | TableKind::File => schema.tables += 1,
        }
        let columns = i64::try_from(table.columns.len()).unwrap_or(i64::MAX);
        schema.columns = schema.columns.saturating_add(columns);
        self.few.push(NewTable::new(self.place, table).map_err(Fault::from)?);
        self.place += 1;
        if self.few.len() >= TABLES_AT_ONCE {
            self.write().await?;
        }
        Ok(())
    }

    fn admit(&self) -> Result<(), Failure> {
        let (schemas, tables) = self.seen;
        // A schema without tables costs a row, too.
        if tables.max(schemas) <= MAX_TABLES {
            return Ok(());
        }
        let text =
            format!("The data source has more than {MAX_TABLES} tables; discover its schemas one by one.");
        Err(Failure::Source(SourceError::new(ErrorCode::Query, text)))
    }

    /// Writes the tables that wait, all of them of the last schema.
    async fn write(&mut self) -> Result<(), Failure> {
        let Some(schema) = self.schemas.last().filter(|_| !self.few.is_empty()) else { return Ok(()) };
        let mut unit = self.catalog.kernel.store.begin().await.map_err(Fault::from)?;
        unit.data_schemas().add(self.generation, &schema.name, &self.few).await.map_err(Fault::from)?;
        unit.commit().await.map_err(Fault::from)?;
        self.few.clear();
        Ok(())
    }

    /// Has the source stop where something is not kept.
    fn told(&mut self, kept: Result<(), Failure>) -> Result<(), SourceError> {
        self.is_writing = false;
        kept.map_err(|failure| {
            self.failure = Some(failure);
            SourceError::new(ErrorCode::Query, "What was discovered could not be kept.")
        })
    }
}

impl Finds for Keeper<'_> {
    fn schema(&mut self, name: String) -> BoxFuture<'_, Result<(), SourceError>> {
        async move {
            self.is_writing = true;
            let kept = self.add_schema(&name).await;
            self.told(kept)
        }
        .boxed()
    }

    fn table(&mut self, table: Table) -> BoxFuture<'_, Result<(), SourceError>> {
        async move {
            self.is_writing = true;
            let kept = self.add_table(table).await;
            self.told(kept)
        }
        .boxed()
    }
}

//! What was discovered is read, page by page: ten thousand tables are never in memory at once.

use std::sync::Arc;

use tidegate_connect::TableKind;
use tidegate_database::Unit;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome};
use tidegate_kernel::{Actor, Grant, Reader};

use crate::hooks::TableView;
use crate::sources::access::Viewer;
use crate::sources::find::seen_by;
use crate::sources::{DataSource, SourceRefusal};
use crate::{Catalog, CatalogTables};

pub use super::repository::{SchemaSummary, StoredTable};
pub use super::stored::StoredColumn;

/// Tables that are read at a time.
const TABLES_AT_ONCE: i64 = 100;
/// Most tables of which it is told that policies do not fit them.
const MOST_MISFITS: usize = 200;

/// Which tables are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of the schema of that name.
    pub schema: Option<String>,
    /// Of that name.
    pub table: Option<String>,
}

/// What is known of a source's tables.
pub struct KnownSchemas {
    /// The source's number.
    pub number: i64,
    /// When they were discovered; none when they never were.
    pub discovered_at: Option<Timestamp>,
    /// Whether numbers of rows may be told: not to whom policies hide rows.
    pub counts_rows: bool,
    /// The schemas.
    pub schemas: Vec<SchemaSummary>,
    pages: Pages,
}

/// Reads tables.
#[derive(Clone)]
pub struct Pages {
    catalog: Arc<Catalog>,
    table: Option<String>,
    /// What may be known of them; none where that is everything.
    view: Option<Arc<dyn TableView>>,
}

impl Catalog {
    /// What is known of the tables of a data source of the caller's organization. The tables themselves are read with
    /// [`KnownSchemas::pages`].
    ///
    /// Source: RiverGen "data-sources/{data_source_id}/schemas".
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`].
    pub async fn data_source_schemas(
        self: &Arc<Self>,
        actor: &Actor,
        number: i64,
        wanted: Wanted,
    ) -> Outcome<KnownSchemas, SourceRefusal> {
        let (unit, grant) = self.read_as(actor, Permission::ReadDataSources).await?;
        let viewer = Viewer::of(grant);
        let (source, mut known) = self.known_schemas(unit, viewer, number, wanted).await?;
        known.counts_rows = !self.governs_for(viewer, &source).await?;
        known.pages.view = self.view(grant, &source).await?;
        if known.hides_tables() {
            // That of a schema of which they see nothing would tell that there is one.
            known.discovered_at = source.schema_discovered_at;
        }
        Ok(known)
    }

    /// The same for a query, whose token may read rows and nothing of how a data source is reached. All tables: the query decides what is seen.
    /// Whether numbers of rows may be told is not asked: a query tells none.
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`].
    pub async fn schemas_to_query(
        self: &Arc<Self>,
        reader: &Reader,
        number: i64,
    ) -> Outcome<KnownSchemas, SourceRefusal> {
        let known = self.source_for(reader, number).await?;
        Ok(self.schemas_of(&known.source, known.schemas.clone(), None))
    }

    /// Schemas that were discovered, with counts of the tables and columns that somebody may know of; without those in which that is none, as
    /// where tables are listed.
    pub(super) async fn counted(
        self: &Arc<Self>,
        schemas: Vec<SchemaSummary>,
        view: Arc<dyn TableView>,
    ) -> Result<Vec<SchemaSummary>, Fault> {
        let pages = Pages { catalog: Arc::clone(self), table: None, view: Some(view) };
        let mut counted = Vec::new();
        for schema in schemas {
            let (mut seen, mut last) = (SchemaSummary { tables: 0, views: 0, columns: 0, ..schema }, None);
            loop {
                let tables = pages.next(&seen, last).await?;
                let Some(end) = tables.last().map(|table| table.place) else { break };
                for table in &tables {
                    let counter = if table.kind == TableKind::View.as_str() {
                        &mut seen.views
                    } else {
                        &mut seen.tables
                    };
                    *counter += 1;
                    seen.columns += i64::try_from(table.columns.len()).unwrap_or(i64::MAX);
                }
                last = Some(end);
            }
            if last.is_some() {
                counted.push(seen);
            }
        }
        Ok(counted)
    }

    /// Which policies do not fit discovered tables, for those who write policies: others are told of no policy.
    pub(super) async fn misfits(
        self: &Arc<Self>,
        grant: &Grant,
        source: &DataSource,
        schemas: &[SchemaSummary],
    ) -> Result<Vec<String>, Fault> {
        let governance = self.governance.get().filter(|_| grant.allows(Permission::ManagePolicies));
        let Some(governance) = governance else { return Ok(Vec::new()) };
        let Some(fit) = governance.fit(grant.organization(), source.into()).await? else {
            return Ok(Vec::new());
        };
        let pages = Pages { catalog: Arc::clone(self), table: None, view: None };
        let mut told = Vec::new();
        for schema in schemas {
            let mut last = None;
            while told.len() < MOST_MISFITS {
                let tables = pages.next(schema, last).await?;
                told.extend(tables.iter().flat_map(|table| fit.misfits(&schema.name, table)));
                last = tables.last().map(|table| table.place);
                if pages.ends(&tables) || last.is_none() {
                    break;
                }
            }
        }
        told.truncate(MOST_MISFITS);
        Ok(told)
    }

    async fn known_schemas(
        self: &Arc<Self>,
        mut unit: Unit,
        viewer: Viewer,
        number: i64,
        wanted: Wanted,
    ) -> Outcome<(DataSource, KnownSchemas), SourceRefusal> {
        let source = seen_by(&mut unit, viewer, number).await?;
        let schemas = unit.data_schemas().of(source.id, wanted.schema.as_deref()).await?;
        let known = self.schemas_of(&source, schemas, wanted.table);
        Ok((source, known))
    }

    fn schemas_of(
        self: &Arc<Self>,
        source: &DataSource,
        schemas: Vec<SchemaSummary>,
        table: Option<String>,
    ) -> KnownSchemas {
        let newest = schemas.iter().map(|schema| schema.discovered_at).max();
        KnownSchemas {
            number: source.number,
            // One schema may have been discovered by itself, before all of them or after.
            discovered_at: source.schema_discovered_at.max(newest),
            counts_rows: false,
            schemas,
            pages: Pages { catalog: Arc::clone(self), table, view: None },
        }
    }
}

impl KnownSchemas {
    /// What reads the tables.
    pub fn pages(&self) -> Pages {
        self.pages.clone()
    }

    /// Whether tables may be hidden: then a schema without any shown is none.
    pub fn hides_tables(&self) -> bool {
        self.pages.view.is_some()
    }
}

impl Pages {
    /// Whether no more tables follow these, as far as that is known without looking.
    pub fn ends(&self, tables: &[StoredTable]) -> bool {
        // Of a full page some may have been left out.
        self.view.is_none() && i64::try_from(tables.len()).is_ok_and(|count| count < TABLES_AT_ONCE)
    }

    /// The next tables of a schema, those beyond the place of the last one; empty when there are none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn next(&self, schema: &SchemaSummary, last: Option<i64>) -> Result<Vec<StoredTable>, Fault> {
        let are_all = last.is_none() && self.table.is_none() && self.view.is_none();
        if are_all && let Some(all) = self.catalog.few_tables(schema).await? {
            return Ok(all.as_ref().clone());
        }
        let mut after = last.unwrap_or(-1);
        let name = self.table.as_deref();
        loop {
            let mut unit = self.catalog.kernel.store.read().await?;
            let tables = unit.data_schemas().tables(schema, name, after, TABLES_AT_ONCE).await?;
            let Some(view) = &self.view else { return Ok(tables) };
            let Some(end) = tables.last().map(|table| table.place) else { return Ok(tables) };
            let shown: Vec<_> =
                tables.into_iter().filter_map(|table| view.shown(&schema.name, table)).collect();
            if !shown.is_empty() {
                return Ok(shown);
            }
            after = end;
        }
    }
}

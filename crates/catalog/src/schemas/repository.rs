//! Discovered tables in the store.

use tidegate_database::{
    MOST_ROWS, Result, StoreError, Unit, execute, execute_rows, fetch_all, fetch_optional, prune, rows,
};
use tidegate_domain::Timestamp;
use tidegate_domain::id::DataSourceId;
use tidegate_kernel::changes;
use uuid::Uuid;

use super::discover::Discovery;
use super::stored::{NewTable, StoredColumn};
use crate::sources::DataSource;

/// Discovered tables of a unit of work.
pub struct Schemas<'u>(pub(crate) &'u mut Unit);

/// A schema with what it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaSummary {
    /// As the source calls it.
    pub name: String,
    /// Tables, collections and files in it.
    pub tables: i64,
    /// Views in it.
    pub views: i64,
    /// Columns of all of them.
    pub columns: i64,
    /// When it was discovered.
    pub discovered_at: Timestamp,
    /// How long the discovery took, in milliseconds.
    pub duration_ms: i64,
    pub(crate) generation: Uuid,
}

/// A table as it was discovered.
#[derive(Clone, Debug)]
pub struct StoredTable {
    /// Where it stands among the tables of its schema.
    pub place: i64,
    /// As the source calls it.
    pub name: String,
    /// The contract's `table_type`.
    pub kind: String,
    /// As the source estimates it.
    pub row_count: Option<i64>,
    /// What its owner says of it.
    pub comment: Option<String>,
    /// Its columns; none where they were not asked for.
    pub columns: Vec<StoredColumn>,
}

impl Schemas<'_> {
    /// Begins a discovery's tables.
    pub(super) async fn begin(&mut self, id: Uuid, source: DataSourceId, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "insert into data_generations (id, source_id, created_at) values ($1, $2, $3)",
            id,
            source.0,
            now.micros(),
        )?;
        Ok(())
    }

    /// Adds tables of a schema.
    pub(super) async fn add(&mut self, generation: Uuid, schema: &str, tables: &[NewTable]) -> Result<()> {
        for few in tables.chunks(MOST_ROWS) {
            let sql = rows(
                "insert into data_tables
                    (generation_id, schema_name, place, name, kind, row_count, comment, columns) values",
                0,
                8,
                few.len(),
                "",
            );
            execute_rows!(self.0, sql, [], few, table => [
                generation,
                schema,
                table.place,
                table.name.as_str(),
                table.kind,
                table.row_count,
                table.comment.as_deref(),
                table.columns.as_str(),
            ])?;
        }
        Ok(())
    }

    /// Has a discovery take the place of the last one; of one schema only, if `only` names it. False when the source was changed or
    /// deleted meanwhile.
    pub(super) async fn put(
        &mut self,
        source: &DataSource,
        generation: Uuid,
        found: &Discovery,
        only: Option<&str>,
        next: Option<Timestamp>,
    ) -> Result<bool> {
        let now = found.discovered_at;
        // The first statement, so that two discoveries of a source that end at once come one after the other.
        let changed = execute!(
            self.0,
            "update data_sources set
                schema_discovered_at = case when $6 then $3 else schema_discovered_at end,
                next_discovery_at = case when $6 then $4 else next_discovery_at end,
                queries_succeeded = queries_succeeded + 1, query_micros = query_micros + $5
             where id = $1 and version = $2 and deleted_at is null",
            source.id.0,
            source.version,
            now.micros(),
            next.map(Timestamp::micros),
            found.duration_ms.saturating_mul(1_000),
            // One schema is not all of them: those that are not known yet are discovered when their time comes.
            only.is_none(),
        )?;
        if changed == 0 {
            return Ok(false);
        }
        self.0.note(changes::data_sources(source.organization));
        execute!(
            self.0,
            "delete from data_schemas where source_id = $1 and ($2 is null or name = $2)",
            source.id.0,
            only,
        )?;
        for few in found.schemas.chunks(MOST_ROWS) {
            let sql = rows(
                "insert into data_schemas (source_id, generation_id, name, table_count, view_count, column_count,
                    discovered_at, duration_ms) values",
                0,
                8,
                few.len(),
                "",
            );
            execute_rows!(self.0, sql, [], few, schema => [
                source.id.0,
                generation,
                schema.name.as_str(),
                schema.tables,
                schema.views,
                schema.columns,
                schema.discovered_at.micros(),
                schema.duration_ms,
            ])?;
        }
        self.retire(source.id, now).await?;
        execute!(self.0, "update data_generations set retired_at = null where id = $1", generation)?;
        Ok(true)
    }

    /// Marks tables that no schema of the source has any more.
    async fn retire(&mut self, source: DataSourceId, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update data_generations set retired_at = $2 where source_id = $1 and retired_at is null
                and id not in (select generation_id from data_schemas where source_id = $1)",
            source.0,
            now.micros(),
        )?;
        Ok(())
    }

    /// Marks the tables of a discovery that failed, unless they took the place of others after all.
    pub(super) async fn give_up(&mut self, generation: Uuid, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update data_generations set retired_at = $2
             where id = $1 and id not in (select generation_id from data_schemas)",
            generation,
            now.micros(),
        )?;
        Ok(())
    }

    /// Forgets what was discovered of a source.
    pub(crate) async fn forget(&mut self, source: DataSourceId, now: Timestamp) -> Result<()> {
        execute!(self.0, "delete from data_schemas where source_id = $1", source.0)?;
        self.retire(source, now).await
    }

    /// The schemas of a source, or the one of that name.
    pub(crate) async fn of(
        &mut self,
        source: DataSourceId,
        name: Option<&str>,
    ) -> Result<Vec<SchemaSummary>> {
        let rows = fetch_all!(
            self.0,
            (String, i64, i64, i64, i64, i64, Uuid),
            "select name, table_count, view_count, column_count, discovered_at, duration_ms, generation_id
             from data_schemas where source_id = $1 and ($2 is null or name = $2) order by name",
            source.0,
            name,
        )?;
        let schemas =
            rows.into_iter().map(|(name, tables, views, columns, discovered_at, duration_ms, generation)| {
                SchemaSummary {
                    name,
                    tables,
                    views,
                    columns,
                    discovered_at: Timestamp::from_micros(discovered_at),
                    duration_ms,
                    generation,
                }
            });
        Ok(schemas.collect())
    }

    /// Tables of a schema beyond a place, or the one of that name.
    pub(crate) async fn tables(
        &mut self,
        schema: &SchemaSummary,
        name: Option<&str>,
        after: i64,
        at_most: i64,
    ) -> Result<Vec<StoredTable>> {
        type Row = (i64, String, String, Option<i64>, Option<String>, String);
        let rows = fetch_all!(
            self.0,
            Row,
            "select place, name, kind, row_count, comment, columns from data_tables
             where generation_id = $1 and schema_name = $2 and place > $3 and ($4 is null or name = $4)
             order by place limit $5",
            schema.generation,
            schema.name.as_str(),
            after,
            name,
            at_most,
        )?;
        let tables = rows.into_iter().map(|(place, name, kind, row_count, comment, columns)| {
            let columns =
                serde_json::from_str(&columns).map_err(|_| StoreError::Unreadable("data_tables.columns"))?;
            Ok(StoredTable { place, name, kind, row_count, comment, columns })
        });
        tables.collect()
    }

    /// Removes tables of discoveries that were replaced before `retired`, and of those begun before `unfinished` that nobody ended.
    pub(crate) async fn prune(
        &mut self,
        retired: Timestamp,
        unfinished: Timestamp,
        at_most: i64,
    ) -> Result<u64> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select id from data_generations where (retired_at < $1 or (retired_at is null and created_at < $2))
                and id not in (select generation_id from data_schemas) order by created_at limit 1",
            retired.micros(),
            unfinished.micros(),
        )?;
        let Some((generation,)) = row else { return Ok(0) };
        let removed = prune!(
            self.0,
            "data_tables",
            "generation_id, schema_name, place",
            "where generation_id = $1 limit $2",
            generation,
            at_most,
        )?;
        if removed < at_most.unsigned_abs() {
            execute!(self.0, "delete from data_generations where id = $1", generation)?;
            return Ok(removed + 1);
        }
        Ok(removed)
    }
}

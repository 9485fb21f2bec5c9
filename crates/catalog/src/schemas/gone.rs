//! What a discovery does not find any more.

use std::collections::HashSet;

use tidegate_database::{Result, StoreError, fetch_all};
use tidegate_domain::id::DataSourceId;
use uuid::Uuid;

use super::nothing::{MOST_NAMES, listed};
use super::repository::Schemas;
use super::stored::StoredColumn;

/// Most tables that are looked at, of those that are gone or have changed.
const MOST_TABLES: i64 = 100;

fn columns(stored: &str) -> Result<Vec<StoredColumn>> {
    serde_json::from_str(stored).map_err(|_| StoreError::Unreadable("data_tables.columns"))
}

/// What is said of tables and columns that are gone; nothing where none is.
pub(crate) fn said_of_gone(gone: &[String]) -> Option<String> {
    (!gone.is_empty()).then(|| {
        let gone = listed(gone);
        format!(
            "Gone since the last discovery: {gone}. If it should be there, grant select on it to the data source's user, and discover again (over HTTP with ?refresh=true)."
        )
    })
}

impl Schemas<'_> {
    /// Tables and columns of the last discovery that a new one has not, which has not taken its place yet: of all schemas, or of one. Of many the
    /// first, and one more than are told.
    pub(super) async fn gone(
        &mut self,
        source: DataSourceId,
        generation: Uuid,
        only: Option<&str>,
    ) -> Result<Vec<String>> {
        type Row = (String, String, String, Option<String>);
        let rows = fetch_all!(
            self.0,
            Row,
            "select o.schema_name, o.name, case when n.columns is null then '' else o.columns end, n.columns
             from data_schemas d
                join data_tables o on o.generation_id = d.generation_id and o.schema_name = d.name
                left join data_tables n
                    on n.generation_id = $2 and n.schema_name = o.schema_name and n.name = o.name
             where d.source_id = $1 and ($3 is null or d.name = $3)
                and (n.columns is null or n.columns <> o.columns)
             order by case when n.columns is null then 0 else 1 end, o.schema_name, o.name limit $4",
            source.0,
            generation,
            only,
            MOST_TABLES,
        )?;
        let mut gone = Vec::new();
        for (schema, table, before, now) in rows {
            let called = if schema.is_empty() { table } else { format!("{schema}.{table}") };
            let Some(now) = now else {
                gone.push(format!("table {called}"));
                continue;
            };
            let now: HashSet<String> = columns(&now)?.into_iter().map(|column| column.name).collect();
            let lost = columns(&before)?.into_iter().filter(|column| !now.contains(&column.name));
            gone.extend(lost.map(|column| format!("column {called}.{}", column.name)));
        }
        gone.truncate(MOST_NAMES + 1);
        Ok(gone)
    }
}

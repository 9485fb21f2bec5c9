//! Discovered tables by their names, in all data sources of an organization.

use tidegate_connect::SourceType;
use tidegate_database::{Result, StoreError, fetch_all};
use tidegate_domain::id::OrganizationId;

use super::repository::Schemas;
use super::stored::StoredColumn;

/// Most tables of one name that are looked at.
const MOST: i64 = 200;

/// A discovered table, with its data source.
#[derive(Clone, Debug)]
pub struct RelationCard {
    /// The number of the data source.
    pub source: i64,
    /// The number of its workspace.
    pub workspace: i64,
    /// What type of source it is.
    pub kind: SourceType,
    /// Its schema; empty for sources without schemas.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// Its columns.
    pub columns: Vec<StoredColumn>,
}

/// A discovered table that was found by the name of its data source or schema.
#[derive(Clone, Debug)]
pub struct PlacedTable {
    /// The number of the data source.
    pub source: i64,
    /// What that is called in SQL.
    pub slug: String,
    /// What it is called for people.
    pub source_name: String,
    /// Its schema; empty for sources without schemas.
    pub schema: String,
    /// Its name; empty where no table of the data source is known.
    pub table: String,
}

/// Most names of tables that are told.
const MOST_NAMES: i64 = 1_000;

impl Schemas<'_> {
    /// The names of the discovered tables of an organization, each once, of many the first.
    pub(crate) async fn names(&mut self, organization: OrganizationId) -> Result<Vec<String>> {
        let rows = fetch_all!(
            self.0,
            (String,),
            "select distinct t.name from data_sources s join data_schemas d on d.source_id = s.id
                join data_tables t on t.generation_id = d.generation_id and t.schema_name = d.name
             where s.organization_id = $1 and s.deleted_at is null order by t.name limit $2",
            organization.0,
            MOST_NAMES,
        )?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// The discovered tables of the data source or the schema of an organization that is called so, or of both with a point between them, and
    /// those that are called so with their data source before them; but for capitals. Of many the first, and whether these are all.
    pub(crate) async fn placed(
        &mut self,
        organization: OrganizationId,
        place: &str,
    ) -> Result<(Vec<PlacedTable>, bool)> {
        type Row = (i64, String, String, String, String);
        // SQLite knows the capitals of ASCII alone, so other names are found as they are written.
        let rows = fetch_all!(
            self.0,
            Row,
            "select s.number, s.slug, s.name, coalesce(t.schema_name, ''), coalesce(t.name, '')
             from data_sources s left join data_schemas d on d.source_id = s.id
                left join data_tables t on t.generation_id = d.generation_id and t.schema_name = d.name
             where s.organization_id = $1 and s.deleted_at is null
                and ($2 in (s.name, t.schema_name, s.slug || '.' || t.schema_name, s.slug || '.' || t.name)
                    or $3 in (lower(s.slug), lower(s.name), lower(t.schema_name), lower(s.slug || '.' || t.schema_name),
                        lower(s.slug || '.' || t.name)))
             order by s.number, t.schema_name, t.name limit $4",
            organization.0,
            place,
            place.to_lowercase(),
            MOST,
        )?;
        let is_whole = i64::try_from(rows.len()).is_ok_and(|count| count < MOST);
        let placed = rows.into_iter().map(|(source, slug, source_name, schema, table)| PlacedTable {
            source,
            slug,
            source_name,
            schema,
            table,
        });
        Ok((placed.collect(), is_whole))
    }

    /// The discovered tables of an organization that are called so, but for capitals.
    pub(crate) async fn called(
        &mut self,
        organization: OrganizationId,
        table: &str,
    ) -> Result<Vec<RelationCard>> {
        type Row = (i64, i64, String, String, String, String);
        // SQLite knows the capitals of ASCII alone, so other names are found as they are written.
        let rows = fetch_all!(
            self.0,
            Row,
            "select s.number, w.number, s.kind, t.schema_name, t.name, t.columns
             from data_sources s join workspaces w on w.id = s.workspace_id
                join data_schemas d on d.source_id = s.id
                join data_tables t on t.generation_id = d.generation_id and t.schema_name = d.name
             where s.organization_id = $1 and s.deleted_at is null and (t.name = $2 or lower(t.name) = $3)
             order by s.number, t.schema_name, t.name limit $4",
            organization.0,
            table,
            table.to_lowercase(),
            MOST,
        )?;
        let cards = rows.into_iter().map(|(source, workspace, kind, schema, table, columns)| {
            let kind = kind.parse::<SourceType>().map_err(|_| StoreError::Unreadable("data_sources.kind"))?;
            let columns =
                serde_json::from_str(&columns).map_err(|_| StoreError::Unreadable("data_tables.columns"))?;
            Ok(RelationCard { source, workspace, kind, schema, table, columns })
        });
        cards.collect()
    }
}

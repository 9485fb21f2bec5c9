//! What is known of data sources and their tables, for policies.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_catalog::hooks::{
    PlacedTable, RelationCard, relations_of_organization, sources_of_organization, tables_of_organization,
    tables_placed,
};
use tidegate_connect::SourceType;
use tidegate_database::Unit;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::Fault;
use tidegate_policies::hooks::{
    KnownPlace, KnownPlaces, KnownRelation, KnownSource, OPEN_DECIMAL, SourceRelations,
};

/// What the catalog knows.
pub(crate) struct CatalogRelations;

impl SourceRelations for CatalogRelations {
    fn sources<'u>(
        &'u self,
        unit: &'u mut Unit,
        organization: OrganizationId,
    ) -> BoxFuture<'u, Result<Vec<KnownSource>, Fault>> {
        async move {
            let cards = sources_of_organization(unit, organization).await?;
            let known = cards.into_iter().map(|card| KnownSource {
                number: card.number,
                workspace: card.workspace,
                is_discovered: card.is_discovered,
            });
            Ok(known.collect())
        }
        .boxed()
    }

    fn relations<'u>(
        &'u self,
        unit: &'u mut Unit,
        organization: OrganizationId,
        table: &'u str,
    ) -> BoxFuture<'u, Result<Vec<KnownRelation>, Fault>> {
        async move {
            let cards = relations_of_organization(unit, organization, table).await?;
            Ok(cards.into_iter().map(known).collect())
        }
        .boxed()
    }

    fn tables<'u>(
        &'u self,
        unit: &'u mut Unit,
        organization: OrganizationId,
    ) -> BoxFuture<'u, Result<Vec<String>, Fault>> {
        tables_of_organization(unit, organization).boxed()
    }

    fn places<'u>(
        &'u self,
        unit: &'u mut Unit,
        organization: OrganizationId,
        place: &'u str,
    ) -> BoxFuture<'u, Result<KnownPlaces, Fault>> {
        async move {
            let (tables, is_whole) = tables_placed(unit, organization, place).await?;
            let known = tables.into_iter().map(|PlacedTable { source, slug, source_name, schema, table }| {
                KnownPlace { source, slug, source_name, schema, table }
            });
            Ok(KnownPlaces { tables: known.collect(), is_whole })
        }
        .boxed()
    }
}

/// What a source calls a type. PostgreSQL's `numeric` has any scale where it has no digits; others' has one that is not told.
fn native(kind: SourceType, name: String) -> String {
    let is_open = matches!(kind, SourceType::Postgresql | SourceType::Cockroachdb) && name == "numeric";
    if is_open { OPEN_DECIMAL.to_owned() } else { name }
}

fn known(card: RelationCard) -> KnownRelation {
    let kind = card.kind;
    KnownRelation {
        source: card.source,
        workspace: card.workspace,
        schema: Some(card.schema).filter(|schema| !schema.is_empty()),
        table: card.table,
        // SQLite stores any value in any column.
        is_typed: kind != SourceType::Sqlite,
        columns: card
            .columns
            .into_iter()
            .map(|column| (column.name, native(kind, column.type_name)))
            .collect(),
    }
}

//! What a session can name: the relations of one query, and what `information_schema` lists.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, TableReference};

use crate::error::QueryError;
use crate::relation::RelationName;

/// The catalog and schema of names that are shorter than three parts.
pub(crate) const INNER: &str = "\u{1}";
/// The schema that lists relations and columns.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";
/// Its relations.
pub(crate) const INFORMATION: [&str; 3] = ["schemata", "tables", "columns"];

/// What a name of a query means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A relation of a source.
    Relation(RelationName),
    /// A relation of `information_schema`; of one source alone, if it is named.
    Information { source: Option<String>, table: &'static str },
}

/// Finds what a name means among the visible relations: the exact name, else the only one that differs in capitals alone.
pub(crate) fn meaning(reference: &TableReference, visible: &[RelationName]) -> Result<Meaning, QueryError> {
    if let Some(information) = information(reference, visible) {
        return Ok(information);
    }
    let matching = |same: &dyn Fn(&str, &str) -> bool| -> Vec<&RelationName> {
        visible.iter().filter(|name| is_named(name, reference, same)).collect()
    };
    let exact = matching(&|one, other| one == other);
    let found = if exact.is_empty() {
        matching(&|one, other| one.to_lowercase() == other.to_lowercase())
    } else {
        exact
    };
    match found.as_slice() {
        [one] => Ok(Meaning::Relation((*one).clone())),
        [] => Err(QueryError::unknown_relation(&written(reference), &names(reference, visible))),
        several => {
            // Of several, one in the schema that databases look into by default.
            let mut usual =
                several.iter().filter(|name| ["public", "main", "dbo"].contains(&name.schema.as_str()));
            match (usual.next(), usual.next()) {
                (Some(one), None) => Ok(Meaning::Relation((*one).clone())),
                _ => {
                    let mut error = QueryError::unknown_relation(&written(reference), &[]);
                    error.message = format!(
                        "Several relations are called {}; name source and schema.",
                        crate::error::quoted(reference.table())
                    );
                    error.nearest = several.iter().take(3).map(|name| name.to_string()).collect();
                    Err(error)
                }
            }
        }
    }
}

/// Whether a relation may be meant by a name of a query, whatever its capitals.
pub(crate) fn is_called(name: &RelationName, reference: &TableReference) -> bool {
    is_named(name, reference, &|one, other| one.to_lowercase() == other.to_lowercase())
}

fn is_named(name: &RelationName, reference: &TableReference, same: &dyn Fn(&str, &str) -> bool) -> bool {
    if !same(&name.table, reference.table()) {
        return false;
    }
    match (reference.catalog(), reference.schema()) {
        (Some(source), Some(schema)) => same(&name.source, source) && same(&name.schema, schema),
        // With two parts the first is a schema, or a source.
        (None, Some(first)) => same(&name.schema, first) || same(&name.source, first),
        _ => true,
    }
}

fn information(reference: &TableReference, visible: &[RelationName]) -> Option<Meaning> {
    if !reference.schema()?.eq_ignore_ascii_case(INFORMATION_SCHEMA) {
        return None;
    }
    let source = match reference.catalog() {
        Some(source) => Some(visible.iter().find(|name| name.source == source)?.source.clone()),
        None => None,
    };
    let table = INFORMATION.into_iter().find(|table| table.eq_ignore_ascii_case(reference.table()))?;
    Some(Meaning::Information { source, table })
}

fn written(reference: &TableReference) -> String {
    let parts = [reference.catalog(), reference.schema(), Some(reference.table())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(".")
}

/// Names as people write them, short and long, to look for the nearest.
fn names(reference: &TableReference, visible: &[RelationName]) -> Vec<String> {
    let mut names: Vec<String> =
        visible.iter().flat_map(|name| [name.table.clone(), name.to_string()]).collect();
    if reference.schema().is_some_and(|schema| schema.eq_ignore_ascii_case(INFORMATION_SCHEMA)) {
        names.extend(INFORMATION.map(|table| format!("{INFORMATION_SCHEMA}.{table}")));
    }
    names
}

/// Tables of a schema, by their names.
type Tables = HashMap<String, Arc<dyn TableProvider>>;

/// Schemas of catalogs, by their names.
type Catalogs = BTreeMap<String, BTreeMap<String, Tables>>;

/// The relations of one query, by the names it uses. Everything else does not exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueryCatalog {
    /// Catalog, schema, table.
    tables: Arc<Catalogs>,
}

impl QueryCatalog {
    pub(crate) fn new(tables: Vec<(TableReference, Arc<dyn TableProvider>)>) -> Self {
        let mut all = Catalogs::new();
        for (reference, table) in tables {
            let resolved = reference.resolve(INNER, INNER);
            let schemas = all.entry(resolved.catalog.to_string()).or_default();
            schemas.entry(resolved.schema.to_string()).or_default().insert(resolved.table.to_string(), table);
        }
        Self { tables: Arc::new(all) }
    }
}

impl CatalogProviderList for QueryCatalog {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        self.tables.keys().cloned().collect()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let schemas = self.tables.get(name)?;
        Some(Arc::new(QuerySchemas(schemas.clone())))
    }
}

#[derive(Debug)]
struct QuerySchemas(BTreeMap<String, HashMap<String, Arc<dyn TableProvider>>>);

impl CatalogProvider for QuerySchemas {
    fn schema_names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let tables = self.0.get(name)?;
        Some(Arc::new(QueryTables(tables.clone())))
    }
}

#[derive(Debug)]
struct QueryTables(HashMap<String, Arc<dyn TableProvider>>);

#[async_trait]
impl SchemaProvider for QueryTables {
    fn table_names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(self.0.get(name).map(Arc::clone))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

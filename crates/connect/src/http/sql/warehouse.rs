//! What a database is asked through that is asked in SQL over HTTP: what all do alike has a default.

use super::allowance::Allowance;
use super::double_quoted;
use super::plan::{Compare, Found, Kind, Planned};
use crate::error::SourceError;
use crate::filter::Literal;

/// A row as texts.
pub(crate) type Texts = Vec<Option<String>>;

/// A query that this crate wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) text: String,
    /// The values of its parameters, in order.
    pub(crate) parameters: Vec<String>,
    /// Identifiers that rows are ordered by, for databases that have no cursor and answer page by page.
    pub(crate) order: Vec<String>,
    pub(crate) is_view: bool,
    /// Whether it reads a relation, and not the catalog.
    pub(crate) is_scan: bool,
    /// Columns of a scan.
    pub(crate) width: usize,
    /// Rows wanted at most.
    pub(crate) limit: Option<usize>,
}

impl Statement {
    /// A query of a catalog.
    pub(crate) fn new(text: impl Into<String>, parameters: Vec<String>) -> Self {
        Self { text: text.into(), parameters, ..Self::default() }
    }
}

/// A database behind an HTTP interface.
#[async_trait::async_trait]
pub(crate) trait Warehouse: Send + Sync + 'static {
    /// A query that runs at the database.
    type Running: Send + Sync + 'static;

    /// The product's name, for messages.
    fn title(&self) -> &'static str;
    /// The query that a test runs.
    fn probe(&self) -> &'static str;
    /// What the product is called with its version.
    fn product(&self) -> &'static str {
        self.title()
    }
    /// The query that tells its version; none where the product has none that it tells.
    fn version_query(&self) -> Option<&'static str> {
        None
    }
    /// The product with its version, if it tells.
    async fn version(&self) -> Result<Option<String>, SourceError> {
        let product = self.product();
        let Some(query) = self.version_query() else { return Ok(Some(product.to_owned())) };
        let mut running = self.begin(Statement::new(query, Vec::new())).await?;
        let rows = self.page(&mut running).await?.unwrap_or_default();
        let version = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        Ok(version.map(|version| format!("{product} {version}")))
    }
    /// Queries of the catalog that answer, for one schema or all that are the users' own, and one relation or all: schema, relation, `V`
    /// for views, rows, comment, column, type, precision, scale, `N` if it is not nullable, comment, collation, and anything for a column
    /// of the primary key; in the order of relations and columns.
    async fn catalogs(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<Statement>, SourceError>;
    /// A type's name as it is told to people, out of what the catalog calls it.
    fn type_name(&self, native: String) -> String {
        native
    }
    /// A text in a query, which is sent apart from it: what stands for it there.
    fn parameter(&self, text: &str, parameters: &mut Vec<String>) -> String {
        parameters.push(text.to_owned());
        "?".to_owned()
    }
    /// A query of the catalog, which ends with a condition, for the names that are asked for: each with its column.
    fn named(&self, mut text: String, names: [(&str, Option<&str>); 2]) -> Statement {
        let mut parameters = Vec::new();
        for (column, name) in names {
            if let Some(name) = name {
                let name = self.parameter(name, &mut parameters);
                text.push_str(&format!(" AND {column} = {name}"));
            }
        }
        Statement::new(text, parameters)
    }
    /// A name in a query.
    fn identifier(&self, name: &str) -> String {
        double_quoted(name)
    }
    /// How the values of a column are read, by its name in a query, and which of them are compared there.
    fn reading(&self, found: &Found, name: &str) -> (Kind, String, Compare);
    /// Whether rows can be ordered by a column of a kind.
    fn is_sortable(&self, _: &Found, _: Kind) -> bool {
        false
    }
    /// How a column is read.
    fn planned(&self, found: &Found) -> Planned {
        let identifier = self.identifier(&found.name);
        let (kind, expression, compare) = self.reading(found, &identifier);
        Planned { identifier, expression, kind, compare, sortable: self.is_sortable(found, kind) }
    }
    /// A relation in a query.
    fn relation(&self, schema: &str, table: &str) -> String {
        format!("{}.{}", self.identifier(schema), self.identifier(table))
    }
    /// A value in a query, compared with a column; what is a parameter stands as the database writes parameters.
    fn literal(&self, column: &Planned, literal: &Literal, parameters: &mut Vec<String>) -> String;
    /// A column of a result, under a name where the database wants one.
    fn selected(&self, expression: &str, index: usize) -> String {
        format!("{expression} AS C{index}")
    }
    /// What the values of a query's conditions may have of bytes.
    fn allowance(&self) -> Allowance {
        Allowance::default()
    }
    /// Whether NULL is neither in a list nor outside of it, as SQL has it.
    fn lists_know_null(&self) -> bool {
        true
    }
    /// The schema of a relation that is named without one.
    fn default_schema(&self) -> &str;
    /// Starts a query.
    async fn begin(&self, statement: Statement) -> Result<Self::Running, SourceError>;
    /// Its next rows; none at the end.
    async fn page(&self, running: &mut Self::Running) -> Result<Option<Vec<Texts>>, SourceError>;
    /// Ends a query of which nothing more is wanted, as far as the database can.
    async fn cancel(&self, running: &Self::Running);
    fn tunnel(&self) -> Option<&crate::ssh::Tunnel>;
}

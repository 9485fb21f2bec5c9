//! What a source can be asked.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use futures_util::Stream;

use crate::discovered::{Discovered, Finds};
use crate::error::SourceError;
use crate::files::ParquetContent;
use crate::filter::Filter;

/// What a connection test found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// Product and version, as `PostgreSQL 15.4`.
    pub version: Option<String>,
    /// The first value of the first row, bounded.
    pub result: Option<String>,
    /// Whether an SSH tunnel was used.
    pub tunnel: bool,
    pub elapsed: Duration,
}

/// A relation by its exact names. Files and servers without schemas have none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Relation {
    pub schema: Option<String>,
    pub table: String,
}

impl Relation {
    /// A relation of a schema.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: Some(schema.into()), table: table.into() }
    }
}

/// What is to be read of a relation.
#[derive(Clone, Debug)]
pub struct Scan {
    pub relation: Relation,
    /// Names of columns in the order wanted; all if absent. May be empty: then batches have rows without columns.
    pub projection: Option<Vec<String>>,
    /// All must hold. The answer tells which were applied.
    pub filters: Vec<Filter>,
    /// Which rows are wanted where there is a limit: the first in this order. For sources that said [`Source::orders`]. The rows
    /// themselves may come in any order.
    pub order: Vec<Order>,
    /// Rows wanted at most; applied only when every filter was, and the order.
    pub limit: Option<usize>,
}

impl Scan {
    /// Everything of a relation.
    pub fn all(relation: Relation) -> Self {
        Self { relation, projection: None, filters: Vec::new(), order: Vec::new(), limit: None }
    }

    /// The limit for a source that knows no order.
    pub(crate) fn limit_of_any(&self) -> Option<usize> {
        self.limit.filter(|_| self.order.is_empty())
    }
}

/// A column by which the first rows are chosen, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub column: String,
    pub descending: bool,
    pub nulls_first: bool,
}

impl Order {
    /// Where rows without a value belong: whether first. None where there is no such row: then a server need not be told, and may take an
    /// index that has them elsewhere.
    pub(crate) fn nulls<'f>(
        &self,
        schema: &Schema,
        filters: impl IntoIterator<Item = &'f Filter>,
    ) -> Option<bool> {
        let may_be = schema.field_with_name(&self.column).ok().is_none_or(|field| field.is_nullable());
        let may_be = may_be && !filters.into_iter().any(|filter| filter.leaves_out_null(&self.column));
        may_be.then_some(self.nulls_first)
    }
}

pub(crate) type Batches = Pin<Box<dyn Stream<Item = Result<RecordBatch, SourceError>> + Send>>;

/// Rows as they arrive. Dropping it cancels the query at the source where the source can.
pub struct BatchStream {
    schema: SchemaRef,
    /// For each filter of the scan, in order, whether no row came that does not satisfy it.
    pub filtered: Vec<bool>,
    /// Whether the limit was applied.
    pub limited: bool,
    batches: Batches,
}

impl BatchStream {
    pub(crate) fn new(schema: SchemaRef, filtered: Vec<bool>, limited: bool, batches: Batches) -> Self {
        Self { schema, filtered, limited, batches }
    }

    /// The columns of every batch.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

impl Stream for BatchStream {
    type Item = Result<RecordBatch, SourceError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.as_mut().poll_next(cx)
    }
}

impl std::fmt::Debug for BatchStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// An open source.
#[async_trait::async_trait]
pub trait Source: Send + Sync {
    /// Connects and runs one reading query, the type's own where none is given.
    async fn test(&self, query: Option<&str>, timeout: Duration) -> Result<Tested, SourceError>;

    /// Names of what may be named to be looked into, such as schemas, where a source tells them; few of many.
    async fn places(&self) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    /// Schemas, relations and columns; of one schema only, if it is named.
    async fn discover(&self, schema: Option<&str>) -> Result<Discovered, SourceError>;

    /// The same, handed on to who takes it. Sources that may have many tables hold no more than one of them at a time.
    async fn discover_into(&self, schema: Option<&str>, finds: &mut dyn Finds) -> Result<(), SourceError> {
        self.discover(schema).await?.hand_on(finds).await
    }

    /// The columns of a relation as they will be read.
    async fn schema(&self, relation: &Relation) -> Result<SchemaRef, SourceError>;

    /// Forgets what is remembered of the columns of relations, which are others by now.
    fn forget_columns(&self) {}

    /// Whether [`Source::scan`] will apply this filter exactly, given the schema of the relation.
    fn evaluates(&self, schema: &Schema, filter: &Filter) -> bool;

    /// Whether [`Source::scan`] chooses the first rows in this order, given the schema of the relation, as the engine would: by the same
    /// comparison, and NULL where it belongs.
    fn orders(&self, _: &Schema, _: &[Order]) -> bool {
        false
    }

    /// Whether [`Source::scan`] leaves out what has no row for which a filter holds, also where it does not apply the filter to rows.
    fn skips(&self) -> bool {
        false
    }

    /// The file of a relation, where it is one of Parquet on this machine of which parts can be read.
    fn parquet(&self, _: &Relation) -> Option<Arc<ParquetContent>> {
        None
    }

    /// Starts to read a relation.
    async fn scan(&self, scan: Scan) -> Result<BatchStream, SourceError>;

    /// Closes idle connections and the tunnel. What is being read ends by itself.
    async fn close(&self);

    /// The connections of the source.
    fn connections(&self) -> Connections {
        Connections::default()
    }

    /// The key of the SSH server, to be pinned (`ssh-ed25519 AAAA...`).
    fn host_key(&self) -> Option<String> {
        None
    }
}

/// Connections of a source at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    pub active: u32,
    pub idle: u32,
    /// At most held at once; 0 for sources without connections.
    pub size: u32,
}

//! Where rows come from, below every policy. Nothing here is reached but through a barrier.

mod connected;
mod memory;
mod parquet;
mod pushed;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::object_store::ObjectStore;
use datafusion::physical_plan::ExecutionPlan;
use tidegate_connect::{Relation, Source, SourceError};

pub use connected::Connected;
pub(crate) use connected::ConnectedExec;
pub use memory::InMemory;
pub use parquet::ParquetRows;
pub use pushed::Pushed;

use crate::error::QueryError;

/// Hears of each failure of a source, and says what is told of it to who asks: only who opens a source knows what it is called.
pub type OnFailure = Arc<dyn Fn(&SourceError) -> QueryError + Send + Sync>;

/// Opens a relation of a data source, to be read in the way that is fastest.
///
/// # Errors
///
/// What is told of a failure of the source.
pub async fn open_rows(
    source: Arc<dyn Source>,
    relation: Relation,
    estimate: Option<u64>,
    on_failure: OnFailure,
) -> Result<Arc<dyn Rows>, QueryError> {
    let content = source.parquet(&relation);
    let plain = Connected::open(source, relation, estimate, on_failure).await?;
    Ok(match content {
        Some(content) => Arc::new(ParquetRows::new(content, plain)?),
        None => Arc::new(plain),
    })
}

/// What is to be read.
#[derive(Clone, Debug)]
pub struct Wanted<'w> {
    /// Columns by their places in the schema, each once, in the order wanted. May be empty.
    pub columns: Vec<usize>,
    /// Conditions, of which the source may apply what it can evaluate exactly: the policy's, and leak-proof ones. All are applied
    /// again above.
    pub conditions: &'w [Expr],
    /// Rows wanted at most, where nothing above takes rows away.
    pub limit: Option<usize>,
    /// Rows wanted at most of those for which all conditions hold: for a source that applies them all.
    pub first: Option<usize>,
    /// Streams wanted.
    pub partitions: usize,
    /// Columns, sorted, of whose values the optimizer may know as much as the source does, and of the number of rows; none where a
    /// policy hides rows.
    pub told: Option<Vec<usize>>,
    /// The memory of the query. What is read and held in large pieces is counted in it.
    pub memory: Arc<dyn MemoryPool>,
}

/// A relation as its source has it.
#[async_trait]
pub trait Rows: Debug + Send + Sync {
    /// All its columns.
    fn schema(&self) -> SchemaRef;

    /// Rows it has, about; none if that is not known.
    fn estimate(&self) -> Option<u64> {
        None
    }

    /// Whether the plan of [`Rows::scan`] has statistics of the columns that [`Wanted::told`] names, and of no others.
    fn tells(&self) -> bool {
        false
    }

    /// Where its files are, if it has any.
    fn store(&self) -> Option<(ObjectStoreUrl, Arc<dyn ObjectStore>)> {
        None
    }

    /// What of it [`Rows::scan`] left to the source.
    fn pushed(&self, wanted: &Wanted<'_>) -> Pushed {
        Pushed { columns: names(&self.schema(), &wanted.columns), ..Pushed::default() }
    }

    /// A plan without children that reads it. Its schema is that of the columns wanted, in order.
    async fn scan(&self, wanted: Wanted<'_>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>>;
}

/// The first of the names of columns at these places.
fn names(schema: &SchemaRef, places: &[usize]) -> Vec<String> {
    const MOST: usize = 100;
    let fields = places.iter().take(MOST).filter_map(|place| schema.fields().get(*place));
    fields.map(|field| field.name().clone()).collect()
}

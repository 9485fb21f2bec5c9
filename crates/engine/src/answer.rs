//! Rows on their way to whoever asked.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures_util::{Stream, StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::admission::Place;
use crate::cancel::Stop;
use crate::decision::Decisions;
use crate::engine::{Engine, Prepared};
use crate::error::{Code, Phase, QueryError, classify, is_out_of_memory};
use crate::explain;
use crate::joins::Joins;
use crate::options::Limits;
use crate::pool::Ended;
use crate::relation::RelationName;
use crate::session::Planned;
use crate::table::GovernedTable;

/// Batches that wait for whoever takes them. A slow reader slows the query down.
const WAITING: usize = 2;

/// The answer to a query: a stream of batches. Dropping it ends the query.
pub struct Answer {
    /// The columns of every batch.
    pub schema: SchemaRef,
    /// Columns that were read masked, each with its relation.
    pub masked: Vec<(RelationName, String)>,
    /// What holds for it: the smaller of what was asked for and what the policies allow.
    pub limits: Limits,
    batches: Pin<Box<dyn Stream<Item = Result<RecordBatch, QueryError>> + Send>>,
    cut: Arc<AtomicBool>,
    /// The engine runs as long as there are answers of it.
    _engine: Engine,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// What makes the rows.
pub(crate) struct Rows {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) context: Arc<TaskContext>,
    /// The columns under their titles.
    pub(crate) schema: SchemaRef,
    /// Why values fail, where that is in the query's own text.
    pub(crate) constant: Option<String>,
    /// What it is planned from again, where that may help.
    pub(crate) again: Option<Again>,
    pub(crate) records: Arc<Records>,
    pub(crate) place: Arc<Place>,
}

impl Answer {
    pub(crate) fn start(
        engine: Engine,
        runtime: &Handle,
        rows: Rows,
        masked: Vec<(RelationName, String)>,
        limits: Limits,
        stop: Stop,
    ) -> Self {
        let schema = Arc::clone(&rows.schema);
        let (give, take) = mpsc::channel(WAITING);
        let running = Running::new(runtime.spawn(run(rows, give)), stop.clone());
        let cut = Arc::new(AtomicBool::new(false));
        let receiving = Receiving {
            take,
            stop,
            left: limits.rows,
            most: limits.rows,
            cut: limits.cut.then(|| Arc::clone(&cut)),
            running: Some(running),
        };
        let batches = stream::unfold(receiving, |mut receiving| async move {
            let turn = receiving.next().await?;
            Some((turn, receiving))
        });
        Self { schema, masked, limits, batches: Box::pin(batches), cut, _engine: engine }
    }

    /// Whether rows were left out, because there were more than the limit. Known when all batches have been taken.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// All rows.
    ///
    /// # Errors
    ///
    /// What ended the query.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut all = Vec::new();
        while let Some(batch) = self.next().await {
            all.push(batch?);
        }
        Ok(all)
    }
}

impl Stream for Answer {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.as_mut().poll_next(cx)
    }
}

/// Ends the query's task when nobody wants its rows, and when its time is over, also where nobody asks for them then: whoever takes none has a
/// place among the queries that run, and others wait for it.
struct Running {
    query: JoinHandle<()>,
    watch: JoinHandle<()>,
}

impl Running {
    fn new(query: JoinHandle<()>, stop: Stop) -> Self {
        let end = query.abort_handle();
        let watch = tokio::spawn(async move {
            stop.over().await;
            end.abort();
        });
        Self { query, watch }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.watch.abort();
        self.query.abort();
    }
}

struct Receiving {
    take: mpsc::Receiver<Result<RecordBatch, QueryError>>,
    stop: Stop,
    /// Rows that may still come.
    left: u64,
    /// Rows that may come in all.
    most: u64,
    /// Told when rows are left out; without it, that is an error.
    cut: Option<Arc<AtomicBool>>,
    running: Option<Running>,
}

impl Receiving {
    async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        self.running.as_ref()?;
        let turn = match self.stop.before(self.take.recv()).await {
            Ok(Some(Ok(batch))) => self.within(batch),
            Ok(Some(Err(error))) => Some(Err(error)),
            Ok(None) => self.over().await,
            Err(error) => Some(Err(error)),
        };
        if !matches!(turn, Some(Ok(_))) {
            self.running = None;
        }
        turn
    }

    /// The task ended. One that panicked did not answer, nor did one whose time was over.
    async fn over(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        let mut running = self.running.take()?;
        match (&mut running.query).await {
            Ok(()) => None,
            Err(ended) if ended.is_cancelled() => Some(Err(self.stop.over().await)),
            Err(_) => Some(Err(QueryError::new(Code::EvaluationFailed, "The query could not be computed."))),
        }
    }

    fn within(&mut self, batch: RecordBatch) -> Option<Result<RecordBatch, QueryError>> {
        let rows = batch.num_rows() as u64;
        if rows <= self.left {
            self.left -= rows;
            return Some(Ok(batch));
        }
        let Some(cut) = &self.cut else {
            let most = self.most;
            let text =
                format!("The answer has more rows than the {most} that you may have: add LIMIT, or group.");
            return Some(Err(QueryError::new(Code::LimitRows, text)));
        };
        cut.store(true, Ordering::Relaxed);
        let kept = usize::try_from(self.left).unwrap_or(usize::MAX).min(batch.num_rows());
        self.left = 0;
        self.running = None;
        (kept > 0).then(|| Ok(batch.slice(0, kept)))
    }
}

/// A query whose join did not fit into memory, to be planned once more with its joins on the disk.
pub(crate) struct Again {
    pub(crate) prepared: Prepared,
    /// The end of the memory of the first plan.
    pub(crate) ended: Ended,
}

impl Again {
    /// The second plan. Where there is none, what the first one ended with is told.
    async fn plan(self, titles: &Schema) -> Option<Planned> {
        // Both together would hold more than the query may.
        self.ended.wait().await;
        tracing::debug!("a join does not fit into memory and goes to the disk");
        let planned = self.prepared.plan(Joins::OnDisk).await.ok()?;
        (planned.schema.as_ref() == titles).then_some(planned)
    }
}

/// Why no more rows come.
struct Failure {
    error: DataFusionError,
    /// Whether rows came before.
    after_rows: bool,
}

/// Runs on the engine's runtime, and keeps the query's place as long as it does.
async fn run(rows: Rows, give: mpsc::Sender<Result<RecordBatch, QueryError>>) {
    let Rows { plan, context, schema, constant, again, records, place } = rows;
    let mut failure = pass(plan, context, &schema, &give).await.err();
    // Rows that were given cannot be taken back, and would come a second time.
    let retried =
        failure.as_ref().is_some_and(|failure| !failure.after_rows && is_out_of_memory(&failure.error));
    if let Some(again) = again.filter(|_| retried)
        && let Some(Planned { plan, context, .. }) = again.plan(&schema).await
    {
        failure = pass(plan, context, &schema, &give).await.err();
    }
    if let Some(Failure { error, .. }) = failure {
        let told = explain::told(classify(&error, Phase::Running), constant.as_deref());
        let _ = give.send(Err(told)).await;
    }
    drop(records);
    drop(place);
}

/// Gives the rows of a plan until nobody takes them.
async fn pass(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    titles: &Schema,
    give: &mpsc::Sender<Result<RecordBatch, QueryError>>,
) -> Result<(), Failure> {
    let mut after_rows = false;
    let mut batches = match execute_stream(plan, context) {
        Ok(batches) => batches,
        Err(error) => return Err(Failure { error, after_rows }),
    };
    while let Some(batch) = batches.next().await {
        let batch = match batch {
            Ok(batch) if batch.num_rows() == 0 => continue,
            Ok(batch) => titled(batch, titles).map_err(DataFusionError::from),
            Err(error) => Err(error),
        };
        let batch = batch.map_err(|error| Failure { error, after_rows })?;
        after_rows = true;
        if give.send(Ok(batch)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The same rows, under the titles of their columns.
fn titled(batch: RecordBatch, titles: &Schema) -> Result<RecordBatch, QueryError> {
    let engine = batch.schema();
    let pairs = || engine.fields().iter().zip(titles.fields());
    if pairs().all(|(field, title)| field.name() == title.name()) {
        return Ok(batch);
    }
    let fields: Vec<Field> =
        pairs().map(|(field, title)| Field::clone(field).with_name(title.name().as_str())).collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, engine.metadata().clone()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)
        .map_err(|_| QueryError::new(Code::EvaluationFailed, "The query could not be computed."))
}

/// Records of a query, given to their keeper when it is over.
pub(crate) struct Records {
    tables: Vec<Arc<GovernedTable>>,
    keeper: Option<Arc<dyn Decisions>>,
}

impl Records {
    pub(crate) fn new(tables: Vec<Arc<GovernedTable>>, keeper: Option<Arc<dyn Decisions>>) -> Self {
        Self { tables, keeper }
    }

    /// Notes that the query may not run now.
    pub(crate) fn refuse(&self) {
        self.tables.iter().for_each(|table| table.tally.refuse());
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            let decisions = self.tables.iter();
            let decisions = decisions
                .map(|table| table.tally.decision(table.name.clone(), Arc::clone(&table.governed.resolved)));
            keeper.keep(decisions.collect());
        }
    }
}

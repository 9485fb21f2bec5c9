//! A server as a source: connections in a pool, columns of relations remembered, rows read by a task of their own, which ends when
//! nobody wants more.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Endpoint;
use crate::discovered::{Discovered, Finds};
use crate::error::{SourceError, within};
use crate::filter::Filter;
use crate::gate;
use crate::plans::Plans;
use crate::pool::{Place, Pool};
use crate::rows::{Batch, Cell};
use crate::source::{BatchStream, Connections, Order, Relation, Scan, Source, Tested};

/// How long an idle connection may take to show that it still answers.
const PING: Duration = Duration::from_secs(2);
/// How long stopping a read at the server may take.
const STOPPING: Duration = Duration::from_secs(5);
/// Names of schemas and the like that are looked through.
pub(crate) const MOST_PLACES: usize = 1_000;

/// What a protocol does.
#[async_trait::async_trait]
pub(crate) trait Driver: Send + Sync + 'static {
    /// A connection that is signed in.
    type Conn: Send + 'static;
    /// What is known of a relation.
    type Plan: Send + Sync + 'static;

    fn endpoint(&self) -> &Endpoint;
    /// Refuses a test query before anybody is called for it.
    fn check(&self, _query: Option<&str>) -> Result<(), SourceError> {
        Ok(())
    }
    /// A connection for queries of at most so long. A server that can end them by itself is told: it does so also when nobody here is left
    /// to ask it to.
    async fn connect(&self, queries: Duration) -> Result<Self::Conn, SourceError>;
    /// Whether an idle connection still answers.
    async fn is_alive(&self, conn: &mut Self::Conn) -> bool;
    /// Version and first result, for a test.
    async fn probe(
        &self,
        conn: &mut Self::Conn,
        query: Option<&str>,
    ) -> Result<(Option<String>, Option<String>), SourceError>;
    /// The part of the server that is looked into because the settings name it, where signing in does not tell that there is none of that
    /// name: what such a part is, and the name.
    fn named(&self) -> Option<(&'static str, &str)> {
        None
    }
    /// Names of such parts that the user may look into, at most [`MOST_PLACES`]; the named one is among them if there is one.
    async fn places(&self, _conn: &mut Self::Conn) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
    async fn discover(&self, conn: &mut Self::Conn, schema: Option<&str>) -> Result<Discovered, SourceError>;
    /// The same, handed on as it is found where there may be much.
    async fn discover_into(
        &self,
        conn: &mut Self::Conn,
        schema: Option<&str>,
        finds: &mut dyn Finds,
    ) -> Result<(), SourceError> {
        self.discover(conn, schema).await?.hand_on(finds).await
    }
    /// Looks the columns of a relation up.
    async fn plan(&self, conn: &mut Self::Conn, relation: &Relation) -> Result<Self::Plan, SourceError>;
    fn schema<'p>(&self, plan: &'p Self::Plan) -> &'p SchemaRef;
    /// Which of several filters are applied, exactly.
    fn applies(&self, plan: &Self::Plan, filters: &[Filter]) -> Vec<bool>;
    /// Whether the first rows in an order are chosen, exactly.
    fn orders(&self, _plan: &Self::Plan, _order: &[Order]) -> bool {
        false
    }
    /// Reads what is wanted to its end.
    async fn read(
        &self,
        conn: &mut Self::Conn,
        work: &Work<Self::Plan>,
        out: &mut Out,
    ) -> Result<(), SourceError>;
    /// Ends what a connection is doing, at the server too, and closes it.
    async fn abandon(&self, conn: Self::Conn);
}

/// What is to be read.
pub(crate) struct Work<P> {
    pub(crate) plan: Arc<P>,
    pub(crate) relation: Relation,
    /// The columns wanted, in their order.
    pub(crate) schema: SchemaRef,
    /// Those that are to be applied.
    pub(crate) filters: Vec<Filter>,
    /// Which rows come where there is a limit.
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<usize>,
}

/// Where rows go.
pub(crate) struct Out {
    batch: Batch,
    sender: mpsc::Sender<Result<RecordBatch, SourceError>>,
}

impl Out {
    /// Appends the value of a column in the present row.
    pub(crate) fn append(&mut self, index: usize, cell: Cell<'_>) -> Result<(), SourceError> {
        self.batch.append(index, cell)
    }

    /// Ends the row. Waits while the reader has enough; for ever when there is none any more, in which case the read is dropped.
    pub(crate) async fn end_row(&mut self) -> Result<(), SourceError> {
        if self.batch.end_row() {
            self.flush().await?;
        }
        Ok(())
    }

    /// Ends so many rows that have no columns: they were counted, and not sent one by one.
    pub(crate) async fn end_rows(&mut self, mut count: u64) -> Result<(), SourceError> {
        while count > 0 {
            count -= self.batch.end_rows(count);
            if count > 0 {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SourceError> {
        let batch = self.batch.take()?;
        if self.sender.send(Ok(batch)).await.is_err() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// A source that speaks a driver's protocol.
pub(crate) struct Server<D: Driver> {
    driver: Arc<D>,
    pool: Pool<D::Conn>,
    plans: Plans<D::Plan>,
}

impl<D: Driver> Server<D> {
    pub(crate) fn new(driver: D) -> Self {
        let pool = Pool::new(driver.endpoint().pool_size);
        Self { driver: Arc::new(driver), pool, plans: Plans::default() }
    }

    async fn conn(&self) -> Result<(Place<D::Conn>, D::Conn), SourceError> {
        let (place, idle) = self.pool.take(self.driver.endpoint().limit).await?;
        if let Some(mut conn) = idle
            && matches!(tokio::time::timeout(PING, self.driver.is_alive(&mut conn)).await, Ok(true))
        {
            return Ok((place, conn));
        }
        let Endpoint { limit, query_timeout, .. } = self.driver.endpoint();
        Ok((place, self.connected(*limit, *query_timeout).await?))
    }

    async fn connected(&self, limit: Duration, queries: Duration) -> Result<D::Conn, SourceError> {
        let limit = limit.min(self.driver.endpoint().limit);
        within(limit, "Connecting", self.driver.connect(queries)).await
    }

    async fn plan(&self, conn: &mut D::Conn, relation: &Relation) -> Result<Arc<D::Plan>, SourceError> {
        if let Some(plan) = self.plans.get(relation) {
            return Ok(plan);
        }
        let limit = self.driver.endpoint().query_timeout;
        let plan = within(limit, "Reading the columns", self.driver.plan(conn, relation)).await?;
        Ok(self.plans.keep(relation, plan))
    }

    /// What of a scan the server does.
    fn work(&self, plan: Arc<D::Plan>, scan: &Scan) -> Result<(Work<D::Plan>, Vec<bool>), SourceError> {
        let all = self.driver.schema(&plan);
        let indices = crate::files::project(all, scan.projection.as_deref())?;
        let schema = all
            .project(&indices)
            .map_err(|error| SourceError::changed("No such columns.").with_detail(error))?;
        let filtered = self.driver.applies(&plan, &scan.filters);
        let pushed = scan.filters.iter().zip(&filtered).filter(|(_, pushed)| **pushed);
        let filters = pushed.map(|(filter, _)| filter.clone()).collect();
        let ordered = scan.order.is_empty() || self.driver.orders(&plan, &scan.order);
        let limit = scan.limit.filter(|_| ordered && filtered.iter().all(|pushed| *pushed));
        // Without a limit all rows come, and the engine orders them.
        let order = if limit.is_some() { scan.order.clone() } else { Vec::new() };
        let relation = scan.relation.clone();
        let work = Work { plan, relation, schema: Arc::new(schema), filters, order, limit };
        Ok((work, filtered))
    }
}

/// Refuses what the settings name and is not there.
async fn look_for_named<D: Driver>(driver: &D, conn: &mut D::Conn) -> Result<(), SourceError> {
    let Some((what, name)) = driver.named() else { return Ok(()) };
    let there = driver.places(conn).await?;
    if there.iter().any(|place| place == name) {
        return Ok(());
    }
    Err(SourceError::no_such(what, name, there))
}

/// Reads to the end, an error, the deadline, or until nobody wants more.
async fn run<D: Driver>(
    driver: Arc<D>,
    mut conn: D::Conn,
    place: Place<D::Conn>,
    work: Work<D::Plan>,
    mut out: Out,
    deadline: Instant,
) {
    let sender = out.sender.clone();
    let reading = async {
        driver.read(&mut conn, &work, &mut out).await?;
        if !out.batch.is_empty() {
            out.flush().await?;
        }
        Ok::<(), SourceError>(())
    };
    let ended = tokio::select! {
        ended = tokio::time::timeout_at(deadline, reading) => Some(ended),
        () = sender.closed() => None,
    };
    let failure = match ended {
        Some(Ok(Ok(()))) => {
            place.put(conn);
            return;
        }
        Some(Ok(Err(error))) => Some(error),
        Some(Err(_)) => Some(SourceError::timeout("The query", driver.endpoint().query_timeout)),
        None => None,
    };
    let telling = async {
        if let Some(failure) = failure {
            let _ = sender.send(Err(failure)).await;
        }
    };
    let stopping = async {
        if tokio::time::timeout(STOPPING, driver.abandon(conn)).await.is_err() {
            tracing::debug!("a query of a data source could not be cancelled");
        }
        drop(place);
    };
    tokio::join!(telling, stopping);
}

#[async_trait::async_trait]
impl<D: Driver> Source for Server<D> {
    async fn test(&self, query: Option<&str>, timeout: Duration) -> Result<Tested, SourceError> {
        self.driver.check(query)?;
        let began = Instant::now();
        // A test's query may be slow, and its time is shorter than that of others.
        let queries = timeout.min(self.driver.endpoint().query_timeout);
        let (version, result) = within(timeout, "The test", async {
            let mut conn = self.connected(timeout, queries).await?;
            let found = match look_for_named(&*self.driver, &mut conn).await {
                Ok(()) => self.driver.probe(&mut conn, query).await,
                Err(missing) => Err(missing),
            };
            // The answer does not wait for the goodbye.
            let driver = Arc::clone(&self.driver);
            tokio::spawn(async move { tokio::time::timeout(STOPPING, driver.abandon(conn)).await });
            found
        })
        .await?;
        Ok(Tested {
            version: version.map(|text| gate::bounded(&text)),
            result: result.map(|text| gate::bounded(&text)),
            tunnel: self.driver.endpoint().dialer.tunnel().is_some(),
            elapsed: began.elapsed(),
        })
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Discovered, SourceError> {
        let mut found = Discovered::default();
        self.discover_into(schema, &mut found).await?;
        Ok(found)
    }

    async fn discover_into(&self, schema: Option<&str>, finds: &mut dyn Finds) -> Result<(), SourceError> {
        let (place, mut conn) = self.conn().await?;
        let limit = self.driver.endpoint().query_timeout;
        within(limit, "Discovery", async {
            if schema.is_none() {
                look_for_named(&*self.driver, &mut conn).await?;
            }
            self.driver.discover_into(&mut conn, schema, finds).await
        })
        .await?;
        place.put(conn);
        Ok(())
    }

    async fn places(&self) -> Result<Vec<String>, SourceError> {
        let (place, mut conn) = self.conn().await?;
        let limit = self.driver.endpoint().limit;
        let names = within(limit, "Reading the names of schemas", self.driver.places(&mut conn)).await?;
        place.put(conn);
        Ok(names)
    }

    async fn schema(&self, relation: &Relation) -> Result<SchemaRef, SourceError> {
        let (place, mut conn) = self.conn().await?;
        let plan = self.plan(&mut conn, relation).await?;
        place.put(conn);
        Ok(SchemaRef::clone(self.driver.schema(&plan)))
    }

    fn evaluates(&self, schema: &Schema, filter: &Filter) -> bool {
        let plan = self.plans.find(|plan| **self.driver.schema(plan) == *schema);
        plan.is_some_and(|plan| self.driver.applies(&plan, std::slice::from_ref(filter)) == [true])
    }

    fn forget_columns(&self) {
        self.plans.clear();
    }

    fn orders(&self, schema: &Schema, order: &[Order]) -> bool {
        let plan = self.plans.find(|plan| **self.driver.schema(plan) == *schema);
        plan.is_some_and(|plan| self.driver.orders(&plan, order))
    }

    async fn scan(&self, scan: Scan) -> Result<BatchStream, SourceError> {
        let (place, mut conn) = self.conn().await?;
        let deadline = Instant::now() + self.driver.endpoint().query_timeout;
        let plan = self.plan(&mut conn, &scan.relation).await?;
        let (work, filtered) = self.work(plan, &scan)?;
        let limited = work.limit.is_some();
        let schema = SchemaRef::clone(&work.schema);
        let (sender, mut receiver) = mpsc::channel(2);
        let out = Out { batch: Batch::new(SchemaRef::clone(&schema))?, sender };
        tokio::spawn(run(Arc::clone(&self.driver), conn, place, work, out, deadline));
        // What the server says to the query itself is the answer to the scan, not to its first batch.
        let first = match receiver.recv().await {
            Some(Err(error)) => {
                self.plans.forget(&scan.relation);
                return Err(error);
            }
            first => first,
        };
        let rest =
            stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
        let batches = stream::iter(first).chain(rest);
        Ok(BatchStream::new(schema, filtered, limited, Box::pin(batches)))
    }

    async fn close(&self) {
        self.pool.close();
        if let Some(tunnel) = self.driver.endpoint().dialer.tunnel() {
            tunnel.close().await;
        }
    }

    fn connections(&self) -> Connections {
        self.pool.connections()
    }

    fn host_key(&self) -> Option<String> {
        self.driver.endpoint().dialer.tunnel().map(|tunnel| tunnel.host_key().to_owned())
    }
}

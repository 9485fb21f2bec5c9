//! MySQL, MariaDB, and what speaks their protocol.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use futures_util::{StreamExt, stream};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Row, Value};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::discovered::Discovered;
use crate::error::{SourceError, within};
use crate::filter::Filter;
use crate::gate;
use crate::network::NetworkPolicy;
use crate::network::dial::Dialer;
use crate::plans::Plans;
use crate::pool::{Place, Pool};
use crate::rows::{Batch, Unfit};
use crate::settings::Settings;
use crate::source::{BatchStream, Connections, Relation, Scan, Source, Tested};

mod connect;
mod discover;
mod plan;

use connect::Connector;
use plan::{Plan, PlannedColumn};

/// A server reached by MySQL's protocol.
pub(crate) struct Mysql {
    connector: Arc<Connector>,
    pool: Pool<Conn>,
    plans: Plans<Plan>,
    unfit: Unfit,
    query_timeout: Duration,
    connection_timeout: Duration,
}

impl Mysql {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let unfit = Unfit::of(settings)?;
        let dialer = Dialer::open(settings, policy).await?;
        Ok(Self {
            connector: Arc::new(Connector::new(settings, dialer)?),
            pool: Pool::new(settings.pool_size),
            plans: Plans::default(),
            unfit,
            query_timeout: settings.query_timeout,
            connection_timeout: settings.connection_timeout,
        })
    }

    async fn conn(&self) -> Result<(Place<Conn>, Conn), SourceError> {
        let (place, idle) = self.pool.take(self.connection_timeout, |conn| !conn.is_disconnected()).await?;
        if let Some(mut conn) = idle {
            // The server may have closed it meanwhile, which only asking tells.
            if matches!(tokio::time::timeout(Duration::from_secs(2), conn.ping()).await, Ok(Ok(()))) {
                return Ok((place, conn));
            }
        }
        Ok((place, self.connector.connect(self.connection_timeout).await?))
    }

    async fn plan(&self, conn: &mut Conn, relation: &Relation) -> Result<Arc<Plan>, SourceError> {
        if let Some(plan) = self.plans.get(relation) {
            return Ok(plan);
        }
        let plan = Plan::look_up(&self.connector, conn, relation, self.unfit).await?;
        Ok(self.plans.keep(relation, plan))
    }

    async fn run_test(
        &self,
        query: &str,
        limit: Duration,
    ) -> Result<(Option<String>, Option<String>), SourceError> {
        // A test's query may be slow, and its time is shorter than that of others.
        let mut conn = self.connector.connect_for(limit, limit.min(self.query_timeout)).await?;
        let failed = |error: mysql_async::Error| self.connector.error(&error);
        let version: Option<String> = conn.query_first("SELECT VERSION()").await.map_err(failed)?;
        conn.query_drop("START TRANSACTION READ ONLY").await.map_err(failed)?;
        let id = conn.id();
        // By a prepared statement, which is one statement.
        let mut rows = connect::rows(&mut conn, query, Params::Empty).await.map_err(failed)?;
        let first = rows.next().await.transpose().map_err(failed)?;
        let more = first.is_some() && rows.next().await.is_some();
        drop(rows);
        if more {
            self.connector.kill(id).await;
        }
        Ok((version.map(|version| product(&version)), first.and_then(|row| row.as_ref(0).and_then(shown))))
    }
}

/// `MariaDB 10.11.6` out of what `VERSION()` says.
fn product(version: &str) -> String {
    let number = version.trim_start_matches("5.5.5-").split('-').next().unwrap_or_default();
    let name = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
    gate::bounded(&format!("{name} {number}"))
}

/// A value as the result of a test.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => {
            let some = bytes.get(..bytes.len().min(4 * gate::LONGEST_RESULT)).unwrap_or_default();
            Some(gate::bounded(&String::from_utf8_lossy(some)))
        }
        Value::Float(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        other => Some(gate::bounded(other.as_sql(false).trim_matches('\''))),
    }
}

#[async_trait::async_trait]
impl Source for Mysql {
    async fn test(&self, query: Option<&str>, timeout: Duration) -> Result<Tested, SourceError> {
        let query = gate::read_only(query.unwrap_or("SELECT 1"))?;
        let began = Instant::now();
        let (version, result) = within(timeout, "The test", self.run_test(query, timeout)).await?;
        Ok(Tested {
            version,
            result,
            tunnel: self.connector.dialer.tunnel().is_some(),
            elapsed: began.elapsed(),
        })
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Discovered, SourceError> {
        let (place, mut conn) = self.conn().await?;
        let schema = schema.unwrap_or(&self.connector.database);
        let found =
            within(self.query_timeout, "Discovery", discover::discover(&self.connector, &mut conn, schema))
                .await?;
        place.put(conn);
        Ok(found)
    }

    async fn schema(&self, relation: &Relation) -> Result<SchemaRef, SourceError> {
        let (place, mut conn) = self.conn().await?;
        let plan = within(self.query_timeout, "Reading the columns", self.plan(&mut conn, relation)).await?;
        place.put(conn);
        Ok(SchemaRef::clone(&plan.schema))
    }

    fn evaluates(&self, schema: &Schema, filter: &Filter) -> bool {
        let plan = self.plans.find(|plan| *plan.schema == *schema);
        plan.is_some_and(|plan| plan.evaluates(filter))
    }

    async fn scan(&self, scan: Scan) -> Result<BatchStream, SourceError> {
        let (place, mut conn) = self.conn().await?;
        let deadline = Instant::now() + self.query_timeout;
        let plan =
            within(self.query_timeout, "Reading the columns", self.plan(&mut conn, &scan.relation)).await?;
        let (schema, columns) = plan.project(scan.projection.as_deref())?;
        let filtered: Vec<bool> = scan.filters.iter().map(|filter| plan.evaluates(filter)).collect();
        let pushed: Vec<_> =
            scan.filters.iter().zip(&filtered).filter(|(_, pushed)| **pushed).map(|(f, _)| f).collect();
        let limited = scan.limit.is_some() && filtered.iter().all(|pushed| *pushed);
        let place_name = scan.relation.schema.as_deref().unwrap_or(&self.connector.database);
        let limit = scan.limit.filter(|_| limited);
        let (query, parameters) = plan.query(place_name, &scan.relation.table, &columns, &pushed, limit);
        let (sender, mut receiver) = mpsc::channel(2);
        let reader = Reader {
            connector: Arc::clone(&self.connector),
            columns,
            unfit: self.unfit,
            batch: Batch::new(SchemaRef::clone(&schema))?,
            limit: self.query_timeout,
        };
        tokio::spawn(reader.run(conn, place, query, parameters, sender, deadline));
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
        if let Some(tunnel) = self.connector.dialer.tunnel() {
            tunnel.close().await;
        }
    }

    fn connections(&self) -> Connections {
        self.pool.connections()
    }

    fn host_key(&self) -> Option<String> {
        self.connector.dialer.tunnel().map(|tunnel| tunnel.host_key().to_owned())
    }
}

type Sender = mpsc::Sender<Result<RecordBatch, SourceError>>;

struct Reader {
    connector: Arc<Connector>,
    columns: Vec<(String, PlannedColumn)>,
    unfit: Unfit,
    batch: Batch,
    limit: Duration,
}

impl Reader {
    /// Reads until the end, an error, the deadline, or until nobody wants more. Unless it came to the end the query is killed.
    async fn run(
        mut self,
        mut conn: Conn,
        place: Place<Conn>,
        query: String,
        parameters: Vec<Value>,
        sender: Sender,
        deadline: Instant,
    ) {
        let id = conn.id();
        let ended = tokio::select! {
            ended = tokio::time::timeout_at(deadline, self.read(&mut conn, &query, parameters, &sender)) => ended,
            () = sender.closed() => Ok(Ok(false)),
        };
        match ended {
            Ok(Ok(true)) => place.put(conn),
            Ok(Ok(false)) => self.connector.kill(id).await,
            Ok(Err(error)) => {
                let _ = sender.send(Err(error)).await;
                if !conn.is_disconnected() {
                    self.connector.kill(id).await;
                }
            }
            Err(_) => {
                let _ = sender.send(Err(SourceError::timeout("The query", self.limit))).await;
                self.connector.kill(id).await;
            }
        }
    }

    async fn read(
        &mut self,
        conn: &mut Conn,
        query: &str,
        parameters: Vec<Value>,
        sender: &Sender,
    ) -> Result<bool, SourceError> {
        let connector = Arc::clone(&self.connector);
        let parameters = if parameters.is_empty() { Params::Empty } else { Params::Positional(parameters) };
        let rows = connect::rows(conn, query, parameters).await;
        let mut rows = rows.map_err(|error| connector.error(&error))?;
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| connector.error(&error))?;
            if self.append(&row)? && sender.send(self.batch.take()).await.is_err() {
                return Ok(false);
            }
        }
        if !self.batch.is_empty() && sender.send(self.batch.take()).await.is_err() {
            return Ok(false);
        }
        Ok(true)
    }

    fn append(&mut self, row: &Row) -> Result<bool, SourceError> {
        for (index, (name, column)) in self.columns.iter().enumerate() {
            let cell = column.cell(name, row.as_ref(index).unwrap_or(&Value::NULL), self.unfit)?;
            self.batch.append(index, cell)?;
        }
        Ok(self.batch.end_row())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_short() {
        assert_eq!(super::product("10.11.6-MariaDB-0+deb12u1"), "MariaDB 10.11.6");
        assert_eq!(super::product("5.5.5-10.6.1-MariaDB"), "MariaDB 10.6.1");
        assert_eq!(super::product("8.0.36"), "MySQL 8.0.36");
    }
}

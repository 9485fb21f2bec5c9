//! SQLite files.
//!
//! A file is opened read-only and as immutable: no journal is written beside it. What a hostile file could make the library do is
//! switched off (functions in its views and triggers), and every query ends when its time is over.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use futures_util::{StreamExt, stream};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::discovered::{Discovered, Finds};
use crate::error::{ErrorCode, SourceError, within};
use crate::files::spool::{self, NamedFile};
use crate::filter::Filter;
use crate::gate;
use crate::rows::Batch;
use crate::settings::Settings;
use crate::source::{BatchStream, Order, Relation, Scan, Source, Tested};

mod discover;
mod plan;

use plan::{Plan, PlannedColumn};

/// Steps of SQLite's machine after which it looks whether it should stop.
const STEPS: i32 = 10_000;

/// Rows that wait for their reader. Each may have values of 128 MiB (see `.cargo/config.toml`).
const BUFFERED: usize = 16;

/// A SQLite file.
pub(crate) struct Sqlite {
    path: PathBuf,
    /// Kept while the source is open, where the file was copied.
    _copy: NamedFile,
    plans: Mutex<HashMap<String, Arc<Plan>>>,
    limit: Duration,
}

impl Sqlite {
    pub(crate) async fn open(settings: &Settings) -> Result<Self, SourceError> {
        let fetched = NamedFile::fetch(settings);
        let file = within(settings.query_timeout, "Fetching the file", fetched).await?;
        let path = file.path().to_owned();
        Ok(Self { path, _copy: file, plans: Mutex::default(), limit: settings.query_timeout })
    }

    /// A connection that stops by itself when the flag is set.
    async fn connect(&self, buffered: usize) -> Result<(SqliteConnection, Stop), SourceError> {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(true)
            .immutable(true)
            .create_if_missing(false)
            .foreign_keys(false)
            .row_buffer_size(buffered)
            .pragma("query_only", "ON")
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON")
            .pragma("mmap_size", "0")
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(|error| failed(&error))?;
        let stop = Stop(Arc::new(AtomicBool::new(false)));
        let flag = Arc::clone(&stop.0);
        let mut handle = connection.lock_handle().await.map_err(|error| failed(&error))?;
        handle.set_progress_handler(STEPS, move || !flag.load(Ordering::Relaxed));
        drop(handle);
        Ok((connection, stop))
    }

    async fn plan(
        &self,
        connection: &mut SqliteConnection,
        relation: &Relation,
    ) -> Result<Arc<Plan>, SourceError> {
        let known = self.plans.lock().unwrap_or_else(PoisonError::into_inner).get(&relation.table).cloned();
        if let Some(plan) = known {
            return Ok(plan);
        }
        if relation.schema.as_deref().is_some_and(|schema| schema != spool::SCHEMA) {
            return Err(plan::no_relation(&relation.table));
        }
        let plan = Arc::new(Plan::look_up(connection, &relation.table).await?);
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.insert(relation.table.clone(), Arc::clone(&plan));
        Ok(plan)
    }

    async fn run_test(&self, query: &str) -> Result<(Option<String>, Option<String>), SourceError> {
        // One row is wanted.
        let (mut connection, _stop) = self.connect(1).await?;
        let version: String = sqlx::query_scalar("SELECT sqlite_version()")
            .fetch_one(&mut connection)
            .await
            .map_err(|e| failed(&e))?;
        // Reads the file's schema, so that a file that is none is found out.
        sqlx::query("SELECT count(*) FROM sqlite_schema")
            .fetch_one(&mut connection)
            .await
            .map_err(|e| failed(&e))?;
        let mut rows = sqlx::query(AssertSqlSafe(query.to_owned())).fetch(&mut connection);
        let first: Option<SqliteRow> = rows.next().await.transpose().map_err(|error| failed(&error))?;
        drop(rows);
        let value = match &first {
            Some(row) if !row.is_empty() => plan::text_of(row, 0)?.map(|text| gate::bounded(&text)),
            _ => None,
        };
        Ok((Some(format!("SQLite {version}")), value))
    }
}

/// Stops the queries of a connection when it goes.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether what a query names is not there any more.
fn is_gone(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        let said = error.message();
        said.starts_with("no such table") || said.starts_with("no such column")
    })
}

pub(crate) fn failed(error: &sqlx::Error) -> SourceError {
    let code = match error {
        sqlx::Error::Database(error) => error.code().map(|code| code.into_owned()).unwrap_or_default(),
        _ => String::new(),
    };
    let known = match code.as_str() {
        "26" | "11" => SourceError::query("The file is no SQLite database, is encrypted, or is damaged."),
        "14" => SourceError::new(ErrorCode::FileNotFound, "The data source's file cannot be opened."),
        "8" => SourceError::query("The query writes; only reads are allowed."),
        "9" => SourceError::new(ErrorCode::Timeout, "The query took too long, or was cancelled."),
        "" => SourceError::query("The file cannot be read."),
        "1" if is_gone(error) => SourceError::changed("A table or column does not exist (error 1)."),
        code => SourceError::refused(format!("SQLite refused the query (error {code}).")),
    };
    known.with_detail(error)
}

#[async_trait::async_trait]
impl Source for Sqlite {
    async fn test(&self, query: Option<&str>, timeout: Duration) -> Result<Tested, SourceError> {
        let query = gate::read_only(query.unwrap_or("SELECT 1"))?;
        let began = Instant::now();
        let (version, result) = within(timeout, "The test", self.run_test(query)).await?;
        Ok(Tested { version, result, tunnel: false, elapsed: began.elapsed() })
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Discovered, SourceError> {
        let mut found = Discovered::default();
        self.discover_into(schema, &mut found).await?;
        Ok(found)
    }

    async fn discover_into(&self, schema: Option<&str>, finds: &mut dyn Finds) -> Result<(), SourceError> {
        if schema.is_some_and(|schema| schema != spool::SCHEMA) {
            return Ok(());
        }
        within(self.limit, "Discovery", async {
            let (mut connection, _stop) = self.connect(BUFFERED).await?;
            discover::discover(&mut connection, finds).await
        })
        .await
    }

    async fn schema(&self, relation: &Relation) -> Result<SchemaRef, SourceError> {
        within(self.limit, "Reading the columns", async {
            let (mut connection, _stop) = self.connect(BUFFERED).await?;
            Ok(SchemaRef::clone(&self.plan(&mut connection, relation).await?.schema))
        })
        .await
    }

    fn evaluates(&self, schema: &Schema, filter: &Filter) -> bool {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.values().find(|plan| *plan.schema == *schema).is_some_and(|plan| plan.evaluates(filter))
    }

    fn orders(&self, schema: &Schema, order: &[Order]) -> bool {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.values().find(|plan| *plan.schema == *schema).is_some_and(|plan| plan.orders(order))
    }

    async fn scan(&self, scan: Scan) -> Result<BatchStream, SourceError> {
        let deadline = Instant::now() + self.limit;
        let (connection, stop, plan) = within(self.limit, "Reading the columns", async {
            let (mut connection, stop) = self.connect(BUFFERED).await?;
            let plan = self.plan(&mut connection, &scan.relation).await?;
            Ok((connection, stop, plan))
        })
        .await?;
        let (schema, columns) = plan.project(scan.projection.as_deref())?;
        let filtered: Vec<bool> = scan.filters.iter().map(|filter| plan.evaluates(filter)).collect();
        let pushed: Vec<_> =
            scan.filters.iter().zip(&filtered).filter(|(_, pushed)| **pushed).map(|(f, _)| f).collect();
        let limited =
            scan.limit.is_some() && filtered.iter().all(|pushed| *pushed) && plan.orders(&scan.order);
        let order = if limited { scan.order.as_slice() } else { &[] };
        let limit = scan.limit.filter(|_| limited);
        let query = plan.query(&scan.relation.table, &columns, &pushed, order, limit);
        let (sender, receiver) = mpsc::channel(2);
        let reader = Reader { columns, batch: Batch::new(SchemaRef::clone(&schema))?, limit: self.limit };
        tokio::spawn(reader.run(connection, stop, query, sender, deadline));
        let batches =
            stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
        Ok(BatchStream::new(schema, filtered, limited, Box::pin(batches)))
    }

    async fn close(&self) {}
}

type Sender = mpsc::Sender<Result<RecordBatch, SourceError>>;

struct Reader {
    columns: Vec<(String, PlannedColumn)>,
    batch: Batch,
    limit: Duration,
}

impl Reader {
    async fn run(
        mut self,
        mut connection: SqliteConnection,
        stop: Stop,
        query: plan::Query,
        sender: Sender,
        deadline: Instant,
    ) {
        let ended = tokio::select! {
            ended = tokio::time::timeout_at(deadline, self.read(&mut connection, query, &sender)) => ended,
            () = sender.closed() => Ok(Ok(())),
        };
        drop(stop);
        let failure = match ended {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(SourceError::timeout("The query", self.limit)),
        };
        if let Some(error) = failure {
            let _ = sender.send(Err(error)).await;
        }
        drop(sender);
        let _ = connection.close().await;
    }

    async fn read(
        &mut self,
        connection: &mut SqliteConnection,
        query: plan::Query,
        sender: &Sender,
    ) -> Result<(), SourceError> {
        let mut rows = query.prepared().fetch(connection);
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| failed(&error))?;
            if self.columns.is_empty() {
                let count: i64 = row.try_get(0).map_err(|error| failed(&error))?;
                let mut left = u64::try_from(count).unwrap_or_default();
                while left > 0 {
                    left -= self.batch.end_rows(left);
                    if left > 0 && sender.send(self.batch.take()).await.is_err() {
                        return Ok(());
                    }
                }
                continue;
            }
            for (index, (name, column)) in self.columns.iter().enumerate() {
                column.append(name, &row, index, &mut self.batch)?;
            }
            if self.batch.end_row() && sender.send(self.batch.take()).await.is_err() {
                return Ok(());
            }
        }
        if !self.batch.is_empty() {
            let _ = sender.send(self.batch.take()).await;
        }
        Ok(())
    }
}

//! Reading rows.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, RowStream, SimpleQueryMessage};

use super::connect::Connector;
use super::decode::Raw;
use super::plan::{Plan, PlannedColumn};
use crate::error::{SourceError, within};
use crate::gate;
use crate::pool::Place;
use crate::rows::{Batch, Cell, Unfit};
use crate::source::{BatchStream, Scan};

/// Batches that wait for their reader.
const AHEAD: usize = 2;

/// What a read needs.
pub(super) struct Start<'a> {
    pub(super) connector: Arc<Connector>,
    pub(super) plan: Arc<Plan>,
    pub(super) unfit: Unfit,
    /// How long the whole read may take.
    pub(super) limit: Duration,
    pub(super) place: Place<Client>,
    pub(super) client: Client,
    pub(super) scan: &'a Scan,
}

/// Sends the query and lets its rows flow.
pub(super) async fn start(start: Start<'_>) -> Result<BatchStream, SourceError> {
    let Start { connector, plan, unfit, limit, place, client, scan } = start;
    let deadline = Instant::now() + limit;
    let (schema, columns) = plan.project(scan.projection.as_deref())?;
    let filtered: Vec<bool> = scan.filters.iter().map(|filter| plan.evaluates(filter)).collect();
    let pushed: Vec<_> =
        scan.filters.iter().zip(&filtered).filter(|(_, pushed)| **pushed).map(|(f, _)| f).collect();
    let limited = scan.limit.is_some() && filtered.iter().all(|pushed| *pushed);
    let (query, parameters) = plan.query(&scan.relation, &columns, &pushed, scan.limit.filter(|_| limited));
    let parameters = parameters.iter().map(|text| (text.as_str(), Type::TEXT));
    let rows = within(limit, "The query", async {
        client.query_typed_raw(&query, parameters).await.map_err(|error| connector.error(&error))
    })
    .await;
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => {
            if error.code == crate::ErrorCode::Timeout {
                connector.cancel(client.cancel_token()).await;
            }
            return Err(error);
        }
    };
    let (sender, receiver) = mpsc::channel(AHEAD);
    let reader =
        Reader { connector, columns, unfit, batch: Batch::new(SchemaRef::clone(&schema))?, limit, deadline };
    tokio::spawn(reader.run(client, place, Box::pin(rows), sender));
    let batches =
        stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    Ok(BatchStream::new(schema, filtered, limited, Box::pin(batches)))
}

type Sender = mpsc::Sender<Result<RecordBatch, SourceError>>;

struct Reader {
    connector: Arc<Connector>,
    columns: Vec<(String, PlannedColumn)>,
    unfit: Unfit,
    batch: Batch,
    limit: Duration,
    deadline: Instant,
}

impl Reader {
    /// Reads until the end, an error, the deadline, or until nobody wants more. Unless it came to the end the server is asked to
    /// stop, and the connection is closed.
    async fn run(
        mut self,
        client: Client,
        place: Place<Client>,
        mut rows: Pin<Box<RowStream>>,
        sender: Sender,
    ) {
        let ended = tokio::select! {
            ended = tokio::time::timeout_at(self.deadline, self.read(&mut rows, &sender)) => ended,
            () = sender.closed() => Ok(Ok(false)),
        };
        drop(rows);
        match ended {
            Ok(Ok(true)) => place.put(client),
            Ok(Ok(false)) => self.connector.cancel(client.cancel_token()).await,
            Ok(Err(error)) => {
                if !client.is_closed() {
                    self.connector.cancel(client.cancel_token()).await;
                }
                let _ = sender.send(Err(error)).await;
            }
            Err(_) => {
                self.connector.cancel(client.cancel_token()).await;
                let _ = sender.send(Err(SourceError::timeout("The query", self.limit))).await;
            }
        }
    }

    /// True at the end of the rows, false when nobody wants more.
    async fn read(&mut self, rows: &mut Pin<Box<RowStream>>, sender: &Sender) -> Result<bool, SourceError> {
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| self.connector.error(&error))?;
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
            let raw: Option<Raw<'_>> = row.try_get(index).map_err(|error| self.connector.error(&error))?;
            let cell = match &raw {
                None => Cell::Null,
                Some(raw) => column.decode.cell(name, raw.0, self.unfit)?,
            };
            self.batch.append(index, cell)?;
        }
        Ok(self.batch.end_row())
    }
}

/// Runs a test query, which the gate has let through, in a read-only transaction. Gives the first value of the first row.
pub(super) async fn first_value(
    connector: &Connector,
    client: &Client,
    query: &str,
) -> Result<Option<String>, SourceError> {
    let failed = |error: tokio_postgres::Error| connector.error(&error);
    client.batch_execute("BEGIN READ ONLY").await.map_err(failed)?;
    let first = query.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    // Inside a subquery nothing but a query parses, and the server sends no more than is shown.
    let bounded = match first.as_str() {
        "show" | "explain" => query.to_owned(),
        _ => format!(
            "SELECT left(first_value::text, {}) FROM ({query}) AS test_query (first_value) LIMIT 1",
            gate::LONGEST_RESULT + 1
        ),
    };
    let token = client.cancel_token();
    let rows = client.simple_query_raw(&bounded).await.map_err(failed)?;
    let mut rows = Box::pin(rows);
    let mut value = None;
    while let Some(message) = rows.next().await {
        if let SimpleQueryMessage::Row(row) = message.map_err(failed)? {
            value = (!row.is_empty())
                .then(|| row.try_get(0))
                .transpose()
                .map_err(failed)?
                .flatten()
                .map(gate::bounded);
            break;
        }
    }
    drop(rows);
    if first == "explain" || first == "show" {
        connector.cancel(token).await;
    }
    Ok(value)
}

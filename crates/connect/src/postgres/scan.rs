//! Reading rows.

use futures_util::StreamExt;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Conn;
use super::connect::Connector;
use super::decode::Raw;
use super::plan::Plan;
use crate::error::SourceError;
use crate::gate;
use crate::rows::{Cell, Unfit};
use crate::wire::server::{Out, Work};

/// Sends the query and lets its rows flow.
pub(super) async fn read(
    connector: &Connector,
    conn: &mut Conn,
    unfit: Unfit,
    work: &Work<Plan>,
    out: &mut Out,
) -> Result<(), SourceError> {
    let columns = work.plan.columns_of(&work.schema);
    let (query, parameters) =
        work.plan.query(&work.relation, &columns, &work.filters, &work.order, work.limit);
    let parameters = parameters.iter().map(|text| (text.as_str(), Type::TEXT));
    conn.is_busy = true;
    let rows = conn.client.query_typed_raw(&query, parameters).await;
    let mut rows = Box::pin(rows.map_err(|error| failed(connector, conn, &error))?);
    while let Some(row) = rows.next().await {
        let row = row.map_err(|error| failed(connector, conn, &error))?;
        if columns.is_empty() {
            let count: i64 = row.try_get(0).map_err(|error| connector.error(&error))?;
            out.end_rows(u64::try_from(count).unwrap_or_default()).await?;
            continue;
        }
        for (index, (name, column)) in columns.iter().enumerate() {
            let raw: Option<Raw<'_>> = row.try_get(index).map_err(|error| connector.error(&error))?;
            let cell = match &raw {
                None => Cell::Null,
                Some(raw) => column.decode.cell(name, raw.0, unfit)?,
            };
            out.append(index, cell)?;
        }
        out.end_row().await?;
    }
    conn.is_busy = false;
    Ok(())
}

/// What the server refuses, it is not at work on any more.
fn failed(connector: &Connector, conn: &mut Conn, error: &tokio_postgres::Error) -> SourceError {
    conn.is_busy = error.as_db_error().is_none();
    connector.error(error)
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

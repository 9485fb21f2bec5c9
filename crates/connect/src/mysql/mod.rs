//! MySQL, MariaDB, and what speaks their protocol.

use std::time::Duration;

use arrow_schema::SchemaRef;
use futures_util::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Params, Value};

use crate::discovered::Discovered;
use crate::error::SourceError;
use crate::filter::Filter;
use crate::gate;
use crate::network::NetworkPolicy;
use crate::rows::Unfit;
use crate::settings::Settings;
use crate::source::{Order, Relation};
use crate::wire::Endpoint;
use crate::wire::server::{Driver, Out, Work};

mod connect;
mod discover;
mod plan;

use connect::Connector;
use plan::Plan;

/// A server reached by MySQL's protocol.
pub(crate) struct Mysql {
    connector: Connector,
    unfit: Unfit,
}

/// A connection that is signed in.
pub(crate) struct Conn {
    conn: mysql_async::Conn,
    /// Whether the server may still be at work for it.
    is_busy: bool,
}

impl Mysql {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        Ok(Self { unfit: Unfit::of(settings)?, connector: Connector::new(settings, policy).await? })
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

/// The number of rows that the server counted.
fn counted(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::Int(count)) => u64::try_from(*count).unwrap_or_default(),
        Some(Value::UInt(count)) => *count,
        _ => 0,
    }
}

#[async_trait::async_trait]
impl Driver for Mysql {
    type Conn = Conn;
    type Plan = Plan;

    fn endpoint(&self) -> &Endpoint {
        &self.connector.endpoint
    }

    fn check(&self, query: Option<&str>) -> Result<(), SourceError> {
        query.map_or(Ok(()), |query| gate::read_only(query).map(|_| ()))
    }

    async fn connect(&self, queries: Duration) -> Result<Conn, SourceError> {
        Ok(Conn { conn: self.connector.connect(queries).await?, is_busy: false })
    }

    async fn is_alive(&self, conn: &mut Conn) -> bool {
        // The server may have closed it meanwhile, which only asking tells.
        !conn.conn.is_disconnected() && conn.conn.ping().await.is_ok()
    }

    async fn probe(
        &self,
        conn: &mut Conn,
        query: Option<&str>,
    ) -> Result<(Option<String>, Option<String>), SourceError> {
        let query = gate::read_only(query.unwrap_or("SELECT 1"))?;
        let failed = |error: mysql_async::Error| self.connector.error(&error);
        let version: Option<String> = conn.conn.query_first("SELECT VERSION()").await.map_err(failed)?;
        conn.conn.query_drop("START TRANSACTION READ ONLY").await.map_err(failed)?;
        // By a prepared statement, which is one statement.
        let mut rows = connect::rows(&mut conn.conn, query, Params::Empty).await.map_err(failed)?;
        let first = rows.next().await.transpose().map_err(failed)?;
        let more = first.is_some() && rows.next().await.is_some();
        drop(rows);
        conn.is_busy = more;
        Ok((version.map(|version| product(&version)), first.and_then(|row| row.as_ref(0).and_then(shown))))
    }

    async fn places(&self, conn: &mut Conn) -> Result<Vec<String>, SourceError> {
        discover::databases(&self.connector, &mut conn.conn).await
    }

    async fn discover(&self, conn: &mut Conn, schema: Option<&str>) -> Result<Discovered, SourceError> {
        let schema = schema.unwrap_or(&self.connector.database);
        discover::discover(&self.connector, &mut conn.conn, schema).await
    }

    async fn plan(&self, conn: &mut Conn, relation: &Relation) -> Result<Plan, SourceError> {
        Plan::look_up(&self.connector, &mut conn.conn, relation, self.unfit).await
    }

    fn schema<'p>(&self, plan: &'p Plan) -> &'p SchemaRef {
        &plan.schema
    }

    fn applies(&self, plan: &Plan, filters: &[Filter]) -> Vec<bool> {
        filters.iter().map(|filter| plan.evaluates(filter)).collect()
    }

    fn orders(&self, plan: &Plan, order: &[Order]) -> bool {
        plan.orders(order)
    }

    async fn read(&self, conn: &mut Conn, work: &Work<Plan>, out: &mut Out) -> Result<(), SourceError> {
        let columns = work.plan.columns_of(&work.schema);
        let schema = work.relation.schema.as_deref().unwrap_or(&self.connector.database);
        let place = (schema, work.relation.table.as_str());
        let (query, parameters) = work.plan.query(place, &columns, &work.filters, &work.order, work.limit);
        let parameters = if parameters.is_empty() { Params::Empty } else { Params::Positional(parameters) };
        conn.is_busy = true;
        let rows = connect::rows(&mut conn.conn, &query, parameters).await;
        let mut rows = rows.map_err(|error| self.connector.error(&error))?;
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| self.connector.error(&error))?;
            if columns.is_empty() {
                out.end_rows(counted(row.as_ref(0))).await?;
                continue;
            }
            for (index, (name, column)) in columns.iter().enumerate() {
                let cell = column.cell(name, row.as_ref(index).unwrap_or(&Value::NULL), self.unfit)?;
                out.append(index, cell)?;
            }
            out.end_row().await?;
        }
        drop(rows);
        conn.is_busy = false;
        Ok(())
    }

    async fn abandon(&self, conn: Conn) {
        if conn.is_busy && !conn.conn.is_disconnected() {
            self.connector.kill(conn.conn.id()).await;
        }
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

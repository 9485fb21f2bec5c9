//! Databricks by its SQL Statement Execution interface: statements are sent, waited for, and their results read chunk by chunk.
//!
//! Source: Databricks, "Statement Execution API", "Information schema", "Data types", "Parameter markers".

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::client::{self, Client, Request};
use super::sql::allowance::Allowance;
use super::sql::plan::{Compare, Found, Kind, Planned};
use super::sql::{Statement, Texts, Warehouse, date_text, moment_text};
use super::tree;
use crate::error::{ErrorCode, SourceError};
use crate::filter::{Literal, decimal_text};
use crate::network::NetworkPolicy;
use crate::settings::Settings;

/// Before the first question whether a statement is done; each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// A statement has 16 MiB; so long a one is nobody's.
const ALLOWANCE: Allowance = Allowance { texts: 1 << 20, values: 1 << 20 };

/// A SQL warehouse of a Databricks workspace.
pub(crate) struct Databricks {
    client: Client,
    base: Url,
    warehouse: String,
    catalog: Option<String>,
}

/// A statement and how far its result was read.
pub(crate) struct Running {
    id: String,
    /// The answer to the statement, until it is done.
    answer: Option<Value>,
    /// Where the next chunk is.
    next: Option<Url>,
}

impl Databricks {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let base = client::base(settings, 443)?;
        let warehouse = settings.credentials.warehouse.as_ref();
        let warehouse =
            warehouse.ok_or_else(|| SourceError::connection("credentials.warehouse is missing."))?;
        let headers = client::sign_in(&settings.credentials, None)?;
        Ok(Self {
            client: Client::open(settings, policy, headers).await?,
            base,
            warehouse: warehouse.expose().to_owned(),
            catalog: settings.database_name.clone().filter(|name| !name.is_empty()),
        })
    }

    async fn ask(&self, request: Request) -> Result<Value, SourceError> {
        let answer = self.client.send(request).await?;
        tree(&answer.body)
    }

    fn statements(&self, below: &[&str]) -> Result<Url, SourceError> {
        let mut parts = vec!["api", "2.0", "sql", "statements"];
        parts.extend(below);
        client::below(&self.base, &parts)
    }

    /// The answer that says that a statement is done.
    async fn done(&self, id: &str, mut answer: Value) -> Result<Value, SourceError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match answer.pointer("/status/state").and_then(Value::as_str) {
                Some("SUCCEEDED") => return Ok(answer),
                Some("PENDING" | "RUNNING") => tokio::time::sleep(pause).await,
                Some("CANCELED") => {
                    return Err(SourceError::new(ErrorCode::Timeout, "The query was cancelled."));
                }
                _ => {
                    let why =
                        answer.pointer("/status/error/message").and_then(Value::as_str).unwrap_or_default();
                    let why = self.client.told(why, "");
                    return Err(SourceError::refused("Databricks refused the query.").with_detail(why));
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            answer = self.ask(Request::get(self.statements(&[id])?)).await?;
        }
    }

    /// Where the chunk after one is; none after the last. The token is for this server.
    fn after(&self, chunk: &Value) -> Result<Option<Url>, SourceError> {
        let Some(next) = chunk.get("next_chunk_internal_link").and_then(Value::as_str) else {
            return Ok(None);
        };
        let url = self.base.join(next);
        let url = url.map_err(|_| SourceError::query("The link to the next chunk is no URL."))?;
        if url.origin() != self.base.origin() {
            return Err(SourceError::connection("The link to the next chunk leads to another server."));
        }
        Ok(Some(url))
    }
}

/// The rows of a chunk.
fn rows(chunk: &Value) -> Vec<Texts> {
    let rows = chunk.get("data_array").and_then(Value::as_array).into_iter().flatten();
    let cells = |row: &Value| -> Texts {
        let cells = row.as_array().into_iter().flatten();
        cells.map(|cell| cell.as_str().map(str::to_owned)).collect()
    };
    rows.map(cells).collect()
}

fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in a statement, which is sent apart from it.
fn parameter(text: &str, parameters: &mut Vec<String>) -> String {
    parameters.push(text.to_owned());
    format!(":p{}", parameters.len() - 1)
}

/// How values of a type are read, by the column's name in a statement, and which of them are compared there.
fn reading(native: &str, name: &str) -> (Kind, String, Compare) {
    let native = native.trim().to_lowercase();
    let base = native.split(['(', '<', ' ']).next().unwrap_or_default();
    let plain = |kind, compare| (kind, name.to_owned(), compare);
    let written = |kind, compare| (kind, format!("CAST({name} AS STRING)"), compare);
    match base {
        "tinyint" => plain(Kind::Signed(8), Compare::All),
        "smallint" => plain(Kind::Signed(16), Compare::All),
        "int" => plain(Kind::Signed(32), Compare::All),
        "bigint" => plain(Kind::Signed(64), Compare::All),
        "boolean" => plain(Kind::Boolean, Compare::All),
        "float" => written(Kind::Real, Compare::NullOnly),
        "double" => written(Kind::Float, Compare::NullOnly),
        "decimal" => {
            let arguments = native.split_once('(').map(|(_, rest)| rest.trim_end_matches(')'));
            let mut arguments = arguments.unwrap_or_default().split(',').map(str::trim);
            let precision = arguments.next().and_then(|digits| digits.parse().ok()).unwrap_or(10);
            let scale = arguments.next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
            written(Kind::Decimal { precision, scale }, Compare::All)
        }
        // Compared byte by byte, unless a collation stands behind its name.
        "string" if native == "string" => plain(Kind::Text, Compare::All),
        "string" | "varchar" | "char" => plain(Kind::Text, Compare::NullOnly),
        "binary" => (Kind::Hex, format!("hex({name})"), Compare::All),
        "date" => written(Kind::Date, Compare::All),
        // Text of it would be in the zone of the session.
        "timestamp" => (Kind::Microseconds, format!("unix_micros({name})"), Compare::All),
        "timestamp_ntz" => written(Kind::Timestamp, Compare::All),
        // A value that is JSON's null is not NULL there, and is here.
        "variant" => (Kind::Text, format!("to_json({name})"), Compare::Nothing),
        "array" | "map" | "struct" => (Kind::Text, format!("to_json({name})"), Compare::NullOnly),
        "geography" | "geometry" => (Kind::Text, format!("st_astext({name})"), Compare::NullOnly),
        _ => written(Kind::Text, Compare::NullOnly),
    }
}

#[async_trait::async_trait]
impl Warehouse for Databricks {
    type Running = Running;

    fn title(&self) -> &'static str {
        "Databricks"
    }

    fn probe(&self) -> &'static str {
        "SELECT 1"
    }

    fn product(&self) -> &'static str {
        "Databricks SQL"
    }

    fn version_query(&self) -> Option<&'static str> {
        Some("SELECT current_version().dbsql_version")
    }

    async fn catalogs(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<Statement>, SourceError> {
        let text = "SELECT c.table_schema, c.table_name, CASE WHEN t.table_type LIKE '%VIEW%' THEN 'V' ELSE 'T' END, NULL, t.comment, \
             c.column_name, c.full_data_type, NULL, NULL, c.is_nullable, c.comment, NULL, NULL \
             FROM information_schema.columns AS c JOIN information_schema.tables AS t \
             ON t.table_schema = c.table_schema AND t.table_name = c.table_name WHERE c.table_schema <> 'information_schema'"
            .to_owned();
        let mut statement = self.named(text, [("c.table_schema", schema), ("c.table_name", table)]);
        statement.text.push_str(" ORDER BY c.table_schema, c.table_name, c.ordinal_position");
        Ok(vec![statement])
    }

    fn parameter(&self, text: &str, parameters: &mut Vec<String>) -> String {
        parameter(text, parameters)
    }

    fn identifier(&self, name: &str) -> String {
        identifier(name)
    }

    fn reading(&self, found: &Found, name: &str) -> (Kind, String, Compare) {
        reading(&found.native, name)
    }

    fn literal(&self, column: &Planned, literal: &Literal, parameters: &mut Vec<String>) -> String {
        match literal {
            Literal::Boolean(value) => value.to_string(),
            Literal::Int(value) => format!("{value}L"),
            Literal::UInt(value) => format!("CAST('{value}' AS DECIMAL(20, 0))"),
            Literal::Decimal { unscaled, scale } => {
                let (precision, scale_there) = match column.kind {
                    Kind::Decimal { precision, scale } => (precision, scale),
                    _ => (38, *scale),
                };
                format!("CAST('{}' AS DECIMAL({precision}, {scale_there}))", decimal_text(*unscaled, *scale))
            }
            Literal::Utf8(text) => parameter(text, parameters),
            Literal::Binary(bytes) => format!("X'{}'", hex::encode(bytes)),
            Literal::Date(days) => format!("DATE'{}'", date_text(*days)),
            Literal::Timestamp(moment) if column.kind == Kind::Timestamp => {
                format!("TIMESTAMP_NTZ'{}'", moment_text(*moment))
            }
            Literal::Timestamp(moment) => format!("timestamp_micros({moment}L)"),
        }
    }

    fn allowance(&self) -> Allowance {
        ALLOWANCE
    }

    fn default_schema(&self) -> &str {
        "default"
    }

    /// What is started is not waited for in the request that starts it: its id, by which it is cancelled, is known at once so.
    async fn begin(&self, statement: Statement) -> Result<Running, SourceError> {
        let limit = statement.limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
        let mut body = json!({
            "warehouse_id": self.warehouse, "statement": format!("{}{limit}", statement.text), "wait_timeout": "0s",
            "on_wait_timeout": "CONTINUE", "disposition": "INLINE", "format": "JSON_ARRAY",
        });
        let parameters = statement.parameters.iter().enumerate();
        let parameters: Vec<Value> = parameters
            .map(|(index, value)| json!({ "name": format!("p{index}"), "value": value, "type": "STRING" }))
            .collect();
        if let Some(body) = body.as_object_mut() {
            if !parameters.is_empty() {
                body.insert("parameters".to_owned(), Value::Array(parameters));
            }
            if let Some(catalog) = &self.catalog {
                body.insert("catalog".to_owned(), json!(catalog));
            }
        }
        let answer = self.ask(Request::post(self.statements(&[])?, &body)).await?;
        let id = answer.get("statement_id").and_then(Value::as_str);
        let id = id.ok_or_else(|| super::nothing_at("statement_id"))?.to_owned();
        Ok(Running { id, answer: Some(answer), next: None })
    }

    async fn page(&self, running: &mut Running) -> Result<Option<Vec<Texts>>, SourceError> {
        let chunk = match (running.answer.take(), running.next.take()) {
            (Some(answer), _) => {
                let mut answer = self.done(&running.id, answer).await?;
                answer.get_mut("result").map(Value::take).unwrap_or_default()
            }
            (None, Some(next)) => self.ask(Request::get(next)).await?,
            (None, None) => return Ok(None),
        };
        running.next = self.after(&chunk)?;
        Ok(Some(rows(&chunk)))
    }

    async fn cancel(&self, running: &Running) {
        let Ok(url) = self.statements(&[&running.id, "cancel"]) else { return };
        if let Err(error) = self.client.send(Request::post(url, &json!({}))).await {
            tracing::debug!(detail = error.detail, "a statement was not cancelled");
        }
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_so_that_nothing_depends_on_the_session() {
        let of = |native: &str| reading(native, "`c`");
        assert_eq!(of("STRING"), (Kind::Text, "`c`".to_owned(), Compare::All));
        assert_eq!(of("string collate UNICODE_CI").2, Compare::NullOnly);
        assert_eq!(of("char(3)").2, Compare::NullOnly, "blanks at its end are none there");
        assert_eq!(of("decimal(10,2)").0, Kind::Decimal { precision: 10, scale: 2 });
        assert_eq!(of("timestamp"), (Kind::Microseconds, "unix_micros(`c`)".to_owned(), Compare::All));
        assert_eq!(of("timestamp_ntz").0, Kind::Timestamp);
        assert_eq!(of("array<string>").1, "to_json(`c`)");
        assert_eq!(of("variant").2, Compare::Nothing);
        assert_eq!(of("interval day to second").1, "CAST(`c` AS STRING)");
        assert_eq!(identifier("a``b"), "`a````b`");
    }
}

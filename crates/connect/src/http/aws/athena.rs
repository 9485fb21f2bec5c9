//! Athena: queries are started, waited for, and their results read page by page.
//!
//! Source: Amazon Athena, "API reference", "Data types", "Querying the AWS Glue Data Catalog"; Trino, "SQL language", whose literals have
//! no escapes.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Aws;
use crate::discovered::few;
use crate::error::{ErrorCode, SourceError};
use crate::filter::{Literal, decimal_text};
use crate::http::sql::allowance::Allowance;
use crate::http::sql::plan::{Compare, DATES, Found, Kind, Planned};
use crate::http::sql::{Statement, Texts, Warehouse, date_text, moment_text};
use crate::http::{at_path, elements, text_at, tree};
use crate::network::NetworkPolicy;
use crate::settings::Settings;

/// Between two questions whether a query is done.
const PAUSE: Duration = Duration::from_millis(300);
/// A query has 262,144 bytes at most.
const ALLOWANCE: Allowance = Allowance { texts: 128 << 10, values: 128 << 10 };

/// Athena in a region.
pub(crate) struct Athena {
    aws: Aws,
    catalog: String,
    workgroup: String,
    output: Option<String>,
    database: Option<String>,
}

/// A query and how far its result was read.
pub(crate) struct Running {
    id: String,
    read: Read,
}

/// How far a result was read.
enum Read {
    /// The query may not be done yet.
    Nothing,
    /// There is more, by this token.
    UpTo(String),
    All,
}

impl Athena {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        Ok(Self {
            aws: Aws::open(settings, policy, "athena", "AmazonAthena").await?,
            catalog: settings.option("catalog")?.unwrap_or("AwsDataCatalog").to_owned(),
            workgroup: settings.option("workgroup")?.unwrap_or("primary").to_owned(),
            output: settings.option("output_location")?.map(str::to_owned),
            database: settings.database_name.clone().filter(|name| !name.is_empty()),
        })
    }

    /// Waits until a query is done.
    async fn done(&self, id: &str) -> Result<(), SourceError> {
        loop {
            let body = self.aws.call("GetQueryExecution", &json!({ "QueryExecutionId": id })).await?;
            match text_at(&body, "QueryExecution.Status.State")?.as_deref() {
                Some("SUCCEEDED") => return Ok(()),
                Some("QUEUED" | "RUNNING") => tokio::time::sleep(PAUSE).await,
                Some("CANCELLED") => {
                    return Err(SourceError::new(ErrorCode::Timeout, "The query was cancelled."));
                }
                _ => {
                    let reason =
                        text_at(&body, "QueryExecution.Status.StateChangeReason")?.unwrap_or_default();
                    let reason = self.aws.client.told(&reason, "");
                    return Err(SourceError::refused("Athena refused the query.").with_detail(reason));
                }
            }
        }
    }

    /// The databases that are looked into.
    async fn databases(&self, schema: Option<&str>) -> Result<Vec<String>, SourceError> {
        if let Some(database) = schema.or(self.database.as_deref()) {
            return Ok(vec![database.to_owned()]);
        }
        let mut found = Vec::new();
        let mut ask = json!({ "CatalogName": self.catalog });
        loop {
            let body = self.aws.call("ListDatabases", &ask).await?;
            for database in elements(at_path(&body, "DatabaseList")?.unwrap_or("[]"))? {
                found.extend(text_at(database, "Name")?);
            }
            few(&found)?;
            match text_at(&body, "NextToken")? {
                Some(token) => ask = json!({ "CatalogName": self.catalog, "NextToken": token }),
                None => return Ok(found),
            }
        }
    }
}

/// A text in a query. It ends at the next single quote that is not doubled, whatever else is in it.
fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The rows of an answer. The first row of a result holds the names of its columns.
fn rows(answer: &Value, is_first: bool) -> Vec<Texts> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let about = answer.pointer("/ResultSet/ResultSetMetadata/ColumnInfo").and_then(Value::as_array);
    let names: Texts = about.into_iter().flatten().map(|column| text(column, "Name")).collect();
    let cells = |row: &Value| -> Texts {
        let cells = row.get("Data").and_then(Value::as_array).into_iter().flatten();
        cells.map(|cell| text(cell, "VarCharValue")).collect()
    };
    let all = answer.pointer("/ResultSet/Rows").and_then(Value::as_array);
    let mut rows: Vec<Texts> = all.into_iter().flatten().map(cells).collect();
    if is_first && rows.first().is_some_and(|row| *row == names) {
        rows.remove(0);
    }
    rows
}

/// How values of a type are read, by the column's name in a query, and which of them are compared there.
fn reading(native: &str, name: &str) -> (Kind, String, Compare) {
    let native = native.trim().to_lowercase();
    let (base, rest) = native.split_once('(').unwrap_or((&native, ""));
    let mut arguments = rest.split(')').next().unwrap_or_default().split(',').map(str::trim);
    let plain = |kind, compare| (kind, name.to_owned(), compare);
    match base.trim() {
        "tinyint" => plain(Kind::Signed(8), Compare::All),
        "smallint" => plain(Kind::Signed(16), Compare::All),
        "integer" => plain(Kind::Signed(32), Compare::All),
        "bigint" => plain(Kind::Signed(64), Compare::All),
        "boolean" => plain(Kind::Boolean, Compare::All),
        "real" => plain(Kind::Real, Compare::NullOnly),
        "double" => plain(Kind::Float, Compare::NullOnly),
        "decimal" => {
            let precision = arguments.next().and_then(|digits| digits.parse().ok()).unwrap_or(38);
            let scale = arguments.next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
            plain(Kind::Decimal { precision, scale }, Compare::All)
        }
        // Compared byte by byte: there are no collations.
        "varchar" => plain(Kind::Text, Compare::All),
        // Blanks at the end of a `char` are none.
        "char" => plain(Kind::Text, Compare::NullOnly),
        "varbinary" => (Kind::Hex, format!("to_hex({name})"), Compare::All),
        "date" => plain(Kind::Date, Compare::All),
        "json" => (Kind::Text, format!("json_format({name})"), Compare::NullOnly),
        "timestamp" => {
            let digits: u32 = arguments.next().and_then(|digits| digits.parse().ok()).unwrap_or(3);
            let unit = 10_i64.pow(6_u32.saturating_sub(digits));
            let compare = Compare::Within { first: *DATES.start(), last: *DATES.end(), unit };
            if native.ends_with("with time zone") {
                let expression = format!("CAST({name} AT TIME ZONE 'UTC' AS timestamp({}))", digits.min(12));
                return (Kind::Instant, expression, compare);
            }
            plain(Kind::Timestamp, compare)
        }
        // Arrays, maps and rows among them, as Athena writes them.
        _ => plain(Kind::Text, Compare::NullOnly),
    }
}

#[async_trait::async_trait]
impl Warehouse for Athena {
    type Running = Running;

    fn title(&self) -> &'static str {
        "Athena"
    }

    fn probe(&self) -> &'static str {
        "SELECT 1"
    }

    fn product(&self) -> &'static str {
        "Amazon Athena"
    }

    async fn catalogs(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<Statement>, SourceError> {
        let of_table = match table {
            Some(table) => format!(" AND c.table_name = {}", text_literal(table)),
            None => String::new(),
        };
        // One database after the other: the catalog of all of them may be too much for one query.
        let databases = self.databases(schema).await?;
        let statements = databases.iter().map(|database| {
            let database = text_literal(database);
            Statement::new(
                format!(
                    "SELECT c.table_schema, c.table_name, CASE WHEN t.table_type = 'VIEW' THEN 'V' ELSE 'T' END, '', '', c.column_name, \
                     c.data_type, '', '', c.is_nullable, '', '', '' FROM information_schema.columns c JOIN information_schema.tables t \
                     ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
                     WHERE c.table_schema = {database} AND t.table_schema = {database}{of_table} \
                     ORDER BY c.table_schema, c.table_name, c.ordinal_position"
                ),
                Vec::new(),
            )
        });
        Ok(statements.collect())
    }

    fn reading(&self, found: &Found, name: &str) -> (Kind, String, Compare) {
        reading(&found.native, name)
    }

    /// All of them stand in the query: what Athena calls parameters are pieces of it, too, quoted by whoever sends them.
    fn literal(&self, column: &Planned, literal: &Literal, _: &mut Vec<String>) -> String {
        match literal {
            Literal::Boolean(value) => value.to_string(),
            Literal::Int(value) => format!("BIGINT '{value}'"),
            Literal::UInt(value) => format!("DECIMAL '{value}'"),
            Literal::Decimal { unscaled, scale } => {
                let (precision, scale_there) = match column.kind {
                    Kind::Decimal { precision, scale } => (precision, scale),
                    _ => (38, *scale),
                };
                format!("CAST('{}' AS decimal({precision}, {scale_there}))", decimal_text(*unscaled, *scale))
            }
            Literal::Utf8(text) => text_literal(text),
            Literal::Binary(bytes) => format!("X'{}'", hex::encode(bytes)),
            Literal::Date(days) => format!("DATE '{}'", date_text(*days)),
            Literal::Timestamp(moment) => {
                let zone = if column.kind == Kind::Instant { " UTC" } else { "" };
                format!("TIMESTAMP '{}{zone}'", moment_text(*moment))
            }
        }
    }

    fn allowance(&self) -> Allowance {
        ALLOWANCE
    }

    fn default_schema(&self) -> &str {
        self.database.as_deref().unwrap_or("default")
    }

    async fn begin(&self, statement: Statement) -> Result<Running, SourceError> {
        let limit = statement.limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
        let mut ask = Map::new();
        ask.insert("QueryString".to_owned(), json!(format!("{}{limit}", statement.text)));
        ask.insert("WorkGroup".to_owned(), json!(self.workgroup));
        let mut context = json!({ "Catalog": self.catalog });
        if let (Some(database), Some(context)) = (&self.database, context.as_object_mut()) {
            context.insert("Database".to_owned(), json!(database));
        }
        ask.insert("QueryExecutionContext".to_owned(), context);
        if let Some(output) = &self.output {
            ask.insert("ResultConfiguration".to_owned(), json!({ "OutputLocation": output }));
        }
        let started = self.aws.call("StartQueryExecution", &Value::Object(ask)).await?;
        let id = text_at(&started, "QueryExecutionId")?
            .ok_or_else(|| SourceError::query("Athena gave the query no id."))?;
        Ok(Running { id, read: Read::Nothing })
    }

    async fn page(&self, running: &mut Running) -> Result<Option<Vec<Texts>>, SourceError> {
        let mut ask = json!({ "QueryExecutionId": running.id, "MaxResults": 1000 });
        let is_first = match &running.read {
            Read::All => return Ok(None),
            Read::Nothing => {
                self.done(&running.id).await?;
                true
            }
            Read::UpTo(token) => {
                if let Some(ask) = ask.as_object_mut() {
                    ask.insert("NextToken".to_owned(), json!(token));
                }
                false
            }
        };
        let body = self.aws.call("GetQueryResults", &ask).await?;
        let answer = tree(body.as_bytes())?;
        running.read = match answer.get("NextToken").and_then(Value::as_str) {
            Some(token) => Read::UpTo(token.to_owned()),
            None => Read::All,
        };
        Ok(Some(rows(&answer, is_first)))
    }

    /// A query that goes on is paid for by what it reads.
    async fn cancel(&self, running: &Running) {
        if let Err(error) =
            self.aws.call("StopQueryExecution", &json!({ "QueryExecutionId": running.id })).await
        {
            tracing::debug!(detail = error.detail, "a query was not stopped");
        }
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.aws.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::sql::double_quoted;

    #[test]
    fn types_are_those_of_queries() {
        let of = |native: &str| reading(native, "\"c\"");
        assert_eq!(of("varchar"), (Kind::Text, "\"c\"".to_owned(), Compare::All));
        assert_eq!(of("varchar(10)").2, Compare::All);
        assert_eq!(of("char(3)").2, Compare::NullOnly);
        assert_eq!(of("decimal(10, 2)").0, Kind::Decimal { precision: 10, scale: 2 });
        assert!(matches!(of("timestamp(3)"), (Kind::Timestamp, _, Compare::Within { unit: 1_000, .. })));
        let zoned = of("timestamp(6) with time zone");
        assert_eq!(zoned.1, "CAST(\"c\" AT TIME ZONE 'UTC' AS timestamp(6))");
        assert!(matches!(zoned, (Kind::Instant, _, Compare::Within { unit: 1, .. })));
        assert_eq!(of("row(a integer, b varchar)").0, Kind::Text);
        assert_eq!(of("array(varchar(3))").2, Compare::NullOnly);
    }

    #[test]
    fn hostile_texts_stay_texts() {
        assert_eq!(text_literal("O'Brien\\' OR 1 = 1 --"), "'O''Brien\\'' OR 1 = 1 --'");
        assert_eq!(double_quoted("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn names_are_no_row() {
        let cell = |text: &str| json!({ "VarCharValue": text });
        let rows_of = |rows: Value| json!({ "ResultSet": { "Rows": rows, "ResultSetMetadata": { "ColumnInfo": [{ "Name": "c0" }] } } });
        let answer = rows_of(json!([{ "Data": [cell("c0")] }, { "Data": [{}] }]));
        assert_eq!(rows(&answer, true), [vec![None::<String>]]);
        assert_eq!(rows(&answer, false), [vec![Some("c0".to_owned())], vec![None::<String>]]);
        assert!(rows(&rows_of(json!([])), true).is_empty());
    }
}

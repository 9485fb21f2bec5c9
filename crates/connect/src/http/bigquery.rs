//! BigQuery: queries are jobs, whose results are read page by page.
//!
//! Source: Google Cloud, "BigQuery REST API" (v2): jobs.query, jobs.getQueryResults, jobs.cancel, datasets.list.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::client::{self, Request};
use super::google::{Google, endpoint};
use super::sql::plan::{Compare, Found, Kind, Planned};
use super::sql::{Statement, Texts, Warehouse, date_text, moment_text};
use crate::error::{ErrorCode, Refused, SourceError};
use crate::filter::{Literal, decimal_text};
use crate::network::NetworkPolicy;
use crate::settings::Settings;

const SCOPE: &str = "https://www.googleapis.com/auth/bigquery";
const ENDPOINT: &str = "https://bigquery.googleapis.com/";
/// Rows of a page at most; the server sends fewer where they are large.
const PAGE: usize = 10_000;
/// Cells of a page at most: each is an object, which costs hundreds of bytes until it is read.
const CELLS: usize = 250_000;
/// Rows of the first page, before it is known how wide they are.
const FIRST: usize = 25;
/// Milliseconds that the server waits before it says that a job is not done. Short, so that there is soon a job to be cancelled.
const WAIT: u64 = 2_000;
/// Between two questions whether a job is done, besides the time that the server waits.
const PAUSE: Duration = Duration::from_millis(100);
/// Datasets at most.
const DATASETS: usize = 1_000;

/// The datasets of a project.
pub(crate) struct Bigquery {
    google: Google,
    base: Url,
    project: String,
    /// The only dataset that is looked into, if one is named.
    dataset: Option<String>,
    location: Option<String>,
    most_bytes: Option<u64>,
}

/// A job and how far its result was read.
pub(crate) struct Running {
    job: Option<(String, Option<String>)>,
    /// An answer that has rows, or says that the job is not done yet.
    answer: Option<Value>,
    token: Option<String>,
    /// Rows of a page, by how wide they are.
    page: usize,
}

impl Bigquery {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let most_bytes = match settings.metadata.get("maximum_bytes_billed") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_u64().ok_or_else(|| {
                SourceError::connection("metadata.maximum_bytes_billed must be a whole number of bytes.")
            })?),
        };
        let dataset = settings.schema_name.clone().or_else(|| settings.database_name.clone());
        Ok(Self {
            google: Google::open(settings, policy, SCOPE).await?,
            base: endpoint(settings, ENDPOINT)?,
            project: Google::project(settings)?,
            dataset: dataset.filter(|name| !name.is_empty()),
            location: settings.option("location")?.map(str::to_owned),
            most_bytes,
        })
    }

    fn url(&self, below: &[&str]) -> Result<Url, SourceError> {
        let mut parts = vec!["bigquery", "v2", "projects", &self.project];
        parts.extend(below);
        client::below(&self.base, &parts)
    }

    async fn ask(&self, request: Request) -> Result<Value, SourceError> {
        self.google.ask(request).await.map_err(|mut error| {
            match error.code {
                // "Access denied" to a table is a 403, as is a quota.
                ErrorCode::Query => "BigQuery refused the query.".clone_into(&mut error.message),
                ErrorCode::Authentication if error.detail.contains("quotaExceeded") => {
                    (error.code, error.refused) = (ErrorCode::Query, Some(Refused::Statement));
                    "The quota of the project is used up.".clone_into(&mut error.message);
                }
                _ => {}
            }
            error
        })
    }

    /// The datasets that are looked into.
    async fn datasets(&self, schema: Option<&str>) -> Result<Vec<String>, SourceError> {
        if let Some(dataset) = schema.or(self.dataset.as_deref()) {
            return Ok(vec![dataset.to_owned()]);
        }
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut url = self.url(&["datasets"])?;
            url.query_pairs_mut().append_pair("maxResults", "1000");
            if let Some(token) = &token {
                url.query_pairs_mut().append_pair("pageToken", token);
            }
            let answer = self.ask(Request::get(url)).await?;
            for dataset in answer.get("datasets").and_then(Value::as_array).into_iter().flatten() {
                let id = dataset.pointer("/datasetReference/datasetId").and_then(Value::as_str);
                found.extend(id.map(str::to_owned));
            }
            if found.len() > DATASETS {
                return Err(SourceError::query(format!(
                    "The project has more than {DATASETS} datasets; name one in database_name."
                )));
            }
            token = text(&answer, "nextPageToken");
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// Asks for the next rows of a job.
    async fn results(&self, running: &Running) -> Result<Value, SourceError> {
        let Some((job, location)) = &running.job else {
            return Err(SourceError::query("BigQuery gave the query no job."));
        };
        let mut url = self.url(&["queries", job])?;
        {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair("maxResults", &running.page.to_string());
            pairs.append_pair("timeoutMs", &WAIT.to_string());
            pairs.append_pair("formatOptions.useInt64Timestamp", "true");
            if let Some(location) = location {
                pairs.append_pair("location", location);
            }
            if let Some(token) = &running.token {
                pairs.append_pair("pageToken", token);
            }
        }
        self.ask(Request::get(url)).await
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A name in a query. Its escapes are those of strings.
fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// Rows of an answer: `{"f": [{"v": "text"}]}`.
fn rows(answer: &Value) -> Vec<Texts> {
    let cell = |cell: &Value| match cell.get("v") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    let rows = answer.get("rows").and_then(Value::as_array).into_iter().flatten();
    rows.map(|row| row.get("f").and_then(Value::as_array).into_iter().flatten().map(cell).collect()).collect()
}

/// The kind of a column. Types that are not named here are text, as BigQuery writes them.
fn kind(native: &str) -> Kind {
    let (name, arguments) = native.split_once('(').unwrap_or((native, ""));
    let mut arguments =
        arguments.trim_end_matches(')').split(',').map(|argument| argument.trim().parse::<i8>());
    let mut argument = || arguments.next().and_then(Result::ok);
    match name {
        "INT64" => Kind::Int,
        "FLOAT64" => Kind::Float,
        "BOOL" => Kind::Boolean,
        "BYTES" => Kind::Base64,
        "DATE" => Kind::Date,
        "TIME" => Kind::Time,
        "DATETIME" => Kind::Timestamp,
        "TIMESTAMP" => Kind::Microseconds,
        "NUMERIC" => decimal(argument(), argument(), 38, 9),
        "BIGNUMERIC" => decimal(argument(), argument(), 76, 38),
        _ => Kind::Text,
    }
}

/// A decimal with the precision and scale of its type, or the widest that Arrow holds.
fn decimal(precision: Option<i8>, scale: Option<i8>, widest: u8, places: i8) -> Kind {
    match precision.and_then(|digits| u8::try_from(digits).ok()) {
        Some(precision) => Kind::Decimal { precision: precision.min(widest), scale: scale.unwrap_or(0) },
        None => Kind::Decimal { precision: widest, scale: places },
    }
}

#[async_trait::async_trait]
impl Warehouse for Bigquery {
    type Running = Running;

    fn title(&self) -> &'static str {
        "BigQuery"
    }

    fn probe(&self) -> &'static str {
        "SELECT 1"
    }

    fn product(&self) -> &'static str {
        "BigQuery v2"
    }

    async fn catalogs(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<Statement>, SourceError> {
        let project = identifier(&self.project);
        let mut all = Vec::new();
        for dataset in self.datasets(schema).await? {
            let place = format!("{project}.{}.INFORMATION_SCHEMA", identifier(&dataset));
            let (only, parameters) = match table {
                Some(table) => (" WHERE c.table_name = ?", vec![table.to_owned()]),
                None => ("", Vec::new()),
            };
            let text = format!(
                "SELECT c.table_schema, c.table_name, IF(t.table_type LIKE '%VIEW%', 'V', 'T'), NULL, NULL, c.column_name, c.data_type, \
                 NULL, NULL, c.is_nullable, f.description, NULLIF(c.collation_name, 'NULL'), NULL FROM {place}.COLUMNS AS c \
                 JOIN {place}.TABLES AS t ON t.table_name = c.table_name \
                 LEFT JOIN {place}.COLUMN_FIELD_PATHS AS f ON f.table_name = c.table_name AND f.field_path = c.column_name{only} \
                 ORDER BY c.table_name, c.ordinal_position"
            );
            all.push(Statement::new(text, parameters));
        }
        Ok(all)
    }

    fn identifier(&self, name: &str) -> String {
        identifier(name)
    }

    fn reading(&self, found: &Found, name: &str) -> (Kind, String, Compare) {
        let kind = kind(&found.native);
        let is_nested = found.native.starts_with("ARRAY<") || found.native.starts_with("STRUCT<");
        let is_text = found.native == "STRING" || found.native.starts_with("STRING(");
        let (expression, compare) = match kind {
            // Repeated and nested values are JSON; an array that is absent is an empty one.
            Kind::Text if is_nested => (format!("TO_JSON_STRING({name})"), Compare::Nothing),
            Kind::Text if is_text && found.collation.is_none() => (name.to_owned(), Compare::All),
            Kind::Text if is_text => (name.to_owned(), Compare::NullOnly),
            Kind::Text if found.native == "JSON" => (format!("TO_JSON_STRING({name})"), Compare::NullOnly),
            Kind::Text => (name.to_owned(), Compare::NullOnly),
            Kind::Float => (name.to_owned(), Compare::NullOnly),
            _ => (name.to_owned(), Compare::All),
        };
        (kind, expression, compare)
    }

    fn relation(&self, schema: &str, table: &str) -> String {
        format!("{}.{}.{}", identifier(&self.project), identifier(schema), identifier(table))
    }

    fn literal(&self, column: &Planned, literal: &Literal, parameters: &mut Vec<String>) -> String {
        let (value, kind) = match literal {
            Literal::Boolean(value) => return if *value { "TRUE" } else { "FALSE" }.to_owned(),
            Literal::Int(value) => (value.to_string(), "INT64"),
            Literal::UInt(value) => (value.to_string(), "BIGNUMERIC"),
            Literal::Decimal { unscaled, scale } => (decimal_text(*unscaled, *scale), "BIGNUMERIC"),
            Literal::Utf8(text) => {
                parameters.push(text.clone());
                return "?".to_owned();
            }
            Literal::Binary(bytes) => {
                parameters.push(hex::encode(bytes));
                return "FROM_HEX(?)".to_owned();
            }
            Literal::Date(days) => (date_text(*days), "DATE"),
            Literal::Timestamp(moment) if column.kind == Kind::Timestamp => {
                (moment_text(*moment), "DATETIME")
            }
            Literal::Timestamp(moment) => (format!("{}+00:00", moment_text(*moment)), "TIMESTAMP"),
        };
        parameters.push(value);
        format!("CAST(? AS {kind})")
    }

    fn default_schema(&self) -> &str {
        self.dataset.as_deref().unwrap_or("main")
    }

    async fn begin(&self, statement: Statement) -> Result<Running, SourceError> {
        let mut query = statement.text;
        if let Some(limit) = statement.limit {
            query.push_str(&format!(" LIMIT {limit}"));
        }
        let mut body = json!({
            "query": query, "useLegacySql": false, "maxResults": FIRST, "timeoutMs": WAIT,
            "formatOptions": { "useInt64Timestamp": true },
        });
        let parameters: Vec<Value> = statement
            .parameters
            .into_iter()
            .map(|value| json!({ "parameterType": { "type": "STRING" }, "parameterValue": { "value": value } }))
            .collect();
        if let Some(body) = body.as_object_mut() {
            if !parameters.is_empty() {
                body.insert("parameterMode".to_owned(), json!("POSITIONAL"));
                body.insert("queryParameters".to_owned(), Value::Array(parameters));
            }
            if let Some(location) = &self.location {
                body.insert("location".to_owned(), json!(location));
            }
            if let Some(most) = self.most_bytes {
                body.insert("maximumBytesBilled".to_owned(), json!(most.to_string()));
            }
        }
        let answer = self.ask(Request::post(self.url(&["queries"])?, &body)).await?;
        let reference = answer.get("jobReference");
        let job = reference.and_then(|job| Some((text(job, "jobId")?, text(job, "location"))));
        Ok(Running { job, answer: Some(answer), token: None, page: FIRST })
    }

    async fn page(&self, running: &mut Running) -> Result<Option<Vec<Texts>>, SourceError> {
        let mut answer = match running.answer.take() {
            Some(answer) => answer,
            None if running.token.is_none() => return Ok(None),
            None => self.results(running).await?,
        };
        while answer.get("jobComplete").and_then(Value::as_bool) == Some(false) {
            tokio::time::sleep(PAUSE).await;
            answer = self.results(running).await?;
        }
        running.token = text(&answer, "pageToken");
        if let Some(fields) = answer.pointer("/schema/fields").and_then(Value::as_array) {
            running.page = (CELLS / fields.len().max(1)).clamp(FIRST, PAGE);
        }
        Ok(Some(rows(&answer)))
    }

    async fn cancel(&self, running: &Running) {
        let Some((job, location)) = &running.job else { return };
        let Ok(mut url) = self.url(&["jobs", job, "cancel"]) else { return };
        if let Some(location) = location {
            url.query_pairs_mut().append_pair("location", location);
        }
        if let Err(error) = self.ask(Request::post(url, &json!({}))).await {
            tracing::debug!(detail = error.detail, "a job was not cancelled");
        }
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.google.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_arguments() {
        assert_eq!(kind("NUMERIC"), Kind::Decimal { precision: 38, scale: 9 });
        assert_eq!(kind("NUMERIC(10, 2)"), Kind::Decimal { precision: 10, scale: 2 });
        assert_eq!(kind("BIGNUMERIC(40)"), Kind::Decimal { precision: 40, scale: 0 });
        assert_eq!(kind("BIGNUMERIC"), Kind::Decimal { precision: 76, scale: 38 });
        assert_eq!(kind("STRING(10)"), Kind::Text);
        assert_eq!(kind("ARRAY<INT64>"), Kind::Text);
        assert_eq!(identifier("a`b\\"), "`a\\`b\\\\`");
    }
}

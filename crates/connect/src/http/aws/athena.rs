//! Athena: queries are started, waited for, and their results read page by page.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Aws;
use crate::discovered::few;
use crate::error::{ErrorCode, SourceError};
use crate::http::cancel::CancelOnDrop;
use crate::http::{at_path, elements, no_json, text_at, texts_to_json};
use crate::network::NetworkPolicy;
use crate::settings::Settings;
use crate::snapshot::{Fetcher, Lines};

/// Between two questions whether a query is done.
const PAUSE: Duration = Duration::from_millis(300);

/// Athena in a region.
pub(crate) struct Athena {
    aws: Arc<Aws>,
    catalog: String,
    workgroup: String,
    output: Option<String>,
    database: Option<String>,
}

impl Athena {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        Ok(Self {
            aws: Arc::new(Aws::open(settings, policy, "athena", "AmazonAthena").await?),
            catalog: settings.option("catalog")?.unwrap_or("AwsDataCatalog").to_owned(),
            workgroup: settings.option("workgroup")?.unwrap_or("primary").to_owned(),
            output: settings.option("output_location")?.map(str::to_owned),
            database: settings.database_name.clone().filter(|name| !name.is_empty()),
        })
    }

    /// Runs a query that this crate wrote and gives its id when it has succeeded. It is stopped when nobody waits for it any more: it is
    /// paid for by what it reads.
    async fn run(&self, query: &str, database: Option<&str>) -> Result<String, SourceError> {
        let mut ask = Map::new();
        ask.insert("QueryString".to_owned(), json!(query));
        ask.insert("WorkGroup".to_owned(), json!(self.workgroup));
        if let Some(database) = database {
            let context = json!({ "Catalog": self.catalog, "Database": database });
            ask.insert("QueryExecutionContext".to_owned(), context);
        }
        if let Some(output) = &self.output {
            ask.insert("ResultConfiguration".to_owned(), json!({ "OutputLocation": output }));
        }
        let started = self.aws.call("StartQueryExecution", &Value::Object(ask)).await?;
        let id = text_at(&started, "QueryExecutionId")?
            .ok_or_else(|| SourceError::query("Athena gave the query no id."))?;
        let stop = json!({ "QueryExecutionId": id });
        let running = CancelOnDrop::new(&self.aws, move |aws| async move {
            aws.call("StopQueryExecution", &stop).await.map(drop)
        });
        loop {
            let body = self.aws.call("GetQueryExecution", &json!({ "QueryExecutionId": id })).await?;
            match text_at(&body, "QueryExecution.Status.State")?.as_deref() {
                Some("SUCCEEDED") => {
                    running.over();
                    return Ok(id);
                }
                Some("QUEUED" | "RUNNING") => tokio::time::sleep(PAUSE).await,
                Some("CANCELLED") => {
                    running.over();
                    return Err(SourceError::new(ErrorCode::Timeout, "The query was cancelled."));
                }
                _ => {
                    running.over();
                    let reason =
                        text_at(&body, "QueryExecution.Status.StateChangeReason")?.unwrap_or_default();
                    return Err(SourceError::query("Athena refused the query.").with_detail(reason));
                }
            }
        }
    }

    /// Gives each row of a result as texts by column. The first row of a SELECT holds the names.
    async fn results(
        &self,
        id: &str,
        mut each: impl FnMut(&[(String, String)], &[Option<String>]) -> Result<bool, SourceError>,
    ) -> Result<(), SourceError> {
        let mut ask = json!({ "QueryExecutionId": id, "MaxResults": 1000 });
        let mut first = true;
        loop {
            let body = self.aws.call("GetQueryResults", &ask).await?;
            let answer: Value = serde_json::from_str(&body).map_err(|error| no_json(&error))?;
            let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
            let about = answer.pointer("/ResultSet/ResultSetMetadata/ColumnInfo").and_then(Value::as_array);
            let columns: Vec<(String, String)> = about
                .into_iter()
                .flatten()
                .map(|column| {
                    (text(column, "Name").unwrap_or_default(), text(column, "Type").unwrap_or_default())
                })
                .collect();
            let rows = answer.pointer("/ResultSet/Rows").and_then(Value::as_array);
            for row in rows.into_iter().flatten() {
                let cells = row.get("Data").and_then(Value::as_array).into_iter().flatten();
                let cells: Vec<Option<String>> = cells.map(|cell| text(cell, "VarCharValue")).collect();
                let is_header =
                    cells.iter().zip(&columns).all(|(cell, (name, _))| cell.as_deref() == Some(name));
                if std::mem::take(&mut first) && is_header {
                    continue;
                }
                if !each(&columns, &cells)? {
                    return Ok(());
                }
            }
            match text(&answer, "NextToken") {
                Some(token) => {
                    ask = json!({ "QueryExecutionId": id, "MaxResults": 1000, "NextToken": token })
                }
                None => return Ok(()),
            }
        }
    }

    async fn databases(&self) -> Result<Vec<String>, SourceError> {
        if let Some(database) = &self.database {
            return Ok(vec![database.clone()]);
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

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[async_trait::async_trait]
impl Fetcher for Athena {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        // A query may read whatever the keys reach, and write by CREATE TABLE AS and UNLOAD.
        if query.is_some_and(|query| query.trim() != "SELECT 1") {
            return Err(SourceError::query("Athena is tested with SELECT 1 only."));
        }
        let id = self.run("SELECT 1", None).await?;
        let mut value = None;
        self.results(&id, |_, cells| {
            value = cells.first().cloned().flatten();
            Ok(false)
        })
        .await?;
        Ok((Some("Amazon Athena".to_owned()), value))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        let mut found = Vec::new();
        for database in self.databases().await? {
            let mut ask = json!({ "CatalogName": self.catalog, "DatabaseName": database });
            loop {
                let body = self.aws.call("ListTableMetadata", &ask).await?;
                for table in elements(at_path(&body, "TableMetadataList")?.unwrap_or("[]"))? {
                    if let Some(name) = text_at(table, "Name")? {
                        found.push((database.clone(), name, None));
                    }
                }
                few(&found)?;
                let Some(token) = text_at(&body, "NextToken")? else { break };
                ask = json!({ "CatalogName": self.catalog, "DatabaseName": database, "NextToken": token });
            }
        }
        Ok(found)
    }

    async fn rows(
        &self,
        schema: &str,
        table: &str,
        wanted: usize,
        out: &mut Lines,
    ) -> Result<(), SourceError> {
        let limit = if wanted == usize::MAX { String::new() } else { format!(" LIMIT {wanted}") };
        let query = format!("SELECT * FROM {}.{}{limit}", identifier(schema), identifier(table));
        let id = self.run(&query, Some(schema)).await?;
        self.results(&id, |columns, cells| {
            out.write(&texts_to_json(columns, cells))?;
            Ok(true)
        })
        .await
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.aws.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

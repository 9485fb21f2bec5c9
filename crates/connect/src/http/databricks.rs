//! Databricks by its SQL Statement Execution interface.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::cancel::CancelOnDrop;
use super::client::{self, Client, Request};
use super::{json_body, no_json, texts_to_json};
use crate::error::{ErrorCode, SourceError};
use crate::network::NetworkPolicy;
use crate::settings::Settings;
use crate::snapshot::{Fetcher, Lines};

/// Before the first question whether a statement is done; each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A SQL warehouse of a Databricks workspace.
pub(crate) struct Databricks {
    client: Arc<Client>,
    base: Url,
    warehouse: String,
    catalog: Option<String>,
}

impl Databricks {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let base = client::base(settings, 443)?;
        let warehouse = settings.credentials.warehouse.as_ref();
        let warehouse =
            warehouse.ok_or_else(|| SourceError::connection("credentials.warehouse is missing."))?;
        let headers = client::sign_in(&settings.credentials, None)?;
        Ok(Self {
            client: Arc::new(Client::open(settings, policy, headers).await?),
            base,
            warehouse: warehouse.expose().to_owned(),
            catalog: settings.database_name.clone().filter(|name| !name.is_empty()),
        })
    }

    async fn ask(&self, request: Request) -> Result<Value, SourceError> {
        let answer = self.client.send(request).await?;
        serde_json::from_str(json_body(&answer.body)?).map_err(|error| no_json(&error))
    }

    /// Starts a statement that this crate wrote and gives the answer that says that it is done. It is cancelled when nobody waits for it
    /// any more: that its id is known by then, it is not waited for in the request that starts it.
    async fn finished(&self, statement: &str) -> Result<Value, SourceError> {
        let mut body = json!({
            "warehouse_id": self.warehouse, "statement": statement, "wait_timeout": "0s", "on_wait_timeout": "CONTINUE",
            "disposition": "INLINE", "format": "JSON_ARRAY",
        });
        if let (Some(catalog), Some(body)) = (&self.catalog, body.as_object_mut()) {
            body.insert("catalog".to_owned(), json!(catalog));
        }
        let statements = ["api", "2.0", "sql", "statements"];
        let mut answer = self.ask(Request::post(client::below(&self.base, &statements)?, &body)).await?;
        let id = answer.get("statement_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let of_statement = client::below(&self.base, &[statements.as_slice(), &[id.as_str()]].concat())?;
        let cancel = client::below(&of_statement, &["cancel"])?;
        let running = CancelOnDrop::new(&self.client, move |client| async move {
            client.send(Request::post(cancel, &json!({}))).await.map(drop)
        });
        let mut pause = FIRST_PAUSE;
        loop {
            match answer.pointer("/status/state").and_then(Value::as_str) {
                Some("SUCCEEDED") => {
                    running.over();
                    return Ok(answer);
                }
                Some("PENDING" | "RUNNING") => tokio::time::sleep(pause).await,
                Some("CANCELED") => {
                    running.over();
                    return Err(SourceError::new(ErrorCode::Timeout, "The query was cancelled."));
                }
                _ => {
                    running.over();
                    let why =
                        answer.pointer("/status/error/message").and_then(Value::as_str).unwrap_or_default();
                    return Err(SourceError::query("Databricks refused the query.").with_detail(why));
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            answer = self.ask(Request::get(of_statement.clone())).await?;
        }
    }

    /// Runs a statement that this crate wrote and gives each row of its result to a function.
    async fn run(
        &self,
        statement: &str,
        mut each: impl FnMut(&[(String, String)], &[Option<String>]) -> Result<(), SourceError> + Send,
    ) -> Result<(), SourceError> {
        let answer = self.finished(statement).await?;
        let columns = columns(&answer);
        let mut chunk = answer.get("result").cloned().unwrap_or_default();
        loop {
            for row in chunk.get("data_array").and_then(Value::as_array).into_iter().flatten() {
                let cells = row.as_array().into_iter().flatten().map(|cell| cell.as_str().map(str::to_owned));
                each(&columns, &cells.collect::<Vec<_>>())?;
            }
            let Some(next) = chunk.get("next_chunk_internal_link").and_then(Value::as_str) else {
                return Ok(());
            };
            let url = self
                .base
                .join(next)
                .map_err(|_| SourceError::query("The link to the next chunk is no URL."))?;
            if url.origin() != self.base.origin() {
                return Err(SourceError::connection("The link to the next chunk leads to another server."));
            }
            chunk = self.ask(Request::get(url)).await?;
        }
    }
}

fn columns(answer: &Value) -> Vec<(String, String)> {
    let all = answer.pointer("/manifest/schema/columns").and_then(Value::as_array);
    let text =
        |column: &Value, name: &str| column.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    all.into_iter()
        .flatten()
        .map(|column| (text(column, "name"), text(column, "type_name").to_lowercase()))
        .collect()
}

fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[async_trait::async_trait]
impl Fetcher for Databricks {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        // Table functions of a query could read files and other servers.
        if query.is_some_and(|query| query.trim() != "SELECT 1") {
            return Err(SourceError::query("Databricks is tested with SELECT 1 only."));
        }
        let mut found = None;
        self.run("SELECT 1, current_version().dbsql_version", |_, cells| {
            found = Some(cells.to_vec());
            Ok(())
        })
        .await?;
        let mut cells = found.unwrap_or_default().into_iter();
        let one = cells.next().flatten();
        Ok((cells.next().flatten().map(|version| format!("Databricks SQL {version}")), one))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        let query = "SELECT table_schema, table_name FROM information_schema.tables \
            WHERE table_schema <> 'information_schema' ORDER BY table_schema, table_name";
        let mut found = Vec::new();
        self.run(query, |_, cells| {
            if let [Some(schema), Some(table)] = cells {
                found.push((schema.clone(), table.clone(), None));
            }
            Ok(())
        })
        .await?;
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
        self.run(&query, |columns, cells| out.write(&texts_to_json(columns, cells))).await
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

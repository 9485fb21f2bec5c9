//! Data sources, policies and queries of one person, over HTTP: what the scenarios of the data half share.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::discovery::created;
use super::sign_in;
use super::storage::{bearer, object_of, timed, upload};
use crate::Result;
use crate::clients::Contract;
use crate::load::with_connection;
use crate::server::{Server, Setup};
use crate::wire::{Connection, get, post_as, request_with};

pub(super) const QUERY: &str = "/api/v1/queries/execute";
pub(super) const QUESTION: &str = "/api/v1/prompts/execute";
const EXECUTIONS: &str = "/api/v1/prompts/executions";

/// Configuration with room for what a benchmark asks for at once, and for files of any size; opened data sources stay open.
const ROOM: [&str; 8] = [
    "prompts.at_once = 64",
    "prompts.at_once_per_organization = 64",
    "prompts.at_once_per_person = 64",
    "data.at_once = 64",
    "data.at_once_per_organization = 16",
    "data.pool_idle = 3600",
    "storage_limits.file_bytes = 1073741824",
    // Above what any of them takes.
    "prompts.longest = 600",
];
/// Below `http.deadline`: an answer is waited for in its request.
pub(super) const WAIT: &str = "prompts.answer_within = 25";

/// Starts a server that has room, with `more` of configuration.
pub(super) fn start(setup: &Setup, more: &'static str) -> Result<Server> {
    let lines = ROOM.into_iter().chain([more]).collect();
    let server = Setup { more: lines, ..setup.clone() }.start()?;
    server.time_to_first_answer()?;
    Ok(server)
}

/// An execution that is over, and has a result.
pub(super) struct Answered {
    /// From the request to the last byte of its answer.
    pub(super) seconds: f64,
    pub(super) data: Value,
}

impl Answered {
    /// Seconds that the server's own clock gave to running the query: policies, planning, execution and first rows. It is told
    /// in whole milliseconds, cut; half of one is what that takes away on average.
    pub(super) fn query_seconds(&self) -> Result<f64> {
        let millis = self.data.get("query_execution_time_ms").and_then(Value::as_f64);
        Ok((millis.ok_or("an answer without its time")? + 0.5) / 1_000.0)
    }

    pub(super) fn rows(&self) -> Option<u64> {
        self.data.get("rows_returned").and_then(Value::as_u64)
    }

    pub(super) fn number(&self) -> Result<u64> {
        Ok(self.data.get("execution_id").and_then(Value::as_u64).ok_or("an execution without a number")?)
    }
}

/// Somebody who asks for data: the owner of an organization of their own.
#[derive(Clone)]
pub(super) struct Analyst {
    pub(super) server: SocketAddr,
    pub(super) token: String,
}

impl Analyst {
    /// Signs in the first `count` seeded accounts.
    pub(super) fn several(server: SocketAddr, count: u64) -> Result<Vec<Self>> {
        let accounts: Vec<u64> = (0..count).collect();
        let tokens = sign_in(server, Contract::Rivergen, &accounts)?;
        Ok(tokens.into_iter().map(|(token, _)| Self { server, token }).collect())
    }

    /// Signs in the first seeded account.
    pub(super) fn first(server: SocketAddr) -> Result<Self> {
        Ok(Self::several(server, 1)?.pop().ok_or("nobody is signed in")?)
    }

    /// The number of a new data source, discovered.
    pub(super) fn source(&self, source: &Value) -> Result<u64> {
        created(self.server, &self.token, source)
    }

    /// A data source of an uploaded file.
    pub(super) fn file(&self, name: &str, kind: &str, content: &[u8]) -> Result<u64> {
        let upload = upload(&self.token, &format!("{name}.{kind}"), content);
        let (_, object) = timed(self.server, &upload, object_of)?;
        self.source(&json!({ "name": name, "type": kind, "file_path": object }))
    }

    /// Makes a policy of one rule for a data source.
    pub(super) fn policy(&self, source: u64, name: &str, rule: &str, config: &Value) -> Result<()> {
        let kind = if rule == "filter_rows" { "row_level_security" } else { "data_masking" };
        let body = json!({
            "name": name, "type": kind, "data_source_ids": [source],
            "rules": [{ "rule_name": name, "rule_type": rule, "rule_config": config }],
        });
        timed(self.server, &post_as("/api/v1/policies", &self.token, &body), |answer| answer.expect(201))?;
        Ok(())
    }

    /// Runs a query on a connection of its own.
    pub(super) fn query(&self, sources: &[u64], sql: &str) -> Result<Answered> {
        self.ask(QUERY, &query(sources, sql, &json!([])))
    }

    /// Asks, on a connection of its own.
    pub(super) fn ask(&self, path: &str, body: &Value) -> Result<Answered> {
        with_connection(self.server, async |connection| self.ask_on(connection, path, body).await)
    }

    /// Asks, and requires a result.
    pub(super) async fn ask_on(
        &self,
        connection: &mut Connection,
        path: &str,
        body: &Value,
    ) -> Result<Answered> {
        let request = post_as(path, &self.token, body);
        let begun = Instant::now();
        let answer = connection.call(&request).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let data = answer.json(200)?.get("data").cloned().unwrap_or_default();
        match data.get("status").and_then(Value::as_str) {
            Some("completed") => Ok(Answered { seconds, data }),
            _ => Err(ending(&data).into()),
        }
    }

    /// What an execution looks like now.
    pub(super) fn execution(&self, number: u64) -> Result<Value> {
        let request = get(&format!("{EXECUTIONS}/{number}"), Some(&self.token));
        let (_, answer) = timed(self.server, &request, |answer| answer.json(200))?;
        Ok(answer.get("data").cloned().unwrap_or_default())
    }

    /// Calls an execution off.
    pub(super) fn cancel(&self, number: u64) -> Result<()> {
        let path = format!("{EXECUTIONS}/{number}/cancel");
        let request = request_with("POST", &path, &bearer(&self.token), &[]);
        timed(self.server, &request, |answer| answer.expect(200))?;
        Ok(())
    }
}

/// The body of a query.
pub(super) fn query(sources: &[u64], sql: &str, parameters: &Value) -> Value {
    json!({ "sql": sql, "selected_data_source_ids": sources, "parameters": parameters })
}

/// How an execution ended otherwise than well, in a few words.
pub(super) fn ending(data: &Value) -> String {
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = if text("error_code").is_empty() { text("status") } else { text("error_code") };
    format!("{code}: {}", text("error_message")).trim_end_matches(": ").to_owned()
}

/// Looks again and again until `done` says that it is, for a while.
pub(super) fn wait_until(patience: Duration, mut done: impl FnMut() -> Result<bool>) -> Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if done()? {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(false)
}

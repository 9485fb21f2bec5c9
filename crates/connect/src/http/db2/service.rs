//! The two interfaces by which Db2 runs SQL over HTTP: its REST service, and that of the Data Management Console and of Db2 on Cloud.
//!
//! Source: IBM Db2 11.5, "Db2 REST": /v1/auth and /v1/services/execsql. IBM Cloud, "Db2 on Cloud REST API": /dbapi/v4/auth/tokens and
//! /dbapi/v4/sql_jobs.

use std::time::Duration;

use hyper::HeaderMap;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use url::Url;

use crate::error::{ErrorCode, Refused, SourceError};
use crate::files;
use crate::http::client::{self, Client, Request};
use crate::http::jwt::{Fresh, refused};
use crate::http::sql::Texts;
use crate::http::{nothing_at, tree};
use crate::network::NetworkPolicy;
use crate::settings::Settings;

/// How long a token of either service is taken to hold; the REST service is asked for as much.
const LIFE: Duration = Duration::from_secs(3_600);
/// Between two questions whether a job is done: first and longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What stands between statements, of which there is one only: no name or text has it.
const SEPARATOR: &str = "\u{1e}\u{1e}";

/// A service that runs SQL.
pub(super) struct Service {
    pub(super) client: Client,
    base: Url,
    form: Form,
    /// What is sent to sign in.
    sign_in: Value,
    fresh: Mutex<Option<Fresh>>,
}

enum Form {
    Rest,
    /// Headers that say which database is meant.
    Console(Vec<(&'static str, String)>),
}

impl Service {
    pub(super) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let is_console = settings.choice("api", &["rest", "console"])? == "console";
        let base = client::base(settings, if is_console { 443 } else { 50_050 })?;
        let credentials = &settings.credentials;
        let (Some(user), Some(password)) = (&credentials.username, &credentials.password) else {
            return Err(refused("Db2 takes credentials.username and credentials.password."));
        };
        let (form, sign_in) = if is_console {
            let named = [("x-deployment-id", "deployment_id"), ("x-db-profile", "profile")];
            let mut headers = Vec::new();
            for (header, option) in named {
                headers.extend(settings.option(option)?.map(|value| (header, value.to_owned())));
            }
            (Form::Console(headers), json!({ "userid": user.expose(), "password": password.expose() }))
        } else {
            let sign_in = json!({
                "dbParms": database(settings, &base)?, "expiryTime": format!("{}m", LIFE.as_secs() / 60),
            });
            (Form::Rest, sign_in)
        };
        let client = Client::open(settings, policy, HeaderMap::new()).await?;
        Ok(Self { client, base, form, sign_in, fresh: Mutex::default() })
    }

    /// Signs in, if that was not done lately.
    pub(super) async fn token(&self) -> Result<String, SourceError> {
        let mut fresh = self.fresh.lock().await;
        if let Some(token) = fresh.as_ref().and_then(Fresh::usable) {
            return Ok(token.to_owned());
        }
        let url = match &self.form {
            Form::Rest => client::below(&self.base, &["v1", "auth"])?,
            Form::Console(_) => client::below(&self.base, &["dbapi", "v4", "auth", "tokens"])?,
        };
        let mut request = Request::post(url, &self.sign_in);
        if let Form::Console(headers) = &self.form {
            request.headers.extend(headers.iter().cloned());
        }
        let answer = self.client.send(request).await.map_err(explained)?;
        let answer = tree(&answer.body)?;
        let token = answer.get("token").and_then(Value::as_str);
        let token = token.ok_or_else(|| refused("The server gave no token."))?.to_owned();
        *fresh = Some(Fresh::new(token.clone(), LIFE));
        Ok(token)
    }

    /// Runs a statement and gives all rows it answers, of which there are so many at most.
    pub(super) async fn run(
        &self,
        text: &str,
        parameters: &[String],
        most: usize,
    ) -> Result<Vec<Texts>, SourceError> {
        match &self.form {
            Form::Rest => {
                let parameters: Map<String, Value> = parameters
                    .iter()
                    .enumerate()
                    .map(|(index, value)| ((index + 1).to_string(), json!(value)))
                    .collect();
                let body =
                    json!({ "isQuery": true, "sqlStatement": text, "parameters": parameters, "sync": true });
                let url = client::below(&self.base, &["v1", "services", "execsql"])?;
                set(&self.ask(|| Request::post(url.clone(), &body)).await?)
            }
            Form::Console(_) => self.job(&written_in(text, parameters), most).await,
        }
    }

    /// Sends a request, once more with a token of its own if the service forgot the last one, as when it was started again.
    async fn ask(&self, request: impl Fn() -> Request + Send + Sync) -> Result<Value, SourceError> {
        let token = self.token().await?;
        let answer = match self.client.send(self.signed(request(), &token)).await {
            Err(error) if error.code == ErrorCode::Authentication => {
                *self.fresh.lock().await = None;
                let token = self.token().await?;
                self.client.send(self.signed(request(), &token)).await
            }
            answer => answer,
        };
        let answer = answer.map_err(explained)?;
        tree(&answer.body)
    }

    fn signed(&self, request: Request, token: &str) -> Request {
        match &self.form {
            Form::Rest => request.with("authorization", token),
            Form::Console(headers) => {
                let mut request = request.with("authorization", format!("Bearer {token}"));
                request.headers.extend(headers.iter().cloned());
                request
            }
        }
    }

    /// Runs a statement as a job of the console, whose rows come in parts, each with one answer only.
    async fn job(&self, text: &str, most: usize) -> Result<Vec<Texts>, SourceError> {
        let body = json!({ "commands": text, "limit": most, "separator": SEPARATOR, "stop_on_error": "yes" });
        let jobs = client::below(&self.base, &["dbapi", "v4", "sql_jobs"])?;
        let started = self.ask(|| Request::post(jobs.clone(), &body)).await?;
        let id = started.get("id").and_then(Value::as_str).ok_or_else(|| nothing_at("id"))?;
        let job = client::below(&jobs, &[id])?;
        let mut rows = Vec::new();
        let mut pause = PAUSE;
        loop {
            let answer = self.ask(|| Request::get(job.clone())).await?;
            for result in answer.get("results").and_then(Value::as_array).into_iter().flatten() {
                if let Some(why) = result.get("error").and_then(Value::as_str).filter(|why| !why.is_empty()) {
                    let why = self.client.told(why, "");
                    return Err(explained(SourceError::refused("Db2 refused the query.").with_detail(why)));
                }
                let some = result.get("rows").and_then(Value::as_array).into_iter().flatten();
                rows.extend(
                    some.map(|row| row.as_array().into_iter().flatten().map(text_of).collect::<Texts>()),
                );
            }
            match answer.get("status").and_then(Value::as_str) {
                Some("completed") => return Ok(rows),
                Some("running") => tokio::time::sleep(pause).await,
                _ => return Err(SourceError::query("Db2 did not finish the query.")),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// What the REST service signs in to the database with.
fn database(settings: &Settings, base: &Url) -> Result<Value, SourceError> {
    let port = match settings.metadata.get("db_port") {
        None | Some(Value::Null) => 50_000,
        Some(port) => port.as_u64().filter(|port| (1..=65_535).contains(port)).ok_or_else(|| {
            SourceError::connection("metadata.db_port must be a whole number from 1 to 65535.")
        })?,
    };
    let secret = |text: &Option<crate::Secret>| text.as_ref().map(|text| text.expose().to_owned());
    let host = settings.option("db_host")?.or(base.host_str()).unwrap_or_default();
    Ok(json!({
        "dbHost": host, "dbPort": port, "dbName": settings.database_name.as_deref().unwrap_or_default(),
        "isSSLConnection": settings.flag("db_tls", false)?,
        "username": secret(&settings.credentials.username), "password": secret(&settings.credentials.password),
    }))
}

/// A statement with its values in it, as texts of SQL: the console takes no parameters.
fn written_in(text: &str, parameters: &[String]) -> String {
    let mut values = parameters.iter();
    let mut whole = String::with_capacity(text.len());
    for (index, part) in text.split('?').enumerate() {
        if index > 0 {
            match values.next() {
                Some(value) => whole.push_str(&format!("'{}'", value.replace('\'', "''"))),
                None => whole.push('?'),
            }
        }
        whole.push_str(part);
    }
    whole
}

/// What a service says of the database's own errors, which it answers with whatever status.
fn explained(mut error: SourceError) -> SourceError {
    let says = |words: &[&str]| words.iter().any(|word| error.detail.contains(word));
    if says(&["28000", "-4214", "SQL30082N"]) {
        error.code = ErrorCode::Authentication;
        "Db2 refused the credentials.".clone_into(&mut error.message);
    } else if says(&["SQLCODE", "SQLSTATE"]) {
        (error.code, error.refused) = (ErrorCode::Query, Some(Refused::Statement));
        "Db2 refused the query.".clone_into(&mut error.message);
    }
    error
}

fn text_of(cell: &Value) -> Option<String> {
    match cell {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The rows of an answer of the REST service. Columns are named `C0`, `C1`, …, in whatever order the members of an object have.
fn set(answer: &Value) -> Result<Vec<Texts>, SourceError> {
    let set = answer.get("resultSet").and_then(Value::as_array).ok_or_else(|| nothing_at("resultSet"))?;
    let row = |row: &Value| {
        let mut cells: Texts = Vec::new();
        for (name, value) in row.as_object().into_iter().flatten() {
            // A column without a name is called `1`, `2`, ….
            let named = name.strip_prefix(['C', 'c']).and_then(|place| place.parse::<usize>().ok());
            let unnamed = || name.parse::<usize>().ok().and_then(|place| place.checked_sub(1));
            let place = named.or_else(unnamed).filter(|place| *place < files::MOST_COLUMNS);
            let Some(place) = place else { continue };
            if cells.len() <= place {
                cells.resize(place + 1, None);
            }
            if let Some(here) = cells.get_mut(place) {
                *here = text_of(value);
            }
        }
        cells
    };
    Ok(set.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_in_as_texts() {
        let values = ["O'Brien?".to_owned(), "x".to_owned()];
        assert_eq!(written_in("a = ? AND b = ?", &values), "a = 'O''Brien?' AND b = 'x'");
        assert_eq!(written_in("SELECT 1", &[]), "SELECT 1");
        assert_eq!(written_in("SELECT \"odd?\" FROM t", &[]), "SELECT \"odd?\" FROM t");
    }
}

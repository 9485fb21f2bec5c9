//! Snowflake by its SQL interface: statements are sent, waited for, and their results read partition by partition.
//!
//! Source: Snowflake, "SQL API" (version 2), "Authenticating to the server".

use std::time::Duration;

use hyper::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use url::Url;

use super::client::{self, Client, Request, Response};
use super::jwt::{Fresh, SigningKey, now};
use super::sql::plan::{Compare, Found, Kind, Planned};
use super::sql::{Statement, Texts, Warehouse, date_text, double_quoted, moment_text};
use super::tree;
use crate::error::{ErrorCode, SourceError};
use crate::filter::{Literal, decimal_text};
use crate::network::NetworkPolicy;
use crate::settings::Settings;

/// Between two questions whether a statement is done: first and longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Seconds that a signed token holds; an hour at most.
const LIFE: i64 = 3_000;
/// The form of moments.
const MOMENT: &str = "YYYY-MM-DD HH24:MI:SS.FF6";

/// A database of a Snowflake account.
pub(crate) struct Snowflake {
    client: Client,
    base: Url,
    database: String,
    schema: String,
    warehouse: Option<String>,
    role: Option<String>,
    access: Access,
    limit: Duration,
}

enum Access {
    Token { kind: &'static str, token: crate::Secret },
    Key(Box<KeyPair>),
}

/// A user that signs in by a key.
struct KeyPair {
    issuer: String,
    subject: String,
    key: SigningKey,
    fresh: Mutex<Option<Fresh>>,
}

/// A statement and how far its result was read.
pub(crate) struct Running {
    handle: String,
    /// The answer to the statement, if it was done at once.
    first: Option<Value>,
    partitions: Option<usize>,
    next: usize,
}

impl Snowflake {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let base = client::base(settings, 443)?;
        let secret = |text: &Option<crate::Secret>| text.as_ref().map(|text| text.expose().to_owned());
        let database = settings.database_name.clone().filter(|name| !name.is_empty());
        Ok(Self {
            access: Access::of(settings, &base)?,
            client: Client::open(settings, policy, HeaderMap::new()).await?,
            base,
            database: database.ok_or_else(|| SourceError::connection("database_name is missing."))?,
            schema: settings.schema_name.clone().unwrap_or_else(|| "PUBLIC".to_owned()),
            warehouse: secret(&settings.credentials.warehouse),
            role: secret(&settings.credentials.role),
            limit: settings.query_timeout,
        })
    }

    async fn send(&self, request: Request) -> Result<Response, SourceError> {
        let (kind, token) = self.access.token().await?;
        let request = request
            .with("authorization", format!("Bearer {token}"))
            .with("x-snowflake-authorization-token-type", kind)
            .with("accept", "application/json");
        let answer = self.client.send(request).await.map_err(|mut error| {
            if error.code == ErrorCode::Query {
                "Snowflake refused the query.".clone_into(&mut error.message);
            }
            error
        })?;
        // Partitions are compressed, whatever is accepted.
        client::unpacked(answer)
    }

    fn statements(&self, below: &[&str]) -> Result<Url, SourceError> {
        let mut parts = vec!["api", "v2", "statements"];
        parts.extend(below);
        client::below(&self.base, &parts)
    }

    /// The answer to a statement once it is done. While it is not, the status is 202.
    async fn done(&self, handle: &str) -> Result<Value, SourceError> {
        let mut pause = PAUSE;
        loop {
            let answer = self.send(Request::get(self.statements(&[handle])?)).await?;
            if answer.status != StatusCode::ACCEPTED {
                return parsed(&answer);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Access {
    /// A token is OAuth's, or a programmatic one where `metadata.token_type` is `pat`; without one the credential `api_key` is the private key
    /// of the user.
    fn of(settings: &Settings, base: &Url) -> Result<Self, SourceError> {
        let credentials = &settings.credentials;
        if let Some(token) = &credentials.oauth_token {
            let kind = match settings.choice("token_type", &["oauth", "pat"])? {
                "pat" => "PROGRAMMATIC_ACCESS_TOKEN",
                _ => "OAUTH",
            };
            return Ok(Self::Token { kind, token: token.clone() });
        }
        let (Some(user), Some(key)) = (&credentials.username, &credentials.api_key) else {
            return Err(SourceError::new(
                ErrorCode::Authentication,
                "Snowflake takes credentials.oauth_token, or credentials.username with a private key in credentials.api_key.",
            ));
        };
        // The account in a token has no region: that stands after the first dot.
        let account = match settings.option("account")? {
            Some(account) => account.to_owned(),
            None => base.host_str().unwrap_or_default().split('.').next().unwrap_or_default().to_owned(),
        };
        let subject = format!("{}.{}", account.to_uppercase(), user.expose().to_uppercase());
        let key = SigningKey::from_pem(key.expose())?;
        let issuer = format!("{subject}.SHA256:{}", key.fingerprint()?);
        Ok(Self::Key(Box::new(KeyPair { issuer, subject, key, fresh: Mutex::default() })))
    }

    async fn token(&self) -> Result<(&'static str, String), SourceError> {
        match self {
            Self::Token { kind, token } => Ok((kind, token.expose().to_owned())),
            Self::Key(pair) => {
                let KeyPair { issuer, subject, key, fresh } = pair.as_ref();
                let mut fresh = fresh.lock().await;
                if let Some(token) = fresh.as_ref().and_then(Fresh::usable) {
                    return Ok(("KEYPAIR_JWT", token.to_owned()));
                }
                let issued = now();
                let claims = json!({ "iss": issuer, "sub": subject, "iat": issued, "exp": issued + LIFE });
                let token = key.sign(&json!({ "alg": "RS256", "typ": "JWT" }), &claims)?;
                *fresh = Some(Fresh::new(token.clone(), Duration::from_secs(LIFE.unsigned_abs())));
                Ok(("KEYPAIR_JWT", token))
            }
        }
    }
}

fn parsed(answer: &Response) -> Result<Value, SourceError> {
    tree(&answer.body)
}

/// Rows of an answer: arrays of texts.
fn rows(answer: &Value) -> Result<Vec<Texts>, SourceError> {
    let data = answer.get("data").and_then(Value::as_array);
    let data = data.ok_or_else(|| super::nothing_at("data"))?;
    let cell = |cell: &Value| match cell {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    Ok(data.iter().map(|row| row.as_array().into_iter().flatten().map(cell).collect()).collect())
}

#[async_trait::async_trait]
impl Warehouse for Snowflake {
    type Running = Running;

    fn title(&self) -> &'static str {
        "Snowflake"
    }

    fn probe(&self) -> &'static str {
        "SELECT 1"
    }

    fn version_query(&self) -> Option<&'static str> {
        Some("SELECT CURRENT_VERSION()")
    }

    async fn catalogs(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<Statement>, SourceError> {
        let database = double_quoted(&self.database);
        let text = format!(
            "SELECT c.TABLE_SCHEMA, c.TABLE_NAME, CASE WHEN t.TABLE_TYPE LIKE '%VIEW%' THEN 'V' ELSE 'T' END, t.ROW_COUNT, t.COMMENT, \
             c.COLUMN_NAME, c.DATA_TYPE, c.NUMERIC_PRECISION, c.NUMERIC_SCALE, c.IS_NULLABLE, c.COMMENT, c.COLLATION_NAME, NULL \
             FROM {database}.INFORMATION_SCHEMA.COLUMNS c JOIN {database}.INFORMATION_SCHEMA.TABLES t \
             ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME WHERE c.TABLE_SCHEMA <> 'INFORMATION_SCHEMA'"
        );
        let mut statement = self.named(text, [("c.TABLE_SCHEMA", schema), ("c.TABLE_NAME", table)]);
        statement.text.push_str(" ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.ORDINAL_POSITION");
        Ok(vec![statement])
    }

    fn reading(&self, found: &Found, name: &str) -> (Kind, String, Compare) {
        let kind = kind(found);
        let expression = match (found.native.as_str(), kind) {
            (_, Kind::Hex) => format!("HEX_ENCODE({name})"),
            (_, Kind::Date) => format!("TO_VARCHAR({name}, 'YYYY-MM-DD')"),
            (_, Kind::Time) => format!("TO_VARCHAR({name}, 'HH24:MI:SS.FF9')"),
            (_, Kind::Timestamp) => format!("TO_VARCHAR({name}, 'YYYY-MM-DD HH24:MI:SS.FF9')"),
            (_, Kind::Instant) => {
                format!("TO_VARCHAR(CONVERT_TIMEZONE('UTC', {name}), 'YYYY-MM-DD HH24:MI:SS.FF9')")
            }
            ("VARIANT" | "OBJECT" | "ARRAY" | "MAP" | "VECTOR", _) => format!("TO_JSON(TO_VARIANT({name}))"),
            ("GEOGRAPHY" | "GEOMETRY", _) => format!("ST_ASWKT({name})"),
            _ => name.to_owned(),
        };
        let is_text = matches!(found.native.as_str(), "TEXT" | "VARCHAR" | "STRING" | "CHAR");
        let compare = match kind {
            // Of a collation of its own, letters that differ may be equal.
            Kind::Text if is_text && found.collation.is_none() => Compare::All,
            Kind::Text | Kind::Float => Compare::NullOnly,
            Kind::Unreadable => Compare::Nothing,
            _ => Compare::All,
        };
        (kind, expression, compare)
    }

    fn relation(&self, schema: &str, table: &str) -> String {
        format!("{}.{}.{}", double_quoted(&self.database), double_quoted(schema), double_quoted(table))
    }

    fn literal(&self, column: &Planned, literal: &Literal, parameters: &mut Vec<String>) -> String {
        let mut bound = |value: String, text: String| {
            parameters.push(value);
            text
        };
        match literal {
            Literal::Boolean(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
            Literal::Int(value) => bound(value.to_string(), "TO_NUMBER(?, 38, 0)".to_owned()),
            Literal::UInt(value) => bound(value.to_string(), "TO_NUMBER(?, 38, 0)".to_owned()),
            Literal::Decimal { unscaled, scale } => {
                bound(decimal_text(*unscaled, *scale), format!("TO_NUMBER(?, 38, {})", (*scale).max(0)))
            }
            Literal::Utf8(text) => bound(text.clone(), "?".to_owned()),
            Literal::Binary(bytes) => bound(hex::encode(bytes), "TO_BINARY(?, 'HEX')".to_owned()),
            Literal::Date(days) => bound(date_text(*days), "TO_DATE(?, 'YYYY-MM-DD')".to_owned()),
            Literal::Timestamp(moment) if column.kind == Kind::Instant => {
                let text = format!("TO_TIMESTAMP_TZ(?, '{MOMENT} TZH:TZM')");
                bound(format!("{} +00:00", moment_text(*moment)), text)
            }
            Literal::Timestamp(moment) => {
                bound(moment_text(*moment), format!("TO_TIMESTAMP_NTZ(?, '{MOMENT}')"))
            }
        }
    }

    fn default_schema(&self) -> &str {
        &self.schema
    }

    async fn begin(&self, statement: Statement) -> Result<Running, SourceError> {
        let mut text = statement.text;
        if let Some(limit) = statement.limit {
            text.push_str(&format!(" LIMIT {limit}"));
        }
        let mut body =
            json!({ "statement": text, "timeout": self.limit.as_secs().max(1), "database": self.database });
        let bindings: Map<String, Value> = statement
            .parameters
            .into_iter()
            .enumerate()
            .map(|(index, value)| ((index + 1).to_string(), json!({ "type": "TEXT", "value": value })))
            .collect();
        if let Some(body) = body.as_object_mut() {
            let optional = [("warehouse", &self.warehouse), ("role", &self.role)];
            for (name, value) in optional {
                if let Some(value) = value {
                    body.insert(name.to_owned(), json!(value));
                }
            }
            if !bindings.is_empty() {
                body.insert("bindings".to_owned(), Value::Object(bindings));
            }
        }
        let mut url = self.statements(&[])?;
        // Answered at once with a handle, by which it can be cancelled from then on.
        url.query_pairs_mut().append_pair("async", "true");
        let answer = self.send(Request::post(url, &body)).await?;
        let value = parsed(&answer)?;
        let handle = value.get("statementHandle").and_then(Value::as_str);
        let handle = handle.ok_or_else(|| super::nothing_at("statementHandle"))?.to_owned();
        let first = (answer.status != StatusCode::ACCEPTED).then_some(value);
        Ok(Running { handle, first, partitions: None, next: 0 })
    }

    async fn page(&self, running: &mut Running) -> Result<Option<Vec<Texts>>, SourceError> {
        let answer = match running.partitions {
            None => {
                let answer = match running.first.take() {
                    Some(answer) => answer,
                    None => self.done(&running.handle).await?,
                };
                let partitions = answer.pointer("/resultSetMetaData/partitionInfo").and_then(Value::as_array);
                running.partitions = Some(partitions.map_or(1, Vec::len));
                answer
            }
            Some(partitions) if running.next >= partitions => return Ok(None),
            Some(_) => {
                let mut url = self.statements(&[&running.handle])?;
                url.query_pairs_mut().append_pair("partition", &running.next.to_string());
                parsed(&self.send(Request::get(url)).await?)?
            }
        };
        running.next += 1;
        rows(&answer).map(Some)
    }

    async fn cancel(&self, running: &Running) {
        let Ok(url) = self.statements(&[&running.handle, "cancel"]) else { return };
        if let Err(error) = self.send(Request::post(url, &json!({}))).await {
            tracing::debug!(detail = error.detail, "a statement was not cancelled");
        }
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

/// The kind of a column. Types that are not named here are text.
fn kind(found: &Found) -> Kind {
    match found.native.as_str() {
        "NUMBER" | "FIXED" | "DECIMAL" | "NUMERIC" => {
            let precision = found.precision.and_then(|digits| u8::try_from(digits).ok()).unwrap_or(38);
            let scale = found.scale.and_then(|digits| i8::try_from(digits).ok()).unwrap_or(0);
            if precision <= 18 && scale == 0 { Kind::Int } else { Kind::Decimal { precision, scale } }
        }
        "FLOAT" | "REAL" | "DOUBLE" => Kind::Float,
        "BOOLEAN" => Kind::Boolean,
        "BINARY" => Kind::Hex,
        "DATE" => Kind::Date,
        "TIME" => Kind::Time,
        "TIMESTAMP_NTZ" | "DATETIME" => Kind::Timestamp,
        "TIMESTAMP_LTZ" | "TIMESTAMP_TZ" => Kind::Instant,
        _ => Kind::Text,
    }
}

//! Oracle Database by the REST-enabled SQL service of Oracle REST Data Services, which answers a query window by window.
//!
//! Each window is a statement of its own, so rows are ordered: by ROWID in tables, by every column that can be ordered in views.
//!
//! Source: Oracle REST Data Services Developer's Guide, "REST-Enabled SQL Service".

use serde_json::{Value, json};
use url::Url;

use super::client::{self, Client, Request};
use super::sql::plan::{Compare, Found, Kind, Planned};
use super::sql::{Statement, Texts, Warehouse, date_text, moment_text};
use super::tree;
use crate::error::{ErrorCode, SourceError};
use crate::filter::{Literal, decimal_text};
use crate::network::NetworkPolicy;
use crate::settings::Settings;

/// Rows of a window. The service gives fewer where it is configured so.
const WINDOW: usize = 5_000;
/// The form of moments. Years before Christ have a minus, and do not fit.
const SECONDS: &str = "SYYYY-MM-DD HH24:MI:SS";
/// Schemas that Oracle keeps for itself and does not mark so.
const OWN: &str = "'SYS', 'SYSTEM', 'XDB', 'ORDS_METADATA', 'ORDS_PUBLIC_USER'";

/// A schema that ORDS serves, and what its user may read.
pub(crate) struct Oracle {
    client: Client,
    address: Url,
    schema: String,
}

/// A query and how far its result was read.
pub(crate) struct Running {
    statement: Statement,
    offset: usize,
    more: bool,
}

impl Oracle {
    /// `host` is that of ORDS, or `connection_string` its address up to the schema's alias (`https://host/ords/hr`); `database_name` is the
    /// alias.
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let base = client::base(settings, 443)?;
        let alias = settings.database_name.as_deref().unwrap_or_default();
        let address = if settings.connection_string.is_some() {
            client::below(&base, &["_", "sql"])?
        } else {
            client::below(&base, &[settings.option("path")?.unwrap_or("ords"), alias, "_", "sql"])?
        };
        let user = settings.credentials.username.as_ref().map(|user| user.expose().to_uppercase());
        let schema = settings.schema_name.clone().or(user).unwrap_or_else(|| alias.to_uppercase());
        let headers = client::sign_in(&settings.credentials, None)?;
        Ok(Self { client: Client::open(settings, policy, headers).await?, address, schema })
    }

    /// Runs a statement and gives what is answered to it: `{"resultSet": …}`.
    async fn run(&self, statement: &Statement, offset: usize, limit: usize) -> Result<Value, SourceError> {
        let mut text = statement.text.clone();
        if let Some(order) = order(statement)? {
            text.push_str(&order);
        }
        let mut body = json!({ "statementText": text, "offset": offset, "limit": limit });
        let binds: Vec<Value> = statement
            .parameters
            .iter()
            .enumerate()
            .map(|(index, value)| json!({ "index": index + 1, "data_type": "VARCHAR", "value": value }))
            .collect();
        if let Some(body) = body.as_object_mut().filter(|_| !binds.is_empty()) {
            body.insert("binds".to_owned(), Value::Array(binds));
        }
        let answer = self.client.send(Request::post(self.address.clone(), &body)).await?;
        let answer = tree(&answer.body)?;
        let item = answer.pointer("/items/0").cloned().ok_or_else(|| super::nothing_at("items"))?;
        match item.get("errorCode").and_then(Value::as_i64) {
            None | Some(0) => Ok(item),
            Some(code) => {
                let why = item.get("errorDetails").and_then(Value::as_str).unwrap_or_default();
                let error = match code {
                    // Wrong name or password, and an account that is locked or has expired.
                    1017 | 28000 | 28001 => {
                        SourceError::new(ErrorCode::Authentication, "Oracle refused the credentials.")
                    }
                    1013 => SourceError::new(ErrorCode::Timeout, "The query was cancelled."),
                    1031 => SourceError::forbidden("The user may not read this (ORA-01031)."),
                    904 | 942 => {
                        SourceError::changed(format!("A table or column does not exist (ORA-{code:05})."))
                    }
                    _ => SourceError::refused(format!("Oracle refused the query (ORA-{code:05}).")),
                };
                Err(error.with_detail(self.client.told(why, "")))
            }
        }
    }
}

/// How rows are ordered so that windows neither overlap nor leave gaps. None where one window is all there is, or the catalog's own
/// query says.
fn order(statement: &Statement) -> Result<Option<String>, SourceError> {
    if !statement.is_scan || statement.limit.is_some_and(|limit| limit <= WINDOW) {
        return Ok(None);
    }
    if !statement.is_view {
        return Ok(Some(" ORDER BY ROWID".to_owned()));
    }
    if statement.order.is_empty() {
        return Err(SourceError::query("The view has no column that its rows could be ordered by."));
    }
    Ok(Some(format!(" ORDER BY {}", statement.order.join(", "))))
}

/// The rows of a result, whose columns are `c0`, `c1`, … in the order of its metadata.
fn rows(set: &Value) -> Vec<Texts> {
    let metadata = set.get("metadata").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<&str> =
        metadata.filter_map(|column| column.get("jsonColumnName").and_then(Value::as_str)).collect();
    let cell = |row: &Value, name: &str| match row.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    let items = set.get("items").and_then(Value::as_array).into_iter().flatten();
    items.map(|row| names.iter().map(|&name| cell(row, name)).collect()).collect()
}

/// The kind of a column and the expression that gives its text.
fn kind(found: &Found, name: &str) -> (Kind, String) {
    let (native, _) = found.native.split_once('(').unwrap_or((found.native.as_str(), ""));
    let number = format!("TO_CHAR({name}, 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')");
    match native {
        "NUMBER" => match (found.precision, found.scale) {
            (Some(1..=18), Some(0)) => (Kind::Int, number),
            (Some(precision @ 1..=38), Some(scale @ 0..=38)) => {
                let precision = u8::try_from(precision.max(scale)).unwrap_or(38);
                (Kind::Decimal { precision, scale: i8::try_from(scale).unwrap_or(0) }, number)
            }
            // INTEGER has a scale of 0 and no precision: 38 digits, or 39 for some numbers, which do not fit.
            (None, Some(0)) => (Kind::Decimal { precision: 38, scale: 0 }, number),
            // A number without precision or scale is anything from 1e-130 to 1e125: text is all that holds it.
            _ => (Kind::Text, number),
        },
        "FLOAT" => (Kind::Text, number),
        "BINARY_FLOAT" | "BINARY_DOUBLE" => {
            (Kind::Float, format!("TO_CHAR({name}, 'TME', 'NLS_NUMERIC_CHARACTERS=''.,''')"))
        }
        "DATE" => (Kind::Timestamp, format!("TO_CHAR({name}, '{SECONDS}')")),
        "TIMESTAMP" if found.native.ends_with("TIME ZONE") => {
            (Kind::Instant, format!("TO_CHAR(SYS_EXTRACT_UTC({name}), '{SECONDS}.FF9')"))
        }
        "TIMESTAMP" => (Kind::Timestamp, format!("TO_CHAR({name}, '{SECONDS}.FF9')")),
        "BOOLEAN" => {
            (Kind::Boolean, format!("CASE WHEN {name} THEN 'true' WHEN NOT {name} THEN 'false' END"))
        }
        "RAW" => (Kind::Hex, format!("RAWTOHEX({name})")),
        "ROWID" | "UROWID" => (Kind::Text, format!("ROWIDTOCHAR({name})")),
        "XMLTYPE" => (Kind::Text, format!("XMLSERIALIZE(CONTENT {name} AS CLOB)")),
        "JSON" => (Kind::Text, format!("JSON_SERIALIZE({name} RETURNING CLOB)")),
        native if native.starts_with("INTERVAL") => (Kind::Text, format!("TO_CHAR({name})")),
        "VARCHAR2" | "NVARCHAR2" | "CHAR" | "NCHAR" | "CLOB" | "NCLOB" => (Kind::Text, name.to_owned()),
        _ => (Kind::Unreadable, "NULL".to_owned()),
    }
}

#[async_trait::async_trait]
impl Warehouse for Oracle {
    type Running = Running;

    fn title(&self) -> &'static str {
        "Oracle"
    }

    fn probe(&self) -> &'static str {
        "SELECT 1 FROM dual"
    }

    async fn version(&self) -> Result<Option<String>, SourceError> {
        let text = "SELECT version_full FROM product_component_version WHERE product LIKE 'Oracle%'";
        let item = self.run(&Statement::new(text, Vec::new()), 0, 1).await?;
        let row = item.get("resultSet").map(rows).unwrap_or_default().into_iter().next();
        let version = row.and_then(|row| row.into_iter().next().flatten());
        Ok(version.map(|version| format!("Oracle Database {version}")))
    }

    async fn catalogs(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<Statement>, SourceError> {
        let text = format!(
            "SELECT c.owner, c.table_name, CASE WHEN t.table_name IS NULL THEN 'V' ELSE 'T' END, t.num_rows, r.comments, c.column_name, \
             c.data_type, c.data_precision, c.data_scale, c.nullable, m.comments AS column_comments, NULL AS own_collation, NULL AS part_of_key \
             FROM all_tab_columns c JOIN all_users u ON u.username = c.owner \
             LEFT JOIN all_tables t ON t.owner = c.owner AND t.table_name = c.table_name \
             LEFT JOIN all_tab_comments r ON r.owner = c.owner AND r.table_name = c.table_name \
             LEFT JOIN all_col_comments m ON m.owner = c.owner AND m.table_name = c.table_name AND m.column_name = c.column_name \
             WHERE u.oracle_maintained = 'N' AND c.owner NOT IN ({OWN})"
        );
        let mut statement = self.named(text, [("c.owner", schema), ("c.table_name", table)]);
        statement.text.push_str(" ORDER BY c.owner, c.table_name, c.column_id");
        Ok(vec![statement])
    }

    fn reading(&self, found: &Found, name: &str) -> (Kind, String, Compare) {
        let (kind, expression) = kind(found, name);
        let compare = match kind {
            Kind::Int | Kind::Decimal { .. } | Kind::Timestamp | Kind::Instant => Compare::All,
            Kind::Unreadable => Compare::Nothing,
            // Texts are compared as the session says, and the empty one is NULL.
            _ => Compare::NullOnly,
        };
        (kind, expression, compare)
    }

    fn is_sortable(&self, found: &Found, kind: Kind) -> bool {
        let lobs = ["CLOB", "NCLOB", "BLOB", "BFILE", "XMLTYPE", "JSON", "LONG", "LONG RAW"];
        kind != Kind::Unreadable && !lobs.contains(&found.native.as_str())
    }

    /// Numbers and moments alone are compared, which need no escapes.
    fn literal(&self, column: &Planned, literal: &Literal, _: &mut Vec<String>) -> String {
        match literal {
            Literal::Int(value) => value.to_string(),
            Literal::UInt(value) => value.to_string(),
            Literal::Decimal { unscaled, scale } => decimal_text(*unscaled, *scale),
            Literal::Date(days) => format!("DATE '{}'", date_text(*days)),
            Literal::Timestamp(moment) if column.kind == Kind::Instant => {
                format!("TIMESTAMP '{} +00:00'", moment_text(*moment))
            }
            Literal::Timestamp(moment) => format!("TIMESTAMP '{}'", moment_text(*moment)),
            Literal::Boolean(_) | Literal::Utf8(_) | Literal::Binary(_) => "NULL".to_owned(),
        }
    }

    fn default_schema(&self) -> &str {
        &self.schema
    }

    async fn begin(&self, mut statement: Statement) -> Result<Running, SourceError> {
        if let Some(limit) = statement.limit.filter(|limit| *limit <= WINDOW) {
            statement.text.push_str(&format!(" FETCH FIRST {limit} ROWS ONLY"));
        }
        Ok(Running { statement, offset: 0, more: true })
    }

    async fn page(&self, running: &mut Running) -> Result<Option<Vec<Texts>>, SourceError> {
        if !running.more {
            return Ok(None);
        }
        let item = self.run(&running.statement, running.offset, WINDOW).await?;
        let set = item.get("resultSet").ok_or_else(|| super::nothing_at("resultSet"))?;
        let rows = rows(set);
        running.offset += rows.len();
        running.more = set.get("hasMore").and_then(Value::as_bool) == Some(true) && !rows.is_empty();
        Ok(Some(rows))
    }

    /// A window's statement ends with its request: ORDS has no handle of it. The next window is just not asked for.
    async fn cancel(&self, _: &Running) {}

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

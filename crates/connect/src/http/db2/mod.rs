//! Db2 by an interface that runs a statement and answers its rows, so that a relation is read window by window.
//!
//! Each window is a statement of its own, so rows are ordered by every column that can be ordered.

use super::sql::plan::{Compare, Found, Kind, Planned};
use super::sql::{Statement, Texts, Warehouse, date_text, moment_text};
use crate::error::SourceError;
use crate::filter::{Literal, decimal_text};
use crate::network::NetworkPolicy;
use crate::settings::Settings;

mod service;

use service::Service;

/// Rows of a window.
const WINDOW: usize = 5_000;

/// A database behind such an interface.
pub(crate) struct Db2 {
    service: Service,
    schema: String,
}

/// A query and how far its result was read.
pub(crate) struct Running {
    statement: Statement,
    offset: usize,
    more: bool,
}

impl Db2 {
    /// `host` and `port`, or `connection_string`, are those of the service; `metadata.api` says which of the two it is. Behind the REST service,
    /// `metadata.db_host` (the same host), `db_port` (50000) and `db_tls` are those of the database.
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let user = settings.credentials.username.as_ref().map(|user| user.expose().to_uppercase());
        let schema = settings.schema_name.clone().or(user).unwrap_or_default();
        Ok(Self { service: Service::open(settings, policy).await?, schema })
    }

    async fn run(&self, statement: &Statement, offset: usize) -> Result<Vec<Texts>, SourceError> {
        let window = statement.limit.map_or(WINDOW, |limit| WINDOW.min(limit.saturating_sub(offset)));
        let mut text = statement.text.clone();
        if is_windowed(statement) {
            text.push_str(&window_of(statement, offset, window)?);
        }
        self.service.run(&text, &statement.parameters, window).await
    }
}

/// Whether it reads a relation or the catalog, whose rows are many.
fn is_windowed(statement: &Statement) -> bool {
    statement.is_scan || !statement.order.is_empty()
}

/// The clauses that make a window of a query. Rows that are equal in every column that is ordered may change places.
fn window_of(statement: &Statement, offset: usize, window: usize) -> Result<String, SourceError> {
    let fetch = format!("OFFSET {offset} ROWS FETCH NEXT {window} ROWS ONLY");
    if statement.limit.is_some_and(|limit| limit <= WINDOW) {
        return Ok(format!(" {fetch}"));
    }
    if statement.order.is_empty() {
        return Err(SourceError::query("The relation has no column that its rows could be ordered by."));
    }
    Ok(format!(" ORDER BY {} {fetch}", statement.order.join(", ")))
}

/// The kind of a column and the expression that gives its text.
fn kind(found: &Found, name: &str) -> (Kind, String) {
    match found.native.as_str() {
        "SMALLINT" | "INTEGER" | "BIGINT" => (Kind::Int, format!("VARCHAR({name})")),
        "DECIMAL" => {
            let precision = found.precision.and_then(|digits| u8::try_from(digits).ok()).unwrap_or(31);
            let scale = found.scale.and_then(|digits| i8::try_from(digits).ok()).unwrap_or(0);
            (Kind::Decimal { precision, scale }, format!("VARCHAR({name})"))
        }
        // As a number: as a text it has fewer digits.
        "REAL" | "DOUBLE" => (Kind::Float, name.to_owned()),
        // Up to 34 digits with an exponent, and NaN: text is all that holds it.
        "DECFLOAT" => (Kind::Text, format!("VARCHAR({name})")),
        "BOOLEAN" => {
            (Kind::Boolean, format!("CASE WHEN {name} THEN 'true' WHEN NOT {name} THEN 'false' END"))
        }
        "DATE" => (Kind::Date, format!("CHAR({name}, ISO)")),
        "TIME" => (Kind::Time, format!("CHAR({name}, JIS)")),
        "TIMESTAMP" => (Kind::Timestamp, format!("VARCHAR_FORMAT({name}, 'YYYY-MM-DD HH24:MI:SS.FF12')")),
        "BINARY" | "VARBINARY" => (Kind::Hex, format!("HEX({name})")),
        "XML" => (Kind::Text, format!("XMLSERIALIZE({name} AS CLOB)")),
        "CHARACTER" | "VARCHAR" | "LONG VARCHAR" | "CLOB" | "GRAPHIC" | "VARGRAPHIC" | "LONG VARGRAPHIC"
        | "DBCLOB" => (Kind::Text, name.to_owned()),
        _ => (Kind::Unreadable, "NULL".to_owned()),
    }
}

#[async_trait::async_trait]
impl Warehouse for Db2 {
    type Running = Running;

    fn title(&self) -> &'static str {
        "Db2"
    }

    fn probe(&self) -> &'static str {
        "SELECT 1 FROM sysibm.sysdummy1"
    }

    async fn version(&self) -> Result<Option<String>, SourceError> {
        let text = "SELECT service_level AS C0 FROM TABLE(sysproc.env_get_inst_info())";
        let rows = self.run(&Statement::new(text, Vec::new()), 0).await;
        // Not every user may call it.
        let level = rows.ok().and_then(|rows| rows.into_iter().next()?.into_iter().next().flatten());
        Ok(Some(level.map_or_else(|| "Db2".to_owned(), |level| format!("Db2 ({level})"))))
    }

    async fn catalogs(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<Statement>, SourceError> {
        let text = "SELECT RTRIM(c.tabschema) AS C0, c.tabname AS C1, CASE t.type WHEN 'V' THEN 'V' ELSE 'T' END AS C2, \
             VARCHAR(t.card) AS C3, t.remarks AS C4, c.colname AS C5, c.typename AS C6, VARCHAR(c.length) AS C7, \
             VARCHAR(c.scale) AS C8, c.nulls AS C9, c.remarks AS C10, CAST(NULL AS VARCHAR(1)) AS C11, VARCHAR(c.keyseq) AS C12 \
             FROM syscat.columns c JOIN syscat.tables t ON t.tabschema = c.tabschema AND t.tabname = c.tabname \
             WHERE t.type IN ('T', 'V', 'S', 'N', 'A', 'U', 'G') AND c.tabschema NOT LIKE 'SYS%' AND c.hidden <> 'I'"
            .to_owned();
        let statement = self.named(text, [("c.tabschema", schema), ("c.tabname", table)]);
        let order = ["c.tabschema", "c.tabname", "c.colno"].map(str::to_owned).to_vec();
        Ok(vec![Statement { order, ..statement }])
    }

    /// Of a type that holds every name.
    fn parameter(&self, text: &str, parameters: &mut Vec<String>) -> String {
        parameters.push(text.to_owned());
        "CAST(? AS VARCHAR(128))".to_owned()
    }

    fn reading(&self, found: &Found, name: &str) -> (Kind, String, Compare) {
        let (kind, expression) = kind(found, name);
        let compare = match kind {
            Kind::Int | Kind::Decimal { .. } | Kind::Date | Kind::Timestamp => Compare::All,
            Kind::Unreadable => Compare::Nothing,
            // Blanks at the end are no difference there, and collations may see fewer.
            _ => Compare::NullOnly,
        };
        (kind, expression, compare)
    }

    fn is_sortable(&self, found: &Found, kind: Kind) -> bool {
        let lobs = ["CLOB", "DBCLOB", "BLOB", "XML", "LONG VARCHAR", "LONG VARGRAPHIC"];
        kind != Kind::Unreadable && !lobs.contains(&found.native.as_str())
    }

    /// Numbers and moments alone are compared, which need no escapes.
    fn literal(&self, _: &Planned, literal: &Literal, _: &mut Vec<String>) -> String {
        match literal {
            Literal::Int(value) => value.to_string(),
            Literal::UInt(value) => value.to_string(),
            Literal::Decimal { unscaled, scale } => decimal_text(*unscaled, *scale),
            Literal::Date(days) => format!("DATE '{}'", date_text(*days)),
            Literal::Timestamp(moment) => format!("TIMESTAMP '{}'", moment_text(*moment)),
            Literal::Boolean(_) | Literal::Utf8(_) | Literal::Binary(_) => "NULL".to_owned(),
        }
    }

    fn default_schema(&self) -> &str {
        &self.schema
    }

    async fn begin(&self, statement: Statement) -> Result<Running, SourceError> {
        // A test that signs in wrongly ends here.
        self.service.token().await?;
        Ok(Running { statement, offset: 0, more: true })
    }

    async fn page(&self, running: &mut Running) -> Result<Option<Vec<Texts>>, SourceError> {
        if !running.more {
            return Ok(None);
        }
        let mut rows = self.run(&running.statement, running.offset).await?;
        running.offset += rows.len();
        let wanted = running.statement.limit.is_none_or(|limit| running.offset < limit);
        running.more = is_windowed(&running.statement) && rows.len() == WINDOW && wanted;
        // Columns at the end that are NULL may be left out of an object.
        for row in &mut rows {
            row.resize(row.len().max(running.statement.width), None);
        }
        Ok(Some(rows))
    }

    /// A window's statement ends with its request; the next one is just not asked for.
    async fn cancel(&self, _: &Running) {}

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.service.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

//! ClickHouse by its HTTP interface: rows come as they are found, in `JSONCompactEachRow`, and read-only by the setting of that name.
//!
//! Source: ClickHouse, "HTTP interface", "Data types", "IN operators", "system.columns".

use url::Url;

use super::client::{self, Client, Request};
use super::lines::Lines;
use super::sql::allowance::Allowance;
use super::sql::plan::{Compare, Found, Kind, Planned};
use super::sql::{Statement, Texts, Warehouse, date_text, moment_text};
use super::{elements, no_json};
use crate::error::SourceError;
use crate::filter::{Literal, decimal_text};
use crate::network::NetworkPolicy;
use crate::registry::TypeInfo;
use crate::settings::Settings;

/// Rows, and bytes of them, that are handed on together.
const PAGE_ROWS: usize = 1_000;
const PAGE_BYTES: usize = 1 << 20;
/// What a query's values may have: texts go by the address, of which servers and what stands before them take 16 KiB, the others by the
/// query, of which the server parses 256 KiB.
const ALLOWANCE: Allowance = Allowance { texts: 12 << 10, values: 128 << 10 };
/// Days that a `Date` has, and a `Date32`; that a `DateTime` has, and a `DateTime64` of every precision.
const DATE: (i32, i32) = (0, 65_535);
const DATE32: (i32, i32) = (-25_567, 120_529);
const DATE_TIME: (i32, i32) = (0, 49_709);
const DATE_TIME64: (i32, i32) = (-25_567, 106_750);

/// A ClickHouse server.
pub(crate) struct Clickhouse {
    client: Client,
    base: Url,
    /// The only database that is looked into, if one is named.
    database: Option<String>,
}

/// A query whose rows are read as they come.
pub(crate) struct Running {
    lines: Lines,
    /// Columns of each row, if they are known.
    width: Option<usize>,
}

impl Clickhouse {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let base = client::base(settings, TypeInfo::of(settings.kind).default_port.unwrap_or(8443))?;
        let headers = client::sign_in(&settings.credentials, None)?;
        let database = settings.database_name.clone().filter(|name| !name.is_empty());
        Ok(Self { client: Client::open(settings, policy, headers).await?, base, database })
    }

    /// The cells of a row. An error in the middle of an answer is a line of its own, after the status that says success.
    fn cells(&self, line: &str, width: Option<usize>) -> Result<Texts, SourceError> {
        if line.contains("DB::Exception") && !line.starts_with('[') {
            return Err(SourceError::refused("ClickHouse ended the query with an error.")
                .with_detail(self.client.redacted(&line)));
        }
        let row = elements(line)?;
        if !line.starts_with('[') || width.is_some_and(|width| width != row.len()) {
            return Err(SourceError::query("The answer has other columns than were asked for."));
        }
        // Not as values of any kind: a line of commas would be many times as large.
        let text = |cell: &str| match cell.as_bytes().first() {
            Some(b'n') => Ok(None),
            Some(b'"') => serde_json::from_str(cell).map(Some),
            _ => Ok(Some(cell.to_owned())),
        };
        row.into_iter().map(text).collect::<Result<Texts, _>>().map_err(|error| no_json(&error))
    }
}

/// A name in a query. Its escapes are those of strings.
fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// A text in a query, which is sent apart from it.
fn parameter(text: &str, parameters: &mut Vec<String>) -> String {
    parameters.push(text.to_owned());
    format!("{{p{}:String}}", parameters.len() - 1)
}

/// The value of a parameter: it is parsed as a field of tab-separated values, where a backslash begins an escape.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\0' => escaped.push_str("\\0"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A type without what says that it may be NULL, or how it is stored.
fn bare(native: &str) -> &str {
    let mut bare = native.trim();
    loop {
        let inner = ["Nullable(", "LowCardinality("].iter().find_map(|outer| bare.strip_prefix(outer));
        let aggregated = || Some(bare.strip_prefix("SimpleAggregateFunction(")?.split_once(',')?.1);
        match inner.or_else(aggregated).and_then(|inner| inner.strip_suffix(')')) {
            Some(inner) => bare = inner.trim(),
            None => return bare,
        }
    }
}

/// How values of a type without its wrapping are read, by the column's name in a query, and which of them are compared there.
fn reading(bare: &str, name: &str) -> (Kind, String, Compare) {
    let (base, arguments) = bare.split_once('(').unwrap_or((bare, ""));
    let mut arguments = arguments.trim_end_matches(')').split(',').map(str::trim);
    let plain = |kind, compare| (kind, name.to_owned(), compare);
    let written = |kind, compare| (kind, format!("toString({name})"), compare);
    let days = |(first, last): (i32, i32), unit| Compare::Within { first, last, unit };
    let in_utc = format!("toString(toTimeZone({name}, 'UTC'))");
    match base {
        "Int8" => plain(Kind::Signed(8), Compare::All),
        "Int16" => plain(Kind::Signed(16), Compare::All),
        "Int32" => plain(Kind::Signed(32), Compare::All),
        "Int64" => plain(Kind::Signed(64), Compare::All),
        "UInt8" => plain(Kind::Unsigned(8), Compare::All),
        "UInt16" => plain(Kind::Unsigned(16), Compare::All),
        "UInt32" => plain(Kind::Unsigned(32), Compare::All),
        "UInt64" => plain(Kind::Unsigned(64), Compare::All),
        "Bool" => plain(Kind::Boolean, Compare::All),
        "Float32" => written(Kind::Real, Compare::NullOnly),
        "Float64" => written(Kind::Float, Compare::NullOnly),
        "Decimal" => {
            let precision = arguments.next().and_then(|digits| digits.parse().ok()).unwrap_or(76);
            let scale = arguments.next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
            written(Kind::Decimal { precision, scale }, Compare::All)
        }
        // Compared byte by byte: ClickHouse has collations for ordering an answer alone.
        "String" => plain(Kind::Text, Compare::All),
        // It is filled with zero bytes, which a comparison does not see.
        "FixedString" => plain(Kind::Text, Compare::NullOnly),
        "Date" => plain(Kind::Date, days(DATE, 1)),
        "Date32" => plain(Kind::Date, days(DATE32, 1)),
        "DateTime" => (Kind::Instant, in_utc, days(DATE_TIME, 1_000_000)),
        "DateTime64" => {
            let digits: u32 = arguments.next().and_then(|digits| digits.parse().ok()).unwrap_or(3);
            let unit = 10_i64.pow(6_u32.saturating_sub(digits));
            (Kind::Instant, in_utc, days(DATE_TIME64, unit))
        }
        // Columns in them may be NULL where they are not, or the other way round.
        "Array" | "Tuple" | "Map" | "Nested" | "JSON" | "Object" | "Variant" | "Dynamic" | "Point"
        | "Ring" | "LineString" | "MultiLineString" | "Polygon" | "MultiPolygon" | "Geometry" => {
            (Kind::Text, format!("toJSONString({name})"), Compare::Nothing)
        }
        "AggregateFunction" => plain(Kind::Unreadable, Compare::Nothing),
        _ => written(Kind::Text, Compare::NullOnly),
    }
}

/// A moment as the type of a column has it: with as many digits as that has, so that it is not rounded.
fn moment(column: &Planned, moment: i64) -> String {
    let Compare::Within { first, unit, .. } = column.compare else { return "NULL".to_owned() };
    let digits = 6_u32.saturating_sub(unit.checked_ilog10().unwrap_or(0));
    let text = moment_text(moment);
    let (seconds, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if first == DATE_TIME.0 {
        return format!("toDateTime('{seconds}', 'UTC')");
    }
    let fraction: String = fraction.chars().take(usize::try_from(digits).unwrap_or(6)).collect();
    let point = if fraction.is_empty() { "" } else { "." };
    format!("toDateTime64('{seconds}{point}{fraction}', {digits}, 'UTC')")
}

#[async_trait::async_trait]
impl Warehouse for Clickhouse {
    type Running = Running;

    fn title(&self) -> &'static str {
        "ClickHouse"
    }

    fn probe(&self) -> &'static str {
        "SELECT 1"
    }

    fn version_query(&self) -> Option<&'static str> {
        Some("SELECT version()")
    }

    async fn catalogs(
        &self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<Statement>, SourceError> {
        // `.inner_id.…` has the rows of a materialized view under another name, which no policy about the view would hold for.
        let text = "SELECT c.database, c.table, if(t.engine LIKE '%View', 'V', 'T'), t.total_rows, t.comment, c.name, c.type, NULL, \
             NULL, if(match(c.type, 'Nullable|Variant|Dynamic|JSON|Object'), 'Y', 'N'), c.comment, NULL, NULL \
             FROM system.columns AS c INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table \
             WHERE NOT t.is_temporary AND NOT startsWith(c.table, '.inner') AND c.default_kind NOT IN ('MATERIALIZED', 'ALIAS', 'EPHEMERAL') \
             AND c.database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema')"
            .to_owned();
        let schema = schema.or(self.database.as_deref());
        let mut statement = self.named(text, [("c.database", schema), ("c.table", table)]);
        statement.text.push_str(" ORDER BY c.database, c.table, c.position");
        Ok(vec![statement])
    }

    /// That a column may be NULL is told apart from its type.
    fn type_name(&self, native: String) -> String {
        bare(&native).to_owned()
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
            Literal::Int(value) => value.to_string(),
            Literal::UInt(value) => value.to_string(),
            Literal::Decimal { unscaled, scale } => {
                let (bits, scale_there) = match column.kind {
                    Kind::Decimal { precision, scale } if precision <= 38 => (128, scale),
                    Kind::Decimal { scale, .. } => (256, scale),
                    _ => (256, *scale),
                };
                format!("toDecimal{bits}('{}', {scale_there})", decimal_text(*unscaled, *scale))
            }
            Literal::Utf8(text) => parameter(text, parameters),
            Literal::Binary(bytes) => format!("unhex('{}')", hex::encode(bytes)),
            Literal::Date(days) => match column.compare {
                Compare::Within { first: 0, .. } => format!("toDate('{}')", date_text(*days)),
                _ => format!("toDate32('{}')", date_text(*days)),
            },
            Literal::Timestamp(at) => moment(column, *at),
        }
    }

    /// Without a name: a name of the answer would take the place of a column that is called so, in the conditions too.
    fn selected(&self, expression: &str, _: usize) -> String {
        expression.to_owned()
    }

    fn allowance(&self) -> Allowance {
        ALLOWANCE
    }

    /// Of NULL, `IN` is false, and `NOT IN` true.
    fn lists_know_null(&self) -> bool {
        false
    }

    fn default_schema(&self) -> &str {
        self.database.as_deref().unwrap_or("default")
    }

    async fn begin(&self, statement: Statement) -> Result<Running, SourceError> {
        let mut url = self.base.clone();
        url.query_pairs_mut()
            // 1 would forbid the settings below; 2 forbids all writes, and to change this one.
            .append_pair("readonly", "2")
            .append_pair("output_format_json_quote_64bit_integers", "0")
            .append_pair("date_time_output_format", "simple")
            // The query ends when its connection does.
            .append_pair("cancel_http_readonly_queries_on_client_close", "1");
        for (index, value) in statement.parameters.iter().enumerate() {
            url.query_pairs_mut().append_pair(&format!("param_p{index}"), &escaped(value));
        }
        let limit = statement.limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
        let query = format!("{}{limit} FORMAT JSONCompactEachRow", statement.text);
        let body = Some(("text/plain; charset=utf-8", query.into_bytes()));
        let request = Request { method: hyper::Method::POST, url, body, headers: Vec::new() };
        let width = statement.is_scan.then(|| statement.width.max(1));
        Ok(Running { lines: Lines::of(&self.client, request).await?, width })
    }

    async fn page(&self, running: &mut Running) -> Result<Option<Vec<Texts>>, SourceError> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < PAGE_ROWS && bytes < PAGE_BYTES {
            let Some(line) = running.lines.next(&self.client).await? else { break };
            bytes += line.len();
            rows.push(self.cells(&line, running.width)?);
        }
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// Its connection ends with it.
    async fn cancel(&self, _: &Running) {}

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_in_their_wrapping() {
        let of = |native: &str| reading(bare(native), "`c`");
        assert_eq!(of("LowCardinality(Nullable(String))"), (Kind::Text, "`c`".to_owned(), Compare::All));
        assert_eq!(of("SimpleAggregateFunction(sum, UInt64)").0, Kind::Unsigned(64));
        assert_eq!(of("Nullable(Decimal(10, 2))").0, Kind::Decimal { precision: 10, scale: 2 });
        let (kind, expression, compare) = of("DateTime64(3, 'Europe/Berlin')");
        assert_eq!(kind, Kind::Instant);
        assert_eq!(expression, "toString(toTimeZone(`c`, 'UTC'))");
        assert_eq!(compare, Compare::Within { first: -25_567, last: 106_750, unit: 1_000 });
        assert!(matches!(of("DateTime64(9)").2, Compare::Within { unit: 1, .. }));
        assert!(matches!(of("DateTime('UTC')").2, Compare::Within { first: 0, unit: 1_000_000, .. }));
        assert_eq!(of("Array(Nullable(String))").1, "toJSONString(`c`)");
        assert_eq!(of("Enum8('a\\'),(' = 1)").2, Compare::NullOnly);
        assert_eq!(of("FixedString(3)").2, Compare::NullOnly);
        assert_eq!(of("AggregateFunction(uniq, String)").0, Kind::Unreadable);
        assert_eq!(of("Int256").0, Kind::Text);
        assert_eq!(of("Nullable(").0, Kind::Text, "no type of any kind");
    }

    #[test]
    fn hostile_texts_stay_texts() {
        assert_eq!(identifier("a`\\` b"), "`a\\`\\\\\\` b`");
        assert_eq!(escaped("\\N"), "\\\\N", "it is no NULL");
        assert_eq!(escaped("a\tb\nc\r\0\\'"), "a\\tb\\nc\\r\\0\\\\'");
        let mut parameters = vec!["x".to_owned()];
        assert_eq!(parameter("' OR 1 = 1 --", &mut parameters), "{p1:String}");
        assert_eq!(parameters[1], "' OR 1 = 1 --");
    }

    // What a `Date` cannot hold becomes another day there.
    #[test]
    fn bounds_are_those_of_the_types() {
        let days = [DATE.0, DATE.1, DATE32.0, DATE32.1, DATE_TIME.1, DATE_TIME64.0, DATE_TIME64.1];
        assert_eq!(
            days.map(date_text),
            [
                "1970-01-01",
                "2149-06-06",
                "1900-01-01",
                "2299-12-31",
                "2106-02-06",
                "1900-01-01",
                "2262-04-10"
            ]
        );
    }

    #[test]
    fn moments_have_the_digits_of_their_column() {
        let of = |native: &str, at: i64| {
            let (kind, expression, compare) = reading(native, "`c`");
            moment(&Planned { identifier: "`c`".to_owned(), expression, kind, compare, sortable: false }, at)
        };
        assert_eq!(of("DateTime", 1_000_000), "toDateTime('1970-01-01 00:00:01', 'UTC')");
        assert_eq!(of("DateTime64(0)", 1_000_000), "toDateTime64('1970-01-01 00:00:01', 0, 'UTC')");
        assert_eq!(of("DateTime64(3)", 1_500_000), "toDateTime64('1970-01-01 00:00:01.500', 3, 'UTC')");
        assert_eq!(of("DateTime64(9)", -1), "toDateTime64('1969-12-31 23:59:59.999999', 6, 'UTC')");
    }
}

//! Tables of data sources: discovered, and as they are known.

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_catalog::schemas::read::{KnownSchemas, SchemaSummary, StoredColumn, StoredTable, Wanted};
use tidegate_domain::{Permission, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, UnusedBody};
use super::super::responses::{Envelope, envelope};
use super::error::{SourcePath, number};
use super::responses::DiscoveryData;
use super::sources::switch;
use crate::wire::fields::Violations;
use crate::wire::state::App;

/// Longest name of a schema or table that is asked for, in characters.
const MAX_NAME: usize = 512;

/// What is discovered.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DiscoverQuery {
    /// This schema alone.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 512)]
    schema_name: Option<String>,
    /// `true` asks the data source, whatever is known already.
    #[param(value_type = Option<bool>)]
    refresh: Option<String>,
}

/// A name that is asked for; an empty one is none.
fn named(name: &'static str, sent: Option<String>) -> Result<Option<String>, Violations> {
    match sent.filter(|text| !text.is_empty()) {
        Some(text) if text.chars().count() > MAX_NAME || text.contains('\0') => {
            Err(Violations::of(name, format!("must be at most {MAX_NAME} characters")))
        }
        text => Ok(text),
    }
}

/// Discovers the tables of a data source, or tells what is known of them. What takes longer than a request may goes on: ask again.
#[utoipa::path(post, path = "/data-sources/{data_source_id}/discover-schema", operation_id = "discover_schema", tag = "Data sources",
    security(("bearer" = [])), params(("data_source_id" = i64, Path, description = "`id` from the list"), DiscoverQuery),
    responses(
        (status = 200, description = "What was discovered", body = Envelope<DiscoveryData>),
        (status = 400, description = "BAD_REQUEST: the data source does not answer, and what its test would say; or it failed so often that it is left alone for a while", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS: also when too many discoveries of the organization are running", body = ErrorBody),
        (status = 503, description = "SERVICE_UNAVAILABLE: also when the discovery is still running", body = ErrorBody),
    ))]
pub(super) async fn discover(
    bearer: Bearer,
    State(app): State<App>,
    data_source_id: SourcePath,
    query: Result<Query<DiscoverQuery>, QueryRejection>,
    _body: UnusedBody,
) -> Answer {
    let (actor, _) = bearer.permitted(Permission::ManageDataSources)?;
    let number = number(data_source_id)?;
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let refresh = switch("refresh", query.refresh.as_deref(), false)?;
    let schema = named("schema_name", query.schema_name)?;
    let found = app.catalog().discover_schema(&actor, number, schema, refresh).await?;
    Ok(envelope(StatusCode::OK, DiscoveryData::from(found), "Schema discovery completed"))
}

/// What is shown of tables.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SchemasQuery {
    /// This schema alone.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 512)]
    schema_name: Option<String>,
    /// Tables of this name alone.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 512)]
    table_name: Option<String>,
    /// `false` leaves columns out.
    #[param(value_type = Option<bool>)]
    include_columns: Option<String>,
}

/// A column.
#[derive(Serialize, ToSchema)]
struct ColumnData {
    column_name: String,
    /// As the data source calls it.
    column_type: String,
    /// From 1.
    column_position: u32,
    is_nullable: bool,
    is_primary_key: bool,
    is_foreign_key: bool,
    default_value: Option<String>,
    column_comment: Option<String>,
}

/// A table.
#[derive(Serialize, ToSchema)]
struct TableData {
    table_name: String,
    /// `BASE TABLE`, `VIEW`, `COLLECTION` or `FILE`.
    table_type: String,
    /// As the data source estimates it; `null` for whom policies govern it.
    row_count: Option<i64>,
    table_comment: Option<String>,
    discovered_at: String,
    /// Left out with `include_columns=false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<ColumnData>>,
}

/// A schema.
#[derive(Serialize, ToSchema)]
struct SchemaData {
    schema_name: String,
    tables: Vec<TableData>,
}

/// What is known of the tables of a data source.
#[derive(Serialize, ToSchema)]
pub(super) struct SchemasData {
    data_source_id: i64,
    /// `null` when they never were.
    last_discovered_at: Option<String>,
    schemas: Vec<SchemaData>,
}

impl From<StoredColumn> for ColumnData {
    fn from(column: StoredColumn) -> Self {
        Self {
            column_name: column.name,
            column_type: column.type_name,
            column_position: column.position,
            is_nullable: column.nullable,
            is_primary_key: column.primary_key,
            is_foreign_key: column.foreign_key.is_some(),
            default_value: column.default,
            column_comment: column.comment,
        }
    }
}

impl TableData {
    fn new(table: StoredTable, discovered_at: &str, with_columns: bool, counts_rows: bool) -> Self {
        Self {
            table_name: table.name,
            table_type: table.kind,
            row_count: table.row_count.filter(|_| counts_rows),
            table_comment: table.comment,
            discovered_at: discovered_at.to_owned(),
            columns: with_columns.then(|| table.columns.into_iter().map(ColumnData::from).collect()),
        }
    }
}

/// What is known of the tables of a data source, from its last discovery.
#[utoipa::path(get, path = "/data-sources/{data_source_id}/schemas", operation_id = "read_schemas", tag = "Data sources",
    security(("bearer" = [])), params(("data_source_id" = i64, Path, description = "`id` from the list"), SchemasQuery),
    responses(
        (status = 200, description = "The tables", body = Envelope<SchemasData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn schemas(
    bearer: Bearer,
    State(app): State<App>,
    data_source_id: SourcePath,
    query: Result<Query<SchemasQuery>, QueryRejection>,
) -> Answer {
    let number = number(data_source_id)?;
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let with_columns = switch("include_columns", query.include_columns.as_deref(), true)?;
    let schema = named("schema_name", query.schema_name)?;
    let table = named("table_name", query.table_name)?;
    let known = app.catalog().data_source_schemas(&bearer.actor, number, Wanted { schema, table }).await?;
    Ok(streamed(known, with_columns))
}

/// The answer, written while its tables are read.
fn streamed(known: KnownSchemas, with_columns: bool) -> Response {
    let body = Body::from_stream(pieces(known, with_columns));
    let json = HeaderValue::from_static("application/json");
    (StatusCode::OK, [(header::CONTENT_TYPE, json)], body).into_response()
}

/// How far an answer is written.
struct Written {
    known: KnownSchemas,
    with_columns: bool,
    /// The schema that is being written.
    schema: usize,
    /// The place of its last table that was written.
    last: Option<i64>,
    /// Whether a schema was written before.
    any: bool,
    state: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Tables,
    Done,
}

/// Tables that cannot be read end the answer early, which clients notice: what was written is no JSON then.
struct Unreadable;

impl From<Unreadable> for std::io::Error {
    fn from(_: Unreadable) -> Self {
        Self::other("the tables cannot be read any further")
    }
}

fn pieces(known: KnownSchemas, with_columns: bool) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    let begun = Written { known, with_columns, schema: 0, last: None, any: false, state: Part::Head };
    stream::try_unfold(begun, |mut written| async move {
        let piece = match written.state {
            Part::Head => Some(written.head()),
            Part::Tables => Some(written.tables().await?),
            Part::Done => None,
        };
        Ok::<_, std::io::Error>(piece.map(|piece| (Bytes::from(piece), written)))
    })
}

impl Written {
    fn head(&mut self) -> String {
        self.state = Part::Tables;
        let discovered_at = self.known.discovered_at.map(Timestamp::iso_seconds);
        format!(
            r#"{{"success":true,"data":{{"data_source_id":{},"last_discovered_at":{},"schemas":["#,
            self.known.number,
            json!(discovered_at)
        )
    }

    /// The next tables, with what stands around them.
    async fn tables(&mut self) -> Result<String, Unreadable> {
        let Some(schema) = self.known.schemas.get(self.schema).cloned() else {
            self.state = Part::Done;
            return Ok(r#"]},"message":"Schema information retrieved successfully"}"#.to_owned());
        };
        let next = self.known.pages().next(&schema, self.last).await.map_err(|fault| {
            tracing::error!(error = %fault, "tables could not be read while they were being answered");
            Unreadable
        })?;
        let mut text = String::new();
        if self.last.is_none() {
            if next.is_empty() && self.known.hides_tables() {
                self.schema += 1;
                return Ok(text);
            }
            let comma = if self.any { "," } else { "" };
            text.push_str(&format!(r#"{comma}{{"schema_name":{},"tables":["#, json!(schema.name)));
            self.any = true;
        }
        if next.is_empty() {
            text.push_str("]}");
            (self.schema, self.last) = (self.schema + 1, None);
            return Ok(text);
        }
        let is_first = self.last.is_none();
        let last = next.last().map(|table| table.place);
        self.write(&mut text, &schema, next, is_first)?;
        self.last = last;
        Ok(text)
    }

    fn write(
        &self,
        text: &mut String,
        schema: &SchemaSummary,
        tables: Vec<StoredTable>,
        is_first: bool,
    ) -> Result<(), Unreadable> {
        let discovered_at = schema.discovered_at.iso_seconds();
        for (place, table) in tables.into_iter().enumerate() {
            if place > 0 || !is_first {
                text.push(',');
            }
            let table = TableData::new(table, &discovered_at, self.with_columns, self.known.counts_rows);
            text.push_str(&serde_json::to_string(&table).map_err(|_| Unreadable)?);
        }
        Ok(())
    }
}

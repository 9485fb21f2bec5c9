//! What somebody would see: an extension of the contract.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use tidegate_domain::Permission;
use tidegate_domain::text::has_nul;
use tidegate_policies::simulate::{Simulation, What, Whom};
use utoipa::ToSchema;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, JsonBody, PlatformError};
use super::super::responses::{Envelope, envelope};
use super::fields::numbers;
use super::simulated::SimulatedData;
use crate::wire::fields::{Check, Field};
use crate::wire::state::App;
use crate::wire::unknown::Exact;

/// Longest SQL, in characters.
const MAX_SQL: usize = 32_768;
/// Most attributes.
const MAX_ATTRIBUTES: usize = 100;
/// Longest name of an attribute, in characters.
const MAX_ATTRIBUTE: usize = 128;
/// Longest name of a table, in characters.
const MAX_TABLE: usize = 512;

/// POST /api/v1/policies/simulate: `user_id` or `attributes`; `data_source_id` and `table`, or `sql` and `selected_data_source_ids`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SimulateBody {
    /// A member.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    user_id: Field<i64>,
    /// Somebody with these attributes: `role`, `email`, `groups`, and whatever rules read as `current_user_<name>`.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    attributes: Field<Map<String, Value>>,
    /// In which workspace.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    workspace_id: Field<i64>,
    /// The data source of the table.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    data_source_id: Field<i64>,
    /// The schema of the table.
    #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 512)]
    #[serde(default)]
    schema: Field<String>,
    /// The table.
    #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 512)]
    #[serde(default)]
    table: Field<String>,
    /// A query, in place of a table.
    #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 32768)]
    #[serde(default)]
    sql: Field<String>,
    /// The data sources that the query may read.
    #[schema(value_type = Option<Vec<i64>>)]
    #[serde(default)]
    selected_data_source_ids: Field<Vec<i64>>,
}

impl Exact for SimulateBody {}

fn text(check: &mut Check, name: &'static str, field: Field<String>, longest: usize) -> Option<String> {
    let text = check.optional(name, field)?;
    if text.contains('\0') || text.chars().count() > longest {
        return check.violated(name, format!("must be at most {longest} characters, none of them NUL"));
    }
    Some(text).filter(|text| !text.trim().is_empty())
}

/// Attributes of somebody, few and with names that can be kept.
fn described(check: &mut Check, sent: Map<String, Value>) -> Option<Map<String, Value>> {
    let is_named = |name: &String| name.chars().count() <= MAX_ATTRIBUTE;
    if sent.len() > MAX_ATTRIBUTES || !sent.keys().all(is_named) {
        let message =
            format!("must be at most {MAX_ATTRIBUTES}, with names of at most {MAX_ATTRIBUTE} characters");
        return check.violated("attributes", message);
    }
    let sent = Value::Object(sent);
    match sent {
        sent if has_nul(&sent) => check.violated("attributes", "must not contain NUL characters"),
        Value::Object(sent) => Some(sent),
        _ => None,
    }
}

impl SimulateBody {
    fn read(self) -> Result<Simulation, PlatformError> {
        let mut check = Check::new();
        let user = check.optional("user_id", self.user_id);
        let attributes = check.optional("attributes", self.attributes);
        let attributes = attributes.and_then(|sent| described(&mut check, sent));
        let workspace = check.optional("workspace_id", self.workspace_id);
        let source = check.optional("data_source_id", self.data_source_id);
        let schema = text(&mut check, "schema", self.schema, MAX_TABLE);
        let table = text(&mut check, "table", self.table, MAX_TABLE);
        let sql = text(&mut check, "sql", self.sql, MAX_SQL);
        let data_sources = numbers(&mut check, "selected_data_source_ids", self.selected_data_source_ids);
        check.finish(Some(()))?;
        let whom = match (user, attributes) {
            (Some(number), None) => Whom::Member(number),
            (None, Some(attributes)) => Whom::Described(attributes),
            _ => return Err(PlatformError::bad_request("name either user_id or attributes")),
        };
        let what = match (sql, table, source) {
            (Some(sql), None, None) if !data_sources.is_empty() => What::Query { sql, data_sources },
            (None, Some(table), Some(data_source)) => What::Table { data_source, schema, table },
            _ => {
                return Err(PlatformError::bad_request(
                    "name either data_source_id and table, or sql and selected_data_source_ids",
                ));
            }
        };
        Ok(Simulation { whom, workspace, what })
    }
}

/// What a member would see, or somebody with these attributes. It is noted in the audit log. For admins.
#[utoipa::path(post, path = "/policies/simulate", operation_id = "simulate_policies", tag = "Policies",
    security(("bearer" = [])), request_body = SimulateBody,
    responses(
        (status = 200, description = "What is left of the table, or the first rows of the query", body = Envelope<SimulatedData>),
        (status = 400, description = "BAD_REQUEST: nobody, or nothing, is named, or both; the query did not succeed; the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: the user, the workspace, a data source or the table", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn simulate(bearer: Bearer, State(app): State<App>, body: JsonBody<SimulateBody>) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePolicies)?;
    let simulation = body.0.read()?;
    let simulated = app.policies().simulate_policies(&call, &actor, simulation).await?;
    let message = "Policies simulated successfully";
    Ok(envelope(StatusCode::OK, SimulatedData::from(simulated), message))
}

//! Request bodies of queries, and how they are read.

use serde::Deserialize;
use serde_json::Value;
use tidegate_prompts::executions::ExecutionKind;
use tidegate_prompts::executions::execution::{MAX_PARAMETERS, MAX_SQL};
use tidegate_prompts::executions::start::{Asked, NewExecution};
use utoipa::ToSchema;

use super::super::prompts::fields::{schemas, sources};
use crate::wire::fields::{Check, Field, Violations};
use crate::wire::unknown::Exact;

/// A text of a parameter.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, format = "text-without-nul", example = "EU")]
struct ParameterText(#[allow(dead_code, reason = "it is described, and read as a value")] String);

/// A value of a parameter.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it is described, and read as a value")]
enum QueryParameter {
    /// Text.
    Text(ParameterText),
    /// Number.
    Number(f64),
    /// Truth.
    Flag(bool),
}

/// POST /api/v1/queries/execute.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecuteQueryBody {
    /// One SELECT statement, up to 48 KiB. Tables are called `source.schema.table`, or shorter where that is clear.
    #[schema(required = true, value_type = String, format = "text-without-nul", min_length = 1, max_length = 49152,
        example = "select count(*) from orders where total > $1")]
    #[serde(default)]
    sql: Field<String>,
    /// Numbers of data sources: 1 to 20.
    #[schema(required = true, value_type = Vec<i64>, min_items = 1, max_items = 20)]
    #[serde(default)]
    selected_data_source_ids: Field<Vec<i64>>,
    /// Their schemas; all of them when there is none.
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    #[serde(default)]
    selected_schema_names: Field<Vec<String>>,
    /// The number of a workspace; the caller's default one when left out.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    workspace_id: Field<i64>,
    /// Values of `$1`, `$2`, … in their order: texts, numbers, booleans or `null`, up to 100. They are bound, never written into the SQL.
    #[schema(value_type = Option<Vec<Option<QueryParameter>>>, max_items = 100)]
    #[serde(default)]
    parameters: Field<Vec<Value>>,
}

impl Exact for ExecuteQueryBody {
    fn place_of(name: &str) -> Option<String> {
        let is_sql = ["query", "query_text", "statement", "text"].contains(&name);
        is_sql.then(|| "did you mean sql?".to_owned())
    }
}

fn parameters(check: &mut Check, field: Field<Vec<Value>>) -> Vec<Value> {
    let sent = check.optional("parameters", field).unwrap_or_default();
    if sent.len() > MAX_PARAMETERS {
        check.violated::<()>("parameters", format!("must have at most {MAX_PARAMETERS} values"));
    }
    let is_value = |value: &Value| match value {
        Value::Array(_) | Value::Object(_) => false,
        Value::String(text) => !text.contains('\0'),
        _ => true,
    };
    if !sent.iter().all(is_value) {
        check.violated::<()>(
            "parameters",
            "must be strings without NUL characters, numbers, booleans or null",
        );
    }
    sent
}

impl ExecuteQueryBody {
    pub(super) fn read(self) -> Result<NewExecution, Violations> {
        let mut check = Check::new();
        let sql = check.required("sql", self.sql).and_then(|sql| {
            if sql.trim().is_empty() {
                return check.violated("sql", "must not be empty");
            }
            if sql.contains('\0') {
                return check.violated("sql", "must not contain NUL characters");
            }
            if sql.len() > MAX_SQL {
                return check.violated("sql", format!("must be at most {MAX_SQL} bytes"));
            }
            Some(sql)
        });
        let workspace = check.optional("workspace_id", self.workspace_id);
        let sources = sources(&mut check, "selected_data_source_ids", self.selected_data_source_ids);
        let schemas = schemas(&mut check, self.selected_schema_names);
        let parameters = parameters(&mut check, self.parameters);
        check.finish(sql.zip(sources).zip(schemas).map(|((sql, sources), schemas)| NewExecution {
            kind: ExecutionKind::Sql,
            asked: Asked::Sql(sql, parameters),
            workspace,
            sources,
            schemas,
            save: None,
            again: None,
            template: None,
            model: None,
            waits: true,
        }))
    }
}

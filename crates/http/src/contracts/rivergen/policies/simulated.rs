//! What somebody would see, as it is answered.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use tidegate_domain::Timestamp;
use tidegate_policies::governed::governance::detail_of;
use tidegate_policies::hooks::SimulatedResult;
use tidegate_policies::simulate::Simulated;
use tidegate_policy::{Attribute, Decision, Effect, Limits, Relation, Resolved};
use utoipa::ToSchema;

/// A column of a table or a result.
#[derive(Serialize, ToSchema)]
pub(super) struct SimulatedColumnData {
    name: String,
    r#type: String,
    /// How it is masked.
    mask: Option<&'static str>,
    /// The policy that masks it.
    policy_id: Option<i64>,
}

/// A rule that had a part in it.
#[derive(Serialize, ToSchema)]
pub(super) struct SimulatedRuleData {
    policy_id: i64,
    policy_version: i64,
    policy_rule_id: i64,
    /// `allowed`, `denied`, `hid_columns`, `filtered_rows`, `masked_data` or `limited_query`.
    effect: &'static str,
    /// Of which columns.
    columns: Vec<String>,
}

/// The limits of a query.
#[derive(Serialize, ToSchema)]
pub(super) struct SimulatedLimitsData {
    max_rows: Option<u64>,
    max_execution_time_seconds: Option<u64>,
    max_queries_per_hour: Option<u64>,
    max_queries_per_day: Option<u64>,
}

/// What somebody would see of a table, or of a query.
#[derive(Serialize, ToSchema)]
pub(super) struct SimulatedData {
    /// `allowed` or `denied`; of a query `null`: each of its tables is decided by itself.
    decision: Option<&'static str>,
    /// Why it is denied.
    reason: Option<&'static str>,
    /// What the reason is about: an attribute, a condition, or when it is allowed.
    reason_detail: Option<String>,
    /// Rows for which this is true are visible; all if `null`.
    row_filter: Option<String>,
    /// Columns that are visible.
    columns: Vec<SimulatedColumnData>,
    /// Columns that do not exist for them.
    hidden_columns: Vec<String>,
    limits: Option<SimulatedLimitsData>,
    policies: Vec<SimulatedRuleData>,
    /// Attributes that rules read.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// The first rows of a query; of a table `null`.
    #[schema(value_type = Option<Vec<Object>>)]
    rows: Option<Vec<Map<String, Value>>>,
}

impl From<Simulated> for SimulatedData {
    fn from(simulated: Simulated) -> Self {
        match simulated {
            Simulated::Table { relation, resolved, at } => of_table(&relation, &resolved, at),
            Simulated::Query(result) => of_query(result),
        }
    }
}

fn of_table(relation: &Relation, resolved: &Resolved, at: Timestamp) -> SimulatedData {
    let denial = match &resolved.decision {
        Decision::Allowed => None,
        Decision::Denied(denial) => Some(denial),
    };
    let visible = relation
        .columns
        .iter()
        .filter(|column| denial.is_none() && !resolved.hidden.contains_key(&column.name));
    let column = |column: &tidegate_policy::Column| {
        let masked = resolved.masks.get(&column.name);
        SimulatedColumnData {
            name: column.name.clone(),
            r#type: column.kind.name().to_owned(),
            mask: masked.map(|masked| masked.mask.as_str()),
            policy_id: masked.map(|masked| masked.policy.id),
        }
    };
    SimulatedData {
        decision: Some(if denial.is_some() { "denied" } else { "allowed" }),
        reason: denial.map(|denial| denial.reason.as_str()),
        reason_detail: denial.and_then(|denial| detail_of(&denial.reason, at)),
        row_filter: resolved.filter.as_ref().map(ToString::to_string),
        columns: visible.map(column).collect(),
        hidden_columns: resolved.hidden.keys().cloned().collect(),
        limits: Some(limits(&resolved.limits)),
        policies: resolved.policies.iter().map(rule).collect(),
        attributes: attributes(&resolved.attributes),
        rows: None,
    }
}

fn attributes(used: &BTreeMap<String, Attribute>) -> Map<String, Value> {
    used.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
}

fn rule(applied: &tidegate_policy::Applied) -> SimulatedRuleData {
    let (effect, columns) = match &applied.effect {
        Effect::Allowed => ("allowed", Vec::new()),
        Effect::Denied => ("denied", Vec::new()),
        Effect::Hid(columns) => ("hid_columns", columns.clone()),
        Effect::Filtered => ("filtered_rows", Vec::new()),
        Effect::Masked(column) => ("masked_data", vec![column.clone()]),
        Effect::Limited => ("limited_query", Vec::new()),
    };
    SimulatedRuleData {
        policy_id: applied.policy.id,
        policy_version: applied.policy.version,
        policy_rule_id: applied.rule,
        effect,
        columns,
    }
}

fn limits(limits: &Limits) -> SimulatedLimitsData {
    SimulatedLimitsData {
        max_rows: limits.max_rows.map(|limit| limit.value),
        max_execution_time_seconds: limits.max_execution_time_seconds.map(|limit| limit.value),
        max_queries_per_hour: limits.max_queries_per_hour.map(|limit| limit.value),
        max_queries_per_day: limits.max_queries_per_day.map(|limit| limit.value),
    }
}

fn of_query(result: SimulatedResult) -> SimulatedData {
    let column = |(name, kind): (String, String)| SimulatedColumnData {
        name,
        r#type: kind,
        mask: None,
        policy_id: None,
    };
    SimulatedData {
        decision: None,
        reason: None,
        reason_detail: None,
        row_filter: None,
        columns: result.columns.into_iter().map(column).collect(),
        hidden_columns: Vec::new(),
        limits: None,
        policies: result.policies.iter().map(rule).collect(),
        attributes: attributes(&result.attributes),
        rows: Some(result.rows),
    }
}

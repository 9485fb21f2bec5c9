//! What was decided is written down: by whoever ran the query.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tidegate_database::{MOST_ROWS, Result as Stored, StoreError, Unit};
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::{Fault, Kernel};
use tidegate_policy::{Decision, Effect, Limits, PolicyRef, Relation, Resolved};

use super::repository::StoredRow;
use crate::{Policies, PolicyTables};

/// Most columns, items of a list and characters of a text of a record: each query writes one for each policy.
const MOST_COLUMNS: usize = 100;
const MOST_ITEMS: usize = 20;
const MOST_CHARACTERS: usize = 256;

/// The contract's `evaluation_result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was changed.
    Allowed,
    /// The query was refused.
    Denied,
    /// Rows or values were changed.
    Modified,
}

impl Outcome {
    /// As it is stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Modified => "modified",
        }
    }
}

/// The contract's `action_taken`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Rows were left out.
    FilteredRows,
    /// Values were masked, or columns left out.
    MaskedData,
    /// The query was limited.
    LimitedQuery,
    /// The query was refused.
    Blocked,
    /// Nothing.
    None,
}

impl Action {
    /// As it is stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FilteredRows => "filtered_rows",
            Self::MaskedData => "masked_data",
            Self::LimitedQuery => "limited_query",
            Self::Blocked => "blocked",
            Self::None => "none",
        }
    }
}

/// One relation that a query read, or would have.
#[derive(Clone, Debug)]
pub struct Evaluated<'e> {
    /// Whose data it is.
    pub organization: OrganizationId,
    /// The number of the account that asked.
    pub user: i64,
    /// The number of the query, as its answer gives it.
    pub query: Option<i64>,
    /// The relation.
    pub relation: &'e Relation,
    /// What was decided.
    pub resolved: &'e Resolved,
    /// Rows that the query answered; none where it was refused, or failed.
    pub rows_returned: Option<u64>,
    /// Whether a number of queries was used up, so that this one did not run.
    pub is_refused: bool,
    /// Rows that the filter left out, where that is known. For administrators alone.
    pub rows_filtered: Option<u64>,
    /// The address of the client.
    pub ip: &'e str,
    /// What else is worth knowing, as the key of the query's execution.
    pub metadata: Map<String, Value>,
}

/// A row of what was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvaluation {
    /// The policy; none had a part in it if absent.
    pub policy: Option<PolicyRef>,
    /// The first of its rules that had.
    pub rule: Option<i64>,
    /// What it came to.
    pub outcome: Outcome,
    /// What was done.
    pub action: Action,
    /// More of it.
    pub details: Map<String, Value>,
}

/// What records that are written together have in common: one organization's many keep nobody else's waiting.
fn key_of(organization: OrganizationId) -> [u8; 32] {
    let mut key = [0; 32];
    if let Some(start) = key.first_chunk_mut() {
        *start = organization.0.into_bytes();
    }
    key
}

/// Records of one query that are still to be written.
pub struct Records {
    organization: OrganizationId,
    rows: Vec<StoredRow>,
}

impl Records {
    /// Whether they are one statement.
    pub fn is_one_statement(&self) -> bool {
        self.rows.len() <= MOST_ROWS
    }

    /// Has a unit write them with its next statement that is not put off, or at its end.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn put_off(&self, unit: &mut Unit) -> Stored<()> {
        unit.policy_evaluations().put_off(&self.rows).await
    }
}

impl Policies {
    /// What is to be written of what was decided about relations of an organization: one row for each, and for each policy that had a part
    /// in it. None where nothing was decided.
    pub fn records_of(&self, evaluated: &[Evaluated<'_>]) -> Option<Records> {
        let organization = evaluated.first()?.organization;
        let now = self.kernel.now();
        let expires_at = now.plus(self.settings.keep_evaluations);
        let rows = evaluated.iter().flat_map(|one| StoredRow::all_of(one, now, expires_at)).collect();
        Some(Records { organization, rows })
    }

    /// Writes them. What other queries of the organization have to be written meanwhile is written with them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn write_records(&self, records: Records) -> Result<(), Fault> {
        let Records { organization, rows } = records;
        let kernel = Arc::clone(&self.kernel);
        let write = move |asked| write_all(Arc::clone(&kernel), asked);
        Ok(self.records.ask(key_of(organization), rows, write).await?)
    }
}

/// Writes the records of several queries. One that cannot be written keeps no other from it.
async fn write_all(kernel: Arc<Kernel>, asked: Vec<Vec<StoredRow>>) -> Vec<Stored<()>> {
    let all: Vec<&StoredRow> = asked.iter().flatten().collect();
    match write(&kernel, &all).await {
        Ok(()) => asked.iter().map(|_| Ok(())).collect(),
        Err(error) if asked.len() == 1 => vec![Err(error)],
        // What failed may be about one of them.
        Err(_) => {
            let kernel = &kernel;
            let one_by_one = asked.iter().map(|rows| async move {
                let rows: Vec<&StoredRow> = rows.iter().collect();
                write(kernel, &rows).await
            });
            join_all(one_by_one).await
        }
    }
}

async fn write(kernel: &Kernel, rows: &[&StoredRow]) -> Stored<()> {
    if rows.len() <= MOST_ROWS {
        match write_in(kernel.store.begin_single().await?, rows).await {
            // The server closed the connection meanwhile. A unit that begins replaces it; that anything was written is unlikely, and a record
            // that is there twice is better than none.
            Err(StoreError::Unavailable(_)) => {}
            written => return written,
        }
    }
    write_in(kernel.store.begin().await?, rows).await
}

async fn write_in(mut unit: Unit, rows: &[&StoredRow]) -> Stored<()> {
    unit.policy_evaluations().insert(rows).await?;
    unit.commit().await
}

/// What one policy did.
#[derive(Default)]
struct Part {
    rule: i64,
    filtered: bool,
    masked: Vec<String>,
    hidden: Vec<String>,
    limited: bool,
    denied: bool,
}

/// One row for each policy that had a part; one without a policy if none had.
pub fn evaluations_of(evaluated: &Evaluated<'_>) -> Vec<NewEvaluation> {
    let resolved = evaluated.resolved;
    let mut parts: BTreeMap<PolicyRef, Part> = BTreeMap::new();
    for applied in &resolved.policies {
        let part =
            parts.entry(applied.policy).or_insert_with(|| Part { rule: applied.rule, ..Part::default() });
        match &applied.effect {
            Effect::Filtered => part.filtered = true,
            Effect::Masked(column) => part.masked.push(column.clone()),
            Effect::Hid(columns) => part.hidden.extend(columns.iter().cloned()),
            Effect::Limited => part.limited = true,
            Effect::Denied => part.denied = true,
            Effect::Allowed => {}
        }
    }
    let denied_by = match &resolved.decision {
        Decision::Denied(denial) => Some(denial),
        Decision::Allowed => None,
    };
    if let Some(denial) = denied_by
        && let (Some(policy), Some(rule)) = (denial.policy, denial.rule)
    {
        parts.entry(policy).or_insert_with(|| Part { rule, ..Part::default() }).denied = true;
    }
    let mut rows: Vec<NewEvaluation> =
        parts.into_iter().map(|(policy, part)| row(evaluated, policy, part)).collect();
    if rows.is_empty() || denied_by.is_some_and(|denial| denial.policy.is_none()) {
        rows.push(without_policy(evaluated));
    }
    rows
}

fn row(evaluated: &Evaluated<'_>, policy: PolicyRef, part: Part) -> NewEvaluation {
    let mut details = details_of(evaluated);
    if !part.masked.is_empty() {
        tell_columns(&mut details, "columns_masked", &part.masked);
    }
    if !part.hidden.is_empty() {
        tell_columns(&mut details, "columns_hidden", &part.hidden);
    }
    if part.limited {
        details.extend(limits_of(&evaluated.resolved.limits, policy));
    }
    let denied = evaluated.resolved.decision != Decision::Allowed;
    let (outcome, action) = match (denied, part.denied) {
        (true, true) => (Outcome::Denied, Action::Blocked),
        // Another policy refused the query.
        (true, false) => (Outcome::Denied, Action::None),
        _ if evaluated.is_refused && counts(&details) => (Outcome::Denied, Action::LimitedQuery),
        // Another policy's number was used up.
        _ if evaluated.is_refused => (Outcome::Denied, Action::None),
        _ if part.filtered => (Outcome::Modified, Action::FilteredRows),
        _ if !part.masked.is_empty() || !part.hidden.is_empty() => (Outcome::Modified, Action::MaskedData),
        _ if part.limited => (Outcome::Modified, Action::LimitedQuery),
        _ => (Outcome::Allowed, Action::None),
    };
    NewEvaluation { policy: Some(policy), rule: Some(part.rule), outcome, action, details }
}

fn without_policy(evaluated: &Evaluated<'_>) -> NewEvaluation {
    let (outcome, action) = match evaluated.resolved.decision {
        Decision::Allowed if evaluated.is_refused => (Outcome::Denied, Action::None),
        Decision::Allowed => (Outcome::Allowed, Action::None),
        Decision::Denied(_) => (Outcome::Denied, Action::Blocked),
    };
    NewEvaluation { policy: None, rule: None, outcome, action, details: details_of(evaluated) }
}

/// Whether a limit is one on numbers of queries.
fn counts(details: &Map<String, Value>) -> bool {
    ["max_queries_per_hour", "max_queries_per_day"].iter().any(|name| details.contains_key(*name))
}

/// What every row of a relation tells.
fn details_of(evaluated: &Evaluated<'_>) -> Map<String, Value> {
    let mut details = Map::new();
    if let Some(rows) = evaluated.rows_returned {
        details.insert("rows_returned".to_owned(), json!(rows));
    }
    if let Some(rows) = evaluated.rows_filtered {
        details.insert("rows_filtered".to_owned(), json!(rows));
    }
    if let Decision::Denied(denial) = &evaluated.resolved.decision {
        details.insert("reason".to_owned(), json!(denial.reason.as_str()));
    } else if evaluated.is_refused {
        details.insert("reason".to_owned(), json!("queries_used_up"));
    }
    let used = &evaluated.resolved.attributes;
    if !used.is_empty() {
        let used: Map<String, Value> =
            used.iter().map(|(name, value)| (name.clone(), shortened(value.to_json()))).collect();
        details.insert("attributes".to_owned(), Value::Object(used));
    }
    details
}

/// The first columns of many, and how many there are then.
fn tell_columns(details: &mut Map<String, Value>, name: &str, columns: &[String]) {
    let first: Vec<&String> = columns.iter().take(MOST_COLUMNS).collect();
    if columns.len() > first.len() {
        details.insert(format!("{name}_total"), json!(columns.len()));
    }
    details.insert(name.to_owned(), json!(first));
}

/// The start of a value that is long.
fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > MOST_CHARACTERS => {
            Value::String(text.chars().take(MOST_CHARACTERS).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().take(MOST_ITEMS).map(shortened).collect()),
        short => short,
    }
}

/// The limits that are this policy's.
fn limits_of(limits: &Limits, policy: PolicyRef) -> Map<String, Value> {
    let all = [
        ("max_rows", limits.max_rows),
        ("max_execution_time_seconds", limits.max_execution_time_seconds),
        ("max_queries_per_hour", limits.max_queries_per_hour),
        ("max_queries_per_day", limits.max_queries_per_day),
    ];
    let own = all
        .into_iter()
        .filter_map(|(name, limit)| Some((name, limit.filter(|limit| limit.policy == policy)?.value)));
    let mut told = Map::new();
    for (name, value) in own {
        told.entry("limit_applied").or_insert(json!(value));
        told.insert(name.to_owned(), json!(value));
    }
    told
}

#[cfg(test)]
mod tests {
    use tidegate_policy::{Applied, Attribute};

    use super::*;

    #[test]
    fn a_record_is_short_however_much_was_decided() {
        let relation = Relation { source: 1, schema: None, table: "wide".to_owned(), columns: Vec::new() };
        let columns = (0..150).map(|number| format!("column_{number}")).collect();
        let regions = Attribute::List(vec![Attribute::Text("é".repeat(1_000)); 50]);
        let policy = PolicyRef { id: 1, version: 1 };
        let resolved = Resolved {
            policies: vec![Applied { policy, rule: 1, effect: Effect::Hid(columns) }],
            attributes: BTreeMap::from([("regions".to_owned(), regions)]),
            ..Resolved::open()
        };
        let rows = evaluations_of(&Evaluated {
            organization: OrganizationId(uuid::Uuid::nil()),
            user: 1,
            query: None,
            relation: &relation,
            resolved: &resolved,
            rows_returned: Some(1),
            is_refused: false,
            rows_filtered: None,
            ip: "192.0.2.1",
            metadata: Map::new(),
        });
        let details = &rows[0].details;
        assert_eq!(details["columns_hidden"].as_array().map(Vec::len), Some(100));
        assert_eq!(details["columns_hidden_total"], 150);
        let told = &details["attributes"]["regions"];
        assert_eq!(told.as_array().map(Vec::len), Some(20));
        assert_eq!(told[0].as_str().map(|text| text.chars().count()), Some(256));
    }
}

//! Policies, people and rows as the tests write them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use tidegate_policy::*;

pub(super) fn relation() -> Relation {
    let column = |name, kind| Column::new(name, kind);
    Relation {
        source: 1,
        schema: Some("public".to_owned()),
        table: "emp".to_owned(),
        columns: vec![
            column("id", ColumnType::Int { bits: 64 }),
            column("region", ColumnType::Text),
            column("dept", ColumnType::Text),
            column("salary", ColumnType::Decimal { precision: 10, scale: 2 }),
            column("ssn", ColumnType::Text),
            column("hired", ColumnType::Date),
            column("seen", ColumnType::Timestamp { unit: TimeUnit::Microsecond, zoned: true }),
            column("active", ColumnType::Boolean),
            column("score", ColumnType::Float { bits: 64 }),
            column("tags", ColumnType::List),
        ],
    }
}

pub(super) fn subject(attributes: &Json) -> Subject {
    let mut known = Attributes::new();
    known.extend(attributes.as_object().unwrap());
    Subject { user: Some(7), roles: vec![2], workspace: Some(3), attributes: known, ..Subject::default() }
}

pub(super) fn rule(id: i64, kind: &str, config: &Json) -> Rule {
    let kind = RuleType::from_name(kind).unwrap();
    Rule { id, order: 0, kind: RuleKind::parse(kind, config.as_object().unwrap()).unwrap() }
}

pub(super) fn policy(id: i64, priority: i64, rules: Vec<Rule>) -> Policy {
    let everybody = Assignment { is_active: true, data_source: Some(1), ..Assignment::default() };
    Policy { id, version: 1, priority, workspace: None, assignments: vec![everybody], rules }
}

pub(super) fn filter(id: i64, condition: &str) -> Policy {
    policy(id, 0, vec![rule(id, "filter_rows", &json!({ "table": "emp", "condition": condition }))])
}

pub(super) fn mask(id: i64, priority: i64, config: Json) -> Policy {
    let mut config = config;
    config["table"] = json!("emp");
    policy(id, priority, vec![rule(id, "mask_column", &config)])
}

/// 2024-07-01T12:00:00Z, a Monday.
pub(super) const NOON: i64 = 1_719_835_200_000;

pub(super) fn answer(attributes: &Json, policies: &[Policy]) -> Resolved {
    let (subject, relation) = (subject(attributes), relation());
    resolve(
        &Request { subject: &subject, relation: &relation, now_millis: NOON, deny_by_default: false },
        policies,
    )
}

pub(super) fn reason(resolved: &Resolved) -> &Reason {
    match &resolved.decision {
        Decision::Denied(denial) => &denial.reason,
        Decision::Allowed => panic!("allowed: {resolved:?}"),
    }
}

pub(super) fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (place, byte) in bytes.iter().enumerate() {
        out[place % 32] ^= byte;
    }
    out
}

pub(super) type Row = eval::Row;

pub(super) fn row(id: i128, region: Option<&str>) -> Row {
    BTreeMap::from([
        ("id".to_owned(), Value::Int(id)),
        ("region".to_owned(), region.map_or(Value::Null, |region| Value::Text(region.to_owned()))),
        ("salary".to_owned(), Value::Decimal(Decimal { unscaled: 10_000, scale: 2 })),
        ("ssn".to_owned(), Value::Text("123-45-6789".to_owned())),
        ("hired".to_owned(), Value::Date(19_905)),
    ])
}

pub(super) fn ids(resolved: &Resolved, rows: &[Row]) -> Vec<i128> {
    let seen = eval::visible(resolved, &relation(), rows, &hash).unwrap_or_default();
    seen.iter().map(|row| if let Value::Int(id) = row["id"] { id } else { panic!("{row:?}") }).collect()
}

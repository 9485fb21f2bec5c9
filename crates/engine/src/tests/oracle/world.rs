//! The relations, on every kind of source, and what the policies leave of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Value, json};
use tidegate_policy::{
    Attribute, Attributes, ColumnType, Decision, Policy, Resolved, Rule, RuleKind, RuleType,
};

use super::super::fixture::{self, Fixture};
use super::super::person;
use crate::{
    Cancel, Engine, GovernedRelation, InMemory, Limits, Parameters, QueryError, RelationName, Relations,
    Request, column_type, describe,
};

/// All relations on one kind of source.
pub(super) struct Source {
    name: &'static str,
    tables: BTreeMap<&'static str, Fixture>,
}

/// A source under policies.
pub(super) struct World {
    full: Arc<Governed>,
    /// The same relations under the same policies, without rows.
    empty: Arc<Governed>,
}

struct Governed(BTreeMap<&'static str, GovernedRelation>);

#[async_trait]
impl Relations for Governed {
    async fn visible(&self) -> Result<Vec<RelationName>, QueryError> {
        let allowed = self.0.iter().filter(|(_, relation)| relation.resolved.decision == Decision::Allowed);
        Ok(allowed.map(|(&name, _)| RelationName::new("shop", None, name)).collect())
    }

    async fn open(&self, name: &RelationName) -> Result<Option<GovernedRelation>, QueryError> {
        Ok(self.0.get(name.table.as_str()).cloned())
    }
}

impl World {
    pub(super) async fn ask(&self, engine: &Engine, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        ask(engine, Arc::<Governed>::clone(&self.full), sql).await
    }

    /// Whether a query fails without any row: no row has to do with its error then.
    pub(super) async fn refuses(&self, engine: &Engine, sql: &str) -> bool {
        ask(engine, Arc::<Governed>::clone(&self.empty), sql).await.is_err()
    }
}

async fn ask(
    engine: &Engine,
    relations: Arc<dyn Relations>,
    sql: &str,
) -> Result<Vec<RecordBatch>, QueryError> {
    let request = Request {
        person: person(),
        relations,
        sql: sql.to_owned(),
        parameters: Parameters::None,
        limits: Limits::default(),
        cancel: Cancel::default(),
        progress: None,
        decisions: None,
    };
    engine.query(request).await?.collect().await
}

impl Source {
    fn world(&self, resolved: impl Fn(&str, &Fixture) -> Resolved) -> World {
        let governed = self.tables.iter().map(|(&name, fixture)| {
            let resolved = Arc::new(resolved(name, fixture));
            let rows = Arc::clone(&fixture.rows);
            (name, GovernedRelation { rows, resolved, hash: Arc::new(fixture::hash) })
        });
        let full: BTreeMap<_, _> = governed.collect();
        let mut empty = full.clone();
        for relation in empty.values_mut() {
            relation.rows = Arc::new(InMemory::new(relation.rows.schema(), Vec::new()));
        }
        World { full: Arc::new(Governed(full)), empty: Arc::new(Governed(empty)) }
    }

    /// All rows as the source has them, without policies.
    pub(super) async fn raw(&self, engine: &Engine) -> Value {
        let open = self.world(|_, _| Resolved::open());
        let mut relations = serde_json::Map::new();
        for (&name, fixture) in &self.tables {
            let rows = cells(&open.ask(engine, &format!("select * from {name}")).await.unwrap());
            assert!(rows.len() > 5, "{name} of {} has rows", self.name);
            let schema = fixture.rows.schema();
            let columns: Vec<Value> =
                schema.fields().iter().map(|field| json!([field.name(), kind(field.data_type())])).collect();
            relations.insert(name.to_owned(), json!({ "columns": columns, "rows": rows }));
        }
        json!({ "name": self.name, "relations": relations })
    }
}

/// Every set of policies over every source, in the order in which the other side has them.
pub(super) fn all(sources: &[Source], policies: &Value) -> Vec<World> {
    let mut worlds = Vec::new();
    for set in policies.as_array().unwrap() {
        let mut attributes = Attributes::new();
        for (name, value) in set["attributes"].as_object().unwrap() {
            attributes.set(name, Attribute::from_json(value).unwrap());
        }
        let subject = tidegate_policy::Subject {
            workspace: Some(1),
            attributes,
            ..tidegate_policy::Subject::default()
        };
        let policies: Vec<Policy> = set["policies"].as_array().unwrap().iter().map(policy).collect();
        for source in sources {
            worlds.push(source.world(|name, fixture| {
                let relation = describe(1, None, name, &fixture.rows.schema());
                let request = tidegate_policy::Request {
                    subject: &subject,
                    relation: &relation,
                    now_millis: 0,
                    deny_by_default: false,
                };
                tidegate_policy::resolve(&request, &policies)
            }));
        }
    }
    worlds
}

fn policy(written: &Value) -> Policy {
    let rules = written["rules"].as_array().unwrap().iter().enumerate().map(|(place, rule)| {
        let kind = RuleType::from_name(rule["type"].as_str().unwrap()).unwrap();
        let kind = RuleKind::parse(kind, rule["config"].as_object().unwrap()).unwrap();
        Rule { id: place as i64, order: place as i64, kind }
    });
    Policy {
        id: written["id"].as_i64().unwrap(),
        version: 1,
        priority: written["priority"].as_i64().unwrap(),
        workspace: Some(1),
        assignments: Vec::new(),
        rules: rules.collect(),
    }
}

/// A type, as the other side calls it.
fn kind(kind: &DataType) -> String {
    if let DataType::Decimal256(precision, scale) = kind {
        return format!("decimal({precision},{scale})");
    }
    match column_type(kind) {
        ColumnType::Int { bits } => format!("int{bits}"),
        ColumnType::UInt { bits } => format!("uint{bits}"),
        ColumnType::Float { bits } => format!("float{bits}"),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        other => other.name().to_owned(),
    }
}

pub(super) fn kinds(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| kind(field.data_type())).collect()
}

/// Rows, each value as text.
pub(super) fn cells(batches: &[RecordBatch]) -> Vec<Vec<Option<String>>> {
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| {
                (column.logical_nulls(), ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
            })
            .collect();
        for row in 0..batch.num_rows() {
            let cell =
                |(nulls, shown): &(Option<datafusion::arrow::buffer::NullBuffer>, ArrayFormatter<'_>)| {
                    let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                    (!is_null).then(|| shown.value(row).to_string())
                };
            rows.push(columns.iter().map(cell).collect());
        }
    }
    rows
}

/// Every kind of source with all relations.
pub(super) async fn sources() -> Vec<Source> {
    let batches = [("sales", sales()), ("staff", staff()), ("teams", teams())];
    let mut sources = Vec::new();
    for name in ["memory", "parquet", "parquet, filters pushed down", "csv", "sqlite"] {
        let mut tables = BTreeMap::new();
        for (table, batch) in &batches {
            let fixture = match name {
                "memory" => fixture::memory_of(batch),
                "parquet" => fixture::parquet_of(batch, false).await,
                "csv" => fixture::csv_of(batch).await,
                "sqlite" => fixture::sqlite_of(statements(batch)).await,
                _ => fixture::parquet_of(batch, true).await,
            };
            tables.insert(*table, fixture);
        }
        sources.push(Source { name, tables });
    }
    sources
}

/// What makes a table of SQLite of a batch. It has no type for dates, decimals and truth.
fn statements(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| {
            let kind = match field.data_type() {
                DataType::Int64 | DataType::Boolean => "integer",
                DataType::Float64 | DataType::Decimal128(..) => "real",
                _ => "text",
            };
            format!("{} {kind}", field.name())
        })
        .collect();
    let literal = |(place, cell): (usize, Option<String>)| match (cell, schema.field(place).data_type()) {
        (None, _) => "null".to_owned(),
        (Some(cell), DataType::Boolean) => i32::from(cell == "true").to_string(),
        (Some(cell), DataType::Int64 | DataType::Float64 | DataType::Decimal128(..)) => cell,
        (Some(cell), _) => format!("'{}'", cell.replace('\'', "''")),
    };
    let mut statements = vec![format!("create table emp ({})", columns.join(", "))];
    for row in cells(std::slice::from_ref(batch)) {
        let row: Vec<String> = row.into_iter().enumerate().map(literal).collect();
        statements.push(format!("insert into emp values ({})", row.join(", ")));
    }
    statements
}

/// A value of each row, none where the number of the row has this rest.
fn most<T>(rows: i64, modulus: i64, rest: i64, value: impl Fn(i64) -> T) -> Vec<Option<T>> {
    (0..rows).map(|row| (row % modulus != rest).then(|| value(row))).collect()
}

/// A value of each row.
fn each<T>(rows: i64, value: impl Fn(i64) -> T) -> Vec<Option<T>> {
    (0..rows).map(|row| Some(value(row))).collect()
}

fn whole(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

fn texts(values: Vec<Option<String>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

/// Quarters: sums of them are exact, in any order.
fn quarters(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(values.into_iter().map(|value| value.map(|value| value as f64 / 4.0)).collect::<Float64Array>())
}

fn cents(values: Vec<Option<i128>>, precision: u8) -> ArrayRef {
    Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, 2).unwrap())
}

/// Minutes since 1970-01-01.
fn minutes(values: Vec<Option<i64>>) -> ArrayRef {
    let micros = values.into_iter().map(|value| value.map(|value| value * 60_000_000));
    Arc::new(micros.collect::<TimestampMicrosecondArray>())
}

fn of(list: &[&str], row: i64) -> String {
    list[row as usize % list.len()].to_owned()
}

/// What policies look at differs between those who are often seen and others, whose notes are secret.
fn staff() -> RecordBatch {
    const ROWS: i64 = 30;
    const NAMES: [&str; 10] =
        ["Ada", "Zoë", "Bjørn", "Li", "Marguerite", "O'Hara", "Åsa", "Kim", "José", "Tamás 🦀"];
    let often = |row: i64| row % 2 == 0 && row < 22;
    let region = |row: i64| {
        if often(row) {
            "EU"
        } else if row % 5 == 3 {
            "APAC"
        } else {
            "US"
        }
    };
    let email = |row: i64| match row % 11 {
        0 => "no address".to_owned(),
        rest => format!("{}{row}@example.{}", of(&["a", "bo", "cy"], row), of(&["com", "org"], rest)),
    };
    let note = |row: i64| if often(row) { (row * 10 + 10).to_string() } else { format!("SECRET-{row}") };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", whole(each(ROWS, |row| row + 1))),
        ("team", whole(most(ROWS, 7, 6, |row| row % 5 + 1))),
        ("region", texts(most(ROWS, 9, 7, |row| region(row).to_owned()))),
        ("name", texts(each(ROWS, |row| of(&NAMES, row)))),
        ("email", texts(most(ROWS, 8, 7, email))),
        ("ssn", texts(each(ROWS, |row| format!("{}-{}-{}", 101 + row, 11 + row, 7_001 + row)))),
        ("salary", whole(most(ROWS, 6, 5, |row| if often(row) { 10_007 + row * 7 } else { 100 }))),
        ("rate", quarters(most(ROWS, 5, 4, |row| row * 7 % 23))),
        ("bonus", cents(most(ROWS, 4, 3, |row| i128::from(row * 31_713 % 250_000)), 10)),
        (
            "hired",
            Arc::new(most(ROWS, 10, 9, |row| 15_037 + row as i32 * 37).into_iter().collect::<Date32Array>()),
        ),
        ("seen", minutes(most(ROWS, 9, 5, |row| 26_822_880 + row * 7_919))),
        ("active", Arc::new(most(ROWS, 5, 2, |row| row % 3 != 0).into_iter().collect::<BooleanArray>())),
        ("note", texts(each(ROWS, note))),
        ("code", texts(each(ROWS, |row| format!("{}-{}-x", of(&["A", "B", "C"], row), row * 37 % 100)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn teams() -> RecordBatch {
    const ROWS: i64 = 6;
    const TITLES: [&str; 6] = ["sales", "lab", "it", "Café", "ops", "lab"];
    const CITIES: [&str; 6] = ["Rome", "Paris", "Oslo", "Berlin", "Paris", "Oslo"];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("team", whole(each(ROWS, |row| row + 1))),
        ("title", texts(each(ROWS, |row| of(&TITLES, row)))),
        ("city", texts(most(ROWS, 6, 0, |row| of(&CITIES, row)))),
        ("budget", whole(most(ROWS, 6, 4, |row| row * 375))),
        (
            "opened",
            Arc::new(each(ROWS, |row| 14_640 + row as i32 * 101).into_iter().collect::<Date32Array>()),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn sales() -> RecordBatch {
    const ROWS: i64 = 40;
    let remark = |row: i64| match row * 3 % 17 {
        0..=2 => format!("SECRET-{row}"),
        _ => of(&["late", "paid", "cancelled", "gate-b"], row / 3),
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("sale", whole(each(ROWS, |row| row + 1))),
        ("staff", whole(most(ROWS, 9, 8, |row| row * 7 % 34 + 1))),
        ("product", texts(most(ROWS, 5, 4, |row| of(&["kiln", "loom", "lathe", "vice"], row)))),
        ("amount", cents(each(ROWS, |row| i128::from(row * row % 1_300 * 100 + row * 31 % 100)), 12)),
        ("units", whole(each(ROWS, |row| row * 3 % 17))),
        ("price", quarters(each(ROWS, |row| row * 11 % 37))),
        ("moment", minutes(each(ROWS, |row| 27_435_000 + row * 9_973))),
        ("remark", texts(most(ROWS, 4, 3, remark))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

//! The fact set of the built-in planner (`eval/prompts`): what it makes of 200 questions runs on what the engine is made of, and has the rows that
//! hand-written statements have. `scripts/eval-prompts` tells the same by kinds of questions, for `docs/prompts.md`.
//!
//! Tables come the way of every question that is served: as discovery finds and the catalog stores them, described by `governed` and asked of
//! by `planner`. What that way loses, such as whether a column may be empty, is lost here too.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Schema as Columns, TimeUnit};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::common::{ScalarValue, TableReference};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use serde_json::Value;
use tidegate_catalog::schemas::read::{StoredColumn, StoredTable};
use tidegate_connect::{Column, ForeignKey};
use tidegate_engine::RelationName;
use tidegate_planner::{Answer, Kind, Parameter, Plan, Schema, Table};
use tidegate_prompts::ports::{KnownValues, Question, Relation};

use crate::described::described;
use crate::planner::answer;

/// What the databases are called in SQL.
const SOURCE: &str = "facts";

/// Right ones of a hundred that were answered, at least.
const PRECISION: usize = 99;
/// Right ones of a hundred that have an answer, at least.
const COVERAGE: usize = 70;

/// Right answers of the questions with a pitfall, at least.
const PITFALLS: usize = 22;

/// A value, as far as it is compared.
#[derive(Clone, Debug)]
enum Cell {
    Null,
    Text(String),
    Number(f64),
}

type Row = Vec<Cell>;

/// One of the databases.
struct Database {
    relations: Vec<Relation>,
    values: Vec<KnownValues>,
    now_micros: i64,
    engine: SessionContext,
}

/// The databases and the questions of these sets, as their script tells them.
#[expect(clippy::disallowed_methods, reason = "the databases of the fact set are made by a script")]
fn told(sets: &[&str]) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../eval/prompts/facts.py");
    let out = Command::new("python3").args(["-B", script]).args(sets).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

const fn type_of(kind: Kind) -> DataType {
    match kind {
        Kind::Integer => DataType::Int64,
        Kind::Decimal => DataType::Decimal128(18, 2),
        Kind::Double => DataType::Float64,
        Kind::Boolean => DataType::Boolean,
        Kind::Date => DataType::Date32,
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        Kind::Text | Kind::Instant | Kind::Other => DataType::Utf8,
    }
}

/// As PostgreSQL calls it.
const fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "bigint",
        Kind::Decimal => "numeric(18,2)",
        Kind::Double => "double precision",
        Kind::Boolean => "boolean",
        Kind::Date => "date",
        Kind::Timestamp => "timestamp without time zone",
        Kind::Text | Kind::Instant | Kind::Other => "text",
    }
}

/// A table as discovery finds it, the catalog stores it, and questions are asked of it.
fn relation(table: &Table) -> Relation {
    let column = |(column, position): (&tidegate_planner::Column, u32)| {
        let key = table.foreign_keys.iter().find(|key| key.columns.contains(&column.name));
        StoredColumn::from(Column {
            name: column.name.clone(),
            type_name: type_name(column.kind).to_owned(),
            position,
            nullable: column.nullable,
            primary_key: table.primary_key.contains(&column.name),
            foreign_key: key.map(|key| ForeignKey {
                schema: String::new(),
                table: key.table[0].clone(),
                column: key.references[0].clone(),
            }),
            default: None,
            comment: column.comment.clone(),
        })
    };
    let stored = StoredTable {
        place: 0,
        name: table.name().to_owned(),
        kind: "BASE TABLE".to_owned(),
        row_count: None,
        comment: table.comment.clone(),
        columns: table.columns.iter().zip(1..).map(column).collect(),
    };
    described(&RelationName::new(SOURCE, None, table.name()), &stored, true, |_| true)
}

fn scalar(parameter: &Parameter) -> ScalarValue {
    let of = |text: &str, kind| ScalarValue::try_from_string(text.to_owned(), &type_of(kind)).unwrap();
    match parameter {
        Parameter::Text(text) | Parameter::Instant(text) => ScalarValue::from(text.as_str()),
        Parameter::Integer(number) => ScalarValue::from(*number),
        Parameter::Decimal(text) => of(text, Kind::Double),
        Parameter::Date(text) => of(text, Kind::Date),
        Parameter::Timestamp(text) => of(text, Kind::Timestamp),
    }
}

/// A column of an answer.
fn cells(array: &ArrayRef) -> Result<Vec<Cell>, String> {
    let as_type = |wanted| cast(array, &wanted).map_err(|error| error.to_string());
    let kind = array.data_type();
    if kind.is_numeric() || *kind == DataType::Boolean {
        let numbers = as_type(DataType::Float64)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        return Ok(numbers.iter().map(|number| number.map_or(Cell::Null, Cell::Number)).collect());
    }
    let is_timestamp = matches!(kind, DataType::Timestamp(..));
    // As the other side writes it.
    let written = |text: &str| if is_timestamp { text.replacen('T', " ", 1) } else { text.to_owned() };
    let texts = as_type(DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    Ok(texts.iter().map(|text| text.map_or(Cell::Null, |text| Cell::Text(written(text)))).collect())
}

fn rows_of(batch: &RecordBatch) -> Result<Vec<Row>, String> {
    let columns = batch.columns().iter().map(cells).collect::<Result<Vec<_>, _>>()?;
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect())
}

impl Database {
    fn new(told: &Value) -> Self {
        let schema: Schema = serde_json::from_value(told["schema"].clone()).unwrap();
        let engine = SessionContext::new();
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(RelationName::NO_SCHEMA, Arc::new(MemorySchemaProvider::new())).unwrap();
        engine.register_catalog(SOURCE, Arc::new(catalog));
        let mut values = Vec::new();
        for (place, table) in schema.tables.iter().enumerate() {
            let name = table.path.last().unwrap();
            let rows = told["rows"][name].as_array().unwrap();
            let (mut fields, mut arrays) = (Vec::new(), Vec::new());
            for (at, column) in table.columns.iter().enumerate() {
                let texts: StringArray = rows.iter().map(|row| row[at].as_str()).collect();
                if column.kind == Kind::Text {
                    let distinct: BTreeSet<&str> = texts.iter().flatten().collect();
                    let list = distinct.into_iter().map(str::to_owned).collect();
                    values.push(KnownValues { relation: place, column: at, values: list });
                }
                fields.push(Field::new(&column.name, type_of(column.kind), true));
                arrays.push(cast(&texts, &type_of(column.kind)).unwrap());
            }
            let columns = Arc::new(Columns::new(fields));
            let batch = RecordBatch::try_new(Arc::clone(&columns), arrays).unwrap();
            let table = MemTable::try_new(columns, vec![vec![batch]]).unwrap();
            let full = TableReference::full(SOURCE, RelationName::NO_SCHEMA, name.as_str());
            engine.register_table(full, Arc::new(table)).unwrap();
        }
        let today: jiff::civil::Date = told["today"].as_str().unwrap().parse().unwrap();
        let noon = today.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        let relations = schema.tables.iter().map(relation).collect();
        Self { relations, values, now_micros: noon.timestamp().as_microsecond(), engine }
    }

    fn plan(&self, question: &str) -> Answer {
        let Self { relations, values, now_micros, .. } = self;
        let now_micros = *now_micros;
        answer(&Question { text: question, language: "en", relations, values, now_micros })
    }

    async fn run(&self, plan: &Plan) -> Result<Vec<Row>, String> {
        let failed = |error: datafusion::error::DataFusionError| error.to_string();
        let mut frame = self.engine.sql(&plan.sql).await.map_err(failed)?;
        let values: Vec<ScalarValue> = plan.parameters.iter().map(scalar).collect();
        if !values.is_empty() {
            frame = frame.with_param_values(values).map_err(failed)?;
        }
        let batches = frame.collect().await.map_err(failed)?;
        let rows = batches.iter().map(rows_of).collect::<Result<Vec<_>, _>>()?;
        Ok(rows.into_iter().flatten().collect())
    }
}

/// A row of what is expected.
fn expected_row(told: &Value) -> Row {
    let cell = |value: &Value| match value {
        Value::String(text) => Cell::Text(text.clone()),
        Value::Number(number) => Cell::Number(number.as_f64().unwrap()),
        _ => Cell::Null,
    };
    told.as_array().unwrap().iter().map(cell).collect()
}

/// Rows in the order of their texts, then of their numbers: those differ in the last digits.
fn sorted(rows: Vec<Row>) -> Vec<Row> {
    let texts = |row: &Row| -> Vec<Option<String>> {
        row.iter()
            .filter_map(|cell| match cell {
                Cell::Text(text) => Some(Some(text.clone())),
                Cell::Null => Some(None),
                Cell::Number(_) => None,
            })
            .collect()
    };
    let numbers = |row: &Row| -> Vec<f64> {
        row.iter()
            .filter_map(|cell| match cell {
                Cell::Number(number) => Some(*number),
                _ => None,
            })
            .collect()
    };
    let mut keyed: Vec<_> = rows.into_iter().map(|row| (texts(&row), numbers(&row), row)).collect();
    keyed.sort_by(|one, other| {
        let by_numbers = || one.1.partial_cmp(&other.1).unwrap_or(Ordering::Equal);
        one.0.cmp(&other.0).then_with(by_numbers)
    });
    keyed.into_iter().map(|(_, _, row)| row).collect()
}

fn alike(one: &Cell, other: &Cell) -> bool {
    match (one, other) {
        (Cell::Null, Cell::Null) => true,
        (Cell::Text(one), Cell::Text(other)) => one == other,
        (Cell::Number(one), Cell::Number(other)) => {
            (one - other).abs() <= 1e-6_f64.max(1e-6 * one.abs().max(other.abs()))
        }
        _ => false,
    }
}

fn same(one: &[Row], other: &[Row]) -> bool {
    let rows = |(one, other): (&Row, &Row)| {
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
    };
    one.len() == other.len() && one.iter().zip(other).all(rows)
}

/// Those columns of rows, in that order.
fn only(rows: &[Row], columns: &[usize]) -> Vec<Row> {
    rows.iter().map(|row| columns.iter().map(|at| row[*at].clone()).collect()).collect()
}

/// Whether the expected columns are among the answered ones, with the same rows. Further ones, such as keys, do no harm.
fn matches(expected: &[Row], answered: &[Row], is_ordered: bool) -> bool {
    let (Some(wide), Some(broad)) = (expected.first().map(Vec::len), answered.first().map(Vec::len)) else {
        return expected.len() == answered.len();
    };
    let column = |rows: &[Row], at| sorted(only(rows, &[at]));
    let answers: Vec<Vec<Row>> = (0..broad).map(|at| column(answered, at)).collect();
    let fits: Vec<Vec<usize>> = (0..wide)
        .map(|at| {
            let wanted = column(expected, at);
            (0..broad).filter(|at| same(&wanted, &answers[*at])).collect()
        })
        .collect();
    assigned(&fits, &mut Vec::new(), &|chosen| {
        let rows = only(answered, chosen);
        // Rows that are equal in what orders them, the last column, may change places.
        same(&sorted(rows.clone()), &sorted(expected.to_vec()))
            && (!is_ordered || same(&only(&rows, &[wide - 1]), &only(expected, &[wide - 1])))
    })
}

/// Whether there is a choice of one column each, none twice, that is right.
fn assigned(fits: &[Vec<usize>], chosen: &mut Vec<usize>, is_right: &dyn Fn(&[usize]) -> bool) -> bool {
    let Some(choices) = fits.get(chosen.len()) else { return is_right(chosen) };
    for choice in choices {
        if chosen.contains(choice) {
            continue;
        }
        chosen.push(*choice);
        if assigned(fits, chosen, is_right) {
            return true;
        }
        chosen.pop();
    }
    false
}

/// What became of the questions of some sets.
#[derive(Default)]
struct Score {
    questions: usize,
    answerable: usize,
    answered: usize,
    right: usize,
    wrong: Vec<String>,
}

async fn score(sets: &[&str]) -> Score {
    let told = told(sets);
    let databases: BTreeMap<&String, Database> = told["databases"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, database)| (name, Database::new(database)))
        .collect();
    let facts = told["facts"].as_array().unwrap();
    let mut score = Score { questions: facts.len(), ..Score::default() };
    for fact in facts {
        let text = |name: &str| fact[name].as_str().unwrap().to_owned();
        let (name, question) = (text("database"), text("question"));
        let expected =
            fact["expected"].as_array().map(|rows| rows.iter().map(expected_row).collect::<Vec<_>>());
        score.answerable += usize::from(expected.is_some());
        let database = &databases[&name];
        let Answer::Plan(plan) = database.plan(&question) else { continue };
        score.answered += 1;
        let why = match (&expected, database.run(&plan).await) {
            (None, _) => "it should have been refused".to_owned(),
            (Some(_), Err(error)) => error,
            (Some(expected), Ok(rows)) if matches(expected, &rows, fact["ordered"] == true) => {
                score.right += 1;
                continue;
            }
            (Some(expected), Ok(rows)) => {
                let first = |rows: &[Row]| format!("{:?}", &rows[..rows.len().min(3)]);
                format!("expected {}, got {}", first(expected), first(&rows))
            }
        };
        score.wrong.push(format!("{name}: {question}: {why}\n    {}", plan.sql));
    }
    score
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_of_the_fact_set_are_answered_right() {
    let Score { questions, answerable, answered, right, wrong } = score(&["questions", "held_out"]).await;
    assert_eq!(questions, 200);
    let wrong = wrong.join("\n");
    println!("{right} right of {answered} answered, of {answerable} that have an answer");
    assert!(right * 100 >= PRECISION * answered, "{right} of {answered} answered are right:\n{wrong}");
    assert!(right * 100 >= COVERAGE * answerable, "{right} of {answerable} are answered right:\n{wrong}");
}

/// Questions that are easily read as something near them: none is answered wrongly, and as many as were are still answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_with_a_pitfall_are_answered_right_or_refused() {
    let Score { questions, right, wrong, .. } = score(&["pitfalls"]).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(questions, 40);
    println!("{right} right of {questions}");
    assert!(right >= PITFALLS, "{right} of {questions} are answered right");
}

#[test]
fn answers_are_compared_as_people_would() {
    let rows = |rows: &[(&str, f64)]| -> Vec<Row> {
        rows.iter()
            .map(|(text, number)| vec![Cell::Text((*text).to_owned()), Cell::Number(*number)])
            .collect()
    };
    let two = rows(&[("a", 1.0), ("b", 2.0)]);
    let turned = only(&rows(&[("b", 2.000_000_1), ("a", 1.0)]), &[1, 0, 1]);
    assert!(matches(&two, &turned, false) && !matches(&two, &turned, true));
    // The columns fit, each alone, and their rows do not.
    assert!(!matches(&two, &rows(&[("a", 2.0), ("b", 1.0)]), false));
    assert!(!matches(&two, &rows(&[("a", 1.0), ("b", 2.1)]), false) && !matches(&two, &two[..1], false));
    assert!(matches(&[], &[], true) && !matches(&[vec![Cell::Null]], &[vec![Cell::Number(0.0)]], false));
}

//! A relation with rows that a caller may not see, on every kind of source, and what is asked of it.

mod attacks;
mod calls;
mod differential;
mod errors;
mod first;
mod fixture;
mod further;
mod joins;
mod limits;
mod lists;
mod masks;
mod messages;
mod mutations;
mod names;
mod oracle;
mod parquet;
mod plain;
mod refused;
mod servers;
mod shape;
mod shared;
mod spill;
mod stacks;
mod windows;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::{
    Cancel, Engine, GovernedRelation, Limits, Options, Parameters, Person, QueryError, RelationName,
    Relations, Request,
};
use fixture::{Caller, Fixture};

/// Gives one relation, `hr.main.emp`, and one that must not be seen, `hr.main.secret`.
struct People {
    emp: GovernedRelation,
    secret: GovernedRelation,
}

#[async_trait]
impl Relations for People {
    async fn visible(&self) -> Result<Vec<RelationName>, QueryError> {
        Ok(vec![RelationName::new("hr", None, "emp")])
    }

    async fn open(&self, name: &RelationName) -> Result<Option<GovernedRelation>, QueryError> {
        Ok(match name.table.as_str() {
            "emp" => Some(self.emp.clone()),
            "secret" => Some(self.secret.clone()),
            _ => None,
        })
    }

    async fn denied(&self, table: &str) -> Vec<(RelationName, Arc<tidegate_policy::Resolved>)> {
        let secret = || (RelationName::new("hr", None, "secret"), Arc::clone(&self.secret.resolved));
        table.eq_ignore_ascii_case("secret").then(secret).into_iter().collect()
    }
}

fn options() -> Options {
    Options { threads: Some(2), ..Options::default() }
}

fn engine() -> Engine {
    Engine::new(options())
}

fn person() -> Person {
    Person { id: "ada".to_owned(), organization: "acme".to_owned() }
}

fn request(fixture: &Fixture, caller: Caller, sql: &str) -> Request {
    let emp = fixture.governed(caller);
    let mut secret = emp.clone();
    let mut denied = tidegate_policy::Resolved::open();
    denied.decision = tidegate_policy::Decision::Denied(tidegate_policy::Denial {
        policy: None,
        rule: None,
        reason: tidegate_policy::Reason::DenyRule,
    });
    secret.resolved = Arc::new(denied);
    Request {
        person: person(),
        relations: Arc::new(People { emp, secret }),
        sql: sql.to_owned(),
        parameters: Parameters::None,
        limits: Limits::default(),
        cancel: Cancel::default(),
        progress: None,
        decisions: None,
    }
}

async fn ask(
    engine: &Engine,
    fixture: &Fixture,
    caller: Caller,
    sql: &str,
) -> Result<Vec<RecordBatch>, QueryError> {
    engine.query(request(fixture, caller, sql)).await?.collect().await
}

/// Rows as text; sorted, unless the query orders them.
fn rows(batches: &[RecordBatch], sorted: bool) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut all = Vec::new();
    for batch in batches {
        let shown: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            all.push(shown.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    if sorted {
        all.sort();
    }
    all
}

/// One answer, as text in one line.
fn text(answer: &Result<Vec<RecordBatch>, QueryError>) -> String {
    match answer {
        Ok(batches) => format!("{:?}", rows(batches, true)),
        Err(error) => format!("{error:?}"),
    }
}

/// Whether something of a hidden row or a masked value is in a text.
fn leaks(text: &str) -> Option<String> {
    if text.contains("SECRET") {
        return Some("a hidden note".to_owned());
    }
    fixture::employees().iter().find_map(|employee| {
        if text.contains(&employee.ssn) {
            return Some(format!("the number of {}", employee.id));
        }
        (text.contains(&employee.salary.to_string()) && employee.salary > 9_000)
            .then(|| format!("the salary of {}", employee.id))
    })
}

fn is_null(batch: &RecordBatch, column: usize) -> bool {
    batch.column(column).null_count() == batch.num_rows()
}

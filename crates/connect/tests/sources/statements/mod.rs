//! Databases that are asked in SQL over HTTP, against stubs that answer as their documentation says and show which statement they were sent.

use std::time::Duration;

use tidegate_connect::{Filter, Literal, Operator, Relation, Scan, Source};

use crate::cells::rows;
use crate::http::{Asked, Log};

mod athena;
mod clickhouse;
mod databricks;

/// What would end a literal, begin an escape, a comment or another statement, or mean NULL.
const HOSTILE: [&str; 9] = [
    "O'Brien",
    "\\",
    "\\'; DROP TABLE t; --",
    "' OR '1' = '1",
    "\\N",
    "a\tb\nc\r",
    "{p0:String}",
    "\"`${}?:p1/*",
    "",
];
/// 2024-01-31 12:30:00 in microseconds, and its day.
const MOMENT: i64 = 1_706_704_200_000_000;
const DAY: i32 = 19_753;

/// Waits until a server was asked for something.
async fn eventually_asked(log: &Log, what: impl Fn(&Asked) -> bool) {
    for _ in 0..500 {
        if log.lock().unwrap().iter().any(&what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it was not asked: {:?}", log.lock().unwrap());
}

fn compare(column: &str, operator: Operator, value: Literal) -> Filter {
    Filter::Compare { column: column.to_owned(), operator, value }
}

fn among(column: &str, values: Vec<Literal>) -> Filter {
    Filter::In { column: column.to_owned(), values, negated: false }
}

fn hostile() -> Vec<Literal> {
    HOSTILE.map(|text| Literal::Utf8(text.to_owned())).to_vec()
}

/// Reads one column of the rows that all of the filters select; whether the source applied them and the limit.
async fn narrowed(
    source: &dyn Source,
    relation: Relation,
    column: &str,
    filters: Vec<Filter>,
) -> (Vec<bool>, bool) {
    let projection = Some(vec![column.to_owned()]);
    let scan = Scan { relation, projection, filters, order: vec![], limit: Some(7) };
    let stream = source.scan(scan).await.unwrap();
    let applied = (stream.filtered.clone(), stream.limited);
    rows(stream).await.unwrap();
    applied
}

//! Sources that are fetched, but leave out what a query does not ask for. What is right is decided here a second time, from all rows.

use std::cmp::Ordering;

use arrow_schema::{DataType, Schema};
use tidegate_connect::{Filter, Literal, Operator, Relation, Scan, Source};

use crate::cells::{Rows, read, rows};

mod dynamodb;
mod elasticsearch;

fn compare(column: &str, operator: Operator, value: Literal) -> Filter {
    Filter::Compare { column: column.to_owned(), operator, value }
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn text(text: &str) -> Literal {
    Literal::Utf8(text.to_owned())
}

/// Every comparison of a column with these values, and NOT of some.
fn comparisons(column: &str, values: &[Literal]) -> Vec<Filter> {
    let operators =
        [Operator::Eq, Operator::NotEq, Operator::Lt, Operator::LtEq, Operator::Gt, Operator::GtEq];
    let column = || column.to_owned();
    let mut all: Vec<Filter> =
        [false, true].map(|negated| Filter::IsNull { column: column(), negated }).into();
    for value in values {
        all.extend(operators.map(|operator| Filter::Compare {
            column: column(),
            operator,
            value: value.clone(),
        }));
        for (other, negated) in values.iter().flat_map(|other| [(other, false), (other, true)]) {
            let (low, high) = (value.clone(), other.clone());
            all.push(Filter::Between { column: column(), low, high, negated });
            let values = vec![value.clone(), other.clone()];
            all.push(Filter::In { column: column(), values, negated });
        }
    }
    let negated: Vec<Filter> = all.iter().step_by(3).cloned().map(not).collect();
    all.extend(negated);
    all
}

/// These, and some beside others.
fn paired(all: &[Filter]) -> Vec<Filter> {
    let mut found = all.to_vec();
    for (at, filter) in all.iter().enumerate().step_by(2) {
        let both = vec![filter.clone(), all[(at * 7 + 3) % all.len()].clone()];
        found.push(match at % 3 {
            0 => Filter::And(both),
            1 => Filter::Or(both),
            _ => not(Filter::And(both)),
        });
    }
    found
}

fn compared(kind: &DataType, cell: &str, value: &Literal) -> Ordering {
    match (kind, value) {
        (DataType::Int64, Literal::Int(value)) => cell.parse::<i64>().unwrap().cmp(value),
        (DataType::Boolean, Literal::Boolean(value)) => cell.parse::<bool>().unwrap().cmp(value),
        (DataType::Utf8, Literal::Utf8(value)) => cell.cmp(value),
        other => panic!("not of one type: {other:?}"),
    }
}

/// Whether a filter holds for a row, as in SQL.
fn holds(filter: &Filter, schema: &Schema, row: &[Option<String>]) -> Option<bool> {
    let cell = |column: &str| {
        let index = schema.index_of(column).unwrap();
        (row[index].as_deref(), schema.field(index).data_type())
    };
    let order = |column: &str, value: &Literal| {
        let (cell, kind) = cell(column);
        cell.map(|cell| compared(kind, cell, value))
    };
    let any = |all: Vec<Option<bool>>| match (all.contains(&Some(true)), all.contains(&None)) {
        (true, _) => Some(true),
        (false, true) => None,
        (false, false) => Some(false),
    };
    let of = |all: &[Filter]| all.iter().map(|filter| holds(filter, schema, row)).collect::<Vec<_>>();
    match filter {
        Filter::Compare { column, operator, value } => order(column, value).map(|order| match operator {
            Operator::Eq => order.is_eq(),
            Operator::NotEq => order.is_ne(),
            Operator::Lt => order.is_lt(),
            Operator::LtEq => order.is_le(),
            Operator::Gt => order.is_gt(),
            Operator::GtEq => order.is_ge(),
        }),
        Filter::In { column, values, negated } => {
            any(values.iter().map(|value| order(column, value).map(Ordering::is_eq)).collect())
                .map(|found| found != *negated)
        }
        Filter::Between { column, low, high, negated } => {
            let inside = order(column, low)?.is_ge() && order(column, high)?.is_le();
            Some(inside != *negated)
        }
        Filter::IsNull { column, negated } => Some(cell(column).0.is_none() != *negated),
        Filter::Or(all) => any(of(all)),
        Filter::And(all) => {
            any(of(all).into_iter().map(|one| one.map(|one| !one)).collect()).map(|found| !found)
        }
        Filter::Not(inner) => holds(inner, schema, row).map(|one| !one),
    }
}

/// What a source sends for filters: of all columns, or of some.
async fn sent(
    source: &dyn Source,
    relation: &Relation,
    columns: Option<&[&str]>,
    filters: Vec<Filter>,
) -> Rows {
    let projection = columns.map(|columns| columns.iter().map(|&name| name.to_owned()).collect());
    let told = filters.len();
    let scan = Scan { relation: relation.clone(), projection, filters, order: vec![], limit: None };
    let stream = source.scan(scan).await.unwrap();
    assert_eq!(stream.filtered, vec![false; told], "the engine filters");
    rows(stream).await.unwrap()
}

/// Asks each filter with and without: the rows for which it holds are the same. Gives how many rows were not sent, in all.
async fn asked_both_ways(source: &dyn Source, relation: &Relation, filters: &[Filter]) -> usize {
    let schema = source.schema(relation).await.unwrap();
    let all = read(source, relation.clone()).await.unwrap();
    let mut spared = 0;
    for filter in filters {
        let chosen = |rows: &Rows| {
            let mut rows: Rows =
                rows.iter().filter(|row| holds(filter, &schema, row) == Some(true)).cloned().collect();
            rows.sort();
            rows
        };
        let sent = sent(source, relation, None, vec![filter.clone()]).await;
        assert_eq!(chosen(&sent), chosen(&all), "{filter:?}");
        spared += all.len() - sent.len();
    }
    spared
}

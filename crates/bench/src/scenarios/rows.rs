//! A large result of a PostgreSQL data source, downloaded as CSV.

use std::time::Instant;

use serde_json::json;

use super::data::{Analyst, WAIT, start};
use super::storage::timed;
use super::{Bench, FEW, LOW_COST, POSTGRES, SQLITE};
use crate::load::with_connection;
use crate::machine::median;
use crate::report::{Budget, Row};
use crate::wire::get;
use crate::{Result, database, progress};

const TURNS: usize = 3;
/// Rows after whose download memory is looked at for the first time.
const EARLY: u64 = 100_000;
/// How often the first row is waited for; the first time is not counted.
const FIRSTS: usize = 6;
/// What only rows have, and no heading.
const IN_A_ROW: &[u8] = b"order number";

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let rows = bench.rows;
    progress(&format!("making a table of {rows} rows"));
    let address = database::create_postgres(&bench.postgres, "bench_download")?;
    database::make_rows_in_postgres(&address, rows)?;
    let server = start(&bench.seeded("rows", SQLITE, LOW_COST, FEW)?, WAIT)?;
    let analyst = Analyst::first(server.address)?;
    let source = analyst.source(&json!({
        "name": "Orders", "type": "postgresql", "connection_string": address,
    }))?;
    let (before, _) = server.memory()?;
    let download = |limit: u64| -> Result<(f64, usize)> {
        let sql = format!("select id, name, amount, made_at, paid from orders where id <= {limit}");
        let answered = analyst.query(&[source], &sql)?;
        if answered.rows() != Some(limit) {
            return Err(format!("not all rows came: {:?}", answered.rows()).into());
        }
        let path = format!("/api/v1/queries/{}/result?format=csv", answered.number()?);
        timed(server.address, &get(&path, Some(&analyst.token)), |answer| {
            answer.expect(200)?;
            Ok(answer.body.len())
        })
    };
    download(EARLY)?;
    let (_, early) = server.memory()?;
    let (mut rates, mut size) = (Vec::new(), 0);
    for turn in 0..TURNS {
        progress(&format!("turn {} of {TURNS}", turn + 1));
        let (seconds, bytes) = download(rows)?;
        rates.push(rows as f64 / seconds);
        size = bytes;
    }
    let (after, most) = server.memory()?;
    let first = first_row(&analyst, source, rows)?;
    Ok(vec![
        Row::new(format!("first of {rows} rows, downloaded as CSV"), POSTGRES, first, "ms")
            .budget(Budget::AtMost(300.0))
            .note(format!("median of {}", FIRSTS - 1)),
        Row::new(format!("{rows} rows downloaded as CSV, rows"), POSTGRES, median(rates), "/s")
            .budget(Budget::AtLeast(300_000.0))
            .note(format!(
                "median of {TURNS}; 5 columns, {:.0} MB; read and received beside it",
                size as f64 / 1e6
            )),
        Row::new(format!("memory, from {EARLY} rows to all"), POSTGRES, most - early, "MB")
            .budget(Budget::AtMost(10.0))
            .note(format!("{before:.0} MB before, at most {most:.0} MB, {after:.0} MB after")),
    ])
}

/// Milliseconds until the first row of a result is there. The others are not waited for.
fn first_row(analyst: &Analyst, source: u64, rows: u64) -> Result<f64> {
    progress("first rows");
    let sql = format!("select id, name, amount, made_at, paid from orders where id <= {rows}");
    let answered = analyst.query(&[source], &sql)?;
    let path = format!("/api/v1/queries/{}/result?format=csv", answered.number()?);
    let request = get(&path, Some(&analyst.token));
    let mut millis = Vec::new();
    for turn in 0..FIRSTS {
        let took = with_connection(analyst.server, async |connection| {
            let begun = Instant::now();
            connection.call_until(&request, 200, IN_A_ROW).await?;
            Ok(begun.elapsed().as_secs_f64() * 1_000.0)
        })?;
        if turn > 0 {
            millis.push(took);
        }
    }
    Ok(median(millis))
}

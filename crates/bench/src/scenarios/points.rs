//! Point queries of a PostgreSQL data source, governed, against the same asked of PostgreSQL directly.

use serde_json::{Value, json};

use super::data::{Analyst, QUERY, WAIT, query, start};
use super::{Bench, FEW, LOW_COST, as_answered};
use crate::clients::Random;
use crate::load::Client;
use crate::report::{Budget, Row};
use crate::wire::{Answer, post_as};
use crate::{Result, database, progress};

const ROWS: u64 = 100_000;
const CONNECTIONS: u64 = 16;
const STATEMENT: &str = "select id, name, amount from orders where id = $1";

pub(super) fn measure(bench: &Bench, store: &'static str) -> Result<Vec<Row>> {
    let address =
        database::create_postgres(&bench.postgres, &format!("bench_points_{}", store.to_lowercase()))?;
    database::make_rows_in_postgres(&address, ROWS)?;
    database::execute(&address, "alter table orders add primary key (id)")?;
    let server = start(&bench.seeded("points", store, LOW_COST, FEW)?, WAIT)?;
    let mut asking = Vec::new();
    // Each in an organization of its own, with a pool of its own: a person may have fewer at once.
    for (seed, analyst) in (1..).zip(Analyst::several(server.address, CONNECTIONS)?) {
        let source = analyst.source(&json!({
            "name": "Orders", "type": "postgresql", "connection_string": address,
        }))?;
        for (name, rule, config) in [
            ("Rows", "filter_rows", json!({ "table": "orders", "condition": "amount >= 0" })),
            (
                "Names",
                "mask_column",
                json!({
                    "table": "orders", "column": "name", "masking_type": "partial", "visible_prefix": 5, "visible_suffix": 0,
                }),
            ),
        ] {
            analyst.policy(source, name, rule, &config)?;
        }
        let asked = Point { analyst, source, random: Random(seed), request: Vec::new() };
        asking.push(asked);
    }
    progress("directly");
    let direct = database::points_per_second(&address, STATEMENT, CONNECTIONS, ROWS, bench.counted)?;
    progress(&format!("governed, {store}"));
    let measured = server.measure(as_answered(asking), bench.timing())?;
    let rate = measured.0.per_second();
    Ok(vec![
        Row::throughput("point queries of PostgreSQL, governed", store, &measured)
            .budget(Budget::AtLeast(3_000.0))
            .note(format!(
                "{CONNECTIONS} connections; {:.2} of {direct:.0}/s asked directly; history is kept",
                rate / direct
            )),
    ])
}

/// Asks for one row after the other.
struct Point {
    analyst: Analyst,
    source: u64,
    random: Random,
    request: Vec<u8>,
}

impl Client for Point {
    fn request(&mut self) -> Option<&[u8]> {
        let parameters = json!([1 + self.random.below(ROWS)]);
        let body = query(&[self.source], STATEMENT, &parameters);
        self.request = post_as(QUERY, &self.analyst.token, &body);
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        let answer = answer.json(200)?;
        match answer.pointer("/data/rows_returned").and_then(Value::as_u64) {
            Some(1) => Ok(()),
            _ => Err(format!("not one row: {answer}").into()),
        }
    }
}

//! What policies add to a query that has little to do: finding those that hold, planning with them, noting what they decided.

use serde_json::json;

use super::data::{Analyst, QUERY, WAIT, query, start};
use super::{Bench, FEW, LOW_COST, POSTGRES, SQLITE};
use crate::load::with_connection;
use crate::machine::median;
use crate::report::{Budget, Row};
use crate::{Result, database, progress};

const RELATIONS: u64 = 5;
const POLICIES: u64 = 50;
/// Of each side, in turns; the first are not counted.
const TURNS: usize = 220;
const COLD: usize = 20;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let address = database::create_postgres(&bench.postgres, "bench_planning")?;
    for relation in 1..=RELATIONS {
        database::execute(
            &address,
            &format!(
                "create table t{relation} (id bigint primary key, a text, b text, c text, d text);
                 insert into t{relation} select i, 'a' || i, 'b' || i, 'c' || i, 'd' || i from generate_series(1, 10) as i"
            ),
        )?;
    }
    let server = start(&bench.seeded("planning", SQLITE, LOW_COST, FEW)?, WAIT)?;
    let source = json!({ "name": "Five", "type": "postgresql", "connection_string": address });
    let mut sides = Vec::new();
    for analyst in Analyst::several(server.address, 2)? {
        let source = analyst.source(&source)?;
        sides.push((analyst, query(&[source], &statement(), &json!([])), source));
    }
    let [open, governed] = sides.try_into().map_err(|_| "two people")?;
    make_policies(&governed.0, governed.2)?;
    progress(&format!("{TURNS} turns"));
    let (mut without, mut with) = (Vec::new(), Vec::new());
    with_connection(server.address, async |connection| {
        for turn in 0..TURNS {
            for ((analyst, body, _), times) in [(&open, &mut without), (&governed, &mut with)] {
                let answered = analyst.ask_on(connection, QUERY, body).await?;
                if answered.rows() != Some(10) {
                    return Err(format!("not all rows came: {}", answered.data).into());
                }
                if turn >= COLD {
                    times.push(answered.seconds * 1_000.0);
                }
            }
        }
        Ok(())
    })?;
    let (without, with) = (median(without), median(with));
    Ok(vec![
        Row::new(
            format!("{RELATIONS} relations under {POLICIES} policies, more than without"),
            POSTGRES,
            with - without,
            "ms",
        )
        .budget(Budget::AtMost(3.0))
        .note(format!("whole requests: {with:.1} ms of {without:.1} ms, medians of {}", TURNS - COLD)),
    ])
}

/// Uses every column that is masked.
fn statement() -> String {
    let columns: Vec<String> = (1..=RELATIONS).map(|n| format!("t{n}.b, t{n}.c, t{n}.d")).collect();
    let joins: Vec<String> = (2..=RELATIONS).map(|n| format!("join t{n} on t{n}.id = t1.id")).collect();
    format!("select t1.id, {} from t1 {} where t1.id > 0", columns.join(", "), joins.join(" "))
}

/// Seven row filters that hide nothing and three masks for each relation.
fn make_policies(analyst: &Analyst, source: u64) -> Result<()> {
    for number in 0..POLICIES {
        let (table, place) = (format!("t{}", number % RELATIONS + 1), number / RELATIONS);
        let (rule, config) = match ["b", "c", "d"].get(usize::try_from(place)?) {
            Some(column) => (
                "mask_column",
                json!({
                    "table": table, "column": column, "masking_type": "partial", "visible_prefix": 1, "visible_suffix": 0,
                }),
            ),
            None => ("filter_rows", json!({ "table": table, "condition": format!("a <> 'x{place}'") })),
        };
        analyst.policy(source, &format!("Policy {number}"), rule, &config)?;
    }
    Ok(())
}

//! A join whose rows do not fit into the memory of a query, against the same join where they do.

use serde_json::json;

use super::data::{Analyst, Answered, start};
use super::{Bench, FEW, LOW_COST, POSTGRES, SQLITE};
use crate::report::{Budget, Row};
use crate::{Result, database, progress};

const ROWS: u64 = 1_000_000;
/// 32 MiB, of which one side takes twice as much.
const SMALL: &str = "prompts.answer_within = 25\ndata.queries.memory_per_query = 33554432";
/// 512 MiB.
const LARGE: &str = "prompts.answer_within = 25\ndata.queries.memory_per_query = 536870912";
const STATEMENT: &str = "select count(*) as n, sum(a.amount) as s, min(a.name) as m, max(b.name) as x \
                         from orders a join orders b on a.id = b.id";

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    progress(&format!("making a table of {ROWS} rows"));
    let address = database::create_postgres(&bench.postgres, "bench_joins")?;
    database::make_rows_in_postgres(&address, ROWS)?;
    let (large, _) = joined(bench, "joins-large", LARGE, &address)?;
    let (small, most) = joined(bench, "joins-small", SMALL, &address)?;
    let shown = |answered: &Answered| answered.data.get("result_preview").cloned();
    let is_same = shown(&small).is_some_and(|rows| !rows.is_null()) && shown(&small) == shown(&large);
    Ok(vec![
        Row::new(
            format!("a join of {ROWS} rows over its memory answers what it does in memory"),
            POSTGRES,
            f64::from(is_same),
            "",
        )
        .budget(Budget::AtLeast(1.0))
        .note(format!(
            "{:.1} s in 32 MiB, {:.1} s in 512 MiB; at most {most:.0} MB of the small one",
            small.query_seconds()?,
            large.query_seconds()?
        )),
    ])
}

/// The answer, and what the server held at most, in MB.
fn joined(bench: &Bench, name: &str, memory: &'static str, address: &str) -> Result<(Answered, f64)> {
    progress(name);
    let server = start(&bench.seeded(name, SQLITE, LOW_COST, FEW)?, memory)?;
    let analyst = Analyst::first(server.address)?;
    let source = json!({ "name": "Orders", "type": "postgresql", "connection_string": address });
    let source = analyst.source(&source)?;
    let answered = analyst.query(&[source], STATEMENT)?;
    let (_, most) = server.memory()?;
    Ok((answered, most))
}

//! Questions in words about a large table, answered by the built-in planner.

use serde_json::{Value, json};

use super::data::{Analyst, QUESTION, WAIT, start};
use super::{Bench, FEW, LOW_COST, POSTGRES, SQLITE};
use crate::load::with_connection;
use crate::machine::median;
use crate::report::{Budget, Row};
use crate::{Result, database, progress};

/// The first, which has connections to open and values to look up, is told beside the others.
const TURNS: usize = 21;
const QUESTIONS: [&str; 5] = [
    "How many orders were cancelled?",
    "what's the average order total",
    "number of orders per country",
    "top 5 orders by total",
    "How many orders came from Germany?",
];

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let rows = bench.rows;
    progress(&format!("making a table of {rows} rows"));
    let address = database::create_postgres(&bench.postgres, "bench_questions")?;
    database::execute(
        &address,
        &format!(
            "create table orders (id bigint primary key, status text not null, country text not null, total numeric(10, 2) not null,
                ordered_at timestamp not null);
             insert into orders select i, (array['paid', 'shipped', 'cancelled'])[i % 3 + 1],
                (array['Germany', 'Kenya', 'France', 'Norway'])[i % 4 + 1], (i::bigint * 7919) % 1000000 / 100.0,
                timestamp '2024-01-01' + i * interval '20 seconds' from generate_series(1, {rows}) as i;
             create index on orders (status); create index on orders (country); create index on orders (total);
             analyze orders"
        ),
    )?;
    let server = start(&bench.seeded("questions", SQLITE, LOW_COST, FEW)?, WAIT)?;
    let analyst = Analyst::first(server.address)?;
    let source = analyst.source(&json!({
        "name": "Shop", "type": "postgresql", "connection_string": address,
    }))?;
    QUESTIONS.into_iter().map(|question| asked(&analyst, source, question, rows)).collect()
}

/// The answer has the first rows: it is there when they are.
fn asked(analyst: &Analyst, source: u64, question: &str, rows: u64) -> Result<Row> {
    progress(question);
    let body =
        json!({ "prompt_text": question, "selected_data_source_ids": [source], "ai_model": "builtin" });
    let (mut first, mut whole, mut planning) = (0.0, Vec::new(), Vec::new());
    let done = with_connection(analyst.server, async |connection| {
        for turn in 0..TURNS {
            let answered = analyst.ask_on(connection, QUESTION, &body).await?;
            if turn == 0 {
                first = answered.seconds * 1_000.0;
                continue;
            }
            whole.push(answered.seconds * 1_000.0);
            planning.extend(answered.data.get("ai_response_time_ms").and_then(Value::as_f64));
        }
        Ok(())
    });
    let row = |millis| {
        Row::new(format!("question, {rows} rows: {question}"), POSTGRES, millis, "ms")
            .budget(Budget::AtMost(300.0))
    };
    Ok(match done {
        Ok(()) => {
            let note = format!(
                "p50 of {} to the first rows; {:.0} ms of it until there is SQL; the first took {first:.0} ms",
                TURNS - 1,
                median(planning)
            );
            row(median(whole)).note(note)
        }
        // Beyond the budget: what is not answered never comes to its first row.
        Err(error) => row(f64::INFINITY).note(error.to_string()),
    })
}

//! What questions and queries come to, with very many of them in the store.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tidegate_domain::Timestamp;

use super::data::{Analyst, WAIT, start};
use super::storage::timed;
use super::{Bench, FEW, LOW_COST};
use crate::machine::median;
use crate::report::{Budget, Row};
use crate::wire::get;
use crate::{Result, executions, progress};

/// The first is not counted.
const TURNS: usize = 8;
/// A day in microseconds.
const DAY: u64 = 86_400_000_000;
/// What people wait for without noticing that they wait for something.
const BUDGET: Budget = Budget::AtMost(1_000.0);

pub(super) fn measure(bench: &Bench, store: &'static str) -> Result<Vec<Row>> {
    let setup = bench.seeded("analytics", store, LOW_COST, FEW)?;
    progress(&format!("writing {} executions, {store}", bench.rows));
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?;
    let prompt = executions::seed(&setup, bench.rows, now)?;
    let server = start(&setup, WAIT)?;
    let analyst = Analyst::first(server.address)?;
    let mut rows = Vec::new();
    for (work, path, counted) in [
        (
            "of a week",
            "prompts/analytics/query-analytics?period=last_7_days".to_owned(),
            "/data/kpis/total_queries",
        ),
        ("of a year", year(now)?, "/data/kpis/total_queries"),
        ("of a saved question, a year", format!("prompts/{prompt}/analytics"), "/data/execution_count"),
    ] {
        let request = get(&format!("/api/v1/{path}"), Some(&analyst.token));
        let (mut millis, mut executions) = (Vec::new(), 0);
        for turn in 0..TURNS {
            let (seconds, answer) = timed(server.address, &request, |answer| answer.json(200))?;
            executions = answer.pointer(counted).and_then(Value::as_u64).unwrap_or_default();
            if executions == 0 {
                return Err(format!("nothing was counted: {answer}").into());
            }
            if turn > 0 {
                millis.push(seconds * 1_000.0);
            }
        }
        rows.push(
            Row::new(
                format!("analytics {work}, {} executions kept", bench.rows),
                store,
                median(millis),
                "ms",
            )
            .budget(BUDGET)
            .note(format!("p50 of {}; {executions} executions counted", TURNS - 1)),
        );
    }
    Ok(rows)
}

/// The path of the analytics of the year up to an instant, in microseconds since 1970.
fn year(end: u64) -> Result<String> {
    let day = |micros: u64| -> Result<String> {
        let instant = Timestamp::from_micros(i64::try_from(micros)?).iso_seconds();
        Ok(instant.get(..10).ok_or("an instant without a day")?.to_owned())
    };
    let (first, last) = (day(end - 364 * DAY)?, day(end)?);
    Ok(format!("prompts/analytics/query-analytics?period=custom&start_date={first}&end_date={last}"))
}

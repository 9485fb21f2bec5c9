//! Others while many heavy queries run, and a query that wants more memory than it gets.

use std::time::Duration;

use serde_json::Value;

use super::data::{Analyst, QUERY, ending, query, start, wait_until};
use super::storage::timed;
use super::{Bench, FEW, LOW_COST, SQLITE, per_second, sign_in, signing_in};
use crate::clients::{Contract, InTurn};
use crate::load::{Load, Measured, run};
use crate::report::{Budget, Row};
use crate::server::Server;
use crate::wire::post_as;
use crate::{Result, progress};

/// Each of another person, in an organization of their own.
const QUERIES: u64 = 50;
const ROWS: u64 = 100_000;
/// Ten thousand million pairs: more than all of the measurement is enough for.
const HEAVY: &str = "select count(*) as n from numbers a, numbers b where sin(a.x * b.x) > 2";
/// A list of two gigabytes of text, which has to be held whole.
const LARGE: &str = "select array_agg(a.t || b.t) as all_of_them from texts a, texts b";
const TEXTS: usize = 1_000;
/// What all queries may hold together (`data.queries.memory`), and what the server has besides, in MB.
const MOST_MEMORY: f64 = 1_074.0 + 60.0;
/// Sign-ins and other requests a second, and the connections they come through.
const SIGN_INS: u32 = 50;
const OTHERS: u32 = 500;
const CONNECTIONS: u64 = 16;
/// What takes longer is looked at again and again.
const WAIT: &str = "prompts.answer_within = 1";
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let server = start(&bench.seeded("crowd", SQLITE, LOW_COST, FEW)?, WAIT)?;
    let content: String =
        std::iter::once("x\n".to_owned()).chain((0..ROWS).map(|n| format!("{n}\n"))).collect();
    progress(&format!("{QUERIES} data sources"));
    let mut sides = Vec::new();
    for analyst in Analyst::several(server.address, QUERIES)? {
        let source = analyst.file("numbers", "csv", content.as_bytes())?;
        sides.push((analyst, source));
    }
    let others: Vec<u64> = (0..CONNECTIONS).collect();
    let tokens = sign_in(server.address, Contract::Ingestiq, &others)?;
    let loads = || -> Vec<Load> {
        let me =
            |(access, _): &(String, String)| InTurn::get("/api/v2/auth/me", std::slice::from_ref(access));
        let sign_ins = signing_in(Contract::Ingestiq, CONNECTIONS, FEW);
        vec![per_second(SIGN_INS, sign_ins), per_second(OTHERS, tokens.iter().map(me))]
    };
    progress("idle");
    let [sign_ins, others] = both(run(server.address, loads(), bench.timing())?)?;
    let (idle, _) = server.memory()?;
    progress(&format!("beside {QUERIES} queries"));
    let numbers = begin(&sides)?;
    let [busy_sign_ins, busy_others] = both(run(server.address, loads(), bench.timing())?)?;
    let running = running(&sides, &numbers)?;
    let (_, most) = server.memory()?;
    let row = |work: &str, busy: &Measured, idle: &Measured| {
        let ratio = busy.percentile(99.0) / idle.percentile(99.0);
        Row::new(format!("{work} p99 beside {QUERIES} heavy queries, of idle"), SQLITE, ratio, "x")
            .budget(Budget::AtMost(3.0))
            .latency(busy)
            .note(format!("idle p99 {:.2} ms; {running} queries still ran at the end", idle.percentile(99.0)))
    };
    let mut rows = vec![
        row(&format!("sign-ins at {SIGN_INS}/s,"), &busy_sign_ins, &sign_ins),
        row(&format!("`me` at {OTHERS}/s,"), &busy_others, &others),
        Row::new(format!("memory, most beside {QUERIES} heavy queries"), SQLITE, most, "MB")
            .budget(Budget::AtMost(MOST_MEMORY))
            .note(format!("{idle:.0} MB before")),
    ];
    end(&sides, &numbers)?;
    let (analyst, _) = sides.first().ok_or("nobody asks")?;
    rows.push(over_its_memory(&server, analyst)?);
    Ok(rows)
}

fn both(measured: Vec<Measured>) -> Result<[Measured; 2]> {
    Ok(measured.try_into().map_err(|_| "two loads, two measurements")?)
}

/// Begins all of the queries at once; answers the numbers of their executions.
fn begin(sides: &[(Analyst, u64)]) -> Result<Vec<u64>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = sides.iter().map(|side| scope.spawn(move || began(side, HEAVY))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect()
    })
}

/// The number of an execution that goes on.
fn began((analyst, source): &(Analyst, u64), sql: &str) -> Result<u64> {
    let body = query(&[*source], sql, &Value::Array(Vec::new()));
    let request = post_as(QUERY, &analyst.token, &body);
    let (_, answer) = timed(analyst.server, &request, |answer| answer.json(200))?;
    let data = answer.get("data").cloned().unwrap_or_default();
    if sql == HEAVY && !is_running(&data) {
        return Err(format!("a heavy query was over at once: {}", ending(&data)).into());
    }
    Ok(data.get("execution_id").and_then(Value::as_u64).ok_or("an execution without a number")?)
}

fn is_running(execution: &Value) -> bool {
    matches!(execution.get("status").and_then(Value::as_str), Some("pending" | "processing"))
}

/// How many are not over.
fn running(sides: &[(Analyst, u64)], numbers: &[u64]) -> Result<usize> {
    let mut running = 0;
    for ((analyst, _), number) in sides.iter().zip(numbers) {
        running += usize::from(is_running(&analyst.execution(*number)?));
    }
    Ok(running)
}

/// Calls all of them off, and waits for their ends.
fn end(sides: &[(Analyst, u64)], numbers: &[u64]) -> Result<()> {
    progress("calling the queries off");
    for ((analyst, _), number) in sides.iter().zip(numbers) {
        analyst.cancel(*number)?;
    }
    if wait_until(PATIENCE, || Ok(running(sides, numbers)? == 0))? {
        return Ok(());
    }
    Err("queries that were called off go on".into())
}

/// Whether such a query ends by `limit_memory` while the server stays.
fn over_its_memory(server: &Server, analyst: &Analyst) -> Result<Row> {
    progress("a query over its memory");
    let text = "x".repeat(1_000);
    let content: String =
        std::iter::once("t\n".to_owned()).chain((0..TEXTS).map(|n| format!("{n}{text}\n"))).collect();
    let source = analyst.file("texts", "csv", content.as_bytes())?;
    let number = began(&(analyst.clone(), source), LARGE)?;
    wait_until(PATIENCE, || Ok(!is_running(&analyst.execution(number)?)))?;
    let execution = analyst.execution(number)?;
    let code = execution.get("error_code").and_then(Value::as_str);
    // Fails if the server is gone.
    server.time_to_first_answer()?;
    let (_, most) = server.memory()?;
    let is_right = code == Some("limit_memory");
    let took = execution.get("total_duration_ms").and_then(Value::as_f64).unwrap_or_default();
    let work = "a query over its memory ends by limit_memory, the server stays";
    Ok(Row::new(work, SQLITE, f64::from(is_right), "").budget(Budget::AtLeast(1.0)).note(format!(
        "{}; {:.1} s, at most {most:.0} MB",
        ending(&execution),
        took / 1_000.0
    )))
}

//! Data sources with 10,000 tables, discovered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::storage::{bearer, object_of, timed, upload};
use super::{Bench, FEW, LOW_COST, POSTGRES, SQLITE, sign_in};
use crate::clients::Contract;
use crate::machine::median;
use crate::report::{Budget, Row};
use crate::wire::{get, post_as, request_with};
use crate::{Result, database, progress};

const TABLES: u64 = 10_000;
const TURNS: usize = 3;
const SOURCES: &str = "/api/v1/data-sources";
/// For the discovery that a new data source gets by itself.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for kind in [POSTGRES, SQLITE] {
        progress(&format!("making {TABLES} tables, {kind}"));
        // Each with a server of its own, whose memory is of this discovery alone.
        let setup = bench.seeded(&format!("discovery{kind}"), SQLITE, LOW_COST, FEW)?;
        let server = setup.start()?;
        server.time_to_first_answer()?;
        let (token, _) =
            sign_in(server.address, Contract::Rivergen, &[0])?.pop().ok_or("nobody is signed in")?;
        let source = match kind {
            POSTGRES => {
                let address = database::create_postgres(&bench.postgres, "bench_tables")?;
                database::make_tables_in_postgres(&address, TABLES)?;
                json!({ "name": "Many", "type": "postgresql", "connection_string": address })
            }
            _ => {
                let file = setup.dir.join("tables.sqlite");
                database::make_tables_in_sqlite(&file, TABLES)?;
                let upload = upload(&token, "tables.sqlite", &std::fs::read(file)?);
                let (_, object) = timed(server.address, &upload, object_of)?;
                json!({ "name": "Many", "type": "sqlite", "file_path": object })
            }
        };
        let number = created(server.address, &token, &source)?;
        let mut seconds = Vec::new();
        for turn in 0..TURNS {
            progress(&format!("{kind}, turn {} of {TURNS}", turn + 1));
            let path = format!("{SOURCES}/{number}/discover-schema?refresh=true");
            let discover = request_with("POST", &path, &bearer(&token), &[]);
            let (took, found) = timed(server.address, &discover, |answer| answer.json(200))?;
            let tables = found.pointer("/data/total_tables").and_then(Value::as_u64);
            if tables != Some(TABLES) {
                return Err(format!("{tables:?} tables were found").into());
            }
            seconds.push(took);
        }
        let (_, most) = server.memory()?;
        rows.push(
            Row::new(format!("discovery of {TABLES} tables"), kind, median(seconds), "s")
                .budget(Budget::AtMost(20.0))
                .note(format!("median of {TURNS}")),
        );
        rows.push(
            Row::new(format!("memory, most while {TABLES} tables are discovered"), kind, most, "MB")
                .budget(Budget::AtMost(100.0)),
        );
    }
    Ok(rows)
}

/// Makes a data source, and waits until it was discovered by itself: what is measured then has the server for itself.
pub(super) fn created(server: SocketAddr, token: &str, source: &Value) -> Result<u64> {
    let (_, made) = timed(server, &post_as(SOURCES, token, source), |answer| answer.json(201))?;
    let number = made.pointer("/data/id").and_then(Value::as_u64).ok_or("a data source without a number")?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let (_, shown) =
            timed(server, &get(&format!("{SOURCES}/{number}"), Some(token)), |answer| answer.json(200))?;
        if shown.pointer("/data/schema_discovered_at").is_some_and(Value::is_string) {
            return Ok(number);
        }
        if shown.pointer("/data/status").and_then(Value::as_str) == Some("failed") {
            return Err(format!("the data source failed: {shown}").into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Err("the data source was not discovered by itself".into())
}

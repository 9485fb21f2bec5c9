//! Rows of a data source, streamed.

use std::ffi::OsStr;

use serde_json::Value;

use super::{Bench, POSTGRES};
use crate::machine::median;
use crate::report::{Budget, Row};
use crate::{Result, database, progress, server};

const ROWS: u64 = 1_000_000;
const TURNS: usize = 3;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    progress(&format!("making a table of {ROWS} rows"));
    let address = database::create_postgres(&bench.postgres, "bench_rows")?;
    database::make_rows_in_postgres(&address, ROWS)?;
    let file = bench.work.join("rows.csv");
    let (mut rates, mut growth, mut most) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..TURNS {
        progress(&format!("turn {} of {TURNS}", turn + 1));
        // In a process of its own, through the driver: no endpoint gives rows as a file.
        let arguments =
            ["stream", "--address", address.as_str(), "--table", "orders", "--file"].map(OsStr::new);
        let said = server::alone(&[&arguments[..], &[file.as_os_str()]].concat())?;
        let number = |name: &str| {
            let number = said.get(name).and_then(Value::as_f64);
            number.ok_or_else(|| format!("no {name} in {said}"))
        };
        if said.get("rows").and_then(Value::as_u64) != Some(ROWS) {
            return Err(format!("not all rows came: {said}").into());
        }
        rates.push(ROWS as f64 / number("seconds")?);
        growth.push(number("most_mb")? - number("early_mb")?);
        most.push(number("most_mb")?);
    }
    let size = std::fs::metadata(&file)?.len() as f64 / 1e6;
    Ok(vec![
        Row::new(format!("{ROWS} rows to CSV, rows"), POSTGRES, median(rates), "/s")
            .budget(Budget::AtLeast(300_000.0))
            .note(format!("median of {TURNS}; 5 columns, {size:.0} MB")),
        Row::new("memory, from 100000 rows to all", POSTGRES, median(growth), "MB")
            .budget(Budget::AtMost(10.0))
            .note(format!("at most {:.0} MB", median(most))),
    ])
}

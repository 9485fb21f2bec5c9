//! From nothing to the first answer.

use super::{Bench, SQLITE};
use crate::machine::median;
use crate::report::{Budget, Row};
use crate::server::Hash;
use crate::{Result, progress};

const STARTS: usize = 11;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    progress("starting on an empty directory");
    let mut fresh = Vec::new();
    for start in 0..STARTS {
        let setup = bench.setup(&format!("start{start}"), SQLITE, Hash::Bcrypt(bench.cost))?;
        fresh.push(setup.start()?.time_to_first_answer()?.as_secs_f64() * 1_000.0);
    }
    progress("starting again");
    let setup = bench.setup("start0", SQLITE, Hash::Bcrypt(bench.cost))?;
    let mut again = Vec::new();
    for _ in 0..STARTS {
        again.push(setup.start()?.time_to_first_answer()?.as_secs_f64() * 1_000.0);
    }
    let row = |work, times, budget, note| {
        Row::new(work, SQLITE, median(times), "ms")
            .budget(Budget::AtMost(budget))
            .peer("12 ms")
            .note(format!("median of {STARTS}{note}"))
    };
    Ok(vec![
        row("cold start to first 200, empty directory", fresh, 35.0, "; makes database and keys"),
        row("cold start to first 200, existing data", again, 25.0, ""),
    ])
}

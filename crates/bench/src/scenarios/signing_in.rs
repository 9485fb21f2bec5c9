//! Passwords at the configured cost, and other requests at the same time.

use super::{Bench, FEW, SQLITE, as_answered, per_second, sign_in, signing_in};
use crate::clients::{Contract, InTurn};
use crate::load::{Measured, run};
use crate::report::{Budget, Row};
use crate::{Result, hashing, progress};

/// Sign-ins under way at a time, for each thread that hashes: they always have a next one, and the queue never refuses.
const WAITING: u64 = 8;
/// Other requests a second: a few per cent of what the server can do, so that waiting is all there is to see.
const OTHERS: u32 = 1_000;
/// Connections they come through.
const OTHER_CONNECTIONS: u64 = 16;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let cost = bench.cost;
    progress(&format!("one verification at cost {cost}"));
    let one = hashing::one_verification(cost)?.as_secs_f64();
    let ceiling = bench.machine.cores as f64 / one;

    let server = bench.seeded("signing_in", SQLITE, cost, FEW)?.start()?;
    let others: Vec<u64> = (0..OTHER_CONNECTIONS).collect();
    let tokens = sign_in(server.address, Contract::Ingestiq, &others)?;
    let asking = || {
        per_second(
            OTHERS,
            tokens.iter().map(|(access, _)| InTurn::get("/api/v2/auth/me", std::slice::from_ref(access))),
        )
    };
    let saturating =
        || as_answered(signing_in(Contract::Ingestiq, WAITING * bench.machine.cores as u64, FEW));

    progress("others alone");
    let (alone, _) = server.measure(asking(), bench.timing())?;
    progress("sign-ins alone");
    let (sign_ins, _) = server.measure(saturating(), bench.timing())?;
    progress("others while sign-ins saturate the hash pool");
    let both = run(server.address, vec![asking(), saturating()], bench.timing())?;
    let [others, beside] = both.try_into().map_err(|_| "two loads, two measurements")?;

    let rate = sign_ins.per_second();
    Ok(vec![
        Row::new("password sign-ins, of the hash ceiling", SQLITE, rate / ceiling, "x")
            .budget(Budget::AtLeast(0.95))
            .peer("hash-bound")
            .latency(&sign_ins)
            .note(format!(
                "bcrypt cost {cost}: {rate:.2}/s of {ceiling:.2}/s, one verification {:.0} ms",
                one * 1_000.0
            )),
        Row::new("others' p99 while sign-ins saturate, of idle", SQLITE, ratio(&others, &alone), "x")
            .budget(Budget::AtMost(2.0))
            .peer("seconds")
            .latency(&others)
            .note(format!(
                "`me` at {OTHERS}/s, idle p99 {:.2} ms, beside {:.2} sign-ins/s",
                alone.percentile(99.0),
                beside.per_second()
            )),
    ])
}

fn ratio(busy: &Measured, idle: &Measured) -> f64 {
    busy.percentile(99.0) / idle.percentile(99.0)
}

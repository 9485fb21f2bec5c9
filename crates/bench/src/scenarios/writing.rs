//! Durable writes.

use super::{Bench, CONNECTIONS, FEW, LOW_COST, POSTGRES, as_answered, first_accounts, sign_in};
use crate::clients::{Contract, Refreshing, SigningUp};
use crate::report::{Budget, Row};
use crate::server::Hash;
use crate::{Result, progress};

/// Sign-ups under way at a time, for each core: as many passwords as may wait to be hashed.
const WAITING: usize = 16;

pub(super) fn measure(bench: &Bench, store: &'static str) -> Result<Vec<Row>> {
    let mut rows = refresh(bench, store)?;
    rows.extend(sign_up(bench, store)?);
    Ok(rows)
}

fn refresh(bench: &Bench, store: &'static str) -> Result<Vec<Row>> {
    let server = bench.seeded("refresh", store, LOW_COST, FEW)?.start()?;
    let budget = if store == POSTGRES { 5_000.0 } else { 10_000.0 };
    let mut rows = Vec::new();
    for (contract, work) in [
        (Contract::Rivergen, "refresh with rotation, RiverGen"),
        (Contract::Ingestiq, "refresh with rotation, IngestIQ"),
    ] {
        progress(&format!("{work}, {store}"));
        let tokens = sign_in(server.address, contract, &first_accounts())?;
        let clients = tokens.iter().map(|(_, refresh)| Refreshing::new(contract, refresh));
        let measured = server.measure(as_answered(clients), bench.timing())?;
        let moves = if contract == Contract::Ingestiq { ", each moves its session's end" } else { "" };
        rows.push(
            Row::throughput(work, store, &measured)
                .budget(Budget::AtLeast(budget))
                .peer("740/s; in memory 2,600/s")
                .note(format!("{CONNECTIONS} chains{moves}")),
        );
    }
    let (after, most) = server.memory()?;
    rows.push(
        Row::new("memory, after refreshing", store, after, "MB")
            .budget(Budget::AtMost(50.0))
            .peer("58 MB")
            .note(format!("at most {most:.0} MB")),
    );
    Ok(rows)
}

fn sign_up(bench: &Bench, store: &'static str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, work, hash, note) in [
        ("everything", "sign-up, everything but the hash", Hash::Negligible, "; Argon2id of 8 KiB"),
        ("low_cost", "sign-up, bcrypt cost 4", Hash::Bcrypt(LOW_COST), ""),
    ] {
        let server = bench.setup(&format!("sign_up_{name}"), store, hash)?.start()?;
        progress(&format!("{work}, {store}"));
        let connections = WAITING * bench.machine.cores;
        let clients = (0..connections).map(|place| SigningUp::new(format!("client{place}")));
        let measured = server.measure(as_answered(clients), bench.timing())?;
        let row = Row::throughput(work, store, &measured).note(format!("{connections} connections{note}"));
        rows.push(match hash {
            Hash::Negligible => {
                row.budget(Budget::AtLeast(if store == POSTGRES { 2_000.0 } else { 3_000.0 }))
            }
            Hash::Bcrypt(_) => row,
        });
    }
    Ok(rows)
}

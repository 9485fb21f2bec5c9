//! Many accounts, against few.

use std::time::Duration;

use super::{Bench, FEW, LOW_COST, per_second, sign_in, signing_in};
use crate::clients::{Contract, InTurn, Random, Refreshing};
use crate::load::{Load, Measured, Timing};
use crate::machine::median;
use crate::report::{Budget, Row};
use crate::server::Server;
use crate::{Result, database, progress};

const CONNECTIONS: u64 = 32;
/// Measured in turns, small and large, so that what else the machine does hits both alike.
const TURNS: u64 = 3;

/// What is asked, and how often a second.
#[derive(Clone, Copy)]
enum Work {
    SignIn,
    Refresh,
    Sessions,
}

impl Work {
    const ALL: [Self; 3] = [Self::SignIn, Self::Refresh, Self::Sessions];

    fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in, bcrypt cost 4",
            Self::Refresh => "refresh",
            Self::Sessions => "list of sessions",
        }
    }

    fn rate(self) -> u32 {
        match self {
            Self::SignIn => 200,
            Self::Refresh => 500,
            Self::Sessions => 1_000,
        }
    }

    fn load(self, server: &Server, accounts: u64, turn: u64) -> Result<Load> {
        let (contract, rate) = (Contract::Rivergen, self.rate());
        if let Self::SignIn = self {
            return Ok(per_second(rate, signing_in(contract, CONNECTIONS, accounts)));
        }
        let mut random = Random(turn);
        let people: Vec<u64> = (0..CONNECTIONS * 8).map(|_| random.below(accounts)).collect();
        let tokens = sign_in(server.address, contract, &people)?;
        Ok(match self {
            Self::Refresh => {
                let each = tokens.iter().take(CONNECTIONS as usize);
                per_second(rate, each.map(|(_, refresh)| Refreshing::new(contract, refresh)))
            }
            _ => {
                let access: Vec<String> = tokens.into_iter().map(|(access, _)| access).collect();
                per_second(rate, access.chunks(8).map(|some| InTurn::get("/api/v1/sessions", some)))
            }
        })
    }
}

pub(super) fn measure(bench: &Bench, store: &'static str) -> Result<Vec<Row>> {
    let many = bench.accounts;
    if many <= FEW {
        progress(&format!("skipped: --accounts {many} is not more than {FEW}"));
        return Ok(Vec::new());
    }
    let few_server = bench.seeded("few", store, LOW_COST, FEW)?.start()?;
    progress(&format!("writing {many} accounts"));
    let many_setup = bench.seeded("many", store, LOW_COST, many)?;
    let size = database::bytes(&many_setup)? as f64 / 1e9;
    let many_server = many_setup.start()?;
    let mut rows = Vec::new();
    for work in Work::ALL {
        let mut small = Vec::new();
        let mut large = Vec::new();
        let mut last = None;
        for turn in 0..TURNS {
            progress(&format!("{}, turn {} of {TURNS}", work.name(), turn + 1));
            small.push(p99(&at(bench, work, &few_server, FEW, turn)?));
            let measured = at(bench, work, &many_server, many, turn)?;
            large.push(p99(&measured));
            last = Some(measured);
        }
        let (small, large) = (median(small), median(large));
        let row = Row::new(
            format!("{} with {many} accounts, p99 of that with {FEW}", work.name()),
            store,
            large / small,
            "x",
        )
        .budget(Budget::AtMost(1.2))
        .peer("trouble at 300 to 1,000 organizations")
        .note(format!("at {}/s: {large:.2} ms of {small:.2} ms, medians of {TURNS}", work.rate()));
        rows.push(match &last {
            Some(last) => row.latency(last),
            None => row,
        });
    }
    let (memory, most) = many_server.memory()?;
    rows.push(
        Row::new(format!("memory with {many} accounts, after load"), store, memory, "MB")
            .budget(Budget::AtMost(50.0))
            .note(format!("at most {most:.0} MB; the database has {size:.1} GB")),
    );
    Ok(rows)
}

fn at(bench: &Bench, work: Work, server: &Server, accounts: u64, turn: u64) -> Result<Measured> {
    let timing = Timing { warm_up: Duration::from_secs(1), counted: bench.counted };
    Ok(server.measure(work.load(server, accounts, turn)?, timing)?.0)
}

fn p99(measured: &Measured) -> f64 {
    measured.percentile(99.0)
}

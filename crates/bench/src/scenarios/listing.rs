//! A large organization, listed whole.

use std::net::SocketAddr;

use super::{Bench, FEW, LOW_COST, SQLITE, as_answered, sign_in};
use crate::clients::{Contract, InTurn};
use crate::load::with_connection;
use crate::report::{Budget, Row};
use crate::wire::get;
use crate::{Result, database, progress};

const PATH: &str = "/v1/organizations/current/accounts/";
/// How many belong to the organization, its owner aside.
const MEMBERS: u64 = 10_000;
const CONNECTIONS: usize = 4;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let setup = bench.seeded("listing", SQLITE, LOW_COST, FEW)?;
    database::seed_members(&setup, FEW, MEMBERS)?;
    let server = setup.start()?;
    server.time_to_first_answer()?;
    let owner = sign_in(server.address, Contract::Rivergen, &[0])?;
    let token: Vec<String> = owner.into_iter().map(|(access, _)| access).collect();
    let first = list(server.address, &token)?;
    let (before, _) = server.memory()?;
    progress(&format!("a list of {MEMBERS} accounts, {:.1} MB", first.len() as f64 / 1e6));
    let clients = (0..CONNECTIONS).map(|_| InTurn::get(PATH, &token));
    let measured = server.measure(as_answered(clients), bench.timing())?;
    if list(server.address, &token)? != first {
        return Err("two listings of the same accounts differ".into());
    }
    let (after, most) = server.memory()?;
    Ok(vec![
        Row::throughput(format!("list of {MEMBERS} accounts"), SQLITE, &measured).note(format!(
            "{CONNECTIONS} connections; {:.1} MB each, every one the same",
            first.len() as f64 / 1e6
        )),
        Row::new(format!("memory, after listing {MEMBERS} accounts"), SQLITE, after, "MB")
            .budget(Budget::AtMost(60.0))
            .note(format!("{before:.0} MB after the first list; at most {most:.0} MB")),
    ])
}

fn list(server: SocketAddr, token: &[String]) -> Result<Vec<u8>> {
    with_connection(server, async |connection| {
        let answer = connection.call(&get(PATH, token.first().map(String::as_str))).await?;
        answer.expect(200)?;
        Ok(answer.body.to_vec())
    })
}

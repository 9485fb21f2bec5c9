//! A large organization, listed whole.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Bench, FEW, LOW_COST, SQLITE, as_answered};
use crate::clients::{InTurn, PASSWORD, email};
use crate::load::with_connection;
use crate::report::{Budget, Row};
use crate::wire::{get, post};
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
    let token = [root_token(server.address)?];
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
        Row::throughput(format!("list of {MEMBERS} accounts"), SQLITE, &measured)
            .budget(Budget::AtLeast(60.0))
            .note(format!(
                "{CONNECTIONS} connections; {:.1} MB each, every one the same",
                first.len() as f64 / 1e6
            )),
        Row::new(format!("memory, after listing {MEMBERS} accounts"), SQLITE, after, "MB")
            .budget(Budget::AtMost(50.0))
            .note(format!("{before:.0} MB after the first list; at most {most:.0} MB")),
    ])
}

/// The token of the organization's owner; no other contract's lists its accounts.
fn root_token(server: SocketAddr) -> Result<String> {
    with_connection(server, async |connection| {
        let login = post("/v1/login/root/", &json!({ "email": email(0), "password": PASSWORD }));
        let answer = connection.call(&login).await?.json(200)?;
        let token = answer.get("token").and_then(Value::as_str);
        Ok(token.ok_or_else(|| format!("no token in {answer}"))?.to_owned())
    })
}

fn list(server: SocketAddr, token: &[String]) -> Result<Vec<u8>> {
    with_connection(server, async |connection| {
        let answer = connection.call(&get(PATH, token.first().map(String::as_str))).await?;
        answer.expect(200)?;
        Ok(answer.body.to_vec())
    })
}

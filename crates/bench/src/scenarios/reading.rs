//! Answers out of memory, against a server of the same libraries that does nothing.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Bench, CONNECTIONS, FEW, LOW_COST, SQLITE, as_answered, first_accounts, sign_in};
use crate::clients::{Contract, InTurn};
use crate::load::{Measured, with_connection};
use crate::report::{Budget, Row};
use crate::server::Server;
use crate::wire::get;
use crate::{Result, progress};

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let setup = bench.seeded("reading", SQLITE, LOW_COST, FEW)?;
    let server = setup.start()?;
    server.time_to_first_answer()?;
    // What starting left behind is done by then.
    std::thread::sleep(Duration::from_secs(1));
    let (idle, own) = (server.memory()?.0, server.memory_of_its_own()?);

    let mut rows = Vec::new();
    for (work, path, contract, budget, peer) in [
        ("`me`, IngestIQ", "/api/v2/auth/me", Some(Contract::Ingestiq), 0.45, "5,580/s"),
        ("`me`, RiverGen", "/api/v1/auth/me", Some(Contract::Rivergen), 0.45, "2,190/s"),
        ("JWKS", "/.well-known/jwks.json", None, 0.7, "41,600/s"),
        ("discovery", "/.well-known/openid-configuration", None, 0.7, ""),
        ("healthz", "/healthz", None, 0.7, ""),
    ] {
        let tokens: Vec<String> = match contract {
            Some(contract) => {
                let signed_in = sign_in(server.address, contract, &first_accounts())?;
                signed_in.into_iter().map(|(access, _)| access).collect()
            }
            None => Vec::new(),
        };
        let Some(bytes) = length(server.address, path, tokens.first().map(String::as_str))? else {
            continue; // Of an earlier program.
        };
        progress(&format!("a bare route with {bytes} bytes"));
        let bare_server = Server::bare(bytes, &bench.work)?;
        let bare = ask(bench, &bare_server, "/", &[])?;
        drop(bare_server);
        progress(work);
        let measured = ask(bench, &server, path, &tokens)?;
        let ratio = measured.0.per_second() / bare.0.per_second();
        rows.push(Row::throughput(work, SQLITE, &measured).peer(peer).note(format!("{bytes} bytes")));
        rows.push(Row::throughput(format!("bare axum route, {bytes} bytes"), "", &bare));
        rows.push(
            Row::new(format!("{work}, of the bare route"), SQLITE, ratio, "x")
                .budget(Budget::AtLeast(budget)),
        );
    }
    let (after, most) = server.memory()?;
    rows.push(
        Row::new("memory, idle", SQLITE, idle, "MB")
            .budget(Budget::AtMost(25.0))
            .peer("15 MB")
            .note(format!("{own:.0} MB its own; the rest are pages of the program's file")),
    );
    rows.push(
        Row::new("memory, after reading", SQLITE, after, "MB")
            .budget(Budget::AtMost(50.0))
            .peer("58 MB")
            .note(format!("at most {most:.0} MB")),
    );
    Ok(rows)
}

/// Of the answer; none where that path is not served.
fn length(server: SocketAddr, path: &str, token: Option<&str>) -> Result<Option<usize>> {
    with_connection(server, async |connection| {
        let answer = connection.call(&get(path, token)).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        answer.expect(200)?;
        Ok(Some(answer.body.len()))
    })
}

/// Every connection asks with a token of its own, where tokens are needed.
fn ask(bench: &Bench, server: &Server, path: &str, tokens: &[String]) -> Result<(Measured, Duration)> {
    let clients =
        (0..CONNECTIONS).map(|place| InTurn::get(path, tokens.get(place..=place).unwrap_or_default()));
    server.measure(as_answered(clients), bench.timing())
}

//! Passkeys and authenticator apps.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Bench, CONNECTIONS, FEW, LOW_COST, as_answered, first_accounts};
use crate::factors::{SigningInByPasskey, await_next_step, enrol, register, showing, sign_in_halfway};
use crate::load::{Timing, with_connection};
use crate::phones::{Pile, WorkingOff};
use crate::report::Row;
use crate::{Result, progress};

pub(super) fn measure(bench: &Bench, store: &'static str) -> Result<Vec<Row>> {
    let server = bench.seeded("factors", store, LOW_COST, FEW)?.start()?;

    let work = "passkey sign-ins";
    progress(&format!("{work}, {store}"));
    let clients = with_connection(server.address, async |connection| {
        let mut clients = Vec::new();
        for account in first_accounts() {
            clients.push(SigningInByPasskey::new(account, register(connection, account).await?));
        }
        Ok(clients)
    })?;
    let (measured, cpu) = server.measure(as_answered(clients), bench.timing())?;
    // Each takes two requests.
    let passkeys = Row::new(work, store, measured.per_second() / 2.0, "/s").latency(&measured).note(format!(
        "{CONNECTIONS} connections; two requests each, {:.0} us of CPU together",
        cpu.as_secs_f64() * 2_000_000.0
    ));

    let work = "TOTP verifications at sign-in";
    progress(&format!("{FEW} authenticator apps"));
    let pile = waiting_for_codes(server.address)?;
    progress(&format!("{work}, {store}"));
    let while_they_last = Timing { warm_up: Duration::ZERO, ..bench.timing() };
    let measured =
        server.measure(as_answered((0..CONNECTIONS).map(|_| WorkingOff::new(&pile))), while_they_last)?;
    let note = format!("{CONNECTIONS} connections; {} of {FEW} codes", measured.0.answers);
    Ok(vec![passkeys, Row::throughput(work, store, &measured).note(note)])
}

/// Requests that finish a sign-in of each account with a code of its app.
fn waiting_for_codes(server: SocketAddr) -> Result<Pile> {
    with_connection(server, async |connection| {
        let mut waiting = Vec::new();
        for account in 0..FEW {
            let seed = enrol(connection, account).await?;
            waiting.push((sign_in_halfway(connection, account).await?, seed));
        }
        await_next_step()?;
        let requests: Result<Vec<_>> = waiting.iter().map(|(token, seed)| showing(token, seed)).collect();
        Ok(Arc::new(Mutex::new(requests?)))
    })
}

//! Tidegate and other servers in turns: the same machine, load generator and connections, in one run.

use std::time::Duration;

use super::{Bench, CONNECTIONS, FEW, LOW_COST, SQLITE, as_answered, first_accounts, sign_in};
use crate::clients::{Contract, InTurn, SigningUp};
use crate::load::{Load, with_connection};
use crate::machine::median;
use crate::oauth::{Application, AsItself, Bound, Introspecting};
use crate::peers::{Asking, Peer, Peers, SigningUpThere, kept_token, signed_up};
use crate::report::{Compared, Row};
use crate::server::{Hash, Server, Setup};
use crate::{Result, progress};

/// Tidegate, the peer, Tidegate, ...: what else the machine does hits both alike.
const ROUNDS: usize = 5;
/// Sign-ups under way at a time, for each core: as many passwords as may wait to be hashed.
const WAITING: usize = 16;
const KEYS: &str = "/.well-known/jwks.json";

/// Makes a load for a round, before it is measured.
type Loads<'a> = &'a dyn Fn(usize) -> Result<Load>;

/// What Tidegate and a peer do alike.
struct Work<'a> {
    name: &'a str,
    peer: &'a str,
    tidegate: (&'a Server, Loads<'a>),
    other: (&'a Server, Loads<'a>),
    note: &'a str,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let Some(packages) = &bench.peers else {
        progress("nothing to compare with: scripts/setup --peers installs it");
        return Ok(Vec::new());
    };
    let peers = Peers::new(packages, &bench.work)?;
    let reading = bench.seeded("peers", SQLITE, LOW_COST, FEW)?;
    let writing = bench.setup("peers_sign_up", SQLITE, Hash::Negligible)?;
    let mut rows = starts(&peers, &writing)?;
    let server = reading.start()?;
    rows.extend(accounts(bench, &peers, &server)?);
    rows.extend(sign_ups(bench, &peers, &writing)?);
    rows.extend(applications(bench, &peers, &server)?);
    Ok(rows)
}

/// Measures a work in turns.
fn in_turns(bench: &Bench, work: &Work<'_>) -> Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut our_cpu, mut their_cpu) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        progress(&format!("{}, {}: round {} of {ROUNDS}", work.name, work.peer, round + 1));
        for ((server, load), rates, cpu) in
            [(work.tidegate, &mut ours, &mut our_cpu), (work.other, &mut theirs, &mut their_cpu)]
        {
            let (measured, each) = server.measure(load(round)?, bench.timing())?;
            rates.push(measured.per_second());
            cpu.push(each);
        }
    }
    let compared = Compared { peer: work.peer.to_owned(), unit: "/s", is_more_better: true, ours, theirs };
    let cpu = |times: Vec<Duration>| median(times).as_micros();
    let cpu = format!("CPU {} us and {} us", cpu(our_cpu), cpu(their_cpu));
    Ok(Row::compared(work.name, SQLITE, compared).more(&[work.note, &cpu]))
}

/// How long each takes to its first answer, and how much memory it then has: one process each, data that exist.
fn starts(peers: &Peers, tidegate: &Setup) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    // The first start makes the data, and is not counted.
    start(tidegate.start()?, KEYS)?;
    for peer in [Peer::BetterAuth, Peer::OidcProvider] {
        let name = peers.describe(peer)?;
        progress(&format!("starting, {name}"));
        let data = format!("{peer:?}-starting");
        start(peers.start(peer, &data, 1, &[])?, peer.keys())?;
        let (mut times, mut memory) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for _ in 0..ROUNDS {
            let (time, megabytes) = start(tidegate.start()?, KEYS)?;
            times.0.push(time);
            memory.0.push(megabytes);
            let (time, megabytes) = start(peers.start(peer, &data, 1, &[])?, peer.keys())?;
            times.1.push(time);
            memory.1.push(megabytes);
        }
        for (work, unit, (ours, theirs)) in [("cold start", "ms", times), ("memory, idle", "MB", memory)] {
            let compared = Compared { peer: name.clone(), unit, is_more_better: false, ours, theirs };
            rows.push(Row::compared(work, SQLITE, compared).more(&["existing data, one process each"]));
        }
    }
    Ok(rows)
}

/// Milliseconds to the first answer, and MB a second later, when what starting left behind is done.
fn start(server: Server, path: &str) -> Result<(f64, f64)> {
    let time = server.time_to(path)?.as_secs_f64() * 1_000.0;
    std::thread::sleep(Duration::from_secs(1));
    Ok((time, server.memory_together()?))
}

/// Memory of both after all that was asked of them.
fn memory_after(what: &str, peer: &str, ours: &Server, theirs: &Server, note: &str) -> Result<Row> {
    let (ours, theirs) = (vec![ours.memory_together()?], vec![theirs.memory_together()?]);
    let compared = Compared { peer: peer.to_owned(), unit: "MB", is_more_better: false, ours, theirs };
    Ok(Row::compared(format!("memory, after {what}"), SQLITE, compared).more(&[note]))
}

/// Who is signed in, and the keys.
fn accounts(bench: &Bench, peers: &Peers, tidegate: &Server) -> Result<Vec<Row>> {
    let (peer, cores) = (Peer::BetterAuth, bench.machine.cores);
    let name = peers.describe(peer)?;
    let database = peers.start(peer, "reading", cores, &[])?;
    let cache = peers.start(peer, "reading-cached", cores, &["cache"])?;
    let me = |_: usize| -> Result<Load> {
        let people = sign_in(tidegate.address, Contract::Rivergen, &first_accounts())?;
        Ok(as_answered(
            people.iter().map(|(token, _)| InTurn::get("/api/v1/auth/me", std::slice::from_ref(token))),
        ))
    };
    // New cookies for each round: what is cached in them is good for five minutes.
    let session = |server: &Server, round: usize| -> Result<Load> {
        let people = signed_up(server.address, &format!("round{round}"), CONNECTIONS)?;
        Ok(as_answered(people.iter().map(|cookies| Asking::who(cookies))))
    };
    let note = &format!("{CONNECTIONS} connections, {cores} processes of the peer");
    let cached =
        &format!("{note}, which reads the session from a signed cookie for five minutes, revoked or not");
    let rows = [
        Work {
            name: "who is signed in",
            peer: &name,
            tidegate: (tidegate, &me),
            other: (&database, &|round| session(&database, round)),
            note,
        },
        Work {
            name: "who is signed in, cookie cache",
            peer: &name,
            tidegate: (tidegate, &me),
            other: (&cache, &|round| session(&cache, round)),
            note: cached,
        },
        Work {
            name: "public keys",
            peer: &name,
            tidegate: (tidegate, &|_| Ok(keys())),
            other: (&database, &|_| Ok(as_answered((0..CONNECTIONS).map(|_| Asking::for_keys(peer))))),
            note,
        },
    ];
    let mut rows = rows.iter().map(|work| in_turns(bench, work)).collect::<Result<Vec<_>>>()?;
    let note = format!("{cores} processes of the peer");
    rows.push(memory_after("reading", &name, tidegate, &database, &note)?);
    Ok(rows)
}

/// Tidegate is asked for its keys.
fn keys() -> Load {
    as_answered((0..CONNECTIONS).map(|_| InTurn::get(KEYS, &[])))
}

/// New accounts.
fn sign_ups(bench: &Bench, peers: &Peers, tidegate: &Setup) -> Result<Vec<Row>> {
    let peer = Peer::BetterAuth;
    let name = peers.describe(peer)?;
    let tidegate = tidegate.start()?;
    // One process: with more, its transactions, which read before they write, are refused as busy.
    let other = peers.start(peer, "sign-up", 1, &[])?;
    let connections = WAITING * bench.machine.cores;
    let who = |round: usize| (0..connections).map(move |place| format!("round{round}-{place}"));
    let note = &format!(
        "{connections} connections, one process of the peer; Argon2id of 8 KiB and scrypt with N = 2"
    );
    let work = Work {
        name: "sign-up, everything but the hash",
        peer: &name,
        tidegate: (&tidegate, &|round| Ok(as_answered(who(round).map(SigningUp::new)))),
        other: (&other, &|round| Ok(as_answered(who(round).map(SigningUpThere::new)))),
        note,
    };
    let row = in_turns(bench, &work)?;
    Ok(vec![row, memory_after("sign-ups", &name, &tidegate, &other, "one process each")?])
}

/// Tokens of applications.
fn applications(bench: &Bench, peers: &Peers, tidegate: &Server) -> Result<Vec<Row>> {
    let (peer, cores) = (Peer::OidcProvider, bench.machine.cores);
    let name = peers.describe(peer)?;
    let other = peers.start(peer, "applications", cores, &[])?;
    let (owner, _) =
        sign_in(tidegate.address, Contract::Rivergen, &[0])?.pop().ok_or("nobody is signed in")?;
    let application = with_connection(tidegate.address, async |connection| {
        Application::register(connection, &owner).await
    })?;
    let introspecting = |_: usize| -> Result<Load> {
        let token =
            with_connection(tidegate.address, async |connection| application.own_token(connection).await)?;
        Ok(as_answered((0..CONNECTIONS).map(|_| Introspecting::new(&application, &token))))
    };
    let asked = |_: usize| -> Result<Load> {
        let token = kept_token(other.address)?;
        Ok(as_answered((0..CONNECTIONS).map(|_| Asking::about(&token))))
    };
    let note = &format!("{CONNECTIONS} connections, {cores} processes of the peer");
    let kept = &format!("{note}; opaque tokens, read from SQLite, as it introspects no others");
    let rows = [
        Work {
            name: "client credentials, signed tokens",
            peer: &name,
            tidegate: (tidegate, &|_| {
                Ok(as_answered((0..CONNECTIONS).map(|_| AsItself::new(&application, Bound::No))))
            }),
            other: (&other, &|_| Ok(as_answered((0..CONNECTIONS).map(|_| Asking::for_token())))),
            note,
        },
        Work {
            name: "introspection",
            peer: &name,
            tidegate: (tidegate, &introspecting),
            other: (&other, &asked),
            note: kept,
        },
        Work {
            name: "public keys",
            peer: &name,
            tidegate: (tidegate, &|_| Ok(keys())),
            other: (&other, &|_| Ok(as_answered((0..CONNECTIONS).map(|_| Asking::for_keys(peer))))),
            note,
        },
    ];
    let mut rows = rows.iter().map(|work| in_turns(bench, work)).collect::<Result<Vec<_>>>()?;
    let note = format!("{cores} processes of the peer");
    rows.push(memory_after("OAuth requests", &name, tidegate, &other, &note)?);
    Ok(rows)
}

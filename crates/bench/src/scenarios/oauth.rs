//! Applications: OAuth 2 and OpenID Connect.

use std::time::Duration;

use super::{Bench, CONNECTIONS, FEW, LOW_COST, SQLITE, as_answered, first_accounts, sign_in};
use crate::clients::Contract;
use crate::load::{Measured, with_connection};
use crate::oauth::{Application, AsItself, AskingWho, Bound, Introspecting, RoundTrip};
use crate::report::{Budget, Row};
use crate::{Result, progress};

pub(super) fn measure(bench: &Bench, store: &'static str) -> Result<Vec<Row>> {
    let server = bench.seeded("oauth", store, LOW_COST, FEW)?.start()?;
    let people = sign_in(server.address, Contract::Rivergen, &first_accounts())?;
    let people: Vec<String> = people.into_iter().map(|(access, _)| access).collect();
    let owner = people.first().ok_or("no account")?.clone();
    let application =
        with_connection(server.address, async |connection| Application::register(connection, &owner).await)?;
    let mut rows = Vec::new();
    for bound in [Bound::No, Bound::Dpop] {
        let with = if bound == Bound::Dpop { ", DPoP" } else { "" };
        let note = match bound {
            Bound::No => format!("{CONNECTIONS} connections"),
            Bound::Dpop => {
                format!("{CONNECTIONS} connections, which sign a proof each time on the same cores")
            }
        };
        let row = |work: &str, measured: &(Measured, Duration)| {
            progress(&format!("{work}{with}, {store}"));
            Row::throughput(format!("{work}{with}"), store, measured).note(note.clone())
        };
        let clients = (0..CONNECTIONS).map(|_| AsItself::new(&application, bound));
        let measured = server.measure(as_answered(clients), bench.timing())?;
        let own = row("client credentials", &measured).peer("4,190/s");
        rows.push(if bound == Bound::No { own.budget(Budget::AtLeast(15_000.0)) } else { own });

        let asking = with_connection(server.address, async |connection| {
            let mut asking = Vec::new();
            for person in &people {
                asking.push(AskingWho::new(connection, &application, person, bound).await?);
            }
            Ok(asking)
        })?;
        let tokens: Vec<String> = asking.iter().map(|one| one.token().to_owned()).collect();
        let measured = server.measure(as_answered(asking), bench.timing())?;
        let who = row("userinfo", &measured).peer("5,580/s");
        rows.push(if bound == Bound::No { who.budget(Budget::AtLeast(30_000.0)) } else { who });
        // An API asks about a token that is bound to a key as about any other: it looks at the proof by itself.
        let clients = tokens.iter().map(|token| Introspecting::new(&application, token));
        let measured = server.measure(as_answered(clients), bench.timing())?;
        let told = row("introspection", &measured).note(format!("{CONNECTIONS} connections")).peer("5,135/s");
        rows.push(if bound == Bound::No { told.budget(Budget::AtLeast(30_000.0)) } else { told });

        let clients = people.iter().map(|person| RoundTrip::new(&application, person, bound));
        let measured = server.measure(as_answered(clients), bench.timing())?;
        // Two requests are one round trip.
        let trips = measured.0.per_second() / 2.0;
        progress(&format!("code round trips{with}, {store}"));
        let trips = Row::new(format!("authorization code, whole round trip{with}"), store, trips, "/s");
        let is_counted = bound == Bound::No && store == SQLITE;
        let trips = trips.note(format!("two requests each; {note}"));
        rows.push(if is_counted { trips.budget(Budget::AtLeast(2_500.0)) } else { trips });
    }
    Ok(rows)
}

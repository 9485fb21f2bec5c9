//! Codes on phones: asked for, and sent back.

use std::time::Duration;

use super::{Bench, CONNECTIONS, POSTGRES, as_answered};
use crate::load::{Load, Timing};
use crate::phones::{EnteringPhones, Pile, Text, WorkingOff, asking_for_codes, sending_back, texts};
use crate::report::{Budget, Row};
use crate::server::Hash;
use crate::{Result, progress};

/// The server has answered before, and there are only so many codes.
const WARM_UP: Duration = Duration::from_millis(500);
/// As long as it takes.
const UNTIL_DONE: Timing = Timing { warm_up: Duration::ZERO, counted: Duration::from_secs(600) };

pub(super) fn measure(bench: &Bench, store: &'static str) -> Result<Vec<Row>> {
    let setup = bench.setup("phones", store, Hash::Negligible)?;
    let while_they_last = Timing { warm_up: WARM_UP, ..bench.timing() };
    let server = setup.start()?;
    let mut rows = Vec::new();
    let [request, verification] =
        if store == POSTGRES { [2_000.0, 1_500.0] } else { [3_000.0, 2_000.0] }.map(Budget::AtLeast);

    let work = "code requests, Riven";
    progress(&format!("{work}, {store}"));
    let clients = (0..CONNECTIONS).map(EnteringPhones::new);
    let asked = server.measure(as_answered(clients), bench.timing())?;
    rows.push(
        Row::throughput(work, store, &asked)
            .budget(request)
            .note(format!("{CONNECTIONS} connections, each phone once; limits counted, nothing sent")),
    );

    progress(&format!("{} codes are on their way", asked.0.answers));
    let codes = texts(&setup, 0)?;
    let work = "code verifications, Riven, an account made of each";
    progress(&format!("{work}, {store}"));
    let claims = sending_back("/api/v1/auth/confirm-code", &codes);
    let (made, cpu) = server.measure(working_off(&claims), while_they_last)?;
    let note = format!("{CONNECTIONS} connections; {} of {} codes", made.answers, codes.len());
    let answered = usize::try_from(made.answers)?;
    rows.push(Row::throughput(work, store, &(made, cpu)).budget(verification).note(note));

    // Codes are taken from the end of the pile.
    let people = codes.iter().rev().take(answered).map(|text| text.phone.as_str());
    progress("codes to log in with");
    server.measure(working_off(&asking_for_codes("/api/v1/login/send-code", people)), UNTIL_DONE)?;
    let codes = texts(&setup, last(&codes))?;
    let work = "code verifications, Riven, logging in";
    progress(&format!("{work}, {store}"));
    let claims = sending_back("/api/v1/login/verify-code", &codes);
    let (made, cpu) = server.measure(working_off(&claims), while_they_last)?;
    let note = format!("{CONNECTIONS} connections; {} of {} codes", made.answers, codes.len());
    rows.push(Row::throughput(work, store, &(made, cpu)).budget(verification).note(note));

    let (after, most) = server.memory()?;
    rows.push(
        Row::new("memory, after codes", store, after, "MB")
            .budget(Budget::AtMost(50.0))
            .note(format!("at most {most:.0} MB")),
    );
    Ok(rows)
}

fn working_off(pile: &Pile) -> Load {
    as_answered((0..CONNECTIONS).map(|_| WorkingOff::new(pile)))
}

fn last(texts: &[Text]) -> i64 {
    texts.iter().map(|text| text.number).max().unwrap_or_default()
}

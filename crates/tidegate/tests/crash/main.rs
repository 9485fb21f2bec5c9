//! The program is killed at moments nobody chose, and nothing that it acknowledged is lost.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a broken expectation ends the test"
)]

mod installation;
mod people;
mod wholeness;

use std::time::Duration;

use tidegate_domain::Entropy;
use tidegate_testkit::{SeededEntropy, on_both_engines};

use crate::installation::Installation;
use crate::people::People;

/// Kills. Few enough for seconds, many enough to hit commits, answers and mails under way.
const ROUNDS: u32 = 5;

/// A moment within `most` milliseconds, the same on every run: what is repeated is the choice, not what it hits.
fn moment(chance: &SeededEntropy, most: u32) -> Duration {
    let chance: &dyn Entropy = chance;
    Duration::from_millis(u64::from(chance.below(most)))
}

on_both_engines! {
    async fn killed_under_load_it_loses_nothing_it_acknowledged(here: Installation) {
        let chance = SeededEntropy::default();
        let mut server = here.serve();
        let mut people = People::come(&server).await;
        for _ in 0..ROUNDS {
            let load = people.busy(&server);
            // Nothing is waited for here: that the moment has nothing to do with what the server is doing is the point.
            tokio::time::sleep(Duration::from_millis(50) + moment(&chance, 500)).await;
            server.kill();
            people = load.until_nobody_answers().await;

            server = here.serve();
            here.is_whole().await;
            people.find_everything(&here, &server).await;
        }
        server.stop();
        here.is_whole().await;
    }

    async fn killed_while_it_starts_it_starts_the_next_time(here: Installation) {
        let chance = SeededEntropy::default();
        for _ in 0..20 {
            // It makes directory, database and keys meanwhile, or finds what the one before left of them.
            let starting = here.start();
            std::thread::sleep(moment(&chance, 120));
            starting.kill();
        }
        let server = here.serve();
        here.is_whole().await;
        People::come(&server).await.find_everything(&here, &server).await;
    }

    // Whoever was let in is answered. What is done and not answered would be done twice by a client that tries again.
    async fn told_to_stop_under_load_it_answers_everything_it_does(here: Installation) {
        let chance = SeededEntropy::default();
        for _ in 0..ROUNDS {
            let server = here.serve();
            let people = People::come(&server).await;
            let load = people.busy(&server);
            tokio::time::sleep(Duration::from_millis(50) + moment(&chance, 300)).await;
            server.stop();
            let people = load.until_nobody_answers().await;
            here.is_whole().await;
            people.did_only_what_was_answered(&here).await;
        }
    }
}

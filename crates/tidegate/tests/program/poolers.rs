//! Poolers in modes that cannot be used: the start ends, and says what to set.

#[path = "../../../testkit/tests/conformance/poolers/transactions.rs"]
mod transactions;

use std::process::{Child, Stdio};

use tidegate_database::DatabaseUrl;
use tidegate_testkit::{Engine, Fixture, TestDatabase, eventually};

use crate::support::{Installation, Said};

/// The address of the database through a pooler that listens at the port that `start` answers.
fn through(database: &TestDatabase, start: impl FnOnce(String) -> u16) -> String {
    let DatabaseUrl::Postgres(url) = database.url() else { panic!("not PostgreSQL") };
    let (before, after) = url.split_once('@').unwrap();
    let (server, name) = after.split_once('/').unwrap();
    format!("{before}@127.0.0.1:{}/{name}", start(server.to_owned()))
}

/// A process that is to end by itself; else it ends with the test.
struct Ending(Option<Child>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(mut process) = self.0.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

#[tokio::test]
async fn a_pooler_in_a_mode_that_cannot_be_used_ends_the_start_and_is_told() {
    type Start = fn(String) -> u16;
    let poolers: [(Start, &str); 2] = [
        (transactions::pooler_without_statements, "max_prepared_statements"),
        (transactions::pooler_of_statements, "Poolers"),
    ];
    for (start, advice) in poolers {
        let here = Installation::prepare(Engine::Postgres).await;
        let url = through(here.database(), start);
        let mut command = here.command(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", &url]);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut process = Ending(Some(process));
        eventually("it ends", || {
            std::future::ready(process.0.as_mut().and_then(|process| process.try_wait().unwrap()))
        })
        .await;
        let said = Said::from(process.0.take().unwrap().wait_with_output().unwrap());
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{advice}: {said:?}");
        assert!(said.err.contains(advice), "{advice}: {}", said.err);
    }
}

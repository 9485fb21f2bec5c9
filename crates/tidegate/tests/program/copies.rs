//! A copy that is cut off: what it leaves looks like a new installation, and is told from one.

use std::fs;
use std::process::Stdio;

use tidegate_testkit::{Engine, TestDatabase, eventually, on_both_engines};

use crate::storage::name;
use crate::support::Installation;

/// As a copy makes it.
const MARK: &str = "create table _tidegate_copying (begun bigint)";

/// What every command says of a database in which a copy was cut off.
fn is_told(here: &Installation, database: &str) {
    for arguments in
        [&["serve", "--listen", "127.0.0.1:0"][..], &["user", "list"], &["migrate"], &["migrate", "--new"]]
    {
        let said = here.run(&[arguments, &["--database", database, "--json"]].concat());
        assert_eq!(said.code, 1, "{arguments:?}: {said:?}");
        let error = said.json()["error"].clone();
        assert_eq!(error["code"], "database_lost", "{arguments:?}: {error}");
        let message = error["message"].as_str().unwrap();
        for part in
            ["a copy into the database ", "did not finish", "tidegate copy --from SOURCE", "serve --new"]
        {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
    let doctor = here.run(&["doctor", "--database", database]);
    assert!(
        doctor.code == 1 && doctor.out.contains("✗ database") && doctor.out.contains("did not finish"),
        "{}",
        doctor.out
    );
}

on_both_engines! {
    async fn a_copy_that_is_cut_off_is_told_until_it_is_made_again(engine: Engine) {
        let other = match engine {
            Engine::Sqlite => Engine::Postgres,
            Engine::Postgres => Engine::Sqlite,
        };
        let here = Installation::with_database(other).await;
        here.begin();
        let target = TestDatabase::empty(engine).await;
        let (from, to) = (name(here.database()), name(&target));
        here.output(&["migrate", "--new", "--database", &to]);
        // It waits for what the test has locked: of the source, before it has read a row, or of the target.
        let (held, mark) = match engine {
            Engine::Sqlite => (
                here.database().hold("lock table accounts in access exclusive mode").await,
                "select count(*) from sqlite_master where name = '_tidegate_copying'",
            ),
            Engine::Postgres => (
                target.hold("lock table accounts in access share mode").await,
                "select count(*) from pg_tables where tablename = '_tidegate_copying'",
            ),
        };
        let copy = ["copy", "--from", &from, "--to", &to];
        let mut command = here.command(&copy);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("the copy has begun", async || (target.sql_count(mark).await == 1).then_some(())).await;
        process.kill().unwrap();
        process.wait().unwrap();
        held.unwrap().release().await;
        is_told(&here, &to);

        // It begins anew, and is an installation then.
        let copied = here.json(&copy);
        assert!(copied["rows"].as_u64().unwrap() > 0, "{copied}");
        assert_eq!(target.sql_count(mark).await, 0);
        assert_eq!(here.json(&["user", "list", "--database", &to]).as_array().unwrap().len(), 1);
        here.serve(&["--database", &to]).stop();
    }

    async fn an_installation_can_begin_where_a_copy_was_cut_off(engine: Engine) {
        let here = Installation::with_database(engine).await;
        if engine == Engine::Sqlite {
            fs::write(here.database().sqlite_file(), "").unwrap();
        }
        // Before it had made a table of Tidegate.
        here.database().sql(MARK).await;
        is_told(&here, &name(here.database()));
        here.serve(&["--new"]).stop();
        here.serve(&[]).stop();
    }

    async fn rows_are_of_no_copy_that_was_cut_off(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.begin();
        // By a server of an earlier version, which did not know the mark.
        here.database().sql(MARK).await;
        let source = Installation::new();
        source.begin();
        let said = source.run(&["copy", "--to", &name(here.database())]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("nothing was copied") && said.err.contains("rows already"), "{said:?}");
        assert_eq!(here.json(&["user", "list"]).as_array().unwrap().len(), 1);
        here.serve(&[]).stop();
    }
}

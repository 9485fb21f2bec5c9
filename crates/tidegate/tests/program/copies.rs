//! What a copy leaves. The target of one that is cut off looks like a new installation, and is told from one; the source of one that is
//! finished is not served by mistake.

use std::fs;
use std::process::Stdio;

use tidegate_testkit::{Engine, TestDatabase, eventually, on_both_engines, on_one_engine};

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

/// The engine that is copied to.
const fn other(engine: Engine) -> Engine {
    match engine {
        Engine::Sqlite => Engine::Postgres,
        Engine::Postgres => Engine::Sqlite,
    }
}

/// A start is refused because of a copy to that database.
fn is_copied(here: &Installation, target: &TestDatabase) {
    let to = target.url().to_string();
    let error = here.json(&["serve", "--listen", "127.0.0.1:0"])["error"].clone();
    assert_eq!(error["code"], "database_copied", "{error}");
    let message = error["message"].as_str().unwrap();
    for part in [
        format!("was copied to {to} at 2").as_str(),
        "what is written here since then is not there",
        "serve --database ",
        "serve --despite-copy`",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains("tidegate:"), "the address has a password: {message}");
    let doctor = here.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("✗ copy"), "{}", doctor.out);
    assert!(doctor.out.contains("serve --despite-copy"), "{}", doctor.out);
    for arguments in [&["user", "list"][..], &["migrate"]] {
        let said = here.run(arguments);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.err.starts_with("Warning: the database ") && said.err.contains(&to), "{said:?}");
    }
}

on_both_engines! {
    async fn a_copy_that_is_cut_off_is_told_until_it_is_made_again(engine: Engine) {
        let here = Installation::with_database(other(engine)).await;
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
        let told = "holds an installation already, with 1 account; serve that one: `";
        assert!(said.err.contains("nothing was copied: ") && said.err.contains(told), "{said:?}");
        assert_eq!(here.json(&["user", "list"]).as_array().unwrap().len(), 1);
        here.serve(&[]).stop();
    }

    async fn a_database_that_was_copied_is_not_served_by_mistake(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.begin();
        let target = TestDatabase::empty(other(engine)).await;
        let copied = here.json(&["copy", "--to", &name(&target)]);
        assert_eq!(copied["source_marked"], true, "{copied}");
        is_copied(&here, &target);
        // The copy itself has no mark, and the same copy again says that it is there.
        let said = here.run(&["copy", "--to", &name(&target)]);
        assert_eq!(said.code, 1, "{said:?}");
        for part in ["nothing was copied: ", "holds the copy of this database that was finished at 2", "already, with 1 account; "] {
            assert!(said.err.contains(part), "{part}: {said:?}");
        }
        here.serve(&["--database", &name(&target)]).stop();

        // To another database it is copied as before, and named for that one.
        let second = TestDatabase::empty(other(engine)).await;
        assert_eq!(here.json(&["copy", "--to", &name(&second)])["rows"], copied["rows"]);
        is_copied(&here, &second);

        let server = here.serve(&["--despite-copy"]);
        server.logs("was copied to another one, and goes on");
        server.stop();
        let server = here.serve(&[]);
        assert!(!server.log().contains("copied"), "{}", server.log());
        server.stop();
        assert_eq!(here.run(&["user", "list"]).err, "");
    }

    async fn a_target_with_rows_and_no_account_has_a_few_of_its_tables_named(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.serve(&[]).stop();
        let source = Installation::new();
        source.begin();
        let said = source.run(&["copy", "--to", &name(here.database())]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("nothing was copied: the target has rows already, in "), "{said:?}");
        assert!(said.err.matches(", ").count() < 6, "{said:?}");
    }
}

on_one_engine! { Engine::Postgres;
    async fn a_source_that_cannot_be_written_is_copied_and_has_no_mark(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.begin();
        here.database().only_reads(true).await;
        let said = here.run(&["copy", "--to", "sqlite:copy.db"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("Warning: the source could not be marked as copied ("), "{}", said.out);
        here.serve(&["--database", "sqlite:copy.db"]).stop();
        here.database().only_reads(false).await;
        here.serve(&[]).stop();
    }
}

on_one_engine! { Engine::Postgres;
    async fn a_target_with_tables_of_another_program_is_told_as_such(engine: Engine) {
        let theirs = Installation::with_database(engine).await;
        let database = theirs.database();
        database.sql("create table orders (id bigint, amount numeric)").await;
        let source = Installation::new();
        source.begin();
        let to = name(database);
        let error = source.run(&["copy", "--json", "--to", &to]).json()["error"].clone();
        assert_eq!(error["code"], "database_foreign", "{error}");
        let message = error["message"].as_str().unwrap();
        for part in
            ["nothing was copied: the database ", "are not Tidegate's: orders", "?options[search_path]=NAME"]
        {
            assert!(message.contains(part), "{part}: {message}");
        }
        let tables = "select count(*) from pg_tables where schemaname = 'public'";
        assert_eq!(database.sql_count(tables).await, 1, "nothing was made");
        database.sql("create table a (x xml); create table b (x xml); create table c (x xml)").await;
        let said = source.run(&["copy", "--to", &to]);
        assert!(said.err.contains("are not Tidegate's: a, b, c, 1 more"), "{said:?}");
        // Beside them there is room.
        database.sql("create schema auth").await;
        let own = format!("{to}&options[search_path]=auth");
        assert!(source.json(&["copy", "--to", &own])["rows"].as_u64().unwrap() > 0);
    }
}

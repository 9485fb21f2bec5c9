//! A new installation begins where there was none, and not where one is lost.

use std::fs;
use std::net::TcpListener;

use serde_json::Value;
use tidegate_database::DatabaseUrl;
use tidegate_testkit::{Engine, Fixture, TestDatabase, on_both_engines};

use crate::support::Installation;

/// A start that is refused; answers the error.
fn refused(here: &Installation, arguments: &[&str]) -> Value {
    let said = here.run(&[&["serve", "--listen", "127.0.0.1:0", "--json"], arguments].concat());
    assert_eq!(said.code, 1, "{said:?}");
    said.json()["error"].clone()
}

on_both_engines! {
    async fn a_new_installation_is_announced_once_with_its_place(here: Installation) {
        let server = here.serve(&[]);
        let place = match here.database_url() {
            DatabaseUrl::Sqlite(_) => here.path().join("tidegate-data").display().to_string(),
            url @ DatabaseUrl::Postgres(_) => format!("the database {url}"),
        };
        let line = format!("new installation in {place}");
        assert_eq!(server.log().matches(&line).count(), 1, "{line}: {}", server.log());
        server.stop();
        let server = here.serve(&[]);
        assert!(!server.log().contains("new installation"), "{}", server.log());
        server.stop();
    }
}

#[tokio::test]
async fn a_lost_database_is_not_replaced_by_an_empty_one() {
    let here = Installation::new();
    here.serve(&[]).stop();
    here.begin();
    here.output(&["backup", "tidegate.backup"]);
    let data = here.path().join("tidegate-data");
    let database = data.join("tidegate.db");
    fs::remove_file(&database).unwrap();
    for (empty, state) in [(false, "is missing"), (true, "is empty (0 bytes)")] {
        if empty {
            fs::write(&database, "").unwrap();
        }
        let error = refused(&here, &[]);
        assert_eq!(error["code"], "database_lost", "{error}");
        let message = error["message"].as_str().unwrap();
        for part in [state, "master.key", data.to_str().unwrap(), "tidegate restore FILE", "serve --new"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let doctor = here.run(&["doctor"]);
        assert!(
            doctor.code == 1 && doctor.out.contains("✗ database") && doctor.out.contains(state),
            "{}",
            doctor.out
        );
        let listed = here.run(&["user", "list"]);
        let said = if empty { "tidegate.db is empty (0 bytes), but " } else { "there is no installation" };
        assert!(listed.code == 1 && listed.err.contains(said), "{listed:?}");
        assert_eq!(
            fs::metadata(&database).map(|found| found.len()).ok(),
            empty.then_some(0),
            "nothing is made"
        );
    }
    // The way back, also over the empty file. A log that the lost database left would be replayed into the backup.
    drop(fs::remove_file(data.join("tidegate.db-wal")));
    here.output(&["restore", "tidegate.backup"]);
    here.serve(&[]).stop();
    assert_eq!(here.json(&["user", "list"]).as_array().unwrap().len(), 1);

    fs::remove_file(&database).unwrap();
    let server = here.serve(&["--new"]);
    server.logs("new installation in ");
    server.stop();
    assert_eq!(here.json(&["user", "list"]).as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn an_empty_postgresql_beside_an_earlier_key_is_not_begun_in() {
    let here = Installation::prepare(Engine::Postgres).await;
    here.serve(&[]).stop();
    let empty = TestDatabase::empty(Engine::Postgres).await;
    let DatabaseUrl::Postgres(address) = empty.url() else { panic!("not PostgreSQL") };
    let error = refused(&here, &["--database", &address]);
    assert_eq!(error["code"], "database_lost", "{error}");
    let message = error["message"].as_str().unwrap();
    for part in ["has no tables of Tidegate", "master.key", "address", "tidegate copy", "serve --new"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // The command that helps is whole: with the file that is there, and the user of the address.
    let data = here.path().join("tidegate-data");
    fs::write(data.join("tidegate.db"), b"SQLite format 3\0and the rest").unwrap();
    let error = refused(&here, &["--database", &address]);
    let whole = format!("copy --from sqlite:{}/tidegate.db --to '{}'`", data.display(), empty.url());
    assert!(whole.contains('@') && error["advice"].as_str().unwrap().contains(&whole), "{whole}: {error}");
    fs::remove_file(data.join("tidegate.db")).unwrap();
    let doctor = here.run(&["doctor", "--database", &address]);
    assert!(doctor.code == 1 && doctor.out.contains("has no tables of Tidegate"), "{}", doctor.out);
    here.serve(&["--new", "--database", &address]).stop();
    here.serve(&["--database", &address]).stop();
}

#[tokio::test]
async fn what_is_there_before_a_first_start_is_no_trace_of_an_earlier_one() {
    let here = Installation::new();
    let data = here.path().join("tidegate-data");
    fs::create_dir_all(data.join("lost+found")).unwrap();
    for name in ["tidegate.toml", "tidegate.db.lock", "README"] {
        fs::write(data.join(name), "# nothing\n").unwrap();
    }
    here.serve(&[]).stop();
}

#[tokio::test]
async fn another_database_in_the_directory_is_a_trace() {
    let here = Installation::new();
    here.serve(&[]).stop();
    let data = here.path().join("tidegate-data");
    fs::rename(data.join("tidegate.db"), data.join("tidegate.db.before")).unwrap();
    fs::remove_file(data.join("master.key")).unwrap();
    let error = refused(&here, &[]);
    assert!(error["message"].as_str().unwrap().contains("has tidegate.db.before of an earlier"), "{error}");
}

#[tokio::test]
async fn a_second_server_is_told_of_the_directory_rather_than_of_the_port() {
    let here = Installation::new();
    let server = here.serve(&[]);
    let address = server.base.trim_start_matches("http://");
    let said = here.run(&["serve", "--listen", address]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err.contains("is served already, by process ") && !said.err.contains("cannot listen"),
        "{}",
        said.err
    );
    server.stop();
}

#[test]
fn a_data_directory_that_is_none_is_told_before_the_port() {
    let here = Installation::new();
    here.write("file", "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (directory, said) in [
        ("file", "the data directory file is not a directory"),
        ("file/data", "the data directory file/data cannot be there: file is not a directory"),
        ("/dev/null", "the data directory /dev/null is not a directory"),
    ] {
        for arguments in
            [&["serve", "--listen", &address][..], &["user", "list"], &["migrate", "--new"], &["backup", "x"]]
        {
            let run = here.run(&[arguments, &["--data-dir", directory]].concat());
            assert_eq!(run.code, 1, "{run:?}");
            assert!(run.err.contains(said) && run.err.contains("--data-dir"), "{arguments:?}: {}", run.err);
            assert!(!run.err.contains("cannot listen") && !run.err.contains("sqlite:"), "{}", run.err);
        }
        let doctor = here.run(&["doctor", "--data-dir", directory]);
        assert!(
            doctor.code == 1
                && doctor.out.contains("✗ data directory")
                && doctor.out.contains("is not a directory"),
            "{}",
            doctor.out
        );
    }
}

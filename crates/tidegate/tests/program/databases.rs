//! A database that cannot be used: each reason is told with what to do about it, at once, and without a library's words.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;

use serde_json::Value;
use tidegate_database::DatabaseUrl;
use tidegate_testkit::{Engine, Fixture, eventually, on_both_engines};

use crate::storage::name;
use crate::support::{Installation, Said};

/// A migration that no version of now has.
const FROM_THE_FUTURE: &str = "
    insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
    select 9999, 'from the future', installed_on, success, checksum, 0 from _sqlx_migrations where version = 1";

/// What is said in every case, and never.
pub(crate) fn refused(said: &Said, code: &str, what: &str, advice: &str) {
    assert_eq!(said.code, 1, "{said:?}");
    let error = &said.json()["error"];
    let message = error["message"].as_str().unwrap();
    assert_eq!(error["code"], code, "{message}");
    assert!(message.contains(what), "{what}: {message}");
    assert!(error["advice"].as_str().unwrap_or(message).contains(advice), "{advice}: {error}");
    let chatter =
        ["at line", "os error", "pool timed out", "error returned from", "(code: ", "hunter2", "sqlx"];
    for never in chatter {
        assert!(!message.contains(never), "{never}: {message}");
    }
}

#[test]
fn a_file_that_cannot_be_used() {
    let here = Installation::new();
    here.begin();
    let database = here.path().join("tidegate-data/tidegate.db");
    let whole = fs::read(&database).unwrap();
    let mut head = whole.clone();
    head[..16].copy_from_slice(b"no more a header");
    let mut inside = whole.clone();
    inside[100..].fill(0xff);
    for (bytes, code, what, advice) in [
        (&head[..], "database_not_sqlite", "is no SQLite database", "restore your backup"),
        (&inside[..], "database", "malformed", "tidegate.db .recover | sqlite3 "),
        (&b"Dear Ada"[..], "database_not_sqlite", "is no SQLite database", "another path"),
    ] {
        fs::write(&database, bytes).unwrap();
        for arguments in [
            &["user", "list", "--json"][..],
            &["migrate", "--json"],
            &["serve", "--json", "--listen", "127.0.0.1:0"],
        ] {
            let said = here.run(arguments);
            let message = said.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(what), "{arguments:?}: {message}");
            let found = said.json()["error"]["code"].as_str().unwrap().to_owned();
            assert!(found.starts_with(code), "{found} {message}");
            refused(&said, &found, what, advice);
        }
        let said = here.run(&["doctor"]);
        assert!(
            said.code == 1 && said.out.contains("✗ database") && said.out.contains(advice),
            "{}",
            said.out
        );
    }
}

#[test]
fn an_address_that_cannot_be_used() {
    let here = Installation::new();
    fs::create_dir(here.path().join("folder")).unwrap();
    fs::write(here.path().join("file"), "").unwrap();
    for (database, code, what) in [
        ("sqlite:nowhere/x.db", "database_missing", "there is no installation of Tidegate in "),
        ("sqlite:folder", "database_not_sqlite", "is a directory"),
        ("sqlite:file", "database_missing", "there is no installation of Tidegate in "),
    ] {
        refused(&here.run(&["user", "list", "--json", "--database", database]), code, what, "");
    }
    // Nothing is sealed where there is no database: no key is missed.
    let said = here.run(&["backup", "copy", "--json"]);
    refused(&said, "database_missing", "there is no installation of Tidegate in ", "");
    here.begin();
    let said = here.run(&["user", "list", "--json", "--data-dir", "."]);
    refused(
        &said,
        "database_missing",
        "there is no installation of Tidegate in ",
        "tidegate-data: name that with",
    );
    // The doctor says what a start says.
    for (database, code, what, advice) in [
        ("sqlite:nowhere/x.db", "database_directory", "does not exist", "create it"),
        ("sqlite:file/x.db", "database_directory", "is no directory", "give a file in a directory"),
    ] {
        let at = ["--database", database];
        let said = here.run(&[&["serve", "--json", "--listen", "127.0.0.1:0"][..], &at].concat());
        refused(&said, code, what, advice);
        let said = here.run(&[&["doctor"][..], &at].concat());
        assert!(said.code == 1 && said.out.contains("✗ database "), "{}", said.out);
        assert!(said.out.contains(what) && said.out.contains(advice), "{}", said.out);
    }
    for (database, what) in [
        ("sqlite::memory:", "in memory is not supported: give a file"),
        ("sqlite://:memory:", "in memory is not supported: give a file"),
        ("sqlite:", "must be given as sqlite:PATH or postgres://"),
        ("tidegate.db", "must be given as sqlite:PATH or postgres://"),
        ("mysql://h/d", "must be given as sqlite:PATH or postgres://"),
    ] {
        let said = here.run(&["serve", "--database", database]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains(what) && said.err.contains("(in --database)"), "{}", said.err);
    }
}

#[test]
fn a_file_of_another_program_is_left_alone() {
    let here = Installation::new();
    let made = here.run_python("make_sqlite.py", &["notes.db"], "");
    assert_eq!(made.code, 0, "{made:?}");
    let before = fs::read(here.path().join("notes.db")).unwrap();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate", "--new"], &["user", "list"]] {
        let said = here.run(&[arguments, &["--database", "sqlite:notes.db", "--json"]].concat());
        refused(&said, "database_foreign", "it has a table notes", "another path");
    }
    let after = fs::read(here.path().join("notes.db")).unwrap();
    // The journal's mode is two bytes of the header, and counters follow.
    assert_eq!(before[100..], after[100..]);
}

#[tokio::test]
async fn a_schema_may_be_shared_with_a_program_whose_tables_have_other_names() {
    let here = Installation::with_database(Engine::Postgres).await;
    here.database().sql("create table accounts (x integer); create table theirs (x integer)").await;
    let to = name(here.database());
    let source = Installation::new();
    source.begin();
    let (what, advice) =
        ("not Tidegate's and are called as its own are: accounts", "?options[search_path]=NAME");
    refused(&source.run(&["copy", "--json", "--to", &to]), "database_foreign", what, advice);
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate", "--new"], &["user", "list"]] {
        refused(&here.run(&[arguments, &["--json"]].concat()), "database_foreign", what, advice);
    }
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(here.database().sql_count(tables).await, 2);

    here.database().sql("create schema auth").await;
    let own = format!("{to}&options[search_path]=auth");
    assert!(source.json(&["copy", "--to", &own])["rows"].as_u64().unwrap() > 0);
    here.database().sql("drop table accounts").await;
    here.begin();
}

#[tokio::test]
async fn a_server_that_refuses() {
    let here = Installation::with_database(Engine::Postgres).await;
    let DatabaseUrl::Postgres(whole) = here.database_url() else { panic!("not PostgreSQL") };
    let (login, rest) = whole.trim_start_matches("postgres://").split_once('@').unwrap();
    let (user, host) = (login.split(':').next().unwrap(), rest.split('/').next().unwrap());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = http.local_addr().unwrap();
    thread::spawn(move || http.incoming().for_each(drop));
    let tls = format!("{whole}{}sslmode=require", if whole.contains('?') { "&" } else { "?" });
    let missing = whole.replacen(&format!("{host}/"), &format!("{host}/no_such_"), 1);
    for (address, code, what, advice) in [
        (
            format!("postgres://{user}:hunter2@{host}/postgres"),
            "database_login",
            "refuses the password of",
            "%40",
        ),
        (
            format!("postgres://{user}@{host}/postgres"),
            "database_login",
            "asks for a password of",
            "PGPASSWORD",
        ),
        (format!("postgres://nobody_here:hunter2@{host}/postgres"), "database_login", "nobody_here", "role"),
        (missing, "database_missing", "has no database no_such_", "createdb --owner"),
        (tls, "database_tls", "offers no TLS, and sslmode asks for it", "postgresql.conf"),
        (
            format!("postgres://u:hunter2@{free}/d"),
            "database_unavailable",
            "refuses connections",
            "start the server",
        ),
        (format!("postgres://u:hunter2@{other}/d"), "database_unavailable", "closes the connection", "check"),
        (
            "postgres:///d?host=/nowhere&user=u".to_owned(),
            "database_unavailable",
            "is not there",
            "unix_socket_directories",
        ),
        (
            format!("postgres://u:hunter2@{host}/d?sslmode=verify-full&sslrootcert=/nowhere.pem"),
            "database_tls",
            "",
            "",
        ),
    ] {
        for command in [&["user", "list"][..], &["migrate"]] {
            let said = here.run(&[command, &["--json", "--database", &address]].concat());
            refused(&said, code, what, advice);
            assert_eq!(said.err, "", "once, and as the answer");
        }
        let report: Value = here.run(&["doctor", "--json", "--database", &address]).json();
        let found = report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|found| found["name"] == "database")
            .unwrap()
            .clone();
        assert_eq!(found["status"], "error", "{found}");
        assert!(found["advice"].as_str().unwrap().contains(advice), "{found}");
    }
}

#[tokio::test]
async fn a_wrong_password_of_the_environment_is_told_as_such() {
    let here = Installation::with_database(Engine::Postgres).await;
    let DatabaseUrl::Postgres(whole) = here.database_url() else { panic!("not PostgreSQL") };
    let (login, rest) = whole.trim_start_matches("postgres://").split_once('@').unwrap();
    let address = format!("postgres://{}@{rest}", login.split(':').next().unwrap());
    let arguments = ["user", "list", "--json", "--database", &address];
    let said = Said::of(here.command(&arguments).env("PGPASSWORD", "hunter2"));
    refused(&said, "database_login", "that is in PGPASSWORD", "correct it in PGPASSWORD");
}

/// The address of the test's database for another role, whose password is `x`.
pub(crate) fn as_role(whole: &str, role: &str) -> String {
    let (_, rest) = whole.split_once('@').unwrap();
    format!("postgres://{role}:x@{rest}")
}

#[tokio::test]
async fn tables_of_another_role_are_told_with_what_gives_them() {
    let here = Installation::with_database(Engine::Postgres).await;
    let DatabaseUrl::Postgres(whole) = here.database_url() else { panic!("not PostgreSQL") };
    let name = here.database().sql_texts("select current_database()::text").await.remove(0);
    let (owner, other) = (format!("{name}_owner"), format!("{name}_other"));
    let roles = format!(
        "create role {owner} login password 'x'; create role {other} login password 'x'; grant create on schema public to {owner}"
    );
    here.database().sql(&roles).await;
    let (owned, others) = (as_role(&whole, &owner), as_role(&whole, &other));
    here.output(&["migrate", "--new", "--database", &owned]);
    let (what, advice) = (
        format!("belong to {owner}, and {other} may not"),
        format!("`reassign owned by {owner} to {other}`"),
    );
    for arguments in [&["user", "list"][..], &["migrate"], &["serve", "--listen", "127.0.0.1:0"]] {
        let said = here.run(&[arguments, &["--json", "--database", &others]].concat());
        refused(&said, "database_permission", &what, &advice);
    }
    let said = here.run(&["doctor", "--database", &others]);
    assert!(said.code == 1 && said.out.contains("✗ database") && said.out.contains(&advice), "{}", said.out);
    // Either way that it names works.
    here.serve(&["--database", &owned]).stop();
    here.database().sql(&format!("reassign owned by {owner} to {other}")).await;
    here.serve(&["--database", &others]).stop();
}

#[tokio::test]
async fn tables_of_a_superuser_are_not_handed_over_with_all_that_it_owns() {
    let here = Installation::with_database(Engine::Postgres).await;
    let DatabaseUrl::Postgres(whole) = here.database_url() else { panic!("not PostgreSQL") };
    let name = here.database().sql_texts("select current_database()::text").await.remove(0);
    here.begin();
    here.database().sql(&format!("create role {name}_other login password 'x'")).await;
    let others = as_role(&whole, &format!("{name}_other"));
    let said = here.run(&["user", "list", "--json", "--database", &others]);
    let advice = format!("alter table NAME owner to {name}_other");
    refused(&said, "database_permission", "the tables of Tidegate belong to ", &advice);
    assert!(!said.out.contains("reassign"), "{said:?}");
}

#[tokio::test]
async fn a_database_that_is_refused_leaves_no_directory_behind() {
    let here = Installation::with_database(Engine::Postgres).await;
    let DatabaseUrl::Postgres(whole) = here.database_url() else { panic!("not PostgreSQL") };
    let (login, rest) = whole.trim_start_matches("postgres://").split_once('@').unwrap();
    let (user, host) = (login.split(':').next().unwrap(), rest.split('/').next().unwrap());
    let wrong = format!("postgres://{user}:hunter2@{host}/postgres");
    let data = here.path().join("tidegate-data");
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let create = ["org", "create", "--new", "--name", "Acme", "--root-email", "root@acme.example"];
    for (database, code) in
        [(wrong.as_str(), "database_login"), ("sqlite:nowhere/x.db", "database_directory")]
    {
        for arguments in [&serve[..], &create, &["migrate", "--new"]] {
            let said = here.run(&[arguments, &["--json", "--database", database]].concat());
            refused(&said, code, "", "");
            assert!(!data.exists(), "{arguments:?} {database}");
        }
    }
    // Of a newer version: it is refused after it was looked into.
    here.begin();
    fs::remove_dir_all(&data).unwrap();
    here.database().sql(FROM_THE_FUTURE).await;
    refused(&here.run(&[&serve[..], &["--json"]].concat()), "database_schema", "9999", "start that version");
    assert!(!data.exists());
}

#[tokio::test]
async fn a_server_that_starts_later_is_waited_for_and_that_is_told_at_once() {
    let here = Installation::with_database(Engine::Postgres).await;
    let DatabaseUrl::Postgres(url) = here.database_url() else { panic!("not PostgreSQL") };
    let (before, after) = url.split_once('@').unwrap();
    let (upstream, name) = after.split_once('/').unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = format!("{before}@{free}/{name}");
    let mut command = here.command(&["serve", "--listen", "127.0.0.1:0", "--database", &address]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let told = log.next().unwrap().unwrap();
    assert!(
        told.contains(&format!("PostgreSQL at {free} refuses connections: trying again for 15 s")),
        "{told}"
    );

    let listener = TcpListener::bind(free).unwrap();
    let upstream = upstream.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(&upstream).unwrap();
            let pairs = [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))];
            for (from, to) in pairs {
                let (mut from, mut to) = (from.unwrap(), to.unwrap());
                thread::spawn(move || {
                    drop(std::io::copy(&mut from, &mut to));
                    drop(to.shutdown(std::net::Shutdown::Both));
                });
            }
        }
    });
    let mut ready = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.starts_with("listening on "), "{ready}");
    process.kill().unwrap();
    process.wait().unwrap();
}

on_both_engines! {
    async fn tables_without_the_list_of_their_migrations_are_not_called_another_programs(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.begin();
        here.database().sql("drop table _sqlx_migrations").await;
        for arguments in [&["user", "list"][..], &["migrate", "--new"], &["serve", "--listen", "127.0.0.1:0"]] {
            let said = here.run(&[arguments, &["--json"]].concat());
            let what = "has the tables of Tidegate, and not the list of the migrations";
            refused(&said, "database_foreign", what, "restore your backup");
        }
    }

    async fn a_table_that_was_dropped_is_missed_by_the_doctor_and_at_the_start(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.begin();
        assert_eq!(here.run(&["doctor"]).code, 0);
        here.database().sql("drop table policy_rules").await;
        let told = "the schema is up to date, but tables of it are missing: policy_rules";
        let said = here.run(&["doctor"]);
        assert!(said.code == 1 && said.out.contains("✗ database") && said.out.contains(told), "{}", said.out);
        assert!(said.out.contains("restore your backup"), "{}", said.out);
        // What needs it would fail, request by request, where everything else says that the server is ready.
        let said = here.run(&["serve", "--json", "--listen", "127.0.0.1:0"]);
        refused(&said, "database_lost", told, "restore your backup");
    }

    async fn a_schema_of_a_newer_version(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.begin();
        here.database().sql(FROM_THE_FUTURE).await;
        for arguments in [&["user", "list"][..], &["migrate"], &["migrate", "--check"], &["serve", "--listen", "127.0.0.1:0"]] {
            let said = here.run(&[arguments, &["--json"]].concat());
            refused(&said, "database_schema", "9999 was applied by a newer version", "start that version");
        }
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_told_at_the_start() {
    let here = Installation::with_database(Engine::Postgres).await;
    let server = here.serve(&[]);
    assert_eq!(server.get("/readyz").await.0, 200);
    assert!(!server.log().contains("not ready"), "{}", server.log());
    server.stop();
    here.database().only_reads(true).await;
    let server = here.serve(&[]);
    let told = |log: String| log.contains("not ready") && log.contains("the database cannot be written");
    eventually("it is in the log", async || told(server.log()).then_some(())).await;
    assert_eq!(server.get("/readyz").await.0, 503);
    drop(server);
    let said = here.run(&["doctor"]);
    assert!(said.code == 1 && said.out.contains("✗ database"), "{}", said.out);
    for part in [
        "default_transaction_read_only is on",
        "`set default_transaction_read_only = off;`, then `alter database ",
        " reset default_transaction_read_only`",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(said.out.contains("opens 1 signing key(s)"), "what can be read is looked at: {}", said.out);
    here.database().only_reads(false).await;
    assert_eq!(here.run(&["doctor"]).code, 0);
}

#[tokio::test]
async fn a_role_that_may_have_fewer_connections_than_are_configured_is_told_and_served() {
    let here = Installation::with_database(Engine::Postgres).await;
    let DatabaseUrl::Postgres(whole) = here.database_url() else { panic!("not PostgreSQL") };
    let name = here.database().sql_texts("select current_database()::text").await.remove(0);
    let owner = format!("{name}_few");
    let role = format!(
        "create role {owner} login password 'x' connection limit 8; grant create on schema public to {owner}"
    );
    here.database().sql(&role).await;
    let own = as_role(&whole, &owner);
    here.output(&["migrate", "--new", "--database", &own]);
    let told = format!(
        "database_connections is 16 for each node, and all of them together can have 8: the role {owner} has"
    );
    let raise = format!("alter role {owner} connection limit N`");
    let said = here.run(&["doctor", "--database", &own]);
    assert!(
        said.out.contains(&format!("! connections        {told}")) && said.out.contains(&raise),
        "{}",
        said.out
    );
    // As many as there can be leave none for commands.
    here.write("tidegate.toml", "database_connections = 8\n");
    let said = here.run(&["doctor", "--database", &own]);
    for part in ["database_connections is 8 for each node", "or lower database_connections to 4 or less"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    here.write("tidegate.toml", "database_connections = 16\n");

    let server = here.serve(&["--database", &own]);
    eventually("it is in the log", async || server.log().contains(&told).then_some(())).await;
    // More at once than there can be connections: each waits for one, and not for the server to have room.
    let ready = format!("{}/readyz", server.base);
    let asked: Vec<_> = (0..40).map(|_| tokio::spawn(server.http.get(&ready).send())).collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap().unwrap().status().as_u16(), 200, "{}", server.log());
    }
    drop(server);
    // One is made, and no second.
    here.database().sql(&format!("alter role {owner} connection limit 1")).await;
    let said = here.run(&["doctor", "--database", &own]);
    let full = format!("allows the role {owner} no more connections");
    assert!(said.code == 1 && said.out.contains(&full) && said.out.contains(&raise), "{}", said.out);
    assert!(said.out.contains("8 are the fewest: a node has 4"), "{}", said.out);
    here.database().sql(&format!("alter role {owner} connection limit 0")).await;
    let said = here.run(&["user", "list", "--json", "--database", &own]);
    refused(&said, "database_unavailable", &format!("allows the role {owner} no more connections"), &raise);
}

#[tokio::test]
async fn a_schema_that_the_user_may_not_change() {
    let here = Installation::prepare(Engine::Postgres).await;
    let DatabaseUrl::Postgres(url) = here.database_url() else { panic!("not PostgreSQL") };
    let separator = if url.contains('?') { "&" } else { "?" };
    let read_only = format!("{url}{separator}options[default_transaction_read_only]=on");
    let said = here.run(&["migrate", "--new", "--json", "--database", &read_only]);
    refused(&said, "database_unavailable", "read-only", "the primary server");
}

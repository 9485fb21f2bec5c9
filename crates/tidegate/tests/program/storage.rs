//! `tidegate backup`, `restore` and `copy`

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tidegate_database::DatabaseUrl;
use tidegate_testkit::{Engine, TestDatabase, on_one_engine};

use crate::support::{Installation, PASSWORD, Said, Server};

/// The issuer stays the same wherever it is served.
const PUBLIC_URL: (&str, &str) = ("TIDEGATE_PUBLIC_URL", "https://id.example.com");

fn serve(here: &Installation, arguments: &[&str]) -> Server {
    here.serve_with(&[&["--dev"], arguments].concat(), |command| {
        command.env(PUBLIC_URL.0, PUBLIC_URL.1);
    })
}

/// Signs up and verifies the address; answers the tokens.
async fn signed_up(here: &Installation, server: &Server, address: &str) -> Value {
    let (status, signed_up) = server.sign_up(address).await;
    assert_eq!(status, 201, "{signed_up}");
    let code = here.output(&["outbox", "code", "--to", address]);
    let body = json!({"temporary_token": signed_up["data"]["temporary_token"], "otp_code": code});
    let (status, verified) = server.post("/api/v1/auth/verify-otp", body).await;
    assert_eq!(status, 200, "{verified}");
    verified["data"].clone()
}

/// Status of a request with an access token.
async fn me(server: &Server, tokens: &Value) -> u16 {
    let request = server.http.get(format!("{}/api/v1/auth/me", server.base));
    request.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap().status().as_u16()
}

/// Everything of an account goes on elsewhere: the session, its refresh token, the password.
async fn goes_on(server: &Server, tokens: &Value, address: &str) {
    assert_eq!(me(server, tokens).await, 200);
    let body = json!({"refresh_token": tokens["refresh_token"]});
    let (status, refreshed) = server.post("/api/v1/auth/refresh", body).await;
    assert_eq!(status, 200, "{refreshed}");
    assert_eq!(me(server, &refreshed["data"]).await, 200);
    assert_eq!(server.sign_in(address, PASSWORD).await.0, 200);
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_an_installation_with_its_sessions() {
    let here = Installation::new();
    let server = serve(&here, &[]);
    let tokens = signed_up(&here, &server, "ada@example.com").await;
    let written = here.json(&["backup", "tidegate.backup"]);
    assert_eq!(written["key_file"], "tidegate.backup.key");
    for file in ["tidegate.backup", "tidegate.backup.key"] {
        let mode = fs::metadata(here.path().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    // After the backup: not in it.
    signed_up(&here, &server, "late@example.com").await;
    let again = here.run(&["backup", "tidegate.backup"]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("exists already"), "{again:?}");
    server.stop();

    here.output(&["restore", "tidegate.backup", "--data-dir", "elsewhere"]);
    let left = fs::read_dir(here.path().join("elsewhere")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut left: Vec<_> = left.map(|name| name.into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["master.key", "tidegate.db"]);
    let server = serve(&here, &["--data-dir", "elsewhere"]);
    goes_on(&server, &tokens, "ada@example.com").await;
    assert_eq!(server.sign_in("late@example.com", PASSWORD).await.0, 401);
    server.stop();
    let twice = here.run(&["restore", "tidegate.backup", "--data-dir", "elsewhere"]);
    assert_eq!(twice.code, 1);
    assert!(twice.err.contains("there is a database"), "{twice:?}");
}

#[tokio::test]
async fn a_backup_with_another_master_key_is_refused_as_a_start_is() {
    let here = Installation::new();
    serve(&here, &[]).stop();
    let file = here.path().join("tidegate-data/master.key");
    let right = fs::read_to_string(&file).unwrap();
    let other = format!("tgmk1_{}", "A".repeat(43));
    fs::write(&file, &other).unwrap();
    let refused = |said: Said| {
        assert_eq!(said.code, 1, "{said:?}");
        for part in [
            "no backup was made: the master key ",
            " is not the one of this database, which was sealed with the master key ",
            " backup --without-key` makes one without a key",
        ] {
            assert!(said.err.contains(part), "{part}: {said:?}");
        }
        for left in ["b", "b.part", "b.key", "b.files"] {
            assert!(!here.path().join(left).exists(), "{left}");
        }
        said.err
    };
    let told = refused(here.run(&["backup", "b"]));
    assert!(told.contains("it is in BACKUP.key beside a backup that was made while it was there"), "{told}");
    fs::write(&file, &right).unwrap();
    let told = refused(Said::of(here.command(&["backup", "b"]).env("TIDEGATE_MASTER_KEY", &other)));
    assert!(told.contains("remove it there: the key that is needed is in "), "{told}");
    // What needs no key goes on; what has the right one, too.
    fs::write(&file, &other).unwrap();
    here.output(&["backup", "--without-key", "keyless"]);
    assert!(!here.path().join("keyless.key").exists());
    fs::write(&file, &right).unwrap();
    here.output(&["backup", "b"]);
    // What a restore says is about the backup, and not about the database in whose place it would be put.
    let address = format!("sqlite:{}", here.path().join("third.db").display());
    let mut command = here.command(&["restore", "b", "--data-dir", "third"]);
    let said = Said::of(command.env("TIDEGATE_MASTER_KEY", &other).env("TIDEGATE_DATABASE", &address));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err.contains(" is not the one of this database") && !said.err.contains("see first"),
        "{said:?}"
    );
    here.output(&["restore", "b", "--data-dir", "elsewhere"]);
}

#[tokio::test]
async fn a_backup_that_cannot_be_used_is_refused_and_leaves_nothing() {
    let here = Installation::new();
    let server = serve(&here, &[]);
    signed_up(&here, &server, "ada@example.com").await;
    here.output(&["backup", "--without-key", "good"]);
    server.stop();
    let refused = |file: &str| {
        let said = here.run(&["restore", file, "--data-dir", "elsewhere"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(!here.path().join("elsewhere/tidegate.db").exists());
        let left = fs::read_dir(here.path().join("elsewhere")).map_or(0, |left| left.count());
        assert_eq!(left, 0, "{said:?}");
        said.err
    };
    assert!(refused("nowhere").contains("there is no backup"));
    assert!(refused("good").contains("there is no master key"));

    // Another installation's key.
    let other = here.serve(&["--data-dir", "other"]);
    other.stop();
    fs::copy(here.path().join("other/master.key"), here.path().join("good.key")).unwrap();
    assert!(
        refused("good")
            .contains("good.key) is not the one that good was sealed with, and nothing was changed")
    );

    // A damaged file, one of something else, and one of nothing.
    fs::copy(here.path().join("tidegate-data/master.key"), here.path().join("bad.key")).unwrap();
    let mut bytes = fs::read(here.path().join("good")).unwrap();
    let length = bytes.len();
    bytes[length / 3..length / 3 + 20_000].fill(0x5a);
    fs::write(here.path().join("bad"), &bytes).unwrap();
    let damaged = |said: String| {
        assert!(said.contains("the backup bad is damaged, and nothing was changed: "), "{said}");
        assert!(said.contains("take another one") && !said.contains("restore"), "no circle: {said}");
    };
    damaged(refused("bad"));
    // Cut off on its way.
    for part in [length / 2, 5_000] {
        fs::write(here.path().join("bad"), &fs::read(here.path().join("good")).unwrap()[..part]).unwrap();
        damaged(refused("bad"));
    }
    fs::write(here.path().join("bad"), "something else, which is no database at all").unwrap();
    refused("bad");
    fs::write(here.path().join("bad"), "").unwrap();
    refused("bad");
}

#[test]
fn what_is_no_backup_is_told_as_that_before_its_key_is_missed() {
    let here = Installation::new();
    here.write("tour.sh", "#!/bin/sh\necho 'a script of some length'\n");
    here.write("empty", "");
    fs::create_dir(here.path().join("folder")).unwrap();
    let made = here.run_python("make_sqlite.py", &["notes.db"], "");
    assert_eq!(made.code, 0, "{made:?}");
    for (file, what) in [
        ("tour.sh", "tour.sh is no backup: it is no SQLite database"),
        ("empty", "empty is no backup: it is empty"),
        ("folder", "folder is a directory, and no backup"),
        ("nowhere", "there is no backup at nowhere"),
        ("notes.db", "is of another program: it has a table notes"),
    ] {
        let said = here.run(&["restore", file, "--data-dir", "elsewhere"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains(what), "{file}: {}", said.err);
        assert!(!said.err.contains("there is no master key"), "{file}: {}", said.err);
        // The directory to restore to never had a backup, and what is not there was not cut off.
        assert!(!said.err.contains("backup --data-dir"), "{file}: {}", said.err);
        assert_eq!(said.err.contains("check the path"), file == "nowhere", "{file}: {}", said.err);
        assert!(!here.path().join("elsewhere").exists(), "{file}");
    }
}

#[tokio::test]
async fn a_copy_of_a_served_database_is_restored_with_its_log_and_told_as_what_it_is() {
    let here = Installation::new();
    let server = serve(&here, &[]);
    let tokens = signed_up(&here, &server, "ada@example.com").await;
    server.kill();
    let data = here.path().join("tidegate-data");
    for (from, to) in [("tidegate.db", "copy"), ("tidegate.db-wal", "copy-wal"), ("master.key", "copy.key")] {
        fs::copy(data.join(from), here.path().join(to)).unwrap();
    }
    let said = here.run(&["restore", "copy", "--data-dir", "both"]);
    assert!(said.code == 0 && said.out.contains("no backup: copy-wal was read with it"), "{said:?}");
    let restored = serve(&here, &["--data-dir", "both"]);
    goes_on(&restored, &tokens, "ada@example.com").await;
    restored.stop();

    // A server that stopped has nothing in its log. That this one did cannot be seen.
    serve(&here, &[]).stop();
    fs::remove_file(here.path().join("copy-wal")).unwrap();
    fs::copy(data.join("tidegate.db"), here.path().join("copy")).unwrap();
    let said = here.run(&["restore", "copy", "--data-dir", "alone"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains("Warning: copy is a copy of a database, or a backup that was opened as one since"),
        "{said:?}"
    );
    assert!(said.out.contains("what was written last is in that alone"), "{said:?}");
    assert_eq!(here.json(&["user", "list", "--data-dir", "alone"]).as_array().unwrap().len(), 1);

    here.output(&["backup", "made"]);
    let said = here.run(&["restore", "made", "--data-dir", "whole"]);
    assert!(said.code == 0 && !said.out.contains("no backup"), "{said:?}");
}

#[tokio::test]
async fn a_copy_of_a_database_that_is_all_in_its_log_is_told_as_that() {
    let here = Installation::new();
    let server = here.serve(&[]);
    let data = here.path().join("tidegate-data");
    for (from, to) in [("tidegate.db", "hot"), ("master.key", "hot.key")] {
        fs::copy(data.join(from), here.path().join(to)).unwrap();
    }
    for log in [None, Some("no log at all")] {
        if let Some(log) = log {
            here.write("hot-wal", log);
        }
        let said = here.run(&["restore", "hot", "--data-dir", "elsewhere"]);
        assert_eq!(said.code, 1, "{said:?}");
        for part in ["it has no tables of Tidegate; ", "may be in hot-wal alone: copy that, too"] {
            assert!(said.err.contains(part), "{log:?}: {part}: {}", said.err);
        }
    }
    fs::copy(data.join("tidegate.db-wal"), here.path().join("hot-wal")).unwrap();
    let said = here.run(&["restore", "hot", "--data-dir", "elsewhere"]);
    assert!(said.code == 0 && said.out.contains("hot-wal was read with it"), "{said:?}");
    server.stop();
}

#[test]
fn a_backup_that_was_compressed_is_told_with_the_command_that_helps() {
    let here = Installation::new();
    here.begin();
    here.output(&["backup", "b1"]);
    let packed = Said::of(here.command_of("gzip").arg("b1"));
    assert_eq!(packed.code, 0, "{packed:?}");
    // By whatever name.
    fs::rename(here.path().join("b1.gz"), here.path().join("b1.copy")).unwrap();
    let said = here.run(&["restore", "b1.copy", "--data-dir", "elsewhere"]);
    assert_eq!(said.code, 1, "{said:?}");
    for part in ["b1.copy is no backup: it is compressed with gzip; ", "`gzip -dc b1.copy > FILE`"] {
        assert!(said.err.contains(part) && !said.err.contains("cut off"), "{part}: {}", said.err);
    }
    let unpacked = Said::of(here.command_of("sh").args(["-c", "gzip -dc b1.copy > b1"]));
    assert_eq!(unpacked.code, 0, "{unpacked:?}");
    here.output(&["restore", "b1", "--data-dir", "elsewhere"]);
    assert_eq!(here.json(&["user", "list", "--data-dir", "elsewhere"]).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_log_of_a_lost_database_is_not_taken_for_the_backups() {
    let here = Installation::new();
    here.serve(&[]).stop();
    here.output(&["backup", "tidegate.backup"]);
    let data = here.path().join("tidegate-data");
    fs::remove_file(data.join("tidegate.db")).unwrap();
    fs::write(data.join("tidegate.db-wal"), "what was written last").unwrap();
    let said = here.run(&["restore", "tidegate.backup"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("tidegate.db-wal of an earlier database; move it away"), "{}", said.err);
    fs::remove_file(data.join("tidegate.db-wal")).unwrap();
    here.output(&["restore", "tidegate.backup"]);
}

on_one_engine! { Engine::Postgres;
    async fn postgresql_is_left_to_its_own_programs(here: Installation) {
        here.output(&["migrate", "--new"]);
        let said = here.run(&["backup", "tidegate.backup"]);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("pg_dump"), "{said:?}");
        here.write("tidegate.backup", "");
        let said = here.run(&["restore", "tidegate.backup"]);
        assert_eq!(said.code, 1);
        let copy = format!("copy --from sqlite:tidegate.backup --to '{}", here.database_url());
        assert!(said.err.contains("pg_restore --clean --if-exists") && said.err.contains(&copy), "{said:?}");
    }
}

/// How the command line names a database.
pub(crate) fn name(database: &TestDatabase) -> String {
    match database.url() {
        DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
        DatabaseUrl::Postgres(url) => url,
    }
}

/// Those that a copy copies.
const TABLES: &str =
    "select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\'
    and name not like '\\_%' escape '\\' order by rowid";

/// Puts a row into each table that has none, whatever the table is.
async fn fill(database: &TestDatabase) {
    for table in database.sql_texts(TABLES).await {
        if database.sql_count(&format!("select count(*) from \"{table}\"")).await > 0 {
            continue;
        }
        let references: BTreeMap<String, String> = database
            .sql_texts(&format!(
                "select \"from\" || ' ' || \"table\" || ' ' || coalesce(\"to\", 'id') from pragma_foreign_key_list('{table}')"
            ))
            .await
            .into_iter()
            .map(|line| {
                let [from, to, column] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
                (from.to_owned(), format!("(select {column} from {to} order by rowid desc limit 1)"))
            })
            .collect();
        let columns = database
            .sql_texts(&format!(
                "select name || ' ' || lower(type) from pragma_table_info('{table}') where name <> 'number'"
            ))
            .await;
        let (names, values): (Vec<String>, Vec<String>) = columns
            .iter()
            .map(|column| {
                let (name, kind) = column.split_once(' ').unwrap();
                let value = match kind {
                    "bigint" | "boolean" => "1",
                    "blob" => "randomblob(16)",
                    // A document, too, and a text that both engines must keep as it is.
                    "text" => "'{\"z\": [1.50, \"\u{e9}\u{1f30a}\"], \"aa\": null}'",
                    other => panic!("{table}.{name} has the type {other}"),
                };
                (format!("\"{name}\""), references.get(name).map_or_else(|| value.to_owned(), Clone::clone))
            })
            .unzip();
        let insert = format!("insert into \"{table}\" ({}) values ({})", names.join(", "), values.join(", "));
        assert_eq!(database.sql(&insert).await, 1, "{insert}");
    }
}

/// Every row of every table, and how far numbers went. Documents are compared by what they say.
async fn content(database: &TestDatabase) -> BTreeMap<String, Vec<String>> {
    let mut content = BTreeMap::new();
    for table in database.sql_texts(TABLES).await {
        let columns =
            database.sql_texts(&format!("select name from pragma_table_info('{table}') order by name")).await;
        let cells: Vec<String> = columns
            .iter()
            .map(|column| {
                format!(
                    "case when typeof(\"{column}\") = 'text' then \"{column}\" else quote(\"{column}\") end"
                )
            })
            .collect();
        let rows = database
            .sql_texts(&format!(
                "select concat_ws(char(31), {}) from \"{table}\" order by 1",
                cells.join(", ")
            ))
            .await;
        let plain = |cell: &str| match serde_json::from_str::<Value>(cell) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => value.to_string(),
            _ => cell.to_owned(),
        };
        let mut rows: Vec<String> =
            rows.iter().map(|row| row.split('\u{1f}').map(plain).collect::<Vec<_>>().join("|")).collect();
        rows.sort();
        assert!(!rows.is_empty(), "{table} has no row");
        content.insert(table, rows);
    }
    let numbers = database.sql_texts("select name || ' ' || seq from sqlite_sequence order by name").await;
    content.insert("numbers".to_owned(), numbers);
    content
}

#[tokio::test]
async fn everything_moves_to_the_other_engine_and_back() {
    let here = Installation::with_database(Engine::Sqlite).await;
    let server = serve(&here, &[]);
    let tokens = signed_up(&here, &server, "ada@example.com").await;
    let (from, to) = (name(here.database()), "sqlite:nowhere.db".to_owned());
    let served = here.run(&["copy", "--from", &from, "--to", &to]);
    assert_eq!(served.code, 1, "{served:?}");
    assert!(served.err.contains("is served already") && !served.err.contains("--data-dir"), "{served:?}");
    // A chain of refresh tokens, of which each refers to the one before.
    let (_, refreshed) =
        server.post("/api/v1/auth/refresh", json!({"refresh_token": tokens["refresh_token"]})).await;
    let tokens = refreshed["data"].clone();
    // Whom the made-up rows are about.
    signed_up(&here, &server, "grace@example.com").await;
    server.stop();
    fill(here.database()).await;
    // Numbers go on after the highest ever given.
    here.database().sql("update sqlite_sequence set seq = seq + 40 where name = 'accounts'").await;
    let before = content(here.database()).await;

    let postgres = TestDatabase::empty(Engine::Postgres).await;
    let (from, to) = (name(here.database()), name(&postgres));
    let copied = here.json(&["copy", "--from", &from, "--to", &to]);
    let rows: usize =
        before.iter().filter(|(table, _)| *table != "numbers").map(|(_, rows)| rows.len()).sum();
    assert_eq!(copied["rows"], rows, "{copied}");
    assert_eq!(content(here.database()).await, before, "no row of the source is changed");

    // Nothing is put beside rows that are there.
    let refused = here.run(&["copy", "--from", &from, "--to", &to]);
    assert_eq!(refused.code, 1, "{refused:?}");
    for part in ["nothing was copied: ", "holds the copy of this database that was finished at "] {
        assert!(refused.err.contains(part), "{part}: {refused:?}");
    }
    assert!(!refused.err.contains("tidegate:"), "the address has a password: {refused:?}");

    // Nor to itself, by whatever name.
    let file = here.database().sqlite_file();
    std::os::unix::fs::symlink(&file, here.path().join("link.db")).unwrap();
    let itself = here.run(&["copy", "--from", &from, "--to", "sqlite:link.db"]);
    assert_eq!(itself.code, 2, "{itself:?}");
    assert!(itself.err.contains("--from and --to are the same database"), "{itself:?}");

    // Back into a file: the same, whatever way it went.
    let back = TestDatabase::empty(Engine::Sqlite).await;
    here.json(&["copy", "--from", &to, "--to", &name(&back)]);
    assert_eq!(content(&back).await, before);

    // It was copied in its turn.
    let server = serve(&here, &["--database", &to, "--despite-copy"]);
    goes_on(&server, &tokens, "ada@example.com").await;
    let (status, new) = server.sign_up("alan@example.com").await;
    assert_eq!(status, 201, "{new}");
    let number = postgres.sql_count("select max(number) from accounts").await;
    let highest = here.database().sql_count("select seq from sqlite_sequence where name = 'accounts'").await;
    assert_eq!(number, highest + 1);
    server.stop();
}

#[tokio::test]
async fn a_row_that_cannot_be_copied_leaves_the_target_empty() {
    let here = Installation::with_database(Engine::Sqlite).await;
    here.output(&["migrate", "--new"]);
    let source = here.database();
    fill(source).await;
    // Text that PostgreSQL does not keep; no use case writes it.
    source.sql("update organizations set name = 'a' || char(0) || 'b'").await;
    let postgres = TestDatabase::empty(Engine::Postgres).await;
    let said = here.run(&["copy", "--from", &name(source), "--to", &name(&postgres)]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("nothing was copied: ") && said.err.contains("organizations"), "{said:?}");
    assert_eq!(postgres.sql_count("select count(*) from accounts").await, 0);
    // The foreign keys are there, too.
    let keys = "select count(*) from pg_constraint where contype = 'f' and connamespace = current_schema()::regnamespace";
    assert!(postgres.sql_count(keys).await > 10);
    source.sql("update organizations set name = 'ab'").await;
    here.json(&["copy", "--from", &name(source), "--to", &name(&postgres)]);
}

#[tokio::test]
async fn databases_that_do_not_fit_are_refused() {
    let here = Installation::new();
    let same = here.run(&["copy", "--from", "sqlite:a.db", "--to", "sqlite:a.db"]);
    assert_eq!(same.code, 2, "{same:?}");
    let missing = here.run(&["copy", "--from", "sqlite:a.db", "--to", "sqlite:b.db"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(
        missing.err.contains("there is no installation") && !here.path().join("b.db").exists(),
        "{missing:?}"
    );
    // The data directory has nothing to do with it.
    let missing = missing.err;
    assert!(missing.contains("is to be read with --from") && !missing.contains("--data-dir"), "{missing}");
    let begun = Installation::new();
    begun.output(&["migrate", "--new"]);
    let beside = begun.run(&["copy", "--from", "sqlite:tidegate.db", "--to", "sqlite:b.db"]).err;
    assert!(beside.contains("name that with --from sqlite:/") && !beside.contains("--data-dir"), "{beside}");
    assert!(beside.trim_end().ends_with("tidegate-data/tidegate.db"), "{beside}");
    here.output(&["migrate", "--new", "--database", "sqlite:a.db"]);
    let old = TestDatabase::empty(Engine::Sqlite).await;
    old.open().await.close().await;
    let outdated = here.run(&["copy", "--from", &name(&old), "--to", "sqlite:b.db"]);
    assert_eq!(outdated.code, 1, "{outdated:?}");
}

#[tokio::test]
async fn a_source_on_postgresql_that_is_empty_is_told_from_one_of_an_earlier_version() {
    let here = Installation::new();
    let source = TestDatabase::empty(Engine::Postgres).await;
    let from = name(&source);
    let copy = ["copy", "--from", &from, "--to", "sqlite:copy.db"];
    let empty = here.run(&copy);
    assert_eq!(empty.code, 1, "{empty:?}");
    assert!(
        empty.err.contains(" is empty: ") && empty.err.contains("is to be read with --from"),
        "{empty:?}"
    );
    assert!(!empty.err.contains("earlier version") && !empty.err.contains("tidegate:"), "{empty:?}");
    assert_eq!(here.json(&copy)["error"]["code"], "database_missing");

    here.output(&["migrate", "--new", "--database", &from]);
    source
        .sql("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)")
        .await;
    let earlier = here.run(&copy);
    assert_eq!(earlier.code, 1, "{earlier:?}");
    assert!(
        earlier.err.contains("earlier version: run `") && earlier.err.contains("tidegate migrate` on it"),
        "{earlier:?}"
    );
    assert!(!here.path().join("copy.db").exists(), "nothing is made where nothing can be copied");
}

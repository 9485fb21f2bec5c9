//! What somebody meets who knows only the README and breaks things: each error tells its cause, and what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;
use tidegate_database::DatabaseUrl;
use tidegate_testkit::{Engine, eventually, on_both_engines, on_one_engine};

use crate::support::{Installation, PASSWORD, Said, Server};

const LOST: &str = "the database's file was removed or replaced";

/// Another master key.
const OTHER_KEY: &str = "tgmk1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What the page about operations has an operator run whose master key is lost.
fn statements_for_a_lost_key() -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md")).unwrap();
    let (_, rest) = page.split_once("<!-- file: forget.sql -->\n   ```sql\n").expect("the statements");
    rest.split_once("```").unwrap().0.to_owned()
}

async fn register(server: &Server, email: &str) -> u16 {
    let body = json!({"email": email, "password": PASSWORD, "name": "Ada"});
    server.post("/api/v2/auth/register", body).await.0
}

/// Takes a file away, puts another in its place, and brings it back.
async fn a_file_goes_and_comes_back(server: &Server, file: &Path) {
    let away = file.with_extension("away");
    let told = (503, json!({"status": "unavailable", "reason": LOST}));
    fs::rename(file, &away).unwrap();
    assert_eq!(server.get("/readyz").await, told);
    assert_eq!(register(server, "eve@example.com").await, 503);
    fs::write(file, "").unwrap();
    assert_eq!(server.get("/readyz").await, told);
    assert_eq!(register(server, "eve@example.com").await, 503);
    fs::rename(&away, file).unwrap();
    assert_eq!(server.get("/readyz").await.0, 200, "{}", server.log());
}

#[tokio::test]
async fn a_database_file_that_is_gone_is_noticed_before_anything_is_written_into_it() {
    let here = Installation::new();
    let server = here.serve(&["--dev", "--data-dir", "my data"]);
    assert_eq!(register(&server, "ada@example.com").await, 201);
    let database = here.path().join("my data/tidegate.db");
    a_file_goes_and_comes_back(&server, &database).await;
    a_file_goes_and_comes_back(&server, &here.path().join("my data/tidegate.db-wal")).await;
    assert_eq!(register(&server, "bob@example.com").await, 201);

    fs::remove_file(&database).unwrap();
    for _ in 0..20 {
        assert_eq!(server.get("/readyz").await.0, 503);
    }
    assert_eq!(server.get("/healthz").await.0, 200);
    let log = server.log();
    let advice: Vec<&str> = log.lines().filter(|line| line.contains("restore your last backup")).collect();
    // Once for each time that a file went.
    assert_eq!(advice.len(), 3, "{log}");
    let last = advice.last().unwrap();
    assert!(last.contains("tidegate.db was removed or renamed while the database was open"), "{last}");
    assert!(last.contains(" restore BACKUP --data-dir 'my data'`"), "with the flags of the server: {last}");
    let pid = server.pid();
    for part in [
        format!("do NOT stop this process ({pid})"),
        format!("Copy it from /proc/{pid}/fd/"),
        " (tidegate.db) and ".to_owned(),
        " (tidegate.db-wal) first: see ".to_owned(),
    ] {
        assert!(last.contains(&part), "{part}: {last}");
    }
    assert!(log.matches("\"not ready\"").count() < 20, "{log}");
    assert_eq!(log.matches("are back in their place").count(), 2, "{log}");
    server.stop();
    assert!(!database.exists(), "nothing is made in its place");
}

/// What the page about operations has an operator run whose data directory is removed under a server.
fn commands_for_a_removed_database() -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md")).unwrap();
    let (_, rest) = page.split_once("<!-- file: rescue.sh -->\n```sh\n").expect("the commands");
    rest.split_once("```").unwrap().0.to_owned()
}

/// Runs them: what the server has open is in `rescued` then.
fn rescue(here: &Installation, server: &Server) {
    here.write("rescue.sh", &commands_for_a_removed_database());
    let pid = server.pid().to_string();
    let said = Said::of(here.command_of("sh").args(["rescue.sh", pid.as_str(), "rescued"]));
    assert_eq!(said.code, 0, "{said:?}");
}

#[tokio::test]
async fn of_a_database_that_is_removed_and_replaced_the_log_that_stayed_is_saved_with_it() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    assert_eq!(register(&server, "ada@example.com").await, 201);
    let data = here.path().join("tidegate-data");
    fs::remove_file(data.join("tidegate.db")).unwrap();
    fs::write(data.join("tidegate.db"), "").unwrap();
    rescue(&here, &server);
    server.stop();
    fs::copy(data.join("master.key"), here.path().join("rescued/master.key")).unwrap();
    let accounts = here.json(&["user", "list", "--data-dir", "rescued"]);
    assert_eq!(accounts.as_array().unwrap().len(), 1, "{accounts}");
}

#[tokio::test]
async fn a_restore_is_refused_while_a_server_has_the_database_also_when_it_was_removed() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    assert_eq!(register(&server, "ada@example.com").await, 201);
    here.output(&["backup", "b1"]);
    let data = here.path().join("tidegate-data");
    let database = data.join("tidegate.db");
    for is_removed in [false, true] {
        if is_removed {
            for name in ["tidegate.db", "tidegate.db-wal", "tidegate.db-shm"] {
                drop(fs::remove_file(data.join(name)));
            }
        }
        let said = here.run(&["restore", "b1"]);
        assert_eq!(said.code, 1, "{said:?}");
        let process = format!("is served already, by process {}; ", server.pid());
        assert!(said.err.contains(&process) && said.err.contains("stop that process first"), "{said:?}");
        assert_eq!(said.err.contains("docs/operations.md, \"A removed database\""), is_removed, "{said:?}");
        // The same of another start, which is what is tried next.
        let start = here.run(&["serve", "--listen", "127.0.0.1:0"]);
        for said in [&said, &start] {
            assert_eq!(said.err.contains("do NOT stop it yet"), is_removed, "{said:?}");
            let place = format!("Copy it from /proc/{}/fd/", server.pid());
            assert_eq!(said.err.contains(&place), is_removed, "{said:?}");
        }
        assert_eq!(database.exists(), !is_removed);
    }
    // What is run next, and would have said to restore.
    let said = here.run(&["doctor"]);
    let (first, then) =
        (said.out.find("\"A removed database\", says"), said.out.find("Else restore your backup"));
    assert!(said.code == 1 && first.is_some() && first < then, "{said:?}");
    let warned =
        format!("do NOT stop the server at 127.0.0.1:{} (process {})", port_of(&server), server.pid());
    assert!(said.out.contains(&warned) && said.out.contains(" (tidegate.db)"), "{warned}: {said:?}");
    server.stop();
    here.output(&["restore", "b1"]);
    assert_eq!(here.json(&["user", "list"]).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_database_that_was_replaced_under_its_server_is_opened_by_no_command() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    assert_eq!(register(&server, "ada@example.com").await, 201);
    let backup = here.path().join("b1");
    here.output(&["backup", "b1"]);
    assert_eq!(register(&server, "bob@example.com").await, 201);
    let data = here.path().join("tidegate-data");
    let (database, away) = (data.join("tidegate.db"), data.join("away"));
    let told = |arguments: &[&str], name: &str| {
        let said = here.run(arguments);
        assert_eq!(said.code, 1, "{arguments:?}: {said:?}");
        let told = format!("{}{}", said.out, said.err);
        let place = format!("Copy it from /proc/{}/fd/", server.pid());
        for part in
            ["do NOT stop ", place.as_str(), name, " (tidegate.db-wal) first, as docs/operations.md, "]
        {
            assert!(told.contains(part), "{arguments:?}: {part}: {told}");
        }
    };

    fs::rename(&database, &away).unwrap();
    fs::copy(&backup, &database).unwrap();
    told(&["user", "list"], " (away) and ");
    fs::rename(&away, &database).unwrap();
    assert_eq!(here.json(&["user", "list"]).as_array().unwrap().len(), 2);

    fs::copy(&backup, &away).unwrap();
    fs::rename(&away, &database).unwrap();
    for arguments in [
        &["user", "list"][..],
        &["doctor"],
        &["backup", "b2"],
        &["outbox", "list"],
        &["migrate"],
        &["restore", "b1"],
        &["copy", "--to", "sqlite:b3"],
    ] {
        told(arguments, " (tidegate.db) and ");
    }
    assert_eq!(fs::read(&database).unwrap(), fs::read(&backup).unwrap(), "nothing was written into it");
    // What was acknowledged last is still there.
    rescue(&here, &server);
    drop(server);
    fs::copy(data.join("master.key"), here.path().join("rescued/master.key")).unwrap();
    let accounts = here.json(&["user", "list", "--data-dir", "rescued"]);
    assert_eq!(accounts.as_array().unwrap().len(), 2, "{accounts}");
}

#[tokio::test]
async fn a_log_that_was_removed_under_its_server_is_told_and_no_command_opens_the_database() {
    for name in ["tidegate.db-wal", "tidegate.db-shm"] {
        let here = Installation::new();
        let server = here.serve(&["--dev"]);
        assert_eq!(register(&server, "ada@example.com").await, 201);
        let data = here.path().join("tidegate-data");
        fs::remove_file(data.join(name)).unwrap();
        // The server may make another one when it opens one more connection to read.
        let (what, who) =
            (format!("{name} was re"), format!(" while process {} had it open; nothing", server.pid()));
        for arguments in [&["user", "list"][..], &["doctor"], &["backup", "b1"], &["migrate"]] {
            let said = here.run(arguments);
            let told = format!("{}{}", said.out, said.err);
            for part in [
                what.as_str(),
                &who,
                "do NOT stop ",
                " (tidegate.db) and ",
                " (tidegate.db-wal) first, as docs/",
            ] {
                assert!(told.contains(part), "{arguments:?}: {part}: {told}");
            }
            assert_eq!(said.code, 1, "{arguments:?}: {told}");
        }
        rescue(&here, &server);
        drop(server);
        fs::copy(data.join("master.key"), here.path().join("rescued/master.key")).unwrap();
        let accounts = here.json(&["user", "list", "--data-dir", "rescued"]);
        assert_eq!(accounts.as_array().unwrap().len(), 1, "{accounts}");
    }
}

#[tokio::test]
async fn of_a_database_that_was_emptied_in_place_nothing_is_said_to_be_left() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    assert_eq!(register(&server, "ada@example.com").await, 201);
    here.output(&["backup", "b1"]);
    fs::write(here.path().join("tidegate-data/tidegate.db"), "").unwrap();
    let process = format!("process {}", server.pid());
    for (arguments, advice) in [
        (&["doctor"][..], "stop the server at "),
        (&["user", "list"], "stop the server at "),
        (&["restore", "b1"], "; stop that process first"),
    ] {
        let said = here.run(arguments);
        let told = format!("{}{}", said.out, said.err);
        assert!(said.code == 1 && told.contains(advice) && told.contains(&process), "{arguments:?}: {told}");
        assert!(!told.contains("do NOT stop"), "{arguments:?}: {told}");
    }
}

fn port_of(server: &Server) -> &str {
    server.base.rsplit(':').next().unwrap()
}

#[test]
fn a_start_whose_database_is_lost_does_not_take_itself_for_another_server() {
    let here = Installation::new();
    here.begin();
    let database = here.path().join("tidegate-data/tidegate.db");
    fs::remove_file(&database).unwrap();
    for is_empty in [false, true] {
        if is_empty {
            fs::write(&database, "").unwrap();
        }
        let state = if is_empty { "is empty (0 bytes)" } else { "is missing" };
        for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["doctor"]] {
            let said = here.run(arguments);
            let told = format!("{}{}", said.out, said.err);
            assert!(said.code == 1 && told.contains(state), "{arguments:?}: {told}");
            assert!(told.contains("restore your backup with "), "{arguments:?}: {told}");
            assert!(
                !told.contains("the server at ") && !told.contains("do NOT stop"),
                "{arguments:?}: {told}"
            );
        }
    }
}

#[tokio::test]
async fn a_data_directory_that_is_removed_under_a_server_is_told_once_and_can_be_saved_until_it_stops() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    assert_eq!(register(&server, "ada@example.com").await, 201);
    here.output(&["backup", "b1"]);
    assert_eq!(register(&server, "bob@example.com").await, 201);
    let data = here.path().join("tidegate-data");
    fs::remove_dir_all(&data).unwrap();
    let told = (503, json!({"status": "unavailable", "reason": LOST}));
    for _ in 0..3 {
        assert_eq!(server.get("/readyz").await, told);
    }
    assert_eq!(register(&server, "eve@example.com").await, 503);
    let log = server.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("restore your last backup")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in [
        r#""level":"ERROR""#,
        "the directory ",
        "tidegate-data was removed or renamed while the database was open",
        "A removed database",
        "stop the server and restore your last backup with `",
    ] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }

    // What the page says: all that was acknowledged is still open.
    rescue(&here, &server);
    server.stop();
    assert!(!data.exists(), "nothing is made in its place");
    fs::copy(here.path().join("b1.key"), here.path().join("rescued/master.key")).unwrap();
    let accounts = here.json(&["user", "list", "--data-dir", "rescued"]);
    assert_eq!(accounts.as_array().unwrap().len(), 2, "{accounts}");
    here.serve(&["--dev", "--data-dir", "rescued"]).stop();

    // Or the backup, into the directory that was removed.
    here.output(&["restore", "b1"]);
    here.serve(&["--dev"]).stop();
}

#[tokio::test]
async fn a_lost_file_is_told_by_the_log_although_nobody_asks() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    fs::remove_file(here.path().join("tidegate-data/tidegate.db")).unwrap();
    let told =
        async || server.log().contains("was removed or renamed while the database was open").then_some(());
    eventually("the log tells it", told).await;
    server.stop();
}

#[tokio::test]
async fn a_page_that_refuses_an_application_has_its_code_in_the_log() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    let unknown = "00000000-0000-0000-0000-000000000000";
    let address = format!("{}/oauth/authorize?response_type=code&client_id={unknown}", server.base);
    let page = server.http.get(address).header("accept", "text/html").send().await.unwrap();
    assert_eq!(page.status().as_u16(), 400);
    let page = page.text().await.unwrap();
    assert!(page.contains("the client_id is unknown"), "{page}");
    let told = async || server.log().contains(r#""status":400,"code":"invalid_client""#).then_some(());
    eventually("the log names the code", told).await;
    server.stop();
}

#[test]
fn every_command_that_is_named_carries_the_flags_of_the_run() {
    let here = Installation::new();
    here.write("my id.toml", "product = 'Acme'\n");
    let flags = ["--config", "my id.toml", "--data-dir", "data"];
    let run = |arguments: &[&str]| here.run(&[arguments, &flags[..]].concat());
    let begun = run(&["org", "create", "--new", "--name", "A", "--root-email", "a@b.example"]);
    assert_eq!(begun.code, 0, "{begun:?}");
    let carried = " --config 'my id.toml' --data-dir data`";
    for (arguments, command) in [
        (&["user", "show", "nobody@example.com"][..], "user list --search TEXT"),
        (&["outbox", "retry", "17"], "outbox list"),
        (&["outbox", "code", "--to", "a@c.example"], "serve --dev"),
        (&["org", "show", "99"], "org list"),
        (&["doctor"], "doctor --all"),
    ] {
        let Said { out, err, .. } = run(arguments);
        let told = format!("{out}{err}");
        assert!(told.contains(&format!("{command}{carried}")), "{arguments:?}: {told}");
        assert!(!told.contains("`tidegate "), "{told}");
    }
    // Programs are told the same.
    let error = here.json(&[&["org", "show", "99"], &flags[..]].concat())["error"].clone();
    assert!(error["message"].as_str().unwrap().contains(&format!("org list{carried}")), "{error}");
    // A password in an address is not repeated.
    let said = here.run(&["user", "list", "--database", "postgres://u:hunter2@127.0.0.1:1/d"]);
    assert!(said.code == 1 && !said.err.contains("hunter2"), "{said:?}");
}

#[test]
fn a_listen_address_in_the_wrong_place_or_form_is_told_with_the_right_one() {
    let here = Installation::new();
    for (text, parts) in [
        (
            "[http]\nlisten = '0.0.0.0:80'",
            &[
                "http.listen: unknown key",
                "did you mean `listen`?",
                "at the top of the file, above the first [table]",
            ][..],
        ),
        ("[listen]\nsmtp = 1", &["must be text, not a table", "listen = \"127.0.0.1:8080\""]),
        ("[logging]\nlevel = 'debug'", &["did you mean `log.filter`?"]),
        ("[log]\nfilter = 'warning'", &["log.filter: \"warning\" is no level: did you mean \"warn\"?"]),
        ("listen = '8080'", &["write 127.0.0.1:8080 for this machine alone, or 0.0.0.0:8080"]),
        ("listen = ':8080'", &["write 127.0.0.1:8080 for this machine alone, or 0.0.0.0:8080"]),
        ("listen = 'id.example.com:80'", &["names are not looked up"]),
    ] {
        here.write("tidegate.toml", text);
        let said = here.run(&["serve"]);
        assert_eq!(said.code, 1, "{text}: {said:?}");
        for part in parts {
            assert!(said.err.contains(part), "{text}: {part}: {}", said.err);
        }
    }
}

on_both_engines! {
    async fn a_wrong_master_key_is_told_by_its_name_and_its_place(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.begin();
        let file = here.path().join("tidegate-data/master.key");
        let right = fs::read_to_string(&file).unwrap();
        let wrong_in = |place: &str, advice: &str, change: &dyn Fn(&mut std::process::Command)| {
            for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["user", "list"], &["doctor"]] {
                let mut command = here.command(arguments);
                change(&mut command);
                let said = Said::of(&mut command);
                assert_eq!(said.code, 1, "{arguments:?}: {said:?}");
                let told = format!("{}{}", said.out, said.err);
                for part in [place, advice, "is not the one of this database, which was sealed with the master key "] {
                    assert!(told.contains(part), "{arguments:?}: {part}: {told}");
                }
                assert!(!told.contains(right.trim()) && !told.contains(OTHER_KEY), "{told}");
            }
        };
        wrong_in("(master_key in TIDEGATE_MASTER_KEY)", "remove it there: the key that is needed is in ", &|command| {
            command.env("TIDEGATE_MASTER_KEY", OTHER_KEY);
        });
        here.write("tidegate.toml", &format!("product = 'A'\nmaster_key = '{OTHER_KEY}'\n"));
        wrong_in("(master_key in tidegate.toml, line 2)", "remove it there", &|_| {});
        here.write("tidegate.toml", "");
        fs::write(&file, OTHER_KEY).unwrap();
        wrong_in("master.key) is not", "To use both", &|_| {});
        // Something that is no key: how one is made.
        for text in ["garbage", &OTHER_KEY[..20]] {
            fs::write(&file, text).unwrap();
            let said = here.run(&["doctor"]);
            assert!(said.out.contains("openssl rand -base64 32") && said.out.contains("needs the key it had"), "{said:?}");
            // First what brings the data back, and then what never does.
            let (copy, new) = (said.out.find("BACKUP.key beside a backup"), said.out.find("a new one opens nothing"));
            assert!(copy.is_some() && copy < new, "{said:?}");
            let said = Said::of(here.command(&["serve"]).env("TIDEGATE_MASTER_KEY", text));
            assert!(said.err.contains("openssl rand -base64 32") && !said.err.contains("garbage"), "{said:?}");
        }
    }

    async fn an_installation_whose_master_key_is_lost_goes_on_as_the_page_says(engine: Engine) {
        let here = Installation::with_database(engine).await;
        let server = here.serve(&["--dev"]);
        assert_eq!(register(&server, "ada@example.com").await, 201);
        let (_, tokens) = server.sign_in("ada@example.com", PASSWORD).await;
        let (access, refresh) = (tokens["accessToken"].as_str().unwrap(), tokens["refreshToken"].as_str().unwrap());
        server.stop();
        fs::remove_file(here.path().join("tidegate-data/master.key")).unwrap();
        for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["user", "list"], &["doctor"]] {
            let Said { code, out, err } = here.run(arguments);
            let told = format!("{out}{err}");
            assert!(code == 1 && told.contains("docs/operations.md, \"A lost master key\""), "{arguments:?}: {told}");
        }

        here.database().sql(&statements_for_a_lost_key()).await;
        let server = here.serve(&["--dev"]);
        assert_eq!(server.sign_in("ada@example.com", PASSWORD).await.0, 200);
        let me = server.http.get(format!("{}/api/v2/auth/me", server.base)).bearer_auth(access);
        assert_eq!(me.send().await.unwrap().status().as_u16(), 401);
        assert_eq!(server.post("/api/v2/auth/refresh", json!({"refreshToken": refresh})).await.0, 200);
        server.stop();
        let said = here.run(&["doctor"]);
        assert!(said.code == 0 && said.out.contains("opens 1 signing key(s)"), "{}", said.out);
    }

    async fn a_stolen_token_is_told_by_the_log_and_by_the_commands(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.write("tidegate.toml", "[ingestiq.refresh]\ngrace = 0\n");
        let server = here.serve(&["--dev"]);
        assert_eq!(register(&server, "ada@example.com").await, 201);
        let (_, tokens) = server.sign_in("ada@example.com", PASSWORD).await;
        let stolen = tokens["refreshToken"].as_str().unwrap();
        let refresh = async || server.post("/api/v2/auth/refresh", json!({"refreshToken": stolen})).await.0;
        assert_eq!(refresh().await, 200);
        // The clock goes on: without grace, a token of the same moment is still repeated.
        eventually("the token is a replay", async || (refresh().await == 401).then_some(())).await;
        assert_eq!(refresh().await, 401);
        let log = server.log();
        let told: Vec<&str> = log.lines().filter(|line| line.contains("an attacker may hold the token")).collect();
        assert_eq!(told.len(), 1, "{log}");
        for field in ["\"session\":\"", "\"account\":\"", "\"network\":\"127.0.0.1", "\"level\":\"WARN\""] {
            assert!(told[0].contains(field), "{field}: {}", told[0]);
        }
        assert!(!log.contains(stolen), "no token in a log");
        for command in ["show", "sessions"] {
            let said = here.output(&["user", command, "ada@example.com"]);
            assert!(said.contains("it may have been stolen") && said.contains("from 127.0.0.1"), "{said}");
        }
        let shown = here.json(&["user", "show", "ada@example.com"]);
        assert_eq!(shown["replayed_tokens"][0]["ip"], "127.0.0.1", "{shown}");
        assert_eq!(shown["sign_ins"][0]["metadata"]["reason"], "refresh_token_replayed", "{shown}");
        server.stop();
    }
}

#[test]
fn a_secret_that_others_may_read_is_named_with_the_command_that_helps() {
    let here = Installation::new();
    here.begin();
    let open = |name: &str| {
        let path = here.path().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    };
    here.write(
        "tidegate.toml",
        "[mail.smtp]\nhost = '127.0.0.1'\nport = 1\nfrom = 'a@b.example'\nusername = 'u'\npassword = 'hunter2'\n",
    );
    fs::copy(here.path().join("tidegate-data/master.key"), here.path().join("tidegate-data/old.key"))
        .unwrap();
    for name in
        ["tidegate.toml", "tidegate-data/master.key", "tidegate-data/old.key", "tidegate-data/tidegate.db"]
    {
        open(name);
    }
    let said = here.run(&["doctor"]);
    assert_eq!(said.code, 1, "{said:?}");
    for part in [
        "tidegate.toml is accessible to other users (mode 0644): run `chmod o= tidegate.toml`",
        "run `chmod 600 ./tidegate-data/old.key`",
        "run `chmod 600 ./tidegate-data/tidegate.db`",
        "→ run `chmod 600 ./tidegate-data/master.key`",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(!said.out.contains("hunter2"), "{}", said.out);
    // Without a secret in it, a configuration is nobody's secret.
    here.write("tidegate.toml", "product = 'A'\n");
    open("tidegate.toml");
    assert!(!here.run(&["doctor"]).out.contains("chmod o="));
}

#[tokio::test]
async fn a_code_that_another_server_has_is_told_with_where_to_look() {
    let here = Installation::new();
    here.begin();
    let said = here.run(&["outbox", "code", "--to", "ada@example.com"]);
    assert!(said.err.contains("no server serves ") && said.err.contains("serve --dev`"), "{said:?}");
    let server = here.serve(&["--dev", "--data-dir", "other"]);
    assert_eq!(register(&server, "ada@example.com").await, 201);
    let said = here.run(&["outbox", "code", "--to", "ada@example.com"]);
    assert!(
        said.err.contains("no server serves ") && said.err.contains("tidegate-data just now"),
        "{said:?}"
    );
    let said = here.run(&["outbox", "code", "--to", "bob@example.com", "--data-dir", "other"]);
    assert!(said.err.contains(&format!("is served at {}: if you asked", server.base)), "{said:?}");
    server.stop();
    let said = here.run(&["outbox", "code", "--to", "bob@example.com", "--data-dir", "other"]);
    assert!(said.err.contains("no server serves "), "{said:?}");
}

#[test]
fn files_and_directories_that_are_not_there_are_told_with_what_to_do() {
    let here = Installation::new();
    here.begin();
    fs::write(here.path().join("latin1.toml"), [0xe4]).unwrap();
    for (arguments, parts) in [
        (
            &["doctor", "--config", "missing.toml"][..],
            &[
                "missing.toml cannot be read",
                "create it (`",
                " config --config missing.toml` prints one to start from)",
            ][..],
        ),
        (&["user", "list", "--config", "."], &["Is a directory; name a file in it"]),
        (&["user", "list", "--config", "latin1.toml"], &["save it as UTF-8"]),
        (&["backup", "nowhere/x.db"], &["the directory nowhere of the backup does not exist; create it"]),
        (&["backup", "/dev/full"], &["/dev/full exists already"]),
        (&["backup", "/dev"], &["/dev is a directory; name a file in it: /dev/tidegate.backup"]),
    ] {
        let Said { code, out, err } = here.run(arguments);
        for part in parts {
            assert!(code == 1 && format!("{out}{err}").contains(part), "{arguments:?}: {part}: {out}{err}");
        }
    }
}

#[test]
fn limits_of_the_process_are_told_as_what_they_are() {
    let here = Installation::new();
    let limited = |limit: &str| {
        let mut command = here.command(&["serve", "--data-dir", "limited", "--listen", "127.0.0.1:0"]);
        let program = command.get_program().to_owned();
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = here.command_of("prlimit");
        let said = Said::of(command.arg(limit).arg(program).args(arguments));
        assert_eq!(said.code, 1, "{limit}: {said:?}");
        said.err
    };
    let told = limited("--fsize=65536");
    assert!(told.contains("`ulimit -f`"), "{told}");
    let told = limited("--nofile=12");
    assert!(told.contains("`ulimit -n`"), "{told}");
}

#[test]
fn a_password_in_an_address_that_is_not_escaped_is_told_and_never_repeated() {
    let here = Installation::new();
    for password in ["hunter2/x", "hunter2#x", "hunter2%x", "hun@ter2/x", "2/hunter2", "hunter2?x"] {
        let url = format!("postgres://u:{password}@127.0.0.1:1/d");
        for said in [
            here.run(&["doctor", "--database", &url]),
            Said::of(here.command(&["serve"]).env("TIDEGATE_DATABASE", &url)),
        ] {
            let told = format!("{}{}", said.out, said.err);
            assert_eq!(
                said.code,
                if told.contains("✗") || said.err.contains("in TIDEGATE") { 1 } else { 2 },
                "{told}"
            );
            assert!(told.contains("@ as %40, / as %2F") && told.contains("PGPASSWORD"), "{password}: {told}");
            assert!(!told.contains("hunter2") && !told.contains("ter2"), "{password}: {told}");
        }
    }
}

on_one_engine! { Engine::Postgres;
    async fn a_second_start_on_postgresql_says_nothing_that_is_no_news(here: Installation) {
        here.serve(&["--dev"]).stop();
        let server = here.serve(&["--dev"]);
        assert!(matches!(here.database_url(), DatabaseUrl::Postgres(_)));
        assert_eq!(register(&server, "ada@example.com").await, 201);
        let log = server.stop_and_tell();
        for noise in ["already exists", "before_acquire", "sqlx"] {
            assert!(!log.contains(noise), "{noise}: {log}");
        }
    }
}

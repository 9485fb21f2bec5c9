//! Serving: the first start, the next one, and what keeps it from starting.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;
use tidegate_testkit::{Engine, Fixture};

use crate::support::{Installation, PASSWORD, Said, Server};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn without_any_configuration_it_serves_and_stops_when_told() {
    let here = Installation::new();
    let mut server = here.serve(&[]);
    assert_eq!(server.ready_line(), format!("listening on {}\n", server.base));
    for path in ["/healthz", "/readyz", "/openapi.json", "/.well-known/jwks.json"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    let metrics =
        server.http.get(format!("{}/metrics", server.base)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("tidegate_http_request_duration_seconds_bucket"), "{metrics}");
    assert!(metrics.contains("# TYPE tidegate_password_hash_queue gauge"), "{metrics}");
    assert!(metrics.contains("tidegate_queries{state=\"waiting\"} 0"), "{metrics}");
    assert!(metrics.contains("# TYPE tidegate_query_memory_bytes gauge"), "{metrics}");
    assert!(metrics.contains("# TYPE tidegate_query_spilled_bytes gauge"), "{metrics}");
    server.signal(Signal::TERM);
    assert_eq!(server.wait(), Some(0));
}

/// Signs four people up, and the first of them in eight times; answers the statuses that were no success.
async fn a_developers_day(here: &Installation, server: &Server) -> Vec<u16> {
    let (first, answer) = server.sign_up("ada@example.com").await;
    let code = here.output(&["outbox", "code", "--to", "ada@example.com"]);
    let claim = json!({"temporary_token": answer["data"]["temporary_token"], "otp_code": code});
    let mut statuses = vec![first, server.post("/api/v1/auth/verify-otp", claim).await.0];
    for number in 1..4 {
        statuses.push(server.sign_up(&format!("person{number}@example.com")).await.0);
    }
    for _ in 0..8 {
        let login = json!({"email": "ada@example.com", "password": PASSWORD});
        statuses.push(server.post("/api/v1/auth/login", login).await.0);
    }
    statuses.into_iter().filter(|status| *status >= 300).collect()
}

#[tokio::test]
async fn a_developer_signs_in_and_up_as_often_as_they_like() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    assert_eq!(a_developers_day(&here, &server).await, Vec::<u16>::new());
    server.stop();
    let here = Installation::new();
    let server = here.serve(&["--dev", "--limits"]);
    let refused = a_developers_day(&here, &server).await;
    assert!(refused.len() >= 2 && refused.iter().all(|status| *status == 429), "{refused:?}");
    let told = server.stop_and_tell();
    for key in ["rivergen.limits.sign_up_by_ip", "rivergen.limits.sign_in_by_"] {
        assert!(told.contains(key), "{key}: {told}");
    }
}

#[tokio::test]
async fn whatever_it_writes_is_its_owners_alone() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    let data = here.path().join("tidegate-data");
    assert_eq!(mode(&data), 0o700);
    let modes: Vec<(String, u32)> = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), mode(&entry.path())))
        .collect();
    assert!(modes.iter().any(|(name, _)| name == "master.key"), "{modes:?}");
    let of_queries = |name: &str| name == "tidegate-spill";
    assert!(
        modes.iter().all(|(name, mode)| *mode == if of_queries(name) { 0o700 } else { 0o600 }),
        "{modes:?}"
    );
    server.stop();
}

#[tokio::test]
async fn a_start_empties_the_directory_of_queries_and_names_one_that_cannot_be_used() {
    let here = Installation::new();
    here.serve(&["--dev"]).kill();
    let directory = here.path().join("tidegate-data/tidegate-spill");
    assert_eq!(mode(&directory), 0o700);
    let left = directory.join(".tmp1234");
    fs::write(&left, "rows").unwrap();
    // Other commands may run beside a server.
    assert_eq!(here.run(&["user", "list"]).code, 0);
    assert!(left.exists());
    here.serve(&["--dev"]).stop();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);

    fs::write(here.path().join("file"), "").unwrap();
    here.write("tidegate.toml", "[data.queries]\nspill_directory = \"file\"\n");
    let said = here.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, 1, "{said:?}");
    for word in
        ["queries cannot use the disk in file", "data.queries.spill_directory", "data.queries.spill = 0"]
    {
        assert!(said.err.contains(word), "{word}: {said:?}");
    }
    here.write("tidegate.toml", "[data.queries]\nmemory = 1000\n");
    let said = here.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("queries.memory_per_query must not be more than memory"), "{said:?}");
}

/// What keeps a server from serving is said by the doctor, too, and leaves no new installation behind.
#[test]
fn what_serve_refuses_the_doctor_tells_and_nothing_is_made() {
    let here = Installation::new();
    for name in ["cert", "other"] {
        let mut openssl = here.command_of("openssl");
        openssl.args(["req", "-x509", "-days", "2", "-subj", "/CN=localhost", "-newkey", "ec"]);
        openssl.args(["-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        let files = [format!("{name}.key"), format!("{name}.pem")];
        let made = Said::of(openssl.args(["-keyout", &files[0], "-out", &files[1]]));
        assert_eq!(made.code, 0, "{made:?}");
    }
    let pgwire = |rest: &str| format!("[pgwire]\nlisten = \"127.0.0.1:0\"\n{rest}");
    for (configuration, check, said) in [
        (
            "[data.queries]\nspill_directory = \"mistyped\"\n".to_owned(),
            "query disk",
            "queries cannot use the disk in mistyped: No such file or directory",
        ),
        (
            "[storage]\ndirectory = \"/proc/nope\"\n".to_owned(),
            "files",
            "storage.directory /proc/nope cannot be made in /proc: ",
        ),
        (
            "[storage]\ndirectory = \"cert.pem/files\"\n".to_owned(),
            "files",
            "storage.directory cert.pem/files cannot be used: Not a directory",
        ),
        (
            "[storage]\ndirectory = \".\"\n".to_owned(),
            "files",
            "storage.directory . holds something else",
        ),
        (
            "[mail]\ntemplates_dir = \"mistyped\"\n".to_owned(),
            "mail templates",
            "mail.templates_dir: ",
        ),
        (
            "[prompts.models.big]\nbase_url = \"https://models.example.com\"\nmodel = \"m\"\napi_key_file = \"/nope\"\n".to_owned(),
            "configuration",
            "models.big: api_key_file: /nope: No such file or directory",
        ),
        (
            pgwire("tls_cert = \"/nope\"\ntls_key = \"other.key\"\n"),
            "pgwire",
            "pgwire.tls_cert: /nope: No such file or directory",
        ),
        (
            pgwire("tls_cert = \"cert.pem\"\ntls_key = \"other.key\"\n"),
            "pgwire",
            "the certificate cert.pem and the key other.key do not belong together",
        ),
        (
            "[pgwire]\nlisten = \"127.0.0.1:0\"\n".to_owned(),
            "configuration",
            "or set pgwire.allow_plain_on_loopback = true to do without on this machine",
        ),
        (
            "listen = \"0.0.0.0:8089\"\n[pgwire]\nlisten = \"127.0.0.1:8089\"\nallow_plain_on_loopback = true\n".to_owned(),
            "configuration",
            "pgwire.listen: 127.0.0.1:8089 is taken by listen = \"0.0.0.0:8089\"",
        ),
    ] {
        here.write("tidegate.toml", &configuration);
        let listen: &[&str] = if configuration.starts_with("listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
        let served = here.run(&[&["serve"], listen].concat());
        assert_eq!(served.code, 1, "{served:?}");
        assert!(served.err.contains(said), "{said}: {served:?}");
        assert!(!here.path().join("tidegate-data").exists(), "{said}");
        assert!(!here.path().join("mistyped").exists());
        let told = here.run(&["doctor", "--json"]);
        assert_eq!(told.code, 1, "{told:?}");
        let report = told.json();
        let found = report["checks"].as_array().unwrap().iter().find(|found| found["name"] == check).unwrap();
        assert_eq!(found["status"], "error", "{found}");
        assert!(found["detail"].as_str().unwrap().contains(said), "{found}");
        assert!(!here.path().join("tidegate-data").exists(), "{said}");
    }
}

#[tokio::test]
async fn what_is_no_directory_where_files_go_is_warned_of_and_keeps_nobody_out() {
    let here = Installation::new();
    here.begin();
    fs::write(here.path().join("tidegate-data/files"), "").unwrap();
    let server = here.serve(&["--dev"]);
    assert_eq!(server.sign_up("ada@example.com").await.0, 201);
    let told = "files cannot be uploaded or read: storage.directory ./tidegate-data/files cannot be used: Not a directory; ";
    server.logs(told);
    server.stop();
    let said = here.run(&["doctor"]);
    assert!(said.code == 1 && said.out.contains("✗ files"), "{}", said.out);
}

#[tokio::test]
async fn a_second_start_finds_everything_again() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    assert_eq!(server.sign_up("ada@example.com").await.0, 201);
    let jwks = server.get("/.well-known/jwks.json").await;
    server.stop();
    let key = fs::read_to_string(here.path().join("tidegate-data/master.key")).unwrap();

    let server = here.serve(&["--dev"]);
    assert_eq!(server.get("/.well-known/jwks.json").await, jwks);
    // With the same password it would be the same request, sent again.
    let again = json!({"email": "ada@example.com", "password": "An0ther-password"});
    assert_eq!(server.post("/api/v1/auth/signup", again).await.0, 409);
    assert_eq!(server.sign_in("ada@example.com", PASSWORD).await.0, 200);
    server.stop();
    assert_eq!(fs::read_to_string(here.path().join("tidegate-data/master.key")).unwrap(), key);
}

#[tokio::test]
async fn without_mail_it_says_what_it_will_refuse_and_refuses_it() {
    let here = Installation::new();
    let server = here.serve(&[]);
    server.logs("no mail provider is configured: sign-up");
    server.logs("[mail.smtp]");
    server.logs("no SMS provider is configured: sign-up");
    server.logs("\"broker\":\"embedded sandbox\"");
    assert_eq!(server.sign_up("ada@example.com").await.0, 503);
    server.stop();
}

#[tokio::test]
async fn on_a_terminals_behalf_it_lists_what_it_serves() {
    let here = Installation::new();
    let server = here.serve_with(&["--dev"], |command| {
        command.env("TIDEGATE_LOG__FORMAT", "text");
    });
    let log = server.log();
    for path in [
        "/api/v1",
        "/api/v2",
        "/openapi.json",
        "/docs",
        "/healthz",
        "/dev/outbox",
        "bound to localhost; http://localhost:",
        "Crossing Minds",
        concat!(env!("CARGO_BIN_EXE_tidegate"), " outbox code --to ADDRESS`\n"),
    ] {
        assert!(log.contains(path), "{path}: {log}");
    }
    assert_eq!(server.get("/docs").await.0, 200);
    assert_eq!(server.get("/dev/outbox").await.0, 200);
    assert_eq!(server.get("/dev/passkeys").await.0, 200);
    server.stop();
}

#[tokio::test]
async fn logs_are_json_lines_unless_somebody_is_looking() {
    let here = Installation::new();
    let server = here.serve(&[]);
    server.get("/healthz").await;
    server.get("/nowhere").await;
    let told = server.stop_and_tell();
    let log = told.split_once('\n').unwrap().1;
    for line in log.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(entry["level"].is_string() && entry["message"].is_string(), "{line}");
    }
    // What was refused has a line; what went well is counted by the metrics.
    assert_eq!(log.matches("\"message\":\"answered\"").count(), 1, "{log}");
}

#[tokio::test]
async fn a_port_in_use_is_told_with_what_to_do_and_nothing_is_touched() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let here = Installation::new();
    let said = here.run(&["serve", "--listen", &address]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains(&format!("cannot listen on {address}")), "{}", said.err);
    assert!(said.err.contains("another program listens there already"), "{}", said.err);
    assert!(said.err.contains("--listen"), "{}", said.err);
    assert!(!here.path().join("tidegate-data").exists());
}

#[tokio::test]
async fn a_master_key_others_can_read_is_refused() {
    let here = Installation::new();
    here.serve(&[]).stop();
    let key = here.path().join("tidegate-data/master.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let said = here.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("mode 0644") && said.err.contains("chmod 600"), "{}", said.err);
}

#[tokio::test]
async fn a_lost_master_key_is_not_replaced_behind_the_operators_back() {
    let here = Installation::new();
    here.serve(&[]).stop();
    let key = here.path().join("tidegate-data/master.key");
    let text = fs::read_to_string(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let said = here.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("is missing, but the database has data sealed with it"), "{}", said.err);
    assert!(said.err.contains("it is in BACKUP.key beside a backup"), "{}", said.err);
    // A command in a shell without the variables of the service says the same: first that the key may be in one.
    let variable = said.err.find("such as TIDEGATE_MASTER_KEY in the EnvironmentFile of its service");
    assert!(variable.is_some() && variable < said.err.find("put the key there"), "{}", said.err);
    assert!(!said.err.contains("whether the database"), "it is that of the data directory: {}", said.err);
    assert!(!key.exists());

    // As text it does as well.
    here.serve_with(&[], |command| {
        command.env("TIDEGATE_MASTER_KEY", text.trim());
    })
    .stop();
}

#[test]
fn a_database_of_another_installation_is_named_before_the_key_is_doubted() {
    let (here, other) = (Installation::new(), Installation::new());
    here.begin();
    other.begin();
    let address = format!("sqlite:{}", other.path().join("tidegate-data/tidegate.db").display());
    let told = |said: &Said, place: &str| {
        assert_eq!(said.code, 1, "{said:?}");
        let database = said.err.find(&format!("it is {address}, from {place}. If it is, "));
        assert!(database.is_some() && database < said.err.find("put the key"), "{}", said.err);
    };
    let with_variable = || Said::of(here.command(&["user", "list"]).env("TIDEGATE_DATABASE", &address));
    told(&with_variable(), "TIDEGATE_DATABASE");
    told(&here.run(&["user", "list", "--database", &address]), "--database");
    fs::remove_file(here.path().join("tidegate-data/master.key")).unwrap();
    told(&with_variable(), "TIDEGATE_DATABASE");
}

#[tokio::test]
async fn another_master_key_says_which_one_is_missing() {
    let here = Installation::new();
    here.serve(&[]).stop();
    let other = Installation::new();
    other.serve(&[]).stop();
    let from = other.path().join("tidegate-data/master.key");
    fs::copy(from, here.path().join("tidegate-data/master.key")).unwrap();
    let said = here.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("which was sealed with the master key "), "{}", said.err);
}

#[tokio::test]
async fn nodes_of_one_database_share_its_master_key_and_need_no_directory() {
    let here = Installation::prepare(Engine::Postgres).await;
    let key = format!("tgmk1_{}", "A".repeat(43));
    let with_key = |command: &mut Command| {
        command.env("TIDEGATE_MASTER_KEY", &key);
    };
    let (one, other) = (here.serve_with(&[], with_key), here.serve_with(&[], with_key));
    assert_eq!(one.get("/.well-known/jwks.json").await, other.get("/.well-known/jwks.json").await);
    assert!(!here.path().join("tidegate-data").exists());

    let said = here.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("or set master_key"), "{}", said.err);
    // `tidegate backup` is for SQLite: nobody is sent to a file that it never wrote.
    assert!(said.err.contains("every other node of this database has it"), "{}", said.err);
    assert!(!said.err.contains("tidegate backup"), "{}", said.err);
    one.stop();
    other.stop();
}

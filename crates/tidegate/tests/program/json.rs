//! `--json` prints exactly one JSON value.

use serde_json::Value;

use crate::support::Installation;

/// Parses standard output as exactly one value: a second one, or a stray line, fails.
fn one(here: &Installation, arguments: &[&str], code: i32) -> Value {
    let said = here.run(arguments);
    assert_eq!(said.code, code, "{arguments:?}: {said:?}");
    assert!(said.out.ends_with('\n') && said.out.lines().count() == 1, "{arguments:?}: {said:?}");
    said.json()
}

#[test]
fn of_every_command_that_succeeds() {
    let here = Installation::new();
    for arguments in [
        &["migrate", "--new", "--json"][..],
        &["migrate", "--json"],
        &["--json", "migrate", "--check"],
        &["org", "create", "--new", "--json", "--name", "Acme", "--root-email", "root@acme.example"],
        &["outbox", "list", "--json"],
        &["keys", "list", "--json"],
        &["keys", "rotate", "--json"],
        &["doctor", "--json"],
        &["openapi", "--json"],
        &["openapi", "--contract", "ingestiq", "--json"],
    ] {
        one(&here, arguments, 0);
    }
}

#[test]
fn of_every_command_that_fails() {
    let here = Installation::new();
    let code = |arguments: &[&str], exit: i32| one(&here, arguments, exit)["error"]["code"].clone();
    assert_eq!(code(&["keys", "list", "--json"], 1), "database_missing");
    assert_eq!(code(&["keys", "list", "--json", "--config", "nowhere.toml"], 1), "configuration");
    assert_eq!(code(&["serve", "--json", "--listen", "nowhere"], 2), "usage");
    assert_eq!(code(&["outbox", "code", "--json"], 2), "usage");
    assert_eq!(code(&["keys", "list", "--json", "--database", "sqlite:/proc/x/y.db"], 1), "database_missing");
    assert_eq!(
        code(&["migrate", "--json", "--database", "postgres://127.0.0.1:1/x"], 1),
        "database_unavailable"
    );
    here.write("data", "");
    assert_eq!(code(&["migrate", "--new", "--json", "--data-dir", "data"], 1), "data_directory");
}

#[tokio::test]
async fn of_a_server_when_it_is_ready() {
    let here = Installation::new();
    let server = here.serve(&["--json"]);
    let ready: Value = serde_json::from_str(server.ready_line()).unwrap();
    assert_eq!(ready, serde_json::json!({"listening": server.base}));
    server.stop();
}

#[test]
fn the_api_is_described_for_people_and_programs_alike() {
    let here = Installation::new();
    let all: Value = serde_json::from_str(&here.output(&["openapi"])).unwrap();
    assert!(all["paths"]["/api/v1/auth/login"].is_object() && all["paths"]["/api/v2/auth/login"].is_object());
    let one: Value = serde_json::from_str(&here.output(&["openapi", "--contract", "rivergen"])).unwrap();
    assert!(one["paths"]["/api/v1/auth/login"].is_object() && one["paths"]["/api/v2/auth/login"].is_null());
    let by_the_old_name = here.output(&["openapi", "--dialect", "rivergen"]);
    assert_eq!(serde_json::from_str::<Value>(&by_the_old_name).unwrap(), one);
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let here = Installation::new();
    let mut process = here.command(&["openapi"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(process.stdout.take());
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

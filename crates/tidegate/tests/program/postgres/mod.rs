//! The listener for PostgreSQL clients: psql, psycopg and SQLAlchemy, and strangers who send it anything.

mod attacks;
mod bytes;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, eventually, on_both_engines};

use crate::member::{self, ADA, post, upload};
use crate::support::{Installation, Said, Server};

fn serve(here: &Installation) -> Server {
    here.serve_with(&["--dev"], |command: &mut Command| {
        command.env("TIDEGATE_PGWIRE__LISTEN", "127.0.0.1:0");
        command.env("TIDEGATE_PGWIRE__ALLOW_PLAIN_ON_LOOPBACK", "true");
        command.env("TIDEGATE_PGWIRE__SIGN_IN_TIMEOUT", "5");
        command.env("TIDEGATE_DATA__ALLOW_PRIVATE_NETWORKS", "true");
    })
}

/// The port that clients connect to, as the log says it.
fn port(server: &Server) -> u16 {
    let log = server.log();
    let line = log.lines().find(|line| line.contains("PostgreSQL clients are served"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    let address = line.split("127.0.0.1:").nth(1).unwrap_or_else(|| panic!("{line}"));
    let digits: String = address.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Signs in, and makes a token for data alone.
async fn tokens(here: &Installation, server: &Server) -> (String, String) {
    let session = member::token(here, server).await;
    let made =
        post(server, &session, "auth/tokens", &json!({ "name": "psql", "scopes": ["data:query"] })).await;
    (session, made["token"].as_str().unwrap().to_owned())
}

/// A data source with people, of whom those of one region are seen, without their `ssn`.
async fn people(here: &Installation, server: &Server, session: &str) {
    let made = Said::of(&mut here.python("postgres/make_emp.py", &["emp.sqlite"]));
    assert_eq!(made.code, 0, "{made:?}");
    let content = std::fs::read(here.path().join("emp.sqlite")).unwrap();
    let path = upload(server, session, "emp.sqlite", &content).await;
    let source = post(
        server,
        session,
        "data-sources",
        &json!({ "name": "People", "type": "sqlite", "file_path": path }),
    )
    .await;
    let number = source["id"].clone();
    let address = format!("{}/api/v1/data-sources/{number}/schemas", server.base);
    eventually("its tables are known", async || {
        let answer: Value =
            server.http.get(&address).bearer_auth(session).send().await.ok()?.json().await.ok()?;
        answer.to_string().contains("\"emp\"").then_some(())
    })
    .await;
    for (kind, rule, config) in [
        ("row_level_security", "filter_rows", json!({ "table": "emp", "condition": "region = 'EU'" })),
        ("data_masking", "mask_column", json!({ "table": "emp", "column": "ssn", "masking_type": "null" })),
    ] {
        let rule = json!({ "rule_name": "r", "rule_type": rule, "rule_config": config });
        let body = json!({ "name": kind, "type": kind, "data_source_ids": [number], "rules": [rule] });
        post(server, session, "policies", &body).await;
    }
}

fn psql(here: &Installation, port: u16, token: &str, command: &str) -> Said {
    let mut psql = here.command_of("psql");
    psql.env("PGPASSWORD", token).env("PGSSLMODE", "prefer");
    psql.args([
        "-X",
        "-A",
        "-t",
        "-h",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-U",
        ADA,
        "-d",
        "people",
        "-c",
        command,
    ]);
    Said::of(&mut psql)
}

on_both_engines! {
    async fn clients_see_what_policies_leave(here: Installation) {
        let server = serve(&here);
        let port = port(&server);
        let (session, token) = tokens(&here, &server).await;
        people(&here, &server, &session).await;

        let shown = |command: &str| psql(&here, port, &token, command);
        assert_eq!(shown("select id, note from emp order by id").out, "1|fine\n3|fine\n");
        assert!(shown("\\d").out.contains("|emp|table|"), "{:?}", shown("\\d"));
        let columns = shown("\\d emp");
        assert!(columns.out.contains("region|text"), "{columns:?}");
        for command in ["\\dt", "\\dn", "\\l", "\\d+ emp", "select version()", "show server_version", "begin; select 1; commit"] {
            let said = shown(command);
            assert_eq!((said.code, said.err.contains("ERROR")), (0, false), "{command}: {said:?}");
        }
        assert!(shown("select 1; drop table emp").err.contains("0A000") || shown("drop table emp").code != 0);
        // What has no effect is told, once, and what drivers send is not.
        let set = shown("set search_path to sales; set search_path to shop; set statement_timeout = 0; set extra_float_digits = 3");
        assert_eq!((set.code, set.err.matches("WARNING").count()), (0, 1), "{set:?}");
        assert!(set.err.contains("search_path changes nothing here"), "{set:?}");

        let said = Said::of(&mut here.python("postgres/clients.py", &[&port.to_string(), ADA, &token, "people"]));
        assert_eq!(said.code, 0, "{said:?} {}", server.log());
        let said = said.json();
        for binary in ["False", "True"] {
            assert_eq!(said[format!("rows {binary}")], json!([[1, "EU", null], [3, "EU", null]]), "{said}");
        }
        assert_eq!((&said["quotes"], &said["text for a number"]), (&json!(0), &json!(1)));
        assert_eq!((&said["unknown column"], &said["after it"], &said["after that"]), (&json!("42703"), &json!("25P02"), &json!(2)));
        assert_eq!((&said["tables"], &said["key"]), (&json!(["emp"]), &json!(["id"])));
        assert_eq!(said["reflected"], json!([[1], [3]]));
        assert_eq!((&said["foreign keys"], &said["indexes"]), (&json!([]), &json!([])));

        let attack = |sql: &str| said["attacks"][sql].clone();
        assert_eq!(attack("select id, ssn, note from emp order by id"), json!([["1", "None", "fine"], ["3", "None", "fine"]]));
        assert_eq!(attack("with e as (select * from emp) select count(*) from e"), json!([["2"]]));
        for sql in [
            "select count(*) from emp where ssn = '987-65-4321'",
            "select count(*) from emp a, emp b where a.note like 'SECRET%'",
            "select count(*) from (select note from emp union all select note from emp) x where note like 'SECRET%'",
        ] {
            assert_eq!(attack(sql), json!([["0"]]), "{sql}");
        }
        assert_eq!(attack("select * from payroll"), "42P01");
        assert_eq!(attack("select payroll from emp"), "42703");
        assert_eq!(attack("select (select max(note) from emp) from pg_class"), "42P01");
        assert_eq!(attack("select reltuples from pg_class where relname = 'emp'"), json!([["-1.0"]]));
        for sql in [
            "explain select * from emp", "describe emp", "drop table emp", "insert into emp (id) values (9)", "copy emp to stdout",
            "create table x (y int)", "select 1; drop table emp", "select pg_read_file('/etc/passwd')",
            "select * from read_csv('/etc/passwd')", "select * from '/etc/passwd'", "set role postgres",
            "select repeat('x', 1000000000)",
        ] {
            let state = attack(sql);
            let state = state.as_str().unwrap_or_else(|| panic!("{sql} was answered: {state}"));
            assert!(["0A000", "42601", "42P01", "22000", "53200", "54000"].contains(&state), "{sql}: {state}");
        }
        let wrong = &said["wrong token"];
        assert!(wrong.as_str().unwrap().contains("do not belong together"), "{wrong}");
        for name in ["no token", "other user", "no user"] {
            assert_eq!(&said[name], wrong, "{name}");
        }
        assert!(said["other database"].as_str().unwrap().contains("no database"), "{said}");

        // It was all written down, with no value of a hidden row and no token.
        let history = server.http.get(format!("{}/api/v1/queries?page_size=100", server.base)).bearer_auth(&session);
        let history = history.send().await.unwrap().text().await.unwrap();
        assert!(history.contains("select id, note from emp order by id"), "{history}");
        let told = server.log();
        assert!(!told.contains(&token) && !told.contains("SECRET") && !told.contains("987-65") && !told.contains("from emp"), "{told}");
        assert!(server.metric("tidegate_postgres_connections_total{outcome=\"signed_in\"}").await > 1.0);
        assert!(server.metric("tidegate_postgres_connections_total{outcome=\"refused\"}").await >= 5.0);
        server.stop();
    }

    async fn a_token_that_is_revoked_or_for_something_else_gets_nowhere(here: Installation) {
        let server = serve(&here);
        let port = port(&server);
        let (session, token) = tokens(&here, &server).await;
        people(&here, &server, &session).await;
        let other = post(&server, &session, "auth/tokens", &json!({ "name": "x", "scopes": ["read"] })).await;
        let refused = psql(&here, port, other["token"].as_str().unwrap(), "select 1 from emp");
        assert!(refused.code != 0 && refused.err.contains("data:query"), "{refused:?}");
        assert!(psql(&here, port, &session, "select 1").code != 0, "a session's token is none");
        assert_eq!(psql(&here, port, &token, "select count(*) from emp").out, "2\n");
        let listed = here.json(&["user", "tokens", ADA]);
        let number = listed.as_array().unwrap().iter().find(|one| one["name"] == "psql").unwrap()["number"].to_string();
        let request = server.http.delete(format!("{}/api/v1/auth/tokens/{number}", server.base)).bearer_auth(&session);
        assert!(request.send().await.unwrap().status().is_success());
        eventually("the token is dead", async || (psql(&here, port, &token, "select 1").code != 0).then_some(())).await;
        // The clients were told the same; the operator is told why.
        for refused in ["no personal access token", "personal access token: unknown, or revoked"] {
            eventually("the log says why", async || server.log().contains(refused).then_some(())).await;
        }
        server.stop();
    }
}

// What the engine has was made on the stack of the thread that served the first client, and was too much for it: the server was gone.
#[tokio::test]
async fn the_first_query_after_a_start_may_come_from_a_postgresql_client() {
    let here = Installation::with_database(Engine::Sqlite).await;
    let server = serve(&here);
    let (session, token) = tokens(&here, &server).await;
    people(&here, &server, &session).await;
    server.stop();
    // Nothing is asked over HTTP before, and the query is as deep as it may be.
    let server = serve(&here);
    let chain = " + 1".repeat(98);
    let sum = (0..10).fold("id".to_owned(), |within, _| format!("({within}{chain})"));
    let said = psql(&here, port(&server), &token, &format!("select {sum} from emp order by id limit 1"));
    assert_eq!((said.code, said.out.as_str()), (0, "981\n"), "{said:?} {}", server.log());
    server.stop();
}

/// Sends bytes; answers what comes back until the server closes, or a second has passed.
fn send(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    drop(stream.write_all(bytes));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    answer
}

#[tokio::test]
async fn strangers_who_send_anything_leave_it_serving() {
    let here = Installation::with_database(Engine::Sqlite).await;
    let server = serve(&here);
    let port = port(&server);
    let start = |parameters: &[u8]| {
        let length = u32::try_from(8 + parameters.len()).unwrap();
        [&length.to_be_bytes()[..], &196_608_u32.to_be_bytes(), parameters].concat()
    };
    // Asks for the password, and for nothing else, before anybody has signed in.
    let asked = send(port, &start(b"user\0ada@example.com\0\0"));
    assert_eq!(asked, b"R\0\0\0\x08\0\0\0\x03");
    let query = [start(b"user\0a\0\0"), b"Q\0\0\0\x0dselect 1\0".to_vec()].concat();
    assert_eq!(send(port, &query), asked, "a query is no password");
    // No TLS here: told so, and the connection goes on.
    assert_eq!(send(port, b"\0\0\0\x08\x04\xd2\x16\x2f"), b"N");
    let huge = [start(b"user\0a\0\0"), b"p\x7f\xff\xff\xff".to_vec()].concat();
    assert_eq!(send(port, &huge), asked);
    for bytes in [
        &b""[..],
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 198.51.100.1 127.0.0.1 51000 5432\r\n",
        b"\x16\x03\x01\0\x05hello",
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02",
    ] {
        assert_eq!(send(port, bytes), b"", "{bytes:?}");
    }
    for told in [
        "a client speaks HTTP where",
        "a proxy speaks the PROXY protocol where",
        "a client begins with TLS where",
    ] {
        server.logs(told);
    }
    assert_eq!(server.get("/healthz").await.0, 200);
    assert!(!server.log().contains("panic"), "{}", server.log());
    server.stop();
}

#[tokio::test]
async fn a_handshake_that_fails_is_told_in_the_log() {
    let here = Installation::with_database(Engine::Sqlite).await;
    let mut openssl = here.command_of("openssl");
    openssl.args(["req", "-x509", "-days", "2", "-subj", "/CN=localhost", "-newkey", "ec"]);
    openssl.args(["-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tls.key", "-out", "tls.pem"]);
    let made = Said::of(&mut openssl);
    assert_eq!(made.code, 0, "{made:?}");
    let server = here.serve_with(&["--dev"], |command: &mut Command| {
        command.env("TIDEGATE_PGWIRE__LISTEN", "127.0.0.1:0");
        command.env("TIDEGATE_PGWIRE__TLS_CERT", here.path().join("tls.pem"));
        command.env("TIDEGATE_PGWIRE__TLS_KEY", here.path().join("tls.key"));
    });
    let port = port(&server);
    // Asks for TLS, and goes away.
    assert_eq!(send(port, b"\0\0\0\x08\x04\xd2\x16\x2f"), b"S");
    assert!(!server.log().contains("the handshake of TLS"), "{}", server.log());
    let garbled = [&b"\0\0\0\x08\x04\xd2\x16\x2f"[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(send(port, &garbled).first(), Some(&b'S'));
    server.logs("the handshake of TLS with a PostgreSQL client failed: ");
    server.stop();
}

#[test]
fn a_listener_without_tls_that_others_reach_is_refused() {
    let here = Installation::new();
    let mut command = here.command(&["serve", "--listen", "127.0.0.1:0"]);
    let said = Said::of(
        command
            .env("TIDEGATE_PGWIRE__LISTEN", "0.0.0.0:0")
            .env("TIDEGATE_PGWIRE__ALLOW_PLAIN_ON_LOOPBACK", "true"),
    );
    assert!(said.code != 0 && said.err.contains("tls_cert"), "{said:?}");
}

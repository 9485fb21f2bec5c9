//! Redis itself.

use std::time::Duration;

use serde_json::json;
use tidegate_connect::{ConnectionString, Credentials, ErrorCode, Relation, SourceType, open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::cells::{read, row};
use crate::servers::{Certificates, Redis, free_port, here, secret};
use crate::stubs::{self, PASSWORD};

#[tokio::test]
async fn keys_are_relations_by_their_prefix() {
    let server = Redis::start("hunter2");
    let mut admin = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let commands = "AUTH hunter2\r\nSET user:1 Zoë\r\nSET user:2 \"12\"\r\nHSET order:1 total 9.5 note \"a b\"\r\nRPUSH list x y\r\n\
                    SET \"a*b:1\" star\r\nSET axb:1 other\r\nSET bytes \"\\xff\\x00\"\r\nXADD stream:1 1-1 f v\r\nZADD rank:1 1.5 a\r\nEXPIRE list 1000\r\n";
    admin.write_all(commands.as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    let mut buffer = [0; 4096];
    while answers.iter().filter(|byte| **byte == b'\n').count() < 12 {
        let read = admin.read(&mut buffer).await.unwrap();
        answers.extend_from_slice(&buffer[..read]);
    }
    assert!(
        !answers.contains(&b'-') || !String::from_utf8_lossy(&answers).contains("-ERR"),
        "{}",
        String::from_utf8_lossy(&answers)
    );

    let source = open(server.settings("hunter2"), &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(5)).await.unwrap();
    assert!(tested.version.unwrap().starts_with("Redis "));
    assert_eq!(tested.result.as_deref(), Some("PONG"));
    let found = source.discover(None).await.unwrap();
    assert_eq!(found.schemas[0].name, "db0");
    let names: Vec<_> =
        found.schemas[0].tables.iter().map(|table| (table.name.as_str(), table.row_count)).collect();
    let expected =
        [("a*b", 1), ("axb", 1), ("keys", 2), ("order", 1), ("rank", 1), ("stream", 1), ("user", 2)];
    assert_eq!(names, expected.map(|(name, count)| (name, Some(count))));
    let mut users = read(source.as_ref(), Relation::new("db0", "user")).await.unwrap();
    users.sort();
    assert_eq!(users, [row(["user:1", "string", "NULL", "Zoë"]), row(["user:2", "string", "NULL", "12"])]);
    assert_eq!(
        read(source.as_ref(), Relation::new("db0", "a*b")).await.unwrap().len(),
        1,
        "a star is a star"
    );
    let schema = source.schema(&Relation::new("db0", "order")).await.unwrap();
    let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(columns.len(), 6, "{columns:?}");
    let mut plain = read(source.as_ref(), Relation::new("db0", "keys")).await.unwrap();
    plain.sort();
    assert_eq!(plain[0][3].as_deref(), Some("\\xff00"));
    assert_eq!(plain[1][3].as_deref(), Some("[\"x\",\"y\"]"));
    assert!(source.test(Some("FLUSHALL"), Duration::from_secs(1)).await.is_err());

    for (password, code) in [("wrong", ErrorCode::Authentication), ("", ErrorCode::Authentication)] {
        let mut settings = server.settings(password);
        if password.is_empty() {
            settings.credentials.password = None;
        }
        let source = open(settings, &here()).await.unwrap();
        let error = source.test(None, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert_eq!(error.message.contains("there is none"), password.is_empty(), "{error}");
    }
    let mut settings = server.settings("hunter2");
    settings.database_name = Some("99".to_owned());
    let source = open(settings.clone(), &here()).await.unwrap();
    assert_eq!(source.test(None, Duration::from_secs(5)).await.unwrap_err().code, ErrorCode::Query);
    settings.database_name = Some("one".to_owned());
    assert!(open(settings.clone(), &here()).await.is_err());
    settings.database_name = None;
    settings.credentials.username = secret("nobody");
    let source = open(settings, &here()).await.unwrap();
    assert_eq!(source.test(None, Duration::from_secs(5)).await.unwrap_err().code, ErrorCode::Authentication);
}

#[tokio::test]
async fn a_server_that_answers_its_own_machine_alone_says_what_it_needs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"-DENIED Redis is running in protected mode\r\n").await.unwrap();
        let mut asked = Vec::new();
        let _ = stream.read_to_end(&mut asked).await;
    });
    let mut settings = stubs::settings(SourceType::Redis, port);
    settings.database_name = None;
    let source = open(settings, &here()).await.unwrap();
    let error = source.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Connection, "{error}");
    assert!(error.message.contains("protected mode") && error.message.contains("requirepass"), "{error}");
    drop(source);
    serving.await.unwrap();
}

/// Somebody who may do anything, and has signed in.
async fn admin(server: &Redis) -> TcpStream {
    let mut admin = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    tell(&mut admin, format!("AUTH \"{PASSWORD}\"\r\n").as_bytes(), 1).await;
    admin
}

/// Sends commands, each of which is answered by one line.
async fn tell(admin: &mut TcpStream, commands: &[u8], lines: usize) {
    admin.write_all(commands).await.unwrap();
    let (mut answers, mut buffer) = (Vec::new(), [0; 4_096]);
    while answers.iter().filter(|byte| **byte == b'\n').count() < lines {
        let read = admin.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the server hung up");
        answers.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8_lossy(&answers);
    assert!(!text.lines().any(|line| line.starts_with('-')), "{text}");
}

#[tokio::test]
async fn tls_is_verified_and_a_client_certificate_is_shown() {
    let certificates = Certificates::make();
    let port = free_port();
    let tls = [
        ("tls-port", port.to_string()),
        ("tls-cert-file", certificates.path("server.pem")),
        ("tls-key-file", certificates.path("server.key")),
        ("tls-ca-cert-file", certificates.path("ca.pem")),
        ("tls-auth-clients", "yes".to_owned()),
    ];
    let tls: Vec<String> = tls.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]).collect();
    let server = Redis::start_with(PASSWORD, &tls);
    stubs::a_client_certificate_is_shown_to(server.settings(PASSWORD), port, &certificates).await;
    // A URL that says so asks for all of it: the name, too.
    let mut settings = server.settings(PASSWORD);
    settings.credentials = Credentials::default();
    settings.credentials.ssl_key = secret(&certificates.pem("client.key"));
    (settings.host, settings.port) = (None, None);
    settings.metadata.insert("ssl_cert".to_owned(), json!(certificates.pem("client.pem")));
    let url = format!("rediss://:{PASSWORD}@127.0.0.1:{port}/0");
    settings.connection_string = Some(ConnectionString::new(url));
    let source = open(settings.clone(), &here()).await.unwrap();
    let unknown = source.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::Connection, "an authority that nobody knows: {unknown}");
    settings.metadata.insert("ssl_ca".to_owned(), json!(certificates.pem("ca.pem")));
    let source = open(settings.clone(), &here()).await.unwrap();
    source.test(None, Duration::from_secs(5)).await.unwrap();
    settings.metadata.insert("ssl_server_name".to_owned(), json!("other.example"));
    let source = open(settings, &here()).await.unwrap();
    let other = source.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(other.code, ErrorCode::Connection, "another name: {other}");
}

#[tokio::test]
async fn a_url_with_a_password_of_any_characters_signs_in() {
    let server = Redis::start(PASSWORD);
    for (password, code) in [(PASSWORD, None), ("hunter2@:/#", Some(ErrorCode::Authentication))] {
        let mut settings = server.settings("");
        settings.credentials = Credentials::default();
        (settings.host, settings.port) = (None, None);
        let url = format!("redis://default:{password}@127.0.0.1:{}/0", server.port);
        settings.connection_string = Some(ConnectionString::new(url));
        let source = open(settings, &here()).await.unwrap();
        let tested = source.test(None, Duration::from_secs(5)).await.map(drop);
        assert!(!format!("{tested:?}").contains("hunter2"), "{tested:?}");
        assert_eq!(tested.err().map(|error| error.code), code);
    }
}

#[tokio::test]
async fn names_and_values_of_any_kind_are_read() {
    let server = Redis::start(PASSWORD);
    let mut admin = admin(&server).await;
    let large = vec![b'x'; 10 << 20];
    let set = format!("*3\r\n$3\r\nSET\r\n$5\r\nbig:1\r\n${}\r\n", large.len());
    tell(&mut admin, &[set.as_bytes(), large.as_slice(), b"\r\n".as_slice()].concat(), 1).await;
    for (key, value) in [("\\\"; drop:1", "a"), ("🛒:1", "b"), (":1", "c")] {
        tell(&mut admin, format!("SET \"{key}\" {value}\r\n").as_bytes(), 1).await;
    }
    let source = open(server.settings(PASSWORD), &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    let names: Vec<_> = found.schemas[0].tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["", "\"; drop", "big", "🛒"]);
    for (table, value) in [("", "c"), ("\"; drop", "a"), ("🛒", "b")] {
        let rows = read(source.as_ref(), Relation::new("db0", table)).await.unwrap();
        assert_eq!((rows.len(), rows[0][3].as_deref()), (1, Some(value)), "{table:?}");
    }
    let rows = read(source.as_ref(), Relation::new("db0", "big")).await.unwrap();
    assert_eq!(rows[0][3].as_ref().map(String::len), Some(large.len()));
}

#[tokio::test]
async fn a_connection_that_was_closed_is_opened_again_and_a_server_that_stands_still_is_left() {
    let server = Redis::start(PASSWORD);
    let mut admin = admin(&server).await;
    tell(&mut admin, b"SET user:1 x\r\n", 1).await;
    let mut settings = server.settings(PASSWORD);
    settings.metadata.insert("cache_seconds".to_owned(), json!(0));
    let source = open(settings.clone(), &here()).await.unwrap();
    let users = || Relation::new("db0", "user");
    for _ in 0..3 {
        assert_eq!(read(source.as_ref(), users()).await.unwrap().len(), 1);
        tell(&mut admin, b"CLIENT KILL TYPE normal\r\n", 1).await;
    }
    tell(&mut admin, b"CLIENT PAUSE 4000 ALL\r\n", 1).await;
    let late = source.test(None, Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(late.code, ErrorCode::Timeout, "{late}");
    // It goes on, and so does the source.
    settings.connection_timeout = Duration::from_secs(30);
    let source = open(settings, &here()).await.unwrap();
    source.test(None, Duration::from_secs(30)).await.unwrap();
    assert_eq!(read(source.as_ref(), users()).await.unwrap().len(), 1);
}

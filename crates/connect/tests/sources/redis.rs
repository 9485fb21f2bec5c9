//! Redis itself.

use std::time::Duration;

use tidegate_connect::{ErrorCode, Relation, open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cells::{read, row};
use crate::servers::{Redis, here, secret};

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

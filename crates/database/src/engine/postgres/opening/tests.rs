use std::str::FromStr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that answers the first message of a client with `answer`, and the address it is tried at.
async fn answers(answer: Vec<u8>, options: &str) -> PgConnectOptions {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = [0; 4];
                while client.read_exact(&mut head).await.is_ok() {
                    let mut rest = vec![0; u32::from_be_bytes(head) as usize - head.len()];
                    client.read_exact(&mut rest).await.unwrap();
                    // "SSL session encryption": TLS is not offered.
                    if rest == 80_877_103_u32.to_be_bytes() {
                        client.write_all(b"N").await.unwrap();
                        continue;
                    }
                    client.write_all(&answer).await.unwrap();
                    break;
                }
                drop(client.shutdown().await);
                // Until the client has read it.
                drop(client.read_to_end(&mut Vec::new()).await);
            });
        }
    });
    PgConnectOptions::from_str(&format!("postgres://ada:hunter2@127.0.0.1:{port}/shop{options}")).unwrap()
}

/// A message of a server.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, body].concat()
}

/// A refusal of a server.
pub(crate) fn error(code: &str, routine: &str, text: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{text}\0L990334\0R{routine}\0\0");
    message(b'E', fields.as_bytes())
}

/// What a server says that lets a client in.
pub(crate) fn greeting(version: &str) -> Vec<u8> {
    let status = message(b'S', format!("server_version\0{version}\0").as_bytes());
    [message(b'R', &0_u32.to_be_bytes()), status, message(b'K', &[0; 8]), message(b'Z', b"I")].concat()
}

#[tokio::test]
async fn each_refusal_of_a_server_says_what_is_wrong_and_what_to_do() {
    for (answer, options, code, what, advice) in [
        (error("28P01", "auth_failed", "falsch"), "", "database_login", "refuses the password of ada", "%40"),
        (
            error("28P01", "auth_failed", "falsch"),
            "",
            "database_login",
            "refuses the password of ada",
            "`alter role ada valid until 'infinity'`",
        ),
        (
            error("55000", "CheckMyDatabase", "zu"),
            "",
            "database_unavailable",
            "lets nobody into the database shop: zu",
            "`alter database shop allow_connections true`",
        ),
        (
            error("57014", "ProcessInterrupts", "zu spät"),
            "",
            "database_unavailable",
            "zu spät",
            "`alter role USER reset statement_timeout`",
        ),
        (
            error("28000", "InitializeSessionUserId", "x"),
            "",
            "database_login",
            "has no role ada",
            "`alter role ada login`",
        ),
        (
            error("28000", "ClientAuthentication", "no entry"),
            "",
            "database_login",
            "does not let ada in",
            "?sslmode=require",
        ),
        (
            error("3D000", "InitPostgres", "x"),
            "",
            "database_missing",
            "has no database shop",
            "createdb --owner ada shop",
        ),
        (
            error("42501", "CheckMyDatabase", "x"),
            "",
            "database_permission",
            "may not connect",
            "grant connect",
        ),
        (error("53300", "x", "too many"), "", "database_unavailable", "too many", "max_connections"),
        (
            error("53300", "InitializeSessionUserId", "zu viele"),
            "",
            "database_unavailable",
            "allows the role ada no more connections: zu viele",
            "`alter role ada connection limit N`",
        ),
        (
            error("53300", "CheckMyDatabase", "zu viele"),
            "",
            "database_unavailable",
            "allows the database shop no more connections: zu viele",
            "`alter database shop connection limit N`",
        ),
        (error("57P03", "x", "starting up"), "", "database_unavailable", "starting up", "try again"),
        (
            error("08P01", "x", "unsupported startup parameter"),
            "",
            "database_pooler",
            "unsupported",
            "Poolers",
        ),
        (Vec::new(), "?sslmode=require", "database_tls", "offers no TLS", "postgresql.conf"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "", "database_unavailable", "", "check"),
        (Vec::new(), "", "database_unavailable", "closes the connection", "PostgreSQL is what answers"),
    ] {
        let connect = answers(answer, options).await;
        let Refused { refusal, .. } = attempt(&connect).await.unwrap_err();
        let text = refusal.to_string();
        assert_eq!(refusal.code, code, "{text}");
        assert!(refusal.what.contains(what) && refusal.advice.contains(advice), "{text}");
        assert!(
            !text.contains("hunter2") && !text.contains("990334") && !text.contains("os error"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_password_that_was_left_out_is_not_called_a_wrong_one() {
    let connect = answers(error("28P01", "auth_failed", "falsch"), "").await;
    let told = async |address: &str| {
        let options = StoreOptions::new(address.parse().unwrap());
        let StoreError::Refused(refusal) = try_connect(&connect, &options).await.unwrap_err() else {
            panic!("{address}")
        };
        assert_eq!(refusal.code, "database_login");
        refusal.to_string()
    };
    let without = told("postgres://ada@h/shop").await;
    for part in ["asks for a password of ada", "the address has none", "PGPASSWORD"] {
        assert!(without.contains(part), "{part}: {without}");
    }
    let with = told("postgres://ada:hunter2@h/shop").await;
    assert!(with.contains("refuses the password of ada") && !with.contains("hunter2"), "{with}");
    // Of the environment.
    let given = left_out(&connect, true).to_string();
    assert!(given.contains("refuses the password of ada that is in PGPASSWORD"), "{given}");
    assert!(!given.contains("has none") && given.contains("a role that does not exist"), "{given}");
}

#[tokio::test]
async fn what_closes_the_connection_before_or_after_the_first_message_is_told_alike() {
    for reads_first in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if reads_first {
                    client.read_exact(&mut [0; 8]).await.unwrap();
                }
            }
        });
        let connect = PgConnectOptions::from_str(&format!("postgres://ada@127.0.0.1:{port}/shop")).unwrap();
        let Refused { refusal, passes, .. } = attempt(&connect).await.unwrap_err();
        assert!(refusal.what.contains("closes the connection") && passes, "{refusal}");
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_is_told_from_one_that_is_not() {
    let connect = answers(greeting("9.6.24"), "").await;
    let refused = attempt(&connect).await.unwrap_err().refusal;
    assert_eq!(refused.code, "database_too_old", "{refused}");
    assert!(
        refused.what.ends_with("is version 9.6") && refused.advice.contains("PostgreSQL 15"),
        "{refused}"
    );
    assert_eq!((in_words(140_009), in_words(90_624)), ("14.9".to_owned(), "9.6".to_owned()));
}

#[tokio::test]
async fn what_is_not_there_is_told_at_once() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for (address, what) in [
        (format!("postgres://ada@127.0.0.1:{port}/shop"), "refuses connections"),
        ("postgres:///shop?host=/nowhere&user=ada".to_owned(), "is not there"),
        (
            "postgres://ada@no-such-host.invalid/shop".to_owned(),
            "the host no-such-host.invalid cannot be found",
        ),
        (format!("postgres://ada@127.0.0.1:{port}/shop?sslmode=verify-full&sslrootcert=/nowhere.pem"), ""),
    ] {
        let options = StoreOptions::new(address.parse().unwrap());
        let connect = super::super::connect_options(&address).unwrap();
        let text = try_connect(&connect, &options).await.unwrap_err().to_string();
        assert!(text.contains(what) && text.contains("; ") && !text.contains("os error"), "{text}");
    }
}

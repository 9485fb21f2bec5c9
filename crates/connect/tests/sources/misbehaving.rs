//! Servers that are none, or bad ones. Whatever they do, the answer comes in time, with a code, and nothing stays behind.

use std::time::{Duration, Instant};

use tidegate_connect::{ErrorCode, Settings, SourceType, open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::servers::{here, secret};

/// Serves every connection by a function; gives the port.
async fn serve<F: Future<Output = ()> + Send + 'static>(
    each: impl Fn(TcpStream) -> F + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(each(stream));
        }
    });
    port
}

fn settings(kind: SourceType, port: u16) -> Settings {
    let mut settings = Settings::new(kind);
    settings.host = Some("127.0.0.1".to_owned());
    settings.port = Some(port);
    settings.database_name = Some("d".to_owned());
    settings.credentials.username = secret("u");
    settings.credentials.password = secret("hunter2");
    settings.connection_timeout = Duration::from_secs(1);
    settings.query_timeout = Duration::from_secs(2);
    settings
}

async fn code(kind: SourceType, port: u16) -> ErrorCode {
    let began = Instant::now();
    let source = open(settings(kind, port), &here()).await.unwrap();
    let error = source.test(None, Duration::from_secs(1)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    error.code
}

const KINDS: [SourceType; 7] = [
    SourceType::Postgresql,
    SourceType::Mysql,
    SourceType::Sqlserver,
    SourceType::Synapse,
    SourceType::Mongodb,
    SourceType::Cassandra,
    SourceType::Kafka,
];

#[tokio::test]
async fn a_server_that_never_answers_is_left_in_time() {
    let port = serve(|mut stream| async move {
        let mut buffer = [0; 1024];
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    for kind in KINDS {
        assert_eq!(code(kind, port).await, ErrorCode::Timeout, "{kind}");
    }
}

#[tokio::test]
async fn garbage_is_an_error_and_no_panic() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        &[0; 4096],
        &[0xff; 4096],
        b"N\x52\x00\x00\x00\x00",
        b"\x52\x7f\xff\xff\xff",
        // Beginnings that the other protocols accept, with lengths that are none: TDS, MongoDB, CQL, Kafka.
        b"\x04\x01\xff\xff\x00\x00\x01\x00\xff",
        b"\x10\x00\x00\x02\x00\x00\x00\x00\x01\x00\x00\x00\xdd\x07\x00\x00",
        b"\x84\x00\x00\x00\x02\x7f\xff\xff\xff",
        b"\x00\x00\x00\x0a\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff",
    ] {
        let port = serve(move |mut stream| async move {
            let mut buffer = [0; 1024];
            let _ = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut buffer)).await;
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        })
        .await;
        for kind in KINDS {
            let code = code(kind, port).await;
            assert!(
                matches!(code, ErrorCode::Connection | ErrorCode::Query | ErrorCode::Timeout),
                "{kind} {answer:?}: {code}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_closes_at_once_is_a_failed_connection() {
    let port = serve(|stream| async move { drop(stream) }).await;
    for kind in KINDS {
        assert_eq!(code(kind, port).await, ErrorCode::Connection, "{kind}");
    }
}

#[tokio::test]
async fn bad_tls_is_a_failed_connection() {
    // Says yes to TLS and then sends no TLS.
    let port = serve(|mut stream| async move {
        let mut buffer = [0; 8];
        let _ = stream.read_exact(&mut buffer).await;
        let _ = stream.write_all(b"S").await;
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(&[0x17; 4096]).await;
    })
    .await;
    assert_eq!(code(SourceType::Postgresql, port).await, ErrorCode::Connection);
}

#[tokio::test]
async fn a_connection_that_drops_in_the_middle_of_a_read_is_an_error_of_the_read() {
    use futures_util::StreamExt;
    use tidegate_connect::{Relation, Scan};
    let server = crate::servers::Postgres::start(&[]);
    server
        .admin("postgres")
        .await
        .batch_execute("CREATE VIEW endless AS SELECT generate_series(1, 1000000000) AS i")
        .await
        .unwrap();
    let there = server.port;
    // A proxy that cuts each connection after 300,000 bytes of answers.
    let port = serve(move |mut near| async move {
        let mut far = TcpStream::connect(("127.0.0.1", there)).await.unwrap();
        let (mut from_near, mut to_near) = near.split();
        let (from_far, mut to_far) = far.split();
        let mut some = from_far.take(300_000);
        tokio::select! {
            _ = tokio::io::copy(&mut from_near, &mut to_far) => {}
            _ = tokio::io::copy(&mut some, &mut to_near) => {}
        }
    })
    .await;
    let mut settings = server.settings("postgres");
    settings.port = Some(port);
    let source = open(settings, &here()).await.unwrap();
    let mut stream = source.scan(Scan::all(Relation::new("public", "endless"))).await.unwrap();
    let mut failure = None;
    while let Some(batch) = stream.next().await {
        if let Err(error) = batch {
            failure = Some(error);
        }
    }
    assert_eq!(failure.unwrap().code, ErrorCode::Connection);
}

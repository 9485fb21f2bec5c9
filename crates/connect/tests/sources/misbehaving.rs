//! Servers that are none, or bad ones. Whatever they do, the answer comes in time, with a code, and nothing stays behind.

use std::time::{Duration, Instant};

use serde_json::json;
use tidegate_connect::{
    ConnectionString, ErrorCode, NetworkPolicy, Settings, SourceError, SourceType, SshSettings, open, types,
};
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
    // Redis has numbers, and takes the first.
    settings.database_name = (kind != SourceType::Redis).then(|| "d".to_owned());
    settings.credentials.username = secret("u");
    settings.credentials.password = secret("hunter2");
    settings.connection_timeout = Duration::from_secs(1);
    settings.query_timeout = Duration::from_secs(2);
    settings
}

async fn code(kind: SourceType, port: u16) -> ErrorCode {
    failure(settings(kind, port)).await.code
}

/// Why a test fails; in time, and without a secret.
async fn failure(settings: Settings) -> SourceError {
    let kind = settings.kind;
    let began = Instant::now();
    let tested = match open(settings, &here()).await {
        Ok(source) => source.test(None, Duration::from_secs(1)).await.map(drop),
        Err(error) => Err(error),
    };
    let error = tested.expect_err(kind.as_str());
    assert!(began.elapsed() < Duration::from_secs(45), "{kind}: {:?}", began.elapsed());
    assert!(!format!("{error:?}").contains("hunter2"), "{kind}: {error:?}");
    error
}

/// Every type that speaks HTTP, at a port of this machine.
fn over_http(port: u16) -> impl Iterator<Item = Settings> {
    over_http_by("http", port)
}

/// The same, by `http` or `https`.
pub(crate) fn over_http_by(scheme: &str, port: u16) -> impl Iterator<Item = Settings> + use<> {
    let all = [
        SourceType::Clickhouse,
        SourceType::Elasticsearch,
        SourceType::Couchbase,
        SourceType::Neo4j,
        SourceType::Oracle,
        SourceType::Db2,
        SourceType::Snowflake,
        SourceType::Databricks,
        SourceType::Bigquery,
        SourceType::Pubsub,
        SourceType::Athena,
        SourceType::Dynamodb,
        SourceType::Kinesis,
        SourceType::S3,
        SourceType::Gcs,
        SourceType::AzureBlob,
        SourceType::RestApi,
        SourceType::Graphql,
    ];
    let place = format!("{scheme}://127.0.0.1:{port}");
    let metadata = json!({
        "tls": scheme == "https", "endpoint": place, "url": place, "region": "eu-north-1", "project": "p", "query": "{ a { b } }", "rows_path": "data.a",
    });
    all.into_iter().map(move |kind| {
        let mut settings = settings(kind, port);
        settings.metadata = metadata.as_object().unwrap().clone();
        settings.credentials.oauth_token = secret("hunter2");
        settings.credentials.warehouse = secret("w");
        // An account's key would have to be Base64; the token does.
        settings.credentials.password =
            settings.credentials.password.filter(|_| kind != SourceType::AzureBlob);
        settings
    })
}

const KINDS: [SourceType; 8] = [
    SourceType::Redis,
    SourceType::Postgresql,
    SourceType::Mysql,
    SourceType::Sqlserver,
    SourceType::Synapse,
    SourceType::Mongodb,
    SourceType::Cassandra,
    SourceType::Kafka,
];

/// Every type that may cross a network, at a port of this machine.
fn over_networks(port: u16) -> impl Iterator<Item = Settings> {
    let others = [SourceType::Mariadb, SourceType::Cockroachdb, SourceType::Redshift];
    let binary = KINDS.into_iter().chain(others).map(move |kind| {
        let mut settings = settings(kind, port);
        settings.schema_name = (kind == SourceType::Cassandra).then(|| "s".to_owned());
        settings
    });
    over_http(port).chain(binary)
}

// Each driver would have a way of its own to forget to ask.
#[tokio::test]
async fn no_type_of_source_calls_an_address_that_is_closed() {
    let (came, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let port = serve(move |stream| {
        let came = came.clone();
        async move {
            let _ = came.send(());
            drop(stream);
        }
    })
    .await;
    let crossing = types().iter().filter(|info| info.tls().is_some()).count();
    assert_eq!(over_networks(port).count(), crossing, "every type is asked");
    let ssh = SshSettings {
        host: "127.0.0.1".to_owned(),
        port,
        username: "u".to_owned(),
        local_port: None,
        password: secret("hunter2"),
        pinned_host_key: None,
    };
    for tunnel in [None, Some(ssh)] {
        for mut settings in over_networks(port) {
            settings.ssh = tunnel.clone();
            let kind = settings.kind;
            let tested = match open(settings, &NetworkPolicy::default()).await {
                Ok(source) => source.test(None, Duration::from_secs(5)).await.map(drop),
                Err(error) => Err(error),
            };
            let error = tested.expect_err(kind.as_str());
            let code = if tunnel.is_some() { ErrorCode::SshTunnel } else { ErrorCode::Connection };
            assert_eq!(error.code, code, "{kind}: {error:?}");
            assert!(!error.message.contains("127"), "{kind}: {error:?}");
        }
    }
    // The key of a service account names where tokens are fetched.
    for kind in [SourceType::Bigquery, SourceType::Pubsub, SourceType::Gcs] {
        let mut settings = over_http(port).find(|settings| settings.kind == kind).unwrap();
        settings.metadata.insert("endpoint".to_owned(), json!("http://198.51.100.1/"));
        let key = json!({
            "type": "service_account", "client_email": "a@example.com", "private_key": crate::servers::rsa_key().0,
            "token_uri": format!("http://127.0.0.1:{port}/token"), "project_id": "p",
        });
        let credentials = &mut settings.credentials;
        (credentials.username, credentials.password, credentials.oauth_token) = (None, None, None);
        credentials.api_key = secret(&key.to_string());
        let tested = match open(settings, &NetworkPolicy::default()).await {
            Ok(source) => source.test(None, Duration::from_secs(5)).await.map(drop),
            Err(error) => Err(error),
        };
        assert_eq!(tested.expect_err(kind.as_str()).code, ErrorCode::Connection, "{kind}");
    }
    assert!(heard.try_recv().is_err(), "somebody was called");
}

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

// A server of MySQL greets; of PostgreSQL, HTTP and many others it waits for its client to begin, as MySQL's client does.
#[tokio::test]
async fn what_does_not_greet_as_mysql_does_is_told_as_another_kind_of_server_before_its_time_is_over() {
    for (greeting, code, said) in [
        (&b""[..], ErrorCode::Timeout, "What listens there did not greet, as MySQL does"),
        (
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            ErrorCode::Connection,
            "What listens there does not answer as MySQL does",
        ),
    ] {
        let port = serve(move |mut stream| async move {
            let _ = stream.write_all(greeting).await;
            let mut buffer = [0; 1024];
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        })
        .await;
        let mut settings = settings(SourceType::Mysql, port);
        settings.connection_timeout = Duration::from_secs(10);
        let source = open(settings, &here()).await.unwrap();
        let error = source.test(None, Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.message.starts_with(said), "{error:?}");
    }
}

#[tokio::test]
async fn what_does_not_answer_as_postgresql_does_is_told_as_another_kind_of_server() {
    for answer in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"J\0\0\0\x0a8.0.36\0", b"-ERR unknown command\r\n"]
    {
        // It stays open: nothing but the answer tells.
        let port = serve(move |mut stream| async move {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer).await;
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        })
        .await;
        for kind in [SourceType::Postgresql, SourceType::Cockroachdb, SourceType::Redshift] {
            let error = failure(settings(kind, port)).await;
            assert_eq!(error.code, ErrorCode::Connection, "{kind}: {error:?}");
            let said = "What listens there does not answer as PostgreSQL does";
            assert!(error.message.starts_with(said), "{kind}: {error:?}");
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

#[tokio::test]
async fn a_web_server_that_never_answers_is_left_in_time() {
    let port = serve(|mut stream| async move {
        let mut buffer = [0; 1024];
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let all: Vec<_> = over_http(port).collect();
    let codes = futures_util::future::join_all(all.into_iter().map(|settings| async move {
        let kind = settings.kind;
        (kind, failure(settings).await.code)
    }));
    for (kind, code) in codes.await {
        assert_eq!(code, ErrorCode::Timeout, "{kind}");
    }
}

// The second stops in the middle of what it announced; the third sends on to where nobody may be.
#[tokio::test]
async fn a_web_server_that_answers_garbage_or_breaks_off_is_an_error() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let answers: [(Vec<u8>, bool); 7] = [
        (vec![0xff; 4_096], true),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{\"a\": [".to_vec(), true),
        (
            b"HTTP/1.1 307 Elsewhere\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
                .to_vec(),
            true,
        ),
        (Vec::new(), true),
        (long.into_bytes(), true),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{".to_vec(), true),
        (b"HTTP/1.1 500 No\r\ncontent-length: 7\r\n\r\nhunter2".to_vec(), false),
    ];
    for (answer, is_connection) in answers {
        let start = String::from_utf8_lossy(&answer[..answer.len().min(40)]).into_owned();
        let port = serve(move |mut stream| {
            let answer = answer.clone();
            async move {
                let _ = stream.read(&mut [0; 16_384]).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        })
        .await;
        for settings in over_http(port) {
            let kind = settings.kind;
            let error = failure(settings).await;
            let is_known = matches!(error.code, ErrorCode::Connection | ErrorCode::Query);
            assert!(
                is_known && (!is_connection || error.code == ErrorCode::Connection),
                "{kind} {start}: {error:?}"
            );
        }
    }
}

/// Answers every request with a status and a body.
async fn answering(status: &str, body: &str) -> u16 {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    serve(move |mut stream| {
        let answer = answer.clone();
        async move {
            let _ = stream.read(&mut [0; 16_384]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn credentials_that_a_web_server_refuses_are_told_as_such_and_by_no_secret() {
    let port = answering("401 Unauthorized", "hunter2 is not the password").await;
    for settings in over_http(port) {
        let kind = settings.kind;
        let error = failure(settings).await;
        assert_eq!(error.code, ErrorCode::Authentication, "{kind}: {error:?}");
    }
}

// Some interfaces answer 200 and an error, and servers repeat what they were sent.
#[tokio::test]
async fn an_error_in_an_answer_that_says_success_has_no_secret() {
    let answers = [
        (
            SourceType::Neo4j,
            json!({ "errors": [{ "code": "Neo.ClientError.Statement", "message": "hunter2" }] }),
        ),
        (
            SourceType::Couchbase,
            json!({ "status": "fatal", "errors": [{ "code": 3_000, "msg": "hunter2" }] }),
        ),
        (SourceType::Oracle, json!({ "items": [{ "errorCode": 942, "errorDetails": "hunter2" }] })),
        (
            SourceType::Databricks,
            json!({ "statement_id": "1", "status": { "state": "FAILED", "error": { "message": "hunter2" } } }),
        ),
    ];
    for (kind, answer) in answers {
        let port = answering("200 OK", &answer.to_string()).await;
        let settings = over_http(port).find(|settings| settings.kind == kind).unwrap();
        let error = failure(settings).await;
        assert!(error.detail.contains("***"), "{kind}: {error:?}");
    }
}

// A request that nobody waits for is none at the server, either.
#[tokio::test]
async fn a_web_server_is_left_when_nobody_waits_for_its_answer() {
    for index in 0..over_http(1).count() {
        let (asked, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let port = serve(move |mut stream| {
            let asked = asked.clone();
            async move {
                let mut buffer = [0; 16_384];
                let _ = stream.read(&mut buffer).await;
                let _ = asked.send("asked");
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                let _ = asked.send("left");
            }
        })
        .await;
        let mut settings = over_http(port).nth(index).unwrap();
        let kind = settings.kind;
        settings.connection_timeout = Duration::from_secs(600);
        settings.query_timeout = Duration::from_secs(600);
        let waiting = tokio::spawn(async move {
            let source = open(settings, &here()).await?;
            source.test(None, Duration::from_secs(600)).await.map(drop)
        });
        assert_eq!(heard.recv().await, Some("asked"), "{kind}");
        waiting.abort();
        // Where queries are cancelled by another request, that may be heard first.
        while heard.recv().await.expect("a server") != "left" {}
    }
}

// The address would end at the password's `/`: "me" would be asked, and told the rest.
#[tokio::test]
async fn a_password_in_the_address_of_a_web_server_is_refused_and_told_to_nobody() {
    let kinds = [
        SourceType::Clickhouse,
        SourceType::Elasticsearch,
        SourceType::Couchbase,
        SourceType::Neo4j,
        SourceType::Oracle,
        SourceType::Db2,
    ];
    for kind in kinds {
        for password in ["hunter2", "hunter2@:/#%", "80/hunter2", "#hunter2", "%68unter2?"] {
            let mut settings = settings(kind, 1);
            (settings.host, settings.port) = (None, None);
            settings.connection_string =
                Some(ConnectionString::new(format!("http://127.0.0.1:{password}@127.0.0.1:1/ords/hr")));
            let error = failure(settings).await;
            assert_eq!(error.code, ErrorCode::Connection, "{kind} {password}");
            assert!(error.message.contains("belong to the credentials"), "{kind} {password}: {error}");
        }
    }
}

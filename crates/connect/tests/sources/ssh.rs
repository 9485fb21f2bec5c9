//! Tunnels through OpenSSH.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use serde_json::json;
use tidegate_connect::{ErrorCode, Relation, Settings, SourceType, SshSettings, open};

use crate::cells::read;
use crate::servers::{Postgres, Redis, Sshd, here, secret};
use crate::stubs::{self, PASSWORD};

fn through(server: &Postgres, ssh: &Sshd) -> Settings {
    behind(server.settings("postgres"), ssh)
}

/// The same source, reached through an SSH server.
pub(crate) fn behind(mut settings: Settings, ssh: &Sshd) -> Settings {
    settings.credentials.ssh_private_key = secret(&ssh.key("client"));
    settings.connection_timeout = Duration::from_secs(5);
    settings.ssh = Some(SshSettings {
        host: "127.0.0.1".to_owned(),
        port: ssh.port,
        username: ssh.user.clone(),
        local_port: None,
        password: None,
        pinned_host_key: None,
    });
    settings
}

#[tokio::test]
async fn a_source_behind_openssh_is_reached_and_the_host_key_is_pinned() {
    let server = Postgres::start(&[]);
    let ssh = Sshd::start("");
    let mut settings = through(&server, &ssh);
    let source = open(settings.clone(), &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(5)).await.unwrap();
    assert!(tested.tunnel);
    server
        .admin("postgres")
        .await
        .batch_execute("CREATE TABLE t AS SELECT repeat('x', 100000) FROM generate_series(1, 100)")
        .await
        .unwrap();
    assert_eq!(read(source.as_ref(), Relation::new("public", "t")).await.unwrap().len(), 100);
    let key = source.host_key().unwrap();
    let host = ssh.key("host.pub");
    assert!(host.starts_with(&key), "{key} {host}");
    source.close().await;
    assert!(source.test(None, Duration::from_secs(5)).await.is_err());

    let pinned =
        |settings: &mut Settings, key: String| settings.ssh.as_mut().unwrap().pinned_host_key = Some(key);
    pinned(&mut settings, key);
    assert!(open(settings.clone(), &here()).await.is_ok());
    pinned(&mut settings, ssh.key("client.pub"));
    let refused = open(settings.clone(), &here()).await.map(drop).unwrap_err();
    assert_eq!(refused.code, ErrorCode::SshTunnel);
    assert!(
        refused.message.contains("another key") && refused.message.contains(r#"send "ssh_host_key": """#),
        "{refused}"
    );
    pinned(&mut settings, "nonsense".to_owned());
    assert_eq!(open(settings, &here()).await.map(drop).unwrap_err().code, ErrorCode::SshTunnel);
}

#[tokio::test]
async fn keys_are_taken_with_their_passphrase_and_others_refused() {
    let server = Postgres::start(&[]);
    let ssh = Sshd::start("");
    let opened = async |change: &dyn Fn(&mut Settings)| {
        let mut settings = through(&server, &ssh);
        change(&mut settings);
        open(settings, &here()).await.map(drop)
    };
    let rsa = ssh.key("client_rsa");
    opened(&|settings| {
        settings.credentials.ssh_private_key = secret(&rsa);
        settings.credentials.ssh_passphrase = secret("let me in");
    })
    .await
    .unwrap();
    let refused = async |change: &dyn Fn(&mut Settings)| {
        let error = opened(change).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::SshTunnel, "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
        error.message
    };
    let wrong = refused(&|settings| {
        settings.credentials.ssh_private_key = secret(&rsa);
        settings.credentials.ssh_passphrase = secret("hunter2");
    })
    .await;
    assert!(wrong.contains("passphrase"));
    assert!(
        refused(&|settings| settings.credentials.ssh_private_key = secret("hunter2"))
            .await
            .contains("cannot be read")
    );
    for (sent, said) in [
        (ssh.key("client.pub"), "a public key"),
        ("~/.ssh/id_ed25519".to_owned(), "not the file's name"),
        (rsa.replace('\n', " "), "its lines became one"),
        (rsa.replace('\n', "\\n"), "its lines became one"),
        (rsa.clone(), "its passphrase is credentials.ssh_passphrase"),
    ] {
        let told = refused(&|settings| settings.credentials.ssh_private_key = secret(&sent)).await;
        assert!(told.contains(said), "{said}: {told}");
    }
    let host_key = ssh.key("host");
    assert!(
        refused(&|settings| settings.credentials.ssh_private_key = secret(&host_key))
            .await
            .contains("refused")
    );
    let neither = refused(&|settings| {
        settings.credentials.ssh_private_key = None;
        settings.credentials.password = None;
    })
    .await;
    assert!(neither.contains("neither"));
    refused(&|settings| {
        settings.credentials.ssh_private_key = None;
        settings.ssh.as_mut().unwrap().password = secret("hunter2");
    })
    .await;
    refused(&|settings| settings.ssh.as_mut().unwrap().port = crate::servers::free_port()).await;
    // The server of the data source is no SSH server.
    refused(&|settings| settings.ssh.as_mut().unwrap().port = server.port).await;
    let inside = open(through(&server, &ssh), &Default::default()).await.map(drop).unwrap_err();
    assert_eq!(inside.code, ErrorCode::SshTunnel);
}

#[tokio::test]
async fn what_the_ssh_server_does_not_forward_to_is_an_error_of_the_tunnel() {
    let server = Postgres::start(&[]);
    let ssh = Sshd::start("PermitOpen 127.0.0.1:1");
    let source = open(through(&server, &ssh), &here()).await.unwrap();
    let refused = source.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::SshTunnel, "{refused}");
    let mut settings = through(&server, &ssh);
    settings.host = Some("169.254.169.254".to_owned());
    let source = open(settings, &here()).await.unwrap();
    assert_eq!(source.test(None, Duration::from_secs(5)).await.unwrap_err().code, ErrorCode::Connection);
}

/// A ClickHouse that has one relation of two rows.
async fn clickhouse() -> Settings {
    let (port, _) = crate::http::serve(|asked| {
        let body = match asked.body.as_str() {
            text if text.contains("version()") => "[\"24.8\"]\n",
            text if text.contains("system.columns") => {
                "[\"shop\",\"t\",\"T\",2,\"\",\"id\",\"UInt8\",null,null,\"N\",\"\",null,null]\n"
            }
            "SELECT 1 FORMAT JSONCompactEachRow" => "[1]\n",
            _ => "[1]\n[2]\n",
        };
        (200, vec![], body.to_owned())
    })
    .await;
    let mut settings = stubs::settings(SourceType::Clickhouse, port);
    settings.metadata.insert("tls".to_owned(), json!(false));
    settings
}

// Each protocol opens streams of its own: that of one says nothing of the others.
#[tokio::test]
async fn every_protocol_goes_through_the_tunnel() {
    let redis = Redis::start(PASSWORD);
    let at = stubs::settings;
    let sources = [
        (at(SourceType::Sqlserver, crate::tds::served().await), Some(("dbo", "t", 2))),
        (at(SourceType::Mongodb, crate::mongodb::served().await), Some(("shop", "people", 2))),
        (at(SourceType::Cassandra, crate::cassandra::served().await), Some(("shop", "t", 2))),
        // The broker names itself anew, and that address is behind the tunnel, too.
        (at(SourceType::Kafka, crate::kafka::served().await), Some(("main", "clicks", 4))),
        (clickhouse().await, Some(("shop", "t", 2))),
        (redis.settings(PASSWORD), None),
    ];
    let ssh = Sshd::start("");
    let closed = Sshd::start("PermitOpen 127.0.0.1:1");
    for (settings, relation) in sources {
        let kind = settings.kind;
        let source = open(behind(settings.clone(), &ssh), &here()).await.unwrap();
        let tested = source.test(None, Duration::from_secs(5)).await;
        assert!(tested.unwrap_or_else(|error| panic!("{kind}: {error:?}")).tunnel, "{kind}");
        if let Some((schema, table, count)) = relation {
            let rows = read(source.as_ref(), Relation::new(schema, table)).await.unwrap();
            assert_eq!(rows.len(), count, "{kind}");
        }
        source.close().await;
        assert!(source.test(None, Duration::from_secs(5)).await.is_err(), "{kind}: its tunnel is closed");
        // A server that forwards to nothing: whoever went past it would still be answered.
        let source = open(behind(settings, &closed), &here()).await.unwrap();
        let refused = source.test(None, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::SshTunnel, "{kind}: {refused:?}");
        assert!(!format!("{refused:?}").contains("hunter2"), "{kind}");
    }
}

// A port that is taken is not shared with whoever has it.
#[tokio::test]
async fn the_near_end_has_the_port_that_was_asked_for() {
    let server = crate::servers::Mariadb::start(&[]);
    let mut admin = server.admin().await;
    for statement in [
        "CREATE DATABASE shop",
        "CREATE USER reader IDENTIFIED BY 's3cret'",
        "GRANT SELECT ON shop.* TO reader",
        "CREATE TABLE shop.emp (id int)",
        "INSERT INTO shop.emp VALUES (1), (2)",
    ] {
        admin.query_drop(statement).await.unwrap();
    }
    let ssh = Sshd::start("");
    let near = crate::servers::free_port();
    let mut settings = behind(server.settings("shop"), &ssh);
    settings.ssh.as_mut().unwrap().local_port = Some(near);
    let source = open(settings.clone(), &here()).await.unwrap();
    assert!(source.test(None, Duration::from_secs(5)).await.unwrap().tunnel);
    assert_eq!(read(source.as_ref(), Relation::new("shop", "emp")).await.unwrap().len(), 2);
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", near)).await.is_ok(), "somebody listens there");
    let second = open(settings, &here()).await.unwrap();
    let refused = second.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::SshTunnel, "{refused:?}");
    assert!(refused.message.contains("port"), "{refused}");
    source.close().await;
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(("127.0.0.1", near)).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the port is still open");
}

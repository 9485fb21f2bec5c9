//! Tunnels through OpenSSH.

use std::time::Duration;

use tidegate_connect::{ErrorCode, Relation, Settings, SshSettings, open};

use crate::cells::read;
use crate::servers::{Postgres, Sshd, here, secret};

fn through(server: &Postgres, ssh: &Sshd) -> Settings {
    let mut settings = server.settings("postgres");
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
    assert!(refused.message.contains("another key"), "{refused}");
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

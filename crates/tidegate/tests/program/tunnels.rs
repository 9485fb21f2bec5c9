//! A data source that is reached through an SSH server: OpenSSH itself, whose key is pinned.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use tidegate_testkit::{Engine, TestDatabase, eventually, on_both_engines};
use tokio::net::TcpStream;

use crate::member;
use crate::support::{Installation, Said, Server};

/// An SSH server; killed when dropped.
struct Sshd(Child);

impl Sshd {
    /// Starts one with a host key of that name, which lets the client's key in.
    async fn start(here: &Installation, port: u16, host_key: &str) -> Self {
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let path = |name: &str| here.path().join(name).display().to_string();
        here.write(
            "sshd_config",
            &format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nStrictModes no\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPermitRootLogin prohibit-password\n\
                 AllowTcpForwarding yes\n",
                path(host_key),
                path("client.pub"),
            ),
        );
        let mut command = here.command_of("/usr/sbin/sshd");
        command
            .args(["-D", "-e", "-f", &path("sshd_config")])
            .stderr(File::create(path("sshd.log")).unwrap());
        let sshd = Self(command.spawn().unwrap());
        eventually("the SSH server answers", async || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok().then_some(())
        })
        .await;
        sshd
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn make_key(here: &Installation, name: &str) {
    let mut command = here.command_of("/usr/bin/ssh-keygen");
    let made = Said::of(command.args(["-q", "-t", "ed25519", "-N", "", "-f", name]).stdin(Stdio::null()));
    assert_eq!(made.code, 0, "{made:?}");
}

/// Asks for something of the data sources; what is answered, which must be right.
async fn ask(server: &Server, token: &str, method: Method, rest: &str, body: &Value) -> Value {
    let url = format!("{}/api/v1/data-sources{rest}", server.base);
    let answer = server.http.request(method, url).bearer_auth(token).json(body).send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert!(matches!(status, 200 | 201), "{rest}: {status} {text}");
    assert!(!text.contains("PRIVATE KEY"), "{rest}: {text}");
    serde_json::from_str::<Value>(&text).unwrap()["data"].clone()
}

/// Whoever runs the tests.
#[expect(clippy::disallowed_methods, reason = "the SSH server lets in who runs the tests, and nobody else")]
fn user() -> String {
    if rustix::process::geteuid().is_root() { "root".to_owned() } else { std::env::var("USER").unwrap() }
}

on_both_engines! {
    async fn a_source_behind_an_ssh_server_is_reached_while_that_has_the_same_key(engine: Engine) {
        let here = Installation::with_database(engine).await;
        let source = TestDatabase::empty(Engine::Postgres).await;
        let url = reqwest::Url::parse(&source.postgres_url()).unwrap();
        for name in ["host", "other", "client"] {
            make_key(&here, name);
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let sshd = Sshd::start(&here, port, "host").await;
        let server = here.serve_with(&["--dev"], |command: &mut Command| {
            command.env("TIDEGATE_DATA__ALLOW_PRIVATE_NETWORKS", "true");
        });
        let token = &member::token(&here, &server).await;
        let made = ask(&server, token, Method::POST, "", &json!({
            "name": "Sales", "type": "postgresql", "host": "127.0.0.1", "port": url.port(), "max_retries": 0,
            "connection_timeout": 10, "database_name": url.path().trim_start_matches('/'),
            "use_ssh_tunnel": true, "ssh_host": "127.0.0.1", "ssh_port": port, "ssh_username": user(),
            "credentials": {
                "username": url.username(), "password": url.password().unwrap_or_default(),
                "ssh_private_key": std::fs::read_to_string(here.path().join("client")).unwrap(),
            },
        }))
        .await;
        let one = format!("/{}", made["id"]);
        let test = async || ask(&server, token, Method::POST, &format!("{one}/test"), &json!({})).await;
        let tested = test().await;
        assert_eq!((&tested["connection_successful"], &tested["ssh_tunnel_established"]), (&json!(true), &json!(true)), "{tested}");
        let metrics = server.http.get(format!("{}/api/v1/data-sources/metrics", server.base)).bearer_auth(token);
        let metrics: Value = metrics.send().await.unwrap().json().await.unwrap();
        assert_eq!(metrics["data"]["ssh_tunnels"], json!({ "active": 1, "total": 1 }), "{metrics}");
        let pinned = here.database().sql_texts("select ssh_host_key from data_sources").await;
        let host = std::fs::read_to_string(here.path().join("host.pub")).unwrap();
        assert!(!pinned[0].is_empty() && host.starts_with(&pinned[0]), "{pinned:?} {host}");

        // Somebody else listens there now.
        drop(sshd);
        let sshd = Sshd::start(&here, port, "other").await;
        ask(&server, token, Method::PATCH, &format!("{one}/credentials"), &json!({ "rotate_credentials": true })).await;
        let tested = test().await;
        assert_eq!((&tested["error_code"], &tested["ssh_tunnel_established"]), (&json!("SSH_TUNNEL_ERROR"), &json!(false)), "{tested}");
        let told = r#"send "ssh_host_key": "" with PATCH /api/v1/data-sources/{data_source_id}"#;
        assert!(tested["error_message"].as_str().unwrap().contains(told), "{tested}");
        assert_eq!(here.database().sql_texts("select ssh_host_key from data_sources").await, pinned);

        // Who says that the SSH server has a new key pins that.
        let recorded = async || {
            let updates = "select cast(metadata as text) from audit_events where action = 'data_source.updated' order by number";
            let last = here.database().sql_texts(updates).await.pop().unwrap_or_default();
            serde_json::from_str::<Value>(&last).unwrap()
        };
        ask(&server, token, Method::PATCH, &one, &json!({ "description": "Of the shop" })).await;
        assert_eq!(recorded().await, json!({ "data_source": made["id"], "reconnects": false }));
        ask(&server, token, Method::PATCH, &one, &json!({ "ssh_host_key": "" })).await;
        let forgotten = json!({ "data_source": made["id"], "reconnects": true, "forgets_host_key": true });
        assert_eq!(recorded().await, forgotten);
        let tested = test().await;
        assert_eq!((&tested["status"], &tested["ssh_tunnel_established"]), (&json!("active"), &json!(true)), "{tested}");
        assert_ne!(here.database().sql_texts("select ssh_host_key from data_sources").await, pinned);
        assert!(!server.log().contains("PRIVATE KEY"), "{}", server.log());
        server.stop();
        drop(sshd);
    }
}

//! "Behind nginx or Caddy": both with the files that the guide shows.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tidegate_testkit::eventually;

use super::code;
use crate::member;
use crate::support::{Installation, PASSWORD, Said, Server};

const GUIDE: &str = "reverse-proxy.md";
const NAME: &str = "id.example.com";
/// The default of `storage_limits.file_bytes`.
const LARGEST_FILE: usize = 100 << 20;

/// A proxy, stopped when dropped.
struct Proxy {
    process: Child,
    http: u16,
    https: u16,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The text with each of the first words replaced, which must be there.
fn with(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replace(from, to)
    })
}

#[expect(clippy::disallowed_methods, reason = "running programs is what these tests do")]
fn program(names: &[&str]) -> Command {
    let found = names.iter().map(PathBuf::from).find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| names[0].into()))
}

/// Tidegate as the guide configures it, on a free port, for a proxy that connects from `trusted`.
fn serve(here: &Installation, trusted: &str) -> Server {
    let settings = code(GUIDE, "tidegate.toml");
    here.write("tidegate.toml", &with(&settings, &[("\"127.0.0.9\"", &format!("\"{trusted}\""))]));
    here.serve(&["--dev"])
}

fn nginx(here: &Installation, server: &Server) -> Proxy {
    let (http, https) = (free_port(), free_port());
    let certificate = here.path().join("certificate.pem").display().to_string();
    let key = here.path().join("key.pem").display().to_string();
    let mut openssl = program(&["openssl"]);
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]);
    openssl.args(["-subj", "/CN=id.example.com", "-keyout", &key, "-out", &certificate]);
    assert_eq!(Said::of(&mut openssl).code, 0);
    let site = with(
        &code(GUIDE, "tidegate.conf"),
        &[
            ("server 127.0.0.1:8080;", &format!("server {};", server.base.trim_start_matches("http://"))),
            ("    listen [::]:80;\n", ""),
            ("    listen [::]:443 ssl;\n", ""),
            ("listen 80;", &format!("listen 127.0.0.1:{http};")),
            ("listen 443 ssl;", &format!("listen 127.0.0.1:{https} ssl;")),
            ("/etc/letsencrypt/live/id.example.com/fullchain.pem", &certificate),
            ("/etc/letsencrypt/live/id.example.com/privkey.pem", &key),
        ],
    );
    here.write("tidegate.conf", &site);
    let here_text = here.path().display();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {here_text}/nginx-{kind}; "))
        .collect();
    here.write(
        "nginx.conf",
        &format!(
            "daemon off; master_process off; pid {here_text}/nginx.pid; error_log stderr; events {{}} \
             http {{ access_log off; {paths} include {here_text}/tidegate.conf; }}"
        ),
    );
    let mut command = program(&["/usr/sbin/nginx", "nginx"]);
    command.arg("-p").arg(here.path()).arg("-c").arg(here.path().join("nginx.conf"));
    let process = command.stdin(Stdio::null()).spawn().expect("nginx: run scripts/setup");
    Proxy { process, http, https }
}

fn caddy(here: &Installation, server: &Server) -> Proxy {
    let (http, https) = (free_port(), free_port());
    let head = format!(
        "{{\n\tadmin off\n\tskip_install_trust\n\thttp_port {http}\n\thttps_port {https}\n\tdefault_bind 127.0.0.1\n}}\n\n"
    );
    let site = with(
        &code(GUIDE, "Caddyfile"),
        &[
            ("id.example.com {\n", "id.example.com {\n\ttls internal\n"),
            ("127.0.0.1:8080", server.base.trim_start_matches("http://")),
        ],
    );
    here.write("Caddyfile", &(head + &site));
    let mut command = program(&["caddy"]);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(here.path().join("Caddyfile"));
    command.env("HOME", here.path()).env("XDG_DATA_HOME", here.path()).env("XDG_CONFIG_HOME", here.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Proxy { process: command.spawn().expect("caddy: run scripts/setup"), http, https }
}

/// What curl, a client at 127.0.0.2, gets from the proxy: status and body.
fn curl(here: &Installation, proxy: &Proxy, path: &str, more: &[&str]) -> (String, String) {
    let mut command = program(&["curl"]);
    command.args(["-sSk", "--interface", "127.0.0.2", "-w", "\n%{http_code}", "--max-time", "600"]);
    command.arg("--resolve").arg(format!("{NAME}:{}:127.0.0.1", proxy.https));
    command.args(more).arg(format!("https://{NAME}:{}{path}", proxy.https)).current_dir(here.path());
    let said = Said::of(&mut command);
    let (body, status) = said.out.rsplit_once('\n').unwrap_or_else(|| panic!("{said:?}"));
    (status.to_owned(), body.to_owned())
}

/// The same, of JSON sent.
fn send(here: &Installation, proxy: &Proxy, path: &str, body: &str) -> (String, Value) {
    let headers = ["-H", "content-type: application/json", "-H", "x-forwarded-for: 203.0.113.9"];
    let forged =
        ["-H", "forwarded: for=203.0.113.10", "-H", "x-real-ip: 203.0.113.11", "--data-binary", body];
    let (status, text) = curl(here, proxy, path, &[&headers[..], &forged].concat());
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// Everything that the guide promises of a proxy.
async fn behind(here: &Installation, server: &Server, proxy: &Proxy) {
    eventually("the proxy", async || {
        let mut command = program(&["curl"]);
        command
            .args(["-sk", "-o", "/dev/null", "--resolve"])
            .arg(format!("{NAME}:{}:127.0.0.1", proxy.https));
        let said = Said::of(command.arg(format!("https://{NAME}:{}/healthz", proxy.https)));
        (said.code == 0).then_some(())
    })
    .await;

    // The client's address is that of the connection, whatever the client sends.
    let body = format!(r#"{{"email": "bert@example.com", "password": "{PASSWORD}", "name": "Bert"}}"#);
    let (status, registered) = send(here, proxy, "/api/v2/auth/register", &body);
    assert_eq!(status, "201", "{registered}");
    let sessions = here.json(&["user", "sessions", "bert@example.com"]);
    let text = sessions.to_string();
    assert!(text.contains("\"127.0.0.2\"") && !text.contains("203.0.113"), "{text}");

    // Discovery and tokens carry the address outside.
    let (_, discovery) = curl(here, proxy, "/.well-known/openid-configuration", &[]);
    assert!(discovery.contains("\"issuer\":\"https://id.example.com\""), "{discovery}");

    // Operators' paths are not there, however they are spelled.
    for path in ["/metrics", "//metrics", "/dev/outbox", "/dev/design", "/%6detrics"] {
        let (status, body) = curl(here, proxy, path, &[]);
        assert_eq!(status, "404", "{path}: {body}");
    }

    // A large application arrives: it is refused for what it says.
    let phone = r#"{"phone": "0712345678"}"#;
    assert_eq!(send(here, proxy, "/api/v1/auth/enter-phone", phone).0, "200");
    let code = here.output(&["outbox", "code", "--to", "+254712345678"]);
    let confirm = format!(r#"{{"phone": "0712345678", "code": "{code}"}}"#);
    let (_, confirmed) = send(here, proxy, "/api/v1/auth/confirm-code", &confirm);
    let bearer = format!("authorization: Bearer {}", confirmed["auth"]["token"].as_str().unwrap());
    here.write("large", &format!("{{\"documents\": \"{}\"}}", "x".repeat(14 << 20)));
    let large = ["-H", &bearer, "-H", "content-type: application/json", "--data-binary", "@large"];
    let (status, refused) = curl(here, proxy, "/api/v1/account/create", &large);
    assert_eq!(status, "422", "{refused}");

    // So does the largest file that may be uploaded.
    let upload = "/api/v1/storage/upload";
    let ada = format!("authorization: Bearer {}", member::token(here, server).await);
    let form = "file=@orders.csv;type=text/csv";
    here.write("orders.csv", &"1,2\n".repeat(LARGEST_FILE / 4));
    let (status, stored) = curl(here, proxy, upload, &["-H", &ada, "-F", form]);
    assert_eq!(status, "201", "{stored}");

    let (_, headers) = curl(here, proxy, "/healthz", &["-D", "-"]);
    assert!(headers.to_lowercase().contains("strict-transport-security: max-age=31536000"), "{headers}");
    let plain = server.http.get(format!("http://127.0.0.1:{}/docs", proxy.http)).header("host", NAME);
    // The client does not follow: the other side is TLS.
    let answer = plain.send().await;
    assert!(answer.is_err() || answer.unwrap().status().is_redirection());
}

#[tokio::test]
async fn nginx_as_the_guide_configures_it() {
    let here = Installation::new();
    let server = serve(&here, "127.0.0.9");
    let proxy = nginx(&here, &server);
    behind(&here, &server, &proxy).await;
    // A scraper on the machine itself.
    let metrics = server.http.get(format!("{}/metrics", server.base)).send().await.unwrap();
    assert_eq!(metrics.status(), 200);
    drop(proxy);
    server.stop();
}

#[tokio::test]
async fn caddy_as_the_guide_configures_it() {
    let here = Installation::new();
    let server = serve(&here, "127.0.0.1");
    let proxy = caddy(&here, &server);
    behind(&here, &server, &proxy).await;
    drop(proxy);
    server.stop();
}

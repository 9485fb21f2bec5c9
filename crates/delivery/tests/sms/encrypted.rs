//! A gateway with a certificate: of an authority nobody knows, and of one the operator names.
#![expect(clippy::disallowed_methods, reason = "starts openssl")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use serde_json::json;

use crate::{providers, send, temporary};

/// A certificate for `localhost` that is its own authority.
struct Certificate {
    _directory: tempfile::TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn new() -> Self {
        Self::with("CA:FALSE")
    }

    fn with(constraints: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| directory.path().join(name));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args([
                "-addext",
                "subjectAltName=DNS:localhost",
                "-addext",
                &format!("basicConstraints=critical,{constraints}"),
            ])
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { _directory: directory, certificate, key }
    }

    /// A server that takes every message; answers its port.
    fn serve(&self) -> u16 {
        let certificates = CertificateDer::pem_file_iter(&self.certificate).unwrap();
        let certificates = certificates.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for connection in listener.incoming() {
                // A client that does not trust us says so and goes.
                let _ = take(connection.unwrap(), Arc::clone(&config));
            }
        });
        port
    }
}

fn take(mut connection: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let mut tls = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = Stream::new(&mut tls, &mut connection);
    let mut request = Vec::new();
    let mut buffer = [0; 4_096];
    // The body is one JSON object.
    while !request.ends_with(b"\"}") {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..read]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{\"id\":\"gw\"}")?;
    stream.flush()
}

#[tokio::test]
async fn a_gateway_is_trusted_by_its_authority_alone() {
    let certificate = Certificate::new();
    let port = certificate.serve();
    let gateway = |host: &str, ca_file: Option<&PathBuf>| {
        let url = format!("https://{host}:{port}/hunter2");
        providers(json!({"webhook": {"url": url, "secret": "hunter2-hunter2-hunter2", "ca_file": ca_file}}))
    };
    let own = Some(&certificate.certificate);
    assert_eq!(send(&gateway("localhost", own)).await.unwrap().message_id.as_deref(), Some("gw"));
    for stranger in [gateway("localhost", None), gateway("127.0.0.1", own)] {
        let said = temporary(send(&stranger).await);
        assert!(said.contains("certificate"), "{said}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_refused_is_told_with_what_to_do() {
    let [server, authority] = ["CA:FALSE", "CA:TRUE"].map(Certificate::with);
    let of_authority = authority.serve();
    for (port, host, ca_file, parts) in [
        (of_authority, "localhost", Some(&authority), ["is an authority's (CA:TRUE)", "-out gateway.crt"]),
        (
            server.serve(),
            "localhost",
            None,
            ["an authority that is not known", "sms.webhook.ca_file (read at the start alone"],
        ),
        (
            server.serve(),
            "127.0.0.1",
            Some(&server),
            ["only valid for localhost", "the host in sms.webhook.url"],
        ),
    ] {
        let ca_file = ca_file.map(|certificate| &certificate.certificate);
        let url = format!("https://{host}:{port}/hunter2");
        let webhook = json!({"url": url, "secret": "hunter2-hunter2-hunter2", "ca_file": ca_file});
        let said = temporary(send(&providers(json!({ "webhook": webhook }))).await);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        assert!(!said.contains("OtherError") && !said.contains("hunter2"), "{said}");
    }
}

//! What the stubs of binary protocols share. They are written after the vendors' documentation, not after the drivers: each checks what it is
//! sent and keeps it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tidegate_connect::{ConnectionString, Credentials, ErrorCode, Settings, SourceType, open};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpListener;

use crate::servers::{Certificates, here, secret};

/// With everything that means something in a URL.
pub(crate) const PASSWORD: &str = "hunter2@:/#%";

/// A stream of bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) type Log = Arc<Mutex<Vec<String>>>;

/// What was seen of the clients.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) log: Log,
    pub(crate) opened: Arc<AtomicUsize>,
    pub(crate) ended: Arc<AtomicUsize>,
}

impl Seen {
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.log.lock().unwrap().push(text.into());
    }

    pub(crate) fn said(&self, part: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line.contains(part))
    }

    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Waits until something is said, for two seconds at most.
    pub(crate) async fn heard(&self, part: &str) -> bool {
        for _ in 0..200 {
            if self.said(part) {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        false
    }

    /// Waits until so many connections have ended.
    pub(crate) async fn ended(&self, count: usize) -> bool {
        for _ in 0..200 {
            if self.ended.load(Ordering::SeqCst) >= count {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        false
    }
}

/// Serves every connection by a function, whose end closes it. The stream is inside TLS where a certificate is given.
pub(crate) async fn listen<F: Future<Output = Option<()>> + Send + 'static>(
    certificates: Option<&Certificates>,
    seen: &Seen,
    each: impl Fn(Box<dyn Stream>) -> F + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = certificates.map(acceptor);
    let (seen, each) = (seen.clone(), Arc::new(each));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, seen, each) = (acceptor.clone(), seen.clone(), Arc::clone(&each));
            tokio::spawn(async move {
                seen.opened.fetch_add(1, Ordering::SeqCst);
                let stream: Option<Box<dyn Stream>> = match acceptor {
                    None => Some(Box::new(stream)),
                    Some(acceptor) => {
                        acceptor.accept(stream).await.ok().map(|stream| Box::new(stream) as Box<dyn Stream>)
                    }
                };
                if let Some(stream) = stream {
                    let _ = each(stream).await;
                }
                seen.ended.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    port
}

/// TLS 1.2, which is what SQL Server speaks inside its packets; the other protocols do not care.
pub(crate) fn acceptor(certificates: &Certificates) -> tokio_rustls::TlsAcceptor {
    certificates.acceptor_of("server", &[&rustls::version::TLS12])
}

/// Who shows a certificate of the server's authority is served, and nobody else.
pub(crate) async fn a_client_certificate_is_shown(kind: SourceType, port: u16, certificates: &Certificates) {
    a_client_certificate_is_shown_to(settings(kind, port), port, certificates).await;
}

/// The same for any server.
pub(crate) async fn a_client_certificate_is_shown_to(
    server: Settings,
    port: u16,
    certificates: &Certificates,
) {
    let tested = async |shown: Option<&Certificates>, key: Option<&str>| {
        let mut settings = server.clone();
        settings.port = Some(port);
        settings.metadata.insert("ssl_mode".to_owned(), json!("verify-full"));
        settings.metadata.insert("ssl_ca".to_owned(), json!(certificates.pem("ca.pem")));
        if let Some(shown) = shown {
            settings.metadata.insert("ssl_cert".to_owned(), json!(shown.pem("client.pem")));
        }
        settings.credentials.ssl_key = key.and_then(secret);
        let source = open(settings, &here()).await?;
        source.test(None, std::time::Duration::from_secs(5)).await.map(drop)
    };
    let key = certificates.pem("client.key");
    tested(Some(certificates), Some(key.as_str())).await.unwrap();
    assert_eq!(tested(None, None).await.unwrap_err().code, ErrorCode::Connection, "none is shown");
    let stranger = Certificates::make();
    let refused = tested(Some(&stranger), Some(stranger.pem("client.key").as_str())).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Connection, "one of another authority: {refused}");
    let refused = tested(Some(certificates), None).await.unwrap_err();
    assert!(refused.message.contains("credentials.ssl_key"), "{refused}");
    let refused = tested(Some(certificates), Some(stranger.pem("client.key").as_str())).await.unwrap_err();
    assert!(refused.message.contains("do not fit"), "{refused}");
    assert!(!format!("{refused:?}").contains("PRIVATE KEY"), "{refused:?}");
}

/// What a URL says of user, password, place and database is enough, and a wrong password in one is told nowhere.
pub(crate) async fn a_url_says_it_all(kind: SourceType, scheme: &str, port: u16) {
    let tested = async |password: &str| {
        let mut settings = settings(kind, port);
        settings.credentials = Credentials::default();
        (settings.host, settings.port, settings.database_name) = (None, None, None);
        let url = format!("{scheme}://me:{password}@127.0.0.1:{port}/shop");
        settings.connection_string = Some(ConnectionString::new(url));
        let source = open(settings, &here()).await?;
        source.test(None, std::time::Duration::from_secs(5)).await.map(drop)
    };
    tested(PASSWORD).await.unwrap();
    tested("hunter2%40%3A%2F%23%25").await.unwrap();
    let refused = tested("hunter2@:/#").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Authentication, "{refused}");
    assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
}

/// Settings of a source at a port of this machine.
pub(crate) fn settings(kind: SourceType, port: u16) -> Settings {
    let mut settings = Settings::new(kind);
    settings.host = Some("127.0.0.1".to_owned());
    settings.port = Some(port);
    settings.database_name = Some("shop".to_owned());
    settings.schema_name = (kind == SourceType::Cassandra).then(|| "shop".to_owned());
    settings.credentials.username = secret("me");
    settings.credentials.password = secret(PASSWORD);
    settings.connection_timeout = std::time::Duration::from_secs(5);
    settings.query_timeout = std::time::Duration::from_secs(10);
    settings
}

/// Reads so many bytes.
pub(crate) async fn bytes(stream: &mut Box<dyn Stream>, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

/// The server's side of SCRAM (RFC 5802).
pub(crate) struct ScramServer {
    wide: bool,
    bare: String,
    first: String,
}

impl ScramServer {
    /// Answers to the client's first message.
    pub(crate) fn new(wide: bool, message: &[u8]) -> Self {
        let message = std::str::from_utf8(message).unwrap();
        let bare = message.strip_prefix("n,,").unwrap().to_owned();
        let (user, nonce) = bare.split_once(",r=").unwrap();
        assert_eq!(user, "n=me");
        let first = format!("r={nonce}theirs,s={},i=4096", STANDARD.encode("0123456789abcdef"));
        Self { wide, first, bare }
    }

    pub(crate) fn first(&self) -> &[u8] {
        self.first.as_bytes()
    }

    fn keyed(&self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let algorithm = if self.wide { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA256 };
        hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
    }

    /// Answers to the client's last message; none if it does not know the password.
    pub(crate) fn last(&self, message: &[u8]) -> Option<Vec<u8>> {
        let message = std::str::from_utf8(message).unwrap();
        let (without, proof) = message.split_once(",p=").unwrap();
        let (derivation, length) = match self.wide {
            true => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
            false => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        };
        let mut salted = vec![0; length];
        let rounds = std::num::NonZeroU32::new(4_096).unwrap();
        pbkdf2::derive(derivation, rounds, b"0123456789abcdef", PASSWORD.as_bytes(), &mut salted);
        let whole = format!("{},{},{without}", self.bare, self.first);
        let hashed = |key: &[u8]| {
            let algorithm = if self.wide { &digest::SHA512 } else { &digest::SHA256 };
            digest::digest(algorithm, key).as_ref().to_vec()
        };
        let stored = hashed(&self.keyed(&salted, b"Client Key"));
        let signature = self.keyed(&stored, whole.as_bytes());
        let proof = STANDARD.decode(proof).unwrap();
        let key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let verdict = self.keyed(&self.keyed(&salted, b"Server Key"), whole.as_bytes());
        (hashed(&key) == stored).then(|| format!("v={}", STANDARD.encode(verdict)).into_bytes())
    }
}

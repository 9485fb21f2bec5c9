//! Every driver against servers whose TLS is bad, absent, or good: what is refused, with which words, and that nothing was told before.

use std::time::Duration;

use rustls::SupportedProtocolVersion;
use serde_json::json;
use tidegate_connect::{ErrorCode, Settings, SourceError, SourceType, TlsUse, TypeInfo, open, types};
use tokio_rustls::TlsAcceptor;

use crate::servers::{Certificates, Postgres, Redis, here, secret};
use crate::stubs::{self, PASSWORD};

mod https;
mod server;

use server::{Got, Manner, Opening, Recorder, mysql_refuses};

const USER: &str = "reader-of-tls";
static TLS12: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
static TLS13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

const AUTHORITY: &str = "The server's certificate is of an authority that is not known; metadata.ssl_ca takes the certificate of that authority.";
const NAME: &str =
    "The server's certificate is for another host; metadata.ssl_server_name takes the name that it is for.";
const TIME: &str = "The server's certificate has expired, or is not valid yet; this metadata.ssl_mode asks for one that is valid.";
const NO_TLS: &str = "The server does not answer in TLS, which metadata.ssl_mode or https:// asks for.";
const CLIENT: &str = "The server asks for a client certificate, or does not accept the one it was shown; these are metadata.ssl_cert and credentials.ssl_key.";
const ENDED: &str = "The server ended the connection in the TLS handshake; if it has no TLS, metadata.ssl_mode must not ask for it.";

/// What a server shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    Good,
    /// Of an authority that has the name of the known one.
    Stranger,
    OtherHost,
    Expired,
    Nothing,
}

const ALL: [Shows; 5] = [Shows::Good, Shows::Stranger, Shows::OtherHost, Shows::Expired, Shows::Nothing];

/// What becomes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// It goes on without TLS, as it was asked for.
    Plain,
    /// It goes on inside TLS.
    Inside,
    Refused(String),
}

/// An authority, and servers that are good and bad in its eyes.
struct World {
    known: Certificates,
    stranger: Certificates,
}

impl World {
    fn make() -> Self {
        let known = Certificates::make();
        known.issue("elsewhere", "/CN=server", "subjectAltName=DNS:other.example", None);
        let past = Some(["20200101000000Z", "20200201000000Z"]);
        known.issue("expired", "/CN=server", "subjectAltName=IP:127.0.0.1", past);
        Self { known, stranger: Certificates::make() }
    }

    fn acceptor(&self, shows: Shows, opening: Opening) -> Option<TlsAcceptor> {
        // Inside of packets SQL Server speaks TLS 1.2 only.
        let versions = if opening == Opening::Tds { &TLS12[..] } else { rustls::ALL_VERSIONS };
        match shows {
            Shows::Good => Some(self.known.acceptor_of("server", versions)),
            Shows::Stranger => Some(self.stranger.acceptor_of("server", versions)),
            Shows::OtherHost => Some(self.known.acceptor_of("elsewhere", versions)),
            Shows::Expired => Some(self.known.acceptor_of("expired", versions)),
            Shows::Nothing => None,
        }
    }

    async fn start(&self, kind: SourceType, shows: Shows) -> Recorder {
        let opening = Opening::of(kind);
        let manner = match self.acceptor(shows, opening) {
            Some(acceptor) => Manner::With(acceptor, Vec::new()),
            // What a Redis says to what is no command; the others are as surprised.
            None if opening == Opening::None => Manner::Without(b"-ERR Protocol error: no TLS here\r\n"),
            None => Manner::Without(b""),
        };
        Recorder::start(opening, manner).await
    }
}

/// The types whose drivers speak a protocol of bytes: all that may cross a network and do not speak HTTP.
fn binary() -> impl Iterator<Item = &'static TypeInfo> {
    types().iter().filter(|info| info.tls().is_some_and(|tls| tls != TlsUse::Https))
}

fn settings(kind: SourceType, port: u16) -> Settings {
    let mut settings = stubs::settings(kind, port);
    settings.database_name = settings.database_name.filter(|_| kind != SourceType::Redis);
    settings.credentials.username = secret(USER);
    settings.connection_timeout = Duration::from_secs(60);
    settings
}

async fn tested(settings: Settings) -> Result<Option<String>, SourceError> {
    let source = open(settings, &here()).await?;
    let tested = source.test(None, Duration::from_secs(60)).await;
    source.close().await;
    tested.map(|tested| tested.result)
}

/// The password as it would be seen on the wire: as it is, and as SQL Server's clients hide it.
fn tells_the_password(bytes: &[u8]) -> bool {
    let hidden: Vec<u8> =
        PASSWORD.encode_utf16().flat_map(u16::to_le_bytes).map(|byte| byte.rotate_left(4) ^ 0xA5).collect();
    [PASSWORD.as_bytes(), &hidden, USER.as_bytes()]
        .iter()
        .any(|secret| bytes.windows(secret.len()).any(|part| part == *secret))
}

/// What became of the connections of one test, as the server saw it and as the client tells it.
fn outcome(error: &SourceError, got: &[Got], what: &str) -> Outcome {
    let is_inside = got.iter().any(|got| !got.inside.is_empty());
    let refusals = [AUTHORITY, NAME, TIME, NO_TLS, CLIENT, ENDED];
    assert!(!format!("{error:?}").contains(PASSWORD), "{what}: {error:?}");
    if refusals.contains(&error.message.as_str()) || error.message.starts_with("The server does not offer") {
        assert_eq!(error.code, ErrorCode::Connection, "{what}");
        assert!(!is_inside, "{what}: something was told to a server that was refused");
        assert!(!got.iter().any(|got| tells_the_password(&got.outside)), "{what}: {got:?}");
        return Outcome::Refused(error.message.clone());
    }
    if !is_inside {
        // A record of a handshake, with the hello of a client in it.
        let is_hello = |part: &[u8]| part.starts_with(&[0x16, 3, 1]) && part.ends_with(&[1]);
        assert!(!got.iter().any(|got| got.outside.windows(6).any(is_hello)), "{what}: {got:?}");
        return Outcome::Plain;
    }
    assert!(!got.iter().any(|got| tells_the_password(&got.outside)), "{what}: {got:?}");
    Outcome::Inside
}

/// What `docs/sources.md` says of a mode, for a server that shows this.
fn promised(info: &TypeInfo, mode: Option<&str>, has_ca: bool, shows: Shows) -> Outcome {
    let mode = mode.or(info.usual_ssl_mode()).unwrap();
    let offered = info.tls() == Some(TlsUse::Offered);
    let refused = |message: &str| Outcome::Refused(message.to_owned());
    match (mode, shows) {
        ("disable", _) => Outcome::Plain,
        ("prefer", Shows::Nothing) => Outcome::Plain,
        ("prefer", _) if offered => Outcome::Inside,
        ("prefer", _) => Outcome::Plain,
        (_, Shows::Nothing) if offered => {
            refused(&format!("The server does not offer TLS, and ssl_mode is {mode}."))
        }
        (_, Shows::Nothing) => refused(NO_TLS),
        ("require", _) if !has_ca => Outcome::Inside,
        (_, Shows::Expired) => refused(TIME),
        (_, _) if !has_ca => refused(AUTHORITY),
        (_, Shows::Stranger) => refused(AUTHORITY),
        ("verify-full", Shows::OtherHost) => refused(NAME),
        _ => Outcome::Inside,
    }
}

#[tokio::test]
async fn every_mode_does_what_is_promised_of_it() {
    let world = World::make();
    let modes = [
        (None, false),
        (Some("disable"), true),
        (Some("prefer"), true),
        (Some("require"), false),
        (Some("require"), true),
        (Some("verify-ca"), false),
        (Some("verify-ca"), true),
        (Some("verify-full"), false),
        (Some("verify-full"), true),
    ];
    let mut count = 0;
    for info in binary() {
        for shows in ALL {
            for (mode, has_ca) in modes {
                let what = format!("{}, {mode:?}, own authority {has_ca}, {shows:?}", info.kind);
                let server = world.start(info.kind, shows).await;
                let mut settings = settings(info.kind, server.port);
                let ca = has_ca.then(|| world.known.pem("ca.pem"));
                settings.metadata = json!({ "ssl_mode": mode, "ssl_ca": ca }).as_object().unwrap().clone();
                let error = tested(settings).await.expect_err(&what);
                let got = server.got().await;
                assert_eq!(
                    outcome(&error, &got, &what),
                    promised(info, mode, has_ca, shows),
                    "{what}: {error:?}"
                );
                count += 1;
            }
        }
    }
    assert_eq!(count, 11 * 5 * 9, "as many as there are drivers");
}

// What the others look for would be found: these say it all without TLS, if that is what is asked for.
#[tokio::test]
async fn without_tls_a_password_is_seen_on_the_wire() {
    let world = World::make();
    for kind in [SourceType::Redis, SourceType::Sqlserver, SourceType::Synapse] {
        let server = world.start(kind, Shows::Nothing).await;
        let mut settings = settings(kind, server.port);
        settings.metadata.insert("ssl_mode".to_owned(), json!("disable"));
        tested(settings).await.unwrap_err();
        assert!(server.got().await.iter().any(|got| tells_the_password(&got.outside)), "{kind}");
    }
}

#[tokio::test]
async fn the_name_in_a_certificate_may_be_another_than_the_host() {
    let world = World::make();
    for info in binary() {
        for (name, expected) in
            [("other.example", Outcome::Inside), ("another.example", Outcome::Refused(NAME.to_owned()))]
        {
            let what = format!("{} {name}", info.kind);
            let server = world.start(info.kind, Shows::OtherHost).await;
            let mut settings = settings(info.kind, server.port);
            let metadata = json!({
                "ssl_mode": "verify-full", "ssl_ca": world.known.pem("ca.pem"), "ssl_server_name": name,
            });
            settings.metadata = metadata.as_object().unwrap().clone();
            let error = tested(settings).await.expect_err(&what);
            assert_eq!(outcome(&error, &server.got().await, &what), expected, "{error:?}");
        }
    }
}

// `openssl req -x509` makes authorities; one that was given as ssl_ca, too, was refused with a list of what it might be.
#[tokio::test]
async fn a_certificate_that_is_no_servers_is_told_as_what_it_is() {
    let certificates = Certificates::make();
    certificates.issue("of-clients", "/CN=server", "extendedKeyUsage=clientAuth", None);
    for (name, said) in
        [("ca", "-addext basicConstraints=critical,CA:FALSE"), ("of-clients", "has no serverAuth")]
    {
        for kind in [SourceType::Postgresql, SourceType::Mysql, SourceType::Redis] {
            let acceptor = certificates.acceptor_of(name, rustls::ALL_VERSIONS);
            let server = Recorder::start(Opening::of(kind), Manner::With(acceptor, Vec::new())).await;
            let mut settings = settings(kind, server.port);
            let metadata = json!({ "ssl_mode": "verify-ca", "ssl_ca": certificates.pem("ca.pem") });
            settings.metadata = metadata.as_object().unwrap().clone();
            let error = tested(settings).await.expect_err(name);
            let got = server.got().await;
            assert_eq!(error.code, ErrorCode::Connection, "{kind} {name}");
            assert!(error.message.contains(said), "{kind} {name}: {error:?}");
            assert!(!got.iter().any(|got| !got.inside.is_empty()), "{kind} {name}");
        }
    }
}

#[tokio::test]
async fn a_server_that_says_it_has_tls_and_has_none_is_refused() {
    let world = World::make();
    for info in binary() {
        let opening = Opening::of(info.kind);
        for (lie, said) in [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], NO_TLS), (&b""[..], ENDED)] {
            let what = format!("{} {said}", info.kind);
            let server = Recorder::start(opening, Manner::Lies(lie)).await;
            let mut settings = settings(info.kind, server.port);
            let metadata = json!({ "ssl_mode": "verify-full", "ssl_ca": world.known.pem("ca.pem") });
            settings.metadata = metadata.as_object().unwrap().clone();
            let error = tested(settings).await.expect_err(&what);
            let got = server.got().await;
            assert!(!got.iter().any(|got| tells_the_password(&got.outside)), "{what}");
            assert_eq!(error.code, ErrorCode::Connection, "{what}");
            // The driver of MySQL does not tell where it was when the connection ended.
            let ended_anywhere = "The connection to the server failed or ended.";
            let said = if opening == Opening::Mysql && lie.is_empty() { ended_anywhere } else { said };
            assert_eq!(error.message, said, "{what}: {error:?}");
        }
    }
}

#[tokio::test]
async fn who_asks_for_a_client_certificate_is_shown_it_and_told_from_other_refusals() {
    let certificates = Certificates::asking();
    for info in binary() {
        let opening = Opening::of(info.kind);
        for is_newest in [false, true] {
            if opening == Opening::Tds && is_newest {
                continue;
            }
            for shown in [true, false] {
                let what = format!("{}, TLS 1.3 {is_newest}, shown {shown}", info.kind);
                let versions = if is_newest { &TLS13 } else { &TLS12 };
                let acceptor = certificates.acceptor_of("server", versions);
                let server = Recorder::start(opening, Manner::With(acceptor, Vec::new())).await;
                let mut settings = settings(info.kind, server.port);
                let metadata = json!({
                    "ssl_mode": "verify-full", "ssl_ca": certificates.pem("ca.pem"),
                    "ssl_cert": shown.then(|| certificates.pem("client.pem")),
                });
                settings.metadata = metadata.as_object().unwrap().clone();
                settings.credentials.ssl_key = secret(&certificates.pem("client.key"));
                let error = tested(settings).await.expect_err(&what);
                let got = server.got().await;
                assert_eq!(got.iter().any(|got| !got.inside.is_empty()), shown, "{what}: {error:?}");
                assert!(!got.iter().any(|got| tells_the_password(&got.outside)), "{what}");
                assert_eq!(error.code, ErrorCode::Connection, "{what}");
                // With TLS 1.3 the client has gone on when it is refused, and may see no more than the end.
                if !shown && !is_newest {
                    assert_eq!(error.message, CLIENT, "{what}: {error:?}");
                }
            }
        }
    }
}

/// Asks a server through one that has TLS before it.
async fn through_a_proxy(world: &World, mut settings: Settings, mode: &str) -> Vec<Got> {
    let (kind, behind) = (settings.kind, settings.port.unwrap());
    let opening = Opening::of(kind);
    let acceptor = world.acceptor(Shows::Good, opening).unwrap();
    let proxy = Recorder::start(opening, Manner::Before(acceptor, behind)).await;
    settings.port = Some(proxy.port);
    settings.metadata.insert("ssl_mode".to_owned(), json!(mode));
    settings.metadata.insert("ssl_ca".to_owned(), json!(world.known.pem("ca.pem")));
    tested(settings).await.unwrap_or_else(|error| panic!("{kind} {mode}: {error:?}"));
    proxy.got().await
}

#[tokio::test]
async fn a_proxy_with_a_good_certificate_is_as_good_as_the_server() {
    let world = World::make();
    let (postgres, redis) = (Postgres::start(&[]), Redis::start(PASSWORD));
    let all = [
        postgres.settings("postgres"),
        redis.settings(PASSWORD),
        stubs::settings(SourceType::Sqlserver, crate::tds::served().await),
        stubs::settings(SourceType::Mongodb, crate::mongodb::served().await),
        stubs::settings(SourceType::Cassandra, crate::cassandra::served().await),
        stubs::settings(SourceType::Kafka, crate::kafka::served().await),
    ];
    for settings in all {
        for mode in ["require", "verify-ca", "verify-full"] {
            let kind = settings.kind;
            let got = through_a_proxy(&world, settings.clone(), mode).await;
            assert!(got.iter().any(|got| !got.inside.is_empty()), "{kind} {mode}");
            assert!(!got.iter().any(|got| tells_the_password(&got.outside)), "{kind} {mode}");
        }
    }
    // A proxy cannot stand before MySQL without taking part in its numbering; its answer to the password comes through.
    let acceptor = world.acceptor(Shows::Good, Opening::Mysql).unwrap();
    let server = Recorder::start(Opening::Mysql, Manner::With(acceptor, mysql_refuses())).await;
    let mut settings = settings(SourceType::Mysql, server.port);
    settings.metadata.insert("ssl_mode".to_owned(), json!("verify-full"));
    settings.metadata.insert("ssl_ca".to_owned(), json!(world.known.pem("ca.pem")));
    let error = tested(settings).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Authentication, "{error:?}");
    let got = server.got().await;
    assert!(got.iter().any(|got| tells_the_password(&got.inside)), "the user's name, inside");
    assert!(!got.iter().any(|got| tells_the_password(&got.outside)));
}

// A word that decides about TLS and is none is refused, rather than taken for "no".
#[tokio::test]
async fn a_connection_string_whose_word_about_tls_is_none_is_refused() {
    for (kind, text) in [
        (SourceType::Mongodb, "mongodb://me@127.0.0.1:1/shop?tls=ja"),
        (SourceType::Mongodb, "mongodb://me@127.0.0.1:1/shop?ssl=on"),
        (SourceType::Sqlserver, "Server=127.0.0.1,1;Database=shop;Encrypt=Mandotory"),
        (SourceType::Sqlserver, "Server=127.0.0.1,1;Database=shop;Encrypt=true;TrustServerCertificate=maybe"),
        (SourceType::Postgresql, "postgres://me@127.0.0.1:1/shop?sslmode=always"),
        (SourceType::Mysql, "mysql://me@127.0.0.1:1/shop?ssl-mode=always"),
    ] {
        let mut settings = settings(kind, 1);
        (settings.host, settings.port, settings.database_name) = (None, None, None);
        settings.connection_string = Some(tidegate_connect::ConnectionString::new(text));
        let error = open(settings, &here()).await.map(drop).expect_err(text);
        assert!(error.message.contains("must be"), "{text}: {error}");
    }
}

// Schemes and switches may be written in any letters; with others than they knew, these went without TLS.
#[tokio::test]
async fn tls_that_a_connection_string_asks_for_is_had_however_it_is_written() {
    let world = World::make();
    let all = [
        (SourceType::Redis, "REDISS://", ""),
        (SourceType::Redis, "rediss://", ""),
        (SourceType::Mongodb, "mongodb://", "/shop?tls=TRUE"),
        (SourceType::Mongodb, "mongodb://", "/shop?ssl=true"),
        (SourceType::Postgresql, "postgres://", "/shop?sslmode=VERIFY-FULL"),
        (SourceType::Mysql, "mysql://", "/shop?ssl-mode=VERIFY_IDENTITY"),
        (SourceType::Sqlserver, "sqlserver://", "/shop?Encrypt=YES"),
    ];
    for (kind, scheme, rest) in all {
        let server = world.start(kind, Shows::Good).await;
        let mut settings = settings(kind, server.port);
        let text = format!("{scheme}127.0.0.1:{}{rest}", server.port);
        (settings.host, settings.port, settings.database_name) = (None, None, None);
        settings.connection_string = Some(tidegate_connect::ConnectionString::new(text.clone()));
        let error = tested(settings).await.expect_err(&text);
        // The authority is one that nobody knows; the point is that it was asked for.
        let expected = Outcome::Refused(AUTHORITY.to_owned());
        assert_eq!(outcome(&error, &server.got().await, &text), expected, "{text}: {error:?}");
    }
}

#[tokio::test]
async fn settings_of_tls_that_cannot_be_read_are_named_before_anybody_is_called() {
    let certificates = Certificates::make();
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    std::fs::write(certificates.path("locked.key"), locked).unwrap();
    for info in binary() {
        for (metadata, key, said) in [
            (json!({ "ssl_mode": "always" }), None, "metadata.ssl_mode must be one of"),
            (
                json!({ "ssl_ca": "hunter2", "ssl_mode": "verify-ca" }),
                None,
                "metadata.ssl_ca must hold certificates in PEM: the text of their file, and not its name.",
            ),
            (json!({ "ssl_cert": "hunter2" }), None, "metadata.ssl_cert must hold certificates in PEM"),
            (
                json!({ "ssl_cert": certificates.pem("client.pem") }),
                None,
                "credentials.ssl_key must hold the PEM private key",
            ),
            (
                json!({ "ssl_cert": certificates.pem("client.pem") }),
                Some("locked.key"),
                "credentials.ssl_key must hold a key that is not encrypted",
            ),
            (json!({ "ssl_cert": certificates.pem("client.pem") }), Some("server.key"), "do not fit"),
            (json!({ "ssl_server_name": "a b" }), None, "no name that a certificate could have"),
        ] {
            let mut settings = settings(info.kind, 1);
            settings.metadata = metadata.as_object().unwrap().clone();
            settings.credentials.ssl_key = key.and_then(|name| secret(&certificates.pem(name)));
            let error = open(settings, &here()).await.map(drop).expect_err(said);
            assert!(error.message.contains(said), "{} {said}: {error}", info.kind);
            assert!(!format!("{error:?}").contains("hunter2"), "{}: {error:?}", info.kind);
        }
    }
}

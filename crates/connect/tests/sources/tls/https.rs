//! The types that speak HTTP: their secrets go with every request, so that the server is always verified.

use std::time::Duration;

use serde_json::json;
use tidegate_connect::{ErrorCode, Settings, SourceType, TlsUse, TypeInfo, open, types};

use super::server::{Got, Manner, Opening, Recorder};
use super::{ALL, CLIENT, TLS12, World, outcome, promised, tested};
use crate::misbehaving::over_http_by;
use crate::servers::{Certificates, here, secret};

/// Settings of the types that speak HTTP, with options of TLS besides.
fn over_https(port: u16, more: &serde_json::Value) -> Vec<Settings> {
    let all = over_http_by("https", port).map(|mut settings| {
        settings.metadata.extend(more.as_object().unwrap().clone());
        settings.connection_timeout = Duration::from_secs(60);
        settings.query_timeout = Duration::from_secs(60);
        settings
    });
    all.collect()
}

#[tokio::test]
async fn every_type_that_speaks_https_refuses_bad_tls_before_it_tells_a_secret() {
    let world = World::make();
    let modes = [
        (None, true),
        (None, false),
        (Some("verify-full"), true),
        (Some("verify-ca"), true),
        (Some("verify-ca"), false),
    ];
    let known = types().iter().filter(|info| info.tls() == Some(TlsUse::Https)).count();
    assert_eq!(over_https(1, &json!({})).len(), known, "every type is asked");
    for shows in ALL {
        for (mode, has_ca) in modes {
            for index in 0..known {
                let manner = match world.acceptor(shows, Opening::None) {
                    Some(acceptor) => Manner::With(acceptor, Vec::new()),
                    None => Manner::Without(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
                };
                let server = Recorder::start(Opening::None, manner).await;
                let ca = has_ca.then(|| world.known.pem("ca.pem"));
                let more = json!({ "ssl_mode": mode, "ssl_ca": ca });
                let settings = over_https(server.port, &more).swap_remove(index);
                let info = TypeInfo::of(settings.kind);
                let what = format!("{}, {mode:?}, own authority {has_ca}, {shows:?}", info.kind);
                let error = tested(settings).await.expect_err(&what);
                let got = server.got().await;
                assert_eq!(
                    outcome(&error, &got, &what),
                    promised(info, mode, has_ca, shows),
                    "{what}: {error:?}"
                );
                let tells = |got: &Got| got.outside.windows(7).any(|part| part == b"hunter2");
                assert!(!got.iter().any(tells), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn every_type_that_speaks_https_shows_a_client_certificate() {
    let certificates = Certificates::asking();
    for index in 0..over_https(1, &json!({})).len() {
        for shown in [true, false] {
            let acceptor = certificates.acceptor_of("server", &TLS12);
            let server = Recorder::start(Opening::None, Manner::With(acceptor, Vec::new())).await;
            let more = json!({
                "ssl_ca": certificates.pem("ca.pem"), "ssl_cert": shown.then(|| certificates.pem("client.pem")),
            });
            let mut settings = over_https(server.port, &more).swap_remove(index);
            settings.credentials.ssl_key = secret(&certificates.pem("client.key"));
            let kind = settings.kind;
            let error = tested(settings).await.expect_err(kind.as_str());
            let got = server.got().await;
            assert_eq!(got.iter().any(|got| !got.inside.is_empty()), shown, "{kind}: {error:?}");
            if !shown {
                assert_eq!((error.code, error.message.as_str()), (ErrorCode::Connection, CLIENT), "{kind}");
            }
            // The key of the certificate is nobody's to be sent, inside TLS or outside of it.
            let sent = |got: &Got| String::from_utf8_lossy(&got.inside).contains("PRIVATE KEY");
            assert!(!got.iter().any(sent), "{kind}");
        }
    }
}

// The key of an API and that of the certificate are two.
#[tokio::test]
async fn a_client_certificate_goes_with_the_key_of_an_api() {
    let certificates = Certificates::asking();
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\n[{\"id\": 17}]".to_vec();
    let server = Recorder::start(Opening::None, Manner::With(certificates.acceptor(), answer)).await;
    let mut settings = crate::http::settings(
        SourceType::RestApi,
        json!({
            "url": format!("https://127.0.0.1:{}/", server.port), "ssl_ca": certificates.pem("ca.pem"),
            "ssl_cert": certificates.pem("client.pem"),
        }),
    );
    settings.credentials.api_key = secret("k3y-of-the-api");
    settings.credentials.ssl_key = secret(&certificates.pem("client.key"));
    let source = open(settings.clone(), &here()).await.unwrap();
    source.test(None, Duration::from_secs(60)).await.unwrap();
    // With the API's key in the place of the certificate's, the place is named.
    settings.credentials.ssl_key = None;
    let wrong = open(settings, &here()).await.unwrap();
    let wrong = wrong.test(None, Duration::from_secs(60)).await.unwrap_err();
    assert!(
        wrong.message.contains("credentials.ssl_key") && !format!("{wrong:?}").contains("k3y"),
        "{wrong:?}"
    );
    let inside: Vec<u8> = server.got().await.into_iter().flat_map(|got| got.inside).collect();
    assert!(String::from_utf8(inside).unwrap().contains("x-api-key: k3y-of-the-api"));
}

// `tls: false` or `http://` beside a mode that asks for TLS: one of the two is a mistake, and the secret would be on the wire.
#[tokio::test]
async fn an_address_without_tls_is_refused_where_a_mode_asks_for_it() {
    for index in 0..over_https(1, &json!({})).len() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let server = Recorder::start(Opening::None, Manner::Without(b"")).await;
            let all: Vec<Settings> = over_http_by("http", server.port).collect();
            let mut settings = all.into_iter().nth(index).unwrap();
            settings.metadata.insert("ssl_mode".to_owned(), json!(mode));
            let kind = settings.kind;
            let error = tested(settings).await.expect_err(kind.as_str());
            assert!(
                error.message.starts_with(&format!("metadata.ssl_mode is {mode}, and")),
                "{kind}: {error}"
            );
            assert!(server.got().await.is_empty(), "{kind}: nobody is called");
        }
    }
}

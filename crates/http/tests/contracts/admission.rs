//! What every request must be, whatever it asks for, and what every answer says.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::http::Method;
use futures_util::stream;
use tidegate_testkit::{Answer, TestApp, on_both_engines};

use crate::routes;
use crate::watch::row_counts;

/// Paths outside of every contract.
const OUTSIDE: [&str; 12] = [
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/openapi/rivergen.json",
    "/.well-known/jwks.json",
    "/assets/style.css",
    "/verify-email?token=x",
    "/dev/outbox",
    "/nowhere/%3Cscript%3E",
];

#[track_caller]
fn assert_forbids_sniffing(answer: &Answer, story: &str) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{story}: {}", answer.status);
}

/// A body that counts how often it is read.
fn counted(reads: &Arc<AtomicUsize>) -> Body {
    let reads = Arc::clone(reads);
    Body::from_stream(stream::repeat_with(move || {
        reads.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Infallible>(Bytes::from_static(b"\x1f\x8b"))
    }))
}

on_both_engines! {
    async fn a_request_that_does_not_name_one_host_is_refused_before_it_is_routed(app: TestApp) {
        let before = row_counts(&app).await;
        for route in routes::all() {
            let requests = [
                route.request(&app.client()).without_host(),
                route.request(&app.client()).header("host", "a.example").header("host", "a.example"),
                route.request(&app.client()).header("host", "a.example").header("host", "b.example"),
                route.request(&app.client()).header("host", "a.example/b"),
            ];
            for request in requests {
                let answer = request.send().await;
                answer.assert_status(400);
                assert_eq!(answer.text_at("error"), "invalid_request", "{}", route.name());
                assert_eq!(answer.header("x-request-id").len(), 32);
                assert_forbids_sniffing(&answer, &route.name());
            }
        }
        for path in OUTSIDE {
            app.get(path).without_host().send().await.assert_status(400);
        }
        assert_eq!(row_counts(&app).await, before);
    }

    async fn no_answer_of_any_route_may_be_taken_for_another_type(app: TestApp) {
        for route in routes::all() {
            assert_forbids_sniffing(&route.request(&app.client()).send().await, &route.name());
            let other = app.client().request(Method::from_bytes(b"BREW").unwrap(), &route.sample_path());
            assert_forbids_sniffing(&other.send().await, &route.name());
        }
        for path in OUTSIDE {
            assert_forbids_sniffing(&app.get(path).ip("127.0.0.1").send().await, path);
            assert_forbids_sniffing(&app.post(path).send().await, path);
        }
        let ada = app.register_ingestiq("ada@example.com").await;
        let answer = app.get("/api/v2/auth/me").bearer(&ada.access_token).send().await;
        assert_forbids_sniffing(answer.assert_status(200), "an answer");
    }

    async fn an_encoded_body_is_refused_unread_in_every_contracts_words(app: TestApp) {
        let before = row_counts(&app).await;
        let mut contracts = Vec::new();
        for route in routes::all().into_iter().filter(|route| route.takes_body() || route.takes_form()) {
            for coding in ["gzip", "br", "deflate", "identity, gzip", "GZIP", "x-unknown", "\u{e9}"] {
                let reads = Arc::default();
                let request = route.request(&app.client()).header("content-encoding", coding);
                let answer = request.stream(counted(&reads)).send().await;
                route.assert_refused(&answer, (415, "UNSUPPORTED_MEDIA_TYPE"), coding);
                assert!(answer.text.contains("without Content-Encoding"), "{}", answer.text);
                assert_eq!(answer.header("accept-encoding"), "identity");
                assert_eq!(reads.load(Ordering::SeqCst), 0, "{} read it", route.name());
            }
            contracts.push(route.contract);
        }
        assert!(tidegate_http::contracts().iter().all(|contract| contracts.contains(&contract.id)));
        for path in ["/reset-password", "/verify-email"] {
            let request = app.post(path).form("token=x").header("content-encoding", "gzip");
            request.send().await.assert_status(415);
        }
        assert_eq!(row_counts(&app).await, before);
    }

    async fn a_body_that_says_it_is_not_encoded_is_taken(app: TestApp) {
        for route in routes::with_body() {
            for coding in ["identity", "Identity", ""] {
                let answer = route.request(&app.client()).header("content-encoding", coding).send().await;
                assert_ne!(answer.status, 415, "{}: {}", route.name(), answer.text);
            }
        }
    }

    async fn slashes_at_the_beginning_of_a_path_lead_nowhere(app: TestApp) {
        for path in ["//healthz", "///healthz", "//v1/login/root/", "//api/v1/auth/login", "//openapi.json"] {
            for request in [app.get(path), app.post(path)] {
                let answer = request.send().await;
                assert_eq!(answer.assert_status(404).body["error"], "not_found", "{}", answer.text);
            }
        }
        app.get("/healthz/").send().await.assert_status(200);
    }
}

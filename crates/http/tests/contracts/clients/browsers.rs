//! Scripts in browsers, which see only what CORS lets them.

use axum::http::Method;
use tidegate_testkit::{Answer, Engine, TestApp};

use crate::routes;
use crate::watch::Log;

const OURS: &str = "https://app.example.com";

async fn app(headers: &[&str]) -> TestApp {
    let headers: Vec<String> = headers.iter().map(|name| (*name).to_owned()).collect();
    let builder = TestApp::builder(Engine::Sqlite).http(|http| {
        http.cors_origins = vec![OURS.to_owned()];
        http.cors_headers = headers;
    });
    builder.start().await
}

async fn preflight(app: &TestApp, path: &str, headers: &str) -> Answer {
    let request =
        app.client().options(path).header("origin", OURS).header("access-control-request-method", "POST");
    request.header("access-control-request-headers", headers).send().await
}

fn allowed(answer: &Answer) -> Vec<String> {
    let names = answer.header("access-control-allow-headers").to_ascii_lowercase();
    names.split(',').map(|name| name.trim().to_owned()).collect()
}

#[tokio::test]
async fn the_headers_of_the_usual_libraries_may_be_sent_and_others_are_configured() {
    let plain = app(&[]).await;
    let answer = preflight(&plain, "/api/v1/auth/login", "content-type,x-requested-with").await;
    let names = allowed(answer.assert_status(200));
    assert!(names.contains(&"x-requested-with".to_owned()) && !names.contains(&"x-csrf-token".to_owned()));
    let configured = app(&["X-CSRF-Token"]).await;
    let names = allowed(&preflight(&configured, "/v1/login/individual/", "x-csrf-token").await);
    assert!(names.contains(&"x-csrf-token".to_owned()) && names.contains(&"authorization".to_owned()));
    let any = app(&["*"]).await;
    assert_eq!(allowed(&preflight(&any, "/api/v2/auth/login", "x-anything").await), ["x-anything"]);
}

#[tokio::test]
async fn a_header_that_scripts_may_not_send_is_named_in_the_log_once() {
    let log = Log::listen();
    let app = app(&["X-CSRF-Token"]).await;
    for headers in ["content-type,x-csrf-token", "x-tenant, authorization", "X-Tenant", "not a header"] {
        preflight(&app, "/api/v1/auth/login", headers).await.assert_status(200);
    }
    let told: Vec<String> =
        log.lines().into_iter().filter(|line| line.contains("http.cors_headers")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("INFO ") && told[0].contains("header x-tenant of a script refused"),
        "{told:?}"
    );
}

#[tokio::test]
async fn headers_that_a_script_invents_hide_no_refused_origin() {
    let log = Log::listen();
    let app = app(&[]).await;
    let invented: Vec<String> = (0..60).map(|number| format!("x-invented-{number}")).collect();
    preflight(&app, "/api/v1/auth/login", &invented.join(",")).await.assert_status(200);
    let request = app.client().options("/api/v1/auth/login").header("origin", "https://other.example.com");
    request.header("access-control-request-method", "POST").send().await.assert_status(403);
    let lines = log.lines();
    let told = lines.iter().filter(|line| line.contains("header x-invented-")).count();
    assert_eq!(told, 50, "so many an hour");
    assert!(lines.iter().any(|line| line.contains("origin https://other.example.com refused")), "{lines:?}");
}

#[tokio::test]
async fn answers_outside_of_every_contract_can_be_read_too() {
    let app = app(&[]).await;
    for (path, status) in [
        ("/nowhere", 404),
        ("/api/v1/nowhere", 404),
        ("/api/v1/auth/login", 405),
        ("/.well-known/jwks.json", 200),
        ("/openapi.json", 200),
    ] {
        let answer = app.get(path).header("origin", OURS).send().await;
        let said = answer.headers.get_all("access-control-allow-origin").iter().count();
        assert_eq!((answer.status, said), (status, 1), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), OURS, "{path}");
        let stranger = app.get(path).header("origin", "https://evil.example").send().await;
        assert_eq!(stranger.header("access-control-allow-origin"), "", "{path}");
    }
    preflight(&app, "/nowhere", "content-type").await.assert_status(200);
    let metrics = app.client().request(Method::GET, "/metrics").header("origin", OURS).send().await;
    assert_eq!(
        metrics.header("access-control-allow-origin"),
        if metrics.status == 404 { "" } else { "never" }
    );
}

/// That scripts of ours may read it with the headers they need, and that no cache shows it to others.
#[track_caller]
fn assert_readable(answer: &Answer, story: &str) {
    let said: Vec<_> = answer.headers.get_all("access-control-allow-origin").iter().collect();
    assert_eq!(said, [OURS], "{story}: {}", answer.status);
    let mut varies = answer.headers.get_all("vary").iter().filter_map(|names| names.to_str().ok());
    assert!(varies.any(|names| names.contains("origin")), "{story}: {:?}", answer.headers);
}

#[tokio::test]
async fn whatever_a_contract_answers_can_be_read() {
    let app = app(&[]).await;
    let brew = Method::from_bytes(b"BREW").unwrap();
    for route in routes::all() {
        let (path, name) = (route.sample_path(), route.name());
        for request in [
            route.request(&app.client()),
            // Refused before any handler sees them: an encoding, a method.
            route.request(&app.client()).header("content-encoding", "gzip"),
            app.client().request(brew.clone(), &path),
        ] {
            let answer = request.header("origin", OURS).send().await;
            assert_readable(&answer, &name);
            assert!(answer.header("access-control-expose-headers").contains("x-request-id"), "{name}");
        }
        let asked = preflight(&app, &path, "content-type").await;
        assert_readable(asked.assert_status(200), &name);
        assert!(asked.header("access-control-allow-methods").contains("DELETE"), "{name}");
    }
    app.store().close().await;
    for route in routes::with_body().into_iter().filter(|route| !route.bearer) {
        let answer = route.request(&app.client()).header("origin", OURS).send().await;
        assert_readable(&answer, &route.name());
    }
}

#[tokio::test]
async fn a_preflight_of_an_unknown_origin_is_told_which_key_admits_it() {
    let none = TestApp::start(Engine::Sqlite).await;
    for (app, origin) in
        [(&none, OURS), (&none, "http://localhost:3000"), (&none, "null"), (&app(&[]).await, "null")]
    {
        for path in
            ["/api/v1/auth/login", "/api/v2/auth/login", "/v1/login/individual/", "/openapi.json", "/nowhere"]
        {
            let request = app.client().options(path).header("origin", origin);
            let answer = request.header("access-control-request-method", "POST").send().await;
            answer.assert_status(403);
            assert_eq!(answer.text_at("error"), "origin_not_allowed");
            assert!(answer.text_at("error_description").contains("http.cors_origins"), "{}", answer.text);
            assert_eq!(answer.header("access-control-allow-origin"), "", "{origin} {path}");
        }
        // A page has no scripts of others; and what is no preflight is answered as ever.
        app.client().options("/api/v2/auth/login").header("origin", origin).send().await;
        let answer = app.get("/healthz").header("origin", origin).send().await;
        answer.assert_status(200);
    }
}

#[tokio::test]
async fn in_development_pages_of_this_machine_may_call_and_no_other() {
    let builder = TestApp::builder(Engine::Sqlite).http(|http| http.cors_this_machine = true);
    let app = builder.start().await;
    for origin in ["http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:8081"] {
        let request = app.client().options("/api/v1/auth/login").header("origin", origin);
        let answer = request.header("access-control-request-method", "POST").send().await;
        assert_eq!(answer.assert_status(200).header("access-control-allow-origin"), origin);
        assert_eq!(answer.header("access-control-allow-credentials"), "", "tokens are no cookies");
        assert!(answer.header("vary").contains("origin"));
    }
    for origin in ["null", OURS, "http://localhost.evil.example"] {
        let request = app.client().options("/api/v1/auth/login").header("origin", origin);
        let answer = request.header("access-control-request-method", "POST").send().await;
        assert_eq!(answer.assert_status(403).header("access-control-allow-origin"), "", "{origin}");
    }
}

#[tokio::test]
async fn any_origin_does_not_mean_null() {
    let builder = TestApp::builder(Engine::Sqlite).http(|http| http.cors_origins = vec!["*".to_owned()]);
    let app = builder.start().await;
    let read = app.get("/openapi.json").header("origin", OURS).send().await;
    assert_eq!(read.header("access-control-allow-origin"), "*");
    let read = app.get("/openapi.json").header("origin", "null").send().await;
    assert_eq!(read.assert_status(200).header("access-control-allow-origin"), "");
}

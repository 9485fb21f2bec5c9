//! What holds outside of every contract and around all of them.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::stream;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tidegate_http::{ForwardedHeader, HttpSettings, contracts, describe_metrics};
use tidegate_testkit::{Answer, Client, Engine, PASSWORD, TestApp, on_both_engines};

use crate::routes;
use crate::watch::Log;

on_both_engines! {
    async fn operators_see_whether_it_runs_and_whether_the_database_answers(app: TestApp) {
        assert_eq!(app.get("/healthz").send().await.assert_status(200).text_at("status"), "ok");
        assert_eq!(app.get("/readyz").send().await.assert_status(200).text_at("status"), "ready");
        app.store().close().await;
        assert_eq!(app.get("/readyz").send().await.assert_status(503).text_at("status"), "unavailable");
        assert_eq!(app.get("/healthz").send().await.assert_status(200).text_at("status"), "ok");
    }

    async fn without_its_database_every_contract_says_come_back_later(app: TestApp) {
        app.store().close().await;
        for (path, code) in [
            ("/api/v1/auth/login", "SERVICE_UNAVAILABLE"),
            ("/api/v2/auth/login", "SERVICE_UNAVAILABLE"),
            ("/v1/login/individual/", "SERVER_UNAVAILABLE"),
            ("/api/v1/login/send-code", ""),
        ] {
            let body = json!({ "email": "ada@example.com", "password": PASSWORD, "phone": "0712345678" });
            let answer = app.post(path).json(&body).send().await;
            answer.assert_error(503, code);
            assert_eq!(answer.header("retry-after"), "1");
        }
    }

    async fn the_keys_that_verify_tokens_are_published(app: TestApp) {
        let answer = app.get("/.well-known/jwks.json").send().await;
        answer.assert_status(200);
        let keys = answer.field("keys").as_array().unwrap();
        assert_eq!(keys.len(), 1);
        let names: BTreeSet<&str> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from(["alg", "crv", "kid", "kty", "use", "x", "y"]), "no private part");
    }

    async fn verifiers_find_the_issuer_its_keys_and_the_claims_of_its_tokens(app: TestApp) {
        let found = app.get("/.well-known/openid-configuration").send().await;
        let issuer = found.assert_status(200).text_at("issuer").to_owned();
        assert_eq!(found.text_at("jwks_uri"), format!("{issuer}/.well-known/jwks.json"));
        // One of every kind: through each contract with signed tokens, and bound to a database, an end user and their session.
        let root = app.provision("root@example.com").await;
        let db = app.add_database(&root, "shop").await;
        let shop = app.add_service(&root, "shop", "frontend").await;
        let session = "c3391d83-553b-40e7-818e-fcf658ec397d";
        let bound = json!({ "db_id": db, "frontend_user_id": 7, "frontend_session_id": session });
        let tokens = [
            app.sign_up_rivergen_verified("ada@example.com").await.access_token,
            app.register_ingestiq("grace@example.com").await.access_token,
            app.bound(&shop, bound).await.access_token,
            root.access_token,
        ];
        let mut said = BTreeSet::new();
        for token in &tokens {
            let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
            let claims: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&payload).unwrap();
            assert_eq!(claims["iss"], issuer.as_str());
            said.extend(claims.into_iter().map(|(name, _)| name));
        }
        let supported = found.field("claims_supported").as_array().unwrap().iter();
        let supported: BTreeSet<String> = supported.map(|claim| claim.as_str().unwrap().to_owned()).collect();
        assert!(said.is_subset(&supported), "what tokens say, and what is announced: {said:?} {supported:?}");
    }
}

/// Stories about HTTP alone, which the database has no part in.
async fn on_sqlite(change: impl FnOnce(&mut HttpSettings)) -> TestApp {
    TestApp::builder(Engine::Sqlite).http(change).start().await
}

#[tokio::test]
async fn descriptions_and_the_page_for_people_are_served() {
    let app = on_sqlite(|_| {}).await;
    let of_each = contracts().iter().map(|contract| format!("/openapi/{}.json", contract.id));
    for path in of_each.chain(["/openapi.json".to_owned()]) {
        let answer = app.get(&path).send().await;
        assert!(answer.assert_status(200).field("paths").is_object(), "{path}");
    }
    app.get("/openapi/nobody.json").send().await.assert_status(404);
    let page = app.get("/docs").send().await;
    page.assert_status(200);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'; script-src 'self';") && !policy.contains("unsafe-eval"),
        "{policy}"
    );
    let shown = app.get("/docs/openapi.json").send().await;
    for route in routes::all() {
        assert!(
            shown.assert_status(200).body["paths"][&route.path].is_object(),
            "{} is not on the page",
            route.path
        );
    }
    let (_, scripts) = page.text.split_once("<script").unwrap();
    for script in scripts.split("<script") {
        let (_, address) = script.split_once("src=\"").unwrap();
        app.get(address.split_once('"').unwrap().0).send().await.assert_status(200);
    }
}

/// Checks for the answer outside of every contract, which is in no contract's envelope.
#[track_caller]
fn assert_unclaimed(answer: &Answer) {
    answer.assert_status(404);
    let description = "Nothing is served at this path. /docs lists what is.";
    assert_eq!(answer.body, json!({ "error": "not_found", "error_description": description }));
    assert_eq!(
        (answer.header("content-type"), answer.header("cache-control")),
        ("application/json", "no-store")
    );
}

#[tokio::test]
async fn outside_of_every_contract_there_is_json_and_a_request_id() {
    let app = on_sqlite(|_| {}).await;
    for path in
        ["/nowhere", "/api", "/api/v3/auth/login", "/api/v1.0/auth/me", "/openapi/", "/.well-known/nothing"]
    {
        let answer = app.get(path).send().await;
        assert_unclaimed(&answer);
        assert_eq!(answer.header("x-request-id").len(), 32);
    }
    let (one, another) =
        (app.get("/nowhere"), app.get("/nowhere").header("x-request-id", "of the client's choice"));
    let (one, another) = (one.send().await, another.send().await);
    assert_eq!(another.header("x-request-id").len(), 32, "nobody writes their own words into the log");
    assert_ne!(one.header("x-request-id"), another.header("x-request-id"));
}

#[tokio::test]
async fn a_path_to_which_a_proxy_has_added_a_beginning_is_answered_with_the_one_that_is_served() {
    let app = on_sqlite(|_| {}).await;
    let told =
        |path: &str| format!("{path} is served: a proxy in front may add a beginning, or not take it away.");
    for (path, served) in [("/auth/api/v1/auth/me", "/api/v1/auth/me"), ("/id/oauth/token", "/oauth/token")] {
        let answer = app.get(path).send().await;
        let description = answer.assert_status(404).text_at("error_description");
        let nothing = "Nothing is served at this path. /docs lists what is.";
        assert_eq!(description, format!("{nothing} {}", told(served)));
    }
    let twice = app.get("/api/v1/api/v1/auth/me").send().await;
    let message = twice.assert_status(404).text_at("error.message");
    assert_eq!(message, format!("There is no such endpoint; {}", told("/api/v1/auth/me")));
}

/// What a browser asks before a script of another origin may log in.
async fn preflight(app: &TestApp, origin: &str, path: &str) -> Answer {
    let request = app.client().request(Method::OPTIONS, path).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    request.header("access-control-request-headers", "content-type,authorization").send().await
}

const OURS: &str = "https://app.example.com";

#[tokio::test]
async fn scripts_of_other_origins_are_kept_out_unless_an_operator_says_otherwise() {
    let app = on_sqlite(|_| {}).await;
    for route in routes::all() {
        let answer = preflight(&app, OURS, &route.sample_path()).await;
        let said = answer.assert_status(403).text_at("error_description");
        assert!(said.contains("http.cors_origins"), "it names the key to set: {said}");
        let asked = route.request(&app.client()).header("origin", OURS).send().await;
        for answer in [answer, asked] {
            assert!(
                !answer.headers.keys().any(|name| name.as_str().starts_with("access-control")),
                "{}",
                route.name()
            );
        }
    }
}

#[tokio::test]
async fn scripts_of_the_origins_an_operator_names_are_let_in() {
    let app = on_sqlite(|http| http.cors_origins = vec![OURS.to_owned()]).await;
    for path in [
        "/api/v1/auth/login",
        "/api/v2/auth/login",
        "/v1/login/individual/",
        "/login/individual",
        "/api/v1/login/send-code",
    ] {
        let answer = preflight(&app, OURS, path).await;
        answer.assert_status(200);
        assert_eq!(answer.header("access-control-allow-origin"), OURS);
        assert!(answer.header("access-control-allow-headers").contains("authorization"));
        assert_eq!(answer.header("access-control-allow-credentials"), "", "tokens are no cookies");
        // Errors, too, must be readable, and their limits.
        let refused = app.post(path).header("origin", OURS).json(&json!({})).send().await;
        assert!(refused.status >= 400);
        assert_eq!(refused.header("access-control-allow-origin"), OURS);
        assert!(refused.header("access-control-expose-headers").contains("retry-after"));
        for origin in
            ["https://evil.example", "https://app.example.com.evil.example", "http://app.example.com", "null"]
        {
            assert_eq!(
                preflight(&app, origin, path).await.header("access-control-allow-origin"),
                "",
                "{origin}"
            );
        }
    }
    // Pages are for people, not for scripts.
    let page = app.get("/verify-email?token=x").header("origin", OURS).send().await;
    assert_eq!(page.header("access-control-allow-origin"), "");
}

/// A request whose body never comes, or makes its reader panic.
fn with_body(app: &TestApp, path: &str, body: Body) -> tidegate_testkit::Request {
    let kind = if path.contains("/login") { "application/json" } else { "application/x-www-form-urlencoded" };
    app.post(path).header("content-type", kind).stream(body)
}

#[tokio::test]
async fn a_body_that_never_comes_is_the_clients_fault_and_told_in_the_words_of_the_place() {
    // The handler waits for the body, the deadline does not: it is over at once.
    let app = on_sqlite(|http| http.deadline = Duration::ZERO).await;
    for (path, code) in [
        ("/api/v1/auth/login", "REQUEST_TIMEOUT"),
        ("/api/v2/auth/login", "REQUEST_TIMEOUT"),
        ("/v1/login/individual/", "REQUEST_TIMEOUT"),
        ("/api/v1/login/send-code", ""),
        ("/reset-password", ""),
        ("/verify-email", ""),
    ] {
        let never = Body::from_stream(stream::pending::<Result<String, std::io::Error>>());
        let answer = with_body(&app, path, never).send().await;
        answer.assert_error(408, code);
        assert_eq!(answer.header("connection"), "close", "{path}");
        let is_page = answer.text.contains("<h1>That did not work</h1>");
        let is_riven =
            answer.body == json!({ "message": "The body did not arrive in time.", "status": false });
        assert!(!code.is_empty() || is_page || is_riven, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up_in_the_words_of_the_place() {
    // The body is there; the database and the hash pool take longer than no time at all.
    let app = on_sqlite(|http| http.deadline = Duration::ZERO).await;
    let login = json!({ "email": "ada@example.com", "password": PASSWORD });
    for (path, code) in [
        ("/api/v1/auth/login", "SERVICE_UNAVAILABLE"),
        ("/api/v2/auth/login", "SERVICE_UNAVAILABLE"),
        ("/v1/login/individual/", "SERVER_UNAVAILABLE"),
    ] {
        let answer = app.post(path).json(&login).send().await;
        answer.assert_error(503, code);
        assert_eq!(answer.header("retry-after"), "1", "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_next_request_is_served() {
    let app = on_sqlite(|_| {}).await;
    let panics = || {
        Body::from_stream(stream::poll_fn(|_| -> std::task::Poll<Option<Result<String, std::io::Error>>> {
            panic!("a defect, deep inside")
        }))
    };
    for (path, code) in [
        ("/api/v1/auth/login", "INTERNAL_ERROR"),
        ("/api/v2/auth/login", "INTERNAL_ERROR"),
        ("/login/root", "SERVER_ERROR"),
        ("/api/v1/login/send-code", ""),
        ("/reset-password", ""),
    ] {
        let answer = with_body(&app, path, panics()).send().await;
        answer.assert_error(500, code);
        assert!(!answer.text.contains("deep inside"), "{}", answer.text);
        if code == "SERVER_ERROR" {
            let expected = json!({
                "error_code": 0, "error_name": "ServerError", "message": "Unknown error from server",
                "error_data": { "name": "SERVER_ERROR" },
            });
            assert_eq!(answer.body, expected);
        }
        if path.ends_with("send-code") {
            let expected = json!({ "message": "Something went wrong on our side.", "status": false });
            assert_eq!(answer.body, expected);
        }
        assert_eq!(answer.header("x-request-id").len(), 32);
        app.get("/api/v2/health").send().await.assert_status(200);
    }
}

#[tokio::test]
async fn metrics_are_for_operators_and_tell_no_secrets() {
    let log = Log::listen();
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("one recorder a process: use nextest");
    describe_metrics();
    let app = on_sqlite(|_| {}).await;
    let router = app.router_with(HttpSettings::default(), Some(handle));
    let operator = Client::new(router, "127.0.0.1".parse().unwrap());
    operator.get("/api/v1/sessions/12345").send().await.assert_status(405);
    operator.get("/verify-email?token=tgl_planted").send().await.assert_status(400);
    operator.get("/wp-login.php").send().await.assert_status(404);
    let brew = Method::from_bytes(b"BREW").unwrap();
    operator.request(brew, "/api/v2/auth/login").send().await.assert_status(405);

    let answer = operator.get("/metrics").send().await;
    answer.assert_status(200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4");
    for line in [
        "# HELP tidegate_http_requests_total",
        "tidegate_http_requests_total{method=\"GET\",route=\"/api/v1/sessions/{session_id}\",status=\"405\"} 1",
        "tidegate_http_requests_total{method=\"GET\",route=\"/verify-email\",status=\"400\"} 1",
        "tidegate_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
        "tidegate_http_requests_total{method=\"other\",route=\"/api/v2/auth/login\",status=\"405\"} 1",
        "tidegate_http_request_duration_seconds",
    ] {
        assert!(answer.text.contains(line), "{line} is not in:\n{}", answer.text);
    }
    assert!(
        !answer.text.contains("12345") && !answer.text.contains("tgl_") && !answer.text.contains("wp-login")
    );

    // The answer does not say why; the log does.
    let forwarded = "a header says that a proxy forwards the request";
    let host = "the host is neither an IP address nor in ops.hosts";
    for (request, why) in [
        (operator.at("198.51.100.7").get("/metrics"), "the network is not in ops.allow"),
        (operator.get("/metrics").header("x-forwarded-for", "127.0.0.1"), forwarded),
        (operator.get("/metrics").header("forwarded", "for=127.0.0.1"), forwarded),
        (operator.get("/metrics").header("x-real-ip", "127.0.0.1"), forwarded),
        (operator.get("/metrics").header("host", "evil.example"), host),
        (operator.get("http://evil.example/metrics"), host),
    ] {
        assert_unclaimed(&request.send().await);
        let line = log.last_answer();
        assert!(line.contains(&format!(" refused=\"operators: {why}\"")) && !line.contains("evil"), "{line}");
    }
    for request in [operator.get("//metrics"), operator.get("/metrics/")] {
        assert_unclaimed(&request.send().await);
    }
    assert_eq!(app.get("/metrics").ip("127.0.0.1").send().await.status, 404, "no metrics are kept here");
}

#[tokio::test]
async fn a_proxy_that_is_not_believed_is_named_once_and_a_stranger_never() {
    let log = Log::listen();
    let app = on_sqlite(|_| {}).await;
    for ip in ["127.0.0.1", "198.51.100.7", "127.0.0.1", "198.51.100.7"] {
        app.get("/healthz").ip(ip).header("x-forwarded-for", "203.0.113.5").send().await.assert_status(200);
    }
    let told: Vec<String> =
        log.lines().into_iter().filter(|line| line.contains("sends the header x-forwarded-for")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("WARN ") && told[0].contains("127.0.0.1 sends"), "{told:?}");
}

#[tokio::test]
async fn a_proxy_that_names_nobody_is_told_once_where_all_its_clients_meet_a_limit() {
    let log = Log::listen();
    let app = on_sqlite(|_| {}).await;
    for ip in ["198.51.100.7", "127.0.0.1", "127.0.0.1"] {
        for number in 0..8 {
            let body = json!({ "email": format!("nobody{number}@example.com"), "password": "Wrong1horse" });
            app.post("/api/v1/auth/login").ip(ip).json(&body).send().await;
        }
        assert!(
            log.last_answer().contains("limit=\"rivergen.limits.sign_in_by_ip\""),
            "{}",
            log.last_answer()
        );
    }
    let told: Vec<String> =
        log.lines().into_iter().filter(|line| line.contains("refuses requests of")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let line =
        "rivergen.limits.sign_in_by_ip refuses requests of 127.0.0.1, which come without x-forwarded-for";
    let why =
        "while it is this machine, and people ask for another, or by https: if this is a proxy, have it send";
    assert!(told[0].starts_with("WARN ") && told[0].contains(line) && told[0].contains(why), "{told:?}");
}

#[tokio::test]
async fn a_trusted_proxy_that_names_nobody_is_told_the_header_that_is_read() {
    let log = Log::listen();
    let app = on_sqlite(|http| {
        http.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        http.forwarded_header = ForwardedHeader::Forwarded;
    })
    .await;
    for number in 0..8 {
        let body = json!({ "email": format!("nobody{number}@example.com"), "password": "Wrong1horse" });
        app.post("/api/v1/auth/login").ip("10.0.0.1").json(&body).send().await;
    }
    let told: Vec<String> =
        log.lines().into_iter().filter(|line| line.contains("refuses requests of 10.0.0.1,")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("which come without forwarded, while it is in http.trusted_proxies")
            && told[0].contains("have it send forwarded, or"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_trusted_proxy_that_writes_no_address_is_named_once() {
    let log = Log::listen();
    let app = on_sqlite(|http| http.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    for sent in ["203.0.113.5", "unknown", "203.0.113.5, unknown"] {
        app.get("/healthz").ip("10.0.0.1").header("x-forwarded-for", sent).send().await.assert_status(200);
    }
    let told: Vec<String> = log.lines().into_iter().filter(|line| line.contains("is no address")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let line = "10.0.0.1 is in http.trusted_proxies, and what it writes into the header x-forwarded-for is no address";
    assert!(told[0].starts_with("WARN ") && told[0].contains(line), "{told:?}");
}

#[tokio::test]
async fn a_trusted_proxy_that_names_its_clients_in_a_header_that_is_not_read_is_named_once() {
    let log = Log::listen();
    let app = on_sqlite(|http| http.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    for (ip, header) in
        [("10.0.0.1", "x-real-ip"), ("10.0.0.1", "x-real-ip"), ("10.0.0.2", "cf-connecting-ip")]
    {
        app.get("/healthz").ip(ip).header(header, "203.0.113.5").send().await.assert_status(200);
    }
    let told: Vec<String> =
        log.lines().into_iter().filter(|line| line.contains("have the proxy send x-forwarded-for")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("WARN ") && told[0].contains("10.0.0.1 is in http.trusted_proxies"),
        "{told:?}"
    );
    assert!(
        told[0].contains("sends the header x-real-ip,") && told[1].contains("cf-connecting-ip,"),
        "{told:?}"
    );
}

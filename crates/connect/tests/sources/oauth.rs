//! Tokens that a source fetches itself, by the client-credentials grant, against a token endpoint and an interface that are one stub.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_connect::{ErrorCode, NetworkPolicy, Relation, Settings, Source, SourceError, SourceType, open};

use crate::cells::{read, row};
use crate::http::{Answer, Asked, Log, serve, serve_bytes, settings};
use crate::servers::{Certificates, here, secret};

/// With everything that means something in a header, a form or a URL.
const SECRET: &str = "hunter2:@/#%&=+é";

/// An authorization server that counts its tokens, and an interface that takes the last one of them.
#[derive(Default)]
struct Stub {
    given: AtomicUsize,
    /// Seconds that its tokens hold, as it says.
    life: Mutex<Option<Value>>,
    /// Whether the interface refuses every token.
    refuses: Mutex<bool>,
}

impl Stub {
    fn with_life(life: Value) -> Arc<Self> {
        let stub = Arc::new(Self::default());
        *stub.life.lock().unwrap() = Some(life);
        stub
    }

    fn answer(&self, asked: &Asked) -> Answer<String> {
        if asked.target == "/token" {
            let number = self.given.fetch_add(1, Ordering::SeqCst) + 1;
            let mut answer = json!({ "access_token": format!("t0ken-{number}"), "token_type": "bearer" });
            if let Some(life) = &*self.life.lock().unwrap() {
                answer["expires_in"] = life.clone();
            }
            return (200, vec![], answer.to_string());
        }
        let now = format!("Bearer t0ken-{}", self.given.load(Ordering::SeqCst));
        if *self.refuses.lock().unwrap() || asked.authorization.as_deref() != Some(now.as_str()) {
            // An interface that tells whom it refuses.
            return (401, vec![], format!("no {}", asked.authorization.clone().unwrap_or_default()));
        }
        match asked.target.as_str() {
            "/graphql" => (200, vec![], json!({ "data": { "rows": [{ "n": 1 }] } }).to_string()),
            "/errors" => (200, vec![], json!({ "errors": [{ "message": now }] }).to_string()),
            "/page" => (200, vec![], format!("<html><title>{now}</title>")),
            "/denied" => (403, vec![], "{}".to_owned()),
            _ => (200, vec![], json!([{ "n": 1 }]).to_string()),
        }
    }

    fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }

    /// Its tokens of before hold no longer.
    fn revoke(&self) {
        self.given.fetch_add(100, Ordering::SeqCst);
    }
}

async fn served(stub: &Arc<Stub>) -> (u16, Log) {
    let stub = Arc::clone(stub);
    serve(move |asked| stub.answer(asked)).await
}

/// A REST API whose rows are fetched anew for each question.
fn api(port: u16, more: Value) -> Settings {
    let mut metadata = json!({
        "url": format!("http://127.0.0.1:{port}/rows"), "table_name": "t", "cache_seconds": 0,
        "token_url": format!("http://127.0.0.1:{port}/token"), "client_id": "tide gate",
    });
    for (name, value) in more.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    let mut settings = settings(SourceType::RestApi, metadata);
    settings.credentials.client_secret = secret(SECRET);
    settings.credentials.api_key = secret("k3y");
    settings
}

async fn rows_of(source: &dyn Source) -> Result<Vec<Vec<Option<String>>>, SourceError> {
    read(source, Relation::new("main", "t")).await
}

/// Requests to the token endpoint.
fn exchanges(log: &Log) -> Vec<Asked> {
    log.lock().unwrap().iter().filter(|asked| asked.target == "/token").cloned().collect()
}

fn form(asked: &Asked) -> Vec<(String, String)> {
    let parsed = url::form_urlencoded::parse(asked.body.as_bytes());
    parsed.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn has_no_secret(error: &SourceError) {
    let shown = format!("{error:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("t0ken"), "{shown}");
    // The beginning of what the header has.
    assert!(!shown.contains(&STANDARD.encode("tide+gate")), "{shown}");
}

#[tokio::test]
async fn a_token_is_fetched_once_and_used_until_shortly_before_its_end() {
    let stub = Stub::with_life(json!(3_600));
    let (port, log) = served(&stub).await;
    let more = json!({ "scope": "read:rows read:more", "audience": "https://api.example/" });
    let source = open(api(port, more), &here()).await.unwrap();
    assert!(log.lock().unwrap().is_empty(), "opening asks nobody");
    for _ in 0..3 {
        assert_eq!(rows_of(source.as_ref()).await.unwrap(), [row(["1"])]);
    }
    source.test(None, Duration::from_secs(2)).await.unwrap();
    assert_eq!(stub.given(), 1);
    let exchange = exchanges(&log).pop().unwrap();
    assert_eq!(exchange.method, "POST");
    assert_eq!(exchange.header("content-type").as_deref(), Some("application/x-www-form-urlencoded"));
    assert_eq!(exchange.header("x-api-key"), None, "the key is the interface's");
    let expected = [
        ("grant_type", "client_credentials"),
        ("scope", "read:rows read:more"),
        ("audience", "https://api.example/"),
    ];
    assert_eq!(form(&exchange), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    // RFC 6749, section 2.3.1: each is encoded like a member of a form.
    let basic = exchange.authorization.unwrap();
    let pair = STANDARD.decode(basic.strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(pair).unwrap(), "tide+gate:hunter2%3A%40%2F%23%25%26%3D%2B%C3%A9");
    let asked = log.lock().unwrap().last().unwrap().clone();
    assert_eq!(
        (asked.authorization.as_deref(), asked.header("x-api-key").as_deref()),
        (Some("Bearer t0ken-1"), Some("k3y"))
    );
}

#[tokio::test]
async fn the_client_may_sign_in_by_the_form() {
    let stub = Stub::with_life(json!(3_600));
    let (port, log) = served(&stub).await;
    let source = open(api(port, json!({ "client_auth": "post" })), &here()).await.unwrap();
    rows_of(source.as_ref()).await.unwrap();
    let exchange = exchanges(&log).pop().unwrap();
    assert_eq!(exchange.authorization, None);
    let expected =
        [("grant_type", "client_credentials"), ("client_id", "tide gate"), ("client_secret", SECRET)];
    assert_eq!(form(&exchange), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_token_without_life_is_fetched_for_each_request_and_one_of_no_known_life_is_not() {
    for (life, given) in [(Some(json!(0)), 3), (Some(json!("3600")), 1), (None, 1)] {
        let stub = Arc::new(Stub::default());
        *stub.life.lock().unwrap() = life.clone();
        let (port, _) = served(&stub).await;
        let source = open(api(port, json!({})), &here()).await.unwrap();
        for _ in 0..3 {
            source.test(None, Duration::from_secs(2)).await.unwrap();
        }
        assert_eq!(stub.given(), given, "{life:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_fetched_again_once() {
    let stub = Stub::with_life(json!(3_600));
    let (port, log) = served(&stub).await;
    let source = open(api(port, json!({})), &here()).await.unwrap();
    rows_of(source.as_ref()).await.unwrap();
    stub.revoke();
    assert_eq!(rows_of(source.as_ref()).await.unwrap(), [row(["1"])]);
    assert_eq!(exchanges(&log).len(), 2);
    *stub.refuses.lock().unwrap() = true;
    let refused = rows_of(source.as_ref()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Authentication);
    assert!(refused.message.contains("metadata.scope"), "{refused}");
    has_no_secret(&refused);
    assert_eq!(exchanges(&log).len(), 3, "once, and not for ever");
    // What it may not read is no fault of the token.
    *stub.refuses.lock().unwrap() = false;
    let denied = json!({ "url": format!("http://127.0.0.1:{port}/denied") });
    let source = open(api(port, denied), &here()).await.unwrap();
    assert_eq!(rows_of(source.as_ref()).await.unwrap_err().code, ErrorCode::Authentication);
    assert_eq!(exchanges(&log).len(), 4, "it was fetched for this source, and not again");
}

#[tokio::test]
async fn those_who_ask_at_once_share_a_token() {
    let stub = Stub::with_life(json!(3_600));
    let (port, _) = served(&stub).await;
    let source = open(api(port, json!({})), &here()).await.unwrap();
    let all = (0..8).map(|_| source.test(None, Duration::from_secs(5)));
    for tested in futures_util::future::join_all(all).await {
        tested.unwrap();
    }
    assert_eq!(stub.given(), 1);
}

#[tokio::test]
async fn graphql_is_asked_with_such_a_token_too() {
    let stub = Stub::with_life(json!(3_600));
    let (port, log) = served(&stub).await;
    let mut settings = api(port, json!({ "query": "{ rows { n } }", "rows_path": "data.rows" }));
    settings.kind = SourceType::Graphql;
    settings.metadata.insert("url".to_owned(), json!(format!("http://127.0.0.1:{port}/graphql")));
    let source = open(settings, &here()).await.unwrap();
    assert_eq!(rows_of(source.as_ref()).await.unwrap(), [row(["1"])]);
    assert_eq!(log.lock().unwrap().last().unwrap().authorization.as_deref(), Some("Bearer t0ken-1"));
}

// In what the log is told.
#[tokio::test]
async fn a_token_that_an_answer_repeats_is_told_to_nobody() {
    let stub = Stub::with_life(json!(3_600));
    let (port, _) = served(&stub).await;
    for (kind, path) in [(SourceType::RestApi, "page"), (SourceType::Graphql, "errors")] {
        let url = format!("http://127.0.0.1:{port}/{path}");
        let mut settings = api(port, json!({ "url": url, "query": "{ rows { n } }" }));
        settings.kind = kind;
        let source = open(settings, &here()).await.unwrap();
        let error = source.test(None, Duration::from_secs(5)).await.unwrap_err();
        assert!(error.detail.contains("Bearer ***"), "{kind}: {error:?}");
        has_no_secret(&error);
    }
}

/// What a source says whose token endpoint answers so.
async fn failure(status: u16, headers: Vec<(&'static str, String)>, body: &str) -> (SourceError, Log) {
    let body = body.to_owned();
    let (port, log) = serve(move |asked| match asked.target.as_str() {
        "/token" => (status, headers.clone(), body.clone()),
        _ => (200, vec![], "[]".to_owned()),
    })
    .await;
    let source = open(api(port, json!({})), &here()).await.unwrap();
    let error = source.test(None, Duration::from_secs(5)).await.unwrap_err();
    has_no_secret(&error);
    let interface = log.lock().unwrap().iter().filter(|asked| asked.target != "/token").count();
    assert_eq!(interface, 0, "without a token nothing is asked");
    (error, log)
}

#[tokio::test]
async fn a_refusal_says_of_which_kind_it_is_and_what_to_do() {
    let body =
        |error: &str| json!({ "error": error, "error_description": format!("no {SECRET}") }).to_string();
    let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let pair = STANDARD.encode(format!("tide+gate:{encoded}"));
    for (status, told, part) in [
        (401, body("invalid_client"), "credentials.client_secret"),
        (400, body("invalid_client"), "metadata.client_auth"),
        (401, "no JSON of hunter2:@/#%&=+é".to_owned(), "credentials.client_secret"),
        // Endpoints that repeat what they were sent, also where the log's part of it ends.
        (401, format!("client_secret={encoded}"), "credentials.client_secret"),
        (401, format!("authorization: Basic {pair}"), "credentials.client_secret"),
        (401, "x".repeat(985) + SECRET, "credentials.client_secret"),
        (400, body("unauthorized_client"), "where the client is registered"),
        (400, body("invalid_scope"), "metadata.scope"),
        (400, body("invalid_request"), "metadata.audience"),
        (400, body("invalid_target"), "metadata.audience"),
        (403, "{}".to_owned(), "refuses to give"),
        (400, body("something_else"), "refuses to give"),
    ] {
        let (error, log) = failure(status, vec![], &told).await;
        assert_eq!(error.code, ErrorCode::Authentication, "{status} {told}: {error}");
        assert!(error.message.contains(part), "{status} {told}: {error}");
        assert_eq!(exchanges(&log).len(), 1);
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_none_or_down_is_told_apart_from_the_interface() {
    let large = format!("{{\"access_token\":\"{}\"}}", "x".repeat(1 << 20));
    for (status, body) in [
        (500, "hunter2:@/#%&=+é"),
        (503, ""),
        (429, ""),
        (404, ""),
        (405, ""),
        (200, "<html>"),
        (200, "{}"),
        (200, "{\"access_token\":\"a\\r\\nx-more: b\"}"),
        (200, large.as_str()),
        (204, ""),
    ] {
        let (error, _) = failure(status, vec![], body).await;
        assert_eq!(error.code, ErrorCode::Connection, "{status}: {error}");
        assert!(error.message.contains("metadata.token_url"), "{status}: {error}");
    }
    let (mac, _) = failure(200, vec![], "{\"access_token\":\"x\",\"token_type\":\"mac\"}").await;
    assert_eq!(mac.code, ErrorCode::Authentication);
}

#[tokio::test]
async fn the_secret_follows_no_redirect() {
    let (other, log) = serve(|_| (200, vec![], "{\"access_token\":\"x\"}".to_owned())).await;
    for status in [301, 302, 307, 308] {
        let location = vec![("location", format!("http://127.0.0.1:{other}/token"))];
        let (error, _) = failure(status, location, "").await;
        assert_eq!(error.code, ErrorCode::Connection);
        assert!(error.message.contains("redirects"), "{error}");
    }
    assert!(log.lock().unwrap().is_empty(), "another server was told the secret");
}

#[tokio::test]
async fn a_token_endpoint_is_where_sources_may_be() {
    let stub = Stub::with_life(json!(3_600));
    let (port, log) = served(&stub).await;
    // The interface may be asked, if anybody were there; the token endpoint may not.
    let policy = NetworkPolicy { allowed: vec!["127.0.0.2/32".parse().unwrap()], ..NetworkPolicy::default() };
    for place in [
        format!("http://127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
        "http://169.254.169.254".to_owned(),
    ] {
        let more =
            json!({ "url": format!("http://127.0.0.2:{port}/rows"), "token_url": format!("{place}/token") });
        let source = open(api(port, more), &policy).await.unwrap();
        let error = source.test(None, Duration::from_secs(2)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Connection, "{place}");
        assert!(error.message.contains("token_url"), "{place}: {error}");
        assert!(!error.message.contains("127."), "{place}: {error}");
    }
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused_before_anybody_is_asked() {
    let stub = Stub::with_life(json!(3_600));
    let (port, log) = served(&stub).await;
    let refused = async |change: &dyn Fn(&mut Settings), part: &str| {
        let mut settings = api(port, json!({}));
        change(&mut settings);
        let error = open(settings, &here()).await.map(drop).unwrap_err();
        assert!(error.message.contains(part), "{part}: {error}");
        has_no_secret(&error);
    };
    refused(&|settings| settings.credentials.client_secret = None, "credentials.client_secret is missing")
        .await;
    refused(&|settings| drop(settings.metadata.remove("client_id")), "metadata.client_id is missing").await;
    refused(&|settings| drop(settings.metadata.remove("token_url")), "metadata.token_url is missing").await;
    refused(&|settings| settings.credentials.oauth_token = secret("t0ken"), "have to be removed").await;
    refused(&|settings| settings.credentials.username = secret("me"), "have to be removed").await;
    let set = |name: &'static str, value: Value| {
        move |settings: &mut Settings| drop(settings.metadata.insert(name.to_owned(), value.clone()))
    };
    refused(&set("client_auth", json!("jwt")), "client_auth").await;
    refused(&set("token_url", json!("file:///etc/passwd")), "https://").await;
    refused(&set("token_url", json!("http://me:hunter2@127.0.0.1/")), "credentials").await;
    refused(&set("scope", json!(["a"])), "metadata.scope must be text").await;
    // The secret would go there in the clear, though the interface is asked by TLS.
    refused(&set("url", json!("https://api.example/rows")), "token_url must start with https://").await;
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_certificate_of_a_token_endpoint_is_verified() {
    let certificates = Certificates::make();
    let stub = Stub::with_life(json!(3_600));
    let kept = Arc::clone(&stub);
    let (port, _) = serve_bytes(Some(certificates.acceptor()), move |asked| {
        let (status, headers, body) = kept.answer(asked);
        (status, headers, body.into_bytes())
    })
    .await;
    let place = |path: &str| json!(format!("https://127.0.0.1:{port}/{path}"));
    let mut settings = api(port, json!({ "url": place("rows"), "token_url": place("token") }));
    let unknown = open(settings.clone(), &here()).await.unwrap();
    let error = unknown.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Connection);
    assert!(error.message.contains("token_url"), "{error}");
    assert_eq!(stub.given(), 0);
    settings.metadata.insert("ssl_ca".to_owned(), json!(certificates.pem("ca.pem")));
    let source = open(settings, &here()).await.unwrap();
    assert_eq!(rows_of(source.as_ref()).await.unwrap(), [row(["1"])]);
}

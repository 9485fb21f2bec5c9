//! How this contract asks and answers: sections 1 and 2.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Method;
use futures_util::stream;
use serde_json::{Value, json};
use tidegate_domain::ContractId;
use tidegate_domain::flexible_id::FlexibleId;
use tidegate_testkit::{Answer, Engine, PASSWORD, Person, TestApp, on_both_engines};

use crate::forge::claims_of;
use crate::routes::{self, Route, assert_envelope};
use crate::watch::row_counts;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A password that nobody has.
pub(super) const OTHER_PASSWORD: &str = "Another2horse!";
/// An id of the right form that no database has.
pub(super) const NO_DATABASE: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The application without rate limits, for stories that ask a lot.
pub(super) async fn unlimited(engine: Engine) -> TestApp {
    TestApp::builder(engine).without_limits().start().await
}

/// A GET request of somebody signed in.
pub(super) async fn get_as(app: &TestApp, who: &Person, path: &str) -> Answer {
    app.get(&format!("/v1/{path}")).bearer(&who.access_token).send().await
}

/// A POST request of somebody signed in.
pub(super) async fn post_as(app: &TestApp, who: &Person, path: &str, body: Value) -> Answer {
    app.post(&format!("/v1/{path}")).bearer(&who.access_token).json(&body).send().await
}

/// A PATCH request of somebody signed in.
pub(super) async fn patch_as(app: &TestApp, who: &Person, path: &str, body: Value) -> Answer {
    app.patch(&format!("/v1/{path}")).bearer(&who.access_token).json(&body).send().await
}

/// A DELETE request of somebody signed in.
pub(super) async fn delete_as(app: &TestApp, who: &Person, path: &str, body: Value) -> Answer {
    app.delete(&format!("/v1/{path}")).bearer(&who.access_token).json(&body).send().await
}

/// A request that asks for no token.
pub(super) async fn post(app: &TestApp, path: &str, body: Value) -> Answer {
    app.post(&format!("/v1/{path}")).json(&body).send().await
}

/// What a token says of itself.
pub(super) async fn whose(app: &TestApp, token: &str) -> Answer {
    app.post("/v1/login/jwt/").bearer(token).send().await
}

/// The database, end user and anonymous session a token is bound to.
pub(super) async fn bound_to(app: &TestApp, token: &str) -> (Option<String>, Option<String>, Option<String>) {
    let claims = claims_of(app, token).await;
    let text = |id: Option<FlexibleId>| id.map(|id| id.as_str().to_owned());
    (claims.db.map(|id| id.opaque()), text(claims.fuid), text(claims.fsid))
}

/// A success without anything to say.
#[track_caller]
pub(super) fn assert_nothing_said(answer: &Answer, status: u16) {
    answer.assert_status(status);
    assert_eq!((answer.text.as_str(), answer.header("content-type")), ("", ""));
}

/// A refusal: status, class, message and data, all of the body.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, class: (u16, &str), message: &str, data: &Value) {
    answer.assert_status(status);
    let (code, name) = class;
    let body = json!({ "error_code": code, "error_name": name, "message": message, "error_data": data });
    assert_eq!(answer.body, body);
    assert_envelope(ContractId::CROSSING_MINDS, answer);
}

/// 401 AuthError.
#[track_caller]
pub(super) fn assert_auth_error(answer: &Answer, name: &str, error: &str) {
    let message = format!("Cannot perform authentication: {error}");
    assert_refused(answer, 401, (21, "AuthError"), &message, &json!({ "error": error, "name": name }));
}

/// 401 AuthError about a password.
#[track_caller]
pub(super) fn assert_wrong_password(answer: &Answer) {
    assert_auth_error(answer, "INCORRECT_PASSWORD", "account password is incorrect");
}

/// 403 ForbiddenError.
#[track_caller]
pub(super) fn assert_forbidden(answer: &Answer, error: &str) {
    let message = format!("Do not have enough permissions to access this resource: {error}");
    let data = json!({ "error": error, "name": "INSUFFICIENT_ROLE" });
    assert_refused(answer, 403, (50, "ForbiddenError"), &message, &data);
}

/// 404 NotFoundError.
#[track_caller]
pub(super) fn assert_not_found(answer: &Answer, (kind, name): (&str, &str), key: &str) {
    let message = format!("The {kind} {key} does not exist");
    let data = json!({ "type": kind, "key": key, "name": name });
    assert_refused(answer, 404, (60, "NotFoundError"), &message, &data);
}

/// 404 NotFoundError about a database.
#[track_caller]
pub(super) fn assert_no_database(answer: &Answer, key: &str) {
    assert_not_found(answer, ("database", "DATABASE_NOT_FOUND"), key);
}

/// 404 NotFoundError about a path.
#[track_caller]
fn assert_no_path(answer: &Answer, key: &str) {
    assert_not_found(answer, ("path", "PATH_NOT_FOUND"), key);
}

/// 400 DuplicatedError about a database.
#[track_caller]
pub(super) fn assert_duplicated_database(answer: &Answer, name: &str) {
    let message = format!("The database {name} is duplicated");
    let data = json!({ "type": "database", "key": name, "name": "DUPLICATED_DB_NAME" });
    assert_refused(answer, 400, (42, "DuplicatedError"), &message, &data);
}

/// WrongData about the request as a whole.
#[track_caller]
pub(super) fn assert_wrong_data(answer: &Answer, status: u16, name: &str) {
    let error = answer.text_at("error_data.error");
    assert!(!error.is_empty());
    let data = json!({ "error": error, "name": name });
    assert_refused(answer, status, (40, "WrongData"), "There is an error in the submitted data", &data);
}

/// 400 WrongData about a token without a database.
#[track_caller]
pub(super) fn assert_none_selected(answer: &Answer) {
    assert_wrong_data(answer, 400, "NO_DATABASE_SELECTED");
}

/// 400 WrongData about fields: which, in alphabetical order.
#[track_caller]
pub(super) fn faulty(answer: &Answer) -> Vec<&str> {
    let query = answer.field("error_data.query");
    let data = json!({ "query": query, "name": "WRONG_DATA_TYPE" });
    assert_refused(answer, 400, (40, "WrongData"), "There is an error in the submitted data", &data);
    let fields = query.as_object().unwrap_or_else(|| panic!("no fields: {}", answer.text));
    for messages in fields.values() {
        let messages = messages.as_array().expect("messages");
        assert!(!messages.is_empty() && messages.iter().all(Value::is_string), "{}", answer.text);
    }
    fields.keys().map(String::as_str).collect()
}

/// 429 TooManyRequests.
#[track_caller]
pub(super) fn assert_limited(answer: &Answer, seconds: u64) {
    let message = "The amount of requests exceeds the limit of your subscription";
    let data = json!({ "name": "RATE_LIMIT_OVERFLOW", "retry_after": seconds });
    assert_refused(answer, 429, (2, "TooManyRequests"), message, &data);
    assert_eq!(answer.header("retry-after"), seconds.to_string());
}

/// 503 ServerUnavailable.
#[track_caller]
pub(super) fn assert_unavailable(answer: &Answer, name: &str, seconds: u64) {
    let message = "The server is currently unavailable, please try again later";
    assert_refused(answer, 503, (1, "ServerUnavailable"), message, &json!({ "name": name }));
    assert_eq!(answer.header("retry-after"), seconds.to_string());
}

/// The contract's routes.
fn all() -> Vec<Route> {
    let routes: Vec<Route> =
        routes::all().into_iter().filter(|route| route.contract == ContractId::CROSSING_MINDS).collect();
    assert!(routes.len() >= 31, "the document lost routes");
    routes
}

/// A path as it is described, and the three other ways to write it.
fn spellings(path: &str) -> [String; 4] {
    let plain = path.strip_prefix("/v1").expect("a versioned path");
    [path.to_owned(), format!("{path}/"), plain.to_owned(), format!("{plain}/")]
}

/// A body that knows how often it was asked for more.
#[derive(Default)]
struct Pickle(Arc<AtomicUsize>);

impl Pickle {
    fn body(&self) -> Body {
        let read = Arc::clone(&self.0);
        Body::from_stream(stream::repeat_with(move || {
            read.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Bytes::from_static(b"\x1f\x8b\x08\x80\x04\x95"))
        }))
    }
}

on_both_engines! {
    async fn every_path_answers_alike_with_and_without_its_slash_and_its_version(engine: Engine) {
        let app = unlimited(engine).await;
        let root = app.provision("root@example.com").await;
        for route in all() {
            for token in [None, Some(&root.access_token)] {
                let mut answers = Vec::new();
                for path in spellings(&route.sample_path()) {
                    let request = app.client().request(route.method.clone(), &path);
                    let request = if route.takes_body() { request.json(&json!({})) } else { request };
                    let request = match token {
                        Some(token) => request.bearer(token),
                        None => request,
                    };
                    let Answer { status, text, .. } = request.send().await;
                    assert!(!text.contains("PATH_NOT_FOUND"), "{} at {path}: {text}", route.name());
                    answers.push((status, text));
                }
                let same = answers.iter().all(|answer| *answer == answers[0]);
                assert!(same, "{}: {answers:?}", route.name());
            }
        }
    }

    async fn who_asks_for_no_token_takes_no_notice_of_one(engine: Engine) {
        let app = unlimited(engine).await;
        let root = app.provision("root@example.com").await;
        app.advance(3_600 * SECOND);
        let stale = format!("Bearer {}", root.access_token);
        for route in all().iter().filter(|route| !route.bearer) {
            let send = |header: Option<&str>| {
                let request = route.request(&app.client());
                match header {
                    Some(header) => request.header("authorization", header),
                    None => request,
                }
                .send()
            };
            let plain = send(None).await;
            for header in [stale.as_str(), "Bearer ", "Bearer", "Bearer a.b.c", "Basic YTpi", ""] {
                let answer = send(Some(header)).await;
                assert_eq!(
                    (answer.status, &answer.text),
                    (plain.status, &plain.text),
                    "{} {header}",
                    route.name()
                );
            }
        }
    }

    async fn a_token_past_its_life_hinders_neither_a_new_sign_in_nor_a_refresh(app: TestApp) {
        let root = app.provision("root@example.com").await;
        app.advance(3_600 * SECOND);
        get_as(&app, &root, "databases/").await.assert_status(401);
        post_as(&app, &root, "login/individual/", json!({ "email": root.email, "password": PASSWORD }))
            .await
            .assert_status(200);
        let answer =
            post_as(&app, &root, "login/refresh-token/", json!({ "refresh_token": root.refresh_token }))
                .await;
        let root = Person { access_token: answer.assert_status(200).text_at("token"), ..root };
        get_as(&app, &root, "databases/").await.assert_status(200);
    }

    async fn an_expired_token_and_a_wrong_one_are_told_apart(app: TestApp) {
        let root = app.provision("root@example.com").await;
        app.advance(3_599 * SECOND);
        post_as(&app, &root, "login/jwt/", json!({})).await.assert_status(200);
        app.advance(SECOND);
        // The number, the class and the name each are what some client library looks at.
        let expired = post_as(&app, &root, "login/jwt/", json!({})).await;
        let data = json!({ "error": "the JWT token has expired", "name": "INCORRECT_JWT_TOKEN" });
        assert_refused(&expired, 401, (22, "JwtTokenExpired"), "The JWT token has expired", &data);

        let wrong = app.post("/v1/login/jwt/").bearer("a.b.c").send().await;
        assert_auth_error(&wrong, "INCORRECT_JWT_TOKEN", "the JWT token is incorrect");
        let none = app.post("/v1/login/jwt/").send().await;
        let error = "send a JWT token as `Authorization: Bearer <token>`";
        assert_auth_error(&none, "INCORRECT_JWT_TOKEN", error);
        let empty = app.post("/v1/login/jwt/").header("authorization", "Bearer ").send().await;
        assert_eq!(empty.text, none.text);
    }

    async fn pickles_are_refused_unread(app: TestApp) {
        let root = app.provision("root@example.com").await;
        for route in all().iter().filter(|route| route.method != Method::GET) {
            let pickle = Pickle::default();
            let request = app.client().request(route.method.clone(), &route.sample_path());
            let request = if route.bearer { request.bearer(&root.access_token) } else { request };
            let request = request.header("content-type", "application/xminds-pkl");
            let answer = request.header("content-encoding", "gzip").stream(pickle.body()).send().await;
            assert_wrong_data(&answer, 415, "UNSUPPORTED_MEDIA_TYPE");
            assert_eq!(pickle.0.load(Ordering::SeqCst), 0, "{} read it", route.name());
        }
        app.post("/v1/login/jwt/").bearer(&root.access_token).send().await.assert_status(200);
    }

    async fn a_body_is_plain_json_and_says_so(app: TestApp) {
        let root = app.provision("root@example.com").await;
        let body = json!({ "email": root.email, "password": PASSWORD }).to_string();
        let login = || app.post("/v1/login/individual/");
        for kind in ["application/json; charset=utf-8", "Application/JSON"] {
            login().body(kind, body.clone()).send().await.assert_status(200);
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            let answer = login().body(kind, body.clone()).send().await;
            assert_wrong_data(&answer, 415, "UNSUPPORTED_MEDIA_TYPE");
        }
        let packed = login().body("application/json", body.clone()).header("content-encoding", "gzip");
        assert_wrong_data(&packed.send().await, 415, "UNSUPPORTED_MEDIA_TYPE");
        let untyped = login().stream(Body::from(body)).send().await;
        assert_wrong_data(&untyped, 415, "UNSUPPORTED_MEDIA_TYPE");
    }

    async fn an_empty_body_and_null_have_no_fields(app: TestApp) {
        let root = app.provision("root@example.com").await;
        for body in ["", " \r\n", "null", " null\n", "{}"] {
            let answer = app.post("/v1/login/jwt/").bearer(&root.access_token).body("application/json", body);
            answer.send().await.assert_status(200);
            let answer = app.post("/v1/login/individual/").body("application/json", body).send().await;
            assert_eq!(faulty(&answer), ["email", "password"], "{body:?}");
            // The owner's own account: the body was read, and the rule is met.
            let answer =
                app.delete("/v1/accounts/").bearer(&root.access_token).body("application/json", body);
            answer.send().await.assert_error(403, "INCORRECT_ACCOUNT");
        }
        app.post("/v1/login/jwt/").bearer(&root.access_token).send().await.assert_status(200);
        assert_eq!(faulty(&app.post("/v1/login/individual/").send().await), ["email", "password"]);
    }

    async fn the_body_of_a_delete_is_read(app: TestApp) {
        let root = app.provision("root@example.com").await;
        let ada = app.add_individual(&root, "ada@example.com", "backend").await;
        let refused = app.delete("/v1/accounts/individual/").bearer(&root.access_token).send().await;
        assert_eq!(faulty(&refused), ["email"]);
        let before = row_counts(&app).await;
        for path in ["accounts/", "accounts/individual/", "accounts/service/", "databases/current/"] {
            let request = app.delete(&format!("/v1/{path}")).bearer(&root.access_token);
            let answer = request.body("application/json", "{\"email\": ").send().await;
            assert_wrong_data(&answer, 400, "WRONG_DATA_TYPE");
        }
        assert_eq!(row_counts(&app).await, before);
        let body = json!({ "email": "ada@example.com" });
        assert_nothing_said(&delete_as(&app, &root, "accounts/individual/", body).await, 204);
        get_as(&app, &ada, "databases/").await.assert_status(401);
    }

    async fn fields_nobody_knows_are_ignored(app: TestApp) {
        let root = app.provision("root@example.com").await;
        let more = json!({ "unknown": { "deep": [1, null] }, "remember_me": 7, "role": "root" });
        app.log_in("individual", &root.email, more.clone()).await.assert_status(200);
        post_as(&app, &root, "login/jwt/", more).await.assert_status(200);
        let body = json!({
            "name": "shop", "description": "", "item_id_type": "uuid", "user_id_type": "uuid",
            "core_config": { "any": "thing" }, "status": "pending", "id": "mine",
        });
        let id = post_as(&app, &root, "databases/", body).await.assert_status(200).text_at("id");
        assert_ne!(id, "mine");
    }

    async fn where_nothing_is_the_path_is_named(app: TestApp) {
        let root = app.provision("root@example.com").await;
        for path in [
            "/v1",
            "/v1/nothing",
            "/v1/login",
            "/v1/login/individual/more",
            "/login",
            "/databases/other",
            "/v1/accounts/individual%2Freset",
            // Described, and not part of this.
            "/v1/login/sso/saml/sp",
            "/login/sso/saml/sp",
        ] {
            for (method, slash) in [(Method::GET, ""), (Method::POST, "/"), (Method::DELETE, "/")] {
                let request = app.client().request(method, &format!("{path}{slash}"));
                let answer = request.bearer(&root.access_token).json(&json!({})).send().await;
                let key = answer.text_at("error_data.key");
                assert_no_path(&answer, &key);
                assert_eq!(key.trim_end_matches('/'), path);
            }
        }
        // What was asked behind the path may be anybody's code, and stays out of the answer.
        for path in ["/v1/nothing", "/login/nothing"] {
            assert_no_path(&app.get(&format!("{path}?code=secret")).send().await, path);
        }
        // A proxy in front may have made it shorter or longer: the one that is served is named.
        let longer = "may add a beginning, or not take it away";
        for (path, served, what) in [
            ("/v1/auth/login", "/api/v1/auth/login", "may take /api away"),
            ("/v1/sessions/resolve", "/api/v1/sessions/{session_id}", "may take /api away"),
            ("/v1/v1/login/individual", "/v1/login/individual", longer),
        ] {
            let message = app.get(path).send().await.assert_status(404).text_at("message");
            let told = format!("The path {path} does not exist; {served} is served: a proxy in front {what}");
            assert_eq!(message, told);
        }
        // At the root, what begins like no path of this contract is outside of it.
        for path in ["/nothing", "/v2/login/individual", "/LOGIN/ROOT", "/loginx"] {
            let answer = app.get(path).send().await;
            assert_eq!((answer.status, &answer.body["error"]), (404, &json!("not_found")), "{path}");
        }
    }

    async fn other_methods_are_refused_with_those_there_are(engine: Engine) {
        let app = unlimited(engine).await;
        let mut paths: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for route in all() {
            let methods = paths.entry(route.sample_path()).or_default();
            methods.insert(route.method.to_string());
            if route.method == Method::GET {
                methods.insert("HEAD".to_owned());
            }
        }
        for (path, allowed) in paths {
            let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];
            for method in methods.into_iter().filter(|method| !allowed.contains(*method)) {
                for path in spellings(&path) {
                    let request = app.client().request(method.parse().unwrap(), &path);
                    let answer = request.json(&json!({})).send().await;
                    let data = json!({ "method": method, "name": "METHOD_NOT_ALLOWED" });
                    let message = format!("Method \"{method}\" not allowed");
                    assert_refused(&answer, 405, (70, "MethodNotAllowed"), &message, &data);
                    let allow = answer.header("allow").split(',').map(|method| method.trim().to_owned());
                    assert_eq!(allow.collect::<BTreeSet<_>>(), allowed, "{method} {path}");
                }
            }
        }
    }

    async fn without_its_database_the_server_is_unavailable(app: TestApp) {
        app.store().close().await;
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        assert_unavailable(&post(&app, "login/individual/", body).await, "SERVER_UNAVAILABLE", 1);
    }

    async fn too_large_a_body_is_refused_in_the_envelope(app: TestApp) {
        let body = json!({ "email": "ada@example.com", "password": "x".repeat(1 << 20) });
        assert_wrong_data(&post(&app, "login/individual/", body).await, 413, "PAYLOAD_TOO_LARGE");
    }

    async fn scripts_of_a_configured_origin_may_change_and_delete(engine: Engine) {
        let ours = "https://app.example.com";
        let app = TestApp::builder(engine).http(|http| http.cors_origins = vec![ours.to_owned()]);
        let app = app.start().await;
        for (path, method) in [
            ("accounts/individual", "DELETE"),
            ("accounts/individual", "PATCH"),
            ("databases/current", "DELETE"),
            ("databases/current", "PATCH"),
            ("accounts/resend-verification-code", "PUT"),
            ("login/jwt", "POST"),
            ("databases", "GET"),
        ] {
            for path in spellings(&format!("/v1/{path}")) {
                let asked = app.client().options(&path).header("origin", ours);
                let asked = asked.header("access-control-request-method", method);
                let asked = asked.header("access-control-request-headers", "authorization,content-type");
                let answer = asked.send().await;
                answer.assert_status(200);
                assert_eq!(answer.header("access-control-allow-origin"), ours, "{path}");
                let methods: Vec<&str> = answer.header("access-control-allow-methods").split(',').collect();
                assert!(methods.contains(&method), "{method} {path}: {methods:?}");
                let headers = answer.header("access-control-allow-headers");
                assert!(headers.contains("authorization") && headers.contains("content-type"), "{headers}");
            }
        }
        // What is not found is read by scripts as well.
        for path in ["/v1/nothing", "/v1/login/root", "/login/root"] {
            let answer = app.get(path).header("origin", ours).send().await;
            assert!([404, 405].contains(&answer.status));
            assert_eq!(answer.header("access-control-allow-origin"), ours, "{path}");
        }
        let stranger = app.get("/v1/databases/").header("origin", "https://evil.example").send().await;
        assert_eq!(stranger.header("access-control-allow-origin"), "");
    }
}

//! Keys with which programs sign in: `accounts/service/keys/`.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, FakeClock, PASSWORD, Person, TestApp, on_both_engines};

use super::managing::*;

const PATH: &str = "accounts/service/keys/";
const NAME: &str = "nightly export";

/// The start of every test, as the contract tells time.
fn start() -> f64 {
    FakeClock::START.fractional_seconds()
}

async fn create(app: &TestApp, manager: &Person, fields: Value) -> Answer {
    let mut body = json!({ "name": NAME });
    tidegate_domain::text::merge(&mut body, &fields);
    let answer = post_as(app, manager, PATH, &body).send().await;
    answer.assert_status(200);
    answer
}

fn path_of(key_id: &str) -> String {
    format!("/v1/{PATH}{key_id}/")
}

async fn delete(app: &TestApp, manager: &Person, key_id: &str) -> Answer {
    app.delete(&path_of(key_id)).bearer(&manager.access_token).send().await
}

#[track_caller]
fn assert_no_key(answer: &Answer, key_id: &str) {
    assert_not_found(answer, "key", key_id, "KEY_NOT_FOUND");
}

/// The program, signed in anew with a key.
async fn with_key(app: &TestApp, program: &Person, key: &Answer) -> Person {
    app.bound(program, json!({ "password": key.text_at("key") })).await
}

/// What is listed of a key.
fn listed(key: &Answer, is_expired: bool) -> Value {
    json!({
        "id": key.body["id"], "created_timestamp": key.body["created_timestamp"],
        "expiration_timestamp": key.body["expiration_timestamp"], "is_expired": is_expired,
        "metadata": key.body["metadata"],
    })
}

async fn listed_keys(app: &TestApp, manager: &Person) -> Value {
    listed_program(app, manager, NAME).await["keys"].clone()
}

on_both_engines! {
    async fn a_key_is_shown_once_and_signs_in_as_a_password_does(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let body = json!({
            "name": " nightly export ", "expiration_timestamp": start() + 600.25,
            "metadata": { "host": ["a", null] },
        });
        let key = post_as(&app, &root, PATH, &body).send().await;
        let (id, text) = (key.text_at("id"), key.text_at("key"));
        assert_answer(&key, &json!({
            "id": id, "key": text, "created_timestamp": start(), "expiration_timestamp": start() + 600.25,
            "metadata": { "host": ["a", null] },
        }));
        assert_eq!(id.len(), 22);
        assert!(text.starts_with("tgk_") && text.len() > 40, "{text}");
        assert_eq!(count_of(&app, "account.key_created").await, 1);

        let list = get_as(&app, &root, "organizations/current/accounts/").send().await;
        assert_eq!(list.body["service_accounts"][0]["keys"], json!([listed(&key, false)]));
        assert!(!list.text.contains(&text));
        let session = with_key(&app, &program, &key).await;
        assert!(lets_in(&app, &session).await);
        assert_eq!(session.user_id, program.user_id);
        // The password is none the worse for it.
        app.log_in("service", NAME, json!({})).await.assert_status(200);
    }

    async fn a_key_need_not_expire(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let fields = json!({ "expiration_timestamp": null, "metadata": null, "unknown": null });
        let key = create(&app, &root, fields).await;
        assert_answer(&key, &json!({
            "id": key.text_at("id"), "key": key.text_at("key"), "created_timestamp": start(),
            "expiration_timestamp": null, "metadata": {},
        }));
        app.advance(Duration::from_secs(10 * 365 * 24 * 3_600));
        with_key(&app, &program, &key).await;
        let root = app.bound(&root, json!({})).await;
        assert_eq!(listed_keys(&app, &root).await, json!([listed(&key, false)]));
    }

    async fn keys_are_listed_in_the_order_they_were_made_and_no_two_are_alike(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let mut expected = Vec::new();
        for number in 0..5 {
            let key = create(&app, &root, json!({ "metadata": { "number": number } })).await;
            assert!(lets_in(&app, &with_key(&app, &program, &key).await).await);
            expected.push(listed(&key, false));
            app.advance(Duration::from_secs(1));
        }
        assert_eq!(listed_keys(&app, &root).await, Value::Array(expected));
    }

    async fn a_key_is_good_until_it_expires_and_so_is_whatever_it_opened(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let key = create(&app, &root, json!({ "expiration_timestamp": start() + 1_200.0 })).await;
        let early = with_key(&app, &program, &key).await;
        let by_password = app.bound(&program, json!({})).await;
        app.advance(Duration::from_secs(1_199));
        let late = with_key(&app, &program, &key).await;
        assert!(lets_in(&app, &early).await);
        // A refresh makes nothing last longer.
        let refreshed = refresh(&app, &early.refresh_token).await;
        let child = refreshed.assert_status(200).text_at("refresh_token");
        let access_token = refreshed.text_at("token");
        let refreshed = Person { access_token, refresh_token: child, ..early.clone() };
        assert!(lets_in(&app, &refreshed).await);

        app.advance(Duration::from_secs(1));
        assert_no_way_in(&app, "service", NAME, &key.text_at("key")).await;
        for session in [&early, &late, &refreshed] {
            let answer = app.post("/v1/login/jwt/").bearer(&session.access_token).send().await;
            let data = json!({ "error": "the JWT token has expired", "name": "INCORRECT_JWT_TOKEN" });
            assert_refused(&answer, 401, (22, "JwtTokenExpired"), "The JWT token has expired", &data);
            let answer = refresh(&app, &session.refresh_token).await;
            let data = json!({ "error": "the refresh token has expired", "name": "REFRESH_TOKEN_EXPIRED" });
            assert_refused(&answer, 401, (28, "RefreshTokenExpired"), "The refresh token has expired", &data);
        }
        assert!(lets_in(&app, &by_password).await);
        assert_eq!(listed_keys(&app, &root).await, json!([listed(&key, true)]));
        assert_empty(&delete(&app, &root, &key.text_at("id")).await, 204);
        assert_eq!(listed_keys(&app, &root).await, json!([]));
    }

    async fn a_session_opened_with_a_key_that_lasts_is_refreshed_like_any_other(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let day = 24.0 * 3_600.0;
        let key = create(&app, &root, json!({ "expiration_timestamp": start() + 90.0 * day })).await;
        let session = with_key(&app, &program, &key).await;
        app.advance(Duration::from_secs(55 * 24 * 3_600));
        let child = refresh(&app, &session.refresh_token).await.assert_status(200).text_at("refresh_token");
        assert_ne!(child, session.refresh_token);
        app.advance(Duration::from_secs(35 * 24 * 3_600 - 1));
        refresh(&app, &child).await.assert_status(200);
        app.advance(Duration::from_secs(1));
        refresh(&app, &child).await.assert_error(401, "REFRESH_TOKEN_EXPIRED");
    }

    async fn a_key_may_be_made_that_has_expired_and_signs_nobody_in(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, NAME, "backend").await;
        let past = [start(), start() - 1.0, 0.0, -1.5e11].map(|seconds| (seconds, true));
        let future = [start() + 1.0, 3.5e9].map(|seconds| (seconds, false));
        for (seconds, is_expired) in past.into_iter().chain(future) {
            let key = create(&app, &root, json!({ "expiration_timestamp": seconds })).await;
            assert_eq!(key.field("expiration_timestamp"), seconds);
            let login = log_in_with(&app, "service", NAME, &key.text_at("key")).await;
            assert_eq!(login.status == 200, !is_expired, "{seconds}");
            assert_eq!(listed_keys(&app, &root).await, json!([listed(&key, is_expired)]));
            delete(&app, &root, &key.text_at("id")).await.assert_status(204);
        }
    }

    async fn a_key_is_of_its_program_alone(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, NAME, "backend").await;
        app.add_service(&root, "another", "manager").await;
        app.add_individual(&root, ADA, "manager").await;
        let key = create(&app, &root, json!({})).await.text_at("key");
        assert_no_way_in(&app, "service", "another", &key).await;
        assert_no_way_in(&app, "service", "nobody", &key).await;
        for email in [ADA, ROOT] {
            assert_no_way_in(&app, "individual", email, &key).await;
        }
        let claim = json!({ "email": ROOT, "password": key });
        post(&app, "login/root/", &claim).send().await.assert_error(401, "INCORRECT_PASSWORD");
        // Nor is it a token of any other kind.
        let answer = app.post("/v1/login/jwt/").bearer(&key).send().await;
        assert_auth_error(&answer, "INCORRECT_JWT_TOKEN", "the JWT token is incorrect");
        refresh(&app, &key).await.assert_error(401, "INCORRECT_REFRESH_TOKEN");
        let [upper, longer] = [key.to_uppercase(), format!("{key}x")];
        for nearly in [upper.as_str(), &longer, &key["tgk_".len()..], &key[..key.len() - 1]] {
            assert_no_way_in(&app, "service", NAME, nearly).await;
        }
    }

    async fn a_key_is_made_for_a_program_of_the_organization_alone(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_individual(&root, ADA, "backend").await;
        let other = app.provision("other@example.com").await;
        app.add_service(&other, NAME, "backend").await;
        app.add_service(&root, "deleted", "backend").await;
        let body = json!({ "name": "deleted" });
        delete_as(&app, &root, "accounts/service/", &body).send().await.assert_status(204);
        for name in [NAME, "nobody", "deleted", ADA, ROOT] {
            let request = post_as(&app, &root, PATH, &json!({ "name": name }));
            assert_unknown_account(&without_trace(&app, request).await, name);
        }
        assert_eq!(listed_keys(&app, &other).await, json!([]));
    }

    async fn what_is_wrong_with_a_new_key_is_said_field_by_field(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, NAME, "backend").await;
        let request = |body: &Value| post_as(&app, &root, PATH, body);
        let all = json!({ "name": "", "expiration_timestamp": "soon", "metadata": [] });
        let answer = without_trace(&app, request(&all)).await;
        assert_wrong_fields(&answer, &json!({
            "name": [answer.field("error_data.query.name.0")],
            "expiration_timestamp": ["must be a number"],
            "metadata": ["must be an object"],
        }));
        let with = |field: &str, value: Value| {
            let mut body = json!({ "name": NAME });
            body[field] = value;
            body
        };
        let wrong = [
            ("name", json!({})),
            ("name", with("name", json!(1))),
            ("expiration_timestamp", with("expiration_timestamp", json!(3.5e9 + 1.0))),
            ("expiration_timestamp", with("expiration_timestamp", json!(-1.5e11 - 1.0))),
            ("expiration_timestamp", with("expiration_timestamp", json!(1e300))),
            ("expiration_timestamp", with("expiration_timestamp", json!(u64::MAX))),
            ("expiration_timestamp", with("expiration_timestamp", json!(true))),
            ("metadata", with("metadata", json!({ "x": "x".repeat(64 * 1024) }))),
            ("metadata", with("metadata", json!({ "x": "\u{0}" }))),
        ];
        each_wrong(&app, wrong, request).await;
        each_malformed(&app, || app.post("/v1/accounts/service/keys/").bearer(&root.access_token)).await;
        assert_eq!(listed_keys(&app, &root).await, json!([]));
    }

    async fn deleting_a_key_ends_what_it_opened_and_nothing_else(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let key = create(&app, &root, json!({})).await;
        app.advance(Duration::from_secs(1));
        let other_key = create(&app, &root, json!({})).await;
        let sessions = [with_key(&app, &program, &key).await, with_key(&app, &program, &key).await];
        let other_session = with_key(&app, &program, &other_key).await;
        for session in &sessions {
            assert!(lets_in(&app, session).await);
        }

        let id = key.text_at("id");
        assert_empty(&delete(&app, &root, &id).await, 204);
        for session in &sessions {
            assert_ended(&app, session).await;
        }
        assert_no_way_in(&app, "service", NAME, &key.text_at("key")).await;
        assert!(lets_in(&app, &program).await && lets_in(&app, &other_session).await);
        with_key(&app, &program, &other_key).await;
        app.log_in("service", NAME, json!({ "password": PASSWORD })).await.assert_status(200);
        assert_eq!(listed_keys(&app, &root).await, json!([listed(&other_key, false)]));
        assert_eq!(count_of(&app, "account.key_deleted").await, 1);

        let again = app.delete(&path_of(&id)).bearer(&root.access_token);
        assert_no_key(&without_trace(&app, again).await, &id);
    }

    async fn a_key_of_another_organization_looks_like_none(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let key = create(&app, &root, json!({})).await;
        let session = with_key(&app, &program, &key).await;
        let other = app.provision("other@example.com").await;
        let id = key.text_at("id");
        let request = app.delete(&path_of(&id)).bearer(&other.access_token);
        assert_no_key(&without_trace(&app, request).await, &id);
        assert!(lets_in(&app, &session).await);
        with_key(&app, &program, &key).await;
    }

    async fn what_is_no_keys_id_is_no_key(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let key = create(&app, &root, json!({})).await;
        let (id, text) = (key.text_at("id"), key.text_at("key"));
        let unknown = "AAAAAAAAAAAAAAAAAAAAAA";
        let changed_case = id.to_ascii_lowercase();
        let longer = "x".repeat(500);
        for wrong in [unknown, &changed_case, &id[1..], &program.user_id, &text, "0", "..x", &longer] {
            let request = app.delete(&path_of(wrong)).bearer(&root.access_token);
            assert_no_key(&without_trace(&app, request).await, wrong);
        }
        let encoded = [("a%20b", "a b"), ("%27%3B--", "';--"), ("%C3%A9", "\u{e9}"), ("a%00b", "a\u{0}b")];
        for (sent, key) in encoded {
            let request = app.delete(&path_of(sent)).bearer(&root.access_token);
            assert_no_key(&without_trace(&app, request).await, key);
        }
        with_key(&app, &program, &key).await;
    }

    async fn a_body_that_is_not_json_deletes_no_key(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let key = create(&app, &root, json!({})).await;
        let path = path_of(&key.text_at("id"));
        each_malformed(&app, || app.delete(&path).bearer(&root.access_token)).await;
        with_key(&app, &program, &key).await;
        let request = app.delete(&path).bearer(&root.access_token).body("application/json", "null");
        assert_empty(&request.send().await, 204);
    }
}

//! POST /api/v1/auth/login: somebody comes back. And what their access token is good for.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_testkit::{Answer, Engine, PASSWORD, Person, TestApp, on_both_engines};

use super::wire::{
    OTHER_PASSWORD, assert_data, assert_done, assert_refused, each_invalid, event, get_as, lets_in,
    newest_events, post, refresh, refused_without_trace, sign_in, sign_in_remembered, token_set, tokens,
    traces, url, wait,
};

const ADA: &str = "ada@example.com";
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn claim(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

async fn login(app: &TestApp, claim: &Value) -> Answer {
    post(app, "auth/login", claim).send().await
}

/// The claim of somebody with a right password, who wants into a workspace.
fn into_workspace(workspace: Value) -> Value {
    json!({ "email": ADA, "password": PASSWORD, "workspace_id": workspace })
}

/// Every endpoint behind an access token.
const PROTECTED: [(Method, &str); 103] = [
    (Method::POST, "prompts/execute"),
    (Method::GET, "prompts"),
    (Method::GET, "prompts/1"),
    (Method::PATCH, "prompts/1"),
    (Method::DELETE, "prompts/1"),
    (Method::GET, "prompts/history"),
    (Method::DELETE, "prompts/history/clear"),
    (Method::GET, "prompts/1/executions"),
    (Method::GET, "prompts/executions/1"),
    (Method::GET, "prompts/executions/1/status"),
    (Method::POST, "prompts/executions/1/cancel"),
    (Method::GET, "prompts/executions/1/result"),
    (Method::GET, "prompts/executions/1/events"),
    (Method::GET, "prompts/1/analytics"),
    (Method::GET, "prompts/analytics/query-analytics"),
    (Method::GET, "prompt-templates"),
    (Method::POST, "prompt-templates"),
    (Method::GET, "prompt-templates/1"),
    (Method::PATCH, "prompt-templates/1"),
    (Method::DELETE, "prompt-templates/1"),
    (Method::POST, "prompt-templates/1/execute"),
    (Method::POST, "queries/execute"),
    (Method::GET, "queries"),
    (Method::GET, "queries/1"),
    (Method::POST, "queries/1/cancel"),
    (Method::GET, "queries/1/result"),
    (Method::GET, "policies"),
    (Method::POST, "policies"),
    (Method::GET, "policies/dashboard"),
    (Method::POST, "policies/simulate"),
    (Method::GET, "policies/1"),
    (Method::PATCH, "policies/1"),
    (Method::DELETE, "policies/1"),
    (Method::POST, "policies/1/assignments"),
    (Method::DELETE, "policies/1/assignments/1"),
    (Method::GET, "policies/1/evaluations"),
    (Method::GET, "data-sources"),
    (Method::POST, "data-sources"),
    (Method::GET, "data-sources/metrics"),
    (Method::GET, "data-sources/1"),
    (Method::PATCH, "data-sources/1"),
    (Method::DELETE, "data-sources/1"),
    (Method::PATCH, "data-sources/1/credentials"),
    (Method::POST, "data-sources/1/test"),
    (Method::POST, "data-sources/1/discover-schema"),
    (Method::GET, "data-sources/1/schemas"),
    (Method::GET, "data-sources/1/health"),
    (Method::GET, "data-sources/1/file-url"),
    (Method::POST, "storage/upload"),
    (Method::GET, "storage/files"),
    (Method::GET, "storage/buckets"),
    (Method::GET, "storage/buckets/tidegate-files/objects"),
    (Method::GET, "storage/objects/organizations/1/files/1/a.csv/metadata"),
    (Method::GET, "storage/objects/organizations/1/files/1/a.csv/presigned-url"),
    (Method::DELETE, "storage/objects/organizations/1/files/1/a.csv"),
    (Method::GET, "storage/quota"),
    (Method::GET, "storage/usage"),
    (Method::POST, "organizations/1/oauth-applications"),
    (Method::GET, "organizations/1/oauth-applications"),
    (Method::GET, "organizations/1/oauth-applications/1"),
    (Method::PATCH, "organizations/1/oauth-applications/1"),
    (Method::DELETE, "organizations/1/oauth-applications/1"),
    (Method::POST, "organizations/1/oauth-applications/1/regenerate-secret"),
    (Method::POST, "organizations/1/oauth-applications/1/revoke"),
    (Method::POST, "oauth/authorize"),
    (Method::POST, "auth/logout"),
    (Method::POST, "auth/logout-all"),
    (Method::POST, "auth/change-password"),
    (Method::GET, "auth/me"),
    (Method::PUT, "auth/me/profile"),
    (Method::POST, "auth/me/email/request"),
    (Method::POST, "auth/me/email/verify"),
    (Method::GET, "auth/login-history"),
    (Method::GET, "auth/social-accounts"),
    (Method::GET, "sessions"),
    (Method::DELETE, "sessions/1"),
    (Method::POST, "auth/mfa/deactivate"),
    (Method::POST, "auth/step-up"),
    (Method::POST, "auth/step-up/otp"),
    (Method::POST, "auth/step-up/passkey"),
    (Method::POST, "mfa/totp/setup"),
    (Method::POST, "mfa/totp/verify"),
    (Method::GET, "mfa/totp/devices"),
    (Method::DELETE, "mfa/totp/devices/1"),
    (Method::POST, "mfa/email-otp/setup"),
    (Method::POST, "mfa/email-otp/verify"),
    (Method::POST, "mfa/sms-otp/setup"),
    (Method::POST, "mfa/sms-otp/verify"),
    (Method::GET, "mfa/status"),
    (Method::POST, "mfa/backup-codes/generate"),
    (Method::GET, "mfa/backup-codes"),
    (Method::POST, "mfa/backup-codes/verify"),
    (Method::POST, "devices/activate"),
    (Method::POST, "devices/skip"),
    (Method::GET, "devices"),
    (Method::DELETE, "devices/1"),
    (Method::POST, "auth/tokens"),
    (Method::GET, "auth/tokens"),
    (Method::PATCH, "auth/tokens/1"),
    (Method::DELETE, "auth/tokens/1"),
    (Method::POST, "organizations/1/tokens"),
    (Method::GET, "organizations/1/tokens"),
    (Method::DELETE, "organizations/1/tokens/1"),
];

on_both_engines! {
    async fn the_right_password_opens_a_session(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        wait(&app, 60);
        let answer = login(&app, &claim("Ada@Example.com", PASSWORD)).await;
        let mut full = token_set(&answer, ADA);
        full["display_name"] = json!("Ada Lovelace");
        assert_data(&answer, 200, &full);
        let metadata = json!({ "method": "password", "remember_me": false });
        let expected = event(&app, "auth.login.success", Some(1), Some(2), &metadata);
        assert_eq!(newest_events(&app, 1).await, [expected]);
        refresh(&app, &answer.text_at("data.refresh_token")).await.assert_status(200);
    }

    async fn somebody_without_a_name_signs_in_as_null(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        app.sql("update accounts set display_name = ''").await;
        let answer = login(&app, &claim(ADA, PASSWORD)).await;
        assert!(answer.field("data").as_object().is_some_and(|data| data["display_name"].is_null()));
    }

    async fn a_password_counts_in_full_and_as_it_was_typed(app: TestApp) {
        // Longer than the 72 bytes that bcrypt itself looks at; with spaces that are not trimmed.
        let long = format!(" Abcdefg1{} ", "\u{e9}".repeat(100));
        post(&app, "auth/signup", &claim(ADA, &long)).send().await.assert_status(201);
        let almost = [long.trim().to_owned(), format!("{}e ", &long[..long.len() - 3]), long.to_lowercase()];
        for wrong in almost {
            login(&app, &claim(ADA, &wrong)).await.assert_error(401, "INVALID_CREDENTIALS");
        }
        login(&app, &claim(ADA, &long)).await.assert_status(200);
    }

    async fn a_device_fingerprint_never_fails_the_request(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        for fingerprint in ["{\"screen\":\"1920x1080\"}", "not JSON", "\u{e9}"] {
            let request = post(&app, "auth/login", &claim(ADA, PASSWORD)).header("x-device-fingerprint", fingerprint);
            request.send().await.assert_status(200);
        }
    }

    async fn an_unverified_address_is_mailed_a_code_instead(app: TestApp) {
        app.sign_up_rivergen(ADA).await;
        let answer = login(&app, &claim(ADA, PASSWORD)).await;
        let token = answer.text_at("data.temporary_token");
        assert_done(&answer, 200, json!({ "temporary_token": token, "email_verification_required": true }));
        assert_eq!(app.sql_count("select count(*) from sessions").await, 0);
        assert_eq!(app.templates_to(ADA).await, ["sign_up_code", "sign_up_code"]);
        // Somebody knew the password: the owner sees it in their history.
        let metadata = json!({ "reason": "email_not_verified" });
        assert_eq!(newest_events(&app, 1).await, [event(&app, "auth.login.failure", Some(1), None, &metadata)]);

        let code = app.latest_code(ADA).await;
        let verify = json!({ "temporary_token": token, "otp_code": code });
        post(&app, "auth/verify-otp", &verify).send().await.assert_status(200);
    }

    async fn remember_me_is_carried_through_the_verification(app: TestApp) {
        app.sign_up_rivergen(ADA).await;
        let mut remembered = claim(ADA, PASSWORD);
        remembered["remember_me"] = json!(true);
        let token = login(&app, &remembered).await.text_at("data.temporary_token");
        let verify = json!({ "temporary_token": token, "otp_code": app.latest_code(ADA).await });
        post(&app, "auth/verify-otp", &verify).send().await.assert_status(200);
        let metadata = json!({ "method": "email_verification", "remember_me": true });
        assert_eq!(newest_events(&app, 1).await, [event(&app, "auth.login.success", Some(1), Some(1), &metadata)]);
        let thirty_days = "select count(*) from sessions where expires_at - created_at = 2592000000000";
        assert_eq!(app.sql_count(thirty_days).await, 1);
    }

    async fn an_unverified_person_of_another_contract_gets_in_nowhere(app: TestApp) {
        let bob = app.register_ingestiq("bob@example.com").await;
        for (method, path) in PROTECTED {
            let request = app.client().request(method, &url(path)).bearer(&bob.access_token);
            let request = request.json(&json!({}));
            refused_without_trace(&app, request, 403, "EMAIL_NOT_VERIFIED").await;
        }
        let told = app.get("/api/v1/auth/me").bearer(&bob.access_token).send().await;
        let way = "POST /api/v1/auth/login sends a code, and with the code POST /api/v1/auth/verify-otp answers a token";
        assert!(told.text.contains(way), "{}", told.text);
        // The first proof ends what was opened without one; from then on any sign-in is good.
        let answer = login(&app, &claim("bob@example.com", PASSWORD)).await;
        let code = app.latest_code("bob@example.com").await;
        let verify = json!({ "temporary_token": answer.text_at("data.temporary_token"), "otp_code": code });
        let verified = post(&app, "auth/verify-otp", &verify).send().await;
        assert!(!lets_in(&app, &bob).await);
        let bob = Person { access_token: verified.assert_status(200).text_at("data.access_token"), ..bob };
        assert!(lets_in(&app, &bob).await);
    }

    async fn nobody_gets_in_without_an_access_token(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let forged = ada.access_token.chars().rev().collect::<String>();
        for (method, path) in PROTECTED {
            for token in [None, Some(""), Some("guess"), Some(forged.as_str())] {
                let mut request = app.client().request(method.clone(), &url(path)).json(&json!({}));
                if let Some(token) = token {
                    request = request.bearer(token);
                }
                refused_without_trace(&app, request, 401, "UNAUTHORIZED").await;
            }
        }
    }

    async fn an_unknown_address_and_a_wrong_password_look_the_same(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let before = traces(&app).await.len();
        let wrong = login(&app, &claim(ADA, OTHER_PASSWORD)).await;
        let unknown = login(&app, &claim("nobody@example.com", PASSWORD)).await;
        assert_refused(&app, &wrong, 401, "INVALID_CREDENTIALS");
        assert_eq!((unknown.status, &unknown.text), (401, &wrong.text));
        let metadata = json!({ "reason": "invalid_password" });
        assert_eq!(newest_events(&app, 2).await, [
            event(&app, "auth.login.failure", Some(1), None, &metadata),
            event(&app, "auth.login.failure", None, None, &metadata),
        ]);
        assert_eq!(traces(&app).await.len(), before + 2);
    }

    async fn a_disabled_account_looks_like_a_wrong_password(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let wrong = login(&app, &claim(ADA, OTHER_PASSWORD)).await;
        app.sql("update accounts set disabled_at = 1").await;
        let right = login(&app, &claim(ADA, PASSWORD)).await;
        assert_refused(&app, &right, 401, "INVALID_CREDENTIALS");
        assert_eq!(right.text, wrong.text);
        assert_eq!(app.sql_count("select count(*) from sessions").await, 1);
    }

    async fn an_account_without_a_password_looks_like_a_wrong_one(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        app.sql("delete from passwords").await;
        assert_refused(&app, &login(&app, &claim(ADA, PASSWORD)).await, 401, "INVALID_CREDENTIALS");
    }

    async fn ones_own_workspace_may_be_entered(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        login(&app, &into_workspace(json!(1))).await.assert_status(200);
        login(&app, &into_workspace(Value::Null)).await.assert_status(200);
        assert_eq!(app.sql_count("select count(*) from sessions where workspace_id is not null").await, 3);
    }

    async fn a_workspace_of_others_is_not_accessible_and_does_not_show_whether_it_is_there(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified("bob@example.com").await;
        let mut answers = Vec::new();
        for workspace in [2, 3, 0, -1] {
            let answer = login(&app, &into_workspace(json!(workspace))).await;
            assert_refused(&app, &answer, 403, "PERMISSION_DENIED");
            let expected = event(&app, "auth.login.failure", Some(1), None, &json!({ "reason": "workspace_denied" }));
            assert_eq!(newest_events(&app, 1).await, [expected]);
            answers.push(answer.text);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
        assert_eq!(app.sql_count("select count(*) from sessions").await, 2);
    }

    async fn a_login_needs_an_address_and_a_password(app: TestApp) {
        let with = |field: &str, value: Value| {
            let mut body = claim(ADA, PASSWORD);
            body[field] = value;
            body
        };
        let wrong = [
            ("email", json!({ "password": PASSWORD })),
            ("email", claim("ada", PASSWORD)),
            ("password", json!({ "email": ADA })),
            ("password", with("password", json!(1))),
            ("workspace_id", with("workspace_id", json!("1"))),
            ("workspace_id", with("workspace_id", json!(1.5))),
            ("remember_me", with("remember_me", json!("true"))),
        ];
        each_invalid(&app, 422, wrong, |body| post(&app, "auth/login", body)).await;
        // Whatever is wrong is said at once.
        let answer = login(&app, &json!({ "remember_me": 1 })).await;
        let message = answer.text_at("error.message");
        assert!(["email", "password", "remember_me"].iter().all(|field| message.contains(field)), "{message}");
    }

    async fn an_access_token_lives_for_an_hour(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        wait(&app, HOUR - 1);
        assert!(lets_in(&app, &ada).await);
        wait(&app, 1);
        let answer = get_as(&app, &ada, "auth/me").send().await;
        assert_refused(&app, &answer, 401, "UNAUTHORIZED");
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }

    async fn a_session_lasts_a_day_and_a_remembered_one_thirty(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for (who, lifetime) in [(sign_in(&app, &ada).await, DAY), (sign_in_remembered(&app, &ada).await, 30 * DAY)] {
            app.clock.set(tidegate_testkit::FakeClock::START);
            wait(&app, lifetime - 1);
            // The last access token and the last refresh token end with the session.
            let last = refresh(&app, &who.refresh_token).await;
            assert_eq!(last.assert_status(200).field("data.expires_in"), 1);
            let last = tokens(&who, &last);
            assert!(lets_in(&app, &last).await);
            wait(&app, 1);
            assert!(!lets_in(&app, &last).await);
            assert_refused(&app, &refresh(&app, &last.refresh_token).await, 401, "REFRESH_TOKEN_EXPIRED");
        }
    }

    async fn an_account_disabled_elsewhere_is_out_within_two_seconds(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        assert!(lets_in(&app, &ada).await);
        app.sql("update accounts set disabled_at = 1").await;
        wait(&app, 2);
        assert!(!lets_in(&app, &ada).await);
        assert_refused(&app, &refresh(&app, &ada.refresh_token).await, 401, "INVALID_REFRESH_TOKEN");
    }

    async fn an_unverified_person_is_kept_out_while_no_code_can_be_mailed(engine: Engine) {
        let app = TestApp::builder(engine).mail_off().start().await;
        let bob: Person = app.register_ingestiq("bob@example.com").await;
        let request = post(&app, "auth/login", &claim(&bob.email, PASSWORD));
        refused_without_trace(&app, request, 403, "EMAIL_NOT_VERIFIED").await;
    }
}

//! Step-up: off unless an operator asks for it, and then on every sensitive action.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};

use super::super::wire::{assert_done, assert_refused, sign_in, wait};
use super::*;

/// An application where a sign-in may be ten minutes old.
async fn strict(engine: Engine) -> TestApp {
    let change = |settings: &mut tidegate_kernel::Settings| {
        for profile in settings.contracts.iter_mut() {
            profile.recent_sign_in = Some(Duration::from_secs(600));
        }
    };
    TestApp::builder(engine).without_limits().settings(change).start().await
}

async fn step_up(app: &TestApp, who: &Person, proof: &Value) -> Answer {
    post_as(app, who, "auth/step-up", proof).send().await
}

/// Every action of this contract that changes what signs in to the account.
fn sensitive() -> Vec<(Method, &'static str, Value)> {
    vec![
        (Method::POST, "mfa/totp/setup", json!({ "device_name": "Phone" })),
        (Method::POST, "mfa/email-otp/setup", json!({})),
        (Method::POST, "mfa/sms-otp/setup", json!({})),
        (Method::POST, "mfa/backup-codes/generate", json!({})),
        (Method::DELETE, "mfa/totp/devices/1", json!({})),
        (Method::POST, "webauthn/register/start", json!({ "device_name": "Phone" })),
        (Method::DELETE, "webauthn/credentials/1", json!({})),
        (Method::POST, "auth/mfa/deactivate", json!({})),
        (Method::POST, "auth/tokens", json!({ "name": "Build server", "scopes": ["read"] })),
        (Method::PATCH, "auth/tokens/1", json!({ "scopes": ["admin"] })),
        (Method::POST, "organizations/1/tokens", json!({ "name": "Build server", "scopes": ["read"] })),
        (
            Method::POST,
            "auth/change-password",
            json!({ "current_password": PASSWORD, "new_password": "Battery2staple!" }),
        ),
        (Method::POST, "auth/me/email/request", json!({ "new_email": "new@example.com" })),
        (
            Method::POST,
            "auth/me/email/verify",
            json!({ "new_email": "new@example.com", "otp_code": "000000" }),
        ),
    ]
}

on_both_engines! {
    async fn without_the_setting_no_action_asks(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        wait(&app, 3_000);
        for (method, path, body) in sensitive() {
            let request = app.client().request(method, &url(path)).bearer(&ada.access_token).json(&body);
            assert_ne!(request.send().await.code(), "STEP_UP_REQUIRED", "{path}");
        }
    }

    async fn with_it_every_sensitive_action_asks_and_goes_on_after_a_proof(engine: Engine) {
        let app = strict(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for (method, path, body) in sensitive() {
            let ada = sign_in(&app, &ada).await;
            wait(&app, 601);
            let request = || app.client().request(method.clone(), &url(path)).bearer(&ada.access_token).json(&body);
            assert_refused(&app, &request().send().await, 403, "STEP_UP_REQUIRED");
            let proven = step_up(&app, &ada, &json!({ "password": PASSWORD })).await;
            assert_done(&proven, 200, json!({ "authenticated_at": app.now().iso_seconds() }));
            if path != "auth/change-password" {
                assert_ne!(request().send().await.code(), "STEP_UP_REQUIRED", "{path}");
            }
        }
    }

    // The attack: another contract's door for a token that is too old here.
    async fn programs_keys_and_passwords_ask_in_the_other_contract_too(engine: Engine) {
        let app = strict(engine).await;
        let root = app.provision("root@example.com").await;
        let program = json!({ "name": "program", "role": "backend", "password": PASSWORD });
        app.post("/v1/accounts/service/").bearer(&root.access_token).json(&program).send().await.assert_status(200);
        wait(&app, 601);
        let more = json!({ "name": "more", "role": "backend", "password": PASSWORD });
        let requests = [
            app.post("/v1/accounts/service/").json(&more),
            app.post("/v1/accounts/service/keys/").json(&json!({ "name": "program" })),
            app.patch("/v1/accounts/service/").json(&json!({ "name": "program", "password": "Battery2staple!" })),
        ];
        for request in requests {
            request.bearer(&root.access_token).send().await.assert_error(403, "INSUFFICIENT_ROLE");
        }
        // The same endpoint proves it, whichever contract the token is of.
        step_up(&app, &root, &json!({ "password": root.password })).await.assert_status(200);
        let request = app.post("/v1/accounts/service/").bearer(&root.access_token).json(&more);
        request.send().await.assert_status(200);
    }

    async fn an_account_with_a_second_factor_shows_that(engine: Engine) {
        let app = strict(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        app.enrol_email_otp(&ada).await;
        wait(&app, 601);
        let password = step_up(&app, &ada, &json!({ "password": PASSWORD })).await;
        assert_refused(&app, &password, 400, "MFA_REQUIRED");
        let wrong = step_up(&app, &ada, &json!({ "code": other_than(&phone.code(app.now())) })).await;
        assert_refused(&app, &wrong, 400, "INVALID_MFA_CODE");
        let right = json!({ "code": phone.code(app.now()) });
        step_up(&app, &ada, &right).await.assert_status(200);
        // Within a minute the same client may repeat it: see `clients::repeats`.
        wait(&app, 61);
        assert_refused(&app, &step_up(&app, &ada, &right).await, 400, "INVALID_MFA_CODE");
        let sent = post_as(&app, &ada, "auth/step-up/otp", &json!({ "method": "email_otp" })).send().await;
        assert_done(&sent, 200, json!({ "otp_sent": true }));
        let code = app.latest_code(ADA).await;
        step_up(&app, &ada, &json!({ "method": "email_otp", "code": code })).await.assert_status(200);
        wait(&app, 61);
        let used = step_up(&app, &ada, &json!({ "method": "email_otp", "code": code })).await;
        assert_refused(&app, &used, 400, "INVALID_MFA_CODE");
        let amr = app.database.sql_texts("select amr from sessions").await;
        assert_eq!(amr, ["otp mfa"]);
    }

    async fn a_backup_code_is_a_proof_too(engine: Engine) {
        let app = strict(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        wait(&app, 601);
        let generate = || post_as(&app, &ada, "mfa/backup-codes/generate", &json!({})).send();
        assert_refused(&app, &generate().await, 403, "STEP_UP_REQUIRED");
        let body = json!({ "backup_code": phone.backup_codes[0] });
        post_as(&app, &ada, "mfa/backup-codes/verify", &body).send().await.assert_status(200);
        generate().await.assert_status(200);
        wait(&app, 60);
        step_up(&app, &ada, &body).await.assert_error(400, "INVALID_MFA_CODE");
    }

    async fn a_proof_has_its_form(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for body in [
            json!({}),
            json!({ "password": 1 }),
            json!({ "code": "12345" }),
            json!({ "code": "123456", "backup_code": "ABCD-2345" }),
            json!({ "code": "123456", "method": "webauthn" }),
        ] {
            assert_refused(&app, &step_up(&app, &ada, &body).await, 422, "VALIDATION_ERROR");
        }
        for body in [json!({}), json!({ "method": "totp" })] {
            let sent = post_as(&app, &ada, "auth/step-up/otp", &body).send().await;
            assert_refused(&app, &sent, 422, "VALIDATION_ERROR");
        }
        let wrong = step_up(&app, &ada, &json!({ "password": "Wrong1password" })).await;
        assert_refused(&app, &wrong, 400, "INVALID_CURRENT_PASSWORD");
        let sent = post_as(&app, &ada, "auth/step-up/otp", &json!({ "method": "email_otp" })).send().await;
        assert_refused(&app, &sent, 400, "INVALID_REQUEST");
    }

    async fn proofs_and_their_codes_are_limited(engine: Engine) {
        let change = |settings: &mut tidegate_kernel::Settings| {
            settings.failed_passwords_by_account = Some(tidegate_domain::limit::Limit::new(2, 3_600));
        };
        let app = TestApp::builder(engine).settings(change).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let wrong = json!({ "password": "Wrong1password" });
        for _ in 0..2 {
            step_up(&app, &ada, &wrong).await.assert_error(400, "INVALID_CURRENT_PASSWORD");
        }
        assert_refused(&app, &step_up(&app, &ada, &wrong).await, 429, "RATE_LIMITED");
        app.enrol_email_otp(&ada).await;
        for _ in 0..3 {
            let sent = post_as(&app, &ada, "auth/step-up/otp", &json!({ "method": "email_otp" })).send().await;
            sent.assert_status(200);
        }
        let sent = post_as(&app, &ada, "auth/step-up/otp", &json!({ "method": "email_otp" })).send().await;
        assert_refused(&app, &sent, 429, "RATE_LIMITED");
        let code = app.latest_code(ADA).await;
        let guess = json!({ "method": "email_otp", "code": other_than(&code) });
        for _ in 0..3 {
            step_up(&app, &ada, &guess).await.assert_error(400, "INVALID_MFA_CODE");
        }
        let right = json!({ "method": "email_otp", "code": code });
        assert_refused(&app, &step_up(&app, &ada, &right).await, 429, "TOO_MANY_ATTEMPTS");
    }
}

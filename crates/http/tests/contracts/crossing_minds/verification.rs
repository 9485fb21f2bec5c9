//! A person's address is verified: `accounts/verify/` and `accounts/resend-verification-code/`.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_testkit::{Answer, Engine, FakeClock, Person, Request, TestApp, on_both_engines};

use super::managing::*;
use crate::watch::Log;

const VERIFY: &str = "accounts/verify/";
const BOB: &str = "bob@example.com";
const VERIFIED: &str = "select count(*) from identifiers where verified_at is not null";
const DAY: u64 = 24 * 3_600;

/// Has Ada made, and mailed a code; answers who provisioned the organization, and the code.
async fn made(app: &TestApp) -> (Person, String) {
    let root = app.provision(ROOT).await;
    app.create_individual(&root, ADA, "backend").await.assert_status(200);
    let code = app.latest_code(ADA).await;
    (root, code)
}

fn claim(email: &str, code: &str) -> Value {
    json!({ "email": email, "code": code })
}

async fn verify(app: &TestApp, email: &str, code: &str) -> Answer {
    post(app, VERIFY, &claim(email, code)).send().await
}

/// The same by the deprecated link.
async fn follow(app: &TestApp, email: &str, code: &str) -> Answer {
    app.get(&format!("/v1/accounts/verify/?code={code}&email={email}")).send().await
}

fn resend(app: &TestApp, email: &str) -> Request {
    ask(app, Method::PUT, "accounts/resend-verification-code/", &json!({ "email": email }))
}

/// Lets time pass.
fn wait(app: &TestApp, seconds: u64) {
    app.advance(Duration::from_secs(seconds));
}

/// Sees that nobody but whoever provisioned the organization is verified.
async fn assert_none_verified(app: &TestApp) {
    assert_eq!(app.sql_count(VERIFIED).await, 1);
}

fn with_warning() -> Value {
    json!({ "email": ADA, "verified": true, "warnings": ["GET accounts/verify/ is deprecated: use POST"] })
}

on_both_engines! {
    async fn the_mailed_code_verifies_and_lets_nobody_in_by_itself(app: TestApp) {
        let (root, code) = made(&app).await;
        let sessions = app.sql_count("select count(*) from sessions").await;
        let answer = verify(&app, ADA, &code).await;
        assert_answer(&answer, &json!({ "email": ADA, "verified": true }));
        // One of the clients compares the text.
        assert_eq!(answer.text, r#"{"email":"ada@example.com","verified":true}"#);
        assert_eq!(app.sql_count("select count(*) from sessions").await, sessions);
        assert_eq!(listed_person(&app, &root, ADA).await["verified"], true);
        assert_eq!(count_of(&app, "auth.email.verified").await, 1);
        app.log_in("individual", ADA, json!({})).await.assert_status(200);
    }

    async fn the_same_code_verifies_again(app: TestApp) {
        let (_, code) = made(&app).await;
        for spelled in [ADA, " Ada@EXAMPLE.com"] {
            assert_answer(&verify(&app, spelled, &code).await, &json!({ "email": ADA, "verified": true }));
        }
        assert_answer(&follow(&app, ADA, &code).await, &with_warning());
        // However often: whatever looks at mails looks at them again.
        for _ in 0..25 {
            assert_answer(&verify(&app, ADA, &code).await, &json!({ "email": ADA, "verified": true }));
        }
        assert_eq!(count_of(&app, "auth.email.verified").await, 1);
    }

    async fn following_the_deprecated_link_verifies_with_a_warning(app: TestApp) {
        let (_, code) = made(&app).await;
        assert_answer(&follow(&app, "Ada%40Example.com", &code).await, &with_warning());
        assert_eq!(count_of(&app, "auth.email.verified").await, 1);
        app.log_in("individual", ADA, json!({})).await.assert_status(200);
        assert_answer(&verify(&app, ADA, &code).await, &json!({ "email": ADA, "verified": true }));
    }

    async fn a_code_in_a_query_is_not_logged(engine: Engine) {
        let log = Log::listen();
        let app = TestApp::start(engine).await;
        let (_, code) = made(&app).await;
        assert_wrong_code(&follow(&app, ROOT, &code).await);
        assert_unknown_account(&follow(&app, BOB, &code).await, BOB);
        follow(&app, "ada", &code).await.assert_error(400, "WRONG_DATA_TYPE");
        let twice = format!("/v1/accounts/verify/?code={code}&code={code}&email={ADA}");
        app.get(&twice).send().await.assert_status(400);
        app.get(&format!("/v1/accounts/verify/?code={code}&email=%ff")).send().await.assert_status(400);
        app.get(&format!("/accounts/verify?email={ADA}&code={code}")).send().await.assert_status(200);
        app.get(&format!("/v1/accounts/verified/?code={code}&email={ADA}")).send().await.assert_status(404);
        let lines = log.lines();
        assert!(lines.iter().any(|line| line.contains("/accounts/verify")), "requests were logged");
        for line in lines {
            // SQL statements have no values in them, and spans no query.
            assert!(!line.contains(&code) && !line.contains(ADA), "{line}");
        }
    }

    async fn a_code_that_is_not_the_persons_does_not_match(app: TestApp) {
        let (root, code) = made(&app).await;
        app.create_individual(&root, BOB, "backend").await.assert_status(200);
        let bobs = app.latest_code(BOB).await;
        assert_ne!(code, bobs);
        let upper = code.to_uppercase();
        for (email, code) in [
            (ADA, bobs.as_str()), (BOB, &code), (ROOT, &code), (ADA, "abcd1234"), (ADA, "000000"),
            (ADA, &code[1..]), (ADA, &"0".repeat(64)), (ADA, &upper), (ADA, "\u{1f511}"),
        ] {
            let request = post(&app, VERIFY, &claim(email, code));
            assert_wrong_code(&without_trace(&app, request).await);
        }
        for (email, code) in [(ADA, &bobs), (BOB, &code)] {
            assert_wrong_code(&follow(&app, email, code).await);
        }
        assert_none_verified(&app).await;
        verify(&app, ADA, &code).await.assert_status(200);
        verify(&app, BOB, &bobs).await.assert_status(200);
    }

    async fn nobody_has_that_address(app: TestApp) {
        let (_, code) = made(&app).await;
        for email in [BOB, "nobody@example.com"] {
            let request = post(&app, VERIFY, &claim(email, &code));
            assert_unknown_account(&without_trace(&app, request).await, email);
            assert_unknown_account(&follow(&app, email, &code).await, email);
            assert_unknown_account(&without_trace(&app, resend(&app, email)).await, email);
        }
        assert_none_verified(&app).await;
    }

    async fn a_disabled_account_looks_like_none(app: TestApp) {
        let (_, code) = made(&app).await;
        let disable = "update accounts set disabled_at = 1 where first_name = 'Ada'";
        assert_eq!(app.sql(disable).await, 1);
        assert_unknown_account(&without_trace(&app, post(&app, VERIFY, &claim(ADA, &code))).await, ADA);
        assert_unknown_account(&without_trace(&app, resend(&app, ADA)).await, ADA);
        assert_none_verified(&app).await;
    }

    async fn a_code_is_good_for_a_day(app: TestApp) {
        let (_, code) = made(&app).await;
        wait(&app, DAY);
        assert_wrong_code(&verify(&app, ADA, &code).await);
        assert_wrong_code(&follow(&app, ADA, &code).await);
        assert_none_verified(&app).await;
        app.clock.set(FakeClock::START.plus(Duration::from_secs(DAY - 1)));
        verify(&app, ADA, &code).await.assert_status(200);
        // That it was right once does not make it last.
        wait(&app, 1);
        assert_wrong_code(&verify(&app, ADA, &code).await);
    }

    async fn the_page_the_mail_leads_to_verifies_and_lets_nobody_in(app: TestApp) {
        let (root, code) = made(&app).await;
        let token = app.latest_link_token(ADA).await;
        let sessions = app.sql_count("select count(*) from sessions").await;
        app.get(&format!("/verify-email?token={token}")).send().await.assert_status(200);
        assert_none_verified(&app).await;
        app.post("/verify-email").form(&format!("token={token}")).send().await.assert_status(200);
        assert_eq!(listed_person(&app, &root, ADA).await["verified"], true);
        assert_eq!(app.sql_count("select count(*) from sessions").await, sessions);
        verify(&app, ADA, &code).await.assert_status(200);
    }

    async fn a_code_that_proves_an_address_lets_nobody_in_through_another_contract(app: TestApp) {
        let (_, code) = made(&app).await;
        for path in ["/api/v1/auth/verify-email", "/api/v1/auth/verify-otp", "/api/v1/auth/reset-password"] {
            let body = json!({
                "token": code, "temporary_token": code, "otp_code": "123456", "new_password": OTHER_PASSWORD,
            });
            let request = app.post(path).json(&body);
            let answer = without_trace(&app, request).await;
            assert_eq!(answer.code(), "INVALID_TOKEN", "{path}: {}", answer.text);
        }
        assert_none_verified(&app).await;
        // Nor after it was used for what it is for.
        verify(&app, ADA, &code).await.assert_status(200);
        let request = app.post("/api/v1/auth/verify-email").json(&json!({ "token": code }));
        without_trace(&app, request).await.assert_error(400, "INVALID_TOKEN");
    }

    async fn what_another_contract_mailed_is_no_code_here(app: TestApp) {
        let newcomer = app.sign_up_rivergen(ADA).await;
        let link = app.latest_link_token(ADA).await;
        for code in [app.latest_code(ADA).await, link.clone(), newcomer.temporary_token] {
            let refused = without_trace(&app, post(&app, VERIFY, &claim(ADA, &code))).await;
            assert_wrong_code(&refused);
            // Who was invited and signed up besides has two mails.
            let hint = refused.text_at("error_data.hint");
            assert!(hint.contains("; the code of the newest invitation mail is meant, not the six digits of "), "{hint}");
        }
        assert_eq!(app.sql_count(VERIFIED).await, 0);
        app.post("/api/v1/auth/verify-email").json(&json!({ "token": link })).send().await.assert_status(200);
    }

    async fn a_code_to_reset_a_password_verifies_nothing_and_the_other_way_round(app: TestApp) {
        let (_, code) = made(&app).await;
        let forgot = post(&app, "accounts/individual/send-reset-password-email/", &json!({ "email": ADA }));
        forgot.send().await.assert_status(200);
        let reset = app.latest_link_token(ADA).await;
        assert_wrong_code(&without_trace(&app, post(&app, VERIFY, &claim(ADA, &reset))).await);
        let body = json!({
            "email": ADA, "code": code, "new_password": OTHER_PASSWORD,
            "code_expiration_timestamp": app.now().fractional_seconds() + 3_600.0,
        });
        assert_wrong_code(&without_trace(&app, post(&app, "accounts/individual/reset/", &body)).await);
        assert_none_verified(&app).await;
        verify(&app, ADA, &code).await.assert_status(200);
    }

    async fn verifying_takes_an_address_and_a_code(app: TestApp) {
        let (_, code) = made(&app).await;
        let nothing = without_trace(&app, post(&app, VERIFY, &json!({}))).await;
        assert_wrong_fields(&nothing, &json!({ "code": ["is required"], "email": ["is required"] }));
        let wrong = [
            ("code", json!({ "email": ADA })),
            ("code", json!({ "email": ADA, "code": null })),
            ("code", json!({ "email": ADA, "code": 12345678 })),
            ("code", json!({ "email": ADA, "code": [code] })),
            ("code", claim(ADA, "")),
            ("code", claim(ADA, &"0".repeat(65))),
            ("email", json!({ "code": code })),
            ("email", claim("ada", &code)),
            ("email", json!({ "email": { "$ne": "" }, "code": code })),
        ];
        each_wrong(&app, wrong, |body| post(&app, VERIFY, body)).await;
        each_malformed(&app, || app.post("/v1/accounts/verify/")).await;
        assert_none_verified(&app).await;
    }

    async fn following_the_link_takes_an_address_and_a_code(app: TestApp) {
        let (_, code) = made(&app).await;
        let get = |query: &str| app.get(&format!("/v1/accounts/verify/{query}"));
        for query in ["", "?", "?x=y"] {
            let nothing = without_trace(&app, get(query)).await;
            assert_wrong_fields(&nothing, &json!({ "code": ["is required"], "email": ["is required"] }));
        }
        for (query, field) in [
            (format!("?email={ADA}"), "code"),
            (format!("?email={ADA}&code="), "code"),
            (format!("?email={ADA}&code={}", "0".repeat(65)), "code"),
            (format!("?code={code}"), "email"),
            (format!("?code={code}&email="), "email"),
            (format!("?code={code}&email=ada"), "email"),
        ] {
            assert_wrong_field(&without_trace(&app, get(&query)).await, field);
        }
        let twice = format!("?code={code}&code={code}&email={ADA}");
        assert_no_object(&without_trace(&app, get(&twice)).await);
        assert_none_verified(&app).await;
    }

    async fn a_new_code_is_mailed_and_the_old_one_withdrawn(app: TestApp) {
        let (root, old) = made(&app).await;
        assert_empty(&resend(&app, " ADA@example.com").send().await, 200);
        assert_eq!(app.templates_to(ADA).await, ["invitation_code", "invitation_code"]);
        let new = app.latest_code(ADA).await;
        assert!(new.len() == 40 && new.bytes().all(|c| c.is_ascii_hexdigit()), "{new}");
        assert_ne!(new, old);
        assert_eq!(count_of(&app, "auth.otp.resent").await, 1);

        assert_wrong_code(&verify(&app, ADA, &old).await);
        assert_wrong_code(&follow(&app, ADA, &old).await);
        app.post("/verify-email").form(&format!("token={old}")).send().await.assert_status(400);
        assert_eq!(listed_person(&app, &root, ADA).await["verified"], false);
        verify(&app, ADA, &new).await.assert_status(200);
    }

    async fn the_day_begins_anew_with_a_new_code(app: TestApp) {
        made(&app).await;
        wait(&app, DAY - 1);
        resend(&app, ADA).send().await.assert_status(200);
        wait(&app, DAY - 1);
        verify(&app, ADA, &app.latest_code(ADA).await).await.assert_status(200);
    }

    async fn an_expired_code_can_be_replaced(app: TestApp) {
        let log = Log::listen();
        let (_, code) = made(&app).await;
        wait(&app, DAY + 90);
        let expired = verify(&app, ADA, &code).await;
        assert_wrong_code(&expired);
        assert!(expired.text.contains("PUT /v1/accounts/resend-verification-code/ sends another one"));
        let line = log.last_answer();
        assert!(line.contains(" refused=\"activation code: expired 90 s ago\""), "{line}");
        resend(&app, ADA).send().await.assert_status(200);
        assert_wrong_code(&verify(&app, ADA, &code).await);
        let line = log.last_answer();
        assert!(line.contains(" refused=\"activation code: unknown, withdrawn by a newer one"), "{line}");
        verify(&app, ADA, &app.latest_code(ADA).await).await.assert_status(200);
    }

    async fn there_is_no_new_code_for_a_verified_address(app: TestApp) {
        let (_, code) = made(&app).await;
        verify(&app, ADA, &code).await.assert_status(200);
        app.register_ingestiq("carol@example.com").await;
        for email in [ADA, ROOT] {
            let refused = without_trace(&app, resend(&app, email)).await;
            assert_auth_error(&refused, "ACCOUNT_ALREADY_VERIFIED", "this account is already verified");
        }
        assert_eq!(app.templates_to(ADA).await, ["invitation_code"]);
        verify(&app, ADA, &code).await.assert_status(200);
    }

    async fn somebody_invited_may_verify_before_they_choose_a_password(app: TestApp) {
        let root = app.provision(ROOT).await;
        post_as(&app, &root, "accounts/individual/", &json!({ "email": ADA, "role": "backend" }))
            .send()
            .await
            .assert_status(200);
        let token = app.latest_link_token(ADA).await;
        resend(&app, ADA).send().await.assert_status(200);
        verify(&app, ADA, &app.latest_code(ADA).await).await.assert_status(200);
        assert_no_way_in(&app, "individual", ADA, "").await;
        let form = format!("token={token}&new_password={OTHER_PASSWORD}");
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        log_in_with(&app, "individual", ADA, OTHER_PASSWORD).await.assert_status(200);
    }

    async fn a_bearer_token_makes_no_difference(app: TestApp) {
        made(&app).await;
        let stale = "eyJhbGciOiJIUzI1NiJ9.e30.x";
        assert_empty(&resend(&app, ADA).bearer(stale).send().await, 200);
        let code = app.latest_code(ADA).await;
        let request = post(&app, VERIFY, &claim(ADA, &code)).bearer(stale);
        assert_answer(&request.send().await, &json!({ "email": ADA, "verified": true }));
        let request = app.get(&format!("/v1/accounts/verify/?code={code}&email={ADA}"));
        assert_answer(&request.header("authorization", "Bearer ").send().await, &with_warning());
    }

    async fn asking_for_a_code_takes_an_address(app: TestApp) {
        made(&app).await;
        let wrong = [
            ("email", json!({})),
            ("email", json!({ "email": null })),
            ("email", json!({ "email": "ada" })),
            ("email", json!({ "email": [ADA] })),
        ];
        let path = "accounts/resend-verification-code/";
        each_wrong(&app, wrong, |body| ask(&app, Method::PUT, path, body)).await;
        each_malformed(&app, || app.put(&format!("/v1/{path}"))).await;
        assert_eq!(app.templates_to(ADA).await, ["invitation_code"]);
    }

    async fn an_account_is_sent_one_code_a_minute(app: TestApp) {
        let (root, _) = made(&app).await;
        app.create_individual(&root, BOB, "backend").await.assert_status(200);
        assert_empty(&resend(&app, ADA).send().await, 200);
        wait(&app, 20);
        let code = app.latest_code(ADA).await;
        for ip in ["198.51.100.7", "203.0.113.1"] {
            assert_told_to_wait(&without_trace(&app, resend(&app, "Ada@example.com").ip(ip)).await, 40);
        }
        assert_eq!(app.mails_to(ADA).await.len(), 2);
        assert_empty(&resend(&app, BOB).send().await, 200);
        wait(&app, 39);
        assert_told_to_wait(&resend(&app, ADA).send().await, 1);
        // Who is refused keeps the code they have.
        verify(&app, ADA, &code).await.assert_status(200);
        // Bob's minute began later.
        assert_told_to_wait(&resend(&app, BOB).send().await, 21);
        wait(&app, 21);
        assert_empty(&resend(&app, BOB).send().await, 200);
    }

    async fn the_next_minute_brings_the_next_code(app: TestApp) {
        made(&app).await;
        for mails in 2..5 {
            assert_empty(&resend(&app, ADA).send().await, 200);
            assert_eq!(app.mails_to(ADA).await.len(), mails);
            wait(&app, 59);
            assert_told_to_wait(&resend(&app, ADA).send().await, 1);
            wait(&app, 1);
        }
    }

    async fn an_account_is_sent_five_codes_an_hour(app: TestApp) {
        // The first with the account itself.
        made(&app).await;
        for _ in 0..4 {
            assert_empty(&resend(&app, ADA).send().await, 200);
            wait(&app, 60);
        }
        assert_told_to_wait(&without_trace(&app, resend(&app, ADA)).await, 3_360);
        wait(&app, 3_359);
        assert_told_to_wait(&resend(&app, ADA).send().await, 1);
        assert_eq!(app.mails_to(ADA).await.len(), 5);
        wait(&app, 1);
        assert_empty(&resend(&app, ADA).send().await, 200);
        verify(&app, ADA, &app.latest_code(ADA).await).await.assert_status(200);
    }

    async fn no_code_is_withdrawn_while_no_other_can_be_mailed(engine: Engine) {
        let app = TestApp::builder(engine).mail_off().start().await;
        app.provision(ROOT).await;
        let refused = without_trace(&app, resend(&app, ADA)).await;
        refused.assert_error(503, "SERVER_UNAVAILABLE");
        refused.assert_not_set_up("e-mail");
    }
}

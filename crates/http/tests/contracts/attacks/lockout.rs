//! Limits on guesses are no lever against the owner.

use std::time::Duration;

use serde_json::json;
use tidegate_domain::EmailAddress;
use tidegate_domain::account::LoginName;
use tidegate_domain::limit::Limit;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_testkit::{Answer, Engine, PASSWORD, TestApp, on_both_engines};

use crate::riven::wire::{ADA, other_than};

const EMAIL: &str = "ada@example.com";
const OWNERS: &str = "203.0.113.50";

async fn log_in(app: &TestApp, ip: &str, password: &str) -> Answer {
    let body = json!({ "email": EMAIL, "password": password });
    app.post("/api/v2/auth/login").ip(ip).json(&body).send().await
}

/// Ada, whose account three wrong passwords an hour lock.
async fn start(engine: Engine) -> TestApp {
    let builder = TestApp::builder(engine).settings(|settings| {
        settings.failed_passwords_by_account = Some(Limit::new(3, 3_600));
    });
    let app = builder.start().await;
    app.sign_up_rivergen_verified(EMAIL).await;
    app
}

async fn lock(app: &TestApp) {
    for number in 0..3 {
        log_in(app, &format!("192.0.2.{number}"), "wrong password").await.assert_status(401);
    }
    log_in(app, "192.0.2.9", PASSWORD).await.assert_status(429);
}

async fn confirm(app: &TestApp, ip: &str, code: &str) -> u16 {
    let body = json!({ "phone": ADA, "code": code });
    app.post("/api/v1/login/verify-code").ip(ip).json(&body).send().await.status
}

on_both_engines! {
    async fn strangers_do_not_lock_the_owner_out_of_networks_they_have_signed_in_from(engine: Engine) {
        let app = start(engine).await;
        log_in(&app, OWNERS, PASSWORD).await.assert_status(200);
        lock(&app).await;
        log_in(&app, OWNERS, PASSWORD).await.assert_status(200);
        // A known network has a count of its own.
        for _ in 0..3 {
            log_in(&app, OWNERS, "wrong password").await.assert_status(401);
        }
        log_in(&app, OWNERS, PASSWORD).await.assert_status(429);
        // It is not known for ever.
        app.advance(Duration::from_secs(91 * 24 * 3_600));
        lock(&app).await;
        log_in(&app, OWNERS, PASSWORD).await.assert_status(429);
        app.kernel().prune().await.unwrap();
        assert_eq!(app.sql_count("select count(*) from known_networks").await, 0);
    }

    async fn an_operator_unlocks_an_account_and_its_networks_stay_known(engine: Engine) {
        let app = start(engine).await;
        log_in(&app, OWNERS, PASSWORD).await.assert_status(200);
        lock(&app).await;
        let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
        let ada = AccountName::Login(LoginName::Email(EmailAddress::parse(EMAIL).unwrap()));
        assert!(app.identity().unlock_account(&operator, &ada).await.is_ok());
        log_in(&app, "192.0.2.10", PASSWORD).await.assert_status(200);
        // What attackers use up next does not reach the owner's networks either.
        for number in 20..23 {
            log_in(&app, &format!("192.0.2.{number}"), "wrong password").await.assert_status(401);
        }
        log_in(&app, "192.0.2.30", PASSWORD).await.assert_status(429);
        log_in(&app, OWNERS, PASSWORD).await.assert_status(200);
    }

    async fn no_more_networks_are_remembered_than_ten(engine: Engine) {
        let app = start(engine).await;
        for number in 0..15 {
            log_in(&app, &format!("203.0.113.{number}"), PASSWORD).await.assert_status(200);
            app.advance(Duration::from_secs(1));
        }
        assert_eq!(app.sql_count("select count(*) from known_networks").await, 10);
        lock(&app).await;
        log_in(&app, "203.0.113.14", PASSWORD).await.assert_status(200);
        log_in(&app, "203.0.113.0", PASSWORD).await.assert_status(429);
    }

    async fn a_reset_by_mail_ends_a_lockout(engine: Engine) {
        let app = start(engine).await;
        log_in(&app, "203.0.113.77", PASSWORD).await.assert_status(200);
        lock(&app).await;
        let body = json!({ "email": EMAIL });
        app.post("/api/v1/auth/forgot-password").ip(OWNERS).json(&body).send().await.assert_status(200);
        let token = app.latest_link_token(EMAIL).await;
        let body = json!({ "token": token, "new_password": "Another1password!" });
        app.post("/api/v1/auth/reset-password").ip(OWNERS).json(&body).send().await.assert_status(204);
        log_in(&app, "203.0.113.51", "Another1password!").await.assert_status(200);
        // Networks of the old password are known no more; the one it was reset from is.
        for number in 0..3 {
            log_in(&app, &format!("192.0.2.{number}"), "wrong password").await.assert_status(401);
        }
        log_in(&app, "203.0.113.77", "Another1password!").await.assert_status(429);
        log_in(&app, OWNERS, "Another1password!").await.assert_status(200);
    }

    async fn a_strangers_wrong_codes_do_not_void_the_one_on_the_owners_phone(app: TestApp) {
        app.register_phone(ADA).await;
        app.advance(Duration::from_secs(60));
        app.send_login_code(ADA).await.assert_status(200);
        let code = app.latest_text_code(ADA).await;
        for _ in 0..10 {
            confirm(&app, "192.0.2.66", other_than(&code)).await;
        }
        // Nor from a network that is new to it.
        assert_eq!(confirm(&app, OWNERS, &code).await, 200);
    }

    async fn guessing_at_a_phones_code_from_many_networks_is_bounded(app: TestApp) {
        app.register_phone(ADA).await;
        app.advance(Duration::from_secs(60));
        app.send_login_code(ADA).await.assert_status(200);
        let code = app.latest_text_code(ADA).await;
        for number in 0..20 {
            confirm(&app, &format!("192.0.2.{}", number / 4), other_than(&code)).await;
        }
        assert_eq!(app.sql_count("select max(attempts) from challenges").await, 20);
        // The right one comes too late for strangers, and for the hour's further codes.
        assert_eq!(confirm(&app, "192.0.2.99", &code).await, 401);
        // The owner's own network is not bound by that.
        app.confirm("login/verify-code", ADA, &code).await.assert_status(200);
        app.advance(Duration::from_secs(60));
        app.send_login_code(ADA).await.assert_status(200);
        let code = app.latest_text_code(ADA).await;
        assert_eq!(confirm(&app, "192.0.2.99", &code).await, 401);
        for _ in 0..5 {
            app.confirm("login/verify-code", ADA, other_than(&code)).await;
        }
        assert_eq!(app.confirm("login/verify-code", ADA, &code).await.status, 401, "five from one network");
    }
}

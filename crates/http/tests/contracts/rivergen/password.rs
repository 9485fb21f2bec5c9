//! POST /api/v1/auth/change-password: somebody signed in takes another password.

use serde_json::{Value, json};
use tidegate_testkit::{Engine, PASSWORD, Person, Request, TestApp, on_both_engines};

use super::wire::{
    DISABLED, OTHER_PASSWORD, assert_done, assert_refused, each_invalid, event, lets_in, newest_events, post,
    post_as, refresh, refused_unheard_of, refused_without_trace, sign_in, wait,
};

const ADA: &str = "ada@example.com";

fn change(app: &TestApp, who: &Person, current: &str, new: &str) -> Request {
    let body = json!({ "current_password": current, "new_password": new });
    post_as(app, who, "auth/change-password", &body)
}

/// An attempt that turned out to be none is taken back after the answer. A process that ended before that came to an
/// end overflowed its stack: what was dropped with the runtime asked the runtime to be taken back, and was dropped.
#[test]
fn a_process_may_end_while_an_attempt_is_taken_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let app = TestApp::start(Engine::Sqlite).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.sql("delete from passwords").await;
        let answer = change(&app, &ada, PASSWORD, OTHER_PASSWORD).send().await;
        answer.assert_error(400, "CHANGE_PASSWORD_FAILED");
    });
    drop(runtime);
}

on_both_engines! {
    async fn a_changed_password_ends_every_session(app: TestApp) {
        let phone = app.sign_up_rivergen_verified(ADA).await;
        let laptop = sign_in(&app, &phone).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        wait(&app, 60);
        assert_done(&change(&app, &laptop, PASSWORD, OTHER_PASSWORD).send().await, 200, json!({}));

        let expected = event(&app, "auth.password.changed", Some(1), Some(2), &json!({}));
        assert_eq!(newest_events(&app, 1).await, [expected]);
        for ended in [&phone, &laptop] {
            assert!(!lets_in(&app, ended).await);
            assert_refused(&app, &refresh(&app, &ended.refresh_token).await, 401, "INVALID_REFRESH_TOKEN");
        }
        assert!(lets_in(&app, &bob).await);
        let reasons = "select distinct revoked_reason from sessions where account_id =
            (select id from accounts where number = 1)";
        assert_eq!(app.database.sql_texts(reasons).await, ["password_changed"]);

        let old = post(&app, "auth/login", &json!({ "email": ADA, "password": PASSWORD })).send().await;
        assert_refused(&app, &old, 401, "INVALID_CREDENTIALS");
        sign_in(&app, &Person { password: OTHER_PASSWORD.to_owned(), ..phone }).await;
    }

    async fn the_owner_is_told_by_mail(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        change(&app, &ada, PASSWORD, OTHER_PASSWORD).send().await.assert_status(200);
        let mails = app.mails_to(ADA).await;
        let notice = mails.first().expect("a mail");
        assert_eq!(notice.message.template, "password_changed");
        assert!(notice.message.idempotency_key.starts_with("password_changed."));
        let values = notice.values.clone().unwrap_or_default();
        assert_eq!((&values["when"], &values["ip"]), (&json!("2026-01-05T09:00:00Z"), &json!("198.51.100.7")));
    }

    async fn a_password_may_be_changed_although_no_notice_can_be_mailed(engine: Engine) {
        let app = TestApp::builder(engine).mail_off().start().await;
        let bob = app.register_ingestiq("bob@example.com").await;
        app.sql("update identifiers set verified_at = 1").await;
        change(&app, &bob, PASSWORD, OTHER_PASSWORD).send().await.assert_status(200);
    }

    async fn the_current_password_must_be_right(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let request = change(&app, &ada, "Correct1horse?", OTHER_PASSWORD);
        refused_without_trace(&app, request, 400, "INVALID_CURRENT_PASSWORD").await;
        assert!(lets_in(&app, &ada).await);
    }

    async fn an_account_without_a_password_has_none_to_change(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.sql("delete from passwords").await;
        let request = change(&app, &ada, PASSWORD, OTHER_PASSWORD);
        refused_without_trace(&app, request, 400, "CHANGE_PASSWORD_FAILED").await;
    }

    async fn an_account_disabled_meanwhile_is_not_found(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let request = change(&app, &ada, PASSWORD, OTHER_PASSWORD);
        refused_unheard_of(&app, &ada, DISABLED, request, (401, "USER_NOT_FOUND")).await;
    }

    async fn the_new_password_must_be_strong_and_another_one(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let to = |new: Value| json!({ "current_password": PASSWORD, "new_password": new });
        let wrong = [
            ("current_password", json!({ "new_password": OTHER_PASSWORD })),
            ("current_password", json!({ "current_password": 1, "new_password": OTHER_PASSWORD })),
            ("new_password", json!({ "current_password": PASSWORD })),
            ("new_password", to(json!(["Another2horse!"]))),
            ("new_password", to(json!("Abcdef1"))),
            ("new_password", to(json!("abcdefg1"))),
            ("new_password", to(json!("ABCDEFG1"))),
            ("new_password", to(json!("Abcdefgh"))),
            ("new_password", to(json!(PASSWORD))),
        ];
        each_invalid(&app, 422, wrong, |body| post_as(&app, &ada, "auth/change-password", body)).await;
    }

    async fn what_was_mailed_under_the_old_password_is_withdrawn(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let verify = json!({ "token": app.latest_link_token(ADA).await });
        post(&app, "auth/forgot-password", &json!({ "email": ADA })).send().await.assert_status(200);
        let reset = json!({ "token": app.latest_link_token(ADA).await, "new_password": "Attacker3horse" });
        let new_email = json!({ "new_email": "ada@example.org" });
        post_as(&app, &ada, "auth/me/email/request", &new_email).send().await.assert_status(200);
        let code = app.latest_code("ada@example.org").await;

        change(&app, &ada, PASSWORD, OTHER_PASSWORD).send().await.assert_status(200);
        let ada = sign_in(&app, &Person { password: OTHER_PASSWORD.to_owned(), ..ada }).await;
        refused_without_trace(&app, post(&app, "auth/verify-email", &verify), 400, "INVALID_TOKEN").await;
        refused_without_trace(&app, post(&app, "auth/reset-password", &reset), 400, "INVALID_TOKEN").await;
        let claim = json!({ "new_email": "ada@example.org", "otp_code": code });
        let request = post_as(&app, &ada, "auth/me/email/verify", &claim);
        refused_without_trace(&app, request, 400, "EMAIL_UPDATE_VERIFY_FAILED").await;
    }
}

//! POST /api/v1/auth/forgot-password and /api/v1/auth/reset-password: back in without the password.

use serde_json::{Value, json};
use tidegate_testkit::{PASSWORD, Person, Request, TestApp, on_both_engines};

use super::wire::{
    OTHER_PASSWORD, assert_done, assert_no_content, assert_refused, each_invalid, event, lets_in,
    newest_events, post, post_as, refresh, refused_without_trace, sign_in, traces, wait,
};

const ADA: &str = "ada@example.com";
const HOUR: u64 = 3_600;

fn forgot(app: &TestApp, email: &str) -> Request {
    post(app, "auth/forgot-password", &json!({ "email": email }))
}

fn reset(app: &TestApp, token: &str, new_password: &str) -> Request {
    post(app, "auth/reset-password", &json!({ "token": token, "new_password": new_password }))
}

/// Has a link mailed; answers its token.
async fn reset_token(app: &TestApp, email: &str) -> String {
    forgot(app, email).send().await.assert_status(200);
    app.latest_link_token(email).await
}

on_both_engines! {
    async fn a_forgotten_password_brings_a_link(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        assert_done(&forgot(&app, "Ada@Example.com").send().await, 200, json!({}));
        let expected = event(&app, "auth.password.reset_requested", Some(1), None, &json!({}));
        assert_eq!(newest_events(&app, 1).await, [expected]);
        let mails = app.mails_to(ADA).await;
        let mail = mails.first().expect("a mail");
        assert_eq!((mail.message.template.as_str(), mail.message.state.as_str()), ("password_reset", "pending"));
        assert!(mail.message.idempotency_key.starts_with("password_reset."));
        let link = mail.link().unwrap_or_default();
        assert!(link.starts_with("https://id.example.com/reset-password?token=tgp_"), "{link}");
        assert_eq!(mail.code(), None);
    }

    async fn an_address_nobody_has_gets_the_very_same_answer_and_no_mail(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let before = traces(&app).await.len();
        let known = forgot(&app, ADA).send().await;
        let written = traces(&app).await.len() - before;
        let unknown = forgot(&app, "nobody@example.com").send().await;
        assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
        let seen = |answer: &tidegate_testkit::Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("x-request-id");
            headers
        };
        assert_eq!(seen(&known), seen(&unknown));
        // The same rows are written; the mail is one that is never sent.
        assert_eq!(traces(&app).await.len(), before + 2 * written);
        assert!(app.mails_to("nobody@example.com").await.is_empty());
        let expected = event(&app, "auth.password.reset_requested", None, None, &json!({}));
        assert_eq!(newest_events(&app, 1).await, [expected]);
    }

    async fn a_disabled_account_gets_the_same_answer_and_no_mail(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let enabled = forgot(&app, ADA).send().await;
        app.sql("update accounts set disabled_at = 1").await;
        let disabled = forgot(&app, ADA).send().await;
        assert_eq!((disabled.status, &disabled.text), (200, &enabled.text));
        assert_eq!(app.templates_to(ADA).await, ["password_reset", "sign_up_code"]);
    }

    async fn forgetting_needs_an_address(app: TestApp) {
        let wrong = [
            ("email", json!({})),
            ("email", json!({ "email": "ada" })),
            ("email", json!({ "email": "a@b.cd\r\nBcc: x@y.zz" })),
            ("email", json!({ "email": { "$ne": "" } })),
        ];
        each_invalid(&app, 422, wrong, |body| post(&app, "auth/forgot-password", body)).await;
    }

    async fn the_link_sets_a_new_password_and_ends_every_session(app: TestApp) {
        let phone = app.sign_up_rivergen_verified(ADA).await;
        let laptop = sign_in(&app, &phone).await;
        let token = reset_token(&app, ADA).await;
        assert_no_content(&reset(&app, &token, OTHER_PASSWORD).send().await);

        let expected = event(&app, "auth.password.reset", Some(1), None, &json!({}));
        assert_eq!(newest_events(&app, 1).await, [expected]);
        assert_eq!(app.templates_to(ADA).await, ["password_changed", "password_reset", "sign_up_code"]);
        for ended in [&phone, &laptop] {
            assert!(!lets_in(&app, ended).await);
            assert_refused(&app, &refresh(&app, &ended.refresh_token).await, 401, "INVALID_REFRESH_TOKEN");
        }
        let old = post(&app, "auth/login", &json!({ "email": ADA, "password": PASSWORD })).send().await;
        assert_refused(&app, &old, 401, "INVALID_CREDENTIALS");
        sign_in(&app, &Person { password: OTHER_PASSWORD.to_owned(), ..phone }).await;
    }

    async fn a_link_is_good_for_one_reset(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let token = reset_token(&app, ADA).await;
        reset(&app, &token, OTHER_PASSWORD).send().await.assert_status(204);
        refused_without_trace(&app, reset(&app, &token, "Attacker3horse"), 400, "INVALID_TOKEN").await;
    }

    async fn a_link_lives_for_an_hour(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let token = reset_token(&app, ADA).await;
        wait(&app, HOUR);
        refused_without_trace(&app, reset(&app, &token, OTHER_PASSWORD), 400, "INVALID_TOKEN").await;
        app.clock.set(tidegate_testkit::FakeClock::START);
        wait(&app, HOUR - 1);
        reset(&app, &token, OTHER_PASSWORD).send().await.assert_status(204);
    }

    async fn a_guessed_token_is_invalid_before_the_password_is_looked_at(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        for password in [OTHER_PASSWORD, "weak"] {
            refused_without_trace(&app, reset(&app, "tgp_guess", password), 400, "INVALID_TOKEN").await;
        }
    }

    async fn a_weak_password_does_not_use_the_link_up(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let token = reset_token(&app, ADA).await;
        let to = |new: Value| json!({ "token": token, "new_password": new });
        let wrong = [
            ("token", json!({ "new_password": OTHER_PASSWORD })),
            ("token", json!({ "token": "", "new_password": OTHER_PASSWORD })),
            ("new_password", json!({ "token": token })),
            ("new_password", to(json!(true))),
            ("new_password", to(json!("Abcdef1"))),
            ("new_password", to(json!("abcdefg1"))),
        ];
        each_invalid(&app, 422, wrong, |body| post(&app, "auth/reset-password", body)).await;
        // Unlike at a change, the old password may be set again: it was forgotten.
        reset(&app, &token, PASSWORD).send().await.assert_status(204);
    }

    async fn an_account_disabled_since_the_mail_is_not_found(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let token = reset_token(&app, ADA).await;
        app.sql("update accounts set disabled_at = 1").await;
        refused_without_trace(&app, reset(&app, &token, OTHER_PASSWORD), 404, "USER_NOT_FOUND").await;
    }

    async fn a_reset_removes_every_foothold(app: TestApp) {
        // Somebody knows Ada's password and has prepared ways back in.
        let attacker = app.sign_up_rivergen_verified(ADA).await;
        let verify = json!({ "token": app.latest_link_token(ADA).await });
        let older_token = reset_token(&app, ADA).await;
        let new_email = json!({ "new_email": "mallory@example.org" });
        post_as(&app, &attacker, "auth/me/email/request", &new_email).send().await.assert_status(200);
        let code = app.latest_code("mallory@example.org").await;

        let token = reset_token(&app, ADA).await;
        reset(&app, &token, OTHER_PASSWORD).send().await.assert_status(204);

        assert!(!lets_in(&app, &attacker).await);
        refused_without_trace(&app, post(&app, "auth/verify-email", &verify), 400, "INVALID_TOKEN").await;
        refused_without_trace(&app, reset(&app, &older_token, "Attacker3horse"), 400, "INVALID_TOKEN").await;
        let ada = sign_in(&app, &Person { password: OTHER_PASSWORD.to_owned(), ..attacker }).await;
        let claim = json!({ "new_email": "mallory@example.org", "otp_code": code });
        let request = post_as(&app, &ada, "auth/me/email/verify", &claim);
        refused_without_trace(&app, request, 400, "EMAIL_UPDATE_VERIFY_FAILED").await;
        assert_eq!(app.sql_count("select count(*) from challenges").await, 0);
    }

    async fn a_temporary_token_from_before_the_reset_is_dead(app: TestApp) {
        // Whoever signed up first with Ada's address knows its first password and holds the temporary token.
        let squatter = app.sign_up_rivergen(ADA).await;
        let code = app.latest_code(ADA).await;
        let token = reset_token(&app, ADA).await;
        reset(&app, &token, OTHER_PASSWORD).send().await.assert_status(204);
        let claim = json!({ "temporary_token": squatter.temporary_token, "otp_code": code });
        refused_without_trace(&app, post(&app, "auth/verify-otp", &claim), 401, "INVALID_TOKEN").await;
        let claim = json!({ "temporary_token": squatter.temporary_token, "email": ADA });
        refused_without_trace(&app, post(&app, "auth/resend-signup-otp", &claim), 401, "INVALID_TOKEN").await;
    }

    async fn who_resets_a_password_has_shown_that_the_address_is_theirs(app: TestApp) {
        app.sign_up_rivergen(ADA).await;
        let token = reset_token(&app, ADA).await;
        reset(&app, &token, OTHER_PASSWORD).send().await.assert_status(204);
        assert_eq!(newest_events(&app, 2).await, [
            event(&app, "auth.email.verified", Some(1), None, &json!({})),
            event(&app, "auth.password.reset", Some(1), None, &json!({})),
        ]);
        let claim = json!({ "email": ADA, "password": OTHER_PASSWORD });
        let answer = post(&app, "auth/login", &claim).send().await;
        assert_eq!(answer.assert_status(200).field("data.is_verified"), true);
    }

    async fn an_account_without_a_password_gets_one_by_reset(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.sql("delete from passwords").await;
        let token = reset_token(&app, ADA).await;
        reset(&app, &token, OTHER_PASSWORD).send().await.assert_status(204);
        sign_in(&app, &Person { password: OTHER_PASSWORD.to_owned(), ..ada }).await;
    }
}

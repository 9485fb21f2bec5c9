//! POST /api/v1/auth/resend-signup-otp: the code did not arrive, or was mistyped too often.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, TestApp, on_both_engines};

use super::wire::{
    assert_done, assert_refused, each_invalid, event, newest_events, post, refused_without_trace, wait,
};

const ADA: &str = "ada@example.com";

fn claim(email: &str, temporary_token: &str) -> Value {
    json!({ "email": email, "temporary_token": temporary_token })
}

/// Has a new code mailed; answers the new temporary token.
async fn resend(app: &TestApp, temporary_token: &str) -> String {
    let answer = post(app, "auth/resend-signup-otp", &claim(ADA, temporary_token)).send().await;
    answer.assert_status(200).text_at("data.temporary_token")
}

async fn verify(app: &TestApp, temporary_token: &str, code: &str) -> Answer {
    post(app, "auth/verify-otp", &json!({ "temporary_token": temporary_token, "otp_code": code }))
        .send()
        .await
}

on_both_engines! {
    async fn a_new_code_comes_with_a_new_temporary_token(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        // The address may be spelled otherwise than at sign-up.
        let request = post(&app, "auth/resend-signup-otp", &claim("Ada@Example.com", &ada.temporary_token));
        let answer = request.send().await;
        assert_done(&answer, 200, json!({ "temporary_token": answer.text_at("data.temporary_token") }));
        assert_eq!(newest_events(&app, 1).await, [event(&app, "auth.otp.resent", Some(1), None, &json!({}))]);

        assert_eq!(app.templates_to(ADA).await, ["sign_up_code", "sign_up_code"]);
        let codes: Vec<_> = app.mails_to(ADA).await.iter().map(|mail| mail.code().map(str::to_owned)).collect();
        assert_ne!(codes.first(), codes.last());
        let token = answer.text_at("data.temporary_token");
        verify(&app, &token, &app.latest_code(ADA).await).await.assert_status(200);
    }

    async fn the_old_temporary_token_and_the_old_code_are_dead(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        let old_code = app.latest_code(ADA).await;
        let new_token = resend(&app, &ada.temporary_token).await;
        let new_code = app.latest_code(ADA).await;
        for code in [&old_code, &new_code] {
            assert_refused(&app, &verify(&app, &ada.temporary_token, code).await, 401, "INVALID_TOKEN");
        }
        // Once a repeat of the request is no longer expected.
        wait(&app, 60);
        let again = post(&app, "auth/resend-signup-otp", &claim(ADA, &ada.temporary_token));
        refused_without_trace(&app, again, 401, "INVALID_TOKEN").await;
        assert_refused(&app, &verify(&app, &new_token, &old_code).await, 400, "INVALID_OTP");
        verify(&app, &new_token, &new_code).await.assert_status(200);
    }

    async fn the_link_already_mailed_keeps_working(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        let link = json!({ "token": app.latest_link_token(ADA).await });
        resend(&app, &ada.temporary_token).await;
        assert_ne!(link["token"], app.latest_link_token(ADA).await);
        post(&app, "auth/verify-email", &link).send().await.assert_status(200);
    }

    async fn five_wrong_codes_are_forgiven_by_a_new_one(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        for _ in 0..5 {
            verify(&app, &ada.temporary_token, "000000").await.assert_error(400, "INVALID_OTP");
        }
        verify(&app, &ada.temporary_token, "000000").await.assert_error(429, "TOO_MANY_ATTEMPTS");
        let token = resend(&app, &ada.temporary_token).await;
        for _ in 0..4 {
            verify(&app, &token, "000000").await.assert_error(400, "INVALID_OTP");
        }
        verify(&app, &token, &app.latest_code(ADA).await).await.assert_status(200);
    }

    async fn the_ten_minutes_begin_anew(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        wait(&app, 599);
        let token = resend(&app, &ada.temporary_token).await;
        wait(&app, 599);
        verify(&app, &token, &app.latest_code(ADA).await).await.assert_status(200);
    }

    async fn a_temporary_token_lives_for_ten_minutes(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        wait(&app, 600);
        let late = post(&app, "auth/resend-signup-otp", &claim(ADA, &ada.temporary_token));
        refused_without_trace(&app, late, 401, "INVALID_TOKEN").await;
    }

    async fn an_unknown_temporary_token_is_invalid_whether_or_not_somebody_has_the_address(app: TestApp) {
        app.sign_up_rivergen(ADA).await;
        for email in [ADA, "nobody@example.com"] {
            let guess = post(&app, "auth/resend-signup-otp", &claim(email, "tgt_unknown"));
            refused_without_trace(&app, guess, 401, "INVALID_TOKEN").await;
        }
    }

    async fn the_address_must_be_the_tokens(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        app.sign_up_rivergen_verified("bob@example.com").await;
        let mut answers = Vec::new();
        for email in ["bob@example.com", "nobody@example.com"] {
            let request = post(&app, "auth/resend-signup-otp", &claim(email, &ada.temporary_token));
            answers.push(refused_without_trace(&app, request, 400, "VALIDATION_ERROR").await.text);
        }
        // Whether somebody else has it shows in nothing.
        assert_eq!(answers.first(), answers.last());
    }

    async fn there_is_no_code_for_a_verified_address(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        verify(&app, &ada.temporary_token, &app.latest_code(ADA).await).await.assert_status(200);
        let request = post(&app, "auth/resend-signup-otp", &claim(ADA, &ada.temporary_token));
        refused_without_trace(&app, request, 409, "EMAIL_ALREADY_VERIFIED").await;
    }

    async fn both_fields_are_needed(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        let wrong = [
            ("email", json!({ "temporary_token": ada.temporary_token })),
            ("email", claim("ada", &ada.temporary_token)),
            ("temporary_token", json!({ "email": ADA })),
            ("temporary_token", claim(ADA, "")),
        ];
        each_invalid(&app, 422, wrong, |body| post(&app, "auth/resend-signup-otp", body)).await;
    }

    async fn a_disabled_account_is_sent_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        app.sql("update accounts set disabled_at = 1").await;
        let request = post(&app, "auth/resend-signup-otp", &claim(ADA, &ada.temporary_token));
        refused_without_trace(&app, request, 401, "INVALID_TOKEN").await;
    }

    async fn a_sign_in_that_asked_to_be_remembered_is_remembered_through_the_resend(app: TestApp) {
        app.sign_up_rivergen(ADA).await;
        let login = json!({ "email": ADA, "password": tidegate_testkit::PASSWORD, "remember_me": true });
        let login = post(&app, "auth/login", &login).send().await;
        let token = resend(&app, &login.text_at("data.temporary_token")).await;
        verify(&app, &token, &app.latest_code(ADA).await).await.assert_status(200);
        let thirty_days = "select count(*) from sessions where expires_at - created_at = 2592000000000";
        assert_eq!(app.sql_count(thirty_days).await, 1);
    }
}

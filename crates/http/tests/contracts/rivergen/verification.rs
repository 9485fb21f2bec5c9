//! POST /api/v1/auth/verify-otp and /api/v1/auth/verify-email: an address is shown to be theirs, and they are in.

use serde_json::{Value, json};
use tidegate_domain::ContractId;
use tidegate_testkit::{Answer, Engine, Newcomer, PASSWORD, Person, TestApp, on_both_engines};

use super::wire::{
    AGENT, IP, assert_done, assert_refused, assert_told_to_wait, count_of, each_invalid, event, get_as,
    lets_in, newest_events, post, refresh, refused_without_trace, token_set, traces, wait,
};

const ADA: &str = "ada@example.com";

async fn verify_code(app: &TestApp, temporary_token: &str, code: &str) -> Answer {
    post(app, "auth/verify-otp", &json!({ "temporary_token": temporary_token, "otp_code": code }))
        .send()
        .await
}

async fn verify_link(app: &TestApp, token: &str) -> Answer {
    post(app, "auth/verify-email", &json!({ "token": token })).send().await
}

/// A code that is not the one mailed.
async fn wrong_code(app: &TestApp) -> &'static str {
    if app.latest_code(ADA).await == "000000" { "000001" } else { "000000" }
}

/// What both ways of verifying do.
async fn assert_admitted(app: &TestApp, ada: &Newcomer, answer: &Answer) {
    assert_done(answer, 200, token_set(answer, ADA));
    let person = Person {
        email: ada.email.clone(),
        password: PASSWORD.to_owned(),
        access_token: answer.text_at("data.access_token"),
        refresh_token: answer.text_at("data.refresh_token"),
        user_id: ada.user_id.to_string(),
    };
    let me = get_as(app, &person, "auth/me").send().await;
    let born = app.now().iso_seconds();
    let address = json!([{ "email": ADA, "verified": true, "is_primary": true, "created_at": born }]);
    assert_eq!(me.field("data.emails"), &address);
    let sessions = get_as(app, &person, "sessions").send().await;
    let (ip, agent, expires_at) = ("ip_address", "user_agent", "expires_at");
    let session = sessions.field("data.sessions.0");
    assert_eq!((&session[ip], &session[agent]), (&json!(IP), &json!(AGENT)));
    assert_eq!(session[expires_at], "2026-01-06T09:00:00Z");
    let metadata = json!({ "method": "email_verification", "remember_me": false });
    assert_eq!(
        newest_events(app, 2).await,
        [
            event(app, "auth.email.verified", Some(1), None, &json!({})),
            event(app, "auth.login.success", Some(1), Some(1), &metadata),
        ]
    );
    // The temporary token went with it, once a repeat of the request is no longer expected.
    wait(app, 60);
    let code = app.latest_code(ADA).await;
    assert_refused(app, &verify_code(app, &ada.temporary_token, &code).await, 401, "INVALID_TOKEN");
    refresh(app, &person.refresh_token).await.assert_status(200);
}

on_both_engines! {
    async fn the_mailed_code_verifies_and_signs_in(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        let answer = verify_code(&app, &ada.temporary_token, &app.latest_code(ADA).await).await;
        assert_admitted(&app, &ada, &answer).await;
    }

    async fn the_mailed_link_verifies_and_signs_in(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        let answer = verify_link(&app, &app.latest_link_token(ADA).await).await;
        assert_admitted(&app, &ada, &answer).await;
    }

    async fn following_the_link_again_succeeds_again(app: TestApp) {
        app.sign_up_rivergen(ADA).await;
        let token = app.latest_link_token(ADA).await;
        let first = verify_link(&app, &token).await;
        let second = verify_link(&app, &token).await;
        assert_done(&second, 200, token_set(&second, ADA));
        assert_ne!(first.field("data.access_token"), second.field("data.access_token"));
        assert_eq!(count_of(&app, "auth.email.verified").await, 1);
        assert_eq!(app.sql_count("select count(*) from sessions where revoked_at is null").await, 2);
    }

    async fn a_link_is_followed_by_people_and_mail_programs_and_not_by_a_flood(app: TestApp) {
        app.sign_up_rivergen(ADA).await;
        let token = app.latest_link_token(ADA).await;
        for _ in 0..20 {
            verify_link(&app, &token).await.assert_status(200);
        }
        let request = post(&app, "auth/verify-email", &json!({ "token": token }));
        refused_without_trace(&app, request, 400, "INVALID_TOKEN").await;
    }

    async fn the_link_works_after_the_code_did(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        verify_link(&app, &app.latest_link_token(ADA).await).await.assert_status(200);
        assert_eq!(count_of(&app, "auth.email.verified").await, 1);
    }

    async fn a_wrong_code_is_counted_and_changes_nothing_else(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        let before = traces(&app).await;
        let answer = verify_code(&app, &ada.temporary_token, wrong_code(&app).await).await;
        assert_refused(&app, &answer, 400, "INVALID_OTP");
        assert_eq!(answer.text_at("error.message"), "The code is wrong: enter that of the newest mail.");
        assert_eq!(app.sql("update challenges set attempts = attempts - 1 where attempts = 1").await, 1);
        assert_eq!(traces(&app).await, before);
        let code = app.latest_code(ADA).await;
        verify_code(&app, &ada.temporary_token, &code).await.assert_status(200);
    }

    async fn somebody_elses_code_is_a_wrong_one(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        app.sign_up_rivergen("bob@example.com").await;
        let code = app.latest_code("bob@example.com").await;
        assert_refused(&app, &verify_code(&app, &ada.temporary_token, &code).await, 400, "INVALID_OTP");
    }

    async fn after_five_wrong_codes_the_right_one_is_refused(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        let (right, wrong) = (app.latest_code(ADA).await, wrong_code(&app).await);
        for _ in 0..5 {
            assert_refused(&app, &verify_code(&app, &ada.temporary_token, wrong).await, 400, "INVALID_OTP");
        }
        let claim = json!({ "temporary_token": ada.temporary_token, "otp_code": right });
        let request = || post(&app, "auth/verify-otp", &claim);
        let refused = refused_without_trace(&app, request(), 429, "TOO_MANY_ATTEMPTS").await;
        assert_told_to_wait(&refused, 5, 600);
        // Waiting is no way out, nor is coming from elsewhere.
        wait(&app, 3_600);
        refused_without_trace(&app, request().ip("192.0.2.9"), 429, "TOO_MANY_ATTEMPTS").await;
    }

    async fn four_wrong_codes_leave_one_try(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        let (right, wrong) = (app.latest_code(ADA).await, wrong_code(&app).await);
        for _ in 0..4 {
            assert_refused(&app, &verify_code(&app, &ada.temporary_token, wrong).await, 400, "INVALID_OTP");
        }
        verify_code(&app, &ada.temporary_token, &right).await.assert_status(200);
    }

    async fn code_and_link_live_for_ten_minutes(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        app.sign_up_rivergen("bob@example.com").await;
        let (code, link) = (app.latest_code(ADA).await, app.latest_link_token("bob@example.com").await);
        let late = json!({ "temporary_token": ada.temporary_token, "otp_code": code });
        let late_link = json!({ "token": link });
        wait(&app, 600);
        refused_without_trace(&app, post(&app, "auth/verify-otp", &late), 410, "OTP_EXPIRED").await;
        refused_without_trace(&app, post(&app, "auth/verify-email", &late_link), 410, "TOKEN_EXPIRED").await;
        app.clock.set(tidegate_testkit::FakeClock::START);
        wait(&app, 599);
        verify_code(&app, &ada.temporary_token, &code).await.assert_status(200);
        verify_link(&app, &link).await.assert_status(200);
    }

    async fn a_lifetime_under_a_minute_is_mailed_in_seconds(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            let profile = settings.contracts.of_mut(ContractId::RIVERGEN).unwrap();
            profile.codes.verify_email = std::time::Duration::from_secs(45);
        }).start().await;
        let ada = app.sign_up_rivergen(ADA).await;
        let mails = app.mails_to(ADA).await;
        let said = app.kernel().render(&mails[0]).unwrap().unwrap();
        assert!(said.text().contains("45 seconds") && !said.text().contains("0 minutes"), "{}", said.text());
        let code = app.latest_code(ADA).await;
        wait(&app, 44);
        verify_code(&app, &ada.temporary_token, &code).await.assert_status(200);
    }

    async fn the_link_stops_working_ten_minutes_after_it_was_mailed_used_or_not(app: TestApp) {
        app.sign_up_rivergen(ADA).await;
        let token = app.latest_link_token(ADA).await;
        wait(&app, 599);
        verify_link(&app, &token).await.assert_status(200);
        wait(&app, 1);
        assert_refused(&app, &verify_link(&app, &token).await, 410, "TOKEN_EXPIRED");
    }

    async fn unknown_tokens_are_invalid(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        let code = app.latest_code(ADA).await;
        for token in ["tgt_unknown", "\u{e9}", &format!("{}x", ada.temporary_token)] {
            let claim = json!({ "temporary_token": token, "otp_code": code });
            refused_without_trace(&app, post(&app, "auth/verify-otp", &claim), 401, "INVALID_TOKEN").await;
            let claim = json!({ "token": token });
            refused_without_trace(&app, post(&app, "auth/verify-email", &claim), 400, "INVALID_TOKEN").await;
        }
    }

    async fn a_code_is_six_digits_and_a_token_some_text(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        let with = |code: Value| json!({ "temporary_token": ada.temporary_token, "otp_code": code });
        let wrong = [
            ("temporary_token", json!({ "otp_code": "123456" })),
            ("temporary_token", json!({ "temporary_token": "", "otp_code": "123456" })),
            ("otp_code", json!({ "temporary_token": ada.temporary_token })),
            ("otp_code", with(json!("12345"))),
            ("otp_code", with(json!("1234567"))),
            ("otp_code", with(json!("12345a"))),
            ("otp_code", with(json!("\u{661}\u{662}\u{663}"))),
            ("otp_code", with(json!(1_234_567))),
        ];
        each_invalid(&app, 422, wrong, |body| post(&app, "auth/verify-otp", body)).await;
        let wrong = [("token", json!({})), ("token", json!({ "token": "" })), ("token", json!({ "token": 1 }))];
        each_invalid(&app, 422, wrong, |body| post(&app, "auth/verify-email", body)).await;
        let array = app.post("/api/v1/auth/verify-email").body("application/json", "[\"token\"]");
        refused_without_trace(&app, array, 422, "VALIDATION_ERROR").await;
    }

    async fn a_disabled_account_is_not_let_in_by_code_or_link(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        app.sql("update accounts set disabled_at = 1").await;
        let claim = json!({ "temporary_token": ada.temporary_token, "otp_code": app.latest_code(ADA).await });
        refused_without_trace(&app, post(&app, "auth/verify-otp", &claim), 401, "INVALID_TOKEN").await;
        let claim = json!({ "token": app.latest_link_token(ADA).await });
        refused_without_trace(&app, post(&app, "auth/verify-email", &claim), 400, "INVALID_TOKEN").await;
    }

    async fn signing_out_everywhere_withdraws_the_link(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let claim = json!({ "token": app.latest_link_token(ADA).await });
        app.post("/api/v1/auth/logout-all").bearer(&ada.access_token).send().await.assert_status(204);
        refused_without_trace(&app, post(&app, "auth/verify-email", &claim), 400, "INVALID_TOKEN").await;
        assert!(!lets_in(&app, &ada).await);
    }
}

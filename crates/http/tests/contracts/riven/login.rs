//! POST /api/v1/login/send-code and /api/v1/login/verify-code.

use serde_json::json;
use tidegate_testkit::{Answer, TestApp, on_both_engines};

use super::wire::{
    ADA, BOB, EVE, MINUTE, SECOND, assert_invalid, assert_invalid_credentials, is_let_in, newcomer,
    other_than, post,
};

const VERIFY: &str = "login/verify-code";
const START: &str = "2026-01-05T09:00:00.000000Z";

/// Sends a code back to log in.
async fn verify(app: &TestApp, phone: &str, code: &str) -> Answer {
    app.confirm(VERIFY, phone, code).await
}

/// Ada, and the code she was texted to log in with.
async fn ada_and_a_code(app: &TestApp) -> String {
    app.register_phone(ADA).await;
    app.advance(MINUTE);
    fresh_code(app).await
}

async fn fresh_code(app: &TestApp) -> String {
    app.send_login_code(ADA).await.assert_status(200);
    app.latest_text_code(ADA).await
}

const SESSIONS: &str = "select count(*) from sessions";

on_both_engines! {
    async fn who_has_registered_a_phone_is_texted_a_code(app: TestApp) {
        app.register_phone(ADA).await;
        app.advance(MINUTE);
        let answer = app.send_login_code(ADA).await;
        answer.assert_status(200);
        assert_eq!(answer.body, json!({ "message": "Login code sent", "status": true }));
        assert_eq!(app.texts_to(ADA).await.len(), 2);
    }

    async fn a_phone_nobody_has_gets_the_very_same_answer_and_no_text(app: TestApp) {
        app.register_phone(ADA).await;
        app.advance(MINUTE);
        let rows = async || {
            let mut counts = Vec::new();
            for table in ["accounts", "challenges", "outbox_messages", "audit_events", "rate_limit_buckets"] {
                counts.push(app.sql_count(&format!("select count(*) from {table}")).await);
            }
            counts
        };
        let before = rows().await;
        let known = app.send_login_code(ADA).await;
        let after_known = rows().await;
        let unknown = app.send_login_code(EVE).await;
        let after_unknown = rows().await;

        assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
        let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&known), names(&unknown));
        // Of what is counted, Ada's buckets are there since she registered.
        let added = |one: &[i64], other: &[i64]| -> Vec<i64> {
            one.iter().zip(other).take(4).map(|(one, other)| other - one).collect()
        };
        assert_eq!(added(&before, &after_known), [0, 1, 1, 1]);
        assert_eq!(added(&after_known, &after_unknown), [0, 1, 1, 1]);

        assert!(app.texts_to(EVE).await.is_empty());
        let discarded = "select recipient from outbox_messages where state = 'discarded'";
        assert_eq!(app.database.sql_texts(discarded).await, [EVE]);
        assert_invalid_credentials(&verify(&app, EVE, "000000").await);
    }

    async fn the_code_logs_in_and_shows_who_that_is(app: TestApp) {
        let code = ada_and_a_code(&app).await;
        let answer = verify(&app, ADA, &code).await;
        answer.assert_status(200);
        let token = answer.text_at("auth.token");
        let expected = json!({
            "user": newcomer(1, ADA, START), "auth": { "type": "Bearer", "token": token }, "status": true,
        });
        assert_eq!(answer.body, expected);
        assert!(is_let_in(&app, &token).await);
    }

    async fn everything_that_is_known_of_somebody_is_shown(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        app.advance(45 * MINUTE + SECOND / 3);
        let opened = app.open_account(&ada, "ada@example.com").await;
        app.advance(MINUTE);
        let code = fresh_code(&app).await;
        let user = verify(&app, ADA, &code).await.field("user").clone();
        let expected = json!({
            "id": 1, "phone": ADA, "otp_code": null, "name": "User One", "first_name": "User", "last_name": "One",
            "profile_photo": null, "email": "ada@example.com", "email_verified_at": null, "other_phones": null,
            // A day before the first of January: the day begins in Nairobi at nine in the evening in UTC.
            "dob": "1979-12-31T21:00:00.000000Z", "gender": null,
            "alpaca_account_id": opened["alpaca_account_id"], "account_status": "new",
            "created_at": START, "updated_at": "2026-01-05T09:45:00.000000Z",
        });
        assert_eq!(user, expected);
        assert_eq!(opened, expected, "account/create shows the same");
    }

    async fn a_wrong_code_is_a_wrong_password(app: TestApp) {
        let code = ada_and_a_code(&app).await;
        assert_invalid_credentials(&verify(&app, ADA, other_than(&code)).await);
        assert_invalid_credentials(&verify(&app, BOB, &code).await);
        assert_eq!(app.sql_count(SESSIONS).await, 1);
        verify(&app, ADA, &code).await.assert_status(200);
        app.advance(MINUTE);
        assert_invalid_credentials(&verify(&app, ADA, &code).await);
        assert_eq!(app.sql_count(SESSIONS).await, 2);
    }

    async fn a_login_needs_a_phone_and_a_code(app: TestApp) {
        let answer = post(&app, VERIFY, &json!({ "phone": ADA, "code": "12" })).await;
        assert_invalid(&answer, &[("code", "must be 4 to 8 digits")]);
        let answer = post(&app, VERIFY, &json!({ "code": "123456" })).await;
        assert_invalid(&answer, &[("phone", "is required")]);
    }

    async fn a_login_code_lives_for_ten_minutes(app: TestApp) {
        let code = ada_and_a_code(&app).await;
        app.advance(10 * MINUTE);
        assert_invalid_credentials(&verify(&app, ADA, &code).await);
        let code = fresh_code(&app).await;
        app.advance(10 * MINUTE - SECOND);
        verify(&app, ADA, &code).await.assert_status(200);
    }

    async fn the_newest_login_code_alone_counts(app: TestApp) {
        let old = ada_and_a_code(&app).await;
        app.advance(MINUTE);
        let new = fresh_code(&app).await;
        assert_invalid_credentials(&verify(&app, ADA, &old).await);
        verify(&app, ADA, &new).await.assert_status(200);
    }

    async fn a_code_to_register_with_logs_nobody_in(app: TestApp) {
        app.register_phone(ADA).await;
        app.advance(MINUTE);
        app.enter_phone(ADA).await.assert_status(200);
        let code = app.latest_text_code(ADA).await;
        assert_invalid_credentials(&verify(&app, ADA, &code).await);
        app.confirm("auth/confirm-code", ADA, &code).await.assert_status(200);
    }

    async fn after_five_wrong_codes_the_right_one_logs_nobody_in(app: TestApp) {
        let code = ada_and_a_code(&app).await;
        for _ in 0..5 {
            assert_invalid_credentials(&verify(&app, ADA, other_than(&code)).await);
        }
        assert_invalid_credentials(&verify(&app, ADA, &code).await);
        assert_eq!(app.sql_count(SESSIONS).await, 1);
        app.advance(MINUTE);
        let next = fresh_code(&app).await;
        verify(&app, ADA, &next).await.assert_status(200);
    }

    async fn every_login_gives_a_token_and_older_ones_stay_good(app: TestApp) {
        let mut tokens = vec![app.register_phone(ADA).await.token];
        for _ in 0..3 {
            app.advance(MINUTE);
            tokens.push(app.sign_in_by_phone(ADA).await.token);
        }
        let ids: Vec<&str> = tokens.iter().map(|token| token.split_once('|').unwrap().0).collect();
        assert_eq!(ids, ["1", "2", "3", "4"]);
        for token in &tokens {
            assert!(is_let_in(&app, token).await);
        }
    }

    async fn who_is_shut_out_is_texted_nothing_and_not_let_in(app: TestApp) {
        let code = ada_and_a_code(&app).await;
        app.sql("update accounts set disabled_at = 1").await;
        assert_invalid_credentials(&verify(&app, ADA, &code).await);
        app.advance(MINUTE);
        let before = app.texts_to(ADA).await.len();
        let answer = app.send_login_code(ADA).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Login code sent");
        assert_eq!(app.texts_to(ADA).await.len(), before);
        assert_eq!(app.sql_count(SESSIONS).await, 1);
    }

    async fn who_belongs_nowhere_is_not_let_in(app: TestApp) {
        let code = ada_and_a_code(&app).await;
        app.sql("delete from membership_workspaces; delete from memberships").await;
        assert_invalid_credentials(&verify(&app, ADA, &code).await);
        // Who was not let in has not used the code up.
        assert_eq!(app.sql_count("select count(*) from challenges where consumed_at is not null").await, 1);
    }
}

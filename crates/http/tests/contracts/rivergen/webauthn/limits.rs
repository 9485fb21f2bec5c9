//! How often a sign-in with a passkey is begun.

use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};

use super::super::wire::{post, wait};
use super::*;

on_both_engines! {
    async fn a_hundred_sign_ins_are_begun_from_one_network_in_five_minutes(app: TestApp) {
        for number in 0..100 {
            let email = if number % 2 == 0 { json!(null) } else { json!(ADA) };
            let answer = post(&app, "webauthn/authenticate/start", &json!({ "email": email })).send().await;
            assert_ne!(answer.status, 429, "{number}");
        }
        let refused = post(&app, "webauthn/authenticate/start", &json!({})).send().await;
        assert_refused(&app, &refused, (429, "RATE_LIMITED"));
        assert_eq!(refused.header("retry-after"), "300");
        let elsewhere = app.client().at("203.0.113.77");
        elsewhere.post(&url("webauthn/authenticate/start")).json(&json!({})).send().await.assert_status(200);
        wait(&app, 300);
        app.start_passkey_sign_in(None).await;
    }

    async fn challenges_that_nobody_answers_are_removed_a_day_later(app: TestApp) {
        app.start_passkey_sign_in(None).await;
        wait(&app, 24 * 3_600 + 301);
        app.kernel().prune().await.unwrap();
        assert_eq!(app.sql_count("select count(*) from challenges").await, 0);
    }
}

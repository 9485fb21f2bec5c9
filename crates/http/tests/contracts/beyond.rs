//! Where the contracts are silent and an attacker is not.

use std::time::Duration;

use serde_json::json;
use tidegate_domain::ContractId;
use tidegate_domain::limit::Limit;
use tidegate_testkit::{Answer, Engine, PASSWORD, TestApp, concurrently, on_both_engines};

use crate::routes;

const NEW_PASSWORD: &str = "Battery2staple!";

/// An application in which only the limits under test are in force.
async fn with_limits_of_our_own(engine: Engine) -> TestApp {
    TestApp::builder(engine)
        .without_limits()
        .settings(|settings| {
            let defaults = tidegate_kernel::Settings::new(
                "https://id.example.com",
                settings.mail,
                tidegate_http::contract_profiles(),
            );
            settings.failed_codes_by_account = defaults.failed_codes_by_account;
            let by_email = defaults.profile(ContractId::RIVERGEN).limits.forgot_password_by_email;
            settings.contracts.of_mut(ContractId::RIVERGEN).unwrap().limits.forgot_password_by_email =
                by_email;
        })
        .start()
        .await
}

/// Sends a wrong code.
async fn guess(app: &TestApp, temporary_token: &str, right: &str) -> Answer {
    let wrong = if right == "000000" { "000001" } else { "000000" };
    let body = json!({ "temporary_token": temporary_token, "otp_code": wrong });
    app.post("/api/v1/auth/verify-otp").json(&body).send().await
}

on_both_engines! {
    async fn sign_ins_under_way_with_an_old_password_do_not_outlive_its_reset(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": ada.email })).send().await.assert_status(200);
        let token = app.latest_link_token(&ada.email).await;
        let (client, email) = (app.client(), ada.email.clone());
        let answers = concurrently(30, move |number| {
            let request = match number {
                0 => client
                    .post("/api/v1/auth/reset-password")
                    .json(&json!({ "token": token, "new_password": NEW_PASSWORD })),
                _ => client.post("/api/v2/auth/login").json(&json!({ "email": email, "password": PASSWORD })),
            };
            async move { request.send().await }
        })
        .await;
        answers[0].assert_status(204);
        for answer in answers[1..].iter().filter(|answer| answer.status == 200) {
            let me = app.get("/api/v2/auth/me").bearer(&answer.text_at("accessToken")).send().await;
            me.assert_error(401, "INVALID_TOKEN");
        }
        assert_eq!(app.sql_count("select count(*) from sessions where revoked_at is null").await, 0);
    }

    async fn of_changes_of_one_password_at_once_one_is_made(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let (client, token) = (app.client(), ada.access_token.clone());
        let answers = concurrently(20, move |number| {
            let body = json!({ "current_password": PASSWORD, "new_password": format!("Battery{number}staple") });
            let request = client.post("/api/v1/auth/change-password").bearer(&token).json(&body);
            async move { request.send().await }
        })
        .await;
        let made: Vec<usize> = (0..20).filter(|number| answers[*number].status == 200).collect();
        assert_eq!(made.len(), 1, "{answers:?}");
        let login = json!({ "email": ada.email, "password": format!("Battery{}staple", made[0]) });
        app.post("/api/v1/auth/login").json(&login).send().await.assert_status(200);
    }

    async fn wrong_codes_are_counted_over_all_codes_sent_to_an_account(engine: Engine) {
        let app = with_limits_of_our_own(engine).await;
        let ada = app.sign_up_rivergen("ada@example.com").await;
        let mut temporary_token = ada.temporary_token.clone();
        for _ in 0..4 {
            let right = app.latest_code(&ada.email).await;
            for _ in 0..5 {
                guess(&app, &temporary_token, &right).await.assert_error(400, "INVALID_OTP");
            }
            let resend = json!({ "email": ada.email, "temporary_token": temporary_token });
            let answer = app.post("/api/v1/auth/resend-signup-otp").json(&resend).send().await;
            temporary_token = answer.assert_status(200).text_at("data.temporary_token");
        }
        // Twenty wrong codes: now even a right one waits for the hour to pass.
        let right = json!({ "temporary_token": temporary_token, "otp_code": app.latest_code(&ada.email).await });
        let refused = app.post("/api/v1/auth/verify-otp").json(&right).send().await;
        refused.assert_error(429, "TOO_MANY_ATTEMPTS");
        assert_eq!(refused.header("retry-after"), "3600");
        app.advance(Duration::from_secs(3_600));
        let login = json!({ "email": ada.email, "password": PASSWORD });
        let again = app.post("/api/v1/auth/login").json(&login).send().await;
        let token = again.assert_status(200).text_at("data.temporary_token");
        let right = json!({ "temporary_token": token, "otp_code": app.latest_code(&ada.email).await });
        app.post("/api/v1/auth/verify-otp").json(&right).send().await.assert_status(200);
    }

    async fn a_mailbox_cannot_be_flooded_with_resets_and_the_flooder_does_not_learn_of_it(engine: Engine) {
        let app = with_limits_of_our_own(engine).await;
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let mut answers = Vec::new();
        for number in 0..8 {
            let request = app.post("/api/v1/auth/forgot-password").ip(&format!("203.0.113.{number}"));
            answers.push(request.json(&json!({ "email": ada.email })).send().await.text);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        let sent = app.templates_to(&ada.email).await.into_iter().filter(|name| name == "password_reset").count();
        assert_eq!(sent, 5);
        app.advance(Duration::from_secs(3_600));
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": ada.email })).send().await.assert_status(200);
        let sent = app.templates_to(&ada.email).await.into_iter().filter(|name| name == "password_reset").count();
        assert_eq!(sent, 6);
    }

    async fn signing_in_often_and_rightly_is_never_taken_for_guessing(engine: Engine) {
        let app = TestApp::builder(engine)
            .settings(|settings| {
                settings.contracts.of_mut(ContractId::INGESTIQ).unwrap().limits.anonymous_requests = None;
            })
            .start()
            .await;
        let bob = app.register_ingestiq("bob@example.com").await;
        for _ in 0..25 {
            let login = json!({ "email": bob.email, "password": bob.password });
            app.post("/api/v2/auth/login").json(&login).send().await.assert_status(200);
        }
        assert_eq!(app.sql_count("select coalesce(max(count), 0) from rate_limit_buckets").await, 0);
    }

    async fn without_a_way_to_send_codes_an_unverified_sign_in_is_refused_and_not_counted(engine: Engine) {
        let app = TestApp::builder(engine).mail_off().start().await;
        let bob = app.register_ingestiq("bob@example.com").await;
        let login = json!({ "email": bob.email, "password": bob.password });
        app.post("/api/v1/auth/login").json(&login).send().await.assert_error(403, "EMAIL_NOT_VERIFIED");
    }

    async fn a_limit_on_all_requests_is_answered_by_every_endpoint_in_its_contracts_words(engine: Engine) {
        let app = TestApp::builder(engine)
            .without_limits()
            .settings(|settings| {
                for contract in tidegate_http::contracts() {
                    let profile = settings.contracts.of_mut(contract.id).unwrap();
                    profile.limits.anonymous_requests = Some(Limit::new(1, 60));
                }
            })
            .start()
            .await;
        let client = app.client();
        for contract in tidegate_http::contracts() {
            let routes: Vec<_> = routes::all().into_iter().filter(|route| route.contract == contract.id).collect();
            routes.first().unwrap().request(&client).send().await;
            for route in routes {
                let Some(code) = &route.limited else { continue };
                let answer = route.request(&client).send().await;
                route.assert_refused(&answer, (429, code), "one request too many");
                assert_eq!(answer.header("retry-after"), "60", "{}", route.name());
            }
        }
    }
}

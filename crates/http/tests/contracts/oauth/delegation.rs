//! What a session may give applications, and what becomes of it: a stolen one must not be made more of.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tidegate_testkit::{Engine, PASSWORD, Person, TestApp, on_both_engines};

use super::wire::{
    ADA, App, approve, as_person, assert_flat, authorize, code, code_for, described_with, exchange, me,
    parameters, parameters_with, refresh, register, sent_back, sign_in,
};

/// An application for everything that can be asked for.
async fn greedy(app: &TestApp, who: &Person) -> App {
    let body =
        json!({ "scopes": ["openid", "email", "read", "write", "admin", "accounts:read", "brokerage:read"] });
    register(app, who, &described_with(body)).await
}

/// Opens an application's session with all that it can ask for; answers its access token and its refresh token.
async fn sign_in_with_all(app: &TestApp, who: &Person, client: &App) -> (String, String) {
    let scope = ("scope", "openid admin accounts:read brokerage:read");
    let code = code_for(app, who, &parameters_with(client, &[scope])).await;
    let tokens = exchange(app, client, &code).await;
    (tokens.assert_status(200).text_at("access_token"), tokens.text_at("refresh_token"))
}

/// Another session of the same person.
async fn log_in(app: &TestApp, who: &Person) -> Person {
    let body = json!({ "email": who.email, "password": PASSWORD });
    let answer = app.post("/api/v1/auth/login").json(&body).send().await;
    Person {
        access_token: answer.assert_status(200).text_at("data.access_token"),
        refresh_token: answer.text_at("data.refresh_token"),
        ..who.clone()
    }
}

async fn members(app: &TestApp, token: &str) -> u16 {
    app.get("/v1/organizations/accounts/").bearer(token).send().await.status
}

on_both_engines! {
    async fn an_application_gets_at_most_what_the_contract_reaches_that_approved_it(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = greedy(&app, &ada).await;
        let (access, refresh_token) = sign_in_with_all(&app, &ada, &client).await;
        assert_eq!(me(&app, &access).await, 200);
        assert_eq!(app.get("/oauth/userinfo").bearer(&access).send().await.status, 200);
        // Members are another contract's, whatever the scope says.
        assert_eq!(members(&app, &ada.access_token).await, 403);
        assert_eq!(members(&app, &access).await, 403);
        let next = refresh(&app, &client, &refresh_token).await.assert_status(200).text_at("access_token");
        assert_eq!(members(&app, &next).await, 403);
        // It is the approving contract that bounds it, and nothing else.
        for (contract, status) in [("crossing_minds", 200), ("ingestiq", 403), ("riven", 403), ("browser", 200)] {
            app.sql(&format!("update sessions set approved_contract = '{contract}' where application_id is not null")).await;
            app.advance(Duration::from_secs(2));
            assert_eq!(members(&app, &next).await, status, "{contract}");
        }
    }

    async fn the_owner_hears_of_each_application_that_gets_access_and_of_more_scopes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = greedy(&app, &ada).await;
        let news = async || {
            let templates = app.templates_to(ADA).await;
            templates.iter().filter(|template| *template == "application_allowed").count()
        };
        assert_eq!(news().await, 0);
        code(&app, &ada, &client).await;
        assert_eq!(news().await, 1);
        let mails = app.mails_to(ADA).await;
        let link = mails.first().unwrap().link().unwrap().to_owned();
        assert!(link.contains("token="), "{link}");
        code(&app, &ada, &client).await;
        assert_eq!(news().await, 1, "nothing new");
        code_for(&app, &ada, &parameters_with(&client, &[("scope", "openid admin")])).await;
        assert_eq!(news().await, 2);
        // Also where nobody is asked, because it is the organization's own.
        sent_back(&authorize(&app, &ada.access_token, &parameters_with(&client, &[("scope", "write")])).await);
        assert_eq!(news().await, 3);
    }

    async fn a_session_that_was_stolen_takes_along_what_it_gave(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = greedy(&app, &ada).await;
        // The owner notices: an old refresh token comes again.
        let given = sign_in(&app, &ada, &client).await;
        let stolen = || app.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": ada.refresh_token })).send();
        stolen().await.assert_status(200);
        app.advance(Duration::from_secs(31));
        assert_eq!(stolen().await.status, 401);
        assert_eq!(me(&app, &given.text_at("access_token")).await, 401);
        assert_flat(&refresh(&app, &client, &given.text_at("refresh_token")).await, 400, "invalid_grant");
        // Or the owner ends it in the list.
        let thief = log_in(&app, &ada).await;
        let given = sign_in(&app, &thief, &client).await;
        let owner = log_in(&app, &ada).await;
        let kept = sign_in(&app, &owner, &client).await;
        let number = app.sql_count(
            "select s.number from sessions s where s.revoked_at is null and s.application_id is null order by s.number limit 1",
        ).await;
        as_person(&app, Method::DELETE, &format!("/api/v1/sessions/{number}"), &owner).send().await.assert_status(200);
        assert_eq!(me(&app, &thief.access_token).await, 401);
        assert_eq!(me(&app, &given.text_at("access_token")).await, 401);
        assert_eq!(me(&app, &kept.text_at("access_token")).await, 200);
        // Who signs out of a program goes on using applications.
        app.post("/api/v1/auth/logout").bearer(&owner.access_token).send().await.assert_status(204);
        assert_eq!(me(&app, &kept.text_at("access_token")).await, 200);
    }

    async fn a_session_without_the_second_factor_gives_no_access(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = greedy(&app, &ada).await;
        let older = code(&app, &ada, &client).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        app.sql("update sessions set amr = 'pwd'").await;
        app.advance(Duration::from_secs(2));
        for answer in [
            authorize(&app, &ada.access_token, &parameters(&client)).await,
            approve(&app, &ada.access_token, &parameters(&client)).await,
        ] {
            assert_flat(&answer, 403, "interaction_required");
        }
        let body = json!({ "client_id": client.client_id, "redirect_uri": crate::oauth::wire::CALLBACK, "approve": true });
        let answer = app.post("/api/v1/oauth/authorize").bearer(&ada.access_token).json(&body).send().await;
        answer.assert_error(403, "STEP_UP_REQUIRED");
        // A code from before opens nothing either.
        assert_flat(&exchange(&app, &client, &older).await, 400, "invalid_grant");
        app.advance(Duration::from_secs(30));
        let proof = json!({ "code": phone.code(app.now()) });
        app.post("/api/v1/auth/step-up").bearer(&ada.access_token).json(&proof).send().await.assert_status(200);
        sign_in(&app, &ada, &client).await;
    }

    async fn a_sign_in_that_is_too_old_gives_no_access(engine: Engine) {
        let strict = |settings: &mut tidegate_kernel::Settings| {
            for profile in settings.contracts.iter_mut() {
                profile.recent_sign_in = Some(Duration::from_secs(300));
            }
        };
        let app = TestApp::builder(engine).settings(strict).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = greedy(&app, &ada).await;
        app.advance(Duration::from_secs(299));
        let in_time = code(&app, &ada, &client).await;
        app.advance(Duration::from_secs(2));
        assert_flat(&authorize(&app, &ada.access_token, &parameters(&client)).await, 403, "interaction_required");
        assert_flat(&approve(&app, &ada.access_token, &parameters(&client)).await, 403, "interaction_required");
        // What was approved in time is exchanged.
        exchange(&app, &client, &in_time).await.assert_status(200);
    }
}

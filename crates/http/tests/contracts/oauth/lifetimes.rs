//! How long codes, tokens and sessions of applications live, and what ends them.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tidegate_domain::limit::Limit;
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};

use super::wire::{
    ADA, approve, as_person, assert_flat, authorize, claims, code, described, exchange, me, parameters,
    refresh, register, sent_back, sign_in, token_request,
};

on_both_engines! {
    async fn a_code_can_be_exchanged_for_ten_minutes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let (in_time, late) = (code(&app, &ada, &client).await, code(&app, &ada, &client).await);
        app.advance(Duration::from_secs(599));
        exchange(&app, &client, &in_time).await.assert_status(200);
        app.advance(Duration::from_secs(1));
        assert_flat(&exchange(&app, &client, &late).await, 400, "invalid_grant");
    }

    async fn access_tokens_live_as_long_as_the_operator_says(engine: Engine) {
        let short = |settings: &mut tidegate_kernel::Settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.access_token_lifetime = Duration::from_secs(60);
            settings.set_oauth(rules);
        };
        let app = TestApp::builder(engine).settings(short).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = sign_in(&app, &ada, &client).await;
        assert_eq!(tokens.field("expires_in"), &json!(60));
        let access = tokens.text_at("access_token");
        app.advance(Duration::from_secs(59));
        assert_eq!(me(&app, &access).await, 200);
        app.advance(Duration::from_secs(1));
        assert_eq!(me(&app, &access).await, 401);
        refresh(&app, &client, &tokens.text_at("refresh_token")).await.assert_status(200);
    }

    async fn an_applications_session_stands_in_the_list_under_its_name_and_ends_there(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = sign_in(&app, &ada, &client).await;
        let list = app.get("/api/v1/sessions").bearer(&ada.access_token).send().await;
        let sessions = list.assert_status(200).field("data.sessions").as_array().unwrap();
        assert_eq!(sessions.len(), 2);
        let of_application = sessions.iter().find(|session| session["user_agent"] == "OAuth application: Shop").unwrap();
        let path = format!("/api/v1/sessions/{}", of_application["id"]);
        as_person(&app, Method::DELETE, &path, &ada).send().await.assert_status(200);
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 401);
        assert_flat(&refresh(&app, &client, &tokens.text_at("refresh_token")).await, 400, "invalid_grant");
        assert_eq!(me(&app, &ada.access_token).await, 200);
    }

    async fn what_ends_an_accounts_sessions_ends_those_of_applications(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = sign_in(&app, &ada, &client).await;
        let unused = code(&app, &ada, &client).await;
        let body = json!({ "current_password": PASSWORD, "new_password": "Another2horse!" });
        app.post("/api/v1/auth/change-password").bearer(&ada.access_token).json(&body).send().await.assert_status(200);
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 401);
        assert_flat(&refresh(&app, &client, &tokens.text_at("refresh_token")).await, 400, "invalid_grant");
        assert_flat(&exchange(&app, &client, &unused).await, 400, "invalid_grant");
        // Who held the account before may have allowed an application of theirs.
        assert_eq!(app.sql_count("select count(*) from oauth_consents").await, 0);
    }

    async fn a_disabled_account_is_reached_by_no_application(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = sign_in(&app, &ada, &client).await;
        let unused = code(&app, &ada, &client).await;
        let rules = app.kernel().settings().contracts.of_installation();
        let operator = tidegate_identity::operator::Operator::at_command_line(rules);
        let email = tidegate_domain::EmailAddress::parse(ADA).unwrap();
        let name = tidegate_identity::operator::AccountName::Login(email.into());
        app.identity().disable_account(&operator, &name).await.unwrap();
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 401);
        assert_flat(&refresh(&app, &client, &tokens.text_at("refresh_token")).await, 400, "invalid_grant");
        assert_flat(&exchange(&app, &client, &unused).await, 400, "invalid_grant");
        // The application acts in its own name as before: it is its organization's.
        token_request(&app, &client, &[("grant_type", "client_credentials")]).send().await.assert_status(200);
    }

    async fn what_was_allowed_is_listed_and_taken_away(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = sign_in(&app, &ada, &client).await;
        let unused = code(&app, &ada, &client).await;
        let actor = app.kernel().authenticate(&ada.access_token).await.unwrap();
        let consents = app.oauth().list_consents(&actor).await.unwrap();
        assert_eq!(consents.len(), 1);
        assert_eq!((consents[0].name.as_str(), consents[0].scopes.to_string().as_str()), ("Shop", "openid email read"));
        let call = tidegate_kernel::Call::to_oauth(app.kernel().settings(), "203.0.113.1".parse().unwrap(), "test".into());
        app.oauth().revoke_consent(&call, &actor, consents[0].application).await.unwrap();
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 401);
        assert_flat(&exchange(&app, &client, &unused).await, 400, "invalid_grant");
        assert!(app.oauth().list_consents(&actor).await.unwrap().is_empty());
        assert!(app.oauth().revoke_consent(&call, &actor, consents[0].application).await.is_err());
        assert_eq!(me(&app, &ada.access_token).await, 200);
        let limited = app.kernel().authenticate(&sign_in(&app, &ada, &client).await.text_at("access_token")).await.unwrap();
        assert!(app.oauth().list_consents(&limited).await.is_err(), "an application does not see the others");
    }

    async fn a_code_that_was_being_made_while_access_was_taken_back_opens_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let late = code(&app, &ada, &client).await;
        // Who takes access back removes the codes that can be seen.
        app.sql("delete from oauth_consents").await;
        assert_flat(&exchange(&app, &client, &late).await, 400, "invalid_grant");
        assert_eq!(app.sql_count("select count(*) from sessions where application_id is not null").await, 0);
        sign_in(&app, &ada, &client).await;
    }

    async fn codes_of_one_account_are_limited(engine: Engine) {
        let limited = |settings: &mut tidegate_kernel::Settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.codes_by_account = Some(Limit::new(2, 60));
            settings.set_oauth(rules);
        };
        let app = TestApp::builder(engine).settings(limited).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        let client = register(&app, &ada, &described()).await;
        for _ in 0..2 {
            authorize(&app, &ada.access_token, &parameters(&client)).await.assert_status(302);
        }
        let refused = authorize(&app, &ada.access_token, &parameters(&client)).await;
        assert_flat(&refused, 429, "temporarily_unavailable");
        assert!(sent_back(&approve(&app, &bob.access_token, &parameters(&client)).await).contains_key("code"));
    }

    async fn an_application_has_so_many_sessions_of_an_account_and_no_more(engine: Engine) {
        let unlimited = |settings: &mut tidegate_kernel::Settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.codes_by_account = None;
            settings.set_oauth(rules);
        };
        let app = TestApp::builder(engine).settings(unlimited).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let mut tokens = Vec::new();
        for _ in 0..=tidegate_kernel::delegate::MOST_SESSIONS {
            tokens.push(sign_in(&app, &ada, &client).await.text_at("access_token"));
        }
        let live = "select count(*) from sessions where application_id is not null and revoked_at is null";
        assert_eq!(app.sql_count(live).await, tidegate_kernel::delegate::MOST_SESSIONS);
        assert_eq!((me(&app, &tokens[0]).await, me(&app, &tokens[1]).await), (401, 200));
        assert_eq!(me(&app, &ada.access_token).await, 200);
    }

    async fn old_codes_are_removed(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        code(&app, &ada, &client).await;
        app.advance(Duration::from_secs(600 + 24 * 3_600 + 1));
        app.kernel().prune().await.unwrap();
        assert_eq!(app.sql_count("select count(*) from oauth_codes").await, 0);
    }

    async fn a_node_hears_within_two_seconds_that_another_revoked_an_application(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let (person, own) = (
            sign_in(&app, &ada, &client).await.text_at("access_token"),
            token_request(&app, &client, &[("grant_type", "client_credentials")]).send().await.text_at("access_token"),
        );
        assert_eq!((me(&app, &person).await, me(&app, &own).await), (200, 403));
        let id = claims(&own)["client_id"].as_str().unwrap().to_owned();
        app.sql(&format!(
            "update oauth_applications set status = 'revoked' where id = {}",
            app.database.sql_uuid(uuid::Uuid::try_parse(&id).unwrap())
        )).await;
        app.advance(Duration::from_secs(2));
        assert_eq!((me(&app, &person).await, me(&app, &own).await), (401, 401));
    }
}

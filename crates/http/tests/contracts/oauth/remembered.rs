//! What a node remembers of applications and of people, and for how long: as long as of sessions.

use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Engine, TestApp, eventually, on_both_engines, on_one_engine};

use super::wire::{
    ADA, App, applications, assert_flat, authorize, code_for, described, described_with, exchange, me,
    organization, parameters, parameters_with, register, sent_back, sign_in, token_request, token_request_at,
};

const OWN: (&str, &str) = ("grant_type", "client_credentials");

/// What the userinfo endpoint calls the person.
async fn given_name(app: &TestApp, token: &str) -> Option<String> {
    let told = app.get("/oauth/userinfo").bearer(token).send().await;
    told.assert_status(200).body.get("given_name").and_then(|name| name.as_str()).map(str::to_owned)
}

on_both_engines! {
    async fn a_change_of_an_application_that_a_node_is_not_told_of_holds_after_two_seconds(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        // That it is in use is a change of it, the first time.
        token_request(&app, &client, &[OWN]).send().await.assert_status(200);
        app.catch_up().await;
        token_request(&app, &client, &[OWN]).send().await.assert_status(200);
        app.sql("update oauth_applications set status = 'revoked'").await;
        token_request(&app, &client, &[OWN]).send().await.assert_status(200);
        app.advance(Duration::from_secs(2));
        assert_flat(&token_request(&app, &client, &[OWN]).send().await, 401, "invalid_client");
        // Nobody is refused because of what is remembered.
        app.sql("update oauth_applications set status = 'active'").await;
        token_request(&app, &client, &[OWN]).send().await.assert_status(200);
    }

    async fn a_secret_that_a_node_is_not_told_of_is_accepted_at_once(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        for _ in 0..2 {
            token_request(&app, &client, &[OWN]).send().await.assert_status(200);
        }
        app.sql(&format!(
            "update oauth_applications set secret_hash =
                (select o.secret_hash from oauth_applications o where o.number = {}) where number = {}",
            other.number, client.number,
        )).await;
        let renewed = App { secret: other.secret, ..client };
        token_request(&app, &renewed, &[OWN]).send().await.assert_status(200);
    }

    async fn a_code_is_made_for_an_application_as_it_is_and_not_as_it_is_remembered(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let asked = parameters_with(&client, &[("scope", "openid")]);
        app.catch_up().await;
        assert!(sent_back(&authorize(&app, &ada.access_token, &asked).await).contains_key("code"));
        // What it asks for is still registered, and so is the address.
        app.sql("update oauth_applications set redirect_uris = redirect_uris || ' https://other.example.com/'").await;
        assert!(sent_back(&authorize(&app, &ada.access_token, &asked).await).contains_key("code"));
        app.sql("update oauth_applications set scopes = 'openid'").await;
        let back = sent_back(&authorize(&app, &ada.access_token, &asked).await);
        assert_eq!(back.get("error").map(String::as_str), Some("unauthorized_client"));
        for change in ["redirect_uris = 'https://other.example.com/'", "status = 'revoked'"] {
            app.sql(&format!("update oauth_applications set {change}")).await;
            let refused = authorize(&app, &ada.access_token, &asked).await;
            assert!((400..500).contains(&refused.status), "{change}: {}", refused.status);
            assert_eq!(refused.header("location"), "", "{change}");
        }
        assert_eq!(app.sql_count("select count(*) from oauth_codes").await, 2);
    }

    async fn a_code_is_exchanged_by_an_application_as_it_is_and_not_as_it_is_remembered(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let code = async || {
            let answer = authorize(&app, &ada.access_token, &parameters(&client)).await;
            sent_back(&answer).remove("code").unwrap()
        };
        sign_in(&app, &ada, &client).await;
        app.catch_up().await;
        let [narrowed, sent_elsewhere, ended] = [code().await, code().await, code().await];
        app.sql("update oauth_applications set scopes = 'openid read'").await;
        let answer = exchange(&app, &client, &narrowed).await;
        assert_eq!(answer.assert_status(200).text_at("scope"), "openid read");
        for (change, code) in [
            ("redirect_uris = 'https://other.example.com/'", sent_elsewhere),
            ("redirect_uris = 'https://shop.example.com/callback', suspended_at = 1", ended),
        ] {
            app.sql(&format!("update oauth_applications set {change}")).await;
            assert_flat(&exchange(&app, &client, &code).await, 400, "invalid_grant");
        }
        assert_eq!(app.sql_count("select count(*) from oauth_codes where used_at is not null").await, 2);
    }

    async fn an_application_has_fifty_sessions_of_an_account_at_most(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let live = "select count(*) from sessions where application_id is not null and revoked_at is null";
        let first = sign_in(&app, &ada, &client).await.text_at("access_token");
        for _ in 1..50 {
            sign_in(&app, &ada, &client).await;
        }
        assert_eq!((app.sql_count(live).await, me(&app, &first).await), (50, 200));
        sign_in(&app, &ada, &client).await;
        assert_eq!((app.sql_count(live).await, me(&app, &first).await), (50, 401));
    }

    async fn what_is_told_of_a_person_follows_them(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let asked = parameters_with(&client, &[("scope", "openid profile")]);
        let code = code_for(&app, &ada, &asked).await;
        let token = exchange(&app, &client, &code).await.text_at("access_token");
        app.catch_up().await;
        let before = given_name(&app, &token).await;
        app.sql("update accounts set first_name = 'Untold'").await;
        assert_eq!(given_name(&app, &token).await, before);
        // A session that is opened is shown with the account: the node is told.
        sign_in(&app, &ada, &client).await;
        assert_eq!(given_name(&app, &token).await.as_deref(), Some("Untold"));
        app.sql("update accounts set first_name = 'Later'").await;
        app.advance(Duration::from_secs(2));
        assert_eq!(given_name(&app, &token).await.as_deref(), Some("Later"));
    }
}

on_one_engine! { Engine::Postgres;
    async fn what_changes_of_an_application_on_one_node_holds_on_the_others(app: TestApp) {
        let node = app.another_node().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let ask = || token_request_at(&node.client(), &client, &[OWN]).send();
        for _ in 0..5 {
            ask().await.assert_status(200);
        }
        let path = format!("{}/{}/revoke", applications(organization(&app, &ada).await), client.number);
        app.post(&path).bearer(&ada.access_token).send().await.assert_status(200);
        // The clock stands still: what the node remembers does not age.
        eventually("the other node refuses it", || async { (ask().await.status == 401).then_some(()) }).await;
    }
}

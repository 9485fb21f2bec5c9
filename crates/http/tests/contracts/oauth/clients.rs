//! How applications prove who they are, and what they get in their own name: RFC 6749 sections 2.3 and 4.4.

use serde_json::{Value, json};
use tidegate_domain::limit::Limit;
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::wire::{
    ADA, App, approve, assert_flat, basic, claims, code, described, described_with, exchange_request, form,
    me, parameters_with, register, register_public, token_request,
};
use crate::watch::Log;

const OWN: (&str, &str) = ("grant_type", "client_credentials");

on_both_engines! {
    async fn an_application_gets_a_token_in_its_own_name(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let answer = token_request(&app, &client, &[OWN]).send().await;
        answer.assert_status(200);
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
        assert_eq!((answer.text_at("token_type").as_str(), answer.field("expires_in")), ("Bearer", &json!(3600)));
        // Scopes about a person are nobody's here.
        assert_eq!(answer.text_at("scope"), "read");
        assert!(answer.body.get("refresh_token").is_none() && answer.body.get("id_token").is_none());
        let said = claims(&answer.text_at("access_token"));
        assert_eq!((&said["sub"], &said["client_id"]), (&json!(client.client_id), &json!(client.client_id)));
        assert_eq!((&said["aud"], &said["iss"]), (&json!("https://id.example.com"), &json!("https://id.example.com")));
        assert_eq!(app.sql_count("select count(*) from sessions").await, 1, "nothing is stored");
    }

    async fn a_token_in_an_applications_own_name_reaches_no_account(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let body = described_with(json!({ "scopes": ["read", "write", "admin", "openid", "email"] }));
        let client = register(&app, &ada, &body).await;
        let token = token_request(&app, &client, &[OWN]).send().await.text_at("access_token");
        for path in [
            "/api/v1/auth/me", "/api/v1/sessions", "/api/v2/auth/me", "/v1/organizations/current/accounts/",
            "/v1/databases/", "/oauth/userinfo",
        ] {
            let answer = app.get(path).bearer(&token).send().await;
            assert_eq!(answer.status, 403, "{path}: {}", answer.text);
        }
    }

    async fn an_application_asks_for_less_and_never_for_more(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let body = described_with(json!({ "scopes": ["read", "write", "openid"] }));
        let client = register(&app, &ada, &body).await;
        let answer = token_request(&app, &client, &[OWN, ("scope", "read")]).send().await;
        assert_eq!(answer.assert_status(200).text_at("scope"), "read");
        for (scope, why) in [
            ("admin", "the application is not registered for the scope admin"),
            ("read admin", "the application is not registered for the scope admin"),
            ("openid", "the scope openid is about a person: in its own name an application does not have it"),
            ("full", "the scope full is unknown; the nearest one is "),
            ("read  write", "a scope is printable ASCII without spaces, quotes and backslashes"),
            ("\u{e9}", "a scope is printable ASCII without spaces, quotes and backslashes"),
        ] {
            let answer = token_request(&app, &client, &[OWN, ("scope", scope)]).send().await;
            assert_flat(&answer, 400, "invalid_scope");
            let said = answer.text_at("error_description");
            assert!(said.starts_with(why), "{scope}: {said}");
        }
    }

    async fn a_grant_that_an_application_is_not_registered_for_is_refused(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let web = described_with(json!({ "name": "Web", "grant_types": ["authorization_code"] }));
        let web = register(&app, &ada, &web).await;
        let answer = token_request(&app, &web, &[OWN]).send().await;
        assert_flat(&answer, 400, "unauthorized_client");
        assert!(answer.text.contains("not registered for this grant_type: its organization"), "{}", answer.text);
        let public = register_public(&app, &ada).await;
        assert_flat(&token_request(&app, &public, &[OWN]).send().await, 400, "unauthorized_client");
        for grant in ["password", "urn:ietf:params:oauth:grant-type:jwt-bearer", "x"] {
            let answer = token_request(&app, &web, &[("grant_type", grant)]).send().await;
            assert_flat(&answer, 400, "unsupported_grant_type");
            let is_told = answer.text.contains("there is no grant_type password: the person signs in at /oauth/authorize");
            assert_eq!(is_told, grant == "password", "{}", answer.text);
        }
        assert_flat(&token_request(&app, &web, &[]).send().await, 400, "invalid_request");
    }

    async fn an_api_that_is_named_as_elsewhere_is_told_the_operator(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let log = Log::listen();
        let named = ("audience", "https://api.example.com");
        let answer = token_request(&app, &client, &[OWN, named]).send().await;
        assert_eq!(claims(&answer.assert_status(200).text_at("access_token"))["aud"], json!("https://id.example.com"));
        let line = log.last_answer();
        assert!(line.contains(" status=200 ") && line.contains(" ignored=\"audience\""), "{line}");
        let asked = parameters_with(&client, &[named, ("access_type", "offline")]);
        approve(&app, &ada.access_token, &asked).await.assert_status(302);
        assert!(log.last_answer().contains(" ignored=\"audience, access_type\""), "{}", log.last_answer());
    }

    async fn the_secret_comes_in_the_header_or_in_the_body(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for method in ["client_secret_basic", "client_secret_post"] {
            let body = described_with(json!({ "name": method, "token_endpoint_auth_method": method }));
            let client = register(&app, &ada, &body).await;
            token_request(&app, &client, &[OWN]).send().await.assert_status(200);
            let header = basic(&client.client_id, client.secret.as_deref().unwrap());
            let request = app.post("/oauth/token").form(&form(&[OWN])).header("authorization", &header);
            request.send().await.assert_status(200);
            let same = form(&[OWN, ("client_id", &client.client_id)]);
            app.post("/oauth/token").form(&same).header("authorization", &header).send().await.assert_status(200);
        }
    }

    async fn two_ways_at_once_are_refused(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let secret = client.secret.as_deref().unwrap();
        let header = basic(&client.client_id, secret);
        for fields in [
            &[OWN, ("client_secret", secret)][..],
            &[OWN, ("client_id", &client.client_id), ("client_secret", secret)],
            &[OWN, ("client_id", "00000000-0000-4000-8000-000000000000")],
            &[OWN, ("client_assertion", "ey"), ("client_id", &client.client_id)],
        ] {
            let request = app.post("/oauth/token").form(&form(fields)).header("authorization", &header);
            assert_flat(&request.send().await, 400, "invalid_request");
        }
        let twice = app.post("/oauth/token").form(&form(&[OWN]));
        let twice = twice.header("authorization", &header).header("authorization", &header);
        assert_flat(&twice.send().await, 400, "invalid_request");
    }

    async fn whoever_cannot_prove_who_it_is_gets_one_answer(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        let public = register_public(&app, &ada).await;
        let mut texts = Vec::new();
        for (id, secret) in [
            (client.client_id.as_str(), Some("secret_wrong")),
            (&client.client_id, other.secret.as_deref()),
            (&client.client_id, None),
            ("00000000-0000-4000-8000-000000000000", client.secret.as_deref()),
            ("nobody", client.secret.as_deref()),
            // It has no secret, so none is right.
            (&public.client_id, client.secret.as_deref()),
        ] {
            let client = App { number: 0, client_id: id.to_owned(), secret: secret.map(str::to_owned) };
            let answer = token_request(&app, &client, &[OWN]).send().await;
            assert_flat(&answer, 401, "invalid_client");
            assert!(answer.header("www-authenticate").starts_with("Basic "));
            texts.push(answer.text);
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
        for header in ["Bearer abc", "Basic", "Basic ???", "Basic YQ=="] {
            let request = app.post("/oauth/token").form(&form(&[OWN])).header("authorization", header);
            assert_flat(&request.send().await, 401, "invalid_client");
        }
        assert_flat(&app.post("/oauth/token").form(&form(&[OWN])).send().await, 401, "invalid_client");
    }

    async fn wrong_secrets_are_limited_and_keep_no_right_one_out(engine: Engine) {
        let limited = |settings: &mut tidegate_kernel::Settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.failed_secrets_by_client = Some(Limit::new(3, 60));
            rules.failed_clients_by_network = Some(Limit::new(5, 60));
            settings.set_oauth(rules);
        };
        let app = TestApp::builder(engine).settings(limited).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let wrong = App { secret: Some("secret_wrong".into()), ..client.clone() };
        let mut answered = Vec::new();
        for _ in 0..5 {
            answered.push(token_request(&app, &wrong, &[OWN]).send().await.status);
        }
        assert_eq!(answered, [401, 401, 401, 429, 429]);
        let unknown = App { client_id: "00000000-0000-4000-8000-000000000000".into(), ..wrong.clone() };
        let mut answered = Vec::new();
        for _ in 0..3 {
            answered.push(token_request(&app, &unknown, &[OWN]).send().await.status);
        }
        assert_eq!(answered, [401, 401, 429], "what was refused was not counted");
        let refused = token_request(&app, &unknown, &[OWN]).send().await;
        assert_flat(&refused, 429, "temporarily_unavailable");
        assert!(!refused.header("retry-after").is_empty());
        // The right one, from the same network and from another.
        token_request(&app, &client, &[OWN]).send().await.assert_status(200);
        token_request(&app, &client, &[OWN]).ip("203.0.113.9").send().await.assert_status(200);
        assert_eq!(token_request(&app, &wrong, &[OWN]).ip("203.0.113.9").send().await.status, 401);
    }

    async fn a_public_client_exchanges_its_code_with_the_verifier_alone(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        assert_eq!(client.secret, None);
        let code = code(&app, &ada, &client).await;
        let answer = exchange_request(&app, &client, &code).send().await;
        assert_eq!(me(&app, &answer.assert_status(200).text_at("access_token")).await, 200);
    }

    async fn it_is_known_to_a_minute_when_an_application_was_last_used(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let last = "select count(*) from oauth_applications where last_used_at is not null";
        assert_eq!(app.sql_count(last).await, 0);
        token_request(&app, &client, &[OWN]).send().await.assert_status(200);
        assert_eq!(app.sql_count(last).await, 1);
        let at = app.database.sql_texts("select cast(last_used_at as text) from oauth_applications").await;
        app.advance(std::time::Duration::from_secs(59));
        token_request(&app, &client, &[OWN]).send().await.assert_status(200);
        let again = app.database.sql_texts("select cast(last_used_at as text) from oauth_applications").await;
        assert_eq!(at, again);
        app.advance(std::time::Duration::from_secs(2));
        token_request(&app, &client, &[OWN]).send().await.assert_status(200);
        let later = app.database.sql_texts("select cast(last_used_at as text) from oauth_applications").await;
        assert_ne!(at, later);
    }

    async fn a_token_is_made_for_another_api_where_the_operator_names_it(engine: Engine) {
        let app = TestApp::builder(engine).settings(crate::oauth::attacks::with_api).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let resource = ("resource", "https://api.example.com");
        let answer = token_request(&app, &client, &[OWN, resource]).send().await;
        let said: Value = claims(&answer.assert_status(200).text_at("access_token"));
        assert_eq!(said["aud"], "https://api.example.com");
        let unknown = token_request(&app, &client, &[OWN, ("resource", "https://other.example.com")]).send().await;
        assert_flat(&unknown, 400, "invalid_target");
    }
}

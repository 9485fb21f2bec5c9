//! What applications are told of people: ID tokens and the userinfo endpoint (OpenID Connect Core sections 2 and 5).

use serde_json::json;
use tidegate_crypto::oauth::at_hash;
use tidegate_testkit::{TestApp, on_both_engines};

use super::wire::{
    ADA, approve, assert_flat, authorize, claims, code_for, described, described_with, exchange,
    parameters_with, refresh, register, sent_back, sign_in, token_request,
};

on_both_engines! {
    async fn the_id_token_says_who_signed_in_and_how(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let answer = sign_in(&app, &ada, &client).await;
        let (access, id) = (answer.text_at("access_token"), answer.text_at("id_token"));
        let (said, access_says) = (claims(&id), claims(&access));
        assert_eq!(said["iss"], "https://id.example.com");
        assert_eq!((&said["aud"], &said["azp"]), (&json!(client.client_id), &json!(client.client_id)));
        assert_eq!((&said["sub"], &said["sid"]), (&access_says["sub"], &access_says["sid"]));
        assert_eq!((&said["nonce"], &said["amr"]), (&json!("some nonce"), &json!(["otp"])));
        assert_eq!(said["at_hash"], at_hash(&access, tidegate_crypto::SigningAlgorithm::Es256));
        assert_eq!(said["auth_time"], access_says["auth_time"]);
        assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 3_600);
        assert_eq!((&access_says["client_id"], &access_says["scope"]), (&json!(client.client_id), &json!("openid email read")));
        let head = jsonwebtoken::decode_header(&id).unwrap();
        assert_eq!((head.typ.as_deref(), head.alg), (Some("JWT"), jsonwebtoken::Algorithm::ES256));
        let keys = app.get("/.well-known/jwks.json").send().await;
        assert_eq!(keys.text_at("keys.0.kid"), head.kid.unwrap());
    }

    async fn single_claims_are_told_in_the_id_token_as_far_as_the_application_may_ask(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let asked = json!({ "id_token": { "email": { "essential": true }, "email_verified": null, "name": null, "phone_number": null } });
        let with = |scope: &str, asked: &serde_json::Value| {
            parameters_with(&client, &[("scope", scope), ("claims", &asked.to_string())])
        };
        let code = code_for(&app, &ada, &with("openid email", &asked)).await;
        let said = claims(&exchange(&app, &client, &code).await.assert_status(200).text_at("id_token"));
        assert_eq!((&said["email"], &said["email_verified"]), (&json!(ADA), &json!(true)));
        assert!(said.get("phone_number").is_none(), "the application is not registered for the scope phone");
        // Alone they are told without the others of their scope.
        let one = json!({ "id_token": { "email": null } });
        let code = code_for(&app, &ada, &with("openid", &one)).await;
        let tokens = exchange(&app, &client, &code).await;
        let said = claims(&tokens.assert_status(200).text_at("id_token"));
        assert_eq!((&said["email"], said.get("email_verified")), (&json!(ADA), None));
        assert_eq!(tokens.text_at("scope"), "openid");
        // Who it has to be.
        for (subject, answered) in [(said["sub"].as_str().unwrap(), true), ("somebody", false)] {
            let asked = json!({ "id_token": { "sub": { "value": subject } } });
            let back = sent_back(&approve(&app, &ada.access_token, &with("openid", &asked)).await);
            assert_eq!(back.contains_key("code"), answered, "{back:?}");
        }
    }

    async fn single_claims_are_told_at_the_userinfo_endpoint_and_nothing_beside_them(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let asked = json!({ "userinfo": { "email": { "essential": true }, "phone_number": null, "flies": null } }).to_string();
        let code = code_for(&app, &ada, &parameters_with(&client, &[("scope", "openid"), ("claims", &asked)])).await;
        let tokens = exchange(&app, &client, &code).await;
        let told = app.get("/oauth/userinfo").bearer(&tokens.assert_status(200).text_at("access_token")).send().await;
        let sub = claims(&tokens.text_at("id_token"))["sub"].clone();
        assert_eq!(told.assert_status(200).body, json!({ "sub": sub, "email": ADA }));
        assert!(claims(&tokens.text_at("id_token")).get("email").is_none(), "it was not asked for there");
        // It stays so when the session is refreshed.
        let next = refresh(&app, &client, &tokens.text_at("refresh_token")).await.text_at("access_token");
        assert_eq!(app.get("/oauth/userinfo").bearer(&next).send().await.body, told.body);
        // Without `openid` nothing is told at all.
        let code = code_for(&app, &ada, &parameters_with(&client, &[("scope", "read"), ("claims", &asked)])).await;
        let token = exchange(&app, &client, &code).await.text_at("access_token");
        assert_eq!(app.get("/oauth/userinfo").bearer(&token).send().await.status, 403);
    }

    /// Nobody is told what a person did not allow: a single claim is asked for with the scope that tells it.
    async fn a_single_claim_needs_consent_to_its_scope(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        let client = register(&app, &ada, &described()).await;
        let with = |claims: &str| parameters_with(&client, &[("scope", "openid"), ("claims", claims)]);
        assert!(sent_back(&approve(&app, &bob.access_token, &with("")).await).contains_key("code"));
        assert!(sent_back(&authorize(&app, &bob.access_token, &with("")).await).contains_key("code"));
        let asked = r#"{"userinfo":{"name":null}}"#;
        assert_eq!(sent_back(&authorize(&app, &bob.access_token, &with(asked)).await)["error"], "consent_required");
    }

    /// OpenID Connect Core section 5.5.1.1: what an application cannot do without, and the person cannot show, is an error.
    async fn an_essential_context_is_met_or_refused(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        for (acr, error) in [
            (json!({ "values": ["mfa"] }), None),
            (json!({ "essential": true, "values": ["1fa", "mfa"] }), None),
            (json!({ "essential": true, "values": ["mfa"] }), Some("unmet_authentication_requirements")),
            (json!({ "essential": true, "value": "urn:none" }), Some("unmet_authentication_requirements")),
        ] {
            let asked = json!({ "id_token": { "acr": acr } }).to_string();
            let back = sent_back(&approve(&app, &ada.access_token, &parameters_with(&client, &[("claims", &asked)])).await);
            assert_eq!(back.get("error").map(String::as_str), error, "{asked}");
        }
    }

    async fn a_phone_is_told_with_its_scope(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.sql(
            "insert into identifiers (id, account_id, kind, value, verified_at, is_primary, created_at)
             select id, account_id, 'phone', '+254712345678', 1, true, 1 from memberships",
        ).await;
        let client = register(&app, &ada, &described_with(json!({ "scopes": ["openid", "email", "phone"] }))).await;
        for (scope, phone) in [("openid phone", Some("+254712345678")), ("openid email", None)] {
            let code = code_for(&app, &ada, &parameters_with(&client, &[("scope", scope)])).await;
            let token = exchange(&app, &client, &code).await.text_at("access_token");
            let told = app.get("/oauth/userinfo").bearer(&token).send().await;
            let told = &told.assert_status(200).body;
            assert_eq!(told.get("phone_number").and_then(|phone| phone.as_str()), phone, "{scope}");
            assert_eq!(told.get("phone_number_verified").and_then(|known| known.as_bool()), phone.map(|_| true));
        }
    }

    async fn without_the_scope_there_is_no_id_token_and_nothing_is_told(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let code = code_for(&app, &ada, &parameters_with(&client, &[("scope", "email read")])).await;
        let answer = exchange(&app, &client, &code).await;
        assert!(answer.assert_status(200).body.get("id_token").is_none());
        let refused = app.get("/oauth/userinfo").bearer(&answer.text_at("access_token")).send().await;
        assert_flat(&refused, 403, "insufficient_scope");
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
    }

    async fn each_scope_tells_its_own(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let mut told = Vec::new();
        for scope in ["openid", "openid email", "openid profile", "openid profile email"] {
            let code = code_for(&app, &ada, &parameters_with(&client, &[("scope", scope)])).await;
            let token = exchange(&app, &client, &code).await.text_at("access_token");
            let answer = app.get("/oauth/userinfo").bearer(&token).send().await;
            answer.assert_status(200);
            let posted = app.post("/oauth/userinfo").bearer(&token).send().await;
            assert_eq!(posted.assert_status(200).body, answer.body);
            assert_eq!(answer.text_at("sub"), claims(&token)["sub"].as_str().unwrap());
            let names: Vec<String> = answer.body.as_object().unwrap().keys().cloned().collect();
            told.push(names.join(" "));
            if scope.contains("email") {
                assert_eq!((answer.text_at("email").as_str(), answer.field("email_verified")), (ADA, &json!(true)));
            }
        }
        assert_eq!(told[0], "sub");
        assert_eq!(told[1], "email email_verified sub");
        assert!(told[2].contains("name") && !told[2].contains("email"), "{told:?}");
    }

    async fn only_an_applications_token_is_asked_about(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        assert_flat(&app.get("/oauth/userinfo").send().await, 401, "invalid_token");
        assert_flat(&app.get("/oauth/userinfo").bearer("x").send().await, 401, "invalid_token");
        // The session's own token has no scope by which it would be known what to tell.
        let own = app.get("/oauth/userinfo").bearer(&ada.access_token).send().await;
        assert_flat(&own, 403, "insufficient_scope");
        assert!(own.text_at("error_description").contains("the scope openid"), "{}", own.text);
        assert_eq!(own.header("www-authenticate"), "Bearer error=\"insufficient_scope\", scope=\"openid\"");
        let id_token = sign_in(&app, &ada, &client).await.text_at("id_token");
        assert_flat(&app.get("/oauth/userinfo").bearer(&id_token).send().await, 401, "invalid_token");
        let machine = token_request(&app, &client, &[("grant_type", "client_credentials")]).send().await;
        let machine = app.get("/oauth/userinfo").bearer(&machine.text_at("access_token")).send().await;
        assert_flat(&machine, 403, "insufficient_scope");
    }

    async fn a_refreshed_id_token_has_no_nonce_and_the_same_sign_in(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let first = sign_in(&app, &ada, &client).await;
        app.advance(std::time::Duration::from_secs(600));
        let next = crate::oauth::wire::refresh(&app, &client, &first.text_at("refresh_token")).await;
        let (before, after) = (claims(&first.text_at("id_token")), claims(&next.assert_status(200).text_at("id_token")));
        assert!(after.get("nonce").is_none());
        for name in ["sub", "aud", "iss", "sid", "auth_time"] {
            assert_eq!(before[name], after[name], "{name}");
        }
        assert!(after["iat"].as_i64() > before["iat"].as_i64());
    }
}

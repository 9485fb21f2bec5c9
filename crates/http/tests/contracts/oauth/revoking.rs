//! Tokens are given up and described: RFC 7009, RFC 7662.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, TestApp, on_both_engines};

use super::wire::{
    ADA, App, assert_flat, audited, basic, claims, described, described_with, form, me, refresh, register,
    register_public, sign_in, token_request,
};

async fn revoke(app: &TestApp, token: &str) -> Answer {
    app.post("/oauth/token/revoke").form(&form(&[("token", token)])).send().await
}

#[track_caller]
fn assert_done(answer: &Answer) {
    assert_eq!(answer.assert_status(200).body, json!({}));
    assert_eq!(answer.header("cache-control"), "no-store");
}

async fn introspect(app: &TestApp, client: &App, token: &str) -> Answer {
    let header = basic(&client.client_id, client.secret.as_deref().unwrap());
    let request = app.post("/oauth/introspect").form(&form(&[("token", token)]));
    request.header("authorization", &header).send().await
}

async fn revoke_as(app: &TestApp, client: &App, token: &str) -> Answer {
    let secret = client.secret.as_deref().unwrap();
    let fields = form(&[("token", token), ("client_id", &client.client_id), ("client_secret", secret)]);
    app.post("/oauth/token/revoke").form(&fields).send().await
}

async fn own_token(app: &TestApp, client: &App) -> String {
    token_request(app, client, &[("grant_type", "client_credentials")]).send().await.text_at("access_token")
}

const INACTIVE: fn() -> Value = || json!({ "active": false });

on_both_engines! {
    async fn a_token_that_is_revoked_ends_its_session_at_once(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        for name in ["access_token", "refresh_token"] {
            let tokens = sign_in(&app, &ada, &client).await;
            let other = sign_in(&app, &ada, &client).await;
            assert_done(&revoke(&app, &tokens.text_at(name)).await);
            assert_eq!(me(&app, &tokens.text_at("access_token")).await, 401);
            assert_flat(&refresh(&app, &client, &tokens.text_at("refresh_token")).await, 400, "invalid_grant");
            assert_eq!(me(&app, &other.text_at("access_token")).await, 200);
            // Again, and it is the same.
            assert_done(&revoke(&app, &tokens.text_at(name)).await);
        }
        assert_eq!(audited(&app, "oauth.session.revoked").await.len(), 2);
        assert_eq!(me(&app, &ada.access_token).await, 200);
    }

    async fn an_applications_own_tokens_are_revoked_and_no_persons(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let person = sign_in(&app, &ada, &client).await.text_at("access_token");
        let own = own_token(&app, &client).await;
        assert_eq!(introspect(&app, &client, &own).await.field("active"), &json!(true));
        // Whoever is shown one token must not end them all.
        assert_flat(&revoke(&app, &own).await, 401, "invalid_client");
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        assert_done(&revoke_as(&app, &other, &own).await);
        assert_eq!(introspect(&app, &client, &own).await.field("active"), &json!(true));
        assert_done(&revoke_as(&app, &client, &own).await);
        assert_eq!(audited(&app, "oauth.session.revoked").await.len(), 1);
        assert_eq!(introspect(&app, &client, &own).await.body, INACTIVE());
        assert_eq!(me(&app, &person).await, 200);
        assert_eq!(introspect(&app, &client, &own_token(&app, &client).await).await.field("active"), &json!(true));
    }

    async fn what_is_no_applications_token_is_left_alone_without_a_word(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for token in ["x", "tgr_x", "pat_x", "a.b.c", &ada.access_token, &ada.refresh_token] {
            assert_done(&revoke(&app, token).await);
        }
        assert_eq!(me(&app, &ada.access_token).await, 200);
        for body in ["", "token="] {
            assert_flat(&app.post("/oauth/token/revoke").form(body).send().await, 400, "invalid_request");
        }
        for hint in ["refresh_token", "id_token", "x"] {
            let form = format!("token=x&token_type_hint={hint}");
            let hinted = app.post("/oauth/token/revoke").form(&form).bearer(&ada.access_token).send().await;
            assert_done(&hinted);
        }
    }

    async fn an_application_that_proves_who_it_is_revokes_its_own_tokens_only(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        let token = sign_in(&app, &ada, &client).await.text_at("access_token");
        let send = |by: App, secret: String| {
            let body = form(&[("token", &token), ("client_id", &by.client_id), ("client_secret", &secret)]);
            app.post("/oauth/token/revoke").form(&body).send()
        };
        assert_done(&send(other.clone(), other.secret.clone().unwrap()).await);
        assert_eq!(me(&app, &token).await, 200);
        assert_flat(&send(client.clone(), "secret_wrong".into()).await, 401, "invalid_client");
        assert_eq!(me(&app, &token).await, 200);
        assert_done(&send(client.clone(), client.secret.clone().unwrap()).await);
        assert_eq!(me(&app, &token).await, 401);
    }

    async fn a_valid_token_is_described(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = sign_in(&app, &ada, &client).await;
        let access = tokens.text_at("access_token");
        let answer = introspect(&app, &client, &access).await;
        let (found, said) = (&answer.assert_status(200).body, claims(&access));
        assert_eq!((&found["active"], &found["token_type"]), (&json!(true), &json!("Bearer")));
        for name in ["scope", "client_id", "sub", "aud", "iss", "exp", "iat", "jti", "sid", "org"] {
            assert_eq!(found[name], said[name], "{name}");
        }
        let answer = introspect(&app, &client, &tokens.text_at("refresh_token")).await;
        assert_eq!((answer.field("active"), answer.field("token_type")), (&json!(true), &json!("refresh_token")));
        assert_eq!(answer.header("cache-control"), "no-store");
    }

    async fn what_is_not_valid_is_not_described(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = sign_in(&app, &ada, &client).await;
        let id_token = tokens.text_at("id_token");
        for token in ["x", "tgr_x", "secret_x", "a.b.c", &id_token] {
            assert_eq!(introspect(&app, &client, token).await.assert_status(200).body, INACTIVE(), "{token}");
        }
        app.advance(std::time::Duration::from_secs(3_600));
        assert_eq!(introspect(&app, &client, &tokens.text_at("access_token")).await.body, INACTIVE());
        let next = refresh(&app, &client, &tokens.text_at("refresh_token")).await;
        assert_eq!(introspect(&app, &client, &tokens.text_at("refresh_token")).await.body, INACTIVE(), "replaced");
        revoke(&app, &next.text_at("access_token")).await;
        assert_eq!(introspect(&app, &client, &next.text_at("access_token")).await.body, INACTIVE());
        assert_eq!(introspect(&app, &client, &next.text_at("refresh_token")).await.body, INACTIVE());
    }

    async fn an_application_sees_tokens_of_its_own_organization_alone(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        let client = register(&app, &ada, &described()).await;
        let eves = register(&app, &eve, &described()).await;
        let colleague = register(&app, &ada, &described_with(json!({ "name": "Reports" }))).await;
        let tokens = sign_in(&app, &ada, &client).await;
        let own = own_token(&app, &client).await;
        for token in [&tokens.text_at("access_token"), &tokens.text_at("refresh_token"), &own, &ada.access_token] {
            assert_eq!(introspect(&app, &eves, token).await.assert_status(200).body, INACTIVE());
        }
        // An API of the same organization is shown access tokens, and no refresh token.
        for token in [&tokens.text_at("access_token"), &own] {
            assert_eq!(introspect(&app, &colleague, token).await.field("active"), &json!(true));
        }
        assert_eq!(introspect(&app, &colleague, &tokens.text_at("refresh_token")).await.body, INACTIVE());
    }

    async fn an_application_is_told_of_its_own_tokens_wherever_the_person_is_a_member(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        let client = register(&app, &ada, &described()).await;
        let colleague = register(&app, &ada, &described_with(json!({ "name": "Reports" }))).await;
        let tokens = sign_in(&app, &bob, &client).await;
        let (access, refresh_token) = (tokens.text_at("access_token"), tokens.text_at("refresh_token"));
        for token in [&access, &refresh_token] {
            assert_eq!(introspect(&app, &client, token).await.field("active"), &json!(true));
            assert_eq!(introspect(&app, &colleague, token).await.body, INACTIVE());
        }
        // What the token says is no more than its session has by now.
        app.sql("update sessions set scope = 'openid' where application_id is not null").await;
        app.advance(std::time::Duration::from_secs(2));
        assert_eq!(introspect(&app, &client, &access).await.field("scope"), &json!("openid"));
    }

    async fn whoever_proves_nothing_is_told_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let token = sign_in(&app, &ada, &client).await.text_at("access_token");
        assert_flat(&app.post("/oauth/introspect").form(&form(&[("token", &token)])).send().await, 401, "invalid_client");
        let public = register_public(&app, &ada).await;
        let body = form(&[("token", &token), ("client_id", &public.client_id)]);
        let answer = app.post("/oauth/introspect").form(&body).send().await;
        assert_flat(&answer, 400, "unauthorized_client");
        assert!(answer.text.contains("is told nothing of tokens: ask with the credentials of the API"), "{}", answer.text);
        let bearer = app.post("/oauth/introspect").form(&form(&[("token", &token)])).bearer(&token);
        assert_flat(&bearer.send().await, 401, "invalid_client");
        let none = basic(&client.client_id, client.secret.as_deref().unwrap());
        let none = app.post("/oauth/introspect").form("x=y").header("authorization", &none);
        assert_flat(&none.send().await, 400, "invalid_request");
    }
}

//! An application that does not prove who it is learns that and no more; the operator reads in the log why.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, TestApp, on_both_engines};

use super::dpop::Holder;
use super::signing::{JWT_BEARER, OTHER, OWN, assertion, with_key};
use super::wire::{
    ADA, App, assert_flat, basic, code, described, form, register, register_public, token_request,
};
use crate::watch::Log;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

#[track_caller]
fn assert_logged(log: &Log, refused: &str) {
    let line = log.last_answer();
    assert!(line.contains(&format!(" refused=\"{refused}")), "{refused}: {line}");
}

/// A refusal that says the same whatever is wrong, and a log that says what it is.
#[track_caller]
fn assert_no_client(answer: &Answer, log: &Log, refused: &str) {
    assert_flat(answer, 401, "invalid_client");
    let text = answer.text_at("error_description");
    assert_eq!(text, "the client is unknown or revoked, or its secret is wrong");
    assert_logged(log, refused);
}

async fn present(app: &TestApp, client: &App, jwt: &str) -> Answer {
    let fields = [
        GRANT,
        ("client_id", client.client_id.as_str()),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", jwt),
    ];
    app.post("/oauth/token").form(&form(&fields)).send().await
}

on_both_engines! {
    async fn the_log_says_why_an_application_is_none(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let ask = |id: &str, secret: &str| {
            app.post("/oauth/token").header("authorization", &basic(id, secret)).form(&form(&[GRANT]))
        };
        let nobody = "00000000-0000-4000-8000-000000000000";
        assert_no_client(&ask(nobody, "marked").send().await, &log, "client: unknown\"");
        assert_no_client(&ask(&client.client_id, "marked").send().await, &log, "client_secret: wrong");
        assert!(!log.last_answer().contains("marked") && !log.last_answer().contains(&client.client_id));
        let none = app.post("/oauth/token").form(&form(&[GRANT])).send().await;
        assert_no_client(&none, &log, "client: nothing is presented");
        let header = app.post("/oauth/token").header("authorization", "Basic ???").form(&form(&[GRANT]));
        assert_no_client(&header.send().await, &log, "client: the Authorization header is no Basic");
        let without = App { secret: None, ..client.clone() };
        let answer = token_request(&app, &without, &[GRANT]).send().await;
        assert_no_client(&answer, &log, "client authentication: none, registered is client_secret_basic");
        let answer = present(&app, &client, &OWN.sign(&assertion(&app, &client, "1"))).await;
        assert_no_client(&answer, &log, "client authentication: client_assertion, registered is ");
        app.sql("update oauth_applications set status = 'revoked'").await;
        // The node was not told of it.
        app.advance(Duration::from_secs(2));
        let answer = token_request(&app, &client, &[GRANT]).send().await;
        assert_no_client(&answer, &log, "client: revoked");
    }

    async fn the_log_says_what_is_wrong_with_an_assertion(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let client = with_key(&app, &client).await;
        let now = app.now().seconds();
        let with = |name: &str, value: Value| {
            let mut claims = assertion(&app, &client, name);
            claims[name] = value;
            OWN.sign(&claims)
        };
        let once = OWN.sign(&assertion(&app, &client, "once"));
        present(&app, &client, &once).await.assert_status(200);
        for (jwt, refused) in [
            (once, "client_assertion: it was used before (jti)"),
            (OTHER.sign(&assertion(&app, &client, "2")), "client_assertion: it is signed with a key that is not registered"),
            ("a.b.c".to_owned(), "client_assertion: it is not signed by the client"),
            (with("aud", json!("https://marked.example")), "client_assertion: aud is not "),
            (with("iss", json!("https://marked.example")), "client_assertion: iss and sub are not both"),
            (with("jti", json!("")), "client_assertion: jti is missing"),
            (with("exp", json!(now - 100)), "client_assertion: it expired 100 s ago (exp)"),
            (with("nbf", json!(now + 90)), "client_assertion: it is not valid for another 90 s (nbf)"),
        ] {
            assert_no_client(&present(&app, &client, &jwt).await, &log, refused);
            assert!(!log.last_answer().contains("marked") && !log.last_answer().contains(&jwt));
        }
    }

    async fn the_log_says_what_is_wrong_with_a_proof(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let (holder, thief) = (Holder::new(1), Holder::new(2));
        let tokens = holder.exchange(&app, &client, &code(&app, &ada, &client).await).await;
        let access = tokens.assert_status(200).text_at("access_token");
        for path in ["/oauth/userinfo", "/api/v1/auth/me", "/api/v2/auth/me", "/v1/databases/"] {
            app.get(path).bearer(&access).send().await.assert_status(401);
            assert_logged(&log, "dpop: this access token is bound to a key: send it with DPoP");
            thief.get(&app, path, &access).send().await.assert_status(401);
            assert_logged(&log, "dpop: this access token is bound to another key");
            let bare = app.get(path).header("authorization", &format!("DPoP {access}"));
            bare.send().await.assert_status(401);
            assert_logged(&log, "dpop: the DPoP header with the proof is missing");
        }
        let proof = holder.proof(&app);
        let refresh = tokens.text_at("refresh_token");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        token_request(&app, &client, &fields).header("dpop", &proof).send().await.assert_status(200);
        let again = token_request(&app, &client, &fields).header("dpop", &proof).send().await;
        assert_flat(&again, 400, "invalid_dpop_proof");
        assert_logged(&log, "dpop: the DPoP proof was shown before (jti)");
    }
}

//! An application that does not prove who it is learns that and no more; the operator reads in the log why.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, TestApp, on_both_engines};

use super::devices::{DEVICE_CODE, ask, poll, television};
use super::dpop::Holder;
use super::signing::{JWT_BEARER, OTHER, OWN, assertion, operator, with_key};
use super::wire::{
    ADA, App, CALLBACK, VERIFIER, approve, assert_flat, authorize, basic, code, described, described_with,
    exchange, form, parameters_with, refresh, register, register_public, sent_back, token_request,
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

/// The same of what an application presents for tokens.
#[track_caller]
fn assert_no_grant(answer: &Answer, log: &Log, description: &str, refused: &str) {
    assert_flat(answer, 400, "invalid_grant");
    assert!(answer.text_at("error_description").starts_with(description), "{}", answer.text);
    assert_logged(log, refused);
}

/// That the answer to the last authorization request stands in the log with the code of its error.
#[track_caller]
fn assert_error_logged(log: &Log, status: u16, code: &str) {
    let line = log.last_answer();
    let has = |text: String| line.contains(&text);
    assert!(
        line.starts_with("INFO ") && has(format!(" status={status} ")) && has(format!(" code=\"{code}\" ")),
        "{line}"
    );
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
        let told = "client authentication: none, registered is client_secret_basic; if it can keep no secret: \
                    tidegate client change CLIENT_ID --auth-method none\"";
        assert_no_client(&answer, &log, told);
        let empty = "client_secret: empty; is the variable set";
        assert_no_client(&ask(&client.client_id, "").send().await, &log, empty);
        let fields = [GRANT, ("client_id", client.client_id.as_str()), ("client_secret", "")];
        let posted = app.post("/oauth/token").form(&form(&fields)).send().await;
        assert_no_client(&posted, &log, empty);
        let answer = present(&app, &client, &OWN.sign(&assertion(&app, &client, "1"))).await;
        assert_no_client(&answer, &log, "client authentication: client_assertion, registered is client_secret_basic\"");
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

    async fn the_log_says_why_a_code_is_not_exchanged(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        let same = "the code is unknown, expired or used, or was made for another application or redirect_uri";
        let unknown = exchange(&app, &client, "nobodys").await;
        assert_no_grant(&unknown, &log, same, "authorization code: unknown");
        assert!(!log.last_answer().contains("nobodys"), "{}", log.last_answer());
        let once = code(&app, &ada, &client).await;
        let elsewhere = exchange(&app, &other, &once).await;
        assert_no_grant(&elsewhere, &log, same, "authorization code: made for another application");
        let with = |redirect_uri: &str, verifier: &str| {
            let fields = [
                ("grant_type", "authorization_code"),
                ("code", once.as_str()),
                ("redirect_uri", redirect_uri),
                ("code_verifier", verifier),
            ];
            token_request(&app, &client, &fields)
        };
        let moved = with("https://shop.example.com/callback/", VERIFIER).send().await;
        assert_no_grant(&moved, &log, same, "authorization code: redirect_uri is not the one of its authorization request");
        let unproven = with(CALLBACK, &"x".repeat(43)).send().await;
        assert_no_grant(&unproven, &log, "code_verifier does not fit", "authorization code: code_verifier does not fit");
        let tokens = exchange(&app, &client, &once).await;
        let token = tokens.assert_status(200).text_at("refresh_token");
        let stolen = refresh(&app, &other, &token).await;
        assert_no_grant(&stolen, &log, "the refresh token is unknown", "refresh token: issued to another application");
        assert_no_grant(&exchange(&app, &client, &once).await, &log, same, "authorization code: used before");
        let late = code(&app, &ada, &client).await;
        app.advance(Duration::from_secs(700));
        let late = exchange(&app, &client, &late).await;
        assert_no_grant(&late, &log, same, "authorization code: expired 100 s ago");
    }

    async fn the_log_says_why_the_code_of_a_device_is_none(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &television()).await;
        let mut body = television();
        body["name"] = json!("Other");
        let other = register(&app, &ada, &body).await;
        let same = "the device_code is unknown or used, was made for another application";
        let fields = [("grant_type", DEVICE_CODE), ("device_code", "nobodys")];
        let unknown = token_request(&app, &client, &fields).send().await;
        assert_no_grant(&unknown, &log, same, "device_code: unknown");
        let asked = ask(&app, &client, &[("scope", "openid")]).await;
        asked.assert_status(200);
        assert_no_grant(&poll(&app, &other, &asked).await, &log, same, "device_code: made for another application");
    }

    async fn the_log_says_why_no_person_is_asked_for_an_application(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let refused = async |client_id: &str, said: &str, told: &str| {
            let parameters = parameters_with(&client, &[("client_id", client_id)]);
            let answer = authorize(&app, &ada.access_token, &parameters).await;
            assert_flat(&answer, 400, "invalid_client");
            assert!(answer.text_at("error_description").starts_with(said), "{}", answer.text);
            assert_logged(&log, told);
        };
        let same = "the client_id is unknown, or the application is revoked or suspended";
        refused("", "client_id is missing", "client: client_id is missing").await;
        refused("CLIENT_ID", same, "client: unknown, and not written as a client_id").await;
        refused("00000000-0000-4000-8000-000000000000", same, "client: unknown\"").await;
        let id = uuid::Uuid::try_parse(&client.client_id).unwrap().into();
        app.oauth().suspend_application(&operator(&app), id).await.unwrap();
        refused(&client.client_id, same, "client: suspended by the operator").await;
        app.oauth().resume_application(&operator(&app), id).await.unwrap();
        let back = authorize(&app, &ada.access_token, &parameters_with(&client, &[("prompt", "wrong")])).await;
        let told = "prompt must be of none, login, consent, select_account and create, separated by spaces";
        assert_eq!(sent_back(&back)["error_description"], told);
    }

    async fn the_log_has_the_code_of_an_error_that_is_sent_back(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let back = authorize(&app, &ada.access_token, &parameters_with(&client, &[("scope", "admin")])).await;
        assert_eq!(sent_back(&back)["error"], "invalid_scope");
        assert_error_logged(&log, 302, "invalid_scope");
        let posted = parameters_with(&client, &[("scope", "admin"), ("response_mode", "form_post")]);
        authorize(&app, &ada.access_token, &posted).await.assert_status(200);
        assert_error_logged(&log, 200, "invalid_scope");
        let public = register_public(&app, &ada).await;
        let bare = parameters_with(&public, &[("code_challenge", ""), ("code_challenge_method", "")]);
        let back = authorize(&app, &ada.access_token, &bare).await;
        assert_eq!(sent_back(&back)["error"], "invalid_request");
        assert_error_logged(&log, 302, "invalid_request");
        // What went well is counted, and no line of the log by default.
        let granted = approve(&app, &ada.access_token, &parameters_with(&client, &[])).await;
        assert!(sent_back(&granted).contains_key("code"));
        assert!(log.last_answer().starts_with("DEBUG "), "{}", log.last_answer());
    }

    async fn an_application_that_asks_the_contract_who_its_person_is_is_told_where_that_is_answered(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let asked = parameters_with(&client, &[("scope", "openid email")]);
        let back = approve(&app, &ada.access_token, &asked).await;
        let tokens = exchange(&app, &client, &sent_back(&back)["code"]).await;
        let access = tokens.assert_status(200).text_at("access_token");
        let told = "needs the scope read (it has openid email); it is an application's: with the scope openid, /oauth/userinfo answers who \
                    its owner is";
        let refused = app.get("/api/v1/auth/me").bearer(&access).send().await;
        refused.assert_error(403, "PERMISSION_DENIED");
        assert_eq!(refused.text_at("error.message"), format!("The token {told}."));
        assert_logged(&log, &format!("scope: the token {told}\""));
        let answered = app.get("/oauth/userinfo").bearer(&access).send().await;
        assert_eq!(answered.assert_status(200).text_at("email"), ADA);
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

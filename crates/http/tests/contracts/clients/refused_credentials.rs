//! A caller whose credential does not count learns that and no more; the operator reads in the log why.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, PASSWORD, TestApp, on_both_engines};
use uuid::Uuid;

use crate::forge::{claims_of, foreign_key, reworded, stolen_key};
use crate::routes;
use crate::watch::Log;

const ADA: &str = "ada@example.com";
const ME: &str = "/api/v1/auth/me";

/// That the request that was answered last was refused with that status, and the log says why in these words.
#[track_caller]
fn assert_logged(log: &Log, status: u16, refused: &str) {
    let line = log.last_answer();
    let expected = format!(" refused=\"{refused}");
    assert!(line.contains(&format!(" status={status} ")) && line.contains(&expected), "{expected}: {line}");
}

/// That RiverGen takes a token for none, as it does every other wrong one, and the log says why.
async fn assert_refused(app: &TestApp, log: &Log, token: &str, refused: &str) {
    let answer = app.get(ME).bearer(token).send().await;
    answer.assert_error(401, "UNAUTHORIZED");
    assert_logged(log, 401, refused);
    assert!(token.len() < 8 || !log.last_answer().contains(token), "{}", log.last_answer());
    assert!(!answer.text.contains(refused), "{}", answer.text);
}

async fn refresh(app: &TestApp, token: &str) -> Answer {
    app.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": token })).send().await
}

on_both_engines! {
    async fn every_route_of_every_contract_logs_why_a_token_does_not_count(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let api = "https://api.example.com".to_owned();
        let token = reworded(&app, &ada.access_token, |claims| claims.aud = api).await;
        let mut contracts = BTreeSet::new();
        for (number, route) in routes::with_bearer().into_iter().enumerate() {
            // Each from a network of its own: the log has sixty lines a minute about the refused requests of one.
            let ip = format!("198.18.{}.{}", number / 200, number % 200 + 1);
            let answer = route.request(&app.client()).ip(&ip).bearer(&token).send().await;
            route.assert_refused(&answer, route.invalid_token(), "a token for another API");
            assert_logged(&log, 401, "aud: https://api.example.com, which is not public_url\"");
            contracts.insert(route.contract.as_str().to_owned());
        }
        assert_eq!(contracts.len(), 4, "{contracts:?}");
        app.get("/oauth/userinfo").bearer(&token).send().await.assert_status(401);
        assert_logged(&log, 401, "aud: ");
    }

    async fn the_log_says_what_is_wrong_with_a_token(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let token = &ada.access_token;
        let claims = claims_of(&app, token).await;
        let foreign = foreign_key(&app).sign(&claims).unwrap().expose().to_owned();
        assert_refused(&app, &log, &foreign, "kid: unknown, or of a key that was retired").await;
        let mut elsewhere = claims.clone();
        elsewhere.iss = "https://id.other.example".to_owned();
        let strangers = foreign_key(&app).sign(&elsewhere).unwrap().expose().to_owned();
        assert_refused(&app, &log, &strangers, "kid: unknown; iss is not this server's").await;
        assert!(!log.last_answer().contains("id.other.example"), "nobody here signed that");
        let moved = stolen_key(&app).await.sign(&elsewhere).unwrap().expose().to_owned();
        assert_refused(&app, &log, &moved, "iss: https://id.other.example, which is not public_url").await;
        let (signed, _) = token.rsplit_once('.').unwrap();
        let (_, others) = foreign.rsplit_once('.').unwrap();
        assert_refused(&app, &log, &format!("{signed}.{others}"), "signature: wrong").await;
        let id_token = stolen_key(&app).await.sign_id_token(None, &json!({ "iss": claims.iss, "sub": "1" })).unwrap();
        assert_refused(&app, &log, id_token.expose(), "typ: not at+jwt").await;
        let late = reworded(&app, token, |claims| claims.exp = app.now().seconds() - 90).await;
        assert_refused(&app, &log, &late, "exp: expired 90 s ago\"").await;
        let short = reworded(&app, token, |claims| {
            claims.exp = app.now().seconds() - 2;
            claims.iat = claims.exp - 15;
        })
        .await;
        assert_refused(&app, &log, &short, "exp: expired 2 s ago; it lived for 15 s\"").await;
        let unknown = reworded(&app, token, |claims| claims.sid = Uuid::from_u128(1).into()).await;
        assert_refused(&app, &log, &unknown, "session: unknown").await;
        assert_refused(&app, &log, &ada.refresh_token, "refresh token: sent as an access token").await;
        assert_refused(&app, &log, "x", "malformed: neither an opaque token nor a JWT").await;
        for (mistaken, refused) in [
            (token[..200].to_owned(), "malformed: a JWT that was cut off: it has 2 of 3 parts"),
            (token[5..].to_owned(), "malformed: 3 parts, as a JWT has, and the first is no header"),
            (token[..token.len() - 5].to_owned(), "signature: wrong"),
            (format!("\"{token}\""), "malformed: a quotation mark is around it"),
            (format!("Bearer {token}"), "malformed: the word Bearer is in it"),
            (format!("{} {}", &token[..90], &token[90..]), "malformed: there is white space in it"),
            ("undefined".to_owned(), "malformed: a word for nothing: the client had no token"),
        ] {
            assert_refused(&app, &log, &mistaken, refused).await;
        }
        app.post("/api/v1/auth/logout").bearer(token).send().await.assert_status(204);
        assert_refused(&app, &log, token, "session: ended").await;
    }

    async fn the_log_says_what_is_wrong_with_the_header(app: TestApp) {
        let log = Log::listen();
        app.get(ME).send().await.assert_status(401);
        assert_logged(&log, 401, "authorization: no header");
        for (value, refused) in [
            ("Basic YTpi", "authorization: neither Bearer nor DPoP"),
            ("eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "authorization: neither Bearer nor DPoP"),
            ("Bearer  ", "authorization: "),
        ] {
            app.get(ME).header("authorization", value).send().await.assert_status(401);
            assert_logged(&log, 401, refused);
            assert!(!log.last_answer().contains("YTpi") && !log.last_answer().contains("e30"));
        }
        // Where nothing is refused for its credential, nothing is said of one.
        app.get("/nowhere").send().await.assert_status(404);
        assert!(!log.last_answer().contains("refused="), "{}", log.last_answer());
    }

    async fn the_log_says_what_is_wrong_with_a_personal_access_token(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let body = json!({ "name": "Build server", "scopes": ["read"], "expires_in_days": 1 });
        let made = app.post("/api/v1/auth/tokens").bearer(&ada.access_token).json(&body).send().await;
        let token = made.assert_status(201).text_at("data.token");
        app.get(ME).bearer(&token).send().await.assert_status(200);
        let cut = &token[..token.len() - 1];
        assert_refused(&app, &log, cut, "personal access token: its checksum is wrong").await;
        app.sql("update accounts set disabled_at = 1").await;
        app.advance(Duration::from_secs(3));
        assert_refused(&app, &log, &token, "personal access token: its account is disabled").await;
        app.sql("update accounts set disabled_at = null").await;
        app.advance(Duration::from_secs(24 * 3_600 + 57));
        assert_refused(&app, &log, &token, "personal access token: expired 60 s ago").await;
        app.sql("delete from access_tokens").await;
        app.advance(Duration::from_secs(3));
        assert_refused(&app, &log, &token, "personal access token: unknown, or revoked").await;
    }

    async fn the_log_says_what_is_wrong_with_a_refresh_token(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for (token, refused) in [
            (ada.access_token.as_str(), "refresh token: malformed; is it an access token?"),
            ("tgr_nobodys", "refresh token: unknown"),
        ] {
            refresh(&app, token).await.assert_error(401, "INVALID_REFRESH_TOKEN");
            assert_logged(&log, 401, refused);
            assert!(!log.last_answer().contains("nobodys"));
        }
        let body = json!({ "refreshToken": ada.refresh_token });
        app.post("/api/v2/auth/refresh").json(&body).send().await.assert_status(401);
        assert_logged(&log, 401, "refresh token: of another contract");
        refresh(&app, &ada.refresh_token).await.assert_status(200);
        app.advance(Duration::from_secs(600));
        refresh(&app, &ada.refresh_token).await.assert_error(401, "INVALID_REFRESH_TOKEN");
        assert_logged(&log, 401, "refresh token: used before, and replaced");
        refresh(&app, &ada.refresh_token).await.assert_error(401, "INVALID_REFRESH_TOKEN");
        assert_logged(&log, 401, "refresh token: its session has ended");
        // Crossing Minds keeps refresh tokens, and looks at them for itself.
        let body = json!({ "refresh_token": "tgr_nobodys" });
        app.post("/v1/login/refresh-token/").json(&body).send().await.assert_status(401);
        assert_logged(&log, 401, "refresh token: unknown");
    }

    async fn the_log_says_what_is_wrong_with_a_temporary_token(app: TestApp) {
        let log = Log::listen();
        let newcomer = app.sign_up_rivergen(ADA).await;
        let code = app.latest_code(ADA).await;
        let verify = async |token: &str| {
            let claim = json!({ "temporary_token": token, "otp_code": code });
            app.post("/api/v1/auth/verify-otp").json(&claim).send().await
        };
        let resend = async |token: &str| {
            let claim = json!({ "email": ADA, "temporary_token": token });
            app.post("/api/v1/auth/resend-signup-otp").json(&claim).send().await
        };
        // As it stands in an example.
        verify("TEMPORARY_TOKEN").await.assert_error(401, "INVALID_TOKEN");
        assert_logged(&log, 401, "temporary token: unknown");
        assert!(!log.last_answer().contains("TEMPORARY_TOKEN"), "{}", log.last_answer());
        resend("TEMPORARY_TOKEN").await.assert_error(401, "INVALID_TOKEN");
        assert_logged(&log, 401, "temporary token: unknown");
        let factor = app.show_factor("TEMPORARY_TOKEN", "code", "123456").await;
        factor.assert_error(401, "INVALID_TOKEN");
        assert_logged(&log, 401, "temporary token: unknown");
        app.advance(Duration::from_secs(700));
        resend(&newcomer.temporary_token).await.assert_error(401, "INVALID_TOKEN");
        assert_logged(&log, 401, "temporary token: expired 100 s ago");

        let next = app.sign_up_rivergen("bob@example.com").await;
        let code = app.latest_code("bob@example.com").await;
        let claim = json!({ "temporary_token": next.temporary_token, "otp_code": code });
        app.post("/api/v1/auth/verify-otp").json(&claim).send().await.assert_status(200);
        app.advance(Duration::from_secs(120));
        app.post("/api/v1/auth/verify-otp").json(&claim).send().await.assert_error(401, "INVALID_TOKEN");
        assert_logged(&log, 401, "temporary token: used before, or withdrawn by a newer one");
    }

    async fn the_log_says_what_is_wrong_with_a_code_or_a_reset_token(app: TestApp) {
        let log = Log::listen();
        let newcomer = app.sign_up_rivergen(ADA).await;
        let wrong = if app.latest_code(ADA).await == "000000" { "111111" } else { "000000" };
        let verify = async || {
            let claim = json!({ "temporary_token": newcomer.temporary_token, "otp_code": wrong });
            app.post("/api/v1/auth/verify-otp").json(&claim).send().await
        };
        for _ in 0..5 {
            verify().await.assert_error(400, "INVALID_OTP");
            assert_logged(&log, 400, "one-time code: wrong\"");
        }
        verify().await.assert_error(429, "TOO_MANY_ATTEMPTS");
        assert_logged(&log, 429, "one-time code: too many wrong ones\"");
        let line = log.last_answer();
        assert!(line.contains(" limit=\"none: five wrong codes, which is not configurable\""), "{line}");

        let bob = "bob@example.com";
        app.sign_up_rivergen_verified(bob).await;
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": bob })).send().await.assert_status(200);
        let token = app.latest_link_token(bob).await;
        let reset = async |token: &str| {
            let claim = json!({ "token": token, "new_password": "Another2horse!" });
            app.post("/api/v1/auth/reset-password").json(&claim).send().await.assert_error(400, "INVALID_TOKEN");
        };
        reset("tgp_nobodys").await;
        assert_logged(&log, 400, "reset token: unknown");
        app.advance(Duration::from_secs(3_700));
        reset(&token).await;
        assert_logged(&log, 400, "reset token: expired 100 s ago\"");
        for (page, refused) in [
            (format!("/reset-password?token={token}"), "link: expired 100 s ago\""),
            ("/verify-email?token=nobodys".to_owned(), "link: unknown"),
            ("/restore-email?token=nobodys".to_owned(), "link: unknown"),
        ] {
            app.get(&page).send().await.assert_status(400);
            assert_logged(&log, 400, refused);
        }
        assert!(!log.last_answer().contains(&token));
    }

    async fn the_log_says_why_a_program_or_a_person_is_not_signed_in(app: TestApp) {
        let log = Log::listen();
        let root = app.provision("root@example.com").await;
        app.add_service(&root, "export", "backend").await;
        let start = app.now().fractional_seconds();
        let body = json!({ "name": "export", "expiration_timestamp": start + 60.0 });
        let made = app.post("/v1/accounts/service/keys/").bearer(&root.access_token).json(&body).send().await;
        let key = made.assert_status(200).text_at("key");
        let with = |password: &str| json!({ "password": password });
        app.log_in("service", "export", with(&key)).await.assert_status(200);
        app.log_in("service", "export", with("tgk_nobodys")).await.assert_status(401);
        assert_logged(&log, 401, "service key: neither a key of this program nor its password");
        app.advance(Duration::from_secs(100));
        app.log_in("service", "export", with(&key)).await.assert_status(401);
        assert_logged(&log, 401, "service key: expired 40 s ago");
        assert!(!log.last_answer().contains(&key));

        let login = |email: &str, password: &str| -> Value { json!({ "email": email, "password": password }) };
        for (body, refused) in [
            (login("root@example.com", "Wrong1horse!"), "password: wrong\""),
            (login("nobody@example.com", PASSWORD), "password: there is no such account\""),
        ] {
            let answer = app.post("/api/v1/auth/login").json(&body).send().await;
            answer.assert_error(401, "INVALID_CREDENTIALS");
            assert_logged(&log, 401, refused);
            assert!(!log.last_answer().contains("example.com"));
        }
        app.sql("update accounts set disabled_at = 1").await;
        let answer = app.post("/api/v1/auth/login").json(&login("root@example.com", PASSWORD)).send().await;
        answer.assert_error(401, "INVALID_CREDENTIALS");
        assert_logged(&log, 401, "password: the account is disabled");
    }
}

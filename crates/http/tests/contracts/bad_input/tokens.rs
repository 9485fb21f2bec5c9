//! Access tokens that are expired, replayed, altered, forged, or something else altogether.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidegate_testkit::{FakeClock, PASSWORD, TestApp, on_both_engines};
use uuid::Uuid;

use super::Target;
use crate::forge::{claims_of, foreign_key, reworded};
use crate::routes::{self, Route, assert_refused_everywhere};
use crate::watch::row_counts;

/// Checks that every route that asks for a token takes this one for none.
async fn assert_invalid_everywhere(app: &TestApp, token: &str, story: &str) {
    assert_refused_everywhere(app, token, Route::invalid_token, story).await;
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// The token's parts: header, claims, signature.
fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

fn header_of(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts(token)[0]).unwrap()).unwrap()
}

/// The text with one bit of its byte at `place` turned over, as far as base64url goes.
fn flipped(text: &str, place: usize) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
    bytes[place] ^= 1;
    URL_SAFE_NO_PAD.encode(bytes)
}

on_both_engines! {
    async fn a_token_is_whole_or_it_is_nothing(target: Target) {
        let token = &target.ada.access_token;
        let [header, claims, signature] = parts(token);
        for (story, altered) in [
            ("the last character gone", token[..token.len() - 1].to_owned()),
            ("one more character", format!("{token}A")),
            ("padding", format!("{token}==")),
            ("no signature", format!("{header}.{claims}.")),
            ("no signature and no dot", format!("{header}.{claims}")),
            ("a fourth part", format!("{token}.{signature}")),
            ("another header bit", format!("{}.{claims}.{signature}", flipped(header, 3))),
            ("another claim bit", format!("{header}.{}.{signature}", flipped(claims, 20))),
            ("another first signature bit", format!("{header}.{claims}.{}", flipped(signature, 0))),
            ("another last signature bit", format!("{header}.{claims}.{}", flipped(signature, 63))),
            ("upper case", token.to_uppercase()),
            ("a space inside", token.replacen('.', " .", 1)),
            ("two tokens", format!("{token},{token}")),
            ("a very long one", format!("{token}{}", "A".repeat(1_000_000))),
        ] {
            assert_invalid_everywhere(&target.app, &altered, story).await;
        }
        // The last character of base64url has bits that mean nothing; they must not make a second spelling.
        let last = signature.bytes().last().unwrap();
        let spelling = format!("{}{}", &token[..token.len() - 1], char::from(last + 1));
        assert_invalid_everywhere(&target.app, &spelling, "another spelling of the same signature").await;
    }

    async fn a_token_nobody_signed_is_nothing(target: Target) {
        let (app, token) = (&target.app, &target.ada.access_token);
        let [header, claims, signature] = parts(token);
        let kid = header_of(token)["kid"].clone();
        for alg in ["none", "None", "NONE", ""] {
            let header = part(&json!({ "alg": alg, "typ": "at+jwt", "kid": kid }));
            for signature in ["", signature] {
                assert_invalid_everywhere(app, &format!("{header}.{claims}.{signature}"), &format!("alg {alg:?}")).await;
            }
        }
        let foreign = foreign_key(app).sign(&claims_of(app, token).await).unwrap();
        assert_invalid_everywhere(app, foreign.expose(), "a foreign key").await;
        let [foreign_header, _, foreign_signature] = parts(foreign.expose());
        let renamed = format!("{header}.{claims}.{foreign_signature}");
        assert_invalid_everywhere(app, &renamed, "a foreign signature under our key's name").await;
        assert_ne!(foreign_header, header);
    }

    async fn the_public_key_is_no_secret_to_sign_with(target: Target) {
        let (app, token) = (&target.app, &target.ada.access_token);
        let jwks = app.get("/.well-known/jwks.json").send().await;
        let claims = serde_json::to_value(claims_of(app, token).await).unwrap();
        let key = &jwks.body["keys"][0];
        for secret in [jwks.text.clone(), key.to_string(), key["x"].as_str().unwrap().to_owned(), key["kid"].to_string()] {
            for alg in [Algorithm::HS256, Algorithm::HS512] {
                let mut header = Header::new(alg);
                header.typ = Some("at+jwt".to_owned());
                header.kid = key["kid"].as_str().map(str::to_owned);
                let forged = encode(&header, &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
                assert_invalid_everywhere(app, &forged, "the public key as a secret").await;
            }
        }
    }

    async fn a_token_that_brings_its_own_key_is_nothing(target: Target) {
        let (app, token) = (&target.app, &target.ada.access_token);
        let foreign = foreign_key(app);
        let signed = foreign.sign(&claims_of(app, token).await).unwrap();
        let [_, claims, signature] = parts(signed.expose());
        let jwk = foreign.jwks()["keys"][0].clone();
        for kid in [header_of(token)["kid"].clone(), jwk["kid"].clone(), json!("../../dev/null"), json!("")] {
            let header = part(&json!({
                "alg": "ES256", "typ": "at+jwt", "kid": kid, "jwk": jwk, "jku": "https://evil.example/jwks.json",
            }));
            assert_invalid_everywhere(app, &format!("{header}.{claims}.{signature}"), "a key in the header").await;
        }
    }

    async fn a_token_of_another_installation_is_nothing(target: Target) {
        let (app, token) = (&target.app, &target.ada.access_token);
        let evil = "https://evil.example";
        let issuer = reworded(app, token, |claims| claims.iss = evil.to_owned()).await;
        assert_invalid_everywhere(app, &issuer, "another issuer").await;
        let audience = reworded(app, token, |claims| claims.aud = evil.to_owned()).await;
        assert_invalid_everywhere(app, &audience, "another audience").await;
    }

    async fn a_token_that_mixes_people_is_nothing(target: Target) {
        let (app, token) = (&target.app, &target.ada.access_token);
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        let hers = claims_of(app, &eve.access_token).await;
        let subject = reworded(app, token, |claims| claims.sub = hers.sub).await;
        assert_invalid_everywhere(app, &subject, "another's session").await;
        let organization = reworded(app, token, |claims| claims.org = hers.org).await;
        assert_invalid_everywhere(app, &organization, "another's organization").await;
        let session = reworded(app, token, |claims| claims.sid = Uuid::from_u128(1).into()).await;
        assert_invalid_everywhere(app, &session, "a session that never was").await;
    }

    async fn what_is_for_something_else_is_no_access_token(target: Target) {
        let (app, ada) = (&target.app, &target.ada);
        let newcomer = app.sign_up_rivergen("bob@example.com").await;
        let link = app.latest_link_token("bob@example.com").await;
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": ada.email })).send().await.assert_status(200);
        let reset = app.latest_link_token(&ada.email).await;
        for (story, token) in [
            ("a refresh token", &ada.refresh_token),
            ("a temporary token", &newcomer.temporary_token),
            ("a verification link's token", &link),
            ("a reset link's token", &reset),
            ("a password", &PASSWORD.to_owned()),
        ] {
            assert_invalid_everywhere(app, token, story).await;
        }
    }

    async fn a_token_of_an_ended_session_stays_refused(target: Target) {
        let (app, token) = (&target.app, &target.ada.access_token);
        app.post("/api/v1/auth/logout").bearer(token).send().await.assert_status(204);
        assert_invalid_everywhere(app, token, "a token replayed after signing out").await;
    }

    async fn an_expired_token_is_refused_on_every_route(target: Target) {
        let (app, token) = (&target.app, &target.ada.access_token);
        app.advance(Duration::from_secs(3_600));
        assert_refused_everywhere(app, token, Route::expired_token, "an expired token").await;
        // One that claims to live for ever dies with its session.
        let eternal = reworded_at_start(app, token).await;
        app.advance(Duration::from_secs(23 * 3_600));
        assert_refused_everywhere(app, &eternal, Route::expired_token, "a token that outlived its session").await;
    }

    async fn no_token_at_all_is_refused_before_anything_is_read(target: Target) {
        let app = &target.app;
        let before = row_counts(app).await;
        for route in routes::with_bearer() {
            for body in ["{", "not json", ""] {
                let request = app.client().request(route.method.clone(), &route.sample_path());
                let answer = request.body("application/json", body).send().await;
                route.assert_refused(&answer, route.no_token(), "no token");
            }
        }
        assert_eq!(row_counts(app).await, before);
    }
}

/// The token, which has just expired, with an expiry far away.
async fn reworded_at_start(app: &TestApp, token: &str) -> String {
    app.clock.set(FakeClock::START);
    let eternal = reworded(app, token, |claims| claims.exp = i64::MAX).await;
    app.advance(Duration::from_secs(3_600));
    eternal
}

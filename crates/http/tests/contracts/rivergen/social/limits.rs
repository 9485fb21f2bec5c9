//! How often one network may.

use serde_json::json;
use tidegate_testkit::{Engine, on_both_engines};

use super::*;
use crate::rivergen::wire::{assert_told_to_wait, somewhere_else};
use crate::watch::Log;

on_both_engines! {
    async fn sixty_sign_ins_are_begun_from_one_network_in_five_minutes(engine: Engine) {
        let log = Log::listen();
        let social = Social::with(engine, |_| (), |builder| builder).await;
        for _ in 0..60 {
            social.begin("google", "").await.assert_status(200);
        }
        let refused = social.begin("google", "").await;
        crate::rivergen::wire::assert_refused(&social.app, &refused, 429, "RATE_LIMITED");
        assert_told_to_wait(&refused, 60, 300);
        let key = "rivergen.limits.social_requests_by_ip";
        assert!(log.lines().iter().any(|line| line.contains("429") && line.contains(key)), "the operator is told {key}");
        let elsewhere = social.app.client().at(&somewhere_else(1));
        elsewhere.get(&url("auth/oauth/google/url")).send().await.assert_status(200);
    }

    // Each has this server call the provider, and guess at codes and states.
    async fn thirty_come_back_by_whichever_endpoint(engine: Engine) {
        let social = Social::with(engine, |_| (), |builder| builder).await;
        let body = json!({ "provider": "google", "code": "guess" });
        let callback = url("auth/oauth/google/callback?code=guess&state=guess");
        for _ in 0..10 {
            social.app.get(&callback).send().await.assert_status(400);
            social.post("auth/oauth/login", &body).await.assert_status(400);
            social.post("auth/oauth/signup", &body).await.assert_status(400);
        }
        let asked = social.stub("google").asked().len();
        social.app.get(&callback).send().await.assert_error(429, "RATE_LIMITED");
        for path in ["auth/oauth/login", "auth/oauth/signup"] {
            let refused = social.post(path, &body).await;
            refused.assert_error(429, "RATE_LIMITED");
            assert_told_to_wait(&refused, 30, 300);
        }
        assert_eq!(social.stub("google").asked().len(), asked);
    }

    async fn accounts_are_made_as_often_as_by_signing_up(engine: Engine) {
        let social = Social::with(engine, |_| (), |builder| builder).await;
        for number in 0..4 {
            social.stub("google").person(|person| {
                (person.subject, person.email) = (number.to_string(), format!("person{number}@example.com"));
            });
            let answer = social.sign_in("google").await;
            answer.assert_status(if number < 3 { 200 } else { 429 });
        }
        assert_eq!((social.accounts().await, social.connected().await), (3, 3));
        // Who has an account signs in all the same.
        social.stub("google").person(|person| person.subject = "0".to_owned());
        social.sign_in("google").await.assert_status(200);
    }
}

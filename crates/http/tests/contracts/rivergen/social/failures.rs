//! A provider that is slow, down, or not itself.

use std::time::Duration;

use serde_json::json;
use tidegate_testkit::social::{APP_PAGE, Behaviour, Health};
use tidegate_testkit::{Engine, on_both_engines};

use super::*;
use crate::rivergen::wire::wait;
use crate::watch::Log;

/// Has one endpoint ail.
type Ail = fn(&mut Behaviour, Health);

/// What ails an endpoint, and what is told of it.
fn ailments() -> Vec<(Health, &'static str)> {
    vec![
        (Health::Down, "provider_unavailable"),
        (Health::Silent, "provider_unavailable"),
        (Health::Garbage, "provider_failed"),
        (Health::Huge, "provider_failed"),
        (Health::Redirect("http://127.0.0.1:9/".to_owned()), "provider_failed"),
        (Health::Says("{}".to_owned()), "provider_failed"),
        (Health::Says("[]".to_owned()), "provider_failed"),
        (Health::Says(r#"{"access_token": 7, "id": "1", "sub": ["1"]}"#.to_owned()), "provider_failed"),
    ]
}

/// Set up so that a provider that never answers is given up soon.
async fn impatient(engine: Engine) -> Social {
    let page = |config: &mut SocialConfig| {
        config.timeout = Duration::from_millis(300);
        config.redirect_uris = vec![APP_PAGE.to_owned()];
    };
    Social::with(engine, page, Builder::without_limits).await
}

on_both_engines! {
    async fn whatever_ails_a_provider_is_told_and_the_next_sign_in_works(engine: Engine) {
        let social = impatient(engine).await;
        let ail: [(&str, Ail); 5] = [
            ("github", |behaviour, health| behaviour.token = health),
            ("github", |behaviour, health| behaviour.profile = health),
            ("google", |behaviour, health| behaviour.token = health),
            ("apple", |behaviour, health| behaviour.token = health),
            ("sso", |behaviour, health| behaviour.profile = health),
        ];
        for (provider, ail) in ail {
            for (health, reason) in ailments() {
                let returned = social.agree(provider).await;
                social.stub(provider).behave(|behaviour| ail(behaviour, health.clone()));
                let answer = social.bring(provider, &returned).await;
                let reason = if provider == "sso" && matches!(&health, Health::Says(text) if text.starts_with('{')) {
                    // The subject of the userinfo is not the ID token's.
                    "provider_failed"
                } else {
                    reason
                };
                assert_refused(&social.app, &answer, FAILED, reason);
                social.stub(provider).behave(|behaviour| ail(behaviour, Health::Fine));
            }
        }
        assert_eq!((social.accounts().await, social.sessions().await, social.connected().await), (0, 0, 0));
        for provider in PROVIDERS {
            social.stub(provider).person(|person| person.email = format!("{provider}@example.com"));
            social.sign_in(provider).await.assert_status(200);
        }
    }

    async fn an_application_is_told_under_its_endpoints_code(engine: Engine) {
        let social = impatient(engine).await;
        social.stub("google").behave(|behaviour| behaviour.token = Health::Down);
        for (path, code) in [("auth/oauth/login", "SOCIAL_LOGIN_FAILED"), ("auth/oauth/signup", "SOCIAL_SIGNUP_FAILED")] {
            let body = json!({ "provider": "google", "code": "a" });
            let answer = social.post(path, &body).await;
            assert_refused(&social.app, &answer, (400, code), "provider_unavailable");
        }
        social.stub("google").behave(|behaviour| behaviour.token = Health::Fine);
        for path in ["auth/oauth/login", "auth/oauth/signup"] {
            let body = json!({ "provider": "google", "code": "unknown" });
            assert_eq!(social.post(path, &body).await.field("error.details.reason"), "code_refused");
        }
    }

    async fn a_provider_whose_addresses_are_not_known_cannot_be_begun(engine: Engine) {
        let social = impatient(engine).await;
        for health in [Health::Down, Health::Silent, Health::Garbage, Health::Huge, Health::Says("{}".to_owned())] {
            for ail in [
                (|behaviour, health| behaviour.discovery = health) as Ail,
                |behaviour, health| behaviour.keys = health,
            ] {
                social.stub("google").behave(|behaviour| ail(behaviour, health.clone()));
                let answer = social.begin("google", "").await;
                crate::rivergen::wire::assert_refused(&social.app, &answer, 503, "SERVICE_UNAVAILABLE");
                assert_eq!(answer.header("retry-after"), "5");
                // Others do not wait in a line, and do not have it asked more often.
                let asked = social.stub("google").asked().len();
                social.begin("google", "").await.assert_status(503);
                assert_eq!(social.stub("google").asked().len(), asked);
                social.stub("google").behave(|behaviour| ail(behaviour, Health::Fine));
                wait(&social.app, 6);
            }
        }
        social.sign_in("google").await.assert_status(200);
        // What is known is used while it cannot be read again.
        wait(&social.app, 4_000);
        social.stub("google").behave(|behaviour| behaviour.discovery = Health::Down);
        social.sign_in("google").await.assert_status(200);
        wait(&social.app, 25 * 3_600);
        social.begin("google", "").await.assert_status(503);
    }

    async fn a_document_of_another_issuer_is_refused(social: Social) {
        let log = Log::listen();
        social.stub("sso").behave(|behaviour| {
            behaviour.document.insert("issuer".to_owned(), json!("https://other.example"));
        });
        social.begin("sso", "").await.assert_error(503, "SERVICE_UNAVAILABLE");
        let lines = log.lines();
        assert!(lines.iter().any(|line| line.contains("not of the configured issuer")), "{lines:?}");
    }

    // A discovery document must not have this server call what only it can reach.
    async fn endpoints_beyond_the_providers_reach_are_not_called(social: Social) {
        let other = social.stub("google").base();
        for (name, address) in [
            ("jwks_uri", "http://169.254.169.254/latest"),
            ("jwks_uri", "http://10.0.0.1/keys"),
            ("jwks_uri", "https://accounts.example.com/keys"),
            ("jwks_uri", "file:///etc/passwd"),
            ("authorization_endpoint", "javascript:alert(1)"),
            ("authorization_endpoint", "http://accounts.example.com/authorize"),
        ] {
            social.stub("sso").behave(|behaviour| {
                behaviour.document = [(name.to_owned(), json!(address))].into_iter().collect();
            });
            social.begin("sso", "").await.assert_status(503);
            wait(&social.app, 6);
        }
        assert!(!social.stub("google").asked().iter().any(|asked| asked.contains("latest")), "{other}");
    }

    async fn wrong_credentials_are_told_to_the_operator_and_not_to_the_client(engine: Engine) {
        let log = Log::listen();
        let wrong = |config: &mut SocialConfig| config.google.as_mut().unwrap().client_id = "tidegate-client".to_owned();
        let social = Social::with(engine, wrong, Builder::without_limits).await;
        let answer = Health::Says(r#"{"error": "invalid_client", "error_description": "hunter2"}"#.to_owned());
        let returned = social.agree("google").await;
        social.stub("google").behave(|behaviour| behaviour.token = answer);
        let refused = social.bring("google", &returned).await;
        assert_refused(&social.app, &refused, FAILED, "provider_failed");
        assert!(!refused.text.contains("client_secret"), "{}", refused.text);
        let lines = log.lines();
        assert!(lines.iter().any(|line| line.contains("invalid_client: check client_id")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("hunter2")), "{lines:?}");
    }
}

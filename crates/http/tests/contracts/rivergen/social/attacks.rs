//! States, codes and tokens in the wrong hands.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, json};
use tidegate_testkit::social::{APP_PAGE, escaped, unsigned};
use tidegate_testkit::{Engine, on_both_engines};

use super::*;
use crate::rivergen::wire::wait;

/// Changes an ID token.
type Forge = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// The cookie of an answer, as a browser sends it back.
fn cookie(begun: &Answer) -> String {
    begun.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

impl Social {
    /// Brings an answer with these headers.
    async fn bring_with(&self, provider: &str, returned: &Returned, cookie: &str) -> Answer {
        let path = url(&format!("auth/oauth/{provider}/callback?{}", returned.encoded()));
        self.app.get(&path).header("cookie", cookie).send().await
    }

    /// Sign-in with the claims of the ID token changed.
    async fn sign_in_changed(&self, provider: &str, change: Value) -> Answer {
        self.stub(provider).behave(|behaviour| {
            behaviour.claims = Some(Arc::new(move |claims: &mut Map<String, Value>| {
                for (name, value) in change.as_object().unwrap() {
                    claims.insert(name.clone(), value.clone());
                }
            }));
        });
        let answer = self.sign_in(provider).await;
        self.stub(provider).behave(|behaviour| behaviour.claims = None);
        answer
    }

    async fn nothing_happened(&self) {
        assert_eq!((self.accounts().await, self.sessions().await, self.connected().await), (0, 0, 0));
    }
}

on_both_engines! {
    async fn a_state_is_used_once(social: Social) {
        for provider in PROVIDERS {
            social.stub(provider).behave(|behaviour| behaviour.repeats_codes = true);
            social.stub(provider).person(|person| person.email = format!("{provider}@example.com"));
            let returned = social.agree(provider).await;
            social.bring(provider, &returned).await.assert_status(200);
            let sessions = social.sessions().await;
            let replayed = social.bring(provider, &returned).await;
            assert_refused(&social.app, &replayed, FAILED, "invalid_state");
            assert_eq!(social.sessions().await, sessions);
        }
    }

    // Of two that come at once one is taken.
    async fn a_state_is_used_once_also_at_the_same_time(social: Social) {
        social.stub("google").behave(|behaviour| behaviour.repeats_codes = true);
        let returned = social.agree("google").await;
        let social = Arc::new(social);
        let answers = tidegate_testkit::concurrently(8, |_| {
            let (social, returned) = (Arc::clone(&social), returned.clone());
            async move { social.bring("google", &returned).await.status }
        })
        .await;
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
        assert_eq!(social.sessions().await, 1);
    }

    async fn a_state_lives_ten_minutes(social: Social) {
        let (early, late) = (social.agree("github").await, social.agree("github").await);
        wait(&social.app, 599);
        social.bring("github", &early).await.assert_status(200);
        wait(&social.app, 1);
        assert_refused(&social.app, &social.bring("github", &late).await, FAILED, "invalid_state");
    }

    // The attack: the victim's browser is sent to the callback with the attacker's code, and signs in as the attacker.
    async fn another_browsers_state_is_refused(social: Social) {
        for provider in ["github", "google"] {
            social.stub(provider).person(|person| person.email = format!("{provider}@example.com"));
            let begun = social.begin(provider, "").await;
            let returned = social.stub(provider).authorize(&begun.text_at("data.oauth_url"));
            let victim = cookie(&social.begin(provider, "").await);
            let refused = social.bring_with(provider, &returned, &victim).await;
            assert_refused(&social.app, &refused, FAILED, "invalid_state");
            // The victim's attempt used nothing up.
            social.bring_with(provider, &returned, &cookie(&begun)).await.assert_status(200);
        }
        assert_eq!(social.sessions().await, 2);
    }

    // Programs that look at links must not use them up.
    async fn a_look_at_the_callback_changes_nothing(social: Social) {
        let returned = social.agree("google").await;
        let path = url(&format!("auth/oauth/google/callback?{}", returned.encoded()));
        let looked = social.app.client().request(axum::http::Method::HEAD, &path).send().await;
        assert_eq!((looked.status, looked.text.as_str()), (200, ""));
        social.nothing_happened().await;
        social.app.get(&path).send().await.assert_status(200);
    }

    async fn one_browser_may_begin_twice(social: Social) {
        let first = social.begin("google", "").await;
        let again = url("auth/oauth/google/url");
        let second = social.app.get(&again).header("cookie", &cookie(&first)).send().await;
        assert_eq!(cookie(&first), cookie(&second), "it keeps its cookie");
        for begun in [&first, &second] {
            let returned = social.stub("google").authorize(&begun.text_at("data.oauth_url"));
            social.bring_with("google", &returned, &cookie(&first)).await.assert_status(200);
        }
    }

    async fn states_of_two_sign_ins_cannot_be_swapped(social: Social) {
        let (mut ours, mut theirs) = (social.agree("google").await, social.agree("google").await);
        let (a, b) = (ours.get("state").to_owned(), theirs.get("state").to_owned());
        ours.parameters.insert("state".to_owned(), b);
        theirs.parameters.insert("state".to_owned(), a);
        for swapped in [&ours, &theirs] {
            // PKCE refuses it at the provider already.
            assert_refused(&social.app, &social.bring("google", swapped).await, FAILED, "code_refused");
        }
        social.nothing_happened().await;
    }

    // The same where the provider has no PKCE: the nonce tells.
    async fn nor_without_pkce(social: Social) {
        let (mut ours, theirs) = (social.agree("apple").await, social.agree("apple").await);
        ours.parameters.insert("state".to_owned(), theirs.get("state").to_owned());
        assert_refused(&social.app, &social.bring("apple", &ours).await, FAILED, "provider_failed");
        social.nothing_happened().await;
    }

    // Mix-up: an answer of one provider is brought to another one's callback.
    async fn an_answer_of_another_provider_is_refused(social: Social) {
        for (from, to) in [("google", "github"), ("sso", "google"), ("google", "sso"), ("github", "microsoft")] {
            let returned = social.agree(from).await;
            let asked = social.stub(to).asked().len();
            let refused = social.bring(to, &returned).await;
            assert_refused(&social.app, &refused, FAILED, "invalid_state");
            assert_eq!(social.stub(to).asked().len(), asked, "the code is not shown to another provider");
        }
        social.nothing_happened().await;
    }

    // RFC 9207.
    async fn an_answer_names_its_issuer_where_the_provider_says_so(social: Social) {
        social.stub("sso").behave(|behaviour| behaviour.hides_iss = true);
        assert_refused(&social.app, &social.sign_in("sso").await, FAILED, "other_provider");
        social.stub("sso").behave(|behaviour| behaviour.hides_iss = false);
        let mut returned = social.agree("sso").await;
        returned.parameters.insert("iss".to_owned(), social.stub("google").base());
        assert_refused(&social.app, &social.bring("sso", &returned).await, FAILED, "other_provider");
        for provider in ["sso", "google"] {
            social.stub(provider).behave(|behaviour| behaviour.sends_iss = true);
            social.sign_in(provider).await.assert_status(200);
        }
        let mut returned = social.agree("google").await;
        returned.parameters.insert("iss".to_owned(), social.stub("sso").base());
        assert_refused(&social.app, &social.bring("google", &returned).await, FAILED, "other_provider");
    }

    async fn id_tokens_that_are_not_for_this_sign_in_are_refused(social: Social) {
        let now = social.app.now().seconds();
        let client = "tidegate-client";
        for change in [
            json!({ "iss": "https://accounts.evil.example" }),
            json!({ "iss": null }),
            json!({ "aud": "another-client" }),
            json!({ "aud": [client, "another-client"], "azp": "another-client" }),
            json!({ "azp": "another-client" }),
            json!({ "exp": now - 61 }),
            json!({ "exp": null }),
            json!({ "iat": now - 3_600 }),
            json!({ "iat": now + 3_600 }),
            json!({ "nonce": "another" }),
            json!({ "nonce": null }),
            json!({ "sub": "" }),
            json!({ "sub": 7 }),
        ] {
            for provider in ["google", "apple", "microsoft", "sso"] {
                social.stub(provider).behave(|behaviour| behaviour.sends_iss = true);
                let answer = social.sign_in_changed(provider, change.clone()).await;
                assert_refused(&social.app, &answer, FAILED, "provider_failed");
            }
        }
        social.nothing_happened().await;
    }

    async fn the_tenant_of_a_microsoft_token_must_be_its_issuers(social: Social) {
        let base = social.stub("microsoft").base();
        let other = "11111111-2222-3333-4444-555555555555";
        for change in [
            json!({ "tid": other }),
            json!({ "tid": null }),
            json!({ "iss": format!("{base}/{other}/v2.0") }),
            json!({ "iss": format!("{base}/{{tenantid}}/v2.0"), "tid": "{tenantid}" }),
            json!({ "iss": format!("{base}/x/v2.0"), "tid": "x" }),
        ] {
            let answer = social.sign_in_changed("microsoft", change).await;
            assert_refused(&social.app, &answer, FAILED, "provider_failed");
        }
        // The same number of another tenant is another person.
        social.sign_in("microsoft").await.assert_status(200);
        let elsewhere = json!({ "iss": format!("{base}/{other}/v2.0"), "tid": other, "email": "bob@example.com" });
        let bob = social.sign_in_changed("microsoft", elsewhere).await;
        assert_eq!(bob.assert_status(200).field("data.is_new_user"), true);
    }

    async fn id_tokens_are_signed_by_their_issuer_with_its_algorithm(social: Social) {
        let hmac = |token: &str| {
            let claims = token.split('.').nth(1).unwrap();
            let claims: Value = serde_json::from_slice(
                &base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap(),
            )
            .unwrap();
            let mut header = Header::new(Algorithm::HS256);
            header.kid = Some("issuer-key-1".to_owned());
            // What everyone can read.
            let public = EncodingKey::from_secret(b"4uxTYGGOgGr-db9fH2a-TLZRW5RVPJQGVAGMG8A4sAg");
            jsonwebtoken::encode(&header, &claims, &public).unwrap()
        };
        let forge: [Forge; 6] = [
            Arc::new(|token| unsigned(token, &json!({ "alg": "none" }))),
            Arc::new(|token| unsigned(token, &json!({ "alg": "none", "kid": "issuer-key-1" }))),
            Arc::new(|token| unsigned(token, &json!({ "alg": "ES256", "kid": "issuer-key-1" }))),
            Arc::new(hmac),
            Arc::new(|token| format!("{token}A")),
            Arc::new(|_| "hunter2".to_owned()),
        ];
        for forge in forge {
            social.stub("google").behave(|behaviour| behaviour.id_token = Some(forge));
            assert_refused(&social.app, &social.sign_in("google").await, FAILED, "provider_failed");
        }
        social.stub("google").behave(|behaviour| {
            behaviour.id_token = None;
            behaviour.hides_key = true;
        });
        assert_refused(&social.app, &social.sign_in("google").await, FAILED, "provider_failed");
        social.nothing_happened().await;
    }

    // The attack: a site that people sign in to with the same provider hands its codes on.
    async fn a_code_that_was_not_asked_for_here_is_refused(engine: Engine) {
        let page = |config: &mut SocialConfig| config.google.as_mut().unwrap().redirect_uri = Some(APP_PAGE.to_owned());
        let social = Social::with(engine, page, Builder::without_limits).await;
        let foreign = |nonce: &str| {
            format!(
                "{}/authorize?client_id=tidegate-client&response_type=code&scope=openid&state=s&redirect_uri={}&nonce={nonce}",
                social.stub("google").base(),
                escaped(APP_PAGE)
            )
        };
        let returned = social.stub("google").authorize(&foreign("theirs"));
        let body = json!({ "provider": "google", "code": returned.get("code") });
        let refused = social.post("auth/oauth/login", &body).await;
        assert_refused(&social.app, &refused, (400, "SOCIAL_LOGIN_FAILED"), "invalid_state");
        social.nothing_happened().await;
        // The nonce of a sign-in that was begun here is used up by the first code.
        let begun = social.begin("google", "").await.text_at("data.oauth_url");
        let nonce = begun.split("nonce=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let returned = social.stub("google").authorize(&begun);
        let body = json!({ "provider": "google", "code": returned.get("code") });
        social.post("auth/oauth/login", &body).await.assert_status(200);
        let returned = social.stub("google").authorize(&foreign(&nonce));
        let body = json!({ "provider": "google", "code": returned.get("code") });
        let refused = social.post("auth/oauth/login", &body).await;
        assert_refused(&social.app, &refused, (400, "SOCIAL_LOGIN_FAILED"), "invalid_state");
    }

    // A client that chooses its states badly harms itself only: another browser cannot use up its sign-in.
    async fn a_state_that_everybody_knows_is_told_apart_by_the_browser(social: Social) {
        let first = social.begin("google", "?state=same").await;
        let second = social.begin("google", "?state=same").await;
        let returned = social.stub("google").authorize(&first.text_at("data.oauth_url"));
        let thief = social.bring_with("google", &returned, "__Host-tidegate-social=tgb_guess").await;
        assert_refused(&social.app, &thief, FAILED, "invalid_state");
        social.bring_with("google", &returned, &cookie(&first)).await.assert_status(200);
        let returned = social.stub("google").authorize(&second.text_at("data.oauth_url"));
        social.bring_with("google", &returned, &cookie(&second)).await.assert_status(200);
    }

    async fn a_userinfo_of_another_subject_is_not_used(social: Social) {
        social.stub("sso").behave(|behaviour| {
            behaviour.sends_iss = true;
            behaviour.profile = tidegate_testkit::social::Health::Says(
                json!({ "sub": "another", "email": "root@example.com", "email_verified": true }).to_string(),
            );
        });
        assert_refused(&social.app, &social.sign_in("sso").await, FAILED, "provider_failed");
        social.nothing_happened().await;
    }
}

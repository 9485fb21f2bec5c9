//! Attacks of RFC 9700, section 4, that go through the browser, its history, a proxy or another window.

use axum::http::Method;
use serde_json::json;
use tidegate_crypto::SigningAlgorithm;
use tidegate_crypto::oauth::{at_hash, pkce_challenge};
use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use super::hosted::address;
use super::wire::{
    ADA, CALLBACK, VERIFIER, assert_flat, authorize, claims, code, code_for, described, exchange, form, me,
    parameters, parameters_with, register, register_public, sent_back, sign_in, token_request,
};
use crate::pages::heading;
use crate::pages::sign_in::window::Window;

/// The verifier of somebody else's request.
const OTHER_VERIFIER: &str = "another-verifier-of-forty-three-characters-12";

on_both_engines! {
    /// 4.3.1, 4.3.2: no token comes in an address or is taken from one, and a code need not stand in one.
    async fn addresses_that_a_browser_remembers_hold_no_token(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let unused = code(&app, &ada, &client).await;
        let secret = client.secret.as_deref().unwrap();
        let query = form(&[
            ("grant_type", "authorization_code"), ("client_id", &client.client_id), ("client_secret", secret),
            ("code", &unused), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER),
        ]);
        let in_address = app.post(&format!("/oauth/token?{query}")).form("").send().await;
        assert!([400, 401].contains(&in_address.status), "{}", in_address.text);
        assert_eq!(app.get(&format!("/oauth/token?{query}")).send().await.status, 405);
        let tokens = exchange(&app, &client, &unused).await;
        let access = tokens.assert_status(200).text_at("access_token");
        for path in ["/oauth/userinfo", "/api/v1/auth/me", "/api/v2/auth/me", "/v1/databases/"] {
            for name in ["access_token", "token"] {
                let answer = app.get(&format!("{path}?{name}={access}")).send().await;
                assert_eq!(answer.status, 401, "{path} {name}: {}", answer.text);
            }
        }
        assert_eq!(me(&app, &access).await, 200);
        // A code in a form that is posted is in no address.
        let posted = authorize(&app, &ada.access_token, &parameters_with(&client, &[("response_mode", "form_post")])).await;
        assert_eq!((posted.assert_status(200).header("location"), posted.text.contains("name=\"code\"")), ("", true));
    }

    /// 4.6: an access token comes from the token endpoint alone, and the ID token says which one it came with.
    async fn an_access_token_cannot_be_injected_through_the_browser(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        for kind in ["token", "id_token", "id_token token", "code token", "code id_token", "code id_token token", "none"] {
            let answer = authorize(&app, &ada.access_token, &parameters_with(&client, &[("response_type", kind)])).await;
            assert_flat(&answer, 400, "invalid_request");
        }
        let (own, others) = (sign_in(&app, &ada, &client).await, sign_in(&app, &ada, &client).await);
        let hash_of = |access: &str| at_hash(access, SigningAlgorithm::Es256);
        let said = claims(&own.text_at("id_token"))["at_hash"].clone();
        assert_eq!(said, hash_of(&own.text_at("access_token")));
        assert_ne!(said, hash_of(&others.text_at("access_token")));
        let provider = app.get("/.well-known/openid-configuration").send().await;
        assert_eq!(provider.field("response_types_supported"), &json!(["code"]));
    }

    /// 4.7: an answer that an attacker has a victim's browser bring fits neither the victim's verifier nor their nonce.
    async fn an_answer_to_somebody_elses_request_is_of_no_use_in_the_victims_browser(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        for client in [register(&app, &ada, &described()).await, register_public(&app, &ada).await] {
            let challenge = pkce_challenge(OTHER_VERIFIER);
            let asked = parameters_with(&client, &[("code_challenge", &challenge), ("state", "eve's"), ("nonce", "eve's")]);
            // The application of the victim has another verifier in its session with this browser.
            let eves = code_for(&app, &eve, &asked).await;
            assert_flat(&exchange(&app, &client, &eves).await, 400, "invalid_grant");
            // Where it does not look at that, the nonce is not the one that it sent.
            let fields = [
                ("grant_type", "authorization_code"), ("code", eves.as_str()), ("redirect_uri", CALLBACK),
                ("code_verifier", OTHER_VERIFIER),
            ];
            let tokens = token_request(&app, &client, &fields).send().await;
            assert_eq!(claims(&tokens.assert_status(200).text_at("id_token"))["nonce"], "eve's");
        }
    }

    /// 4.12: a form with a password is followed by a redirect that the browser does not repeat it to.
    async fn what_a_person_typed_is_not_sent_on(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let window = Window::new(&app);
        let page = window.visit(&address(&parameters(&client))).await;
        let typed = window.submit(&page, "/sign-in", &[("login", ADA), ("password", PASSWORD)]).await;
        assert_eq!(typed.status, 303, "{}", typed.text);
        assert!(!typed.header("location").contains(PASSWORD));
        let question = window.follow(typed).await;
        assert_eq!(heading(&question), "Allow access?", "{}", question.text);
        let answered = window.submit(&question, "/oauth/authorize", &[]).await;
        assert!([302, 303].contains(&answered.status), "{}", answered.status);
        assert!(sent_back(&answered).contains_key("code"));
        // Nor is what a program posts to the authorization endpoint, with its token.
        let mut allowed = parameters(&client);
        allowed.insert("approve".to_owned(), "true".to_owned());
        let fields: Vec<_> = allowed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let posted = app.post("/oauth/authorize").bearer(&ada.access_token).form(&form(&fields)).send().await;
        assert!(![307, 308].contains(&posted.status), "{}", posted.status);
    }

    /// 4.13: what a proxy would say of a client is not believed of a client itself.
    async fn headers_of_a_proxy_make_nobody_somebody_else(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let claimed = [
            ("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "http"), ("x-forwarded-prefix", "/evil"),
            ("forwarded", "for=192.0.2.1;host=evil.example;proto=http"), ("x-original-url", "/evil"),
            ("x-rewrite-url", "/evil"),
        ];
        let with = |request: tidegate_testkit::Request| {
            claimed.iter().fold(request, |request, (name, value)| request.header(name, value))
        };
        for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource"] {
            let plain = app.get(path).send().await;
            assert_eq!(with(app.get(path)).send().await.assert_status(200).body, plain.body, "{path}");
        }
        let asked = app.get(&address(&parameters(&client))).bearer(&ada.access_token);
        assert_eq!(sent_back(&with(asked).send().await)["iss"], "https://id.example.com");
        // A certificate that a proxy would have looked at, and a user that it would have signed in.
        let bare = [("grant_type", "client_credentials"), ("client_id", client.client_id.as_str())];
        for name in ["ssl-client-cert", "x-ssl-client-cert", "x-client-cert", "client-cert", "x-ssl-client-verify", "x-forwarded-client-cert"] {
            let request = app.post("/oauth/token").header(name, "SUCCESS").form(&form(&bare));
            assert_flat(&request.send().await, 401, "invalid_client");
        }
        for name in ["x-remote-user", "remote-user", "x-forwarded-user", "x-forwarded-email", "x-auth-request-email"] {
            let answer = app.client().request(Method::GET, "/oauth/userinfo").header(name, ADA).send().await;
            assert_eq!(answer.status, 401, "{name}: {}", answer.text);
        }
    }

    /// 4.17: an answer goes to an address, never to whichever window listens.
    async fn no_answer_is_handed_to_another_window(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        for mode in ["web_message", "fragment", "okta_post_message", "jwt", "query.jwt", "form_post.jwt"] {
            let answer = authorize(&app, &ada.access_token, &parameters_with(&client, &[("response_mode", mode)])).await;
            let back = sent_back(&answer);
            assert_eq!((back["error"].as_str(), back.get("code")), ("invalid_request", None), "{mode}");
        }
        // The form goes to the registered address alone, whatever opened the page: nothing in it can reach another window.
        let posted = authorize(&app, &ada.access_token, &parameters_with(&client, &[("response_mode", "form_post")])).await;
        let policy = posted.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("form-action https://shop.example.com;"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(posted.header("cross-origin-opener-policy"), "same-origin");
        let script = app.get("/oauth/form-post.js").send().await;
        for text in [posted.text.as_str(), script.assert_status(200).text.as_str()] {
            assert!(!["postMessage", "opener", "parent"].iter().any(|word| text.contains(word)), "{text}");
        }
        let window = Window::new(&app);
        let page = window.visit(&address(&parameters(&client))).await;
        assert_eq!(page.assert_status(200).header("cross-origin-opener-policy"), "same-origin");
        let provider = app.get("/.well-known/openid-configuration").send().await;
        assert_eq!(provider.field("response_modes_supported"), &json!(["query", "form_post"]));
    }
}

//! The attacks of RFC 9700, section 4, as far as an authorization server can do something about them.

use std::sync::Arc;

use axum::http::Method;
use serde_json::json;
use tidegate_crypto::oauth::pkce_challenge;
use tidegate_kernel::Settings;
use tidegate_testkit::{Engine, TestApp, on_both_engines};
use url::form_urlencoded::Serializer;

use super::wire::{
    ADA, App, CALLBACK, VERIFIER, assert_flat, audited, authorize, claims, code, code_for, described,
    described_with, exchange, exchange_request, form, me, parameters, parameters_with, refresh, register,
    register_public, sent_back, sign_in, token_request,
};
use crate::cross_contract::login_rivergen;
use crate::pages::sign_in::window::{Window, filled};
use crate::watch::content;

/// With an API of somebody else's besides.
pub(super) fn with_api(settings: &mut Settings) {
    let mut rules = settings.oauth.rules.clone();
    rules.resources = vec!["https://api.example.com".to_owned()];
    settings.set_oauth(rules);
}

/// Exchanges a code with other fields than are right.
async fn exchange_with(
    app: &TestApp,
    client: &App,
    code: &str,
    uri: &str,
    verifier: Option<&str>,
) -> tidegate_testkit::Answer {
    let mut fields = vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", uri)];
    fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    token_request(app, client, &fields).send().await
}

/// How many codes there are, and how many consents.
async fn traces_of_approval(app: &TestApp) -> (i64, i64) {
    let count = async |table: &str| app.sql_count(&format!("select count(*) from {table}")).await;
    (count("oauth_codes").await, count("oauth_consents").await)
}

on_both_engines! {
    /// 4.1.1, 4.1.2: redirect URIs that only look like a registered one.
    async fn a_redirect_uri_is_compared_character_by_character(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        for uri in [
            "https://shop.example.com/callback/",
            "https://shop.example.com/callback?x=1",
            "https://shop.example.com/callback/../evil",
            "https://shop.example.com/callback%2e",
            "https://SHOP.example.com/callback",
            "https://shop.example.com:443/callback",
            "https://shop.example.com@evil.example/callback",
            "https://shop.example.com.evil.example/callback",
            "https://evil.example/?https://shop.example.com/callback",
            "http://shop.example.com/callback",
            "https://shop.example.com/callback#",
            "//shop.example.com/callback",
            "/callback",
            "javascript:alert(1)",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.1:80@evil.example/callback",
            "http://127.0.0.1:8080/other",
            "http://localhost/callback",
        ] {
            for error in [("scope", "openid"), ("scope", "fly"), ("prompt", "none"), ("response_mode", "form_post")] {
                let parameters = parameters_with(&client, &[("redirect_uri", uri), error]);
                assert_flat(&authorize(&app, &ada.access_token, &parameters).await, 400, "invalid_request");
            }
        }
        assert_eq!(app.sql_count("select count(*) from oauth_codes").await, 0);
    }

    /// 4.1.3, 4.11: an application's own redirector is its own; ours sends nobody anywhere that is not registered.
    async fn no_error_is_sent_to_an_address_that_is_not_registered(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let evil = "https://evil.example/";
        for query in [
            form(&[("redirect_uri", evil), ("error", "x")]),
            form(&[("client_id", &client.client_id), ("redirect_uri", evil), ("response_type", "x")]),
            form(&[("client_id", "x"), ("redirect_uri", evil), ("response_type", "code")]),
            // Which of two would be meant is not guessed.
            form(&[("client_id", &client.client_id), ("redirect_uri", CALLBACK), ("redirect_uri", evil)]),
            form(&[("client_id", &client.client_id), ("redirect_uri", evil), ("redirect_uri", CALLBACK)]),
        ] {
            let answer = app.get(&format!("/oauth/authorize?{query}")).bearer(&ada.access_token).send().await;
            assert_eq!((answer.status, answer.header("location")), (400, ""), "{query}");
        }
    }

    /// 4.2: what stands in an address is not handed on by the browser, and of no use a second time.
    async fn nothing_of_the_request_leaks_through_the_browser(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let answer = authorize(&app, &ada.access_token, &crate::oauth::wire::parameters(&client)).await;
        assert_eq!((answer.header("referrer-policy"), answer.header("cache-control")), ("no-referrer", "no-store"));
        assert!(!answer.text.contains("tgc_"));
    }

    /// 4.4: the answer names who gave it (RFC 9207), in success and in error.
    async fn a_mixed_up_application_sees_whose_answer_it_got(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        for changed in [&[][..], &[("scope", "fly")]] {
            let back = sent_back(&authorize(&app, &ada.access_token, &parameters_with(&client, changed)).await);
            assert_eq!(back["iss"], "https://id.example.com");
        }
    }

    /// 4.5: a stolen code is of no use to another application, with another redirect URI, or without the verifier.
    async fn a_stolen_code_is_injected_in_vain(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let public = register_public(&app, &ada).await;
        let attackers = register(&app, &ada, &described_with(json!({ "name": "Attacker's" }))).await;
        for client in [&client, &public] {
            let stolen = code(&app, &ada, client).await;
            assert_flat(&exchange(&app, &attackers, &stolen).await, 400, "invalid_grant");
            for (uri, verifier) in [
                (CALLBACK, None),
                (CALLBACK, Some("another-verifier-of-forty-three-characters-12")),
                (CALLBACK, Some("short")),
                ("http://127.0.0.1/callback", Some(VERIFIER)),
                ("https://shop.example.com/callback/", Some(VERIFIER)),
            ] {
                let answer = exchange_with(&app, client, &stolen, uri, verifier).await;
                assert_flat(&answer, 400, "invalid_grant");
            }
            // None of that used it up.
            exchange(&app, client, &stolen).await.assert_status(200);
        }
    }

    /// 4.5.2: a code that is presented twice ends what it opened, and only its own application can do that.
    async fn a_code_that_is_presented_again_ends_what_it_opened(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        let once = code(&app, &ada, &client).await;
        let tokens = exchange(&app, &client, &once).await;
        let access = tokens.assert_status(200).text_at("access_token");
        assert_flat(&exchange(&app, &other, &once).await, 400, "invalid_grant");
        assert_eq!(me(&app, &access).await, 200, "another application ends nothing");
        assert_flat(&exchange(&app, &client, &once).await, 400, "invalid_grant");
        assert_eq!(me(&app, &access).await, 401);
        assert_flat(&refresh(&app, &client, &tokens.text_at("refresh_token")).await, 400, "invalid_grant");
        assert_eq!(audited(&app, "oauth.code").await, ["oauth.code.replayed"]);
        assert_eq!(me(&app, &ada.access_token).await, 200, "the session that approved it is not harmed");
    }

    /// Codes stand in addresses, and a public client has no secret: a code alone must not end anything.
    async fn a_used_code_without_its_verifier_ends_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let once = code(&app, &ada, &client).await;
        let access = exchange(&app, &client, &once).await.assert_status(200).text_at("access_token");
        for (uri, verifier) in [
            (CALLBACK, None),
            (CALLBACK, Some("another-verifier-of-forty-three-characters-12")),
            ("http://127.0.0.1/callback", Some(VERIFIER)),
        ] {
            assert_flat(&exchange_with(&app, &client, &once, uri, verifier).await, 400, "invalid_grant");
            assert_eq!(me(&app, &access).await, 200, "{uri} {verifier:?}");
        }
        assert_flat(&exchange(&app, &client, &once).await, 400, "invalid_grant");
        assert_eq!(me(&app, &access).await, 401);
    }

    /// What changed between the approval and the exchange counts.
    async fn a_code_gives_no_more_than_its_application_may_have_by_then(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let path = format!("{}/{}", crate::oauth::wire::applications_of(&app, &ada).await, client.number);
        let change = |body: serde_json::Value| app.patch(&path).bearer(&ada.access_token).json(&body).send();
        let (narrowed, moved) = (code(&app, &ada, &client).await, code(&app, &ada, &client).await);
        change(json!({ "scopes": ["openid", "profile"] })).await.assert_status(200);
        let tokens = exchange(&app, &client, &narrowed).await;
        assert_eq!(tokens.assert_status(200).text_at("scope"), "openid");
        assert_eq!(claims(&tokens.text_at("access_token"))["scope"], "openid");
        change(json!({ "redirect_uris": ["https://shop.example.com/other"] })).await.assert_status(200);
        assert_flat(&exchange(&app, &client, &moved).await, 400, "invalid_grant");
    }

    /// 4.7: the state comes back as it was sent, and no error is without it.
    async fn the_state_comes_back_untouched(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        for state in ["a b+c%20&d=e\"'<>", "\u{1f512}", &"x".repeat(2_000)] {
            let back = sent_back(&authorize(&app, &ada.access_token, &parameters_with(&client, &[("state", state)])).await);
            assert_eq!(back["state"], state);
        }
    }

    /// 4.8: a challenge that was taken out on the way does not make the verifier optional.
    async fn the_challenge_cannot_be_taken_out_of_a_request(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let without = [("code_challenge", ""), ("code_challenge_method", "")];
        let downgraded = code_for(&app, &ada, &parameters_with(&client, &without)).await;
        assert_flat(&exchange(&app, &client, &downgraded).await, 400, "invalid_grant");
        // Nor can S256 be made plain: then the challenge would be the verifier.
        let challenge = pkce_challenge(VERIFIER);
        let hashed = code(&app, &ada, &client).await;
        let answer = exchange_with(&app, &client, &hashed, CALLBACK, Some(&challenge)).await;
        assert_flat(&answer, 400, "invalid_grant");
    }

    /// 4.9.1, 4.10.2: a token for another API is refused here, whatever it may do there.
    async fn a_token_for_another_api_is_no_token_here(engine: Engine) {
        let app = TestApp::builder(engine).settings(with_api).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let resource = ("resource", "https://api.example.com");
        let code = code_for(&app, &ada, &parameters_with(&client, &[resource])).await;
        let answer = exchange(&app, &client, &code).await;
        let token = answer.assert_status(200).text_at("access_token");
        assert_eq!(claims(&token)["aud"], "https://api.example.com");
        assert_eq!(me(&app, &token).await, 401);
        for path in ["/oauth/userinfo", "/api/v2/auth/me", "/v1/databases/"] {
            assert_eq!(app.get(path).bearer(&token).send().await.status, 401, "{path}");
        }
        // It stays for that API, however often it is refreshed, and is not made one for another.
        let next = refresh(&app, &client, &answer.text_at("refresh_token")).await;
        assert_eq!(claims(&next.assert_status(200).text_at("access_token"))["aud"], "https://api.example.com");
        let own = ("resource", "https://id.example.com");
        let refresh_token = next.text_at("refresh_token");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str()), own];
        assert_flat(&token_request(&app, &client, &fields).send().await, 400, "invalid_target");
        // Nor is a code.
        let code = code_for(&app, &ada, &parameters_with(&client, &[resource])).await;
        let fields = [
            ("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER), own,
        ];
        assert_flat(&token_request(&app, &client, &fields).send().await, 400, "invalid_target");
    }

    /// 2.1: scripts of other origins do not call the authorization endpoint, whatever is configured.
    async fn no_script_calls_the_authorization_endpoint(engine: Engine) {
        let any = |http: &mut tidegate_http::HttpSettings| http.cors_origins = vec!["*".to_owned()];
        let app = TestApp::builder(engine).http(any).start().await;
        let preflight = |path: &str| {
            let request = app.client().options(path).header("origin", "https://shop.example.com");
            request.header("access-control-request-method", "POST").send()
        };
        assert_eq!(preflight("/oauth/token").await.header("access-control-allow-origin"), "*");
        for path in ["/oauth/authorize", "/oauth/introspect"] {
            assert_eq!(preflight(path).await.header("access-control-allow-origin"), "", "{path}");
        }
    }

    /// 4.14: of a stolen refresh token and the one it was replaced by, the second to come ends both.
    async fn a_stolen_refresh_token_is_noticed(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let first = sign_in(&app, &ada, &client).await;
        let stolen = first.text_at("refresh_token");
        let second = refresh(&app, &client, &stolen).await;
        app.advance(std::time::Duration::from_secs(31));
        assert_flat(&refresh(&app, &client, &stolen).await, 400, "invalid_grant");
        assert_flat(&refresh(&app, &client, &second.text_at("refresh_token")).await, 400, "invalid_grant");
        assert_eq!(me(&app, &second.text_at("access_token")).await, 401);
        assert_eq!(audited(&app, "session.").await, ["session.refresh_token_replayed"]);
    }

    /// 4.14.2: a refresh token is of no use to another application, and trying harms no session.
    async fn a_refresh_token_is_bound_to_its_application(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        let token = sign_in(&app, &ada, &client).await.text_at("refresh_token");
        assert_flat(&refresh(&app, &other, &token).await, 400, "invalid_grant");
        // Nor to a contract, whose clients need no secret; nor is a contract's one here.
        let contracts = [("/api/v1/auth/refresh", 401), ("/api/v2/auth/refresh", 401)];
        for (path, status) in contracts {
            let answer = app.post(path).json(&json!({ "refresh_token": token, "refreshToken": token })).send().await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text);
        }
        assert_flat(&refresh(&app, &client, &ada.refresh_token).await, 400, "invalid_grant");
        refresh(&app, &client, &token).await.assert_status(200);
        assert_eq!(me(&app, &ada.access_token).await, 200);
    }

    /// 4.15: an application that acts in its own name is not taken for a person, whatever its name is.
    async fn an_application_does_not_pass_for_a_person(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let own = token_request(&app, &client, &[("grant_type", "client_credentials")]).send().await;
        let own = own.text_at("access_token");
        let sub = claims(&own)["sub"].as_str().unwrap().to_owned();
        assert_eq!(sub, client.client_id);
        let ids = app.database.sql_uuid(uuid::Uuid::try_parse(&sub).unwrap());
        assert_eq!(app.sql_count(&format!("select count(*) from accounts where id = {ids}")).await, 0);
        assert_eq!(me(&app, &own).await, 403);
    }

    /// 4.16: nobody frames the page that posts the answer.
    async fn the_page_that_posts_an_answer_cannot_be_framed(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let answer = authorize(&app, &ada.access_token, &parameters_with(&client, &[("response_mode", "form_post")])).await;
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-frame-options"), "DENY");
    }

    async fn a_token_of_one_kind_is_not_taken_for_another(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let unused = code(&app, &ada, &client).await;
        let tokens = sign_in(&app, &ada, &client).await;
        let (access, id) = (tokens.text_at("access_token"), tokens.text_at("id_token"));
        let refresh_token = tokens.text_at("refresh_token");
        for bearer in [&id, &refresh_token, &unused, client.secret.as_ref().unwrap()] {
            assert_eq!(me(&app, bearer).await, 401);
        }
        for token in [&access, &id, &unused] {
            assert_flat(&refresh(&app, &client, token).await, 400, "invalid_grant");
        }
        for token in [&access, &id, &refresh_token] {
            assert_flat(&exchange(&app, &client, token).await, 400, "invalid_grant");
        }
        exchange_request(&app, &client, &unused).send().await.assert_status(200);
    }

    /// A request held open with a stolen token is let go once the owner has ended the session.
    async fn an_approval_of_an_ended_session_gives_no_code(engine: Engine) {
        let app = Arc::new(TestApp::builder(engine).without_limits().start().await);
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let allowed = Serializer::new(String::new()).extend_pairs(parameters(&client)).append_pair("approve", "true").finish();
        let (owner, token) = (Arc::clone(&app), ada.access_token.clone());
        let meanwhile = async move {
            owner.post("/api/v1/auth/logout").bearer(&token).send().await.assert_status(204);
        };
        let request = app.post("/oauth/authorize").bearer(&ada.access_token).form(&allowed);
        assert_flat(&request.held(meanwhile).send().await, 401, "invalid_token");
        assert_eq!(traces_of_approval(&app).await, (0, 0));

        // The same with the form that a page made for a browser: it leads to the sign-in.
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let asked = Serializer::new(String::new()).extend_pairs(parameters(&client)).finish();
        let page = window.open(&format!("/oauth/authorize?{asked}")).await;
        let owner = Arc::clone(&app);
        let meanwhile = async move {
            let forgot = json!({ "email": ADA });
            owner.post("/api/v1/auth/forgot-password").json(&forgot).send().await.assert_status(200);
            let claim = json!({ "token": owner.latest_link_token(ADA).await, "new_password": "Battery2staple!" });
            owner.post("/api/v1/auth/reset-password").json(&claim).send().await.assert_status(204);
        };
        let form = filled(&page, "/oauth/authorize", &[]);
        let answer = window.send(window.request("/oauth/authorize", &form).held(meanwhile)).await;
        assert!(answer.assert_status(303).header("location").starts_with("/sign-in"), "{:?}", answer.headers);
        assert_eq!(traces_of_approval(&app).await, (0, 0));

        // Of a session that is current both give one.
        let ada = login_rivergen(&app.client(), ADA, "Battery2staple!").await.text_at("data.access_token");
        let request = app.post("/oauth/authorize").bearer(&ada).form(&allowed);
        sent_back(&request.held(async {}).send().await);
        assert_eq!(traces_of_approval(&app).await, (1, 1));
    }

    /// A program that only asks for the head of a link is given no code, whatever was allowed before.
    async fn a_look_at_the_authorization_endpoint_gives_no_code(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        code(&app, &ada, &client).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let query = Serializer::new(String::new()).extend_pairs(parameters(&client)).finish();
        let path = format!("/oauth/authorize?{query}");
        // Allowed before, so that nobody would be asked.
        let page = window.open(&path).await;
        assert!(sent_back(&window.submit(&page, "/oauth/authorize", &[]).await).contains_key("code"));
        let before = content(&app).await;
        let looked = app.client().request(Method::HEAD, &path).bearer(&ada.access_token).send().await;
        assert_eq!((looked.status, looked.header("location"), looked.text.as_str()), (200, "", ""));
        let looked = window.send(app.client().request(Method::HEAD, &path)).await;
        assert_eq!((looked.status, looked.header("location"), looked.text.as_str()), (200, "", ""));
        assert_eq!(content(&app).await, before);
        assert!(sent_back(&window.open(&path).await).contains_key("code"), "GET gives one");
    }

    async fn a_code_of_a_session_that_ended_opens_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let unused = code(&app, &ada, &client).await;
        app.post("/api/v1/auth/logout").bearer(&ada.access_token).send().await.assert_status(204);
        assert_flat(&exchange(&app, &client, &unused).await, 400, "invalid_grant");
        assert_eq!(app.sql_count("select count(*) from sessions").await, 1);
    }
}

//! To each provider and back, as the contract says.

use serde_json::json;
use tidegate_testkit::social::{APP_PAGE, Returned};
use tidegate_testkit::{Engine, on_both_engines};

use super::*;
use crate::rivergen::wire::{assert_data, assert_done, get_as, tokens, wait};

/// The same person by the tokens of an answer.
fn who(answer: &Answer) -> tidegate_testkit::Person {
    let nobody = tidegate_testkit::Person {
        email: ADA.to_owned(),
        password: String::new(),
        access_token: String::new(),
        refresh_token: String::new(),
        user_id: "1".to_owned(),
    };
    tokens(&nobody, answer)
}

/// What an application sends.
fn sent(returned: &Returned, provider: &str) -> Value {
    json!({ "provider": provider, "code": returned.get("code") })
}

/// Applications get the codes at a page of their own.
async fn with_page(engine: Engine) -> Social {
    let page = || Some(APP_PAGE.to_owned());
    let set_up = |config: &mut SocialConfig| {
        config.github.as_mut().unwrap().redirect_uri = page();
        config.google.as_mut().unwrap().redirect_uri = page();
        config.microsoft.as_mut().unwrap().redirect_uri = page();
        config.oidc.get_mut("sso").unwrap().redirect_uri = page();
    };
    Social::with(engine, set_up, Builder::without_limits).await
}

on_both_engines! {
    async fn the_address_has_all_that_the_provider_needs_and_a_state(social: Social) {
        for provider in PROVIDERS {
            let begun = social.begin(provider, "").await;
            let (url, state) = (begun.text_at("data.oauth_url"), begun.text_at("data.state"));
            assert_data(&begun, 200, &json!({ "oauth_url": url, "provider": provider, "state": state }));
            assert!(state.len() >= 43, "{state}");
            let cookie = begun.header("set-cookie");
            let (name, site) = match provider {
                "apple" => ("__Host-tidegate-social-form=", "SameSite=None; Secure"),
                _ => ("__Host-tidegate-social=", "SameSite=Lax; Secure"),
            };
            assert!(cookie.starts_with(name) && cookie.ends_with(site), "{cookie}");
            assert!(cookie.contains("; Path=/; Max-Age=600; HttpOnly; "), "{cookie}");
            let returned = social.stub(provider).authorize(&url);
            assert_eq!(returned.get("state"), state);
            assert_eq!(url.contains("code_challenge="), provider != "apple", "{url}");
        }
        let begun = social.begin("google", "?state=chosen%20by%20the%20client").await;
        assert_eq!(begun.text_at("data.state"), "chosen by the client");
        assert_eq!(social.stub("google").authorize(&begun.text_at("data.oauth_url")).get("state"), "chosen by the client");
    }

    async fn a_new_person_is_signed_up_by_each_provider_and_signed_in_the_next_time(social: Social) {
        for (number, provider) in PROVIDERS.into_iter().enumerate() {
            let (email, id) = (format!("person{number}@example.com"), number + 1);
            social.stub(provider).person(|person| person.email.clone_from(&email));
            let first = social.sign_in(provider).await;
            let expected = |answer: &Answer, is_new: bool| json!({
                "access_token": answer.text_at("data.access_token"),
                "refresh_token": answer.text_at("data.refresh_token"),
                "token_type": "bearer", "expires_in": 3600, "user_id": id, "email": email,
                "is_verified": true, "display_name": "Ada Lovelace", "is_new_user": is_new, "provider": provider,
            });
            assert_done(&first, 200, expected(&first, true));
            assert_eq!(social.newest_amr().await, "fed");
            wait(&social.app, 60);
            let second = social.sign_in(provider).await;
            assert_done(&second, 200, expected(&second, false));
            let me = get_as(&social.app, &who(&second), "auth/me").send().await;
            assert_eq!(me.field("data.security.social_accounts_count"), 1);
            assert_eq!(me.field("data.security.connected_providers"), &json!([provider]));
            let organization = &me.field("data.organizations")[0];
            assert_eq!((&organization["is_admin"], &organization["source"]), (&json!(true), &json!("signup")));
            assert_eq!((&organization["domain"], &organization["plan"]), (&json!("example.com"), &json!("free")));
            assert_eq!(me.field("data.workspaces")[0]["slug"], "default-workspace");
            assert_eq!(me.field("data.emails")[0]["verified"], true);
            let history = get_as(&social.app, &who(&second), "auth/login-history").send().await;
            let newest = &history.field("data.history")[0];
            assert_eq!(newest["metadata"], json!({ "method": provider, "remember_me": false }));
        }
        assert_eq!((social.accounts().await, social.connected().await), (5, 5));
        let roles = "select count(*) from roles";
        assert_eq!(social.app.sql_count(roles).await, 15, "each organization has its three roles");
    }

    // Apple tells the name with the first answer only, and signs it not.
    async fn apples_name_is_taken_from_the_first_form_and_its_address_from_the_token(social: Social) {
        let mut returned = social.agree("apple").await;
        let forged = json!({ "name": { "firstName": "Ada", "lastName": "L." }, "email": "root@example.com" });
        returned.parameters.insert("user".to_owned(), forged.to_string());
        let answer = social.bring("apple", &returned).await;
        assert_eq!(answer.assert_status(200).text_at("data.email"), ADA);
        assert_eq!(answer.text_at("data.display_name"), "Ada L.");
        let returned = social.agree("apple").await;
        assert_eq!(returned.get("user"), "");
        let again = social.bring("apple", &returned).await;
        assert_eq!(again.text_at("data.display_name"), "Ada L.");
    }

    async fn the_accounts_that_sign_in_are_listed(social: Social) {
        let first = social.sign_in("google").await;
        let connected_at = social.app.now().iso_seconds();
        wait(&social.app, 60);
        social.join("github", ADA).await.assert_status(200);
        social.sign_in("google").await.assert_status(200);
        let now = social.app.now().iso_seconds();
        let list = get_as(&social.app, &who(&first), "auth/social-accounts").send().await;
        assert_data(&list, 200, &json!({ "total": 2, "accounts": [
            { "provider": "github", "connected_at": now, "last_used_at": now, "email": ADA, "display_name": "Ada Lovelace" },
            { "provider": "google", "connected_at": connected_at, "last_used_at": now, "email": ADA, "display_name": "Ada Lovelace" },
        ] }));
        let bob = social.app.sign_up_rivergen_verified("bob@example.com").await;
        let none = get_as(&social.app, &bob, "auth/social-accounts").send().await;
        assert_data(&none, 200, &json!({ "total": 0, "accounts": [] }));
    }

    // As the contract has it: the application has the code, and sends it alone.
    async fn an_application_signs_in_with_a_code_alone(engine: Engine) {
        let social = with_page(engine).await;
        for provider in ["github", "google", "microsoft", "sso"] {
            social.stub(provider).person(|person| person.email = format!("{provider}@example.com"));
            let returned = social.agree(provider).await;
            assert_eq!(returned.redirect_uri, APP_PAGE);
            let answer = social.post("auth/oauth/login", &sent(&returned, provider)).await;
            answer.assert_status(200);
            assert_eq!((answer.field("data.is_new_user"), answer.field("data.provider")), (&json!(true), &json!(provider)));
            let again = social.agree(provider).await;
            let answer = social.post("auth/oauth/login", &sent(&again, provider)).await;
            assert_eq!(answer.assert_status(200).field("data.is_new_user"), false);
        }
    }

    async fn an_application_that_sends_the_state_too_is_protected_by_it(engine: Engine) {
        let strict = |config: &mut SocialConfig| {
            config.require_state = true;
            config.redirect_uris = vec![APP_PAGE.to_owned()];
        };
        let social = Social::with(engine, strict, Builder::without_limits).await;
        for provider in ["github", "google", "microsoft", "sso"] {
            let (secret, challenge) = page_secret();
            let query = format!("?redirect_uri={APP_PAGE}&browser_challenge={challenge}");
            let begun = social.begin(provider, &query).await;
            let url = begun.text_at("data.oauth_url");
            assert!(url.contains("code_challenge_method=S256"), "{url}");
            let returned = social.stub(provider).authorize(&url);
            assert_eq!(returned.redirect_uri, APP_PAGE);
            let without = social.post("auth/oauth/login", &sent(&returned, provider)).await;
            assert_eq!(without.code(), "SOCIAL_LOGIN_FAILED", "{}", without.text);
            let mut body = sent(&returned, provider);
            body["state"] = json!(returned.get("state"));
            let unsigned = social.post("auth/oauth/login", &body).await;
            body["browser_secret"] = json!(secret);
            // Mix-up (RFC 9207): the issuer is needed of a provider that says that it sends one, and is never another's.
            body["iss"] = json!("https://evil.example");
            let mixed_up = social.post("auth/oauth/login", &body).await;
            assert_refused(&social.app, &mixed_up, (400, "SOCIAL_LOGIN_FAILED"), "other_provider");
            body["iss"] = json!(returned.parameters.get("iss"));
            let reason = if provider == "sso" { "other_provider" } else { "invalid_state" };
            assert_refused(&social.app, &unsigned, (400, "SOCIAL_LOGIN_FAILED"), reason);
            social.post("auth/oauth/login", &body).await.assert_status(200);
            let again = social.post("auth/oauth/login", &body).await;
            assert_refused(&social.app, &again, (400, "SOCIAL_LOGIN_FAILED"), "invalid_state");
        }
    }

    async fn an_application_signs_up_with_a_code_and_the_terms_are_kept(engine: Engine) {
        let social = with_page(engine).await;
        let returned = social.agree("google").await;
        let mut body = sent(&returned, "google");
        body["terms_version"] = json!("2.1");
        let answer = social.post("auth/oauth/signup", &body).await;
        assert_eq!(answer.assert_status(201).field("data.is_new_user"), true);
        let agreed = "select count(*) from accounts where agreed_to_terms and terms_version = '2.1'";
        assert_eq!(social.app.sql_count(agreed).await, 1);
        let recorded = "select count(*) from audit_events where action = 'auth.social.signup'";
        assert_eq!(social.app.sql_count(recorded).await, 1);
        // The picture is the provider's.
        let me = get_as(&social.app, &who(&answer), "auth/me").send().await;
        assert_eq!(me.text_at("data.user.profile_image_url"), "https://lh3.example.com/photo");

        social.stub("github").person(|person| person.email = "bob@example.com".to_owned());
        let returned = social.agree("github").await;
        let mut body = sent(&returned, "github");
        body["agree_to_terms"] = json!(false);
        social.post("auth/oauth/signup", &body).await.assert_status(201);
        let refused = "select count(*) from accounts where not agreed_to_terms and terms_version = '1.0'";
        assert_eq!(social.app.sql_count(refused).await, 1);
    }

    async fn keys_of_a_provider_may_change_at_any_time(social: Social) {
        social.sign_in("google").await.assert_status(200);
        social.stub("google").behave(|behaviour| behaviour.has_new_key = true);
        wait(&social.app, 6);
        social.sign_in("google").await.assert_status(200);
        let keys = social.stub("google").asked().iter().filter(|asked| *asked == "GET /keys").count();
        assert_eq!(keys, 2, "read again because of the new one, and only then");
    }

    // Two requests with one code, where the provider takes it twice: one account and one connection.
    async fn the_same_person_at_once_is_one_account(engine: Engine) {
        let social = with_page(engine).await;
        social.stub("github").behave(|behaviour| behaviour.repeats_codes = true);
        let returned = social.agree("github").await;
        let (app, body) = (std::sync::Arc::new(social), sent(&returned, "github"));
        let answers = tidegate_testkit::concurrently(8, |_| {
            let (app, body) = (std::sync::Arc::clone(&app), body.clone());
            async move { app.post("auth/oauth/login", &body).await }
        })
        .await;
        let new = answers.iter().filter(|answer| answer.assert_status(200).field("data.is_new_user") == true).count();
        assert_eq!((new, app.accounts().await, app.connected().await), (1, 1, 1));
    }
}

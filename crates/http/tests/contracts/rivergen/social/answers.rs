//! What each endpoint answers that cannot do what it is asked.

use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};

use super::*;
use crate::rivergen::wire::{get_as, refused_without_trace};

on_both_engines! {
    async fn a_provider_that_is_not_set_up_is_as_unknown_as_any_other(app: TestApp) {
        for provider in ["github", "google", "apple", "microsoft", "sso", "facebook", "GitHub", "%00", "%ff", "..%2f"] {
            for path in [format!("auth/oauth/{provider}/url"), format!("auth/oauth/{provider}/callback?code=a&state=b")] {
                refused_without_trace(&app, app.get(&url(&path)), 400, "INVALID_PROVIDER").await;
            }
            let body = json!({ "provider": provider, "code": "a" });
            for path in ["auth/oauth/login", "auth/oauth/signup"] {
                refused_without_trace(&app, crate::rivergen::wire::post(&app, path, &body), 400, "INVALID_PROVIDER").await;
            }
            let form = app.post(&url(&format!("auth/oauth/{provider}/callback"))).form("code=a&state=b");
            refused_without_trace(&app, form, 400, "INVALID_PROVIDER").await;
        }
    }

    async fn the_callback_names_what_is_missing(social: Social) {
        for provider in ["google", "apple"] {
            for query in ["", "?state=x", "?code=&state=x"] {
                let path = url(&format!("auth/oauth/{provider}/callback{query}"));
                let answer = social.app.get(&path).send().await;
                assert_refused(&social.app, &answer, (400, "MISSING_AUTHORIZATION_CODE"), "missing_code");
            }
            let path = url(&format!("auth/oauth/{provider}/callback"));
            let answer = social.app.post(&path).form("state=x").send().await;
            assert_refused(&social.app, &answer, (400, "MISSING_AUTHORIZATION_CODE"), "missing_code");
            for query in ["?code=a", "?code=a&state=", "?code=a&state=unknown"] {
                let answer = social.app.get(&format!("{path}{query}")).send().await;
                assert_refused(&social.app, &answer, FAILED, "invalid_state");
            }
        }
        let path = url("auth/oauth/google/callback");
        for query in ["code=a&code=b&state=x", "state=x&state=y&code=a", "error=a&error=b"] {
            let answer = social.app.get(&format!("{path}?{query}")).send().await;
            crate::rivergen::wire::assert_refused(&social.app, &answer, 422, "VALIDATION_ERROR");
        }
        let json = social.app.post(&path).json(&json!({ "code": "a", "state": "b" })).send().await;
        json.assert_error(415, "UNSUPPORTED_MEDIA_TYPE");
        assert_eq!(json.field("error.message"), "Send the body as application/x-www-form-urlencoded.");
        let long = format!("code={}&state=x", "a".repeat(70_000));
        social.app.post(&path).form(&long).send().await.assert_error(413, "PAYLOAD_TOO_LARGE");
    }

    async fn a_form_has_its_form(social: Social) {
        let path = url("auth/oauth/apple/callback");
        for form in ["code=a&code=b&state=x", "state=x&state=y&code=a", "code=a&user=b&user=c"] {
            let answer = social.app.post(&path).form(form).send().await;
            crate::rivergen::wire::assert_refused(&social.app, &answer, 422, "VALIDATION_ERROR");
        }
    }

    async fn what_the_provider_calls_wrong_is_told_and_the_state_is_used_up(social: Social) {
        let returned = social.agree("google").await;
        let state = returned.get("state");
        let path = url(&format!("auth/oauth/google/callback?state={state}&error=access_denied%3Cb%3E&error_description=hunter2"));
        let denied = social.app.get(&path).send().await;
        assert_refused(&social.app, &denied, FAILED, "denied_by_provider");
        let text = denied.text_at("error.message");
        assert!(text.contains("access_deniedb") && !text.contains('<') && !text.contains("hunter2"), "{text}");
        let late = social.bring("google", &returned).await;
        assert_refused(&social.app, &late, FAILED, "invalid_state");
    }

    async fn bodies_have_their_form(social: Social) {
        let app = &social.app;
        for path in ["auth/oauth/login", "auth/oauth/signup"] {
            for body in [
                json!({}),
                json!({ "provider": "google" }),
                json!({ "code": "a" }),
                json!({ "provider": 1, "code": "a" }),
                json!({ "provider": "google", "code": "" }),
                json!({ "provider": "google", "code": "a".repeat(9_000) }),
                json!({ "provider": "google", "code": ["a"] }),
                json!({ "provider": "google", "code": "a", "state": 7 }),
                json!({ "provider": "google", "code": "a", "redirect_uri": "x".repeat(9_000) }),
            ] {
                refused_without_trace(app, crate::rivergen::wire::post(app, path, &body), 422, "VALIDATION_ERROR").await;
            }
            let elsewhere = json!({ "provider": "google", "code": "a", "redirect_uri": "https://evil.example/" });
            refused_without_trace(app, crate::rivergen::wire::post(app, path, &elsewhere), 422, "VALIDATION_ERROR").await;
        }
        for terms in [json!({ "agree_to_terms": "yes" }), json!({ "terms_version": "a\nb" })] {
            let mut body = json!({ "provider": "google", "code": "a" });
            body.as_object_mut().unwrap().extend(terms.as_object().unwrap().clone());
            let request = crate::rivergen::wire::post(app, "auth/oauth/signup", &body);
            refused_without_trace(app, request, 422, "VALIDATION_ERROR").await;
        }
        let long = format!("?state={}", "a".repeat(513));
        for query in [long.as_str(), "?state=%0a", "?state=a&state=b", "?redirect_uri=https://evil.example/"] {
            let request = app.get(&url(&format!("auth/oauth/google/url{query}")));
            refused_without_trace(app, request, 422, "VALIDATION_ERROR").await;
        }
    }

    async fn the_list_needs_a_token(social: Social) {
        let bob = social.app.sign_up_rivergen_verified("bob@example.com").await;
        get_as(&social.app, &bob, "auth/social-accounts").send().await.assert_status(200);
        let without = social.app.get(&url("auth/social-accounts"));
        refused_without_trace(&social.app, without, 401, "UNAUTHORIZED").await;
        social.app.sql("alter table social_accounts rename to social_accounts_gone").await;
        let answer = get_as(&social.app, &bob, "auth/social-accounts").send().await;
        crate::rivergen::wire::assert_refused(&social.app, &answer, 500, "ACCOUNTS_FETCH_FAILED");
        social.app.sql("alter table social_accounts_gone rename to social_accounts").await;
    }
}

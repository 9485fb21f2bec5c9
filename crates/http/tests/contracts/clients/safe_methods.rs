//! Methods that are safe have no effects (RFC 9110 section 9.2.1), whatever looks at a link.

use axum::http::Method;
use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};

use crate::routes;
use crate::watch::row_counts;

const UNVERIFIED: &str = "select count(*) from identifiers where kind = 'email' and verified_at is null";

/// Has an address with a plus made, and mailed a code.
async fn activation(app: &TestApp) -> (String, String) {
    let email = "ada+crossing@example.com";
    let root = app.provision("root@example.com").await;
    app.create_individual(&root, email, "backend").await.assert_status(200);
    (email.to_owned(), app.latest_code(email).await)
}

on_both_engines! {
    async fn a_scanner_that_looks_at_a_link_verifies_nobody(app: TestApp) {
        let (email, code) = activation(&app).await;
        let before = row_counts(&app).await;
        let path = format!("/v1/accounts/verify/?code={code}&email={}", email.replace('+', "%2B"));
        let looked = app.client().request(Method::HEAD, &path).send().await;
        assert_eq!((looked.status, looked.text.as_str()), (200, ""));
        assert_eq!((row_counts(&app).await, app.sql_count(UNVERIFIED).await), (before, 1));
        app.get(&path).send().await.assert_status(200);
        assert_eq!(app.sql_count(UNVERIFIED).await, 0);
    }

    async fn a_plus_that_was_not_escaped_is_a_plus(app: TestApp) {
        let (email, code) = activation(&app).await;
        let answer = app.get(&format!("/v1/accounts/verify/?code={code}&email={email}")).send().await;
        assert_eq!(answer.assert_status(200).text_at("email"), email);
        // As forms escape it.
        let answer = app.get(&format!("/v1/accounts/verify/?email=ada%2Bcrossing%40example.com&code={code}")).send().await;
        answer.assert_status(200);
    }

    async fn no_route_has_effects_for_head(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        app.sign_up_rivergen("bob@example.com").await;
        let verify = app.latest_link_token("bob@example.com").await;
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": "ada@example.com" })).send().await.assert_status(200);
        let reset = app.latest_link_token("ada@example.com").await;
        let mut paths: Vec<String> = routes::all().into_iter().map(|route| route.sample_path()).collect();
        paths.extend([format!("/verify-email?token={verify}"), format!("/reset-password?token={reset}")]);
        paths.extend(["/healthz", "/metrics", "/openapi.json", "/docs", "/.well-known/jwks.json", "/"].map(str::to_owned));
        let before = row_counts(&app).await;
        for path in paths {
            for token in [None, Some(&ada.access_token)] {
                let request = app.client().request(Method::HEAD, &path);
                let request = match token {
                    Some(token) => request.bearer(token),
                    None => request,
                };
                let answer = request.send().await;
                assert!(answer.status < 500, "{path}: {} {}", answer.status, answer.text);
            }
            assert_eq!(row_counts(&app).await, before, "{path}");
        }
        assert_eq!(app.sql_count(UNVERIFIED).await, 1);
    }
}

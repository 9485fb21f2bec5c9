//! A field that there is not: it is refused, or named in the log, and dropped without a word nowhere.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use super::Target;
use crate::routes;
use crate::watch::{Log, row_counts};

/// What makes or changes something that is governed, a credential, an account or a second factor: every field is known.
const EXACT: [&str; 35] = [
    "PATCH /api/v1/auth/tokens/{token_id}",
    "PATCH /api/v1/data-sources/{data_source_id}",
    "PATCH /api/v1/data-sources/{data_source_id}/credentials",
    "PATCH /api/v1/organizations/{org_id}/oauth-applications/{app_id}",
    "PATCH /api/v1/policies/{policy_id}",
    "PATCH /api/v1/prompt-templates/{template_id}",
    "PATCH /api/v1/prompts/{prompt_id}",
    "PATCH /v1/accounts/individual",
    "PATCH /v1/accounts/service",
    "PATCH /v1/databases/current",
    "PATCH /v1/organizations/current",
    "POST /api/v1/auth/me/email/request",
    "POST /api/v1/auth/mfa/deactivate",
    "POST /api/v1/auth/tokens",
    "POST /api/v1/data-sources",
    "POST /api/v1/data-sources/{data_source_id}/test",
    "POST /api/v1/mfa/email-otp/verify",
    "POST /api/v1/mfa/sms-otp/verify",
    "POST /api/v1/mfa/totp/setup",
    "POST /api/v1/mfa/totp/verify",
    "POST /api/v1/organizations/{org_id}/oauth-applications",
    "POST /api/v1/organizations/{org_id}/tokens",
    "POST /api/v1/policies",
    "POST /api/v1/policies/simulate",
    "POST /api/v1/policies/{policy_id}/assignments",
    "POST /api/v1/prompt-templates",
    "POST /api/v1/prompt-templates/{template_id}/execute",
    "POST /api/v1/prompts/execute",
    "POST /api/v1/queries/execute",
    "POST /api/v1/webauthn/register/complete",
    "POST /api/v1/webauthn/register/start",
    "POST /v1/accounts/individual",
    "POST /v1/accounts/service",
    "POST /v1/accounts/service/keys",
    "PUT /api/v1/auth/me/profile",
];
/// Forwarded to the broker, which decides what it knows.
const FREE: &str = "/api/v1/account/create";

#[test]
fn whatever_refuses_unknown_fields_says_so_in_its_description() {
    let bodies = routes::with_body();
    let closed: BTreeSet<String> =
        bodies.iter().filter(|route| route.is_closed).map(routes::Route::name).collect();
    assert_eq!(closed, BTreeSet::from(EXACT.map(str::to_owned)));
    for route in bodies.iter().filter(|route| route.is_of_platform()) {
        assert!(route.is_closed, "{} is about data", route.name());
    }
}

on_both_engines! {
    async fn a_field_that_is_not_known_is_refused_with_its_name(target: Target) {
        let before = row_counts(&target.app).await;
        for route in routes::with_body().into_iter().filter(|route| route.is_closed) {
            let mut body = route.sample();
            body.insert("frobnicate".to_owned(), json!("Planted-secret-7"));
            let answer = target.send_json(&route, body).await;
            route.assert_refused(&answer, route.invalid(), "a field that is not known");
            assert!(answer.text.contains("frobnicate") && answer.text.contains("is not known here"), "{}", answer.text);
            assert!(!answer.text.contains("Planted"), "{}", answer.text);
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    async fn what_an_endpoint_does_not_change_is_refused_with_how_it_changes(target: Target) {
        let before = row_counts(&target.app).await;
        for (name, field, told) in [
            ("PATCH /v1/accounts/individual", "role", "a role is given with the account: delete the account"),
            ("PATCH /v1/accounts/individual", "verified", "verified by the code that was mailed to it"),
            ("PATCH /v1/accounts/individual", "active", "tidegate user disable"),
            ("PATCH /v1/accounts/individual", "new_email", "POST /api/v1/auth/me/email/request"),
            ("PATCH /v1/accounts/service", "role", "a role is given with the account: delete the account"),
            ("PATCH /v1/accounts/service", "keys", "accounts/service/keys"),
            ("PATCH /v1/databases/current", "name", "make another database"),
            ("PATCH /v1/databases/current", "user_id_type", "make another database"),
            ("PUT /api/v1/auth/me/profile", "email", "POST /api/v1/auth/me/email/request"),
            ("PUT /api/v1/auth/me/profile", "password", "POST /api/v1/auth/change-password"),
            ("PUT /api/v1/auth/me/profile", "is_admin", "a role is given by who invites the account"),
            // Read as one that was left out, it would remove all second factors.
            ("POST /api/v1/auth/mfa/deactivate", "methods", "did you mean method?"),
        ] {
            let routes = routes::with_body();
            let route = routes.iter().find(|route| route.name() == name).unwrap();
            let mut body = route.sample();
            body.insert(field.to_owned(), json!("backend"));
            let answer = target.send_json(route, body).await;
            route.assert_refused(&answer, route.invalid(), field);
            assert!(answer.text.contains("is not known here; ") && answer.text.contains(told), "{name}: {}", answer.text);
        }
        assert_eq!(row_counts(&target.app).await, before);
        // What the answer to a change shows may be sent back.
        let shown = json!({ "display_name": "Ada", "user_id": 1, "updated_at": "2030-01-01T00:00:00Z" });
        let request = target.app.put("/api/v1/auth/me/profile").bearer(&target.ada.access_token);
        request.json(&shown).send().await.assert_status(200);
    }

    async fn usual_other_names_are_told_the_right_ones(target: Target) {
        for (path, field, right) in [
            ("/api/v1/auth/tokens", "scope", "scopes"),
            ("/api/v1/auth/tokens", "ttl", "expires_in_days"),
            ("/api/v1/queries/execute", "query", "sql"),
            ("/api/v1/prompts/execute", "prompt", "prompt_text"),
            ("/api/v1/prompts/execute", "data_source_ids", "selected_data_source_ids"),
        ] {
            let routes = routes::with_body();
            let is_meant = |route: &&routes::Route| route.path == path && route.method == Method::POST;
            let route = routes.iter().find(is_meant).unwrap();
            let mut body = route.sample();
            body.insert(field.to_owned(), json!("x"));
            let answer = target.send_json(route, body).await;
            let told = format!("{field} is not known here; did you mean {right}?");
            assert!(answer.text.contains(&told), "{path}: {}", answer.text);
        }
        let mut body = routes::with_body().iter().find(|route| route.name() == "POST /api/v1/prompt-templates").unwrap().sample();
        body.insert("parameters".to_owned(), json!([{ "name": "region", "type": "string", "requird": false }]));
        let request = target.app.post("/api/v1/prompt-templates").bearer(&target.ada.access_token);
        let answer = request.json(&json!(body)).send().await;
        answer.assert_error(422, "VALIDATION_ERROR");
        assert!(answer.text.contains("parameters[0].requird is not known here; did you mean required?"), "{}", answer.text);
    }

    async fn the_log_names_what_other_endpoints_ignore(target: Target) {
        let log = Log::listen();
        let liberal = routes::with_body().into_iter().filter(|route| !route.is_closed && route.path != FREE);
        let mut count = 0;
        for (number, route) in liberal.enumerate() {
            // Each from a network of its own: the log has sixty lines a minute about the refused requests of one.
            let ip = format!("198.18.{}.{}", number / 200, number % 200 + 1);
            let body = json!({ "frobnicate": "Planted-secret-7", "Planted-secret-8": 1, "empty": null });
            target.request(&route).ip(&ip).json(&body).send().await;
            let line = log.last_answer();
            assert!(line.contains(" ignored=\"frobnicate, 1 more\""), "{}: {line}", route.name());
            assert!(!line.contains("Planted"), "{line}");
            count += 1;
        }
        assert!(count > 20, "the documents lost routes: {count}");
        // A body that is not needed, of which the query has what is meant.
        let request = target.app.post("/api/v1/data-sources/999999/discover-schema").bearer(&target.ada.access_token);
        request.json(&json!({ "schema_name": "sales" })).send().await.assert_error(404, "NOT_FOUND");
        assert!(log.last_answer().contains(" ignored=\"schema_name\""), "{}", log.last_answer());
        // What a client was shown it may send back where it changes something.
        let token = json!({ "name": "ci", "scopes": ["read"] });
        let made = target.app.post("/api/v1/auth/tokens").bearer(&target.ada.access_token).json(&token).send().await;
        let path = format!("/api/v1/auth/tokens/{}", made.assert_status(201).field("data.id"));
        let shown = json!({ "name": "cd", "user_id": 7, "created_at": "2030-01-01T00:00:00Z", "last_used_at": null });
        target.app.patch(&path).bearer(&target.ada.access_token).json(&shown).send().await.assert_status(200);
        assert!(log.last_answer().contains(" ignored=\"created_at, user_id\""), "{}", log.last_answer());
    }

    async fn what_a_request_sent_for_nothing_is_said_once_an_hour_where_it_succeeds(app: TestApp) {
        let log = Log::listen();
        let register = async |email: &str| {
            let body = json!({ "email": email, "password": PASSWORD, "name": "Ada", "role": "admin" });
            app.post("/api/v2/auth/register").json(&body).send().await.assert_status(201);
            let line = log.last_answer();
            assert!(line.contains(" status=201 ") && line.contains(" ignored=\"role\""), "{line}");
            line.split(' ').next().unwrap().to_owned()
        };
        assert_eq!(register("ada@example.com").await, "INFO");
        assert_eq!(register("bob@example.com").await, "DEBUG");
        app.advance(Duration::from_secs(3_600));
        assert_eq!(register("carol@example.com").await, "INFO");
    }
}

//! A token that is restricted reaches nothing that asks for its owner.

use tidegate_domain::Scopes;
use tidegate_testkit::{TestApp, on_both_engines};

use super::{SECOND, assert_alive};
use crate::forge::reworded;
use crate::routes::{Route, assert_refused_everywhere, with_bearer};
use crate::watch::row_counts;

/// Checks that every route of every contract that asks for a token refuses this one.
async fn assert_forbidden_everywhere(app: &TestApp, token: &str, story: &str) {
    assert_refused_everywhere(app, token, Route::forbidden, story).await;
}

/// What a frontend token is for: its own sign-in and its own database.
const FRONTEND: [&str; 5] = [
    "DELETE /v1/accounts",
    "GET /v1/databases/current",
    "GET /v1/databases/current/status",
    "POST /v1/login/jwt",
    "POST /v1/sessions/{session_id}/resolve",
];

/// Checks the same for every route that is not for frontend tokens.
async fn assert_frontend_forbidden(app: &TestApp, token: &str, story: &str) {
    let before = row_counts(app).await;
    for route in with_bearer().into_iter().filter(|route| !FRONTEND.contains(&route.name().as_str())) {
        let answer = route.request(&app.client()).bearer(token).send().await;
        route.assert_refused(&answer, route.forbidden(), story);
    }
    assert_eq!(row_counts(app).await, before, "something was written for {story}");
}

on_both_engines! {
    async fn a_token_of_another_scope_is_refused_on_every_route(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        for scope in ["", "openid profile", "phone", "full fly", "fully", " full", "FULL", "*"] {
            let token = reworded(&app, &ada.access_token, |claims| claims.scope = Scopes::from_stored(scope)).await;
            assert_forbidden_everywhere(&app, &token, &format!("a token of scope {scope:?}")).await;
        }
        assert_alive(&app.client(), &ada.access_token).await;
    }

    async fn a_frontend_session_is_refused_on_every_route(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        assert_alive(&app.client(), &ada.access_token).await;
        app.sql("update memberships set role = 'frontend'").await;
        app.advance(2 * SECOND);
        assert_frontend_forbidden(&app, &ada.access_token, "a frontend session").await;
    }

    async fn the_role_in_a_token_is_no_power(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        app.sql("update memberships set role = 'frontend'").await;
        let token = reworded(&app, &ada.access_token, |claims| claims.role = tidegate_domain::Role::Owner).await;
        assert_frontend_forbidden(&app, &token, "a token that claims a role its owner lost").await;
    }
}

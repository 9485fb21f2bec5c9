//! The applications that a person has given access, on their page.

use axum::http::Method;
use serde_json::json;
use tidegate_testkit::{Answer, TestApp, on_both_engines};

use super::super::heading;
use super::window::{field, filled};
use super::{ADA, BOB, Window, assert_guarded};
use crate::oauth::asked_for;

const WITHDRAW: &str = "/account/applications/withdraw";

/// Signs in to an application and allows it.
async fn allow(app: &TestApp, window: &Window, owner: &str, login: &str) -> crate::oauth::Hosted {
    let (client, address) = asked_for(app, owner).await;
    let page = window.visit(&address).await;
    let typed = [("login", login), ("password", tidegate_testkit::PASSWORD)];
    let page = window.press(&page, "/sign-in", &typed).await;
    client.allow(app, window, &page).await;
    client
}

async fn consents(app: &TestApp) -> i64 {
    app.sql_count("select count(*) from oauth_consents").await
}

#[track_caller]
fn assert_listed(page: &Answer, is_listed: bool) {
    page.assert_status(200);
    assert_guarded(page);
    assert_eq!(page.text.contains("Applications with access to your account"), is_listed, "{}", page.text);
}

on_both_engines! {
    async fn a_person_sees_who_has_access_and_takes_it_away(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        assert_listed(&window.visit("/account").await, false);
        let window = Window::new(&app);
        allow(&app, &window, "owner@example.com", ADA).await;
        let page = window.visit("/account").await;
        assert_listed(&page, true);
        for text in ["Shop, an application of the organization of owner@example.com", "read your e-mail address"] {
            assert!(page.text.contains(text), "{text}: {}", page.text);
        }
        let page = window.submit(&page, WITHDRAW, &[]).await;
        assert_listed(&page, false);
        assert!(page.text.contains("Shop has no access to your account any more, and is signed out."), "{}", page.text);
        assert_eq!(consents(&app).await, 0);
        let reasons = "select revoked_reason from sessions where application_id is not null";
        assert_eq!(app.database.sql_texts(reasons).await, ["consent_revoked"]);
        // The form of another action is none of this one.
        let again = window.visit("/account").await;
        let form = format!("csrf={}&client_id=x", field(&again, "/sign-out", "csrf"));
        window.post(WITHDRAW, &form).await.assert_status(403);
    }

    async fn nobody_else_takes_it_away(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified(BOB).await;
        let window = Window::new(&app);
        allow(&app, &window, "owner@example.com", ADA).await;
        let page = window.visit("/account").await;
        let bobs = Window::new(&app);
        bobs.sign_in(BOB).await;
        // Another person's form, another site's, one without its token, one without a session.
        bobs.post(WITHDRAW, &filled(&page, WITHDRAW, &[])).await.assert_status(403);
        let request = window.request(WITHDRAW, &filled(&page, WITHDRAW, &[])).header("sec-fetch-site", "cross-site");
        window.send(request).await.assert_status(403);
        window.post(WITHDRAW, &filled(&page, WITHDRAW, &[("csrf", "x")])).await.assert_status(403);
        let stranger = Window::of(&window);
        let answer = stranger.post(WITHDRAW, &filled(&page, WITHDRAW, &[])).await;
        assert_eq!(answer.assert_status(303).header("location"), "/account");
        assert_eq!(window.send(app.client().request(Method::GET, WITHDRAW)).await.status, 405);
        assert_eq!(consents(&app).await, 1);
        for client in ["", "x", "00000000-0000-4000-8000-000000000000"] {
            let refused = window.post(WITHDRAW, &filled(&page, WITHDRAW, &[("client_id", client)])).await;
            assert_eq!((refused.status, heading(&refused)), (422, "You are signed in"), "{client}: {}", refused.text);
        }
        assert_eq!(consents(&app).await, 1);
    }

    async fn what_an_application_is_called_is_text(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        allow(&app, &window, "owner@example.com", ADA).await;
        app.sql("update oauth_applications set name = '<script>alert(1)</script>'").await;
        let page = window.visit("/account").await;
        assert_listed(&page, true);
        assert!(!page.text.contains("<script>alert"), "{}", page.text);
    }

    async fn the_log_says_whose_application_it_was(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let client = allow(&app, &window, "owner@example.com", ADA).await;
        let page = window.visit("/account").await;
        window.submit(&page, WITHDRAW, &[]).await.assert_status(200);
        let log = "select cast(metadata as text) from audit_events where action like 'oauth.consent.%' order by number";
        for event in app.database.sql_texts(log).await {
            let event: serde_json::Value = serde_json::from_str(&event).unwrap();
            assert_eq!((&event["name"], &event["client_id"]), (&json!("Shop"), &json!(client.client_id())));
            assert!(event["organization"].as_str().is_some_and(|name| !name.is_empty()), "{event}");
            assert!(event["organization_id"].is_string() && event["created_by"].is_string(), "{event}");
        }
    }
}

//! Several nodes on one database, and changes made past all of them.

use tidegate_testkit::{Engine, Node, PASSWORD, TestApp, eventually, on_both_engines};

use super::{SECOND, login_ingestiq, me_ingestiq, me_rivergen, refresh_ingestiq, refresh_rivergen};

/// Asks both nodes who the token speaks for, so that both remember.
async fn seen_by_both(app: &TestApp, other: &Node, token: &str) {
    for client in [app.client(), other.client()] {
        me_ingestiq(&client, token).await.assert_status(200);
    }
}

on_both_engines! {
    async fn a_session_ended_on_one_node_is_ended_on_the_others_within_two_seconds(app: TestApp) {
        let other = app.another_node().await;
        let ada = app.register_ingestiq("ada@example.com").await;
        seen_by_both(&app, &other, &ada.access_token).await;
        app.post("/api/v2/auth/logout").bearer(&ada.access_token).send().await.assert_status(200);
        me_ingestiq(&app.client(), &ada.access_token).await.assert_error(401, "INVALID_TOKEN");
        app.advance(2 * SECOND);
        me_ingestiq(&other.client(), &ada.access_token).await.assert_error(401, "INVALID_TOKEN");
        refresh_ingestiq(&other.client(), &ada.refresh_token).await.assert_error(401, "INVALID_TOKEN");
    }

    async fn what_one_node_changed_the_other_shows_within_two_seconds(app: TestApp) {
        let other = app.another_node().await;
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        me_rivergen(&other.client(), &ada.access_token).await.assert_status(200);
        let body = serde_json::json!({ "display_name": "Countess of Lovelace" });
        app.put("/api/v1/auth/me/profile").bearer(&ada.access_token).json(&body).send().await.assert_status(200);
        let here = me_rivergen(&app.client(), &ada.access_token).await;
        assert_eq!(here.text_at("data.user.display_name"), "Countess of Lovelace");
        app.advance(2 * SECOND);
        let there = me_rivergen(&other.client(), &ada.access_token).await;
        assert_eq!(there.body["data"], here.body["data"]);
    }

    async fn a_shut_account_is_out_within_two_seconds(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        me_rivergen(&app.client(), &ada.access_token).await.assert_status(200);
        app.sql("update accounts set disabled_at = 1").await;
        app.advance(2 * SECOND);
        me_rivergen(&app.client(), &ada.access_token).await.assert_error(401, "UNAUTHORIZED");
        me_ingestiq(&app.client(), &ada.access_token).await.assert_error(401, "INVALID_TOKEN");
        let refused = refresh_rivergen(&app.client(), &ada.refresh_token).await;
        refused.assert_error(401, "INVALID_REFRESH_TOKEN");
    }

    async fn who_has_left_the_organization_is_out_within_two_seconds(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        me_ingestiq(&app.client(), &ada.access_token).await.assert_status(200);
        app.sql("delete from membership_workspaces; delete from memberships").await;
        app.advance(2 * SECOND);
        me_ingestiq(&app.client(), &ada.access_token).await.assert_error(401, "INVALID_TOKEN");
        refresh_ingestiq(&app.client(), &ada.refresh_token).await.assert_error(401, "INVALID_TOKEN");
        // No organization, nowhere to land.
        let login = login_ingestiq(&app.client(), "ada@example.com", PASSWORD).await;
        login.assert_error(403, "FORBIDDEN");
    }
}

#[test]
fn nodes_on_postgresql_tell_each_other_at_once() {
    tidegate_testkit::run(Engine::Postgres, async |app: TestApp| {
        let other = app.another_node().await;
        // The first may be noticed because the other node has only just begun to listen; the second cannot.
        for email in ["ada@example.com", "bob@example.com"] {
            let person = app.register_ingestiq(email).await;
            seen_by_both(&app, &other, &person.access_token).await;
            app.post("/api/v2/auth/logout").bearer(&person.access_token).send().await.assert_status(200);
            eventually("the other node hears of it, without time passing", async || {
                let answer = me_ingestiq(&other.client(), &person.access_token).await;
                (answer.status == 401).then_some(())
            })
            .await;
        }
    });
}

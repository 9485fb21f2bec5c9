//! Sessions: opened in one contract, seen and ended in the other.

use serde_json::json;
use tidegate_testkit::{PASSWORD, Person, TestApp, on_both_engines};

use super::{
    assert_alive, assert_ended, login_ingestiq, me_ingestiq, me_rivergen, refresh_ingestiq, refresh_rivergen,
};
use crate::watch::row_counts;

/// Ada, signed in through both contracts.
struct Both {
    rivergen: Person,
    ingestiq: Person,
}

impl Both {
    async fn sign_in(app: &TestApp) -> Self {
        let rivergen = app.sign_up_rivergen_verified("ada@example.com").await;
        let answer = login_ingestiq(&app.client(), "ada@example.com", PASSWORD).await;
        let ingestiq = Person {
            access_token: answer.text_at("accessToken"),
            refresh_token: answer.text_at("refreshToken"),
            ..rivergen.clone()
        };
        let both = Self { rivergen, ingestiq };
        both.assert_alive(app).await;
        both
    }

    async fn assert_alive(&self, app: &TestApp) {
        assert_alive(&app.client(), &self.rivergen.access_token).await;
        assert_alive(&app.client(), &self.ingestiq.access_token).await;
    }

    async fn assert_ended(&self, app: &TestApp) {
        let client = app.client();
        assert_ended(&client, &self.rivergen.access_token).await;
        assert_ended(&client, &self.ingestiq.access_token).await;
        let refused = refresh_rivergen(&client, &self.rivergen.refresh_token).await;
        refused.assert_error(401, "INVALID_REFRESH_TOKEN");
        let refused = refresh_ingestiq(&client, &self.ingestiq.refresh_token).await;
        refused.assert_error(401, "INVALID_TOKEN");
        let alive = "select count(*) from sessions where revoked_at is null";
        assert_eq!(app.sql_count(alive).await, 0);
    }
}

on_both_engines! {
    async fn an_access_token_of_one_contract_speaks_for_its_owner_in_the_other(app: TestApp) {
        let both = Both::sign_in(&app).await;
        let one = me_rivergen(&app.client(), &both.ingestiq.access_token).await;
        assert_eq!(one.field("data.user.id").to_string(), both.rivergen.user_id);
        let other = me_ingestiq(&app.client(), &both.rivergen.access_token).await;
        assert_eq!(other.text_at("user.email"), "ada@example.com");
    }

    async fn a_refresh_token_stays_with_its_contract_and_trying_does_no_harm(app: TestApp) {
        let both = Both::sign_in(&app).await;
        let before = row_counts(&app).await;
        for _ in 0..3 {
            let refused = refresh_ingestiq(&app.client(), &both.rivergen.refresh_token).await;
            refused.assert_error(401, "INVALID_TOKEN");
            let refused = refresh_rivergen(&app.client(), &both.ingestiq.refresh_token).await;
            refused.assert_error(401, "INVALID_REFRESH_TOKEN");
        }
        assert_eq!(row_counts(&app).await, before);
        both.assert_alive(&app).await;
        refresh_rivergen(&app.client(), &both.rivergen.refresh_token).await.assert_status(200);
        refresh_ingestiq(&app.client(), &both.ingestiq.refresh_token).await.assert_status(200);
        // Nor does a superseded token count as replayed where it never counted at all.
        refresh_ingestiq(&app.client(), &both.rivergen.refresh_token).await.assert_error(401, "INVALID_TOKEN");
        both.assert_alive(&app).await;
    }

    async fn a_session_of_rivergen_is_ended_through_ingestiq_and_the_other_lives(app: TestApp) {
        let both = Both::sign_in(&app).await;
        app.post("/api/v2/auth/logout").bearer(&both.rivergen.access_token).send().await.assert_status(200);
        assert_ended(&app.client(), &both.rivergen.access_token).await;
        let refused = refresh_rivergen(&app.client(), &both.rivergen.refresh_token).await;
        refused.assert_error(401, "INVALID_REFRESH_TOKEN");
        assert_alive(&app.client(), &both.ingestiq.access_token).await;
    }

    async fn a_session_of_ingestiq_is_ended_through_rivergen_and_the_other_lives(app: TestApp) {
        let both = Both::sign_in(&app).await;
        app.post("/api/v1/auth/logout").bearer(&both.ingestiq.access_token).send().await.assert_status(204);
        assert_ended(&app.client(), &both.ingestiq.access_token).await;
        refresh_ingestiq(&app.client(), &both.ingestiq.refresh_token).await.assert_error(401, "INVALID_TOKEN");
        assert_alive(&app.client(), &both.rivergen.access_token).await;
    }

    async fn a_session_of_ingestiq_is_listed_and_revoked_through_rivergen(app: TestApp) {
        let both = Both::sign_in(&app).await;
        let list = app.get("/api/v1/sessions").bearer(&both.rivergen.access_token).send().await;
        let sessions = list.field("data.sessions").as_array().unwrap();
        assert_eq!(sessions.len(), 2);
        let other = sessions.iter().find(|session| session["is_current"] == false).unwrap();
        let path = format!("/api/v1/sessions/{}", other["id"]);
        app.delete(&path).bearer(&both.rivergen.access_token).send().await.assert_status(200);
        assert_ended(&app.client(), &both.ingestiq.access_token).await;
        refresh_ingestiq(&app.client(), &both.ingestiq.refresh_token).await.assert_error(401, "INVALID_TOKEN");
        assert_alive(&app.client(), &both.rivergen.access_token).await;
    }

    async fn signing_out_everywhere_means_both_contracts(app: TestApp) {
        let both = Both::sign_in(&app).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        app.post("/api/v1/auth/logout-all").bearer(&both.ingestiq.access_token).send().await.assert_status(204);
        assert_alive(&app.client(), &bob.access_token).await;
        app.post("/api/v1/auth/logout-all").bearer(&bob.access_token).send().await.assert_status(204);
        both.assert_ended(&app).await;
    }

    async fn a_changed_password_ends_the_sessions_of_both_contracts(app: TestApp) {
        let both = Both::sign_in(&app).await;
        let body = json!({ "current_password": PASSWORD, "new_password": "Battery2staple!" });
        let change = app.post("/api/v1/auth/change-password").bearer(&both.ingestiq.access_token).json(&body);
        change.send().await.assert_status(200);
        both.assert_ended(&app).await;
        let old = login_ingestiq(&app.client(), "ada@example.com", PASSWORD).await;
        old.assert_error(401, "INVALID_CREDENTIALS");
        login_ingestiq(&app.client(), "ada@example.com", "Battery2staple!").await.assert_status(200);
    }

    async fn a_reset_password_ends_the_sessions_of_both_contracts(app: TestApp) {
        let both = Both::sign_in(&app).await;
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": "ada@example.com" })).send().await;
        let token = app.latest_link_token("ada@example.com").await;
        let body = json!({ "token": token, "new_password": "Battery2staple!" });
        app.post("/api/v1/auth/reset-password").json(&body).send().await.assert_status(204);
        both.assert_ended(&app).await;
    }
}

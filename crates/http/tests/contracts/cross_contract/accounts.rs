//! Accounts, addresses and roles in both contracts' words.

use serde_json::json;
use tidegate_domain::ContractId;
use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use super::{SECOND, assert_alive, assert_ended, login_ingestiq, login_rivergen, me_ingestiq, me_rivergen};
use crate::routes;
use crate::watch::row_counts;

on_both_engines! {
    async fn who_signed_up_through_rivergen_logs_in_through_ingestiq(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let answer = login_ingestiq(&app.client(), "Ada@Example.com", PASSWORD).await;
        answer.assert_status(200);
        assert_alive(&app.client(), &answer.text_at("accessToken")).await;
        assert_alive(&app.client(), &ada.access_token).await;
        assert_eq!(app.sql_count("select count(*) from accounts").await, 1);
        let body = json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Ada" });
        app.post("/api/v2/auth/register").json(&body).send().await.assert_error(409, "EMAIL_EXISTS");
    }

    async fn who_has_yet_to_verify_at_rivergen_may_use_ingestiq(app: TestApp) {
        app.sign_up_rivergen("ada@example.com").await;
        let answer = login_ingestiq(&app.client(), "ada@example.com", PASSWORD).await;
        answer.assert_status(200);
        let token = answer.text_at("accessToken");
        me_ingestiq(&app.client(), &token).await.assert_status(200);
        me_rivergen(&app.client(), &token).await.assert_error(403, "EMAIL_NOT_VERIFIED");
    }

    async fn who_registered_through_ingestiq_verifies_at_the_first_rivergen_login(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        me_rivergen(&app.client(), &ada.access_token).await.assert_error(403, "EMAIL_NOT_VERIFIED");

        let answer = login_rivergen(&app.client(), "ada@example.com", PASSWORD).await;
        answer.assert_status(200);
        let data = answer.body["data"].as_object().unwrap();
        let keys: Vec<_> = data.keys().map(String::as_str).collect();
        assert_eq!(keys, ["email_verification_required", "message", "temporary_token"]);
        assert_eq!(data["email_verification_required"], true);

        let code = app.latest_code("ada@example.com").await;
        let body = json!({ "temporary_token": answer.text_at("data.temporary_token"), "otp_code": code });
        let verified = app.post("/api/v1/auth/verify-otp").json(&body).send().await;
        verified.assert_status(200);
        assert_alive(&app.client(), &verified.text_at("data.access_token")).await;
        // The session that was there before was opened by a caller who had not shown the mailbox. There is nothing to verify any more.
        app.advance(2 * SECOND);
        assert_ended(&app.client(), &ada.access_token).await;
        let again = login_rivergen(&app.client(), "ada@example.com", PASSWORD).await;
        assert_alive(&app.client(), &again.text_at("data.access_token")).await;
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        app.post("/api/v1/auth/signup").json(&body).send().await.assert_error(409, "EMAIL_TAKEN");
    }

    async fn contracts_that_ask_for_a_verified_address_let_nobody_in_without(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let before = row_counts(&app).await;
        for route in routes::with_bearer() {
            let refusal = match route.contract {
                ContractId::RIVERGEN => (403, "EMAIL_NOT_VERIFIED"),
                ContractId::CROSSING_MINDS => (401, "ACCOUNT_NOT_VERIFIED"),
                _ => continue,
            };
            let answer = route.request(&app.client()).bearer(&ada.access_token).send().await;
            route.assert_refused(&answer, refusal, "a token of an unverified address");
            assert_eq!(row_counts(&app).await, before, "{} wrote something", route.name());
        }
    }

    async fn a_reset_password_shows_that_the_mailbox_is_theirs(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": "ada@example.com" })).send().await;
        let token = app.latest_link_token("ada@example.com").await;
        let body = json!({ "token": token, "new_password": "Battery2staple!" });
        app.post("/api/v1/auth/reset-password").json(&body).send().await.assert_status(204);
        let answer = login_ingestiq(&app.client(), "ada@example.com", "Battery2staple!").await;
        assert_alive(&app.client(), &answer.text_at("accessToken")).await;
    }

    async fn a_changed_address_is_changed_for_both(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let send = async |path: &str, body| app.post(path).bearer(&ada.access_token).json(&body).send().await;
        let body = json!({ "new_email": "ada@lovelace.example" });
        send("/api/v1/auth/me/email/request", body).await.assert_status(200);
        let code = app.latest_code("ada@lovelace.example").await;
        let body = json!({ "new_email": "ada@lovelace.example", "otp_code": code });
        send("/api/v1/auth/me/email/verify", body).await.assert_status(200);

        let caller = me_ingestiq(&app.client(), &ada.access_token).await;
        assert_eq!(caller.text_at("user.email"), "ada@lovelace.example");
        login_ingestiq(&app.client(), "ada@lovelace.example", PASSWORD).await.assert_status(200);
        let old = login_ingestiq(&app.client(), "ada@example.com", PASSWORD).await;
        old.assert_error(401, "INVALID_CREDENTIALS");
        let body = json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Eve" });
        app.post("/api/v2/auth/register").json(&body).send().await.assert_error(409, "EMAIL_EXISTS");
    }

    async fn both_show_the_same_person(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let body = json!({ "display_name": "Countess of Lovelace" });
        app.put("/api/v1/auth/me/profile").bearer(&ada.access_token).json(&body).send().await.assert_status(200);
        let one = me_rivergen(&app.client(), &ada.access_token).await;
        let other = me_ingestiq(&app.client(), &ada.access_token).await;
        assert_eq!(one.text_at("data.user.display_name"), other.text_at("user.name"));
        assert_eq!(one.text_at("data.user.primary_email"), other.text_at("user.email"));
        assert_eq!(one.text_at("data.user.created_at"), "2026-01-05T09:00:00Z");
        assert_eq!(other.text_at("user.createdAt"), "2026-01-05T09:00:00.000Z");
    }

    async fn one_role_has_a_name_in_each_contract(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        for (role, is_admin, word) in [
            ("admin", true, "admin"),
            ("developer", false, "member"),
            ("viewer", false, "viewer"),
            ("owner", true, "owner"),
        ] {
            app.sql(&format!("update memberships set role = '{role}'")).await;
            app.advance(2 * SECOND);
            let one = me_rivergen(&app.client(), &ada.access_token).await;
            let other = me_ingestiq(&app.client(), &ada.access_token).await;
            assert_eq!(one.field("data.organizations.0.is_admin"), is_admin, "{role}");
            assert_eq!(other.text_at("user.role"), word);
        }
    }
}

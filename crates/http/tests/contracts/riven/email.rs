//! The e-mail address of somebody who came with a phone alone: typed in at account/create, theirs once they follow the link.

use serde_json::json;
use tidegate_domain::ContractId;
use tidegate_testkit::{Answer, Engine, PASSWORD, PhonePerson, TestApp, application, on_both_engines};

use super::wire::{ADA, BOB, DAY, MINUTE, SECOND, get_as};
use crate::cross_contract::{login_ingestiq, login_rivergen, me_ingestiq, me_rivergen};
use crate::forge::reworded;
use crate::watch::row_counts;

const EMAIL: &str = "ada@example.com";

/// Opens the link in the newest mail to an address, and presses its button.
async fn follow(app: &TestApp, email: &str) -> Answer {
    let token = app.latest_link_token(email).await;
    app.get(&format!("/verify-email?token={token}")).send().await.assert_status(200);
    press(app, &token).await
}

/// Opens a link, and presses the button whether or not the page shows one.
async fn press(app: &TestApp, token: &str) -> Answer {
    app.get(&format!("/verify-email?token={token}")).send().await;
    app.post("/verify-email").form(&format!("token={token}")).send().await
}

/// Ada, who has typed in her address.
async fn ada(app: &TestApp) -> PhonePerson {
    let ada = app.register_phone(ADA).await;
    app.open_account(&ada, EMAIL).await;
    ada
}

/// What the contract shows of somebody: it is shown at each login.
async fn verified_at(app: &TestApp) -> serde_json::Value {
    app.advance(MINUTE);
    app.send_login_code(ADA).await.assert_status(200);
    let code = app.latest_text_code(ADA).await;
    app.confirm("login/verify-code", ADA, &code).await.field("user.email_verified_at").clone()
}

const EMAILS: &str = "select count(*) from identifiers where kind = 'email'";

on_both_engines! {
    async fn an_address_that_was_typed_in_is_mailed_a_link(app: TestApp) {
        ada(&app).await;
        let mails = app.mails_to(EMAIL).await;
        assert_eq!((mails.len(), mails[0].message.template.as_str()), (1, "email_addition"));
        assert!(mails[0].code().is_none());
        let said = app.kernel().render(&mails[0]).unwrap().unwrap();
        let link = mails[0].link().unwrap();
        assert!(link.starts_with("https://id.example.com/verify-email?token=tga_"), "{link}");
        assert!(said.text().contains(link) && !said.text().contains("User"), "{}", said.text());
        assert_eq!(app.sql_count(EMAILS).await, 0, "it is nobody's until somebody follows it");
        assert_eq!(verified_at(&app).await, json!(null));
    }

    async fn following_the_link_makes_the_address_theirs_in_every_contract(app: TestApp) {
        let ada = ada(&app).await;
        me_rivergen(&app.client(), &ada.token).await.assert_error(403, "EMAIL_NOT_VERIFIED");
        let page = follow(&app, EMAIL).await;
        page.assert_status(200);
        assert!(page.text.contains("<h1>Thank you</h1>"), "{}", page.text);

        let me = me_rivergen(&app.client(), &ada.token).await;
        assert_eq!(me.assert_status(200).text_at("data.user.primary_email"), EMAIL);
        assert_eq!(me_ingestiq(&app.client(), &ada.token).await.text_at("user.email"), EMAIL);
        let whose = app.post("/v1/login/jwt/").bearer(&ada.token).send().await;
        whose.assert_status(200);
        assert_eq!(verified_at(&app).await, "2026-01-05T09:00:00.000000Z");
        // People press twice.
        follow(&app, EMAIL).await.assert_status(200);
        assert_eq!(app.sql_count(EMAILS).await, 1);
    }

    async fn with_an_address_and_a_reset_comes_a_password_for_every_contract(app: TestApp) {
        let ada = ada(&app).await;
        let id = me_ingestiq(&app.client(), &ada.token).await.text_at("user.id");
        follow(&app, EMAIL).await.assert_status(200);
        let body = json!({ "email": EMAIL });
        app.post("/api/v1/auth/forgot-password").json(&body).send().await.assert_status(200);
        let token = app.latest_link_token(EMAIL).await;
        let body = json!({ "token": token, "new_password": PASSWORD });
        app.post("/api/v1/auth/reset-password").json(&body).send().await.assert_status(204);

        let one = login_rivergen(&app.client(), EMAIL, PASSWORD).await;
        let one = one.assert_status(200).text_at("data.access_token");
        let other = login_ingestiq(&app.client(), EMAIL, PASSWORD).await;
        let other = other.assert_status(200).text_at("accessToken");
        let third = app.log_in("individual", EMAIL, json!({})).await;
        let third = third.assert_status(200).text_at("token");
        let fourth = { app.advance(MINUTE); app.sign_in_by_phone(ADA).await.token };
        for token in [one, other, third, fourth] {
            assert_eq!(me_ingestiq(&app.client(), &token).await.text_at("user.id"), id);
        }
        assert_eq!(app.sql_count("select count(*) from accounts").await, 1);
    }

    async fn before_the_link_is_followed_nobody_resets_a_password_with_the_address(app: TestApp) {
        ada(&app).await;
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": EMAIL })).send().await.assert_status(200);
        assert_eq!(app.templates_to(EMAIL).await, ["email_addition"]);
        login_rivergen(&app.client(), EMAIL, PASSWORD).await.assert_error(401, "INVALID_CREDENTIALS");
    }

    async fn whose_address_somebody_else_typed_in_can_still_sign_up_and_stays_apart(app: TestApp) {
        let stranger = ada(&app).await;
        let link = app.latest_link_token(EMAIL).await;
        let owner = app.sign_up_rivergen_verified(EMAIL).await;
        assert_eq!(app.sql_count("select count(*) from accounts").await, 2);
        let page = press(&app, &link).await;
        page.assert_status(400);
        assert!(page.text.contains("<h1>Link not valid</h1>"), "{}", page.text);
        me_rivergen(&app.client(), &stranger.token).await.assert_error(403, "EMAIL_NOT_VERIFIED");
        assert_eq!(verified_at(&app).await, json!(null), "it is verified, but not as theirs");
        let theirs = me_ingestiq(&app.client(), &stranger.token).await.text_at("user.id");
        assert_ne!(me_ingestiq(&app.client(), &owner.access_token).await.text_at("user.id"), theirs);
        let token = reworded(&app, &owner.access_token, |claims| claims.contract = ContractId::RIVEN).await;
        let phone = get_as(&app, &PhonePerson { token, phone: ADA.into() }, "account/profile").await;
        phone.assert_status(404);
    }

    async fn an_address_somebody_has_is_not_mailed(app: TestApp) {
        app.sign_up_rivergen_verified(EMAIL).await;
        app.sign_up_rivergen_verified("bob@example.com").await;
        for (phone, email) in [(ADA, "Ada@Example.com"), (BOB, "bob@example.com")] {
            let person = app.register_phone(phone).await;
            let before = app.mails_to(email).await.len();
            let user = app.open_account(&person, email).await;
            assert_eq!(app.mails_to(email).await.len(), before);
            assert_eq!(user["email"], email.to_lowercase());
            assert_eq!(user["email_verified_at"], json!(null));
        }
        assert_eq!(app.sql_count(EMAILS).await, 2);
    }

    async fn a_link_that_adds_an_address_lives_for_a_day(app: TestApp) {
        ada(&app).await;
        let link = app.latest_link_token(EMAIL).await;
        app.advance(DAY - SECOND);
        app.get(&format!("/verify-email?token={link}")).send().await.assert_status(200);
        app.advance(SECOND);
        let page = press(&app, &link).await;
        page.assert_status(410);
        assert!(page.text.contains("<h1>Link not valid</h1>"), "{}", page.text);
        assert_eq!(app.sql_count(EMAILS).await, 0);
    }

    async fn a_link_that_was_lost_is_mailed_again_at_a_login(app: TestApp) {
        ada(&app).await;
        assert_eq!(verified_at(&app).await, json!(null));
        assert_eq!(app.mails_to(EMAIL).await.len(), 1, "the first is still good");
        app.advance(DAY);
        assert_eq!(verified_at(&app).await, json!(null));
        assert_eq!(app.templates_to(EMAIL).await, ["email_addition", "email_addition"]);
        follow(&app, EMAIL).await.assert_status(200);
        assert_ne!(verified_at(&app).await, json!(null));
        app.advance(DAY);
        verified_at(&app).await;
        assert_eq!(app.mails_to(EMAIL).await.len(), 2, "now it is theirs");
    }

    async fn such_a_link_signs_nobody_in_and_is_for_nothing_else(app: TestApp) {
        ada(&app).await;
        let link = app.latest_link_token(EMAIL).await;
        let before = row_counts(&app).await;
        let body = json!({ "token": link });
        app.post("/api/v1/auth/verify-email").json(&body).send().await.assert_error(400, "INVALID_TOKEN");
        let body = json!({ "token": link, "new_password": PASSWORD });
        app.post("/api/v1/auth/reset-password").json(&body).send().await.assert_error(400, "INVALID_TOKEN");
        let body = json!({ "email": EMAIL, "code": link });
        app.post("/v1/accounts/verify/").json(&body).send().await.assert_error(404, "ACCOUNT_NOT_FOUND");
        assert_eq!(row_counts(&app).await, before);
        follow(&app, EMAIL).await.assert_status(200);
    }

    async fn without_a_way_to_mail_an_account_is_opened_all_the_same(engine: Engine) {
        let app = TestApp::builder(engine).mail_off().start().await;
        let ada = app.register_phone(ADA).await;
        let answer = app.create_account(&ada, &application(ADA, EMAIL)).await;
        assert_eq!(answer.assert_status(200).text_at("data.email"), EMAIL);
        assert_eq!(app.sql_count("select count(*) from outbox_messages where channel = 'email'").await, 0);
    }

    async fn an_address_got_elsewhere_meanwhile_is_not_changed_by_an_old_mail(app: TestApp) {
        let ada = ada(&app).await;
        let link = app.latest_link_token(EMAIL).await;
        app.sql(
            "insert into identifiers (id, account_id, kind, value, verified_at, is_primary, created_at)
             select id, id, 'email', 'other@example.com', 1, true, 1 from accounts",
        )
        .await;
        app.advance(2 * SECOND);
        press(&app, &link).await.assert_status(400);
        let me = me_rivergen(&app.client(), &ada.token).await;
        assert_eq!(me.assert_status(200).text_at("data.user.primary_email"), "other@example.com");
    }
}

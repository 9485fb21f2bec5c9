//! A stolen session changes the address of an account; the owner of the previous mailbox takes the account back.

use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{PASSWORD, Person, TestApp, on_both_engines};

use super::claims::CHOSEN;
use crate::cross_contract::{login_rivergen, me_rivergen};

const OWNER: &str = "ada@example.com";
const THIEF: &str = "thief@example.org";
const HOUR: Duration = Duration::from_secs(3_600);

/// Changes the account's address with its session and the new mailbox.
async fn change(app: &TestApp, who: &Person, to: &str) {
    let ask = json!({ "new_email": to });
    let request = app.post("/api/v1/auth/me/email/request").bearer(&who.access_token);
    request.json(&ask).send().await.assert_status(200);
    let prove = json!({ "new_email": to, "otp_code": app.latest_code(to).await });
    let request = app.post("/api/v1/auth/me/email/verify").bearer(&who.access_token);
    request.json(&prove).send().await.assert_status(200);
}

fn offered(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"token\" value=\"").expect("a form");
    rest.split_once('"').expect("a value").0.to_owned()
}

on_both_engines! {
    async fn the_previous_mailbox_takes_a_changed_address_back(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OWNER).await;
        app.advance(Duration::from_secs(60));
        change(&app, &ada, THIEF).await;
        let token = app.latest_link_token(OWNER).await;
        // The thief sets a password of their own: the way back is not closed by it.
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": THIEF })).send().await.assert_status(200);
        let claim = json!({ "token": app.latest_link_token(THIEF).await, "new_password": "Thief5horse!" });
        app.post("/api/v1/auth/reset-password").json(&claim).send().await.assert_status(204);
        let thief = login_rivergen(&app.client(), THIEF, "Thief5horse!").await;
        let thief = thief.assert_status(200).text_at("data.access_token");

        // Looking at the link changes nothing, however often; nor does a program that only asks for its head.
        for _ in 0..2 {
            let page = app.get(&format!("/restore-email?token={token}")).send().await;
            assert!(page.assert_status(200).text.contains(OWNER), "{}", page.text);
        }
        me_rivergen(&app.client(), &thief).await.assert_status(200);

        app.advance(23 * HOUR);
        let page = app.post("/restore-email").form(&format!("token={token}")).send().await;
        page.assert_status(200);
        app.advance(Duration::from_secs(2));
        me_rivergen(&app.client(), &thief).await.assert_error(401, "UNAUTHORIZED");
        login_rivergen(&app.client(), THIEF, "Thief5horse!").await.assert_error(401, "INVALID_CREDENTIALS");
        login_rivergen(&app.client(), OWNER, "Thief5horse!").await.assert_error(401, "INVALID_CREDENTIALS");
        let form = format!("token={}&new_password={CHOSEN}", offered(&page.text));
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        let login = login_rivergen(&app.client(), OWNER, CHOSEN).await;
        let me = me_rivergen(&app.client(), &login.assert_status(200).text_at("data.access_token")).await;
        assert_eq!(me.field("data.user.primary_email"), OWNER);
        assert!(!me.text.contains(THIEF), "{}", me.text);
        // It worked once; a repeat within a minute is taken for the same request.
        app.advance(Duration::from_secs(61));
        app.post("/restore-email").form(&format!("token={token}")).send().await.assert_status(400);
        // The thief's address is free for whoever proves it.
        app.sign_up_rivergen_verified(THIEF).await;
    }

    // What the thief added since signs in no more; what the owner had before still does.
    async fn factors_that_the_thief_added_go_and_those_of_the_owner_stay(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OWNER).await;
        let phone = app.enrol_totp(&ada, "Ada's phone").await;
        app.advance(Duration::from_secs(60));
        change(&app, &ada, THIEF).await;
        let token = app.latest_link_token(OWNER).await;
        app.advance(Duration::from_secs(60));
        app.enrol_totp(&ada, "Thief's phone").await;
        let thief = Person { email: THIEF.to_owned(), ..ada.clone() };
        app.enrol_email_otp(&thief).await;
        app.advance(Duration::from_secs(300));
        let pending = json!({ "device_name": "Another" });
        let set_up = app.post("/api/v1/mfa/totp/setup").bearer(&ada.access_token).json(&pending).send().await;
        set_up.assert_status(200);

        let page = app.post("/restore-email").form(&format!("token={token}")).send().await;
        let form = format!("token={}&new_password={CHOSEN}", offered(&page.assert_status(200).text));
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        assert!(app.templates_to(OWNER).await.contains(&"factor_removed".to_owned()));
        assert_eq!(app.sql_count("select count(*) from second_factors").await, 1);
        // The thief's set-up replaced the owner's backup codes: those that replaced them are the thief's.
        assert_eq!(app.sql_count("select count(*) from recovery_codes").await, 0);
        let login = login_rivergen(&app.client(), OWNER, CHOSEN).await;
        assert_eq!(login.assert_status(200).field("data.available_methods"), &json!(["totp"]));
        let token = app.choose_factor(&login.text_at("data.temporary_token"), "totp").await;
        app.show_factor(&token, "code", &phone.code(app.now())).await.assert_status(200);
    }

    async fn an_account_whose_only_factor_is_the_thiefs_asks_for_none(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OWNER).await;
        app.advance(Duration::from_secs(60));
        change(&app, &ada, THIEF).await;
        let token = app.latest_link_token(OWNER).await;
        app.enrol_totp(&ada, "Thief's phone").await;
        let page = app.post("/restore-email").form(&format!("token={token}")).send().await;
        let form = format!("token={}&new_password={CHOSEN}", offered(&page.assert_status(200).text));
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        login_rivergen(&app.client(), OWNER, CHOSEN).await.assert_status(200).text_at("data.access_token");
        for table in ["second_factors", "recovery_codes"] {
            assert_eq!(app.sql_count(&format!("select count(*) from {table}")).await, 0, "{table}");
        }
    }

    // The second link would let the caller of the first change take the account back from its owner.
    async fn of_several_changes_the_first_mailbox_has_the_last_word(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OWNER).await;
        app.advance(Duration::from_secs(60));
        change(&app, &ada, THIEF).await;
        let first = app.latest_link_token(OWNER).await;
        app.advance(Duration::from_secs(60));
        change(&app, &ada, "second@example.org").await;
        let notice = app.mails_to(THIEF).await.remove(0);
        assert_eq!((notice.message.template.as_str(), notice.link()), ("email_changed", None), "no second link");
        app.post("/restore-email").form(&format!("token={first}")).send().await.assert_status(200);
        let login = login_rivergen(&app.client(), "second@example.org", PASSWORD).await;
        login.assert_error(401, "INVALID_CREDENTIALS");
        // Those who lost it hear of it.
        assert_eq!(app.templates_to("second@example.org").await[0], "email_changed");
    }

    async fn an_owner_who_changes_the_address_back_leaves_the_thief_no_link(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OWNER).await;
        app.advance(Duration::from_secs(60));
        change(&app, &ada, THIEF).await;
        let link = app.latest_link_token(OWNER).await;
        app.advance(Duration::from_secs(60));
        change(&app, &ada, OWNER).await;
        let notice = app.mails_to(THIEF).await.remove(0);
        assert_eq!((notice.message.template.as_str(), notice.link()), ("email_changed", None));
        assert_eq!(app.sql_count("select count(*) from challenges where purpose = 'restore_email'").await, 0);
        app.post("/restore-email").form(&format!("token={link}")).send().await.assert_status(400);
    }

    async fn a_disabled_account_is_restored_by_nobody(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OWNER).await;
        app.advance(Duration::from_secs(60));
        change(&app, &ada, THIEF).await;
        let link = app.latest_link_token(OWNER).await;
        app.sql("update accounts set disabled_at = 1").await;
        app.post("/restore-email").form(&format!("token={link}")).send().await.assert_status(400);
        app.sql("update accounts set disabled_at = null").await;
        app.post("/restore-email").form(&format!("token={link}")).send().await.assert_status(200);
    }

    // Requests for further changes fill the limits of the owner's mailbox; the notice with the link comes all the same.
    async fn nobody_fills_the_mailbox_to_keep_the_link_away(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OWNER).await;
        app.advance(Duration::from_secs(60));
        for number in 0..30 {
            let ask = json!({ "new_email": format!("m{number}@example.org") });
            let request = app.post("/api/v1/auth/me/email/request").bearer(&ada.access_token);
            request.json(&ask).send().await.assert_status(200);
            app.advance(Duration::from_secs(101));
        }
        change(&app, &ada, THIEF).await;
        let notice = app.mails_to(OWNER).await.remove(0);
        assert_eq!((notice.message.template.as_str(), notice.message.is_discarded()), ("email_changed", false));
        assert!(notice.link().is_some());
    }

    async fn the_way_back_ends_after_a_day_and_knows_no_other_token(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OWNER).await;
        app.advance(Duration::from_secs(60));
        change(&app, &ada, THIEF).await;
        let token = app.latest_link_token(OWNER).await;
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": THIEF })).send().await.assert_status(200);
        let reset = app.latest_link_token(THIEF).await;
        for wrong in [&reset, "", "tgu_0"] {
            app.get(&format!("/restore-email?token={wrong}")).send().await.assert_status(400);
            app.post("/restore-email").form(&format!("token={wrong}")).send().await.assert_status(400);
        }
        // Nor does this token reset a password.
        let claim = json!({ "token": token, "new_password": CHOSEN });
        app.post("/api/v1/auth/reset-password").json(&claim).send().await.assert_error(400, "INVALID_TOKEN");
        app.advance(24 * HOUR);
        app.get(&format!("/restore-email?token={token}")).send().await.assert_status(400);
        app.post("/restore-email").form(&format!("token={token}")).send().await.assert_status(400);
    }

    // A phone that an attacker added stays able to sign in after a reset, unless the reset says otherwise.
    async fn a_reset_through_an_api_removes_the_phones_if_asked_to(app: TestApp) {
        app.register_phone("+254712345678").await;
        let ada = app.sign_up_rivergen_verified(OWNER).await;
        app.sql(
            "update identifiers set account_id = (select account_id from identifiers where kind = 'email' limit 1)
             where kind = 'phone'",
        )
        .await;
        app.advance(Duration::from_secs(3));
        let me = me_rivergen(&app.client(), &ada.access_token).await;
        assert_eq!(me.assert_status(200).field("data.phones").as_array().map(Vec::len), Some(1), "{}", me.text);
        assert!(!me.text.contains("254712345678"), "masked: {}", me.text);

        for (remove, left) in [(false, 1), (true, 0)] {
            app.post("/api/v1/auth/forgot-password").json(&json!({ "email": OWNER })).send().await.assert_status(200);
            let token = app.latest_link_token(OWNER).await;
            let claim = json!({ "token": token, "new_password": CHOSEN, "remove_phones": remove });
            app.post("/api/v1/auth/reset-password").json(&claim).send().await.assert_status(204);
            assert_eq!(app.sql_count("select count(*) from identifiers where kind = 'phone'").await, left);
        }
    }
}

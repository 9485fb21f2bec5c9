//! Security mails, and the link in them.

use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};

use super::super::wire::{lets_in, sign_in, tokens, wait};
use super::*;

/// The templates of the newest mails, newest first.
async fn newest(app: &TestApp, count: usize) -> Vec<String> {
    app.templates_to(ADA).await.into_iter().take(count).collect()
}

/// What the newest mail says.
async fn newest_text(app: &TestApp) -> String {
    let mails = app.mails_to(ADA).await;
    app.kernel().render(&mails[0]).unwrap().unwrap().text().to_owned()
}

async fn press(app: &TestApp, token: &str) -> Answer {
    app.post("/secure-account").form(&format!("token={token}")).send().await
}

on_both_engines! {
    async fn the_owner_hears_of_factors_that_come_and_go(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        assert_eq!(newest(&app, 1).await, ["factor_added"]);
        let text = newest_text(&app).await;
        for part in ["authenticator app (Phone)", "5 January 2026", "198.51.100.7", "/secure-account?token="] {
            assert!(text.contains(part), "{part}: {text}");
        }
        app.enrol_email_otp(&ada).await;
        assert_eq!(newest(&app, 1).await, ["factor_added"]);
        post_as(&app, &ada, "auth/mfa/deactivate", &json!({})).send().await.assert_status(200);
        assert_eq!(newest(&app, 1).await, ["factor_removed"]);
        let text = newest_text(&app).await;
        assert!(text.contains("authenticator app (Phone)") && text.contains("codes by e-mail"), "{text}");
    }

    async fn the_owner_hears_of_every_backup_code_and_of_the_last_but_two(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        for (place, code) in phone.backup_codes.iter().take(8).enumerate() {
            let body = json!({ "backup_code": code });
            post_as(&app, &ada, "mfa/backup-codes/verify", &body).send().await.assert_status(200);
            if place < 7 {
                assert_eq!(newest(&app, 1).await, ["recovery_code_used"]);
            }
        }
        let mut last = newest(&app, 2).await;
        last.sort();
        assert_eq!(last, ["recovery_code_used", "recovery_codes_low"]);
    }

    async fn the_owner_hears_of_a_new_device(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        sign_in_with(&app, &ada, &phone).await.assert_status(200);
        assert_eq!(newest(&app, 1).await, ["new_device"]);
        let mails = app.templates_to(ADA).await.len();
        sign_in_with(&app, &ada, &phone).await.assert_status(200);
        assert_eq!(app.templates_to(ADA).await.len(), mails, "a network that was used before is no news");
        app.advance(STEP);
        let elsewhere = app.client().at("203.0.113.77");
        let claim = json!({ "email": ADA, "password": ada.password });
        let token = elsewhere.post(&url("auth/login")).json(&claim).send().await.text_at("data.temporary_token");
        let claim = json!({ "temporary_token": token, "code": phone.code(app.now()) });
        let answer = elsewhere.post(&url("auth/mfa/verify")).json(&claim).send().await;
        assert_eq!(newest(&app, 1).await, ["new_device"]);
        assert!(newest_text(&app).await.contains("203.0.113.77"));
        let token = json!({ "activation_token": answer.text_at("data.trusted_device.activation_token") });
        let ada = tokens(&ada, &answer);
        post_as(&app, &ada, "devices/activate", &token).send().await.assert_status(200);
        assert_eq!(newest(&app, 1).await, ["new_device"]);
        assert!(newest_text(&app).await.contains("For 30 days"));
    }

    async fn kinds_of_factors_are_called_in_the_owners_language(app: TestApp) {
        let claim = json!({ "email": ADA, "password": tidegate_testkit::PASSWORD, "display_name": "Ada" });
        let signed_up = post(&app, "auth/signup", &claim).header("accept-language", "sw").send().await;
        let token = signed_up.assert_status(201).text_at("data.temporary_token");
        let claim = json!({ "temporary_token": token, "otp_code": app.latest_code(ADA).await });
        let answer = post(&app, "auth/verify-otp", &claim).send().await;
        let access_token = answer.assert_status(200).text_at("data.access_token");
        let ada = Person {
            email: ADA.to_owned(),
            password: tidegate_testkit::PASSWORD.to_owned(),
            access_token,
            refresh_token: String::new(),
            user_id: String::new(),
        };
        app.enrol_totp(&ada, "Simu").await;
        let text = newest_text(&app).await;
        assert!(text.contains("programu ya misimbo (Simu)") && !text.contains("authenticator"), "{text}");
        app.enrol_email_otp(&ada).await;
        post_as(&app, &ada, "auth/mfa/deactivate", &json!({})).send().await.assert_status(200);
        let text = newest_text(&app).await;
        assert!(text.contains("misimbo kwa barua pepe") && !text.contains("codes by"), "{text}");
    }

    async fn the_link_ends_all_sessions_and_starts_the_recovery(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let thief = sign_in(&app, &ada).await;
        app.enrol_totp(&thief, "Thief's phone").await;
        let link = app.latest_link_token(ADA).await;
        // Looking at the link does nothing: mail programs do.
        app.get(&format!("/secure-account?token={link}")).send().await.assert_status(200);
        for wrong in ["", "tgs_0"] {
            app.get(&format!("/secure-account?token={wrong}")).send().await.assert_status(400);
        }
        assert!(lets_in(&app, &thief).await);
        let page = press(&app, &link).await;
        assert!(page.assert_status(200).text.contains("signed out everywhere"), "{}", page.text);
        wait(&app, 2);
        assert!(!lets_in(&app, &thief).await && !lets_in(&app, &ada).await);
        assert_eq!(newest(&app, 1).await, ["password_reset"]);
        let body = json!({ "token": app.latest_link_token(ADA).await, "new_password": "Battery2staple!" });
        post(&app, "auth/reset-password", &body).send().await.assert_status(204);
        press(&app, &link).await.assert_status(400);
        assert_eq!(app.sql_count("select count(*) from audit_events where action = 'account.secured'").await, 1);
    }

    async fn a_link_that_secures_nothing_any_more_says_what_does(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        let link = app.latest_link_token(ADA).await;
        let look = async |token: &str| app.get(&format!("/secure-account?token={token}")).send().await;
        let advice = ["choose “forgot password” where you sign in", "ask support for help"];
        let says = |page: &Answer, why: &str| {
            page.assert_status(400);
            for part in [&[why][..], &advice].concat() {
                assert!(page.text.contains(part), "{part}: {}", page.text);
            }
        };
        says(&look("tgs_0").await, "was not copied completely");
        says(&press(&app, "tgs_0").await, "was not copied completely");
        press(&app, &link).await.assert_status(200);
        says(&look(&link).await, "was used already: it signed you out everywhere");
        says(&press(&app, &link).await, "was used already");
        app.sql("update challenges set consumed_at = null where purpose = 'secure_account'").await;
        app.advance(std::time::Duration::from_secs(7 * 24 * 3_600));
        says(&look(&link).await, "has expired");
        says(&press(&app, &link).await, "has expired");
    }

    // The thief changes the password first, so that the owner's link would be the last way back.
    async fn the_link_outlives_a_change_of_the_password_and_lives_for_a_week(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        let link = app.latest_link_token(ADA).await;
        let body = json!({ "current_password": ada.password, "new_password": "Battery2staple!" });
        post_as(&app, &ada, "auth/change-password", &body).send().await.assert_status(200);
        wait(&app, 7 * 24 * 3_600 - 1);
        press(&app, &link).await.assert_status(200);
        let bob = app.sign_up_rivergen_verified(BOB).await;
        app.enrol_totp(&bob, "Phone").await;
        let link = app.latest_link_token(BOB).await;
        wait(&app, 7 * 24 * 3_600);
        press(&app, &link).await.assert_status(400);
        press(&app, "guess").await.assert_status(400);
    }

    async fn an_address_that_is_the_accounts_no_more_gets_no_reset(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        let link = app.latest_link_token(ADA).await;
        let body = json!({ "new_email": "thief@example.com" });
        post_as(&app, &ada, "auth/me/email/request", &body).send().await.assert_status(200);
        let code = app.latest_code("thief@example.com").await;
        let body = json!({ "new_email": "thief@example.com", "otp_code": code });
        post_as(&app, &ada, "auth/me/email/verify", &body).send().await.assert_status(200);
        let before = app.sql_count("select count(*) from outbox_messages where template = 'password_reset'").await;
        assert!(press(&app, &link).await.assert_status(200).text.contains("ask support"));
        let after = app.sql_count("select count(*) from outbox_messages where template = 'password_reset'").await;
        assert_eq!(before, after);
        wait(&app, 2);
        assert!(!lets_in(&app, &ada).await);
    }
}

//! What a caller who never showed a mailbox has set up there, and what is left of it when its owner comes.

use std::collections::BTreeSet;

use serde_json::json;
use tidegate_identity::recovery::footholds::Foothold;
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};

use super::claims::{CHOSEN, MALLORY, SECOND, VICTIM, forgot, mallory, reset};
use crate::cross_contract::{login_ingestiq, login_rivergen, me_ingestiq, me_rivergen};

const PHONE: &str = "+254712345678";
const MASKED: &str = "*****";
const LURE: &str = "Your account is blocked, call +1-900";

/// The button on the page that a link in a mail leads to.
async fn press(app: &TestApp, token: &str) -> tidegate_testkit::Answer {
    app.post("/verify-email").form(&format!("token={token}")).send().await
}

/// The token in the form that a page asks for a password with.
fn offered(page: &tidegate_testkit::Answer) -> String {
    let (_, rest) = page.text.split_once("name=\"token\" value=\"").expect("a form");
    rest.split_once('"').expect("a value").0.to_owned()
}

on_both_engines! {
    // Registered with the victim's address where nobody asks for a proof, and waited for the victim to press the button.
    async fn confirming_an_address_leaves_a_stranger_neither_session_nor_password(app: TestApp) {
        let stranger = app.register_ingestiq(VICTIM).await;
        login_rivergen(&app.client(), VICTIM, PASSWORD).await.assert_status(200);
        me_rivergen(&app.client(), &stranger.access_token).await.assert_error(403, "EMAIL_NOT_VERIFIED");

        let page = press(&app, &app.latest_link_token(VICTIM).await).await;
        page.assert_status(200);
        app.advance(2 * SECOND);
        me_rivergen(&app.client(), &stranger.access_token).await.assert_error(401, "UNAUTHORIZED");
        me_ingestiq(&app.client(), &stranger.access_token).await.assert_status(401);
        let body = json!({ "refreshToken": stranger.refresh_token });
        app.post("/api/v2/auth/refresh").json(&body).send().await.assert_status(401);
        login_rivergen(&app.client(), VICTIM, PASSWORD).await.assert_error(401, "INVALID_CREDENTIALS");
        login_ingestiq(&app.client(), VICTIM, PASSWORD).await.assert_status(401);

        // The owner chooses a password where they pressed the button.
        let form = format!("token={}&new_password={CHOSEN}", offered(&page));
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        let login = login_rivergen(&app.client(), VICTIM, CHOSEN).await;
        let me = me_rivergen(&app.client(), &login.assert_status(200).text_at("data.access_token")).await;
        assert!(!me.assert_status(200).text.contains("Lovelace"), "{}", me.text);
    }

    async fn a_link_keeps_the_password_of_the_caller_who_holds_the_sign_ups_token(app: TestApp) {
        let ada = app.sign_up_rivergen(VICTIM).await;
        let body = json!({ "token": app.latest_link_token(VICTIM).await, "temporary_token": ada.temporary_token });
        app.post("/api/v1/auth/verify-email").json(&body).send().await.assert_status(200);
        login_rivergen(&app.client(), VICTIM, PASSWORD).await.assert_status(200);

        app.sign_up_rivergen("bob@example.com").await;
        let body = json!({
            "token": app.latest_link_token("bob@example.com").await, "temporary_token": ada.temporary_token,
        });
        app.post("/api/v1/auth/verify-email").json(&body).send().await.assert_status(200);
        login_rivergen(&app.client(), "bob@example.com", PASSWORD).await.assert_error(401, "INVALID_CREDENTIALS");
    }

    async fn whoever_confirms_with_code_and_token_ends_older_sessions_and_keeps_the_password(app: TestApp) {
        let older = app.register_ingestiq(VICTIM).await;
        let login = login_rivergen(&app.client(), VICTIM, PASSWORD).await;
        let token = login.assert_status(200).text_at("data.temporary_token");
        let body = json!({ "temporary_token": token, "otp_code": app.latest_code(VICTIM).await });
        let confirmed = app.post("/api/v1/auth/verify-otp").json(&body).send().await;
        confirmed.assert_status(200);
        app.advance(2 * SECOND);
        me_ingestiq(&app.client(), &older.access_token).await.assert_status(401);
        me_ingestiq(&app.client(), &confirmed.text_at("data.access_token")).await.assert_status(200);
        login_ingestiq(&app.client(), VICTIM, PASSWORD).await.assert_status(200);
    }

    async fn a_strangers_words_are_in_no_mail_to_the_owner_who_takes_the_account_over(app: TestApp) {
        let body = json!({ "email": VICTIM, "password": PASSWORD, "name": LURE });
        app.post("/api/v2/auth/register").json(&body).send().await.assert_status(201);
        login_rivergen(&app.client(), VICTIM, PASSWORD).await.assert_status(200);
        let token = forgot(&app, VICTIM).await;
        reset(&app, &token, CHOSEN).await.assert_status(204);
        assert_eq!(app.templates_to(VICTIM).await, ["password_changed", "password_reset", "sign_up_code"]);
        for mail in app.mails_to(VICTIM).await {
            let values = format!("{:?}", mail.values);
            let said = app.kernel().render(&mail).unwrap().unwrap();
            assert!(!said.text().contains("blocked") && !said.html().unwrap().contains("blocked"), "{}", said.text());
            assert!(!values.contains("blocked"), "no template can show it: {values}");
        }
        let login = login_rivergen(&app.client(), VICTIM, CHOSEN).await;
        let me = me_rivergen(&app.client(), &login.assert_status(200).text_at("data.access_token")).await;
        assert!(!me.assert_status(200).text.contains("blocked"), "{}", me.text);
    }

    async fn the_code_for_a_new_address_calls_nobody_by_name(app: TestApp) {
        let body = json!({ "email": MALLORY, "password": PASSWORD, "display_name": LURE });
        let answer = app.post("/api/v1/auth/signup").json(&body).send().await;
        let body = json!({
            "temporary_token": answer.assert_status(201).text_at("data.temporary_token"),
            "otp_code": app.latest_code(MALLORY).await,
        });
        let answer = app.post("/api/v1/auth/verify-otp").json(&body).send().await;
        let token = answer.assert_status(200).text_at("data.access_token");
        let request = app.post("/api/v1/auth/me/email/request").bearer(&token);
        request.json(&json!({ "new_email": VICTIM })).send().await.assert_status(200);
        for mail in app.mails_to(VICTIM).await {
            assert!(!format!("{:?}", mail.values).contains("blocked"));
        }
    }

    // Named the victim's address in an application; the victim pressed the button.
    async fn a_phone_is_named_before_it_gets_an_address_and_can_be_removed_by_a_reset(app: TestApp) {
        let stranger = app.register_phone(PHONE).await;
        app.open_account(&stranger, VICTIM).await;
        let link = app.latest_link_token(VICTIM).await;
        let mails = app.mails_to(VICTIM).await;
        let said = app.kernel().render(&mails[0]).unwrap().unwrap();
        let page = app.get(&format!("/verify-email?token={link}")).send().await;
        for text in [said.text(), said.html().unwrap(), &page.text] {
            assert!(text.contains(MASKED) && text.contains("can still sign in"), "{text}");
            assert!(!text.contains("712345678"), "masked: {text}");
        }
        press(&app, &link).await.assert_status(200);

        // Pressed all the same. The page of a reset tells of the phone, and so does the mail after it.
        let token = forgot(&app, VICTIM).await;
        let page = app.get(&format!("/reset-password?token={token}")).send().await;
        assert!(page.text.contains(MASKED) && page.text.contains("name=\"remove_phones\""), "{}", page.text);
        reset(&app, &token, CHOSEN).await.assert_status(204);
        let mails = app.mails_to(VICTIM).await;
        assert!(app.kernel().render(&mails[0]).unwrap().unwrap().text().contains(MASKED));

        let token = forgot(&app, VICTIM).await;
        let form = format!("token={token}&new_password={CHOSEN}2&remove_phones=yes");
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        app.advance(60 * SECOND);
        me_ingestiq(&app.client(), &stranger.token).await.assert_status(401);
        app.send_login_code(PHONE).await.assert_status(200);
        assert_eq!(app.sql_count("select count(*) from identifiers where kind = 'phone'").await, 0);
        login_rivergen(&app.client(), VICTIM, &format!("{CHOSEN}2")).await.assert_status(200);
    }

    async fn the_owner_hears_of_every_program_and_key(app: TestApp) {
        let mallory = mallory(&app).await;
        let before = app.mails_to(MALLORY).await.len();
        let program = json!({ "name": "backdoor", "role": "manager", "password": PASSWORD });
        let request = app.post("/v1/accounts/service/").bearer(&mallory.access_token).json(&program);
        request.send().await.assert_status(200);
        let request = app.post("/v1/accounts/service/keys/").bearer(&mallory.access_token);
        request.json(&json!({ "name": "backdoor" })).send().await.assert_status(200);
        let mails = app.mails_to(MALLORY).await;
        assert_eq!(mails.len(), before + 2);
        for (mail, made) in mails.iter().zip(["key", "program"]) {
            assert_eq!(mail.message.template, "credential_made");
            let said = app.kernel().render(mail).unwrap().unwrap();
            assert!(said.text().contains("backdoor") && said.text().contains(made), "{}", said.text());
        }
        // However many are made, the owner's mailbox is not flooded.
        for number in 0..10 {
            let program = json!({ "name": format!("p{number}"), "role": "backend" });
            let request = app.post("/v1/accounts/service/").bearer(&mallory.access_token).json(&program);
            request.send().await.assert_status(200);
        }
        assert_eq!(app.mails_to(MALLORY).await.len(), before + 5);
        forgot(&app, MALLORY).await;
        assert_eq!(app.templates_to(MALLORY).await[0], "password_reset", "nor is their own mail kept from them");
    }

    // Registered the address and never proved it; its owner has a phone.
    async fn an_address_nobody_has_proven_goes_to_the_account_that_proves_it(app: TestApp) {
        let squatter = app.register_ingestiq(VICTIM).await;
        let owner = app.register_phone(PHONE).await;
        app.open_account(&owner, VICTIM).await;
        assert_eq!(app.templates_to(VICTIM).await, ["email_addition"]);
        press(&app, &app.latest_link_token(VICTIM).await).await.assert_status(200);
        app.advance(2 * SECOND);
        me_ingestiq(&app.client(), &squatter.access_token).await.assert_status(401);
        login_ingestiq(&app.client(), VICTIM, PASSWORD).await.assert_status(401);
        let me = me_rivergen(&app.client(), &owner.token).await;
        assert_eq!(me.assert_status(200).text_at("data.user.primary_email"), VICTIM);
        let ended = "select count(*) from accounts where disabled_at is not null";
        assert_eq!(app.sql_count(ended).await, 1, "it had nothing else to sign in with");
    }

    async fn a_change_to_an_address_nobody_has_proven_is_a_proof_too(app: TestApp) {
        app.register_ingestiq(VICTIM).await;
        let owner = app.sign_up_rivergen_verified("old@corp.example").await;
        let request = app.post("/api/v1/auth/me/email/request").bearer(&owner.access_token);
        request.json(&json!({ "new_email": VICTIM })).send().await.assert_status(200);
        let body = json!({ "new_email": VICTIM, "otp_code": app.latest_code(VICTIM).await });
        let request = app.post("/api/v1/auth/me/email/verify").bearer(&owner.access_token);
        request.json(&body).send().await.assert_status(200);
        app.advance(2 * SECOND);
        let login = login_rivergen(&app.client(), VICTIM, PASSWORD).await;
        let token = login.assert_status(200).text_at("data.access_token");
        let id = me_ingestiq(&app.client(), &token).await.text_at("user.id");
        assert_eq!(id, me_ingestiq(&app.client(), &owner.access_token).await.text_at("user.id"));
    }

    async fn every_table_of_an_account_is_classified(engine: Engine) {
        let app = TestApp::start(engine).await;
        let query = match engine {
            Engine::Sqlite => {
                "select m.name from sqlite_master m join pragma_table_info(m.name) c
                 where m.type = 'table' and c.name = 'account_id'"
            }
            Engine::Postgres => {
                "select table_name::text from information_schema.columns
                 where column_name = 'account_id' and table_schema = current_schema()"
            }
        };
        let found: BTreeSet<String> = app.database.sql_texts(query).await.into_iter().collect();
        let listed: BTreeSet<String> = Foothold::ALL.iter().map(|foothold| foothold.table().to_owned()).collect();
        assert_eq!(found, listed, "classify the table in identity's recovery/footholds.rs");
    }
}

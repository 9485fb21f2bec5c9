//! What becomes of passkeys when an account is recovered, exported or deleted.

use serde_json::json;
use tidegate_domain::EmailAddress;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_identity::recovery::reset_factors::{FactorReset, FactorsRemoved};
use tidegate_kernel::Call;
use tidegate_testkit::{TestApp, on_both_engines};

use super::super::wire::{post, sign_in, wait};
use super::*;

/// Asks for a new password, and answers the token of the link.
async fn forgot(app: &TestApp) -> String {
    post(app, "auth/forgot-password", &json!({ "email": ADA })).send().await.assert_status(200);
    app.latest_link_token(ADA).await
}

async fn passkeys(app: &TestApp) -> i64 {
    app.sql_count("select count(*) from passkeys").await
}

on_both_engines! {
    // Whoever reads the mailbox must not get rid of the owner's passkeys by it; the owner may.
    async fn a_reset_keeps_passkeys_unless_it_is_asked_to_remove_them(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let token = forgot(&app).await;
        let page = app.get(&format!("/reset-password?token={token}")).send().await;
        let asked = "Passkeys that can sign in, too: 1. Remove them.";
        assert!(page.assert_status(200).text.contains(asked), "{}", page.text);
        let body = json!({ "token": token, "new_password": "Battery2staple!" });
        post(&app, "auth/reset-password", &body).send().await.assert_status(204);
        app.sign_in_with_passkey(Some(ADA), &mut phone).await.assert_status(200);
        let mails = app.mails_to(ADA).await;
        let changed = mails.iter().find(|mail| mail.message.template == "password_changed").unwrap();
        let text = app.kernel().render(changed).unwrap().unwrap().text().to_owned();
        assert!(text.contains("Passkeys that can sign in, too: 1."), "{text}");

        let body = json!({ "token": forgot(&app).await, "new_password": "Battery3staple!", "remove_passkeys": true });
        post(&app, "auth/reset-password", &body).send().await.assert_status(204);
        assert_eq!(passkeys(&app).await, 0);
    }

    async fn the_page_removes_passkeys_when_the_box_is_ticked(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_passkey(&ada, "Phone").await;
        let token = forgot(&app).await;
        let form = format!("token={token}&new_password=Battery2staple!&remove_passkeys=on");
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        assert_eq!(passkeys(&app).await, 0);
        let page = app.get(&format!("/reset-password?token={}", forgot(&app).await)).send().await;
        assert!(!page.text.contains("Passkeys"), "there is none to remove");
    }

    // The attack: a thief with a stolen session registers a passkey, which would outlive the end of all sessions.
    async fn the_link_in_the_notice_removes_what_was_added_since(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut own = app.enrol_passkey(&ada, "Own").await;
        wait(&app, 60);
        let thief = sign_in(&app, &ada).await;
        let mut first = app.enrol_passkey(&thief, "Thief's").await;
        let link = app.latest_link_token(ADA).await;
        wait(&app, 60);
        let mut second = app.enrol_passkey(&thief, "Thief's second").await;
        app.post("/secure-account").form(&format!("token={link}")).send().await.assert_status(200);
        for stolen in [&mut first, &mut second] {
            let refused = app.sign_in_with_passkey(Some(ADA), stolen).await;
            assert_refused(&app, &refused, (401, "INVALID_CREDENTIAL"));
        }
        app.sign_in_with_passkey(Some(ADA), &mut own).await.assert_status(200);
    }

    async fn an_operator_removes_lost_passkeys_and_the_owner_is_told(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_passkey(&ada, "Lost phone").await;
        let call = Call::from_cli(app.kernel().settings().contracts.of_installation());
        let email = EmailAddress::parse(ADA).unwrap();
        let removed = app.identity().reset_factors(&call, &email).await.unwrap();
        let lost = FactorsRemoved { kinds: Vec::new(), passkeys: vec!["Lost phone".to_owned()] };
        assert_eq!(removed, FactorReset::Done(lost));
        assert_eq!(app.templates_to(ADA).await[0], "passkey_removed");
        assert_eq!(passkeys(&app).await, 0);
    }

    async fn an_export_has_the_passkeys_and_no_key(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_passkey(&ada, "Phone").await;
        let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
        let name = AccountName::Login(EmailAddress::parse(ADA).unwrap().into());
        let export = app.identity().export_account(&operator, &name).await.unwrap();
        assert_eq!(export["second_factors"]["passkeys"], json!([{
            "name": "Phone",
            "aaguid": "00000000-0000-0000-0000-000000000000",
            "backed_up": false,
            "created_at": app.now().iso_seconds(),
            "last_used_at": null,
            "use_count": 0,
        }]));
    }

    async fn a_deleted_accounts_passkey_signs_in_no_more(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
        let name = AccountName::Login(EmailAddress::parse(ADA).unwrap().into());
        app.identity().delete_account_for_operator(&operator, &name).await.unwrap();
        assert_eq!(passkeys(&app).await, 0);
        let refused = app.sign_in_with_passkey(None, &mut phone).await;
        assert_refused(&app, &refused, (401, "INVALID_CREDENTIAL"));
    }
}

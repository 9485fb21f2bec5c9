//! What is kept of a sign-in by a provider, and until when.

use serde_json::json;
use tidegate_domain::EmailAddress;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_testkit::{Engine, on_both_engines};

use super::*;
use crate::rivergen::wire::wait;
use crate::secrets::{everything_stored, hexadecimal, leak};
use crate::watch::Log;

fn operator(app: &TestApp) -> (Operator, AccountName) {
    let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
    (operator, AccountName::Login(EmailAddress::parse(ADA).unwrap().into()))
}

/// The owner sets a new password by mail.
async fn reset_password(social: &Social) {
    social.post("auth/forgot-password", &json!({ "email": ADA })).await.assert_status(200);
    let token = social.app.latest_link_token(ADA).await;
    let body = json!({ "token": token, "new_password": "Battery2staple!" });
    social.post("auth/reset-password", &body).await.assert_status(204);
}

on_both_engines! {
    async fn nothing_that_lets_in_is_stored_in_plain_or_logged(engine: Engine) {
        let log = Log::listen();
        let social = Social::with(engine, |_| (), Builder::without_limits).await;
        let mut secrets = vec!["client+secret 100%".to_owned(), "client%2Bsecret".to_owned(), "hunter2".to_owned()];
        for provider in PROVIDERS {
            social.stub(provider).behave(|behaviour| behaviour.sends_iss = true);
            let begun = social.begin(provider, "").await;
            let address = begun.text_at("data.oauth_url");
            let returned = social.stub(provider).authorize(&address);
            secrets.push(returned.get("state").to_owned());
            secrets.push(returned.get("code").to_owned());
            secrets.extend(address.split("nonce=").nth(1).map(|rest| rest.split('&').next().unwrap().to_owned()));
            secrets.push(begun.header("set-cookie").split(['=', ';']).nth(1).unwrap().to_owned());
            social.bring(provider, &returned).await.assert_status(200);
            social.bring(provider, &returned).await.assert_status(400);
        }
        // What every stub's tokens have in them, whoever the person is.
        secrets.extend(["-access-token-", "-refresh-token"].map(str::to_owned));
        let hex: Vec<String> = secrets.iter().map(|secret| hexadecimal(secret)).collect();
        for line in log.lines() {
            assert_eq!(leak(&line, &secrets), None, "in the log: {line}");
        }
        for (place, text) in everything_stored(&social.app).await {
            assert_eq!(leak(&text, &secrets), None, "in {place}: {text}");
            assert_eq!(leak(&text, &hex), None, "in the bytes of {place}: {text}");
        }
    }

    async fn an_export_has_the_accounts_and_no_token(social: Social) {
        social.sign_in("google").await.assert_status(200);
        let (operator, name) = operator(&social.app);
        let export = social.app.identity().export_account(&operator, &name).await.unwrap();
        let now = social.app.now().iso_seconds();
        assert_eq!(export["social_accounts"], json!([{
            "provider": "google", "email": ADA, "display_name": "Ada Lovelace",
            "subject": "583231", "connected_at": now, "last_used_at": now, "disconnected_at": null, "blocked_at": null,
        }]));
    }

    async fn a_deleted_account_takes_the_providers_tokens_along(social: Social) {
        social.sign_in("google").await.assert_status(200);
        let (operator, name) = operator(&social.app);
        social.app.identity().delete_account_for_operator(&operator, &name).await.unwrap();
        assert_eq!(social.connected().await, 0);
        // The person may come again, to an account of their own.
        let answer = social.sign_in("google").await;
        assert_eq!((answer.field("data.is_new_user"), answer.field("data.user_id")), (&json!(true), &json!(2)));
    }

    // A new password ends what was placed under the old one. What is still the owner's comes back with a mailed code, and not by the address
    // alone: also who was put out has an account at the provider with that address.
    async fn a_new_password_disconnects_and_the_owner_connects_again(social: Social) {
        social.sign_in("google").await.assert_status(200);
        reset_password(&social).await;
        assert_eq!(social.connected().await, 0);
        assert_eq!(social.app.sql_count("select count(*) from social_accounts where length(tokens) > 0").await, 0);
        // Not even where the provider runs the mailbox.
        social.stub("google").behave(|behaviour| {
            behaviour.claims = Some(std::sync::Arc::new(|claims| {
                claims.insert("hd".to_owned(), json!("example.com"));
            }));
        });
        let answer = social.sign_in("google").await;
        assert_waits_for_mailbox(&answer);
        assert_eq!(social.connected().await, 0);
        let answer = social.show_mailbox(&answer, ADA).await;
        assert_eq!(answer.assert_status(200).field("data.user_id"), 1);
        assert_eq!(social.connected().await, 1);
        assert_eq!(social.app.templates_to(ADA).await[0], "provider_connected");
    }

    // The attack: somebody who once read the mailbox has an account at the provider with its address.
    async fn the_link_in_the_notice_keeps_the_attacker_out_for_good(social: Social) {
        social.app.sign_up_rivergen_verified(ADA).await;
        social.join("github", ADA).await.assert_status(200);
        wait(&social.app, 60);
        social.stub("google").person(|person| person.subject = "666".to_owned());
        social.join("google", ADA).await.assert_status(200);
        let link = social.app.latest_link_token(ADA).await;
        wait(&social.app, 60);
        social.app.post("/secure-account").form(&format!("token={link}")).send().await.assert_status(200);
        let (operator, name) = operator(&social.app);
        for _ in 0..2 {
            let answer = social.sign_in("google").await;
            assert_refused(&social.app, &answer, FAILED, "blocked");
            reset_password(&social).await;
            // Wrong passwords are another matter.
            social.app.identity().unlock_account(&operator, &name).await.unwrap();
        }
        // What was there before is the owner's, and another account at the same provider may be, too.
        social.join("github", ADA).await.assert_status(200);
        social.stub("google").person(|person| person.subject = "1".to_owned());
        assert_waits_for_mailbox(&social.sign_in("google").await);
        // It was a mistake: an operator lifts it, and the owner connects it again.
        let unblock = |provider: &'static str, subject: &'static str| {
            let identity = social.app.identity();
            let (operator, name) = (&operator, &name);
            async move { identity.unblock_provider(operator, name, provider, subject).await }
        };
        assert!(unblock("google", "1").await.is_err() && unblock("github", "666").await.is_err());
        unblock("google", "666").await.unwrap();
        social.stub("google").person(|person| person.subject = "666".to_owned());
        social.join("google", ADA).await.assert_status(200);
    }

    async fn a_changed_address_disconnects_what_it_connected(social: Social) {
        let first = social.sign_in("google").await.text_at("data.access_token");
        let post = |path: &str, body: Value| social.app.post(&url(path)).bearer(&first).json(&body).send();
        let new = "ada@new.example";
        post("auth/me/email/request", json!({ "new_email": new })).await.assert_status(200);
        let code = social.app.latest_code(new).await;
        post("auth/me/email/verify", json!({ "new_email": new, "otp_code": code })).await.assert_status(200);
        assert_eq!(social.connected().await, 0);
        // Whoever has the old mailbox now gets nothing by it.
        let answer = social.sign_in("google").await;
        assert_refused(&social.app, &answer, FAILED, "address_taken");
        social.stub("google").person(|person| person.email = new.to_owned());
        social.join("google", new).await.assert_status(200);
        assert_eq!((social.accounts().await, social.connected().await), (1, 1));
    }

    async fn sign_ins_that_did_not_come_back_are_forgotten(social: Social) {
        social.begin("google", "").await.assert_status(200);
        assert_eq!(social.app.sql_count("select count(*) from social_requests").await, 1);
        wait(&social.app, 700);
        social.app.kernel().prune().await.unwrap();
        assert_eq!(social.app.sql_count("select count(*) from social_requests").await, 0);
    }
}

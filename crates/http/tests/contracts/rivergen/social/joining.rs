//! An account that is there already gets a sign-in by a provider: with a proof of now, and with its second factor.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidegate_testkit::social::APP_PAGE;
use tidegate_testkit::{Engine, on_both_engines};

use super::*;

/// Google runs the mailboxes of that domain.
fn hosts(social: &Social, domain: &'static str) {
    social.stub("google").behave(|behaviour| {
        behaviour.claims = Some(Arc::new(move |claims| {
            claims.insert("hd".to_owned(), json!(domain));
        }));
    });
}

on_both_engines! {
    // The attack: a provider once saw a proof of the address, of somebody who has it no longer.
    async fn the_former_holder_of_an_address_does_not_get_the_account(social: Social) {
        social.app.sign_up_rivergen_verified(ADA).await;
        for provider in PROVIDERS {
            social.stub(provider).behave(|behaviour| behaviour.sends_iss = true);
            let sessions = social.sessions().await;
            let answer = social.sign_in(provider).await;
            assert_waits_for_mailbox(&answer);
            let first = answer.text_at("data.temporary_token");
            // Nothing but the mailed code does.
            for (field, code) in [("code", "000000"), ("backup_code", "ABCD-2345")] {
                social.app.show_factor(&first, field, code).await.assert_error(400, "INVALID_MFA_CODE");
            }
            let totp = json!({ "temporary_token": first, "method": "totp" });
            social.post("auth/mfa/otp/generate", &totp).await.assert_error(400, "INVALID_REQUEST");
            let (token, code) = social.mailed(&answer, ADA).await;
            let wrong = if code == "000000" { "000001" } else { "000000" };
            social.app.show_factor(&token, "code", wrong).await.assert_error(400, "INVALID_MFA_CODE");
            assert_eq!((social.connected().await, social.sessions().await), (0, sessions));
        }
    }

    async fn the_mail_names_the_provider_and_the_code_works_once(social: Social) {
        social.app.sign_up_rivergen_verified(ADA).await;
        let answer = social.sign_in("github").await;
        let (token, code) = social.mailed(&answer, ADA).await;
        let mail = social.app.mails_to(ADA).await.into_iter().next().unwrap();
        let text = social.app.kernel().render(&mail).unwrap().unwrap().text().to_owned();
        assert!(text.contains("GitHub") && text.contains(&code), "{text}");
        assert_eq!(social.connected().await, 0);
        let joined = social.app.show_factor(&token, "code", &code).await;
        assert!(!joined.assert_status(200).text_at("data.access_token").is_empty());
        assert!(joined.field("data.trusted_device").is_null(), "no second factor was shown");
        assert_eq!((social.connected().await, social.newest_amr().await.as_str()), (1, "otp fed"));
        assert!(social.app.templates_to(ADA).await.iter().any(|name| *name == "provider_connected"));
        social.sign_in("github").await.assert_status(200).text_at("data.access_token");
        social.app.advance(Duration::from_secs(120));
        social.app.show_factor(&token, "code", &code).await.assert_error(401, "INVALID_TOKEN");
    }

    // The attack: who reads the victim's mailbox has an account at a provider with its address.
    async fn an_account_with_a_second_factor_is_joined_with_both(social: Social) {
        let ada = social.app.sign_up_rivergen_verified(ADA).await;
        let authenticator = social.app.enrol_totp(&ada, "Phone").await;
        social.app.advance(Duration::from_secs(60));
        let sessions = social.sessions().await;
        let next = social.join("google", ADA).await;
        assert_eq!(next.assert_status(200).field("data.mfa_required"), true);
        assert_eq!(next.field("data.available_methods"), &json!(["totp", "backup_code"]));
        assert!(next.field("data.access_token").is_null());
        assert_eq!((social.connected().await, social.sessions().await), (0, sessions));
        let token = next.text_at("data.temporary_token");
        social.app.show_factor(&token, "code", "000000").await.assert_error(400, "INVALID_MFA_CODE");
        assert_eq!(social.connected().await, 0, "nothing is connected before the factor");
        let code = authenticator.code(social.app.now());
        social.app.show_factor(&token, "code", &code).await.assert_status(200).text_at("data.access_token");
        assert_eq!((social.connected().await, social.newest_amr().await.as_str()), (1, "otp mfa fed"));
    }

    async fn googles_word_is_proof_of_its_own_mailboxes_and_no_second_factor(social: Social) {
        let ada = social.app.sign_up_rivergen_verified(ADA).await;
        hosts(&social, "example.org");
        assert_waits_for_mailbox(&social.sign_in("google").await);
        hosts(&social, "example.com");
        let authenticator = social.app.enrol_totp(&ada, "Phone").await;
        social.app.advance(Duration::from_secs(60));
        let asked = social.sign_in("google").await;
        assert_eq!(asked.assert_status(200).field("data.available_methods"), &json!(["totp", "backup_code"]));
        assert_eq!(social.connected().await, 0);
        let code = authenticator.code(social.app.now());
        let token = asked.text_at("data.temporary_token");
        social.app.show_factor(&token, "code", &code).await.assert_status(200);
        // Without a factor its word is enough.
        social.app.sign_up_rivergen_verified("bob@example.com").await;
        social.stub("google").person(|person| {
            (person.subject, person.email) = ("7".to_owned(), "bob@example.com".to_owned());
        });
        social.sign_in("google").await.assert_status(200).text_at("data.access_token");
        assert_eq!(social.connected().await, 2);
    }

    // Of two that were begun the first that is completed counts.
    async fn an_account_gets_one_subject_of_a_provider(social: Social) {
        social.app.sign_up_rivergen_verified(ADA).await;
        let first = social.sign_in("google").await;
        let (first, first_code) = social.mailed(&first, ADA).await;
        social.stub("google").person(|person| person.subject = "666".to_owned());
        let second = social.sign_in("google").await;
        let (second, second_code) = social.mailed(&second, ADA).await;
        social.app.show_factor(&first, "code", &first_code).await.assert_status(200);
        social.app.show_factor(&second, "code", &second_code).await.assert_error(401, "INVALID_TOKEN");
        assert_eq!(social.connected().await, 1);
    }

    // The attack: the victim's browser is made to send the attacker's code to the application, and works in the attacker's account.
    async fn a_code_is_refused_without_the_secret_of_the_page_that_began(engine: Engine) {
        let page = |config: &mut SocialConfig| config.google.as_mut().unwrap().redirect_uri = Some(APP_PAGE.to_owned());
        let social = Social::with(engine, page, Builder::without_limits).await;
        let (secret, challenge) = page_secret();
        for state in [true, false] {
            let begun = social.begin("google", &format!("?browser_challenge={challenge}")).await;
            let returned = social.stub("google").authorize(&begun.assert_status(200).text_at("data.oauth_url"));
            social.stub("google").behave(|behaviour| behaviour.repeats_codes = true);
            let mut body = json!({ "provider": "google", "code": returned.get("code") });
            if state {
                body["state"] = json!(returned.get("state"));
            }
            for wrong in [json!(null), json!("another-secret-of-another-page-0123456789-abcdef"), json!(challenge)] {
                body["browser_secret"] = wrong;
                let answer = social.post("auth/oauth/login", &body).await;
                assert_refused(&social.app, &answer, (400, "SOCIAL_LOGIN_FAILED"), "invalid_state");
            }
            body["browser_secret"] = json!(secret);
            social.post("auth/oauth/login", &body).await.assert_status(200);
        }
        for challenge in ["short", &"a".repeat(44), &"*".repeat(43)] {
            let begun = social.begin("google", &format!("?browser_challenge={challenge}")).await;
            crate::rivergen::wire::assert_refused(&social.app, &begun, 422, "VALIDATION_ERROR");
        }
    }

    // A code of a sign-in whose state comes back here is none that may come alone.
    async fn a_code_of_the_callback_is_not_taken_without_its_state(social: Social) {
        for provider in ["apple", "google"] {
            let returned = social.agree(provider).await;
            let body = json!({ "provider": provider, "code": returned.get("code") });
            let answer = social.post("auth/oauth/login", &body).await;
            assert_eq!(answer.code(), "SOCIAL_LOGIN_FAILED", "{}", answer.text);
        }
        assert_eq!((social.accounts().await, social.sessions().await), (0, 0));
    }
}

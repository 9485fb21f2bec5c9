//! Whose account a provider's word opens.

use serde_json::json;
use tidegate_testkit::social::StubPerson;
use tidegate_testkit::{Engine, PASSWORD, on_both_engines};

use super::*;
use crate::rivergen::wire::{get_as, post_as, sign_in, wait};

const EVE: &str = "eve@example.com";

/// Changes the primary address of an account.
async fn change_email(app: &TestApp, who: &tidegate_testkit::Person, to: &str) {
    post_as(app, who, "auth/me/email/request", &json!({ "new_email": to })).send().await.assert_status(200);
    let body = json!({ "new_email": to, "otp_code": app.latest_code(to).await });
    post_as(app, who, "auth/me/email/verify", &body).send().await.assert_status(200);
}

on_both_engines! {
    async fn an_address_that_both_have_verified_connects_and_the_owner_is_told(social: Social) {
        let ada = social.app.sign_up_rivergen_verified(ADA).await;
        for provider in PROVIDERS {
            social.stub(provider).behave(|behaviour| behaviour.sends_iss = true);
            let answer = social.join(provider, ADA).await;
            assert_eq!(answer.assert_status(200).field("data.user_id"), 1);
            assert!(social.app.templates_to(ADA).await.iter().any(|name| *name == "provider_connected"));
        }
        assert_eq!((social.accounts().await, social.connected().await), (1, 5));
        let mut texts = Vec::new();
        for mail in social.app.mails_to(ADA).await {
            texts.push(social.app.kernel().render(&mail).unwrap().unwrap().text().to_owned());
        }
        assert!(texts.iter().any(|text| text.contains("Provider: Example SSO")), "{texts:?}");
        // The password and the old sessions stay.
        sign_in(&social.app, &ada).await;
        let me = get_as(&social.app, &ada, "auth/me").send().await;
        assert_eq!(me.field("data.security.social_accounts_count"), 5);
        assert_eq!(me.field("data.security.connected_providers"), &json!(PROVIDERS));
    }

    // The attack: an account at the provider with the victim's address, which the provider has not verified.
    async fn an_address_that_the_provider_has_not_verified_opens_and_makes_nothing(social: Social) {
        social.app.sign_up_rivergen_verified(ADA).await;
        for provider in PROVIDERS {
            social.stub(provider).behave(|behaviour| behaviour.sends_iss = true);
            for email in [ADA, "nobody@example.com", "not an address"] {
                social.stub(provider).person(|person| *person = StubPerson {
                    subject: "666".to_owned(),
                    email: email.to_owned(),
                    is_verified: email == "not an address",
                    name: "Eve".to_owned(),
                });
                let answer = social.sign_in(provider).await;
                assert_refused(&social.app, &answer, FAILED, "email_not_verified_by_provider");
            }
        }
        social.stub("github").behave(|behaviour| behaviour.hides_email = true);
        let answer = social.sign_in("github").await;
        assert_refused(&social.app, &answer, FAILED, "email_not_verified_by_provider");
        assert_eq!((social.accounts().await, social.connected().await), (1, 0));
    }

    // The attack: a stranger signs up with the victim's address, and waits for the victim's first sign-in by a provider to share the account
    // by the password, or to keep the victim out.
    async fn an_account_that_a_stranger_made_for_the_address_yields_to_its_owner(social: Social) {
        social.app.sign_up_rivergen(ADA).await;
        let answer = social.sign_in("google").await;
        assert_eq!(answer.assert_status(200).field("data.is_new_user"), true);
        assert_eq!(answer.field("data.user_id"), 2, "an account of their own");
        assert_eq!((social.accounts().await, social.connected().await), (1, 1));
        social.post("auth/login", &json!({ "email": ADA, "password": PASSWORD })).await.assert_status(401);
    }

    async fn an_invitation_does_not_keep_the_address(social: Social) {
        let root = social.app.provision("root@example.com").await;
        social.app.create_individual(&root, ADA, "backend").await.assert_status(200);
        let answer = social.sign_in("google").await;
        assert_eq!(answer.assert_status(200).field("data.is_new_user"), true);
        let me = social.app.get(&url("auth/me")).bearer(&answer.text_at("data.access_token")).send().await;
        assert_eq!(me.field("data.organizations").as_array().unwrap().len(), 1);
        assert_eq!(me.field("data.organizations.0.source"), "signup");
    }

    // A mailbox that was given up may be the reason for the change.
    async fn an_address_that_was_replaced_connects_nothing(social: Social) {
        let ada = social.app.sign_up_rivergen_verified(ADA).await;
        change_email(&social.app, &ada, "ada@new.example").await;
        let answer = social.sign_in("google").await;
        assert_refused(&social.app, &answer, FAILED, "address_taken");
        social.stub("google").person(|person| person.email = "ada@new.example".to_owned());
        social.join("google", "ada@new.example").await.assert_status(200);
    }

    async fn the_subject_counts_and_not_the_address_once_it_is_connected(social: Social) {
        let first = social.sign_in("google").await.text_at("data.access_token");
        // The person changes the address at the provider, to one that is another account's here.
        let bob = social.app.sign_up_rivergen_verified("bob@example.com").await;
        for email in ["ada@elsewhere.example", "bob@example.com"] {
            social.stub("google").person(|person| person.email = email.to_owned());
            let answer = social.sign_in("google").await;
            assert_eq!((answer.field("data.user_id"), answer.field("data.email")), (&json!(1), &json!(ADA)));
            let list = social.app.get(&url("auth/social-accounts")).bearer(&first).send().await;
            assert_eq!(list.field("data.accounts.0.email"), email, "as the provider says now");
        }
        // Also when the provider no longer vouches for any.
        social.stub("google").person(|person| person.is_verified = false);
        social.sign_in("google").await.assert_status(200);
        let none = get_as(&social.app, &bob, "auth/social-accounts").send().await;
        assert_eq!(none.field("data.total"), 0);
    }

    // The attack: an address that the provider has given to another person since.
    async fn another_subject_with_the_same_address_does_not_get_the_account(social: Social) {
        social.sign_in("google").await.assert_status(200);
        social.stub("google").person(|person| person.subject = "999".to_owned());
        let answer = social.sign_in("google").await;
        assert_refused(&social.app, &answer, FAILED, "address_taken");
        assert_eq!((social.accounts().await, social.connected().await), (1, 1));
    }

    async fn signing_up_twice_is_refused_and_tells_nothing_new(engine: Engine) {
        let page = tidegate_testkit::social::APP_PAGE;
        let set_up = |config: &mut SocialConfig| config.google.as_mut().unwrap().redirect_uri = Some(page.to_owned());
        let social = Social::with(engine, set_up, Builder::without_limits).await;
        for expected in [201, 400] {
            let returned = social.agree("google").await;
            let body = json!({ "provider": "google", "code": returned.get("code") });
            let answer = social.post("auth/oauth/signup", &body).await;
            assert_eq!(answer.status, expected, "{}", answer.text);
            if expected == 400 {
                assert_refused(&social.app, &answer, (400, "SOCIAL_SIGNUP_FAILED"), "already_registered");
            }
        }
        social.app.sign_up_rivergen_verified(EVE).await;
        social.stub("google").person(|person| (person.subject, person.email) = ("7".to_owned(), EVE.to_owned()));
        let returned = social.agree("google").await;
        let body = json!({ "provider": "google", "code": returned.get("code") });
        let answer = social.post("auth/oauth/signup", &body).await;
        assert_refused(&social.app, &answer, (400, "SOCIAL_SIGNUP_FAILED"), "already_registered");
        assert_eq!((social.accounts().await, social.connected().await), (2, 1));
    }

    async fn a_disabled_account_is_refused_and_stays_so(social: Social) {
        social.sign_in("google").await.assert_status(200);
        social.app.sql("update accounts set disabled_at = 1").await;
        wait(&social.app, 3);
        let sessions = social.sessions().await;
        for provider in ["google", "github"] {
            let answer = social.sign_in(provider).await;
            assert_refused(&social.app, &answer, FAILED, "not_admitted");
        }
        assert_eq!((social.sessions().await, social.connected().await), (sessions, 1));
        let noted = "select count(*) from audit_events where action = 'auth.login.failure' and account_id is not null";
        assert_eq!(social.app.sql_count(noted).await, 2);
    }

    async fn microsofts_address_counts_where_the_operator_trusts_the_one_tenant(engine: Engine) {
        let trusting = |config: &mut SocialConfig| {
            let sso = config.oidc.get_mut("sso").unwrap();
            sso.trust_email = true;
        };
        let social = Social::with(engine, trusting, Builder::without_limits).await;
        social.app.sign_up_rivergen_verified(ADA).await;
        social.stub("sso").behave(|behaviour| behaviour.sends_iss = true);
        for provider in ["sso", "microsoft"] {
            social.stub(provider).person(|person| person.is_verified = false);
        }
        // Nor is a code mailed: the operator's issuer decides who has which address.
        social.sign_in("sso").await.assert_status(200).text_at("data.access_token");
        let answer = social.sign_in("microsoft").await;
        assert_refused(&social.app, &answer, FAILED, "email_not_verified_by_provider");
    }
}

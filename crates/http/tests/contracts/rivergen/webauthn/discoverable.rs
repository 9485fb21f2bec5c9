//! Without an e-mail address: the authenticator finds the passkey (conditional UI). Extension of the contract.

use serde_json::json;
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::super::wire::{assert_data, post};
use super::*;

const INVALID: (u16, &str) = (401, "INVALID_ASSERTION");
const UNKNOWN: (u16, &str) = (401, "INVALID_CREDENTIAL");

on_both_engines! {
    async fn a_passkey_signs_in_whoever_it_belongs_to(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let started = post(&app, "webauthn/authenticate/start", &json!({})).send().await;
        assert_data(&started, 200, &json!({
            "challenge": started.text_at("data.challenge"),
            "allowCredentials": [],
            "timeout": 60000,
            "userVerification": "required",
            "rpId": "id.example.com",
        }));
        let credential = phone.sign_in(started.field("data"));
        let body = json!({ "credential": credential });
        let answer = post(&app, "webauthn/authenticate/complete", &body).send().await;
        assert_eq!(answer.assert_status(200).text_at("data.email"), ADA);
        // The address may be sent nevertheless, if it is the right one.
        let credential = phone.sign_in(&app.start_passkey_sign_in(None).await);
        app.complete_passkey_sign_in(Some(ADA), &credential).await.assert_status(200);
    }

    async fn the_authenticator_must_say_whose_passkey_it_is_and_be_right(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let other = app.enrol_passkey(&bob, "Phone").await;
        let own = phone.user_handle.take();
        assert_refused(&app, &app.sign_in_with_passkey(None, &mut phone).await, INVALID);
        phone.user_handle.clone_from(&other.user_handle);
        assert_refused(&app, &app.sign_in_with_passkey(None, &mut phone).await, INVALID);
        phone.user_handle = own;
        app.sign_in_with_passkey(None, &mut phone).await.assert_status(200);
    }

    async fn an_unknown_address_is_answered_as_a_known_one(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified(BOB).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let mut unknown = app.authenticator("nobody's");
        for email in [BOB, "nobody@example.com"] {
            let credential = phone.sign_in(&app.start_passkey_sign_in(None).await);
            assert_refused(&app, &app.complete_passkey_sign_in(Some(email), &credential).await, UNKNOWN);
        }
        for email in [Some(ADA), Some("nobody@example.com"), None] {
            let credential = unknown.sign_in(&app.start_passkey_sign_in(None).await);
            assert_refused(&app, &app.complete_passkey_sign_in(email, &credential).await, UNKNOWN);
        }
    }

    // The contract discloses which addresses have an account. An operator may have it concealed.
    async fn concealed_addresses_without_a_passkey_are_answered_as_those_with_one(engine: Engine) {
        let change = |settings: &mut tidegate_kernel::Settings| settings.passkeys.conceal_accounts = true;
        let app = TestApp::builder(engine).settings(change).start().await;
        app.sign_up_rivergen_verified(BOB).await;
        let shape = |options: &Value| {
            let allowed = options["allowCredentials"].as_array().unwrap();
            (allowed.len(), allowed[0].as_object().unwrap().keys().cloned().collect::<Vec<_>>())
        };
        let first = app.start_passkey_sign_in(Some("nobody@example.com")).await;
        let again = app.start_passkey_sign_in(Some("nobody@example.com")).await;
        assert_eq!(first["allowCredentials"], again["allowCredentials"], "always the same");
        assert_ne!(first["challenge"], again["challenge"]);
        let bobs = app.start_passkey_sign_in(Some(BOB)).await;
        assert_ne!(first["allowCredentials"], bobs["allowCredentials"]);
        assert_eq!(shape(&first), shape(&bobs));
        let mut unknown = app.authenticator("nobody's");
        for (email, options) in [("nobody@example.com", first), (BOB, bobs)] {
            let credential = unknown.sign_in(&options);
            assert_refused(&app, &app.complete_passkey_sign_in(Some(email), &credential).await, UNKNOWN);
        }
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let credential = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        let other = app.complete_passkey_sign_in(Some("nobody@example.com"), &credential).await;
        assert_refused(&app, &other, (404, "CHALLENGE_NOT_FOUND"));
        app.complete_passkey_sign_in(Some(ADA), &credential).await.assert_status(200);
    }
}

//! Passkeys sign in.

use serde_json::json;
use tidegate_testkit::software::{BACKED_UP, BACKUP_ELIGIBLE, USER_PRESENT};
use tidegate_testkit::{Engine, TestApp, concurrently, on_both_engines};

use super::super::wire::{
    assert_data, get_as, post, post_as, refused_without_trace, token_set, tokens, wait,
};
use super::*;

const NOT_FOUND: (u16, &str) = (404, "CHALLENGE_NOT_FOUND");
const INVALID: (u16, &str) = (401, "INVALID_ASSERTION");
const UNKNOWN: (u16, &str) = (401, "INVALID_CREDENTIAL");

on_both_engines! {
    async fn a_passkey_signs_in_with_the_contracts_options(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let started = post(&app, "webauthn/authenticate/start", &json!({ "email": "ADA@example.com" })).send().await;
        assert_data(&started, 200, &json!({
            "challenge": started.text_at("data.challenge"),
            "allowCredentials": [
                { "id": base64(&phone.credential_id), "type": "public-key", "transports": ["internal"] },
            ],
            "timeout": 60000,
            "userVerification": "required",
            "rpId": "id.example.com",
        }));
        assert_eq!(started.text_at("data.challenge").len(), 43);
        wait(&app, 60);
        let credential = phone.sign_in(started.field("data"));
        let answer = app.complete_passkey_sign_in(Some(ADA), &credential).await;
        let mut expected = token_set(&answer, ADA);
        expected["display_name"] = json!("Ada Lovelace");
        expected["message"] = json!("Signed in.");
        assert_data(&answer, 200, &expected);
        assert_eq!(newest_amr(&app).await, "mfa hwk user");
        let ada = tokens(&ada, &answer);
        let history = get_as(&app, &ada, "auth/login-history").send().await;
        assert_eq!(history.field("data.history")[0]["metadata"], json!({ "method": "webauthn", "remember_me": false }));
        let list = get_as(&app, &ada, "webauthn/credentials").send().await;
        let listed = &list.field("data.credentials")[0];
        assert_eq!((&listed["usage_count"], &listed["last_used_at"]), (&json!(1), &json!(app.now().iso_seconds())));
        assert_eq!(app.sql_count("select sign_count from passkeys").await, 2);
        assert_eq!(app.templates_to(ADA).await[0], "new_device");
    }

    async fn a_passkey_stands_in_for_the_second_factor(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        let mut key = app.enrol_passkey(&ada, "Key").await;
        // The password alone still leads to the second factor.
        app.sign_in_halfway(&ada).await;
        app.sign_in_with_passkey(Some(ADA), &mut key).await.assert_status(200).text_at("data.access_token");
        assert!(newest_amr(&app).await.contains("mfa"));
    }

    async fn a_passkey_that_may_be_synchronized_is_named_so(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.authenticator("phone");
        phone.flags |= BACKUP_ELIGIBLE;
        let options = app.start_passkey(&ada, "Phone").await;
        app.complete_passkey(&ada, "Phone", &phone.register(&options)).await.assert_status(200);
        phone.flags |= BACKED_UP;
        app.sign_in_with_passkey(Some(ADA), &mut phone).await.assert_status(200);
        assert_eq!(newest_amr(&app).await, "mfa swk user");
        let state = "select count(*) from passkeys where backup_eligible and backed_up";
        assert_eq!(app.sql_count(state).await, 1);
        // It cannot become one that stays in one device.
        phone.flags &= !(BACKUP_ELIGIBLE | BACKED_UP);
        assert_refused(&app, &app.sign_in_with_passkey(Some(ADA), &mut phone).await, INVALID);
    }

    async fn the_contract_discloses_what_it_discloses(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let start = |email: &'static str| post(&app, "webauthn/authenticate/start", &json!({ "email": email }));
        refused_without_trace(&app, start(BOB), 404, "USER_NOT_FOUND").await;
        refused_without_trace(&app, start(ADA), 404, "NO_CREDENTIALS").await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let credential = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        let other = app.complete_passkey_sign_in(Some(BOB), &credential).await;
        assert_refused(&app, &other, (404, "USER_NOT_FOUND"));
    }

    async fn a_challenge_is_for_one_person_one_purpose_and_once(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let mut other = app.enrol_passkey(&bob, "Phone").await;
        // Bob answers Ada's challenge, as himself and in her name.
        let options = app.start_passkey_sign_in(Some(ADA)).await;
        let credential = other.sign_in(&options);
        assert_refused(&app, &app.complete_passkey_sign_in(Some(BOB), &credential).await, NOT_FOUND);
        assert_refused(&app, &app.complete_passkey_sign_in(None, &credential).await, NOT_FOUND);
        assert_refused(&app, &app.complete_passkey_sign_in(Some(ADA), &credential).await, UNKNOWN);
        // That used it up.
        let credential = phone.sign_in(&options);
        assert_refused(&app, &app.complete_passkey_sign_in(Some(ADA), &credential).await, NOT_FOUND);
        // A registration's challenge signs nobody in.
        let creation = app.start_passkey(&ada, "Key").await;
        let options = json!({ "challenge": creation["challenge"], "rpId": "id.example.com" });
        let credential = phone.sign_in(&options);
        assert_refused(&app, &app.complete_passkey_sign_in(Some(ADA), &credential).await, NOT_FOUND);
        // Nor does one that was never given out.
        let options = json!({ "challenge": base64(&[7; 32]), "rpId": "id.example.com" });
        let credential = phone.sign_in(&options);
        assert_refused(&app, &app.complete_passkey_sign_in(Some(ADA), &credential).await, NOT_FOUND);
        let credential = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        app.complete_passkey_sign_in(Some(ADA), &credential).await.assert_status(200);
        assert_refused(&app, &app.complete_passkey_sign_in(Some(ADA), &credential).await, NOT_FOUND);
        assert_eq!(app.sql_count("select count(*) from sessions").await, 3);
    }

    async fn a_challenge_lives_five_minutes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let credential = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        let another = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        wait(&app, 299);
        app.complete_passkey_sign_in(Some(ADA), &credential).await.assert_status(200);
        wait(&app, 1);
        assert_refused(&app, &app.complete_passkey_sign_in(Some(ADA), &another).await, NOT_FOUND);
    }

    async fn what_was_made_for_another_site_or_without_the_person_is_refused(engine: Engine) {
        type Wrong = fn(&mut tidegate_testkit::software::SoftwareAuthenticator);
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let cases: [Wrong; 9] = [
            |it| it.origin = "https://example.com".to_owned(),
            |it| it.origin = "http://id.example.com".to_owned(),
            |it| it.client_data = json!({ "type": "webauthn.create" }),
            |it| it.client_data = json!({ "crossOrigin": true }),
            |it| it.client_data = json!({ "topOrigin": "https://evil.example" }),
            |it| it.rp_id = Some("example.com".to_owned()),
            |it| it.flags = USER_PRESENT,
            |it| it.flags = 0,
            |it| it.user_handle = Some(b"somebody else".to_vec()),
        ];
        for (number, spoil) in cases.into_iter().enumerate() {
            let mut phone = app.enrol_passkey(&ada, &format!("Phone {number}")).await;
            spoil(&mut phone);
            assert_refused(&app, &app.sign_in_with_passkey(Some(ADA), &mut phone).await, INVALID);
        }
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let forged = |credential: &serde_json::Value| {
            with_response(credential, "signature", json!(base64(&[0x30, 0x06, 2, 1, 1, 2, 1, 1])))
        };
        let credential = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        assert_refused(&app, &app.complete_passkey_sign_in(Some(ADA), &forged(&credential)).await, INVALID);
        for cut in ["AA", &base64(&[0; 36]), &base64(&[0xff; 200])] {
            let credential = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
            let credential = with_response(&credential, "authenticatorData", json!(cut));
            assert_refused(&app, &app.complete_passkey_sign_in(Some(ADA), &credential).await, INVALID);
        }
        let failed = "select count(*) from audit_events where action = 'auth.login.failure' and account_id is not null";
        assert!(app.sql_count(failed).await >= 11);
        app.sign_in_with_passkey(Some(ADA), &mut phone).await.assert_status(200);
    }

    async fn a_counter_that_goes_back_is_refused_and_noted(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        phone.sign_count = 100;
        app.sign_in_with_passkey(Some(ADA), &mut phone).await.assert_status(200);
        for count in [0, 99, 100] {
            phone.sign_count = count;
            assert_refused(&app, &app.sign_in_with_passkey(Some(ADA), &mut phone).await, INVALID);
        }
        let noted = "select count(*) from audit_events where cast(metadata as text) like '%passkey_counter_went_back%'";
        assert_eq!(app.sql_count(noted).await, 3);
        assert_eq!(app.sql_count("select sign_count from passkeys").await, 100);
        phone.sign_count = 101;
        app.sign_in_with_passkey(Some(ADA), &mut phone).await.assert_status(200);
    }

    async fn an_authenticator_without_a_counter_signs_in_again_and_again(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.authenticator("phone");
        phone.sign_count = 0;
        let options = app.start_passkey(&ada, "Phone").await;
        app.complete_passkey(&ada, "Phone", &phone.register(&options)).await.assert_status(200);
        for _ in 0..3 {
            app.sign_in_with_passkey(Some(ADA), &mut phone).await.assert_status(200);
        }
    }

    async fn of_many_equal_answers_at_once_one_signs_in(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let credential = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        let body = json!({ "email": ADA, "credential": credential });
        let answers = concurrently(8, |_| post(&app, "webauthn/authenticate/complete", &body).send()).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(answers.iter().all(|answer| [200, 404].contains(&answer.status)));
        assert_eq!(app.sql_count("select count(*) from sessions").await, 2);
    }

    async fn a_disabled_account_and_one_without_a_proven_address_do_not_sign_in(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let credential = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        app.sql("update accounts set disabled_at = 1").await;
        let refused = app.complete_passkey_sign_in(Some(ADA), &credential).await;
        assert_refused(&app, &refused, (404, "USER_NOT_FOUND"));
        let start = post(&app, "webauthn/authenticate/start", &json!({ "email": ADA })).send().await;
        assert_refused(&app, &start, (404, "USER_NOT_FOUND"));
        app.sql("update accounts set disabled_at = null").await;
        app.sql("update identifiers set verified_at = null").await;
        let refused = app.sign_in_with_passkey(Some(ADA), &mut phone).await;
        assert_refused(&app, &refused, (400, "AUTHENTICATION_COMPLETION_FAILED"));
        assert_eq!(app.sql_count("select count(*) from sessions").await, 1);
    }

    async fn a_new_password_withdraws_the_challenges_that_wait(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let credential = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        let body = json!({ "current_password": ada.password, "new_password": "Battery2staple!" });
        post_as(&app, &ada, "auth/change-password", &body).send().await.assert_status(200);
        assert_refused(&app, &app.complete_passkey_sign_in(Some(ADA), &credential).await, NOT_FOUND);
    }

    async fn a_passkey_leaves_a_trusted_device_trusted_and_makes_none(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut key = app.enrol_passkey(&ada, "Key").await;
        app.sign_in_with_passkey(Some(ADA), &mut key).await.assert_status(200);
        assert_eq!(app.sql_count("select count(*) from trusted_devices").await, 0);
    }

    async fn bodies_have_their_form(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for email in [json!(""), json!(7), json!("nobody"), json!([ADA])] {
            let start = post(&app, "webauthn/authenticate/start", &json!({ "email": email }));
            refused_without_trace(&app, start, 422, "VALIDATION_ERROR").await;
        }
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let credential = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        let wrong = [
            ("credential", json!(7)),
            ("credential.response.authenticatorData", with_response(&credential, "authenticatorData", json!(null))),
            ("credential.response.authenticatorData", with_response(&credential, "authenticatorData", json!("§"))),
            ("credential.response.signature", with_response(&credential, "signature", json!(base64(&[0; 1_025])))),
            ("credential.response.clientDataJSON", with_response(&credential, "clientDataJSON", json!([]))),
            ("credential.response.userHandle", with_response(&credential, "userHandle", json!(base64(&[0; 65])))),
        ];
        for (field, credential) in wrong {
            let request = post(&app, "webauthn/authenticate/complete", &json!({ "email": ADA, "credential": credential }));
            let refused = refused_without_trace(&app, request, 422, "VALIDATION_ERROR").await;
            assert_eq!(refused.field("error.details.field"), field);
        }
        // What is no client data names no challenge.
        for text in ["e30", &base64(b"{\"challenge\":1}"), &base64(b"[]"), &base64(b"\xff")] {
            let credential = with_response(&credential, "clientDataJSON", json!(text));
            assert_refused(&app, &app.complete_passkey_sign_in(Some(ADA), &credential).await, INVALID);
        }
        app.complete_passkey_sign_in(Some(ADA), &credential).await.assert_status(200);
    }
}

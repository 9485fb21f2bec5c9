//! A passkey proves anew who its owner is.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, Person, TestApp, concurrently, on_both_engines};

use super::super::wire::{assert_done, post_as, sign_in, wait};
use super::*;

const NO_PASSKEY: (u16, &str) = (400, "INVALID_REQUEST");
const WRONG: (u16, &str) = (400, "INVALID_ASSERTION");
const UNKNOWN: (u16, &str) = (404, "CHALLENGE_NOT_FOUND");
const MALFORMED: (u16, &str) = (422, "VALIDATION_ERROR");

/// An application where a sign-in may be ten minutes old.
async fn strict(engine: Engine) -> TestApp {
    let change = |settings: &mut tidegate_kernel::Settings| {
        for profile in settings.contracts.iter_mut() {
            profile.recent_sign_in = Some(Duration::from_secs(600));
        }
    };
    TestApp::builder(engine).without_limits().settings(change).start().await
}

async fn begin(app: &TestApp, who: &Person) -> Answer {
    post_as(app, who, "auth/step-up/passkey", &json!({})).send().await
}

/// The options for the authenticator.
async fn options(app: &TestApp, who: &Person) -> Value {
    begin(app, who).await.assert_status(200).field("data").clone()
}

async fn prove(app: &TestApp, who: &Person, credential: &Value) -> Answer {
    post_as(app, who, "auth/step-up", &json!({ "credential": credential })).send().await
}

on_both_engines! {
    async fn a_passkey_proves_who_its_owner_is(engine: Engine) {
        let app = strict(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        wait(&app, 601);
        let remove = || delete_as(&app, &ada, "webauthn/credentials/1").send();
        assert_refused(&app, &remove().await, (403, "STEP_UP_REQUIRED"));
        let options = options(&app, &ada).await;
        assert_eq!(options["rpId"], "id.example.com");
        assert_eq!(options["userVerification"], "required");
        assert_eq!(options["allowCredentials"][0]["id"], base64(&phone.credential_id));
        let proven = prove(&app, &ada, &phone.sign_in(&options)).await;
        assert_done(&proven, 200, json!({ "authenticated_at": app.now().iso_seconds() }));
        assert_eq!(newest_amr(&app).await, "otp mfa hwk user");
        assert_ne!(remove().await.code(), "STEP_UP_REQUIRED");
    }

    async fn with_a_second_factor_it_does_as_well(engine: Engine) {
        let app = strict(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        let mut key = app.enrol_passkey(&ada, "Key").await;
        wait(&app, 601);
        let options = options(&app, &ada).await;
        prove(&app, &ada, &key.sign_in(&options)).await.assert_status(200);
    }

    async fn an_account_without_one_has_none_to_show(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        assert_refused(&app, &begin(&app, &ada).await, NO_PASSKEY);
    }

    async fn a_challenge_is_for_one_session_one_purpose_and_once(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let mut other = app.enrol_passkey(&bob, "Phone").await;
        // Another session of the same person: whoever stole one cannot use what the other asked for.
        let elsewhere = sign_in(&app, &ada).await;
        let credential = phone.sign_in(&options(&app, &ada).await);
        assert_refused(&app, &prove(&app, &elsewhere, &credential).await, UNKNOWN);
        assert_refused(&app, &prove(&app, &bob, &credential).await, UNKNOWN);
        prove(&app, &ada, &credential).await.assert_status(200);
        assert_refused(&app, &prove(&app, &ada, &credential).await, UNKNOWN);
        // What it proves is not a sign-in, and a sign-in's challenge proves nothing here.
        let credential = phone.sign_in(&options(&app, &ada).await);
        assert_refused(&app, &app.complete_passkey_sign_in(Some(ADA), &credential).await, UNKNOWN);
        let credential = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        assert_refused(&app, &prove(&app, &ada, &credential).await, UNKNOWN);
        // Somebody else's passkey, which uses the challenge up.
        let options = options(&app, &ada).await;
        assert_refused(&app, &prove(&app, &ada, &other.sign_in(&options)).await, WRONG);
        assert_refused(&app, &prove(&app, &ada, &phone.sign_in(&options)).await, UNKNOWN);
    }

    async fn what_does_not_verify_proves_nothing_and_is_recorded(engine: Engine) {
        let app = strict(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        wait(&app, 601);
        let credential = phone.sign_in(&options(&app, &ada).await);
        let forged = with_response(&credential, "signature", json!(base64(&[7; 70])));
        assert_refused(&app, &prove(&app, &ada, &forged).await, WRONG);
        let credential = phone.sign_in(&options(&app, &ada).await);
        let theirs = with_response(&credential, "userHandle", json!(base64(&[7; 16])));
        assert_refused(&app, &prove(&app, &ada, &theirs).await, WRONG);
        let garbage = with_response(&credential, "clientDataJSON", json!(base64(b"{}")));
        assert_refused(&app, &prove(&app, &ada, &garbage).await, WRONG);
        let removal = delete_as(&app, &ada, "webauthn/credentials/1").send().await;
        assert_refused(&app, &removal, (403, "STEP_UP_REQUIRED"));
        let recorded = "select count(*) from audit_events where action = 'webauthn.refused'";
        assert_eq!(app.sql_count(recorded).await, 2);
    }

    async fn a_challenge_lives_five_minutes_and_a_new_one_ends_the_old_one(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let old = phone.sign_in(&options(&app, &ada).await);
        let new = phone.sign_in(&options(&app, &ada).await);
        assert_refused(&app, &prove(&app, &ada, &old).await, UNKNOWN);
        wait(&app, 301);
        assert_refused(&app, &prove(&app, &ada, &new).await, UNKNOWN);
    }

    async fn one_answer_sent_fifty_times_at_once_proves_once(engine: Engine) {
        let app = strict(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let credential = phone.sign_in(&options(&app, &ada).await);
        let request = || post_as(&app, &ada, "auth/step-up", &json!({ "credential": credential }));
        let answers = concurrently(50, |_| request().send()).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        let stepped_up = "select count(*) from audit_events where action = 'auth.step_up'";
        assert_eq!(app.sql_count(stepped_up).await, 1);
    }

    async fn it_is_shown_alone_and_in_its_form(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let credential = phone.sign_in(&options(&app, &ada).await);
        for other in [json!({ "password": "x" }), json!({ "code": "123456" }), json!({ "backup_code": "ABCD-2345" })] {
            let mut body = other;
            body["credential"] = credential.clone();
            let answer = post_as(&app, &ada, "auth/step-up", &body).send().await;
            assert_refused(&app, &answer, MALFORMED);
        }
        for credential in [json!({}), json!("text"), with_response(&credential, "signature", json!(7))] {
            assert_refused(&app, &prove(&app, &ada, &credential).await, MALFORMED);
        }
    }
}

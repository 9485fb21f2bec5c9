//! Challenges stand nowhere in plain, and what strangers send stands in no log.

use serde_json::json;
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::*;
use crate::secrets::{everything_stored, hexadecimal, leak};
use crate::watch::Log;

on_both_engines! {
    async fn challenges_are_nowhere_in_plain_and_the_library_says_nothing(engine: Engine) {
        let log = Log::listen();
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.authenticator("phone");
        let registration = app.start_passkey(&ada, "Phone").await;
        let credential = phone.register(&registration);
        let garbage = with_response(&credential, "attestationObject", json!(base64(b"garbage of a stranger")));
        app.complete_passkey(&ada, "Phone", &garbage).await.assert_status(400);
        let options = app.start_passkey(&ada, "Phone").await;
        app.complete_passkey(&ada, "Phone", &phone.register(&options)).await.assert_status(200);
        let first = app.start_passkey_sign_in(Some(ADA)).await;
        let credential = phone.sign_in(&first);
        let cut = with_response(&credential, "authenticatorData", json!(base64(b"garbage of a stranger")));
        app.complete_passkey_sign_in(Some(ADA), &cut).await.assert_status(401);
        let second = app.start_passkey_sign_in(None).await;
        app.complete_passkey_sign_in(None, &phone.sign_in(&second)).await.assert_status(200);
        let third = app.start_passkey_sign_in(None).await;

        let challenges: Vec<String> = [&registration, &options, &first, &second, &third]
            .map(|options| options["challenge"].as_str().unwrap().to_owned())
            .to_vec();
        let hex: Vec<String> = challenges.iter().map(|challenge| hexadecimal(challenge)).collect();
        for line in log.lines() {
            assert_eq!(leak(&line, &challenges), None, "in the log: {line}");
            assert!(!line.contains("webauthn_rs"), "{line}");
        }
        for (place, text) in everything_stored(&app).await {
            assert_eq!(leak(&text, &challenges), None, "in {place}: {text}");
            assert_eq!(leak(&text, &hex), None, "in the bytes of {place}: {text}");
        }
    }
}

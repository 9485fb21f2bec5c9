//! Passkeys are registered.

use serde_json::json;
use tidegate_crypto::RelyingParty;
use tidegate_kernel::Settings;
use tidegate_kernel::settings::PasskeySettings;
use tidegate_testkit::software::{BACKED_UP, USER_PRESENT};
use tidegate_testkit::{Engine, PUBLIC_URL, TestApp, concurrently, on_both_engines};

use super::super::wire::{assert_data, assert_done, post_as, refused_without_trace, sign_in, wait};
use super::*;

const NOT_FOUND: (u16, &str) = (404, "CHALLENGE_NOT_FOUND");
const FAILED: (u16, &str) = (400, "REGISTRATION_COMPLETION_FAILED");
const ATTESTATION: (u16, &str) = (400, "INVALID_ATTESTATION");

on_both_engines! {
    async fn a_passkey_is_registered_with_the_contracts_options(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let start = post_as(&app, &ada, "webauthn/register/start", &json!({ "device_name": " Phone " }));
        let started = start.send().await;
        assert_data(&started, 201, &json!({
            "challenge": started.text_at("data.challenge"),
            "rp": { "name": "Tidegate", "id": "id.example.com" },
            "user": { "id": started.text_at("data.user.id"), "name": ADA, "displayName": "Ada Lovelace" },
            "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }, { "type": "public-key", "alg": -257 }],
            "authenticatorSelection": { "userVerification": "required", "residentKey": "preferred" },
            "timeout": 60000,
            "attestation": "none",
            "excludeCredentials": [],
        }));
        assert_eq!(started.text_at("data.challenge").len(), 43, "32 bytes");
        assert_eq!(started.text_at("data.user.id").len(), 22, "an opaque key");
        let mut phone = app.authenticator("phone");
        let credential = phone.register(started.field("data"));
        let added = app.complete_passkey(&ada, "Phone", &credential).await;
        assert_done(&added, 200, json!({
            "credential_id": 1, "device_name": "Phone", "created_at": app.now().iso_seconds(),
        }));
        // The next registration names it, and the way to it, so that its authenticator makes no second one.
        let options = app.start_passkey(&ada, "Key").await;
        assert_eq!(options["excludeCredentials"], json!([
            { "id": base64(b"phone"), "type": "public-key", "transports": ["internal"] },
        ]));
        assert_eq!(app.templates_to(ADA).await[0], "passkey_added");
        let noted = "select count(*) from audit_events where action = 'webauthn.registered'";
        assert_eq!(app.sql_count(noted).await, 1);
    }

    async fn a_challenge_is_for_one_account_one_session_one_purpose_and_once(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let mut phone = app.authenticator("phone");
        let credential = phone.register(&app.start_passkey(&ada, "Phone").await);
        assert_refused(&app, &app.complete_passkey(&bob, "Phone", &credential).await, NOT_FOUND);
        let elsewhere = sign_in(&app, &ada).await;
        assert_refused(&app, &app.complete_passkey(&elsewhere, "Phone", &credential).await, NOT_FOUND);
        // What is meant for a sign-in registers nothing.
        let options = app.start_passkey_sign_in(None).await;
        let mut creation = options.clone();
        creation["rp"] = json!({ "id": options["rpId"] });
        let misused = phone.register(&creation);
        assert_refused(&app, &app.complete_passkey(&ada, "Phone", &misused).await, NOT_FOUND);
        app.complete_passkey(&ada, "Phone", &credential).await.assert_status(200);
        assert_refused(&app, &app.complete_passkey(&ada, "Phone", &credential).await, NOT_FOUND);
    }

    async fn a_challenge_lives_five_minutes_and_another_takes_its_place(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.authenticator("phone");
        let first = phone.register(&app.start_passkey(&ada, "Phone").await);
        let second = phone.register(&app.start_passkey(&ada, "Phone").await);
        assert_refused(&app, &app.complete_passkey(&ada, "Phone", &first).await, NOT_FOUND);
        wait(&app, 300);
        assert_refused(&app, &app.complete_passkey(&ada, "Phone", &second).await, NOT_FOUND);
        let third = phone.register(&app.start_passkey(&ada, "Phone").await);
        wait(&app, 299);
        app.complete_passkey(&ada, "Phone", &third).await.assert_status(200);
    }

    async fn another_name_is_refused_and_the_right_one_still_accepted(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.authenticator("phone");
        let credential = phone.register(&app.start_passkey(&ada, "Phone").await);
        assert_refused(&app, &app.complete_passkey(&ada, "Tablet", &credential).await, FAILED);
        app.complete_passkey(&ada, "Phone", &credential).await.assert_status(200);
    }

    async fn what_was_made_for_another_site_or_without_the_person_is_refused(app: TestApp) {
        type Wrong = fn(&mut tidegate_testkit::software::SoftwareAuthenticator);
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let cases: [(Wrong, (u16, &str)); 8] = [
            (|it| it.origin = "https://example.com".to_owned(), FAILED),
            (|it| it.origin = "https://evil.id.example.com".to_owned(), FAILED),
            (|it| it.client_data = json!({ "type": "webauthn.get" }), FAILED),
            (|it| it.client_data = json!({ "crossOrigin": true }), FAILED),
            (|it| it.rp_id = Some("example.com".to_owned()), ATTESTATION),
            (|it| it.flags = USER_PRESENT, ATTESTATION),
            (|it| it.flags = 0, ATTESTATION),
            (|it| it.flags |= BACKED_UP, ATTESTATION),
        ];
        for (number, (spoil, expected)) in cases.into_iter().enumerate() {
            let mut phone = app.authenticator(&format!("phone {number}"));
            spoil(&mut phone);
            let options = app.start_passkey(&ada, "Phone").await;
            let refused = app.complete_passkey(&ada, "Phone", &phone.register(&options)).await;
            assert_refused(&app, &refused, expected);
        }
        assert_eq!(app.sql_count("select count(*) from passkeys").await, 0);
        // The answers that repeat a challenge of the account are on record; each used its challenge up.
        let noted = "select count(*) from audit_events where action = 'webauthn.refused'";
        assert_eq!(app.sql_count(noted).await, 7);
    }

    async fn cut_off_and_nested_cbor_is_refused(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.authenticator("phone");
        let whole = phone.register(&app.start_passkey(&ada, "Phone").await);
        let object = whole["response"]["attestationObject"].as_str().unwrap();
        let arrays = base64(&[0x81; 9_000]);
        let maps = base64(&b"\xa1\x63fmt".repeat(2_000));
        let indefinite = base64(&[0x9f; 9_000]);
        let long_text = base64(b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff");
        let cut = ["oA", &object[..8], &object[..object.len() / 8 * 4], &object[..object.len() / 4 * 4 - 4]];
        for text in cut.into_iter().chain([arrays.as_str(), &maps, &indefinite, &long_text]) {
            let options = app.start_passkey(&ada, "Phone").await;
            let credential = with_response(&phone.register(&options), "attestationObject", json!(text));
            assert_refused(&app, &app.complete_passkey(&ada, "Phone", &credential).await, ATTESTATION);
        }
        let longest = base64(&vec![0; 16 * 1_024 + 1]);
        let credential = with_response(&whole, "attestationObject", json!(longest));
        let refused = app.complete_passkey(&ada, "Phone", &credential).await;
        assert_refused(&app, &refused, (422, "VALIDATION_ERROR"));
    }

    async fn a_credential_is_registered_once_whoever_has_it(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let mut phone = app.authenticator("phone");
        let options = app.start_passkey(&ada, "Phone").await;
        app.complete_passkey(&ada, "Phone", &phone.register(&options)).await.assert_status(200);
        let mut answers = Vec::new();
        for who in [&ada, &bob] {
            let options = app.start_passkey(who, "Phone").await;
            answers.push(app.complete_passkey(who, "Phone", &phone.register(&options)).await);
            assert_refused(&app, answers.last().unwrap(), FAILED);
        }
        assert_eq!(answers[0].text_at("error.message"), answers[1].text_at("error.message"));
        assert_eq!(app.sql_count("select count(*) from passkeys").await, 1);
    }

    async fn of_many_equal_answers_at_once_one_is_accepted(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.authenticator("phone");
        let credential = phone.register(&app.start_passkey(&ada, "Phone").await);
        let body = json!({ "device_name": "Phone", "credential": credential });
        let answers = concurrently(8, |_| post_as(&app, &ada, "webauthn/register/complete", &body).send()).await;
        let accepted = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(accepted, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        assert!(answers.iter().all(|answer| [200, 404].contains(&answer.status)));
    }

    async fn an_account_has_twenty_passkeys_at_most(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for number in 0..20 {
            app.enrol_passkey(&ada, &format!("Key {number}")).await;
        }
        let more = post_as(&app, &ada, "webauthn/register/start", &json!({ "device_name": "One more" }));
        assert_refused(&app, &more.send().await, (400, "REGISTRATION_START_FAILED"));
    }

    async fn without_a_domain_there_are_no_passkeys_and_the_answer_says_what_to_set(engine: Engine) {
        let change = |settings: &mut Settings| settings.passkeys = PasskeySettings::at("http://192.0.2.1:8080");
        let app = TestApp::builder(engine).settings(change).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let start = post_as(&app, &ada, "webauthn/register/start", &json!({ "device_name": "Phone" }));
        let refused = start.send().await;
        assert_refused(&app, &refused, (400, "REGISTRATION_START_FAILED"));
        assert!(refused.text_at("error.message").contains("public_url"), "{}", refused.text);
        let mut phone = app.authenticator("phone");
        let credential = phone.register(&json!({ "challenge": base64(&[0; 32]), "rp": { "id": "id.example.com" } }));
        assert_refused(&app, &app.complete_passkey(&ada, "Phone", &credential).await, FAILED);
        let start = app.post("/api/v1/webauthn/authenticate/start").json(&json!({ "email": ADA })).send().await;
        assert_refused(&app, &start, (400, "AUTHENTICATION_START_FAILED"));
        let assertion = phone.sign_in(&json!({ "challenge": base64(&[0; 32]), "rpId": "id.example.com" }));
        let complete = app.complete_passkey_sign_in(Some(ADA), &assertion).await;
        assert_refused(&app, &complete, (400, "AUTHENTICATION_COMPLETION_FAILED"));
    }

    async fn only_allowed_models_are_registered_where_there_is_a_list(engine: Engine) {
        let allowed = uuid::Uuid::from_bytes([7; 16]);
        let change = |settings: &mut Settings| {
            let origins = [PUBLIC_URL.to_owned()];
            let party = RelyingParty::new("id.example.com", "Example", &origins, false, vec![allowed]).unwrap();
            settings.passkeys.relying_party = Ok(party.into());
        };
        let app = TestApp::builder(engine).settings(change).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let options = app.start_passkey(&ada, "Phone").await;
        // Browsers leave the model out of an attestation that nobody asks for.
        assert_eq!(options["attestation"], "direct");
        let mut phone = app.authenticator("phone");
        let refused = app.complete_passkey(&ada, "Phone", &phone.register(&options)).await;
        assert_refused(&app, &refused, ATTESTATION);
        phone.aaguid = *allowed.as_bytes();
        let options = app.start_passkey(&ada, "Phone").await;
        app.complete_passkey(&ada, "Phone", &phone.register(&options)).await.assert_status(200);
    }

    async fn bodies_have_their_form(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for name in [json!(null), json!(""), json!(7), json!("a".repeat(101)), json!("\u{202e}x")] {
            let start = post_as(&app, &ada, "webauthn/register/start", &json!({ "device_name": name }));
            refused_without_trace(&app, start, 422, "VALIDATION_ERROR").await;
        }
        let mut phone = app.authenticator("phone");
        let credential = phone.register(&app.start_passkey(&ada, "Phone").await);
        let with = |member: &str, value: serde_json::Value| {
            let mut credential = credential.clone();
            credential[member] = value;
            credential
        };
        let wrong = [
            ("credential", json!(null)),
            ("credential", json!("text")),
            ("credential", json!([])),
            ("credential.id", with("id", json!("not base64!"))),
            ("credential.id", with("id", json!(base64(b"another")))),
            ("credential.rawId", with("rawId", json!(""))),
            ("credential.rawId", with("rawId", json!(base64(&[0; 1_024])))),
            ("credential.type", with("type", json!("password"))),
            ("credential.response", with("response", json!(null))),
            ("credential.response", with("response", json!("text"))),
            ("credential.response.attestationObject", with_response(&credential, "attestationObject", json!(7))),
            ("credential.response.clientDataJSON", with_response(&credential, "clientDataJSON", json!(null))),
            ("credential.response.clientDataJSON", with_response(&credential, "clientDataJSON", json!(base64(&[b' '; 9_000])))),
        ];
        for (field, credential) in wrong {
            let body = json!({ "device_name": "Phone", "credential": credential });
            let request = post_as(&app, &ada, "webauthn/register/complete", &body);
            let refused = refused_without_trace(&app, request, 422, "VALIDATION_ERROR").await;
            assert_eq!(refused.field("error.details.field"), field, "{body}");
        }
        // Padding, and ways to the authenticator that nobody knows, do no harm.
        let padded = with_response(&credential, "transports", json!(["telepathy", "usb", "usb"]));
        app.complete_passkey(&ada, "Phone", &padded).await.assert_status(200);
        assert_eq!(app.database.sql_texts("select transports from passkeys").await, ["usb"]);
    }
}

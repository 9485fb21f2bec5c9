//! Trusted devices.

use serde_json::json;
use tidegate_testkit::{Authenticator, Client, PASSWORD, TestApp, on_both_engines};

use super::super::wire::{assert_data, assert_done, assert_refused, tokens, wait};
use super::*;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const DATA: &str = r#"{"screen":"1920x1080"}"#;
const DAY: u64 = 24 * 3_600;

/// A sign-in from a device.
async fn login(client: &Client, agent: &str, data: &str) -> Answer {
    let claim = json!({ "email": ADA, "password": PASSWORD });
    let request = client.post(&url("auth/login")).header("user-agent", agent);
    request.header("x-device-fingerprint", data).json(&claim).send().await
}

/// The second half of it.
async fn show(app: &TestApp, client: &Client, token: &str, phone: &Authenticator) -> Answer {
    let claim = json!({ "temporary_token": token, "code": phone.code(app.now()) });
    let request = client.post(&url("auth/mfa/verify")).header("user-agent", FIREFOX);
    request.header("x-device-fingerprint", DATA).json(&claim).send().await
}

/// Signs in from the device with both factors; answers the activation token.
async fn offered(app: &TestApp, phone: &Authenticator) -> (Answer, String) {
    app.advance(STEP);
    let token = login(&app.client(), FIREFOX, DATA).await.text_at("data.temporary_token");
    let answer = show(app, &app.client(), &token, phone).await;
    let activation = answer.assert_status(200).text_at("data.trusted_device.activation_token");
    (answer, activation)
}

async fn activate(app: &TestApp, who: &Person, token: &str) -> Answer {
    post_as(app, who, "devices/activate", &json!({ "activation_token": token })).send().await
}

/// Somebody whose device is trusted.
async fn trusting(app: &TestApp) -> (Person, Authenticator) {
    let ada = app.sign_up_rivergen_verified(ADA).await;
    let phone = app.enrol_totp(&ada, "Phone").await;
    let (answer, token) = offered(app, &phone).await;
    let ada = tokens(&ada, &answer);
    activate(app, &ada, &token).await.assert_status(200);
    wait(app, 900);
    (ada, phone)
}

/// Whether a sign-in from the device asks for the second factor.
async fn is_asked(app: &TestApp) -> bool {
    wait(app, 900);
    let answer = login(&app.client(), FIREFOX, DATA).await;
    answer.assert_status(200);
    answer.field("data.mfa_required") == &json!(true)
}

on_both_engines! {
    async fn a_trusted_device_is_not_asked_for_the_second_factor(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        let (answer, token) = offered(&app, &phone).await;
        assert_eq!(answer.text_at("data.trusted_device.device_name"), "Firefox on Linux");
        let made = app.now();
        let ada = tokens(&ada, &answer);
        let activated = activate(&app, &ada, &token).await;
        let id = answer.field("data.trusted_device.id").clone();
        assert_done(&activated, 200, json!({
            "id": id, "device_name": "Firefox on Linux", "is_active": true, "created_at": made.iso_seconds(),
        }));
        wait(&app, 900);
        let login = login(&app.client(), FIREFOX, &DATA.replace(':', " : ")).await;
        login.assert_status(200).text_at("data.access_token");
        // The session says what was shown, not what was remembered.
        let amr = app.database.sql_texts("select amr from sessions order by number desc limit 1").await;
        assert_eq!(amr, ["pwd"]);
        for path in ["devices", "devices/"] {
            let list = get_as(&app, &ada, path).send().await;
            let fingerprint = list.field("data.devices")[0]["device_fingerprint"].clone();
            assert_eq!(fingerprint.as_str().unwrap().len(), 64);
            assert_data(&list, 200, &json!({
                "devices": [{
                    "id": id, "device_name": "Firefox on Linux", "device_fingerprint": fingerprint,
                    "user_agent": FIREFOX, "ip_address": "198.51.100.7", "is_active": true,
                    "created_at": made.iso_seconds(), "last_used_at": app.now().iso_seconds(),
                }],
                "total_count": 1,
            }));
        }
    }

    // The attack: the password, the user agent and the header are known.
    async fn a_copied_device_from_another_network_is_asked(app: TestApp) {
        trusting(&app).await;
        let asked = |answer: Answer| answer.field("data.mfa_required") == &json!(true);
        assert!(asked(login(&app.client().at("203.0.113.50"), FIREFOX, DATA).await));
        assert!(asked(login(&app.client(), "curl/8.1", DATA).await));
        assert!(asked(login(&app.client(), FIREFOX, "{}").await));
        wait(&app, 900);
        // The same network gives its clients other addresses.
        assert!(!asked(login(&app.client().at("198.51.100.250"), FIREFOX, DATA).await));
    }

    async fn a_trusted_device_that_shows_the_factor_all_the_same_is_offered_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        let (answer, token) = offered(&app, &phone).await;
        app.advance(STEP);
        let waiting = login(&app.client(), FIREFOX, DATA).await.text_at("data.temporary_token");
        activate(&app, &tokens(&ada, &answer), &token).await.assert_status(200);
        let answer = show(&app, &app.client(), &waiting, &phone).await;
        assert!(answer.assert_status(200).field("data.trusted_device").is_null());
    }

    async fn trust_ends_after_thirty_days(app: TestApp) {
        trusting(&app).await;
        wait(&app, 29 * DAY);
        assert!(!is_asked(&app).await);
        wait(&app, DAY);
        assert!(is_asked(&app).await);
        app.kernel().prune().await.unwrap();
        assert_eq!(app.sql_count("select count(*) from trusted_devices").await, 0);
    }

    async fn an_activation_token_is_used_once_by_its_owner_within_five_minutes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        let (answer, token) = offered(&app, &phone).await;
        let ada = tokens(&ada, &answer);
        for (who, token) in [(&bob, token.as_str()), (&ada, "guess")] {
            assert_refused(&app, &activate(&app, who, token).await, 400, "INVALID_ACTIVATION_TOKEN");
        }
        let empty = post_as(&app, &ada, "devices/activate", &json!({})).send().await;
        assert_refused(&app, &empty, 422, "VALIDATION_ERROR");
        activate(&app, &ada, &token).await.assert_status(200);
        wait(&app, 60);
        assert_refused(&app, &activate(&app, &ada, &token).await, 400, "INVALID_ACTIVATION_TOKEN");
        let other = app.client().at("203.0.113.50");
        app.advance(STEP);
        let waiting = login(&other, FIREFOX, DATA).await.text_at("data.temporary_token");
        let late = show(&app, &other, &waiting, &phone).await.text_at("data.trusted_device.activation_token");
        wait(&app, 300);
        assert_refused(&app, &activate(&app, &ada, &late).await, 410, "ACTIVATION_TOKEN_EXPIRED");
        let skipped = post_as(&app, &ada, "devices/skip", &json!({ "activation_token": late })).send().await;
        assert_refused(&app, &skipped, 410, "ACTIVATION_TOKEN_EXPIRED");
    }

    async fn a_device_that_is_skipped_is_not_trusted(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        let (answer, token) = offered(&app, &phone).await;
        let ada = tokens(&ada, &answer);
        let body = json!({ "activation_token": token });
        assert_data(&post_as(&app, &ada, "devices/skip", &body).send().await, 200, &json!({ "success": true }));
        wait(&app, 60);
        let again = post_as(&app, &ada, "devices/skip", &body).send().await;
        assert_refused(&app, &again, 400, "INVALID_ACTIVATION_TOKEN");
        assert_refused(&app, &activate(&app, &ada, &token).await, 400, "INVALID_ACTIVATION_TOKEN");
        let empty = post_as(&app, &ada, "devices/skip", &json!({ "activation_token": 1 })).send().await;
        assert_refused(&app, &empty, 422, "VALIDATION_ERROR");
        assert!(is_asked(&app).await);
    }

    async fn a_device_that_is_revoked_is_asked_again_and_its_sessions_stay(app: TestApp) {
        let (ada, _) = trusting(&app).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let list = get_as(&app, &ada, "devices").send().await;
        let path = format!("devices/{}", list.field("data.devices")[0]["id"]);
        assert_refused(&app, &delete_as(&app, &bob, &path).send().await, 404, "DEVICE_NOT_FOUND");
        let nonsense = delete_as(&app, &ada, "devices/mine").send().await;
        assert_refused(&app, &nonsense, 422, "VALIDATION_ERROR");
        assert_data(&delete_as(&app, &ada, &path).send().await, 200, &json!({ "success": true }));
        assert_refused(&app, &delete_as(&app, &ada, &path).send().await, 404, "DEVICE_NOT_FOUND");
        let empty = get_as(&app, &ada, "devices").send().await;
        assert_data(&empty, 200, &json!({ "devices": [], "total_count": 0 }));
        assert!(is_asked(&app).await);
    }

    async fn a_new_password_ends_trust(app: TestApp) {
        let (ada, _) = trusting(&app).await;
        let body = json!({ "current_password": PASSWORD, "new_password": "Battery2staple!" });
        post_as(&app, &ada, "auth/change-password", &body).send().await.assert_status(200);
        assert_eq!(app.sql_count("select count(*) from trusted_devices").await, 0);
    }

    async fn a_reset_of_the_password_ends_trust(app: TestApp) {
        trusting(&app).await;
        post(&app, "auth/forgot-password", &json!({ "email": ADA })).send().await.assert_status(200);
        let body = json!({ "token": app.latest_link_token(ADA).await, "new_password": PASSWORD });
        post(&app, "auth/reset-password", &body).send().await.assert_status(204);
        assert!(is_asked(&app).await, "the factor stays, the trust does not");
    }

    async fn the_removal_of_a_factor_ends_trust(app: TestApp) {
        let (ada, _) = trusting(&app).await;
        app.enrol_email_otp(&ada).await;
        let body = json!({ "method": "totp" });
        post_as(&app, &ada, "auth/mfa/deactivate", &body).send().await.assert_status(200);
        assert!(is_asked(&app).await);
    }

    async fn twenty_devices_are_trusted_at_most(app: TestApp) {
        let (mut ada, phone) = trusting(&app).await;
        for number in 0..22 {
            let client = app.client().at(&format!("10.9.{number}.1"));
            app.advance(STEP);
            let waiting = login(&client, FIREFOX, DATA).await.text_at("data.temporary_token");
            let answer = show(&app, &client, &waiting, &phone).await;
            let token = answer.text_at("data.trusted_device.activation_token");
            ada = tokens(&ada, &answer);
            activate(&app, &ada, &token).await.assert_status(200);
            wait(&app, 900);
        }
        let list = get_as(&app, &ada, "devices").send().await;
        assert_eq!(list.field("data.total_count"), 20);
        assert!(is_asked(&app).await, "the first one had to go");
    }
}

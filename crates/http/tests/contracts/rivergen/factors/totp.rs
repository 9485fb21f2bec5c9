//! Authenticator apps.

use serde_json::json;
use tidegate_domain::limit::Limit;
use tidegate_testkit::{Authenticator, Engine, TestApp, on_both_engines};

use super::super::wire::{assert_data, assert_done, assert_refused, wait};
use super::*;

async fn set_up(app: &TestApp, who: &Person, name: &str) -> Answer {
    post_as(app, who, "mfa/totp/setup", &json!({ "device_name": name })).send().await
}

async fn verify(app: &TestApp, who: &Person, code: &str) -> Answer {
    post_as(app, who, "mfa/totp/verify", &json!({ "code": code })).send().await
}

on_both_engines! {
    async fn an_app_is_set_up_and_counts_once_it_has_shown_a_code(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let answer = set_up(&app, &ada, "Phone").await;
        let secret = answer.text_at("data.secret");
        let codes = texts(&answer, "data.backup_codes");
        assert_data(&answer, 200, &json!({
            "secret": secret,
            "qr_code": answer.text_at("data.qr_code"),
            "manual_entry_key": secret,
            "device_name": "Phone",
            "backup_codes": codes,
        }));
        assert!(answer.text_at("data.qr_code").starts_with("data:image/png;base64,"));
        assert_eq!((secret.len(), codes.len()), (32, 10));
        // Nothing counts yet.
        let status = get_as(&app, &ada, "mfa/status").send().await;
        assert_eq!((status.field("data.mfa_enabled"), status.field("data.methods")), (&json!(false), &json!([])));

        let phone = Authenticator::with(&secret);
        let verified = verify(&app, &ada, &phone.code(app.now())).await;
        // Both answers name the same codes, so it does not matter which ones were written down.
        assert_done(&verified, 200, json!({ "success": true, "backup_codes": codes }));
        let me = get_as(&app, &ada, "auth/me").send().await;
        assert_eq!(me.field("data.security.mfa_enabled"), true);
        assert_eq!(me.field("data.security.mfa_methods"), &json!(["totp"]));
    }

    async fn the_status_tells_what_there_is(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        app.advance(STEP);
        app.enrol_email_otp(&ada).await;
        let status = get_as(&app, &ada, "mfa/status").send().await;
        assert_data(&status, 200, &json!({
            "mfa_enabled": true,
            "methods": [
                { "type": "totp", "device_name": "Phone", "is_primary": true, "verified": true, "last_used_at": null },
                { "type": "email_otp", "device_name": null, "is_primary": false, "verified": true, "last_used_at": null },
            ],
            "totp_enabled": true,
            "email_otp_enabled": true,
            "sms_otp_enabled": false,
            "totp_devices_count": 1,
            "backup_codes_remaining": 10,
        }));
    }

    async fn several_apps_have_names_of_their_own_and_the_first_is_the_primary_one(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        wait(&app, 60);
        app.enrol_totp(&ada, "Tablet").await;
        assert_refused(&app, &set_up(&app, &ada, "Phone").await, 409, "TOTP_ALREADY_ENABLED");
        let devices = get_as(&app, &ada, "mfa/totp/devices").send().await;
        let id = |place: usize| devices.field("data.devices")[place]["id"].clone();
        let started = tidegate_testkit::FakeClock::START;
        let later = started.plus(Duration::from_secs(60));
        assert_data(&devices, 200, &json!({
            "devices": [
                { "id": id(0), "device_name": "Phone", "type": "totp", "created_at": started.iso_seconds(),
                  "last_used_at": null, "is_primary": true, "verified": true },
                { "id": id(1), "device_name": "Tablet", "type": "totp", "created_at": later.iso_seconds(),
                  "last_used_at": null, "is_primary": false, "verified": true },
            ],
            "total_count": 2,
        }));
        // With the primary one gone, another is.
        let removed = delete_as(&app, &ada, &format!("mfa/totp/devices/{}", id(0))).send().await;
        assert_done(&removed, 200, json!({ "success": true }));
        let devices = get_as(&app, &ada, "mfa/totp/devices").send().await;
        assert_eq!(devices.field("data.devices")[0]["is_primary"], true);
        assert_eq!(get_as(&app, &ada, "mfa/status").send().await.field("data.backup_codes_remaining"), 10);
    }

    async fn with_the_last_app_the_backup_codes_go(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        app.enrol_email_otp(&ada).await;
        let devices = get_as(&app, &ada, "mfa/totp/devices").send().await;
        let path = format!("mfa/totp/devices/{}", devices.field("data.devices")[0]["id"]);
        delete_as(&app, &ada, &path).send().await.assert_status(200);
        let status = get_as(&app, &ada, "mfa/status").send().await;
        assert_eq!(status.field("data.mfa_enabled"), true);
        assert_eq!(status.field("data.backup_codes_remaining"), 0);
        assert_refused(&app, &delete_as(&app, &ada, &path).send().await, 404, "DEVICE_NOT_FOUND");
    }

    async fn another_accounts_app_looks_like_one_that_is_not_there(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        app.enrol_totp(&ada, "Phone").await;
        let devices = get_as(&app, &ada, "mfa/totp/devices").send().await;
        let path = format!("mfa/totp/devices/{}", devices.field("data.devices")[0]["id"]);
        assert_refused(&app, &delete_as(&app, &bob, &path).send().await, 404, "DEVICE_NOT_FOUND");
        let nonsense = delete_as(&app, &ada, "mfa/totp/devices/phone").send().await;
        assert_refused(&app, &nonsense, 422, "VALIDATION_ERROR");
    }

    async fn a_set_up_lives_ten_minutes_and_another_takes_its_place(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        assert_refused(&app, &verify(&app, &ada, "000000").await, 400, "NO_PENDING_SETUP");
        let first = Authenticator::with(&set_up(&app, &ada, "Phone").await.text_at("data.secret"));
        let second = Authenticator::with(&set_up(&app, &ada, "Phone").await.text_at("data.secret"));
        assert_refused(&app, &verify(&app, &ada, &first.code(app.now())).await, 400, "INVALID_CODE");
        let named = json!({ "code": second.code(app.now()), "device_name": "Tablet" });
        let other = post_as(&app, &ada, "mfa/totp/verify", &named).send().await;
        assert_refused(&app, &other, 400, "NO_PENDING_SETUP");
        wait(&app, 600);
        assert_refused(&app, &verify(&app, &ada, &second.code(app.now())).await, 400, "NO_PENDING_SETUP");
        app.kernel().prune().await.unwrap();
        assert_eq!(app.sql_count("select count(*) from second_factors").await, 0);
    }

    async fn three_wrong_codes_lock_the_set_up_for_a_minute(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = Authenticator::with(&set_up(&app, &ada, "Phone").await.text_at("data.secret"));
        for _ in 0..3 {
            let wrong = verify(&app, &ada, other_than(&phone.code(app.now()))).await;
            assert_refused(&app, &wrong, 400, "INVALID_CODE");
            wait(&app, 10);
        }
        let locked = verify(&app, &ada, &phone.code(app.now())).await;
        assert_refused(&app, &locked, 429, "TOO_MANY_ATTEMPTS");
        assert_eq!(locked.header("retry-after"), "50", "a minute after the third");
        wait(&app, 50);
        verify(&app, &ada, &phone.code(app.now())).await.assert_status(200);
    }

    async fn three_set_ups_in_five_minutes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for _ in 0..3 {
            set_up(&app, &ada, "Phone").await.assert_status(200);
        }
        assert_refused(&app, &set_up(&app, &ada, "Phone").await, 429, "RATE_LIMITED");
        wait(&app, 300);
        set_up(&app, &ada, "Phone").await.assert_status(200);
    }

    async fn an_account_has_ten_apps_at_most(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for number in 0..10 {
            app.enrol_totp(&ada, &format!("Phone {number}")).await;
        }
        assert_refused(&app, &set_up(&app, &ada, "One more").await, 400, "VALIDATION_ERROR");
    }

    async fn names_and_codes_have_their_form(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for name in [json!(null), json!(""), json!(7), json!("a".repeat(101)), json!("\u{202e}x")] {
            let answer = post_as(&app, &ada, "mfa/totp/setup", &json!({ "device_name": name })).send().await;
            assert_refused(&app, &answer, 400, "VALIDATION_ERROR");
        }
        for code in [json!(null), json!(""), json!("12345"), json!("1234567"), json!("abcdef"), json!([1])] {
            let answer = post_as(&app, &ada, "mfa/totp/verify", &json!({ "code": code })).send().await;
            assert_refused(&app, &answer, 422, "VALIDATION_ERROR");
        }
    }

    async fn the_seed_is_stored_sealed_and_moves_to_no_other_row(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        app.enrol_totp(&bob, "Phone").await;
        app.sql("update second_factors set sealed = (select sealed from second_factors order by number limit 1)").await;
        app.advance(STEP);
        let token = app.sign_in_halfway(&bob).await;
        app.show_factor(&token, "code", &phone.code(app.now())).await.assert_error(500, "INTERNAL_ERROR");
    }

    async fn a_list_that_cannot_be_read_is_said_so(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.sql("alter table second_factors rename to elsewhere").await;
        let list = get_as(&app, &ada, "mfa/totp/devices").send().await;
        assert_refused(&app, &list, 500, "DEVICE_LIST_ERROR");
        let removed = delete_as(&app, &ada, "mfa/totp/devices/1").send().await;
        assert_refused(&app, &removed, 500, "DEVICE_REMOVE_ERROR");
    }

    async fn an_operator_lifts_or_tightens_the_lock(engine: Engine) {
        let change = |settings: &mut tidegate_kernel::Settings| {
            for profile in settings.contracts.iter_mut() {
                profile.limits.wrong_second_factor = Some(Limit::new(1, 600));
            }
        };
        let app = TestApp::builder(engine).settings(change).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = Authenticator::with(&set_up(&app, &ada, "Phone").await.text_at("data.secret"));
        verify(&app, &ada, other_than(&phone.code(app.now()))).await.assert_error(400, "INVALID_CODE");
        let locked = verify(&app, &ada, &phone.code(app.now())).await;
        assert_eq!(locked.assert_error(429, "TOO_MANY_ATTEMPTS").header("retry-after"), "600");
    }
}

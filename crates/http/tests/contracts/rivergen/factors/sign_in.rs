//! The second half of a sign-in.

use serde_json::{Value, json};
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};

use super::super::wire::{assert_data, assert_done, assert_refused, lets_in, token_set, tokens, wait};
use super::*;
use crate::watch::Log;

async fn generate(app: &TestApp, token: &str, method: &str) -> Answer {
    let claim = json!({ "temporary_token": token, "method": method });
    post(app, "auth/mfa/otp/generate", &claim).send().await
}

async fn verify(app: &TestApp, claim: &Value) -> Answer {
    post(app, "auth/mfa/verify", claim).send().await
}

on_both_engines! {
    async fn a_password_leads_to_the_second_factor_and_that_to_a_session(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        app.advance(STEP);
        let claim = json!({ "email": ADA, "password": PASSWORD });
        let login = post(&app, "auth/login", &claim).send().await;
        let token = login.text_at("data.temporary_token");
        assert_done(&login, 200, json!({
            "temporary_token": token, "mfa_required": true, "available_methods": ["totp", "backup_code"],
        }));
        assert_eq!(app.sql_count("select count(*) from sessions").await, 1);
        let chosen = generate(&app, &token, "totp").await;
        let next = chosen.text_at("data.temporary_token");
        assert_done(&chosen, 200, json!({ "temporary_token": next }));
        let answer = app.show_factor(&next, "code", &phone.code(app.now())).await;
        let mut full = token_set(&answer, ADA);
        full["display_name"] = json!("Ada Lovelace");
        full["trusted_device"] = json!({
            "id": answer.field("data.trusted_device.id"),
            "device_name": "Unknown device",
            "activation_token": answer.text_at("data.trusted_device.activation_token"),
            "expires_at": app.now().plus(Duration::from_secs(300)).iso_seconds(),
            "is_active": false,
        });
        assert_data(&answer, 200, &full);
        assert!(lets_in(&app, &tokens(&ada, &answer)).await);
        let amr = app.database.sql_texts("select amr from sessions order by number desc limit 1").await;
        assert_eq!(amr, ["pwd otp mfa"]);
        let devices = get_as(&app, &ada, "mfa/totp/devices").send().await;
        assert_eq!(devices.field("data.devices")[0]["last_used_at"], app.now().iso_seconds());
    }

    async fn a_code_of_the_app_needs_no_choice_before(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        app.advance(STEP);
        let token = app.sign_in_halfway(&ada).await;
        app.show_factor(&token, "code", &phone.code(app.now())).await.assert_status(200);
    }

    async fn a_code_by_mail_signs_in(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_email_otp(&ada).await;
        let token = app.sign_in_halfway(&ada).await;
        let token = app.choose_factor(&token, "email_otp").await;
        assert_eq!(app.templates_to(ADA).await[0], "second_factor_code");
        let code = app.latest_code(ADA).await;
        let wrong = app.show_factor(&token, "code", other_than(&code)).await;
        assert_refused(&app, &wrong, 400, "INVALID_MFA_CODE");
        app.show_factor(&token, "code", &code).await.assert_status(200);
        wait(&app, 60);
        let again = app.show_factor(&token, "code", &code).await;
        assert_refused(&app, &again, 401, "INVALID_TOKEN");
    }

    async fn a_backup_code_signs_in_with_either_token_and_is_used_up(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        let token = app.sign_in_halfway(&ada).await;
        app.show_factor(&token, "backup_code", &phone.backup_codes[0]).await.assert_status(200);
        let token = app.sign_in_halfway(&ada).await;
        let token = app.choose_factor(&token, "totp").await;
        let used = app.show_factor(&token, "backup_code", &phone.backup_codes[0]).await;
        assert_refused(&app, &used, 400, "INVALID_MFA_CODE");
        app.show_factor(&token, "backup_code", &phone.backup_codes[1]).await.assert_status(200);
        let status = get_as(&app, &ada, "mfa/status").send().await;
        assert_eq!(status.field("data.backup_codes_remaining"), 8);
    }

    // RFC 6238 section 5.2: a code is accepted once, and so is every one before it.
    async fn a_code_that_was_used_is_wrong_and_so_is_the_one_before_it(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        // Also the code that verified the app.
        let token = app.sign_in_halfway(&ada).await;
        let used = app.show_factor(&token, "code", &phone.code(app.now())).await;
        assert_refused(&app, &used, 400, "INVALID_MFA_CODE");
        assert_eq!(used.text_at("error.message"), "This code is used up; wait for the next one.");
        let wrong = app.show_factor(&token, "code", other_than(&phone.code(app.now()))).await;
        assert_eq!(wrong.text_at("error.message"), "The code is wrong.");
        app.advance(2 * STEP);
        let before = phone.code(app.now().minus(STEP));
        app.show_factor(&token, "code", &phone.code(app.now())).await.assert_status(200);
        let token = app.sign_in_halfway(&ada).await;
        for code in [&before, &phone.code(app.now())] {
            app.show_factor(&token, "code", code).await.assert_error(400, "INVALID_MFA_CODE");
        }
        // The clock of a phone may be a step ahead.
        let ahead = phone.code(app.now().plus(STEP));
        app.show_factor(&token, "code", &ahead).await.assert_status(200);
    }

    async fn the_log_says_by_how_much_the_clock_of_a_phone_is_wrong_and_the_client_is_not_told(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        let token = app.sign_in_halfway(&ada).await;
        let (ahead, behind) = (app.now().plus(10 * STEP), app.now().minus(20 * STEP));
        for (code, told) in [
            (phone.code(ahead), "right for a time 300 s ahead: the clock of the phone is wrong"),
            (phone.code(behind), "right for a time 600 s behind: the clock of the phone is wrong"),
            (phone.code(app.now().plus(30 * STEP)), "the code of the app is wrong"),
        ] {
            let refused = app.show_factor(&token, "code", &code).await;
            assert_refused(&app, &refused, 400, "INVALID_MFA_CODE");
            assert_eq!(refused.text_at("error.message"), "The code is wrong.");
            let line = log.last_answer();
            assert!(line.contains(&format!(" refused=\"second factor: {told}")), "{told}: {line}");
        }
    }

    async fn remember_me_and_the_workspace_are_carried_along(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        let me = get_as(&app, &ada, "auth/me").send().await;
        let workspace = me.field("data.workspaces")[0]["id"].clone();
        app.advance(STEP);
        let claim = json!({ "email": ADA, "password": PASSWORD, "remember_me": true, "workspace_id": workspace });
        let token = post(&app, "auth/login", &claim).send().await.text_at("data.temporary_token");
        let token = app.choose_factor(&token, "totp").await;
        app.show_factor(&token, "code", &phone.code(app.now())).await.assert_status(200);
        let remembered = "select count(*) from sessions s join workspaces w on w.id = s.workspace_id where s.remember_me";
        assert_eq!(app.sql_count(remembered).await, 1);
        let history = get_as(&app, &ada, "auth/login-history?filter=success").send().await;
        let metadata = &history.field("data.history")[0]["metadata"];
        assert_eq!(metadata, &json!({ "method": "mfa", "factor": "totp", "remember_me": true }));
        let foreign = json!({ "email": ADA, "password": PASSWORD, "workspace_id": 999 });
        let foreign = post(&app, "auth/login", &foreign).send().await;
        assert_refused(&app, &foreign, 403, "PERMISSION_DENIED");
    }

    async fn a_temporary_token_lives_ten_minutes_and_no_other_token_is_one(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        app.advance(STEP);
        let token = app.sign_in_halfway(&ada).await;
        let next = app.choose_factor(&token, "totp").await;
        // Superseded.
        assert_refused(&app, &generate(&app, &token, "totp").await, 401, "INVALID_TEMPORARY_TOKEN");
        let bob = app.sign_up_rivergen(BOB).await;
        for other in ["guess", &token, &bob.temporary_token, &ada.access_token, &ada.refresh_token] {
            assert_refused(&app, &generate(&app, other, "totp").await, 401, "INVALID_TEMPORARY_TOKEN");
            let shown = app.show_factor(other, "code", &phone.code(app.now())).await;
            assert_refused(&app, &shown, 401, "INVALID_TOKEN");
        }
        let otp = json!({ "temporary_token": next, "otp_code": phone.code(app.now()) });
        post(&app, "auth/verify-otp", &otp).send().await.assert_error(401, "INVALID_TOKEN");
        wait(&app, 600);
        let late = app.show_factor(&next, "code", &phone.code(app.now())).await;
        assert_refused(&app, &late, 401, "INVALID_TOKEN");
        assert_refused(&app, &generate(&app, &next, "totp").await, 401, "INVALID_TEMPORARY_TOKEN");
    }

    async fn a_method_that_is_unknown_or_not_enabled_is_refused_and_the_token_stays_good(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        let token = app.sign_in_halfway(&ada).await;
        for method in ["email_otp", "sms_otp", "webauthn", ""] {
            assert_refused(&app, &generate(&app, &token, method).await, 400, "INVALID_REQUEST");
        }
        for claim in [json!({}), json!({ "temporary_token": token }), json!({ "temporary_token": token, "method": 1 })] {
            let answer = post(&app, "auth/mfa/otp/generate", &claim).send().await;
            assert_refused(&app, &answer, 422, "VALIDATION_ERROR");
        }
        app.choose_factor(&token, "totp").await;
    }

    async fn exactly_one_code_is_sent(app: TestApp) {
        let both = json!({ "temporary_token": "t", "code": "123456", "backup_code": "ABCD-2345" });
        let neither = json!({ "temporary_token": "t", "code": null, "backup_code": null });
        let short = json!({ "temporary_token": "t", "code": "1234" });
        for claim in [both, neither, short, json!({ "code": "123456" }), json!({})] {
            assert_refused(&app, &verify(&app, &claim).await, 422, "VALIDATION_ERROR");
        }
        let misplaced = verify(&app, &json!({ "temporary_token": "t", "code": "ABCD-2345" })).await;
        assert_refused(&app, &misplaced, 422, "VALIDATION_ERROR");
        assert!(misplaced.text.contains("a backup code is sent as backup_code"), "{}", misplaced.text);
    }

    async fn three_wrong_codes_lock_for_a_minute_whatever_the_token(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        app.advance(STEP);
        let token = app.sign_in_halfway(&ada).await;
        for _ in 0..3 {
            app.show_factor(&token, "code", other_than(&phone.code(app.now()))).await.assert_error(400, "INVALID_MFA_CODE");
        }
        let another = app.sign_in_halfway(&ada).await;
        for token in [&token, &another] {
            let locked = app.show_factor(token, "code", &phone.code(app.now())).await;
            assert_refused(&app, &locked, 429, "TOO_MANY_ATTEMPTS");
            assert_eq!(locked.header("retry-after"), "60");
        }
        wait(&app, 60);
        app.show_factor(&another, "code", &phone.code(app.now())).await.assert_status(200);
        let reason = "select count(*) from audit_events where action = 'auth.login.failure'
            and cast(metadata as text) like '%invalid_mfa_code%'";
        assert_eq!(app.sql_count(reason).await, 3);
    }

    // Who knows the password and guesses at codes must not keep the owner out.
    async fn strangers_wrong_codes_do_not_lock_the_owners_network(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        sign_in_with(&app, &ada, &phone).await.assert_status(200);
        app.advance(STEP);
        let stranger = app.client().at("203.0.113.99");
        let claim = json!({ "email": ADA, "password": PASSWORD });
        let login = stranger.post(&url("auth/login")).json(&claim).send().await;
        let token = login.text_at("data.temporary_token");
        let guess = json!({ "temporary_token": token, "code": other_than(&phone.code(app.now())) });
        for _ in 0..3 {
            let wrong = stranger.post(&url("auth/mfa/verify")).json(&guess).send().await;
            wrong.assert_error(400, "INVALID_MFA_CODE");
        }
        stranger.post(&url("auth/mfa/verify")).json(&guess).send().await.assert_error(429, "TOO_MANY_ATTEMPTS");
        let token = app.sign_in_halfway(&ada).await;
        app.show_factor(&token, "code", &phone.code(app.now())).await.assert_status(200);
    }

    async fn twenty_wrong_codes_an_hour_are_all(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        let stranger = app.client().at("203.0.113.99");
        let mut wrong = 0;
        for _ in 0..5 {
            wait(&app, 901);
            let claim = json!({ "email": ADA, "password": PASSWORD });
            let login = stranger.post(&url("auth/login")).json(&claim).send().await;
            let token = login.assert_status(200).text_at("data.temporary_token");
            for _ in 0..8 {
                wait(&app, 61);
                let claim = json!({ "temporary_token": token, "code": other_than(&phone.code(app.now())) });
                let answer = stranger.post(&url("auth/mfa/verify")).json(&claim).send().await;
                wrong += usize::from(answer.code() == "INVALID_MFA_CODE");
            }
        }
        assert_eq!(wrong, 36, "twenty in the first hour, and what is left of forty in the next");
    }

    async fn a_new_password_ends_a_sign_in_that_waits(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        app.advance(STEP);
        let token = app.sign_in_halfway(&ada).await;
        let body = json!({ "current_password": PASSWORD, "new_password": "Battery2staple!" });
        post_as(&app, &ada, "auth/change-password", &body).send().await.assert_status(200);
        let shown = app.show_factor(&token, "code", &phone.code(app.now())).await;
        assert_refused(&app, &shown, 401, "INVALID_TOKEN");
    }

    async fn an_account_that_is_gone_meanwhile_is_not_found(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        app.advance(STEP);
        let token = app.sign_in_halfway(&ada).await;
        app.sql("update accounts set disabled_at = 1").await;
        assert_refused(&app, &generate(&app, &token, "totp").await, 401, "USER_NOT_FOUND");
        let shown = app.show_factor(&token, "code", &phone.code(app.now())).await;
        assert_refused(&app, &shown, 401, "USER_NOT_FOUND");
        app.sql("update accounts set disabled_at = null").await;
        app.sql("delete from membership_workspaces").await;
        app.sql("delete from memberships").await;
        assert_refused(&app, &generate(&app, &token, "totp").await, 404, "SESSION_NOT_FOUND");
        let shown = app.show_factor(&token, "code", &phone.code(app.now())).await;
        assert_refused(&app, &shown, 401, "INVALID_TOKEN");
    }

    async fn three_codes_by_mail_in_five_minutes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_email_otp(&ada).await;
        let mut token = app.sign_in_halfway(&ada).await;
        for _ in 0..3 {
            token = app.choose_factor(&token, "email_otp").await;
        }
        assert_refused(&app, &generate(&app, &token, "email_otp").await, 429, "RATE_LIMITED");
        app.show_factor(&token, "code", &app.latest_code(ADA).await).await.assert_status(200);
    }

    async fn a_method_is_deactivated_by_name_and_all_without(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let deactivate = |method: Value| post_as(&app, &ada, "auth/mfa/deactivate", &json!({ "method": method })).send();
        assert_refused(&app, &deactivate(json!(null)).await, 404, "MFA_METHOD_NOT_FOUND");
        app.enrol_totp(&ada, "Phone").await;
        app.enrol_email_otp(&ada).await;
        assert_refused(&app, &deactivate(json!("sms_otp")).await, 404, "MFA_METHOD_NOT_FOUND");
        for wrong in [json!("webauthn"), json!(1)] {
            assert_refused(&app, &deactivate(wrong).await, 400, "VALIDATION_ERROR");
        }
        let one = deactivate(json!("totp")).await;
        assert_done(&one, 200, json!({ "deactivated_methods": ["totp"] }));
        let status = get_as(&app, &ada, "mfa/status").send().await;
        assert_eq!(status.field("data.backup_codes_remaining"), 10, "another factor is left");
        app.advance(STEP);
        app.enrol_totp(&ada, "Phone").await;
        let all = deactivate(json!(null)).await;
        assert_done(&all, 200, json!({ "deactivated_methods": ["totp", "email_otp"] }));
        assert_eq!(app.sql_count("select count(*) from recovery_codes").await, 0);
        let claim = json!({ "email": ADA, "password": PASSWORD });
        post(&app, "auth/login", &claim).send().await.assert_status(200).text_at("data.access_token");
    }

    async fn mails_are_needed_for_codes_by_mail(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_email_otp(&ada).await;
        let token = app.sign_in_halfway(&ada).await;
        let node = app.another_node_with(|settings| settings.mail = tidegate_kernel::settings::DeliveryMode::Off).await;
        let claim = json!({ "temporary_token": token, "method": "email_otp" });
        let answer = node.client().post(&url("auth/mfa/otp/generate")).json(&claim).send().await;
        answer.assert_error(503, "SERVICE_UNAVAILABLE");
    }
}

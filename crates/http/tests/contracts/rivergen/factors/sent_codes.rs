//! Codes by e-mail, and by text message where the account has a verified phone.

use serde_json::json;
use tidegate_domain::EmailAddress;
use tidegate_identity::credentials::factors::phone_gone::PhoneFactor;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::super::wire::{assert_done, assert_refused, wait};
use super::*;

const PHONE: &str = "+254700000001";

async fn verify(app: &TestApp, who: &Person, code: &str) -> Answer {
    post_as(app, who, "mfa/email-otp/verify", &json!({ "code": code })).send().await
}

async fn set_up(app: &TestApp, who: &Person) -> Answer {
    post_as(app, who, "mfa/email-otp/setup", &json!({})).send().await
}

/// Somebody with a phone, an address and a password.
async fn with_phone(app: &TestApp) -> Person {
    let phone = app.register_phone(PHONE).await;
    app.open_account(&phone, ADA).await;
    let link = app.latest_link_token(ADA).await;
    app.post("/verify-email").form(&format!("token={link}")).send().await.assert_status(200);
    post(app, "auth/forgot-password", &json!({ "email": ADA })).send().await.assert_status(200);
    let token = app.latest_link_token(ADA).await;
    let body = json!({ "token": token, "new_password": tidegate_testkit::PASSWORD });
    post(app, "auth/reset-password", &body).send().await.assert_status(204);
    let claim = json!({ "email": ADA, "password": tidegate_testkit::PASSWORD });
    let answer = post(app, "auth/login", &claim).send().await;
    Person {
        email: ADA.to_owned(),
        password: tidegate_testkit::PASSWORD.to_owned(),
        access_token: answer.assert_status(200).text_at("data.access_token"),
        refresh_token: answer.text_at("data.refresh_token"),
        user_id: answer.field("data.user_id").to_string(),
    }
}

/// Makes codes by text message a second factor; answers the backup codes.
async fn enrol_sms(app: &TestApp, who: &Person) -> Vec<String> {
    post_as(app, who, "mfa/sms-otp/setup", &json!({})).send().await.assert_status(200);
    let code = app.latest_text_code(PHONE).await;
    let verified = post_as(app, who, "mfa/sms-otp/verify", &json!({ "code": code })).send().await;
    texts(verified.assert_status(200), "data.backup_codes")
}

/// Sets the password anew from the mailbox, and has the phones removed.
async fn remove_phones(app: &TestApp) {
    post(app, "auth/forgot-password", &json!({ "email": ADA })).send().await.assert_status(200);
    let token = app.latest_link_token(ADA).await;
    let form = format!("token={token}&new_password={}&remove_phones=on", tidegate_testkit::PASSWORD);
    app.post("/reset-password").form(&form).send().await.assert_status(200);
}

/// What the newest mail of a template says.
async fn newest_of(app: &TestApp, template: &str) -> String {
    let mails = app.mails_to(ADA).await;
    let mail = mails.iter().find(|mail| mail.message.template == template).expect("a mail");
    app.kernel().render(mail).unwrap().unwrap().text().to_owned()
}

on_both_engines! {
    async fn codes_by_mail_count_once_one_came_back(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        assert_done(&set_up(&app, &ada).await, 200, json!({ "otp_sent": true }));
        assert_eq!(app.templates_to(ADA).await[0], "second_factor_code");
        let verified = verify(&app, &ada, &app.latest_code(ADA).await).await;
        let codes = texts(&verified, "data.backup_codes");
        assert_done(&verified, 200, json!({ "success": true, "backup_codes": codes }));
        assert_eq!(codes.len(), 10);
        assert_refused(&app, &set_up(&app, &ada).await, 409, "EMAIL_OTP_ALREADY_ENABLED");
    }

    async fn a_code_of_a_set_up_is_wrong_late_or_not_asked_for(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        assert_refused(&app, &verify(&app, &ada, "000000").await, 400, "NO_PENDING_SETUP");
        set_up(&app, &ada).await.assert_status(200);
        let first = app.latest_code(ADA).await;
        assert_refused(&app, &verify(&app, &ada, other_than(&first)).await, 400, "INVALID_CODE");
        set_up(&app, &ada).await.assert_status(200);
        let second = app.latest_code(ADA).await;
        if first != second {
            assert_refused(&app, &verify(&app, &ada, &first).await, 400, "INVALID_CODE");
        }
        wait(&app, 600);
        assert_refused(&app, &verify(&app, &ada, &second).await, 400, "NO_PENDING_SETUP");
        let short = post_as(&app, &ada, "mfa/email-otp/verify", &json!({ "code": "12345" })).send().await;
        assert_refused(&app, &short, 422, "VALIDATION_ERROR");
    }

    async fn three_wrong_codes_lock_and_the_fourth_waits(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        set_up(&app, &ada).await.assert_status(200);
        let code = app.latest_code(ADA).await;
        for _ in 0..3 {
            verify(&app, &ada, other_than(&code)).await.assert_error(400, "INVALID_CODE");
        }
        assert_refused(&app, &verify(&app, &ada, &code).await, 429, "TOO_MANY_ATTEMPTS");
        wait(&app, 60);
        verify(&app, &ada, &code).await.assert_status(200);
    }

    async fn three_codes_in_five_minutes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for _ in 0..3 {
            set_up(&app, &ada).await.assert_status(200);
        }
        assert_refused(&app, &set_up(&app, &ada).await, 429, "RATE_LIMITED");
        let broken = app.post(&url("mfa/email-otp/setup")).bearer(&ada.access_token).body("application/json", "{");
        assert_refused(&app, &broken.send().await, 422, "VALIDATION_ERROR");
    }

    async fn an_address_that_is_not_proven_gets_no_codes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        // As another node sees it whose session was read before.
        app.catch_up().await;
        get_as(&app, &ada, "auth/me").send().await.assert_status(200);
        app.sql("update identifiers set verified_at = null").await;
        assert_refused(&app, &set_up(&app, &ada).await, 400, "SETUP_FAILED");
        assert_eq!(app.sql_count("select count(*) from second_factors").await, 0);
    }

    async fn a_verified_phone_gets_codes_too(app: TestApp) {
        let ada = with_phone(&app).await;
        let sent = post_as(&app, &ada, "mfa/sms-otp/setup", &json!({})).send().await;
        assert_done(&sent, 200, json!({ "otp_sent": true }));
        let claim = |code: &str| json!({ "code": code });
        let code = app.latest_text_code(PHONE).await;
        let wrong = post_as(&app, &ada, "mfa/sms-otp/verify", &claim(other_than(&code))).send().await;
        assert_refused(&app, &wrong, 400, "INVALID_CODE");
        let verified = post_as(&app, &ada, "mfa/sms-otp/verify", &claim(&code)).send().await;
        assert_eq!(texts(&verified, "data.backup_codes").len(), 10);
        let again = post_as(&app, &ada, "mfa/sms-otp/setup", &json!({})).send().await;
        assert_refused(&app, &again, 409, "SMS_OTP_ALREADY_ENABLED");

        wait(&app, 60);
        let token = app.sign_in_halfway(&ada).await;
        let token = app.choose_factor(&token, "sms_otp").await;
        let shown = app.show_factor(&token, "code", &app.latest_text_code(PHONE).await).await;
        shown.assert_status(200);
    }

    async fn a_phone_is_needed_for_codes_by_text_message(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let sent = post_as(&app, &ada, "mfa/sms-otp/setup", &json!({})).send().await;
        assert_refused(&app, &sent, 400, "SETUP_FAILED");
        let verify = post_as(&app, &ada, "mfa/sms-otp/verify", &json!({ "code": "000000" })).send().await;
        assert_refused(&app, &verify, 400, "NO_PENDING_SETUP");
        let short = post_as(&app, &ada, "mfa/sms-otp/verify", &json!({ "code": "0" })).send().await;
        assert_refused(&app, &short, 422, "VALIDATION_ERROR");
        let broken = app.post(&url("mfa/sms-otp/setup")).bearer(&ada.access_token).body("application/json", "{");
        assert_refused(&app, &broken.send().await, 422, "VALIDATION_ERROR");
    }

    async fn codes_by_text_message_are_limited_and_locked_like_those_by_mail(engine: Engine) {
        let app = TestApp::start(engine).await;
        let ada = with_phone(&app).await;
        post_as(&app, &ada, "mfa/sms-otp/setup", &json!({})).send().await.assert_status(200);
        let code = app.latest_text_code(PHONE).await;
        let claim = |code: &str| json!({ "code": code });
        for _ in 0..3 {
            let wrong = post_as(&app, &ada, "mfa/sms-otp/verify", &claim(other_than(&code))).send().await;
            wrong.assert_error(400, "INVALID_CODE");
        }
        let locked = post_as(&app, &ada, "mfa/sms-otp/verify", &claim(&code)).send().await;
        assert_refused(&app, &locked, 429, "TOO_MANY_ATTEMPTS");
        for _ in 0..2 {
            post_as(&app, &ada, "mfa/sms-otp/setup", &json!({})).send().await.assert_status(200);
        }
        let limited = post_as(&app, &ada, "mfa/sms-otp/setup", &json!({})).send().await;
        assert_refused(&app, &limited, 429, "RATE_LIMITED");
    }

    // Whoever reads the mailbox may ask to have the phones removed when a password is set anew: that must not be a way around the factor.
    async fn a_factor_whose_phone_is_gone_still_counts_and_its_owner_is_told(app: TestApp) {
        let ada = with_phone(&app).await;
        let backup = enrol_sms(&app, &ada).await;
        remove_phones(&app).await;
        assert!(app.templates_to(ADA).await.iter().take(2).any(|template| template == "factor_unreachable"));
        let mail = newest_of(&app, "factor_unreachable").await;
        assert!(mail.contains("codes by text message") && mail.contains("Left: 10"), "{mail}");
        let claim = json!({ "email": ADA, "password": tidegate_testkit::PASSWORD });
        let answer = post(&app, "auth/login", &claim).send().await;
        assert_eq!(answer.field("data.available_methods"), &json!(["backup_code"]));
        let token = answer.text_at("data.temporary_token");
        let chosen = json!({ "temporary_token": token, "method": "sms_otp" });
        let chosen = post(&app, "auth/mfa/otp/generate", &chosen).send().await;
        assert_refused(&app, &chosen, 400, "INVALID_REQUEST");
        app.show_factor(&token, "backup_code", &backup[0]).await.assert_status(200);
    }

    async fn a_factor_whose_phone_is_gone_is_removed_where_another_one_is_asked_for(app: TestApp) {
        let ada = with_phone(&app).await;
        app.enrol_totp(&ada, "Phone").await;
        let backup = enrol_sms(&app, &ada).await;
        remove_phones(&app).await;
        let mail = newest_of(&app, "factor_removed").await;
        assert!(mail.contains("codes by text message") && !mail.contains("authenticator app"), "{mail}");
        let noted = "select count(*) from audit_events where action = 'auth.mfa.deactivated'";
        assert_eq!(app.sql_count(noted).await, 1);
        let claim = json!({ "email": ADA, "password": tidegate_testkit::PASSWORD });
        let answer = post(&app, "auth/login", &claim).send().await;
        assert_eq!(answer.field("data.available_methods"), &json!(["totp", "backup_code"]));
        app.show_factor(&answer.text_at("data.temporary_token"), "backup_code", &backup[0]).await.assert_status(200);
    }

    async fn an_operator_who_removes_a_phone_hears_what_becomes_of_the_factor(app: TestApp) {
        let ada = with_phone(&app).await;
        enrol_sms(&app, &ada).await;
        let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
        let name = AccountName::Login(EmailAddress::parse(ADA).unwrap().into());
        let phone = tidegate_domain::PhoneNumber::from_stored(PHONE.to_owned()).into();
        let removed = app.identity().remove_identifier(&operator, &name, &phone, None).await.unwrap();
        assert_eq!(removed.phone_factor, PhoneFactor::Unreachable { backup_codes: 10 });
        assert_eq!(app.templates_to(ADA).await[0], "factor_unreachable");
        assert_eq!(app.sql_count("select count(*) from second_factors").await, 1);
    }
}

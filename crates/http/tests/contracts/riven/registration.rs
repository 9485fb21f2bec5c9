//! POST /api/v1/auth/enter-phone and /api/v1/auth/confirm-code.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Engine, TestApp, on_both_engines};

use super::wire::{
    ADA, BOB, EVE, MINUTE, SECOND, assert_invalid, assert_invalid_code, is_let_in, other_than, post,
};
use crate::watch::{Log, row_counts};

const ENTER: &str = "auth/enter-phone";
const CONFIRM: &str = "auth/confirm-code";
const NO_NUMBER: &str = "must be a valid mobile phone number";

/// Sends a code back to register a phone.
async fn confirm(app: &TestApp, phone: &str, code: &str) -> Answer {
    app.confirm(CONFIRM, phone, code).await
}

/// Asks for a code and answers it.
async fn fresh_code(app: &TestApp, phone: &str) -> String {
    app.enter_phone(phone).await.assert_status(200);
    app.latest_text_code(phone).await
}

#[track_caller]
fn assert_sent(answer: &Answer) {
    answer.assert_status(200);
    assert_eq!(answer.body, json!({ "message": "Confirmation code sent", "status": true }));
}

const PEOPLE: &str = "select count(*) from accounts";
const SESSIONS: &str = "select count(*) from sessions";

on_both_engines! {
    async fn whoever_enters_a_phone_is_texted_a_code(app: TestApp) {
        assert_sent(&app.enter_phone(ADA).await);
        let texts = app.texts_to(ADA).await;
        let code = texts[0].code().unwrap();
        assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()), "{code}");
        let said = app.kernel().render(&texts[0]).unwrap().unwrap();
        assert!(said.text().contains(code) && said.text().contains("Tidegate"), "{}", said.text());
        assert_eq!((texts.len(), texts[0].message.channel.as_str()), (1, "sms"));
        assert_eq!(app.sql_count(PEOPLE).await, 0, "nobody is anybody before they have sent it back");
    }

    async fn the_first_right_code_makes_a_person_with_an_organization_of_their_own(app: TestApp) {
        let code = fresh_code(&app, ADA).await;
        let answer = confirm(&app, ADA, &code).await;
        answer.assert_status(200);
        let token = answer.text_at("auth.token");
        let expected = json!({
            "message": "Code verified", "auth": { "type": "Bearer", "token": token }, "status": true,
        });
        assert_eq!(answer.body, expected);
        assert!(is_let_in(&app, &token).await);

        let me = app.get("/api/v2/auth/me").bearer(&token).send().await;
        assert_eq!(me.assert_status(200).text_at("user.role"), "owner");
        let membership = "select role || ' ' || source from memberships";
        assert_eq!(app.database.sql_texts(membership).await, ["owner signup"]);
        assert_eq!(app.sql_count("select count(*) from workspaces where is_default").await, 1);
        assert_eq!(app.sql_count("select count(*) from membership_workspaces").await, 1);
        let phone = "select value from identifiers where kind = 'phone' and verified_at is not null and is_primary";
        assert_eq!(app.database.sql_texts(phone).await, [ADA]);
        let told = app.database.sql_texts("select action from audit_events order by number").await;
        assert_eq!(told, ["auth.otp.sent", "auth.signup", "auth.phone.verified", "auth.login.success"]);
    }

    // The same organization, workspace and roles as whoever comes through RiverGen.
    async fn a_home_is_a_home_whichever_contract_one_came_through(app: TestApp) {
        let rows = async || {
            let mut counts = Vec::new();
            for table in ["organizations", "workspaces", "roles", "memberships", "membership_workspaces"] {
                counts.push(app.sql_count(&format!("select count(*) from {table}")).await);
            }
            counts
        };
        app.sign_up_rivergen_verified("bob@example.com").await;
        let one = rows().await;
        app.register_phone(ADA).await;
        let twice: Vec<i64> = one.iter().map(|count| 2 * count).collect();
        assert_eq!(rows().await, twice);
    }

    async fn a_code_is_good_once(app: TestApp) {
        let code = fresh_code(&app, ADA).await;
        confirm(&app, ADA, &code).await.assert_status(200);
        app.advance(MINUTE);
        assert_invalid_code(&confirm(&app, ADA, &code).await);
        assert_eq!((app.sql_count(PEOPLE).await, app.sql_count(SESSIONS).await), (1, 1));
    }

    async fn who_is_known_is_texted_a_code_all_the_same_and_let_in(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        app.advance(MINUTE);
        assert_sent(&app.enter_phone(ADA).await);
        let code = app.latest_text_code(ADA).await;
        let answer = confirm(&app, ADA, &code).await;
        let keys: Vec<&String> = answer.assert_status(200).body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["auth", "message", "status"], "nothing tells that they were known");
        let id = async |token: &str| {
            let me = app.get("/api/v2/auth/me").bearer(token).send().await;
            me.assert_status(200).text_at("user.id")
        };
        assert_eq!(id(&ada.token).await, id(&answer.text_at("auth.token")).await);
        assert_eq!((app.sql_count(PEOPLE).await, app.sql_count(SESSIONS).await), (1, 2));
    }

    async fn a_wrong_code_lets_nobody_in(app: TestApp) {
        let code = fresh_code(&app, ADA).await;
        assert_invalid_code(&confirm(&app, ADA, other_than(&code)).await);
        assert_invalid_code(&confirm(&app, BOB, &code).await);
        assert_eq!(app.sql_count(PEOPLE).await, 0);
        confirm(&app, ADA, &code).await.assert_status(200);
    }

    async fn a_code_lives_for_ten_minutes(app: TestApp) {
        let (in_time, too_late) = (fresh_code(&app, ADA).await, fresh_code(&app, BOB).await);
        app.advance(10 * MINUTE - SECOND);
        confirm(&app, ADA, &in_time).await.assert_status(200);
        app.advance(SECOND);
        assert_invalid_code(&confirm(&app, BOB, &too_late).await);
        assert_eq!(app.sql_count(PEOPLE).await, 1);
    }

    async fn the_newest_code_alone_counts(app: TestApp) {
        let old = fresh_code(&app, ADA).await;
        app.advance(MINUTE);
        let new = fresh_code(&app, ADA).await;
        assert_ne!(old, new);
        assert_invalid_code(&confirm(&app, ADA, &old).await);
        confirm(&app, ADA, &new).await.assert_status(200);
        // Used up, it does not make room for the one before.
        assert_invalid_code(&confirm(&app, ADA, &old).await);
    }

    async fn a_code_to_log_in_with_registers_nobody(app: TestApp) {
        app.register_phone(ADA).await;
        app.advance(MINUTE);
        app.send_login_code(ADA).await.assert_status(200);
        let code = app.latest_text_code(ADA).await;
        assert_invalid_code(&confirm(&app, ADA, &code).await);
        app.confirm("login/verify-code", ADA, &code).await.assert_status(200);
    }

    async fn after_five_wrong_codes_the_right_one_is_refused(app: TestApp) {
        let code = fresh_code(&app, ADA).await;
        for _ in 0..5 {
            assert_invalid_code(&confirm(&app, ADA, other_than(&code)).await);
        }
        assert_invalid_code(&confirm(&app, ADA, &code).await);
        assert_eq!(app.sql_count("select max(attempts) from challenges").await, 5);
        app.advance(MINUTE);
        let next = fresh_code(&app, ADA).await;
        confirm(&app, ADA, &next).await.assert_status(200);
    }

    async fn a_code_is_four_to_eight_digits(app: TestApp) {
        fresh_code(&app, ADA).await;
        for code in ["0000", "00000", "0000000", "00000000"] {
            assert_invalid_code(&confirm(&app, ADA, code).await);
        }
        assert_eq!(app.sql_count("select attempts from challenges").await, 4);
        for code in ["", "000", "000000000", "12a456", "12,456", "+12345", "\u{661}\u{662}\u{663}"] {
            assert_invalid(&confirm(&app, ADA, code).await, &[("code", "must be 4 to 8 digits")]);
        }
        for (code, complaint) in [(json!([439_559]), "must be a string"), (Value::Null, "is required")] {
            let answer = post(&app, CONFIRM, &json!({ "phone": ADA, "code": code })).await;
            assert_invalid(&answer, &[("code", complaint)]);
        }
        assert_eq!(app.sql_count("select attempts from challenges").await, 4, "what is no code is no try");
    }

    async fn zeros_in_front_are_part_of_a_code(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        // Codes are chance, though always the same: one in ten begins with a zero.
        let mut code = fresh_code(&app, ADA).await;
        while !code.starts_with('0') {
            code = fresh_code(&app, ADA).await;
        }
        let bare = code.trim_start_matches('0');
        if bare.len() >= 4 {
            assert_invalid_code(&confirm(&app, ADA, bare).await);
        }
        confirm(&app, ADA, &format!(" {code} ")).await.assert_status(200);
    }

    async fn a_phone_is_one_phone_however_it_is_written(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let spellings = [
            "+254712345678", "254712345678", "0712345678", "0712 345 678", "0712-345-678", "+254 (712) 345-678",
            " 254 712 345678 ", "\u{202a}+254712345678\u{202c}", "0712\u{a0}345\u{2011}678",
        ];
        for (number, spelling) in spellings.iter().enumerate() {
            let sent = post(&app, ENTER, &json!({ "phone": spelling })).await;
            assert_sent(&sent);
            let code = app.latest_text_code(ADA).await;
            let other = spellings[(number + 1) % spellings.len()];
            let body = json!({ "phone": other, "code": code });
            post(&app, CONFIRM, &body).await.assert_status(200);
        }
        assert_eq!(app.sql_count(PEOPLE).await, 1);
        // The numbers that begin with 01 are mobile ones as well.
        post(&app, ENTER, &json!({ "phone": "0110 000 222" })).await.assert_status(200);
        assert_eq!(app.texts_to(EVE).await.len(), 1);
    }

    async fn a_number_that_is_no_mobile_number_of_a_country_that_is_served_is_named(app: TestApp) {
        let before = row_counts(&app).await;
        for phone in [
            "", " ", "+", "0", "071234567", "07123456789", "+2547123456789", "0712345678x", "phone", "+14155550100",
            "+255712345678", "+447400123456", "+254202345678", "0202345678", "+254812345678", "++254712345678",
            "0712345678;0733000111", "0712345678,", "sms:+254712345678", "+254712345678\0", &"0".repeat(10_000),
        ] {
            for path in [ENTER, "login/send-code"] {
                let answer = post(&app, path, &json!({ "phone": phone })).await;
                assert_invalid(&answer, &[("phone", NO_NUMBER)]);
            }
            for path in [CONFIRM, "login/verify-code"] {
                let answer = post(&app, path, &json!({ "phone": phone, "code": "000000" })).await;
                assert_invalid(&answer, &[("phone", NO_NUMBER)]);
            }
        }
        for path in [ENTER, "login/send-code"] {
            assert_invalid(&post(&app, path, &json!({})).await, &[("phone", "is required")]);
            assert_invalid(&post(&app, path, &json!({ "phone": null })).await, &[("phone", "is required")]);
            let flag = post(&app, path, &json!({ "phone": true })).await;
            assert_invalid(&flag, &[("phone", "must be a string")]);
        }
        for path in [CONFIRM, "login/verify-code"] {
            let answer = post(&app, path, &json!({})).await;
            assert_invalid(&answer, &[("phone", "is required"), ("code", "is required")]);
        }
        assert_eq!(row_counts(&app).await, before, "and nothing is sent, counted or written");
    }

    async fn an_operator_says_which_countries_are_served(engine: Engine) {
        let builder = TestApp::builder(engine).settings(|settings| {
            settings.phones.countries = ["TZ", "KE"].map(|letters| letters.to_owned().try_into().unwrap()).into();
        });
        let app = builder.start().await;
        post(&app, ENTER, &json!({ "phone": "0712345678" })).await.assert_status(200);
        assert_eq!(app.texts_to("+255712345678").await.len(), 1, "the first is home");
        post(&app, ENTER, &json!({ "phone": "+254712345678" })).await.assert_status(200);
        let elsewhere = post(&app, ENTER, &json!({ "phone": "+256712345678" })).await;
        assert_invalid(&elsewhere, &[("phone", NO_NUMBER)]);
        // The caller learns no more than of any text; the operator may have meant to serve that country.
        let log = Log::listen();
        let told = " refused=\"phone: of a country that phone.countries does not name\"";
        for (phone, is_told) in [("+14155552671", true), ("+254812345678", false)] {
            assert_invalid(&post(&app, ENTER, &json!({ "phone": phone })).await, &[("phone", NO_NUMBER)]);
            let line = log.last_answer();
            assert_eq!(line.contains(told), is_told, "{line}");
            assert!(!line.contains(phone), "{line}");
        }
    }

    async fn without_a_way_to_text_nobody_is_promised_a_code(engine: Engine) {
        let app = TestApp::builder(engine).sms_off().start().await;
        let before = row_counts(&app).await;
        for answer in [app.enter_phone(ADA).await, app.send_login_code(ADA).await] {
            answer.assert_not_set_up("text messages");
        }
        assert_eq!(row_counts(&app).await, before);
    }

    async fn who_was_shut_out_does_not_come_back_in_as_somebody_new(app: TestApp) {
        app.register_phone(ADA).await;
        app.sql("update accounts set disabled_at = 1").await;
        app.advance(MINUTE);
        let code = fresh_code(&app, ADA).await;
        assert_invalid_code(&confirm(&app, ADA, &code).await);
        assert_eq!((app.sql_count(PEOPLE).await, app.sql_count(SESSIONS).await), (1, 1));
    }

    async fn what_else_is_sent_along_changes_nothing(app: TestApp) {
        let body = json!({ "phone": ADA, "role": "admin", "id": 7, "otp_code": "000000", "status": false });
        assert_sent(&post(&app, ENTER, &body).await);
        let code = app.latest_text_code(ADA).await;
        let body = json!({ "phone": ADA, "code": code, "purpose": "login", "user": { "id": 7 }, "account_id": 7 });
        post(&app, CONFIRM, &body).await.assert_status(200);
        assert_eq!(app.database.sql_texts("select role from memberships").await, ["owner"]);
    }
}

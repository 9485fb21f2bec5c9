//! Tokens: chance alone, in the form of Laravel Sanctum. And POST /api/v1/logout, which takes one back.

use serde_json::json;
use tidegate_testkit::{Answer, Engine, TestApp, on_both_engines};

use super::wire::{ADA, BOB, DAY, MINUTE, SECOND, assert_unauthenticated, is_let_in, url};
use crate::cross_contract::{login_ingestiq, me_ingestiq, me_rivergen};
use crate::routes::{Route, assert_refused_everywhere};

async fn log_out(app: &TestApp, token: &str) -> Answer {
    app.post(&url("logout")).bearer(token).send().await
}

/// CRC-32 (IEEE 802.3) as the contract writes it.
fn checksum(text: &str) -> String {
    let remainder = text.bytes().fold(u32::MAX, |remainder, byte| {
        (0..8)
            .fold(remainder ^ u32::from(byte), |r, _| if r & 1 == 1 { r >> 1 ^ 0xedb8_8320 } else { r >> 1 })
    });
    format!("{:08x}", !remainder)
}

on_both_engines! {
    async fn a_token_is_a_number_forty_characters_and_their_checksum(app: TestApp) {
        for (number, phone) in [(1, ADA), (2, BOB)] {
            let token = app.register_phone(phone).await.token;
            let (id, secret) = token.split_once('|').unwrap();
            assert_eq!(id, number.to_string());
            let (random, check) = secret.split_at(40);
            assert!(random.bytes().all(|c| c.is_ascii_alphanumeric()), "{random}");
            assert_eq!(check, checksum(random));
        }
        let hashes = app.database.sql_texts("select dialect from sessions where token_hash is not null").await;
        assert_eq!(hashes, ["riven", "riven"]);
        assert_eq!(app.sql_count("select count(*) from refresh_tokens").await, 0, "there is nothing to refresh");
    }

    async fn a_token_is_found_by_its_secret_and_its_number_must_be_its_own(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let (ada, bob) = (app.register_phone(ADA).await.token, app.register_phone(BOB).await.token);
        let (id, secret) = ada.split_once('|').unwrap();
        let (other_id, other_secret) = bob.split_once('|').unwrap();
        assert!(is_let_in(&app, &ada).await);
        assert!(is_let_in(&app, secret).await, "the number only tells where to look");
        let random = &secret[..40];
        let swapped: String = random
            .chars()
            .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        let other_check = if secret.ends_with('0') { '1' } else { '0' };
        for (story, token) in [
            ("a wrong checksum", format!("{id}|{}{other_check}", &secret[..47])),
            ("a number nobody has", format!("999|{secret}")),
            ("another's number", format!("{other_id}|{secret}")),
            ("another's secret", format!("{id}|{other_secret}")),
            ("the number zero", format!("0|{secret}")),
            ("a negative number", format!("-1|{secret}")),
            ("a number with a zero in front", format!("0{id}|{secret}")),
            ("a number with a plus in front", format!("+{id}|{secret}")),
            ("a number too large", format!("99999999999999999999|{secret}")),
            ("no number", format!("|{secret}")),
            ("two numbers", format!("{id}|{id}|{secret}")),
            ("no secret", format!("{id}|")),
            ("a number alone", id.to_owned()),
            ("upper case for lower case", format!("{id}|{swapped}{}", checksum(&swapped))),
            ("somebody's guess with a right checksum", format!("{id}|{}{}", "A".repeat(40), checksum(&"A".repeat(40)))),
            ("a character less", format!("{id}|{}", &secret[..47])),
            ("a character more", format!("{id}|{secret}0")),
            ("two tokens", format!("{ada},{bob}")),
            ("a very long one", format!("{id}|{}", "A".repeat(100_000))),
            ("percent-encoded", format!("{id}%7C{secret}")),
            ("SQL", format!("1' or '1'='1|{secret}")),
        ] {
            assert_refused_everywhere(&app, &token, Route::invalid_token, story).await;
        }
        // However they are asked for, refusals are not remembered for anybody else.
        assert!(is_let_in(&app, &ada).await && is_let_in(&app, &bob).await);
    }

    async fn a_token_in_upper_case_is_another_token(app: TestApp) {
        let token = app.register_phone(ADA).await.token;
        assert!(!is_let_in(&app, &token.to_lowercase()).await);
        assert!(!is_let_in(&app, &token.to_uppercase()).await);
        let lower = app.get(&url("account/profile")).header("authorization", &format!("bearer {token}"));
        lower.send().await.assert_status(404);
        for scheme in ["Basic", "Token", "", "Bearer:"] {
            let request = app.get(&url("account/profile")).header("authorization", &format!("{scheme} {token}"));
            assert_unauthenticated(&request.send().await);
        }
    }

    async fn a_token_lives_for_thirty_days(app: TestApp) {
        let token = app.register_phone(ADA).await.token;
        assert!(is_let_in(&app, &token).await);
        app.advance(30 * DAY - SECOND);
        assert!(is_let_in(&app, &token).await, "to the end, and using it does not make it longer");
        app.advance(SECOND);
        assert!(!is_let_in(&app, &token).await);
        assert_unauthenticated(&log_out(&app, &token).await);
    }

    async fn logging_out_takes_back_this_token_and_no_other(app: TestApp) {
        let first = app.register_phone(ADA).await.token;
        app.advance(MINUTE);
        let second = app.sign_in_by_phone(ADA).await.token;
        let answer = log_out(&app, &first).await;
        answer.assert_status(200);
        assert_eq!(answer.body, json!({ "message": "Successfully logged out" }));
        assert_unauthenticated(&log_out(&app, &first).await);
        assert!(!is_let_in(&app, &first).await);
        assert!(!is_let_in(&app, first.split_once('|').unwrap().1).await, "nor without its number");
        assert!(is_let_in(&app, &second).await);
    }

    async fn logging_out_needs_no_body_and_none_is_read(app: TestApp) {
        for body in ["", "{", "{\"everywhere\": true}", "token=1"] {
            let token = app.register_phone(ADA).await.token;
            let answer = app.post(&url("logout")).bearer(&token).body("application/json", body).send().await;
            assert_eq!(answer.assert_status(200).body, json!({ "message": "Successfully logged out" }), "{body}");
            assert!(!is_let_in(&app, &token).await);
            app.advance(MINUTE);
        }
    }

    async fn another_node_refuses_a_token_within_two_seconds_of_its_end(app: TestApp) {
        let other = app.another_node().await;
        let token = app.register_phone(ADA).await.token;
        let elsewhere = async || other.client().get(&url("account/profile")).bearer(&token).send().await;
        elsewhere().await.assert_status(404);
        log_out(&app, &token).await.assert_status(200);
        assert!(!is_let_in(&app, &token).await);
        app.advance(2 * SECOND);
        assert_unauthenticated(&elsewhere().await);
        assert_unauthenticated(&other.client().post(&url("logout")).bearer(&token).send().await);
    }

    async fn a_node_that_has_never_seen_a_token_knows_it(app: TestApp) {
        let token = app.register_phone(ADA).await.token;
        let other = app.another_node().await;
        other.client().get(&url("account/profile")).bearer(&token).send().await.assert_status(404);
        other.client().post(&url("logout")).bearer(&token).send().await.assert_status(200);
    }

    async fn who_is_shut_out_is_out_within_two_seconds(app: TestApp) {
        let token = app.register_phone(ADA).await.token;
        assert!(is_let_in(&app, &token).await);
        app.sql("update accounts set disabled_at = 1").await;
        app.advance(2 * SECOND);
        assert!(!is_let_in(&app, &token).await);
    }

    async fn a_token_is_a_whole_session_at_ingestiq(app: TestApp) {
        let token = app.register_phone(ADA).await.token;
        let me = me_ingestiq(&app.client(), &token).await;
        assert_eq!(me.assert_status(200).text_at("user.role"), "owner");
        assert_eq!(me.field("user.email"), "", "there is no address yet: {}", me.text);
        app.post("/api/v2/auth/logout").bearer(&token).send().await.assert_status(200);
        assert_unauthenticated(&log_out(&app, &token).await);
    }

    async fn a_token_of_another_contract_is_one_here(app: TestApp) {
        let bob = app.register_ingestiq("bob@example.com").await;
        assert!(is_let_in(&app, &bob.access_token).await);
        log_out(&app, &bob.access_token).await.assert_status(200);
        me_ingestiq(&app.client(), &bob.access_token).await.assert_error(401, "INVALID_TOKEN");
        login_ingestiq(&app.client(), &bob.email, &bob.password).await.assert_status(200);
    }

    async fn where_an_address_must_be_verified_a_phone_is_not_enough(app: TestApp) {
        let token = app.register_phone(ADA).await.token;
        me_rivergen(&app.client(), &token).await.assert_error(403, "EMAIL_NOT_VERIFIED");
        let whose = app.post("/v1/login/jwt/").bearer(&token).send().await;
        whose.assert_error(401, "ACCOUNT_NOT_VERIFIED");
        let organization = app.get("/v1/organizations/current/").bearer(&token).send().await;
        organization.assert_error(401, "ACCOUNT_NOT_VERIFIED");
    }

    async fn it_is_noted_now_and_then_that_a_token_is_in_use(app: TestApp) {
        let token = app.register_phone(ADA).await.token;
        let noted = async || app.sql_count("select last_activity_at from sessions").await;
        let before = noted().await;
        app.advance(5 * MINUTE);
        assert!(is_let_in(&app, &token).await);
        assert_eq!(noted().await, before);
        app.advance(10 * MINUTE);
        assert!(is_let_in(&app, &token).await);
        assert_eq!(noted().await, before + 15 * 60 * 1_000_000);
    }
}

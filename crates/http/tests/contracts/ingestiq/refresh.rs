//! `POST /api/v2/auth/refresh`.

use serde_json::json;
use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use super::{DAY, LOGOUT, MINUTE, REFRESH, SECOND, faulty, keys, login, me, refresh};

const REPLAYS: &str = "select count(*) from audit_events where action = 'session.refresh_token_replayed'";

on_both_engines! {
    async fn a_refresh_token_is_exchanged_for_new_tokens(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let answer = refresh(&app.client(), &ada.refresh_token).await;
        answer.assert_status(200);
        assert_eq!(keys(&answer.body), ["accessToken", "refreshToken"]);
        assert_ne!(answer.text_at("refreshToken"), ada.refresh_token);
        assert_ne!(answer.text_at("accessToken"), ada.access_token);
        me(&app.client(), &answer.text_at("accessToken")).await.assert_status(200);
        me(&app.client(), &ada.access_token).await.assert_status(200);
        refresh(&app.client(), &answer.text_at("refreshToken")).await.assert_status(200);
    }

    async fn the_authorization_header_is_ignored(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let bob = app.register_ingestiq("bob@example.com").await;
        let send = app.post(REFRESH).json(&json!({ "refreshToken": ada.refresh_token }));
        let answer = send.bearer(&bob.access_token).send().await;
        answer.assert_status(200);
        let caller = me(&app.client(), &answer.text_at("accessToken")).await;
        assert_eq!(caller.text_at("user.id"), ada.user_id);
        let send = app.post(REFRESH).json(&json!({ "refreshToken": answer.text_at("refreshToken") }));
        send.header("authorization", "Bearer expired.or.nonsense").send().await.assert_status(200);
    }

    async fn what_is_missing_or_ill_typed_is_named(app: TestApp) {
        for body in [json!({}), json!({ "refreshToken": null }), json!({ "refreshToken": 1 }),
            json!({ "refreshToken": "" }), json!({ "refresh_token": "tgr_x" })]
        {
            let answer = app.post(REFRESH).json(&body).send().await;
            assert_eq!(faulty(&answer), ["refreshToken"], "{body}");
        }
    }

    async fn what_is_no_refresh_token_of_this_contract_is_invalid(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let token = ada.refresh_token.as_str();
        let cut = &token[..token.len() - 1];
        for presented in
            [&ada.access_token, cut, &format!("{token}x"), &format!("x{token}"), &token.to_uppercase(), "tgr_", "\0"]
        {
            let answer = refresh(&app.client(), presented).await;
            answer.assert_error(401, "INVALID_TOKEN");
            assert_eq!(keys(&answer.body["error"]), ["code", "message"]);
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        }
        // As the clipboard gives it.
        refresh(&app.client(), &format!(" {token}\n")).await.assert_status(200);
    }

    async fn a_lost_answer_is_repeated_for_thirty_seconds(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let first = refresh(&app.client(), &ada.refresh_token).await;
        app.advance(30 * SECOND);
        let again = refresh(&app.client(), &ada.refresh_token).await;
        again.assert_status(200);
        assert_eq!(again.text_at("refreshToken"), first.text_at("refreshToken"));
        me(&app.client(), &again.text_at("accessToken")).await.assert_status(200);
        assert_eq!(app.sql_count("select count(*) from refresh_tokens").await, 2);
        refresh(&app.client(), &first.text_at("refreshToken")).await.assert_status(200);
        assert_eq!(app.sql_count(REPLAYS).await, 0);
    }

    async fn a_token_replayed_later_ends_the_session(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let elsewhere = login(&app.client(), "ada@example.com", PASSWORD).await;
        let child = refresh(&app.client(), &ada.refresh_token).await;
        app.advance(31 * SECOND);
        refresh(&app.client(), &ada.refresh_token).await.assert_error(401, "INVALID_TOKEN");
        assert_eq!(app.sql_count(REPLAYS).await, 1);
        // Thief and owner are both out, of this session alone.
        refresh(&app.client(), &child.text_at("refreshToken")).await.assert_error(401, "INVALID_TOKEN");
        me(&app.client(), &child.text_at("accessToken")).await.assert_error(401, "INVALID_TOKEN");
        me(&app.client(), &ada.access_token).await.assert_error(401, "INVALID_TOKEN");
        me(&app.client(), &elsewhere.text_at("accessToken")).await.assert_status(200);
        refresh(&app.client(), &elsewhere.text_at("refreshToken")).await.assert_status(200);
    }

    async fn a_slow_tab_gets_the_newest_token_within_thirty_seconds(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let child = refresh(&app.client(), &ada.refresh_token).await;
        let newest = refresh(&app.client(), &child.text_at("refreshToken")).await;
        let other = app.another_node().await;
        for presented in [&ada.refresh_token, &child.text_at("refreshToken")] {
            for node in [app.client(), other.client()] {
                let slow = refresh(&node, presented).await;
                slow.assert_status(200);
                assert_eq!(slow.text_at("refreshToken"), newest.text_at("refreshToken"));
                me(&node, &slow.text_at("accessToken")).await.assert_status(200);
            }
        }
        assert_eq!(app.sql_count(REPLAYS).await, 0);
        app.advance(31 * SECOND);
        refresh(&app.client(), &ada.refresh_token).await.assert_error(401, "INVALID_TOKEN");
        refresh(&app.client(), &newest.text_at("refreshToken")).await.assert_error(401, "INVALID_TOKEN");
        assert_eq!(app.sql_count(REPLAYS).await, 1);
    }

    async fn a_refresh_token_lives_seven_days(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let bob = app.register_ingestiq("bob@example.com").await;
        app.advance(7 * DAY - SECOND);
        refresh(&app.client(), &ada.refresh_token).await.assert_status(200);
        app.advance(SECOND);
        let late = refresh(&app.client(), &bob.refresh_token).await;
        late.assert_error(401, "TOKEN_EXPIRED");
        assert_eq!(late.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }

    async fn each_refresh_opens_another_seven_days_up_to_thirty(app: TestApp) {
        let mut token = app.register_ingestiq("ada@example.com").await.refresh_token;
        for _ in 0..4 {
            app.advance(7 * DAY - SECOND);
            let answer = refresh(&app.client(), &token).await;
            answer.assert_status(200);
            token = answer.text_at("refreshToken");
        }
        // Four seconds short of day 28; two days and four seconds are left.
        app.advance(2 * DAY + 3 * SECOND);
        let last = refresh(&app.client(), &token).await;
        last.assert_status(200);
        me(&app.client(), &last.text_at("accessToken")).await.assert_status(200);
        app.advance(SECOND);
        let end = refresh(&app.client(), &last.text_at("refreshToken")).await;
        end.assert_error(401, "TOKEN_EXPIRED");
        me(&app.client(), &last.text_at("accessToken")).await.assert_error(401, "TOKEN_EXPIRED");
    }

    async fn an_extended_session_is_believed_at_once(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        app.advance(7 * DAY - SECOND);
        let answer = refresh(&app.client(), &ada.refresh_token).await;
        let token = answer.text_at("accessToken");
        me(&app.client(), &token).await.assert_status(200);
        // Past the end the session had before, within the memory of whoever looked then.
        app.advance(SECOND);
        me(&app.client(), &token).await.assert_status(200);
        app.advance(14 * MINUTE);
        me(&app.client(), &token).await.assert_status(200);
    }

    async fn a_token_of_an_ended_session_or_a_shut_account_is_invalid(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let bob = app.register_ingestiq("bob@example.com").await;
        app.post(LOGOUT).bearer(&ada.access_token).send().await.assert_status(200);
        refresh(&app.client(), &ada.refresh_token).await.assert_error(401, "INVALID_TOKEN");
        app.sql("update accounts set disabled_at = 1").await;
        refresh(&app.client(), &bob.refresh_token).await.assert_error(401, "INVALID_TOKEN");
    }
}

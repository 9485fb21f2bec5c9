//! POST /api/v1/auth/refresh: a session goes on, and a stolen token ends it.

use serde_json::json;
use tidegate_testkit::{Answer, Person, TestApp, on_both_engines};

use super::wire::{
    assert_data, assert_refused, each_invalid, event, get_as, lets_in, newest_events, post, refresh,
    refused_without_trace, sign_in, tokens, traces, wait,
};

const ADA: &str = "ada@example.com";

/// Exchanges somebody's refresh token.
async fn renewed(app: &TestApp, who: &Person) -> Person {
    tokens(who, refresh(app, &who.refresh_token).await.assert_status(200))
}

/// A refresh token that must not be accepted, although its session lives on.
async fn refused(app: &TestApp, refresh_token: &str, code: &str) -> Answer {
    let request = post(app, "auth/refresh", &json!({ "refresh_token": refresh_token }));
    refused_without_trace(app, request, 401, code).await
}

/// A refresh token that shows that two parties hold it: it is refused, and the session it belongs to ended.
async fn assert_replay_ends_the_session(app: &TestApp, who: &Person, replayed: &str, session: i64) {
    assert_refused(app, &refresh(app, replayed).await, 401, "INVALID_REFRESH_TOKEN");
    let expected = event(app, "session.refresh_token_replayed", Some(1), Some(session), &json!({}));
    assert_eq!(newest_events(app, 1).await, [expected]);
    let reasons = format!("select coalesce(revoked_reason, '') from sessions where number = {session}");
    assert_eq!(app.database.sql_texts(&reasons).await, ["refresh_token_replayed"]);
    assert!(!lets_in(app, who).await);
    refused(app, &who.refresh_token, "INVALID_REFRESH_TOKEN").await;
}

on_both_engines! {
    async fn a_refresh_token_is_exchanged_for_new_tokens(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        wait(&app, 1_800);
        let answer = refresh(&app, &ada.refresh_token).await;
        assert_data(&answer, 200, &json!({
            "access_token": answer.text_at("data.access_token"),
            "refresh_token": answer.text_at("data.refresh_token"),
            "token_type": "bearer",
            "expires_in": 3600,
        }));
        let new = tokens(&ada, &answer);
        assert!(new.access_token != ada.access_token && new.refresh_token != ada.refresh_token);
        // The new access token lives an hour from now; the old one its own hour.
        wait(&app, 1_800);
        assert!(!lets_in(&app, &ada).await);
        wait(&app, 1_799);
        assert!(lets_in(&app, &new).await);
    }

    async fn refreshing_is_activity_and_does_not_lengthen_the_session(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        wait(&app, 3_000);
        let new = renewed(&app, &ada).await;
        let sessions = get_as(&app, &new, "sessions").send().await;
        assert_eq!(sessions.field("data.sessions.0.last_activity_at"), "2026-01-05T09:50:00Z");
        assert_eq!(sessions.field("data.sessions.0.created_at"), "2026-01-05T09:00:00Z");
        assert_eq!(sessions.field("data.sessions.0.expires_at"), "2026-01-06T09:00:00Z");
        assert_eq!(sessions.field("data.total_count"), 1);
    }

    async fn an_access_token_never_outlives_its_session(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        wait(&app, 24 * 3_600 - 600);
        assert_eq!(refresh(&app, &ada.refresh_token).await.field("data.expires_in"), 600);
    }

    async fn a_lost_answer_is_given_again_for_thirty_seconds(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let first = renewed(&app, &ada).await;
        let rotated = traces(&app).await;
        for _ in 0..3 {
            wait(&app, 10);
            // The same child each time, and nothing is written for it.
            assert_eq!(renewed(&app, &ada).await.refresh_token, first.refresh_token);
            assert_eq!(traces(&app).await, rotated);
        }
        renewed(&app, &first).await;
    }

    async fn a_superseded_token_is_a_replay_after_thirty_seconds(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let new = renewed(&app, &ada).await;
        wait(&app, 31);
        assert_replay_ends_the_session(&app, &new, &ada.refresh_token, 1).await;
        // Its owner sees it among the sign-ins that failed.
        let again = sign_in(&app, &ada).await;
        for (filter, place) in [("", 1), ("?filter=failure", 0)] {
            let history = get_as(&app, &again, &format!("auth/login-history{filter}")).send().await;
            let newest = history.field(&format!("data.history.{place}"));
            assert_eq!(newest["action"], "auth.login.failure", "{newest}");
            assert_eq!(newest["metadata"], json!({"reason": "refresh_token_replayed"}), "{newest}");
        }
    }

    // A browser restores three tabs: the third refreshes what the first was given before the second, slow one comes.
    async fn a_slow_tab_gets_the_newest_token_within_thirty_seconds(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let other = app.another_node().await;
        let mut newest = renewed(&app, &ada).await;
        for _ in 0..5 {
            wait(&app, 6);
            newest = renewed(&app, &newest).await;
            let rotated = traces(&app).await;
            let slow = renewed(&app, &ada).await;
            assert_eq!(slow.refresh_token, newest.refresh_token);
            assert!(lets_in(&app, &slow).await && lets_in(&app, &newest).await);
            let body = json!({ "refresh_token": ada.refresh_token });
            let there = other.client().post("/api/v1/auth/refresh").json(&body).send().await;
            assert_eq!(there.assert_status(200).text_at("data.refresh_token"), newest.refresh_token);
            assert_eq!(traces(&app).await, rotated);
        }
        renewed(&app, &newest).await;
        wait(&app, 1);
        assert_replay_ends_the_session(&app, &newest, &ada.refresh_token, 1).await;
    }

    async fn a_slow_tab_is_let_on_after_many_refreshes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut newest = renewed(&app, &ada).await;
        for _ in 0..80 {
            newest = renewed(&app, &newest).await;
        }
        let slow = renewed(&app, &ada).await;
        assert_eq!(renewed(&app, &slow).await.refresh_token, newest.refresh_token);
    }

    // Whoever repeats a stolen token in time holds the newest one beside its owner: that shows when both go on.
    async fn a_thief_who_repeats_in_time_is_found_at_the_next_refresh(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let owner = renewed(&app, &ada).await;
        let thief = renewed(&app, &ada).await;
        wait(&app, 3_000);
        let owner = renewed(&app, &owner).await;
        wait(&app, 31);
        assert_replay_ends_the_session(&app, &owner, &thief.refresh_token, 1).await;
    }

    async fn a_replay_ends_its_own_session_and_no_other(app: TestApp) {
        let phone = app.sign_up_rivergen_verified(ADA).await;
        let laptop = sign_in(&app, &phone).await;
        let new = renewed(&app, &laptop).await;
        wait(&app, 31);
        assert_replay_ends_the_session(&app, &new, &laptop.refresh_token, 2).await;
        assert!(lets_in(&app, &phone).await);
        renewed(&app, &phone).await;
    }

    async fn a_replay_is_noticed_and_told_once(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let new = renewed(&app, &ada).await;
        wait(&app, 31);
        assert_replay_ends_the_session(&app, &new, &ada.refresh_token, 1).await;
        refused(&app, &ada.refresh_token, "INVALID_REFRESH_TOKEN").await;
    }

    async fn the_token_of_an_ended_session_is_invalid(app: TestApp) {
        let phone = app.sign_up_rivergen_verified(ADA).await;
        let laptop = sign_in(&app, &phone).await;
        app.post("/api/v1/auth/logout").bearer(&laptop.access_token).send().await.assert_status(204);
        refused(&app, &laptop.refresh_token, "INVALID_REFRESH_TOKEN").await;
        renewed(&app, &phone).await;
    }

    async fn the_token_of_an_expired_session_has_expired(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        wait(&app, 24 * 3_600);
        refused(&app, &ada.refresh_token, "REFRESH_TOKEN_EXPIRED").await;
    }

    async fn an_unknown_token_is_invalid(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for guess in ["tgr_unknown", "guess", &ada.refresh_token.to_uppercase(), &format!("{}x", ada.refresh_token)] {
            refused(&app, guess, "INVALID_REFRESH_TOKEN").await;
        }
        assert!(lets_in(&app, &ada).await);
    }

    async fn the_token_of_another_contract_is_invalid_and_not_harmed_by_trying(app: TestApp) {
        let bob = app.register_ingestiq("bob@example.com").await;
        refused(&app, &bob.refresh_token, "INVALID_REFRESH_TOKEN").await;
        let request = app.post("/api/v2/auth/refresh").json(&json!({ "refreshToken": bob.refresh_token }));
        request.send().await.assert_status(200);
    }

    async fn another_node_answers_with_the_same_child(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let other = app.another_node().await;
        let body = json!({ "refresh_token": ada.refresh_token });
        let there = other.client().post("/api/v1/auth/refresh").json(&body).send().await;
        let there = there.assert_status(200).text_at("data.refresh_token");
        assert_eq!(renewed(&app, &ada).await.refresh_token, there);
    }

    async fn refresh_tokens_are_kept_as_hashes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        renewed(&app, &ada).await;
        let hashes = app.sql_count("select count(*) from refresh_tokens where length(token_hash) = 32").await;
        assert_eq!(hashes, 2);
    }

    async fn a_refresh_needs_a_token(app: TestApp) {
        let wrong = [
            ("refresh_token", json!({})),
            ("refresh_token", json!({ "refresh_token": null })),
            ("refresh_token", json!({ "refresh_token": "" })),
            ("refresh_token", json!({ "refresh_token": 1 })),
        ];
        each_invalid(&app, 422, wrong, |body| post(&app, "auth/refresh", body)).await;
    }
}

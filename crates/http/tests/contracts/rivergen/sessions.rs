//! Where somebody is signed in, and how they end it: logout, logout-all, and the list of sessions.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Person, Request, TestApp, on_both_engines};
use uuid::Uuid;

use super::wire::{
    AGENT, IP, OTHER_PASSWORD, assert_data, assert_no_content, assert_refused, event, get_as, lets_in,
    newest_events, post_as, refresh, refused_unheard_of, refused_without_trace, sign_in, sign_in_remembered,
    tokens, url, wait,
};

const ADA: &str = "ada@example.com";
const DAY: u64 = 24 * 3_600;

/// Signs out of one session or of all.
fn sign_out(app: &TestApp, who: &Person, path: &str) -> Request {
    app.post(&url(path)).header("user-agent", AGENT).bearer(&who.access_token)
}

/// Ends a session by its number.
fn revoke(app: &TestApp, who: &Person, number: impl ToString) -> Request {
    let path = format!("sessions/{}", number.to_string());
    app.delete(&url(&path)).header("user-agent", AGENT).bearer(&who.access_token)
}

/// What another node does when somebody signs out there.
const END_ALL: &str = "update sessions set revoked_at = 1, revoked_reason = 'revoked'";

async fn assert_dead(app: &TestApp, who: &Person) {
    assert!(!lets_in(app, who).await);
    assert_refused(app, &refresh(app, &who.refresh_token).await, 401, "INVALID_REFRESH_TOKEN");
}

async fn assert_alive(app: &TestApp, who: &Person) {
    assert!(lets_in(app, who).await);
    refresh(app, &who.refresh_token).await.assert_status(200);
}

/// The numbers of the sessions listed, in order.
fn numbers(list: &Answer) -> Vec<i64> {
    let sessions = list.assert_status(200).field("data.sessions").as_array();
    sessions.into_iter().flatten().filter_map(|session| session["id"].as_i64()).collect()
}

on_both_engines! {
    async fn signing_out_ends_this_session_at_once(app: TestApp) {
        let phone = app.sign_up_rivergen_verified(ADA).await;
        let laptop = sign_in(&app, &phone).await;
        assert_no_content(&sign_out(&app, &laptop, "auth/logout").send().await);
        assert_eq!(newest_events(&app, 1).await, [event(&app, "auth.logout", Some(1), Some(2), &json!({}))]);
        let ended = "select number || ' ' || revoked_reason from sessions where revoked_at is not null";
        assert_eq!(app.database.sql_texts(ended).await, ["2 signed_out"]);
        assert_dead(&app, &laptop).await;
        assert_alive(&app, &phone).await;
    }

    async fn signing_out_of_a_refreshed_session_ends_every_token_it_had(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let new = tokens(&ada, &refresh(&app, &ada.refresh_token).await);
        assert_no_content(&sign_out(&app, &new, "auth/logout").send().await);
        assert_dead(&app, &ada).await;
        assert_dead(&app, &new).await;
    }

    async fn signing_out_of_a_session_ended_elsewhere_fails(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let ended = (END_ALL, "update sessions set revoked_at = null, revoked_reason = null");
        for path in ["auth/logout", "auth/logout-all"] {
            refused_unheard_of(&app, &ada, ended, sign_out(&app, &ada, path), (400, "LOGOUT_FAILED")).await;
        }
        // Once this node heard of it, the token is simply refused.
        app.sql(END_ALL).await;
        wait(&app, 2);
        refused_without_trace(&app, sign_out(&app, &ada, "auth/logout"), 401, "UNAUTHORIZED").await;
    }

    async fn signing_out_everywhere_ends_all_sessions_of_ones_own(app: TestApp) {
        let phone = app.sign_up_rivergen_verified(ADA).await;
        let laptop = sign_in(&app, &phone).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        assert_no_content(&sign_out(&app, &laptop, "auth/logout-all").send().await);
        let expected = event(&app, "auth.logout_all", Some(1), Some(2), &json!({ "sessions": 2 }));
        assert_eq!(newest_events(&app, 1).await, [expected]);
        for ended in [&phone, &laptop] {
            assert_dead(&app, ended).await;
        }
        assert_alive(&app, &bob).await;
    }

    async fn only_sessions_that_lived_are_counted_as_signed_out(app: TestApp) {
        let yesterdays = app.sign_up_rivergen_verified(ADA).await;
        wait(&app, DAY);
        let todays = sign_in(&app, &yesterdays).await;
        assert_no_content(&sign_out(&app, &todays, "auth/logout-all").send().await);
        let expected = event(&app, "auth.logout_all", Some(1), Some(2), &json!({ "sessions": 1 }));
        assert_eq!(newest_events(&app, 1).await, [expected]);
        assert_dead(&app, &yesterdays).await;
    }

    async fn signing_out_needs_no_body_and_takes_any_json(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for path in ["auth/logout", "auth/logout-all"] {
            let request = sign_out(&app, &ada, path).body("application/json", "{");
            refused_without_trace(&app, request, 422, "VALIDATION_ERROR").await;
        }
        assert_no_content(&sign_out(&app, &ada, "auth/logout").json(&json!({ "reason": "bye" })).send().await);
        let again = sign_in(&app, &ada).await;
        assert_no_content(&sign_out(&app, &again, "auth/logout-all").json(&json!([])).send().await);
    }

    async fn somebody_sees_where_they_are_signed_in(app: TestApp) {
        let phone = app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified("bob@example.com").await;
        wait(&app, 60);
        let laptop = sign_in_remembered(&app, &phone).await;
        app.sql("update sessions set ip = '10.0.0.1', user_agent = 'Phone/1.0' where number = 1").await;
        let list = get_as(&app, &laptop, "sessions").send().await;
        let laptops = json!({
            "id": 3, "user_id": 1, "ip_address": IP, "user_agent": AGENT, "created_at": "2026-01-05T09:01:00Z",
            "last_activity_at": "2026-01-05T09:01:00Z", "expires_at": "2026-02-04T09:01:00Z", "revoked_at": null,
            "is_current": true,
        });
        let phones = json!({
            "id": 1, "user_id": 1, "ip_address": "10.0.0.1", "user_agent": "Phone/1.0",
            "created_at": "2026-01-05T09:00:00Z", "last_activity_at": "2026-01-05T09:00:00Z",
            "expires_at": "2026-01-06T09:00:00Z", "revoked_at": null, "is_current": false,
        });
        assert_data(&list, 200, &json!({ "sessions": [laptops, phones], "total_count": 2, "active_count": 2 }));

        // The one that was active last comes first.
        wait(&app, 60);
        let phone = tokens(&phone, &refresh(&app, &phone.refresh_token).await);
        let list = get_as(&app, &phone, "sessions").send().await;
        assert_eq!(numbers(&list), [1, 3]);
        assert_eq!(list.field("data.sessions.0.last_activity_at"), "2026-01-05T09:02:00Z");
        assert_eq!(list.field("data.sessions.0.is_current"), true);
    }

    async fn ended_and_expired_sessions_are_counted_and_not_listed(app: TestApp) {
        let expired = app.sign_up_rivergen_verified(ADA).await;
        let remembered = sign_in_remembered(&app, &expired).await;
        let ended = sign_in(&app, &expired).await;
        sign_out(&app, &ended, "auth/logout").send().await.assert_status(204);
        wait(&app, DAY);
        let remembered = tokens(&remembered, &refresh(&app, &remembered.refresh_token).await);
        let list = get_as(&app, &remembered, "sessions").send().await;
        assert_eq!(numbers(&list), [2]);
        assert_eq!((list.field("data.total_count"), list.field("data.active_count")), (&json!(3), &json!(1)));
    }

    async fn a_session_is_ended_from_another(app: TestApp) {
        let phone = app.sign_up_rivergen_verified(ADA).await;
        let laptop = sign_in(&app, &phone).await;
        assert!(lets_in(&app, &phone).await);
        assert_data(&revoke(&app, &laptop, 1).send().await, 200, &json!({ "success": true }));
        assert_dead(&app, &phone).await;
        assert_alive(&app, &laptop).await;

        let mut event_of = newest_events(&app, 1).await;
        let revoked = event_of.first_mut().map(|event| event["metadata"]["session"].take()).unwrap_or_default();
        let expected = event(&app, "session.revoked", Some(1), Some(2), &json!({ "session": null }));
        assert_eq!(event_of, [expected]);
        let revoked: Uuid = revoked.as_str().unwrap_or_default().parse().expect("the key of a session");
        let number = format!("select number from sessions where id = {}", app.database.sql_uuid(revoked));
        assert_eq!(app.sql_count(&number).await, 1);
    }

    async fn one_may_end_the_session_one_is_in(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        revoke(&app, &ada, 1).send().await.assert_status(200);
        assert_dead(&app, &ada).await;
    }

    async fn a_session_already_ended_or_expired_is_not_found(app: TestApp) {
        let yesterdays = app.sign_up_rivergen_verified(ADA).await;
        wait(&app, DAY);
        let ada = sign_in(&app, &yesterdays).await;
        sign_in(&app, &ada).await;
        refused_without_trace(&app, revoke(&app, &ada, 1), 404, "SESSION_NOT_FOUND").await;
        revoke(&app, &ada, 3).send().await.assert_status(200);
        refused_without_trace(&app, revoke(&app, &ada, 3), 404, "SESSION_NOT_FOUND").await;
    }

    async fn somebody_elses_session_looks_like_one_that_is_not_there(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        let bobs = refused_without_trace(&app, revoke(&app, &ada, 2), 404, "SESSION_NOT_FOUND").await;
        for nobodys in ["4711", "0", "-2", "9223372036854775807"] {
            let answer = refused_without_trace(&app, revoke(&app, &ada, nobodys), 404, "SESSION_NOT_FOUND").await;
            assert_eq!(answer.text, bobs.text);
        }
        assert_alive(&app, &bob).await;
    }

    async fn a_session_has_an_integer_for_a_name(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for name in ["one", "1.0", "9223372036854775808", "%00", "1%20or%201"] {
            let answer = refused_without_trace(&app, revoke(&app, &ada, name), 422, "VALIDATION_ERROR").await;
            assert_eq!(answer.field("error.details.field"), "session_id");
        }
    }

    async fn a_list_that_cannot_be_read_is_said_so(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let gone = (
            "alter table sessions rename to sessions_elsewhere",
            "alter table sessions_elsewhere rename to sessions",
        );
        let list = get_as(&app, &ada, "sessions");
        refused_unheard_of(&app, &ada, gone, list, (500, "SESSIONS_FETCH_FAILED")).await;
    }

    async fn a_session_ended_on_one_node_is_refused_on_the_others_within_two_seconds(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let other = app.another_node().await;
        let there = || other.client().get("/api/v1/auth/me").bearer(&ada.access_token);
        there().send().await.assert_status(200);
        sign_out(&app, &ada, "auth/logout").send().await.assert_status(204);
        wait(&app, 2);
        assert_refused(&app, &there().send().await, 401, "UNAUTHORIZED");
    }

    async fn a_session_opened_through_another_contract_is_among_them(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let elsewhere = json!({ "email": ADA, "password": ada.password });
        let login = app.post("/api/v2/auth/login").json(&elsewhere).send().await;
        login.assert_status(200);
        assert_eq!(numbers(&get_as(&app, &ada, "sessions").send().await), [2, 1]);
        revoke(&app, &ada, 2).send().await.assert_status(200);
        let there = app.get("/api/v2/auth/me").bearer(&login.text_at("accessToken")).send().await;
        there.assert_status(401);
        assert_ne!(there.body, Value::Null);
    }

    async fn a_token_of_an_ended_session_changes_nothing_any_more(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        sign_out(&app, &ada, "auth/logout").send().await.assert_status(204);
        let password = json!({ "current_password": ada.password, "new_password": OTHER_PASSWORD });
        let change = post_as(&app, &ada, "auth/change-password", &password);
        refused_without_trace(&app, change, 401, "UNAUTHORIZED").await;
        refused_without_trace(&app, revoke(&app, &ada, 1), 401, "UNAUTHORIZED").await;
    }
}

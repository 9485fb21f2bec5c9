//! One's own tokens: made, listed, changed and revoked.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::super::wire::{
    AGENT, assert_data, assert_done, each_invalid, event, get_as, newest_events, post_as,
    refused_without_trace, url, wait,
};
use super::{ADA, BOB, DAY, asking, at_rivergen, make, me};
use crate::watch::Statements;

fn numbers(list: &Value) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|token| token["id"].as_i64().unwrap()).collect()
}

on_both_engines! {
    async fn a_token_is_made_and_its_text_is_shown_once(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let body = json!({ "name": "Build server", "scopes": ["read", "accounts:read", "read"], "expires_in_days": 30 });
        let answer = post_as(&app, &ada, "auth/tokens", &body).send().await;
        let text = answer.text_at("data.token");
        assert_eq!(text.len(), 50);
        assert!(text.starts_with("pat_") && text[4..].chars().all(|c| c.is_ascii_alphanumeric()), "{text}");
        let data = json!({
            "id": 1, "name": "Build server", "token": text, "scopes": ["read", "accounts:read"],
            "organization_id": null, "expires_at": "2026-02-04T09:00:00Z", "created_at": "2026-01-05T09:00:00Z",
        });
        assert_done(&answer, 201, data);
        assert_eq!(me(&app.client(), &text).await, 200);
        app.kernel().write_token_uses().await.unwrap();
        let list = get_as(&app, &ada, "auth/tokens").send().await;
        let listed = json!({
            "id": 1, "user_id": 1, "name": "Build server", "scopes": ["read", "accounts:read"], "organization_id": null,
            "expires_at": "2026-02-04T09:00:00Z", "created_at": "2026-01-05T09:00:00Z",
            "last_used_at": "2026-01-05T09:00:00Z",
        });
        assert_data(&list, 200, &json!({ "tokens": [listed], "total": 1 }));
        let metadata = json!({
            "token": 1, "name": "Build server", "scopes": "read accounts:read", "for_organization": false,
            "expires_at": "2026-02-04T09:00:00Z",
        });
        assert_eq!(newest_events(&app, 1).await, [event(&app, "token.created", Some(1), Some(1), &metadata)]);
    }

    async fn the_last_use_is_written_now_and_then(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let token = make(&app, &ada, &asking(&["read"])).await;
        let used = async || {
            let list = get_as(&app, &ada, "auth/tokens").send().await;
            list.field("data.tokens.0.last_used_at").clone()
        };
        assert_eq!(me(&app.client(), &token.text).await, 200);
        assert_eq!(used().await, Value::Null);
        app.kernel().write_token_uses().await.unwrap();
        assert_eq!(used().await, json!("2026-01-05T09:00:00Z"));
        wait(&app, 30);
        assert_eq!(me(&app.client(), &token.text).await, 200);
        app.kernel().write_token_uses().await.unwrap();
        assert_eq!(used().await, json!("2026-01-05T09:00:00Z"), "known to a minute");
        wait(&app, 60);
        assert_eq!(me(&app.client(), &token.text).await, 200);
        app.kernel().write_token_uses().await.unwrap();
        assert_eq!(used().await, json!("2026-01-05T09:01:30Z"));
    }

    async fn what_is_wrong_with_a_new_token_is_told(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let right = json!({ "name": "Build server", "scopes": ["read"], "expires_in_days": 1, "organization_id": null });
        let wrong = [
            ("name", json!("")), ("name", json!("x".repeat(101))), ("name", json!("a\nb")), ("name", json!(7)), ("name", json!(null)),
            ("scopes", json!([])), ("scopes", json!(null)), ("scopes", json!("read")), ("scopes", json!([7])),
            ("scopes", json!(["read", "fly"])), ("scopes", json!(["full"])), ("scopes", json!(["read write"])),
            ("scopes", json!(["openid"])), ("scopes", json!(["read", "offline_access"])),
            ("expires_in_days", json!(0)), ("expires_in_days", json!(-1)), ("expires_in_days", json!(3_651)),
            ("expires_in_days", json!(1.5)), ("expires_in_days", json!("1")), ("organization_id", json!("1")),
        ];
        let bodies = wrong.into_iter().map(|(field, value)| {
            let mut body = right.clone();
            body[field] = value;
            (field, body)
        });
        each_invalid(&app, 422, bodies, |body| post_as(&app, &ada, "auth/tokens", body)).await;
        let typed = asking(&["read", "account:read"]);
        let answer = post_as(&app, &ada, "auth/tokens", &typed).send().await;
        answer.assert_error(422, "VALIDATION_ERROR");
        assert!(answer.text.contains("unknown scope account:read; the nearest one is accounts:read"), "{}", answer.text);
        // What was pasted at the wrong place is not repeated.
        let pasted = "pat_0123456789abcdefghijklmnopqrstuvwxyzABCD";
        let answer = post_as(&app, &ada, "auth/tokens", &asking(&[pasted])).send().await;
        answer.assert_error(422, "VALIDATION_ERROR");
        assert!(!answer.text.contains("pat_0"), "{}", answer.text);
    }

    async fn a_token_is_renamed_and_gets_other_scopes_from_the_next_request_on(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let token = make(&app, &ada, &asking(&["read"])).await;
        let change = |body: Value| app.patch(&url("auth/tokens/1")).header("user-agent", AGENT).bearer(&ada.access_token).json(&body).send();
        let renamed = change(json!({ "name": "Other server" })).await;
        let mut data = json!({
            "id": 1, "user_id": 1, "name": "Other server", "scopes": ["read"], "organization_id": null,
            "expires_at": null, "created_at": "2026-01-05T09:00:00Z", "last_used_at": null,
        });
        assert_data(&renamed, 200, &data);
        assert_eq!(me(&app.client(), &token.text).await, 200);
        data["scopes"] = json!(["write"]);
        assert_data(&change(json!({ "scopes": ["write"] })).await, 200, &data);
        assert_eq!(me(&app.client(), &token.text).await, 403);
        let named = json!({ "token": 1, "name": null, "scopes": "write", "scopes_before": "read" });
        assert_eq!(newest_events(&app, 1).await, [event(&app, "token.updated", Some(1), Some(1), &named)]);
        // Nothing else can be changed, and nothing is changed by asking for nothing.
        let beyond = json!({ "expires_at": "2030-01-01T00:00:00Z", "organization_id": 1 });
        assert_data(&change(beyond).await, 200, &data);
        for beyond in [json!({ "token": "pat_x" }), json!({ "expires_in_days": 30 })] {
            change(beyond).await.assert_error(422, "VALIDATION_ERROR");
        }
        for body in [json!({ "name": "" }), json!({ "scopes": [] }), json!({ "scopes": ["fly"] }), json!({ "name": 7 })] {
            change(body).await.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn the_owner_is_told_when_a_token_may_do_more(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        make(&app, &ada, &asking(&["read", "write"])).await;
        let change = |body: Value| app.patch(&url("auth/tokens/1")).bearer(&ada.access_token).json(&body).send();
        let told = async || app.templates_to(ADA).await.iter().filter(|name| *name == "token_made").count();
        let before = told().await;
        for (body, mails) in [
            (json!({ "name": "Other" }), 0),
            (json!({ "scopes": ["read"] }), 0),
            (json!({ "scopes": ["read"] }), 0),
            (json!({ "scopes": ["read", "write"] }), 1),
            (json!({ "scopes": ["admin"] }), 2),
            (json!({ "scopes": ["write"] }), 2),
        ] {
            change(body.clone()).await.assert_status(200);
            assert_eq!(told().await - before, mails, "{body}");
        }
    }

    async fn a_revoked_token_is_dead_at_once_and_for_good(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let token = make(&app, &ada, &asking(&["read"])).await;
        assert_eq!(me(&app.client(), &token.text).await, 200);
        let revoke = || app.delete(&url("auth/tokens/1")).header("user-agent", AGENT).bearer(&ada.access_token);
        assert_done(&revoke().send().await, 200, json!({}));
        app.get(&url("auth/me")).bearer(&token.text).send().await.assert_error(401, "UNAUTHORIZED");
        let list = get_as(&app, &ada, "auth/tokens").send().await;
        assert_data(&list, 200, &json!({ "tokens": [], "total": 0 }));
        refused_without_trace(&app, revoke(), 404, "token_not_found").await;
    }

    async fn another_account_s_token_looks_like_none(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let token = make(&app, &ada, &asking(&["read"])).await;
        let mut texts = Vec::new();
        for number in [token.number.to_string(), "999".to_owned(), "0".to_owned(), "-1".to_owned()] {
            let path = url(&format!("auth/tokens/{number}"));
            for request in [app.delete(&path), app.patch(&path).json(&json!({ "name": "Eve's" }))] {
                let answer = request.bearer(&bob.access_token).send().await;
                answer.assert_error(404, "token_not_found");
                texts.push(answer.text);
            }
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
        let path = url("auth/tokens/one");
        app.delete(&path).bearer(&bob.access_token).send().await.assert_error(422, "VALIDATION_ERROR");
        assert_eq!(me(&app.client(), &token.text).await, 200);
        assert_eq!(app.sql_count("select count(*) from access_tokens where name = 'Build server'").await, 1);
    }

    async fn tokens_are_listed_page_by_page_the_newest_first(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        make(&app, &bob, &asking(&["read"])).await;
        for _ in 0..3 {
            // Names need not differ.
            make(&app, &ada, &asking(&["read"])).await;
            wait(&app, 1);
        }
        let page = async |query: &str| {
            let answer = get_as(&app, &ada, &format!("auth/tokens{query}")).send().await;
            answer.assert_status(200);
            assert_eq!(answer.field("data.total"), 3);
            numbers(answer.field("data.tokens"))
        };
        assert_eq!(page("").await, [4, 3, 2]);
        assert_eq!(page("?skip=1&limit=1").await, [3]);
        assert_eq!(page("?skip=3").await, Vec::<i64>::new());
        for query in ["skip=-1", "skip=x", "limit=0", "limit=101", "limit="] {
            let answer = get_as(&app, &ada, &format!("auth/tokens?{query}")).send().await;
            answer.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn an_expired_token_is_refused_does_not_count_and_is_removed_later(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let body = json!({ "name": "Short", "scopes": ["read"], "expires_in_days": 1 });
        let token = make(&app, &ada, &body).await;
        wait(&app, DAY - 1);
        assert_eq!(me(&app.client(), &token.text).await, 200);
        wait(&app, 1);
        app.get(&url("auth/me")).bearer(&token.text).send().await.assert_error(401, "UNAUTHORIZED");
        let ada = at_rivergen(&app, &ada).await;
        let list = get_as(&app, &ada, "auth/tokens").send().await;
        assert_eq!(list.field("data.total"), 1, "its owner still sees why it stopped");
        app.advance(Duration::from_secs(30 * DAY + 1));
        app.kernel().prune().await.unwrap();
        assert_eq!(app.sql_count("select count(*) from access_tokens").await, 0);
    }

    async fn tokens_do_not_count_once_they_have_expired(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| settings.quotas.account_tokens = 2).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        make(&app, &ada, &json!({ "name": "Short", "scopes": ["read"], "expires_in_days": 1 })).await;
        make(&app, &ada, &asking(&["read"])).await;
        let third = || post_as(&app, &ada, "auth/tokens", &asking(&["read"]));
        refused_without_trace(&app, third(), 400, "token_creation_failed").await;
        wait(&app, DAY);
        let ada = at_rivergen(&app, &ada).await;
        let answer = post_as(&app, &ada, "auth/tokens", &asking(&["read"])).send().await;
        answer.assert_status(201);
    }

    async fn another_node_hears_of_a_revocation_within_two_seconds(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let token = make(&app, &ada, &asking(&["read"])).await;
        let other = app.another_node().await;
        assert_eq!(me(&other.client(), &token.text).await, 200);
        app.delete(&url("auth/tokens/1")).bearer(&ada.access_token).send().await.assert_status(200);
        wait(&app, 2);
        assert_eq!(me(&other.client(), &token.text).await, 401);
    }

    async fn what_has_a_wrong_checksum_is_refused_without_a_look_at_the_database(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let token = make(&app, &ada, &asking(&["read"])).await;
        let looked_up = Statements::containing("access_tokens");
        let before = looked_up.seen();
        let mut wrong: Vec<String> = (4..50)
            .map(|at| {
                let other = if &token.text[at..=at] == "x" { "y" } else { "x" };
                format!("{}{other}{}", &token.text[..at], &token.text[at + 1..])
            })
            .collect();
        wrong.extend(["pat_".to_owned(), format!("{}0", token.text), token.text[..49].to_owned()]);
        for text in &wrong {
            app.get(&url("auth/me")).bearer(text).send().await.assert_error(401, "UNAUTHORIZED");
        }
        assert_eq!(looked_up.seen(), before);
        assert_eq!(me(&app.client(), &token.text).await, 200);
        assert!(looked_up.seen() > before);
    }

    // Nobody learns from the answer whether a token once was one.
    async fn a_token_that_never_was_and_one_that_was_revoked_get_one_answer(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let token = make(&app, &ada, &asking(&["read"])).await;
        app.delete(&url("auth/tokens/1")).bearer(&ada.access_token).send().await.assert_status(200);
        let entropy = tidegate_testkit::SeededEntropy::new(7);
        let never = tidegate_crypto::PlainToken::generate_checked("pat_", &entropy);
        let answer = |text: String| app.get(&url("auth/me")).bearer(&text).send();
        let (one, other) = (answer(token.text).await, answer(never.expose().to_owned()).await);
        one.assert_error(401, "UNAUTHORIZED");
        assert_eq!(one.text, other.text);
    }
}

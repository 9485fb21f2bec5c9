//! GET /api/v1/auth/me, PUT /api/v1/auth/me/profile, GET /api/v1/auth/login-history: somebody's own account.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Person, Request, TestApp, on_both_engines};

use super::wire::{
    AGENT, DISABLED, IP, OTHER_PASSWORD, assert_data, assert_refused, each_invalid, event, get_as, lets_in,
    newest_events, post, refused_unheard_of, refused_without_trace, sign_in, sign_in_remembered,
    somewhere_else, url, wait,
};

const ADA: &str = "ada@example.com";
const PNG: &str = "data:image/png;base64,iVBORw0KGgo=";

fn put_profile(app: &TestApp, who: &Person, change: &Value) -> Request {
    app.put(&url("auth/me/profile")).header("user-agent", AGENT).bearer(&who.access_token).json(change)
}

async fn profile_of(app: &TestApp, who: &Person, change: Value) -> Answer {
    let answer = put_profile(app, who, &change).send().await;
    answer.assert_status(200);
    answer
}

async fn history(app: &TestApp, who: &Person, query: &str) -> Answer {
    get_as(app, who, &format!("auth/login-history{query}")).send().await
}

/// What happened, newest first, of a page of sign-ins.
fn actions(page: &Answer) -> Vec<&str> {
    let entries = page.assert_status(200).field("data.history").as_array();
    entries.into_iter().flatten().filter_map(|entry| entry["action"].as_str()).collect()
}

/// Ada signs up, fails once and signs in once: three entries.
async fn ada_with_a_history(app: &TestApp) -> Person {
    let ada = app.sign_up_rivergen_verified(ADA).await;
    wait(app, 1);
    let wrong = json!({ "email": ADA, "password": OTHER_PASSWORD });
    post(app, "auth/login", &wrong).send().await.assert_status(401);
    wait(app, 1);
    sign_in_remembered(app, &ada).await
}

on_both_engines! {
    async fn somebody_sees_everything_about_themselves(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let born = "2026-01-05T09:00:00Z";
        assert_data(&get_as(&app, &ada, "auth/me").send().await, 200, &json!({
            "user": {
                "id": 1, "display_name": "Ada Lovelace", "primary_email": ADA, "profile_image_url": null,
                "created_at": born, "updated_at": born, "is_system_admin": false, "disabled_at": null,
                "profile": {}, "user_metadata": {},
            },
            "emails": [{ "email": ADA, "verified": true, "is_primary": true, "created_at": born }],
            "phones": [],
            "organizations": [{
                "id": 1, "name": "Ada Lovelace", "domain": "example.com", "plan": "free", "is_admin": true,
                "joined_at": born, "source": "signup",
            }],
            "workspaces": [{
                "id": 1, "name": "Default Workspace", "slug": "default-workspace", "is_default": true,
                "created_at": born,
            }],
            "security": {
                "mfa_enabled": false, "mfa_methods": [], "social_accounts_count": 0, "connected_providers": [],
                "total_login_attempts": 1, "active_sessions": 1,
            },
        }));
    }

    async fn what_changes_shows_at_once(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        assert!(lets_in(&app, &ada).await);
        let second = sign_in(&app, &ada).await;
        let wrong = json!({ "email": ADA, "password": OTHER_PASSWORD });
        post(&app, "auth/login", &wrong).send().await.assert_status(401);
        profile_of(&app, &ada, json!({ "display_name": "Countess" })).await;
        let me = get_as(&app, &ada, "auth/me").send().await;
        assert_eq!(me.field("data.user.display_name"), "Countess");
        let security = me.field("data.security");
        assert_eq!((&security["total_login_attempts"], &security["active_sessions"]), (&json!(3), &json!(2)));
        app.post(&url("auth/logout")).bearer(&second.access_token).send().await.assert_status(204);
        let me = get_as(&app, &ada, "auth/me").send().await;
        assert_eq!(me.field("data.security.active_sessions"), 1);
    }

    async fn an_account_removed_meanwhile_is_nobodys_any_more(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let history_alone = get_as(&app, &ada, "auth/login-history");
        history_alone.send().await.assert_status(200);
        // An operator removes the account while this node remembers the session.
        app.sql("
            delete from challenges; delete from refresh_tokens; delete from sessions;
            delete from membership_workspaces; delete from memberships; delete from identifiers;
            delete from passwords; delete from known_networks; delete from accounts").await;
        assert_refused(&app, &get_as(&app, &ada, "auth/me").send().await, 401, "UNAUTHORIZED");
    }

    async fn a_profile_is_changed_and_the_rest_stays(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        wait(&app, 90);
        let change = json!({
            "display_name": " Countess of Lovelace ",
            "profile_image_url": "https://example.com/ada.png",
            "profile": { "job": "mathematician", "languages": ["en", "fr"] },
        });
        let answer = put_profile(&app, &ada, &change).send().await;
        assert_data(&answer, 200, &json!({
            "user_id": 1,
            "display_name": "Countess of Lovelace",
            "profile_image_url": "https://example.com/ada.png",
            "profile": { "job": "mathematician", "languages": ["en", "fr"] },
            "updated_at": "2026-01-05T09:01:30Z",
        }));
        let metadata = json!({ "changed": ["display_name", "profile_image_url", "profile"] });
        let expected = event(&app, "auth.profile.updated", Some(1), Some(1), &metadata);
        assert_eq!(newest_events(&app, 1).await, [expected]);

        let unchanged = profile_of(&app, &ada, json!({})).await;
        assert_eq!(unchanged.body["data"], answer.body["data"]);
        let me = get_as(&app, &ada, "auth/me").send().await;
        for field in ["display_name", "profile_image_url", "profile", "updated_at"] {
            assert_eq!(me.field("data.user")[field], answer.field("data")[field], "{field}");
        }
    }

    async fn profiles_are_merged_however_deep_and_null_deletes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let steps = [
            (json!({ "a": { "b": { "c": 1, "d": 2 } }, "list": [1, 2] }),
             json!({ "a": { "b": { "c": 1, "d": 2 } }, "list": [1, 2] })),
            (json!({ "a": { "b": { "c": 3 } } }), json!({ "a": { "b": { "c": 3, "d": 2 } }, "list": [1, 2] })),
            (json!({ "a": { "b": { "d": null } }, "list": [3] }), json!({ "a": { "b": { "c": 3 } }, "list": [3] })),
            (json!({ "a": "flat", "gone": null }), json!({ "a": "flat", "list": [3] })),
            (json!({ "a": { "e": {} }, "list": null }), json!({ "a": { "e": {} } })),
        ];
        for (patch, merged) in steps {
            let answer = profile_of(&app, &ada, json!({ "profile": patch })).await;
            assert_eq!(answer.field("data.profile"), &merged);
        }
    }

    async fn a_picture_may_be_sent_along_and_taken_away(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let large = format!("data:image/webp;base64,{}", "A".repeat(2 * 1024 * 1024 - 24));
        for picture in [PNG, &large, "http://example.com/p.gif"] {
            let answer = profile_of(&app, &ada, json!({ "profile_image_url": picture })).await;
            assert_eq!(answer.field("data.profile_image_url"), picture);
            assert_eq!(answer.field("data.display_name"), "Ada Lovelace");
        }
        let answer = profile_of(&app, &ada, json!({ "profile_image_url": null })).await;
        assert!(answer.field("data").as_object().is_some_and(|data| data["profile_image_url"].is_null()));
    }

    async fn nothing_else_can_be_changed_here(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let before = get_as(&app, &ada, "auth/me").send().await;
        for (field, value) in [
            ("is_system_admin", json!(true)),
            ("primary_email", json!("mallory@example.com")),
            ("email", json!("mallory@example.com")),
            ("disabled_at", json!("2026-01-05T09:00:00Z")),
            ("user_metadata", json!({ "plan": "enterprise" })),
            ("id", json!(2)),
            ("password", json!(OTHER_PASSWORD)),
        ] {
            let mut change = json!({ "display_name": "Mallory" });
            change[field] = value;
            let refused = refused_without_trace(&app, put_profile(&app, &ada, &change), 422, "VALIDATION_ERROR").await;
            assert!(refused.text.contains(&format!("{field} is not known here")), "{}", refused.text);
        }
        assert_eq!(get_as(&app, &ada, "auth/me").send().await.text, before.text);
    }

    async fn a_profile_grown_too_large_fails_to_be_updated(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let forty = json!({ "profile": { "one": "x".repeat(40_000) } });
        put_profile(&app, &ada, &forty).send().await.assert_status(200);
        let more = json!({ "display_name": "Ada", "profile": { "two": "x".repeat(40_000) } });
        refused_without_trace(&app, put_profile(&app, &ada, &more), 400, "PROFILE_UPDATE_FAILED").await;
    }

    async fn an_account_disabled_meanwhile_is_not_updated(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let change = put_profile(&app, &ada, &json!({ "display_name": "Ada" }));
        refused_unheard_of(&app, &ada, DISABLED, change, (401, "UNAUTHORIZED")).await;
    }

    async fn profile_fields_have_their_bounds(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let picture = |url: &str| ("profile_image_url", json!({ "profile_image_url": url }));
        let too_large = format!("{PNG}{}", "A".repeat(2 * 1024 * 1024));
        let wrong = [
            ("display_name", json!({ "display_name": "" })),
            ("display_name", json!({ "display_name": "a".repeat(256) })),
            ("display_name", json!({ "display_name": "Ada\u{0}" })),
            ("display_name", json!({ "display_name": ["Ada"] })),
            picture("javascript:alert(1)"),
            picture("ftp://example.com/ada.png"),
            picture("data:text/html;base64,PGI+"),
            picture("data:image/png;base64,"),
            picture(&too_large),
            ("profile", json!({ "profile": "mathematician" })),
            ("profile", json!({ "profile": [1] })),
            ("profile", json!({ "profile": { "a\u{0}": 1 } })),
            ("profile", json!({ "profile": { "a": "x".repeat(64 * 1024) } })),
        ];
        each_invalid(&app, 422, wrong, |body| put_profile(&app, &ada, body)).await;
        // Of everything wrong in one request, nothing right is kept.
        let half_right = json!({ "display_name": "Countess", "profile": 1 });
        refused_without_trace(&app, put_profile(&app, &ada, &half_right), 422, "VALIDATION_ERROR").await;
    }

    async fn somebody_looks_through_their_sign_ins_newest_first(app: TestApp) {
        let ada = ada_with_a_history(&app).await;
        app.sign_up_rivergen_verified("bob@example.com").await;
        let page = history(&app, &ada, "").await;
        let entries = page.field("data.history").as_array().cloned().unwrap_or_default();
        let entry = |place: usize, action: &str, ip: &str, agent: &str, at: &str, metadata: Value| json!({
            "id": entries.get(place).map(|entry| entry["id"].clone()), "action": action, "ip_address": ip,
            "user_agent": agent, "created_at": at, "metadata": metadata,
        });
        let first_ip = entries.last().and_then(|entry| entry["ip_address"].as_str()).unwrap_or_default();
        assert_data(&page, 200, &json!({
            "history": [
                entry(0, "auth.login.success", IP, AGENT, "2026-01-05T09:00:02Z",
                    json!({ "method": "password", "remember_me": true })),
                entry(1, "auth.login.failure", IP, AGENT, "2026-01-05T09:00:01Z",
                    json!({ "reason": "invalid_password" })),
                entry(2, "auth.login.success", first_ip, "", "2026-01-05T09:00:00Z",
                    json!({ "method": "email_verification", "remember_me": false })),
            ],
            "total_count": 3, "limit": 50, "offset": 0,
        }));
        let ids: Vec<i64> = entries.iter().filter_map(|entry| entry["id"].as_i64()).collect();
        assert!(ids.len() == 3 && ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    }

    async fn the_history_is_filtered_and_paged(app: TestApp) {
        let ada = ada_with_a_history(&app).await;
        let (success, failure) = ("auth.login.success", "auth.login.failure");
        let pages = [
            ("?filter=success", vec![success, success], 2, 50, 0),
            ("?filter=failure", vec![failure], 1, 50, 0),
            ("?limit=1", vec![success], 3, 1, 0),
            ("?limit=1&offset=1", vec![failure], 3, 1, 1),
            ("?limit=100&offset=2", vec![success], 3, 100, 2),
            ("?offset=3", vec![], 3, 50, 3),
            ("?filter=success&offset=1&limit=1", vec![success], 2, 1, 1),
        ];
        for (query, expected, total, limit, offset) in pages {
            let page = history(&app, &ada, query).await;
            assert_eq!(actions(&page), expected, "{query}");
            let counts = json!([page.field("data.total_count"), page.field("data.limit"), page.field("data.offset")]);
            assert_eq!(counts, json!([total, limit, offset]), "{query}");
        }
    }

    async fn a_page_has_its_bounds(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let wrong = [
            ("limit", "?limit=0"), ("limit", "?limit=101"), ("limit", "?limit=-1"), ("limit", "?limit=ten"),
            ("limit", "?limit="), ("offset", "?offset=-1"), ("offset", "?offset=1.5"),
            ("offset", "?offset=9223372036854775808"), ("filter", "?filter=all"), ("filter", "?filter="),
            ("query", "?limit=1&limit=2"),
        ];
        for (field, query) in wrong {
            let answer = history(&app, &ada, query).await;
            assert_refused(&app, &answer, 422, "VALIDATION_ERROR");
            assert_eq!(answer.field("error.details.field"), field, "{query}");
        }
    }

    async fn the_history_of_others_is_theirs(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for number in 0..3 {
            let guess = json!({ "email": "bob@example.com", "password": OTHER_PASSWORD });
            let guess = post(&app, "auth/login", &guess).ip(&somewhere_else(number));
            guess.send().await.assert_status(401);
        }
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        assert_eq!(actions(&history(&app, &ada, "").await).len(), 1);
        // What was tried before there was an account is nobody's.
        assert_eq!(actions(&history(&app, &bob, "").await), ["auth.login.success"]);
    }

    async fn a_history_that_cannot_be_read_is_said_so(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        assert!(lets_in(&app, &ada).await);
        app.sql("alter table audit_events rename to audit_events_elsewhere").await;
        let answer = history(&app, &ada, "").await;
        assert_refused(&app, &answer, 500, "HISTORY_FETCH_FAILED");
        assert!(!answer.text.contains("audit"), "internals stay inside: {}", answer.text);
    }
}

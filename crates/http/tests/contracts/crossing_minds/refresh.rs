//! `POST login/refresh-token/`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Client, Engine, Person, TestApp, concurrently, on_both_engines};

use super::wire::{
    DAY, NO_DATABASE, OTHER_PASSWORD, SECOND, assert_auth_error, assert_forbidden, assert_no_database,
    assert_not_found, assert_nothing_said, bound_to, delete_as, faulty, get_as, patch_as, post, unlimited,
};
use crate::cross_contract::{refresh_ingestiq, refresh_rivergen};
use crate::forge::claims_of;
use crate::watch::row_counts;

const ROOT: &str = "root@example.com";
const ADA: &str = "ada@example.com";
const TOKENS: &str = "select count(*) from refresh_tokens";
const UUID: &str = "c3391d83-553b-40e7-818e-fcf658ec397d";

async fn refresh(app: &TestApp, token: &str) -> Answer {
    refresh_to(app, token, json!({})).await
}

/// Refreshes with more fields: `db_id`, `db_name`.
async fn refresh_to(app: &TestApp, token: &str, mut fields: Value) -> Answer {
    fields["refresh_token"] = json!(token);
    post(app, "login/refresh-token/", fields).await
}

/// The refresh token answered.
async fn next(app: &TestApp, token: &str) -> String {
    refresh(app, token).await.assert_status(200).text_at("refresh_token")
}

fn assert_incorrect(answer: &Answer) {
    let error = "refresh token is incorrect or invalidated";
    assert_auth_error(answer, "INCORRECT_REFRESH_TOKEN", error);
}

fn assert_expired(answer: &Answer) {
    answer.assert_status(401);
    let expected = json!({
        "error_code": 28, "error_name": "RefreshTokenExpired", "message": "The refresh token has expired",
        "error_data": { "name": "REFRESH_TOKEN_EXPIRED", "error": "the refresh token has expired" },
    });
    assert_eq!(answer.body, expected);
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
}

/// The database, end user and anonymous session of the answer's token.
async fn binding(app: &TestApp, answer: &Answer) -> (Option<String>, Option<String>, Option<String>) {
    bound_to(app, &answer.assert_status(200).text_at("token")).await
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

on_both_engines! {
    async fn a_token_is_answered_with_itself_until_its_last_week(app: TestApp) {
        let root = app.provision(ROOT).await;
        let org = claims_of(&app, &root.access_token).await.org.opaque();
        for wait in [Duration::ZERO, 20 * DAY, 33 * DAY - SECOND] {
            app.advance(wait);
            let answer = refresh(&app, &root.refresh_token).await;
            let token = answer.assert_status(200).text_at("token");
            assert_eq!(
                answer.text,
                format!(
                    r#"{{"token":"{token}","refresh_token":"{}","org_id":"{org}","role":"root"}}"#,
                    root.refresh_token
                )
            );
            assert_ne!(token, root.access_token);
            app.post("/v1/login/jwt/").bearer(&token).send().await.assert_status(200);
        }
        assert_eq!(app.sql_count(TOKENS).await, 1);
        app.advance(2 * SECOND);
        let child = next(&app, &root.refresh_token).await;
        assert_ne!(child, root.refresh_token);
        assert_eq!(app.sql_count(TOKENS).await, 2);
    }

    async fn in_its_last_week_a_token_gets_one_child_and_stays_good_beside_it(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.advance(53 * DAY + SECOND);
        let child = next(&app, &root.refresh_token).await;
        // Neither a lost answer nor the use of the child, however late, changes anything.
        assert_eq!(next(&app, &child).await, child);
        app.advance(7 * DAY - 2 * SECOND);
        assert_eq!(next(&app, &root.refresh_token).await, child);
        app.advance(SECOND);
        assert_expired(&refresh(&app, &root.refresh_token).await);
        assert_eq!(next(&app, &child).await, child);
        assert_eq!(app.sql_count(TOKENS).await, 2);
        // The child lives for sixty days of its own.
        app.advance(53 * DAY - SECOND);
        let grandchild = next(&app, &child).await;
        assert_ne!(grandchild, child);
        app.advance(2 * SECOND);
        assert_expired(&refresh(&app, &child).await);
        assert_eq!(next(&app, &grandchild).await, grandchild);
    }

    async fn fifty_tabs_get_the_same_child(engine: Engine) {
        let app = unlimited(engine).await;
        let root = app.provision(ROOT).await;
        let mut clients = vec![app.client()];
        let other = match engine {
            Engine::Postgres => Some(app.another_node().await),
            Engine::Sqlite => None,
        };
        clients.extend(other.iter().map(tidegate_testkit::Node::client));
        app.advance(54 * DAY);
        let answers = concurrently(50, |number| {
            let client: Client = clients[number % clients.len()].clone();
            let body = json!({ "refresh_token": root.refresh_token });
            async move { client.post("/v1/login/refresh-token/").json(&body).send().await }
        })
        .await;
        let children: BTreeSet<String> =
            answers.iter().map(|answer| answer.assert_status(200).text_at("refresh_token")).collect();
        assert_eq!(children.len(), 1);
        assert!(!children.contains(&root.refresh_token));
        assert_eq!(app.sql_count(TOKENS).await, 2);
        for answer in &answers[..4] {
            app.post("/v1/login/jwt/").bearer(&answer.text_at("token")).send().await.assert_status(200);
        }
    }

    async fn after_sixty_days_a_token_has_expired(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.advance(60 * DAY - SECOND);
        refresh(&app, &root.refresh_token).await.assert_status(200);
        app.advance(SECOND);
        assert_expired(&refresh(&app, &root.refresh_token).await);
        assert_expired(&refresh_to(&app, &root.refresh_token, json!({ "db_id": NO_DATABASE })).await);
    }

    async fn a_session_ends_after_a_year_and_its_last_token_with_it(app: TestApp) {
        let mut token = app.provision(ROOT).await.refresh_token;
        for _ in 0..6 {
            app.advance(55 * DAY);
            token = next(&app, &token).await;
        }
        // Day 330: its tokens cannot be renewed for longer than the 35 days that are left.
        app.advance(35 * DAY - SECOND);
        assert_eq!(next(&app, &token).await, token, "a child would live no longer");
        app.advance(SECOND);
        assert_expired(&refresh(&app, &token).await);
    }

    async fn what_is_no_refresh_token_of_this_contract_is_incorrect(app: TestApp) {
        let root = app.provision(ROOT).await;
        let rivergen = app.sign_up_rivergen_verified(ADA).await;
        let ingestiq = app.register_ingestiq("bob@example.com").await;
        let counts = async || {
            let counts = row_counts(&app).await;
            let counts = counts.split(", ").filter(|count| !count.starts_with("rate_limit_buckets"));
            counts.map(str::to_owned).collect::<Vec<_>>()
        };
        let before = counts().await;
        for token in [
            "",
            " ",
            "tgr_",
            "a.b.c",
            &"x".repeat(50_000),
            &format!("tgr_{}", "A".repeat(43)),
            &format!("{}x", root.refresh_token),
            &root.refresh_token.to_uppercase(),
            &root.access_token,
            &rivergen.refresh_token,
            &ingestiq.refresh_token,
        ] {
            assert_incorrect(&refresh(&app, token).await);
        }
        // Nor is this one good elsewhere.
        let elsewhere = refresh_rivergen(&app.client(), &root.refresh_token).await;
        elsewhere.assert_error(401, "INVALID_REFRESH_TOKEN");
        refresh_ingestiq(&app.client(), &root.refresh_token).await.assert_error(401, "INVALID_TOKEN");
        assert_eq!(counts().await, before);
        for person in [&root, &rivergen, &ingestiq] {
            let me = app.post("/v1/login/jwt/").bearer(&person.access_token).send().await;
            assert_ne!(me.code(), "INCORRECT_JWT_TOKEN", "the attempt ended a session");
        }
        assert_eq!(next(&app, &root.refresh_token).await, root.refresh_token);
    }

    async fn tokens_of_an_ended_session_are_incorrect(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, ADA, "backend").await;
        let program = app.add_service(&root, "program", "backend").await;
        for (kind, key, who) in [("individual", "email", &ada), ("service", "name", &program)] {
            let body = json!({ key: who.email, "password": OTHER_PASSWORD });
            patch_as(&app, &root, &format!("accounts/{kind}/"), body).await.assert_status(200);
            assert_incorrect(&refresh(&app, &who.refresh_token).await);
            // Whatever else is asked for.
            assert_incorrect(&refresh_to(&app, &who.refresh_token, json!({ "db_id": NO_DATABASE })).await);
        }
        // What has ended outranks what has expired.
        app.advance(61 * DAY);
        assert_incorrect(&refresh(&app, &ada.refresh_token).await);
    }

    async fn tokens_of_a_deleted_account_name_it(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, ADA, "backend").await;
        let bob = app.add_individual(&root, "bob@example.com", "backend").await;
        let program = app.add_service(&root, "program", "backend").await;
        let delete = async |kind: &str, body: Value| {
            assert_nothing_said(&delete_as(&app, &root, &format!("accounts/{kind}/"), body).await, 204);
        };
        delete("individual", json!({ "email": ADA })).await;
        delete("service", json!({ "name": "program" })).await;
        assert_nothing_said(&delete_as(&app, &bob, "accounts/", json!(null)).await, 204);
        for who in [&ada, &bob, &program] {
            let answer = refresh(&app, &who.refresh_token).await;
            assert_not_found(&answer, ("account", "ACCOUNT_NOT_FOUND"), &who.email);
        }
        // Its name may be somebody else's by now: that is another account.
        let again = app.add_individual(&root, ADA, "manager").await;
        assert_not_found(&refresh(&app, &ada.refresh_token).await, ("account", "ACCOUNT_NOT_FOUND"), ADA);
        refresh(&app, &again.refresh_token).await.assert_status(200);
    }

    async fn database_and_end_user_are_kept(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let page = app.add_service(&root, "page", "frontend").await;
        let bound = app.bound(&root, json!({ "db_name": "shop" })).await;
        let answer = refresh(&app, &bound.refresh_token).await;
        assert_eq!(binding(&app, &answer).await, (some(&db), None, None));
        let described = format!(
            r#","role":"root","database":{{"id":"{db}","name":"shop","description":"of a test","#
        ) + r#""item_id_type":"uuid","user_id_type":"uint32","session_id_type":"uuid","status":"ready"}}"#;
        assert!(answer.text.ends_with(&described), "{}", answer.text);

        let fields = json!({ "db_id": db, "frontend_user_id": 7, "frontend_session_id": UUID });
        let end_user = app.bound(&page, fields).await;
        app.advance(54 * DAY);
        let answer = refresh(&app, &end_user.refresh_token).await;
        assert_eq!(binding(&app, &answer).await, (some(&db), some("7"), some(UUID)));
        let child = answer.text_at("refresh_token");
        assert_ne!(child, end_user.refresh_token);
        let answer = refresh(&app, &child).await;
        assert_eq!(binding(&app, &answer).await, (some(&db), some("7"), some(UUID)));
        assert_eq!(answer.text_at("role"), "frontend");
        assert_eq!(answer.text_at("database.id"), db);
    }

    async fn another_database_may_be_chosen_and_stays_chosen(app: TestApp) {
        let root = app.provision(ROOT).await;
        let (one, other) = (app.add_database(&root, "one").await, app.add_database(&root, "other").await);
        let token = &root.refresh_token;
        for (choice, db) in [
            (json!({ "db_id": one }), &one),
            (json!({}), &one),
            (json!({ "db_name": "other" }), &other),
            (json!({ "db_id": null, "db_name": null }), &other),
            (json!({ "db_id": one, "db_name": "one" }), &one),
        ] {
            let answer = refresh_to(&app, token, choice).await;
            assert_eq!(binding(&app, &answer).await, (Some(db.clone()), None, None));
            assert_eq!(&answer.text_at("database.id"), db);
            assert_eq!(&answer.text_at("refresh_token"), token);
            let bound = Person { access_token: answer.text_at("token"), ..root.clone() };
            let current = get_as(&app, &bound, "databases/current/").await;
            assert_eq!(&current.assert_status(200).text_at("id"), db);
        }
        let differing = refresh_to(&app, token, json!({ "db_id": one, "db_name": "other" })).await;
        assert_eq!(faulty(&differing), ["db_name"]);
        let answer = refresh(&app, token).await;
        assert_eq!(answer.text_at("database.id"), one, "what is refused changes nothing");
    }

    async fn a_session_that_speaks_for_an_end_user_stays_in_its_database(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        app.add_database(&root, "other").await;
        let page = app.add_service(&root, "page", "frontend").await;
        for ids in [
            json!({ "frontend_user_id": 7 }),
            json!({ "frontend_session_id": UUID }),
            json!({ "frontend_user_id": 7, "frontend_session_id": UUID }),
        ] {
            let mut fields = ids.clone();
            fields["db_id"] = json!(db);
            let bound = app.bound(&page, fields).await;
            let refused = refresh_to(&app, &bound.refresh_token, json!({ "db_name": "other" })).await;
            assert_forbidden(&refused, "a session of the frontend role cannot change its database");
            // Its own is no other.
            for choice in [json!({ "db_name": "shop" }), json!({ "db_id": db }), json!({})] {
                let answer = refresh_to(&app, &bound.refresh_token, choice).await;
                let user = ids["frontend_user_id"].as_i64().map(|id| id.to_string());
                let session = ids["frontend_session_id"].as_str().map(str::to_owned);
                assert_eq!(binding(&app, &answer).await, (some(&db), user, session));
            }
        }
        // A visitor without a name is one all the same. Whoever signed in for no database chooses one once.
        let bound = app.bound(&page, json!({ "db_id": db })).await;
        let refused = refresh_to(&app, &bound.refresh_token, json!({ "db_name": "other" })).await;
        assert_forbidden(&refused, "a session of the frontend role cannot change its database");
        let unbound = app.bound(&page, json!({})).await;
        let answer = refresh_to(&app, &unbound.refresh_token, json!({ "db_name": "shop" })).await;
        assert_eq!(answer.assert_status(200).text_at("database.name"), "shop");
        let refused = refresh_to(&app, &unbound.refresh_token, json!({ "db_name": "other" })).await;
        assert_forbidden(&refused, "a session of the frontend role cannot change its database");
    }

    async fn a_database_that_is_not_there_is_not_found(app: TestApp) {
        let root = app.provision(ROOT).await;
        let stranger = app.provision("stranger@example.com").await;
        let theirs = app.add_database(&stranger, "theirs").await;
        let (db, other) = (app.add_database(&root, "shop").await, app.add_database(&root, "other").await);
        let token = app.bound(&root, json!({ "db_id": db })).await.refresh_token;
        for (field, key) in [
            ("db_id", NO_DATABASE),
            ("db_id", theirs.as_str()),
            ("db_id", ""),
            ("db_name", "theirs"),
            ("db_name", ""),
        ] {
            assert_no_database(&refresh_to(&app, &token, json!({ field: key })).await, key);
        }
        // What was refused left the session as it was.
        let answer = refresh(&app, &token).await;
        assert_eq!(answer.assert_status(200).text_at("database.id"), db);
        let bound = Person { access_token: answer.text_at("token"), ..root };
        assert_nothing_said(&delete_as(&app, &bound, "databases/current/", json!(null)).await, 204);
        assert_no_database(&refresh(&app, &token).await, &db);
        let answer = refresh_to(&app, &token, json!({ "db_name": "other" })).await;
        assert_eq!(answer.assert_status(200).text_at("database.id"), other);
    }

    async fn what_is_missing_or_ill_typed_is_named(app: TestApp) {
        let root = app.provision(ROOT).await;
        for body in [
            json!({}),
            json!({ "refresh_token": null }),
            json!({ "refresh_token": 7 }),
            json!({ "refreshToken": "x" }),
        ] {
            assert_eq!(faulty(&post(&app, "login/refresh-token/", body).await), ["refresh_token"]);
        }
        let ill_typed = refresh_to(&app, &root.refresh_token, json!({ "db_id": 7, "db_name": ["x"] })).await;
        assert_eq!(faulty(&ill_typed), ["db_id", "db_name"]);
        let nul = refresh_to(&app, &root.refresh_token, json!({ "db_name": "\0" })).await;
        assert_eq!(faulty(&nul), ["db_name"]);
    }
}

//! `databases/`, `databases/current/` and `databases/current/status/`.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, Person, TestApp, concurrently, on_both_engines};

use super::wire::{
    SECOND, assert_duplicated_database, assert_no_database, assert_none_selected, assert_nothing_said,
    assert_wrong_data, delete_as, faulty, get_as, patch_as, post_as, unlimited,
};
use crate::watch::row_counts;

const ROOT: &str = "root@example.com";
const UUID: &str = "c3391d83-553b-40e7-818e-fcf658ec397d";

/// What a database is made with, and nothing more.
fn database(name: &str) -> Value {
    json!({ "name": name, "description": "", "item_id_type": "uuid", "user_id_type": "uint32" })
}

/// The names on a page.
async fn names(app: &TestApp, who: &Person, query: &str) -> Vec<String> {
    let answer = get_as(app, who, &format!("databases/{query}")).await;
    let databases = answer.assert_status(200).field("databases").as_array().unwrap();
    databases.iter().map(|database| database["name"].as_str().unwrap().to_owned()).collect()
}

/// Its metadata and description.
async fn documents(app: &TestApp, who: &Person) -> (Value, String) {
    let answer = get_as(app, who, "databases/current/").await;
    (answer.assert_status(200).field("metadata").clone(), answer.text_at("description"))
}

/// Somebody whose token is bound to a new database of that name.
async fn bound_to_new(app: &TestApp, who: &Person, name: &str) -> (Person, String) {
    let db = app.add_database(who, name).await;
    (app.bound(who, json!({ "db_id": db })).await, db)
}

on_both_engines! {
    async fn a_database_is_made_and_described(app: TestApp) {
        let root = app.provision(ROOT).await;
        let body = json!({
            "name": " shop ", "description": "Books\nand more", "item_id_type": "urlsafe36",
            "user_id_type": "int64", "session_id_type": "hex16", "metadata": { "owner": "\u{e9}" },
            "core_config": {},
        });
        let answer = post_as(&app, &root, "databases/", body).await;
        let id = answer.assert_status(200).text_at("id");
        assert_eq!(answer.text, format!(r#"{{"id":"{id}"}}"#));
        assert_eq!(id.len(), 22);
        let bound = app.bound(&root, json!({ "db_id": id })).await;
        let types = r#""item_id_type":"urlsafe36","user_id_type":"int64","session_id_type":"hex16""#;
        let listed = format!(r#""id":"{id}","name":"shop","description":"Books\nand more",{types}"#);
        let current = get_as(&app, &bound, "databases/current/").await;
        let counters = r#""counters":{"rating":0,"user":0,"item":0}"#;
        let rest = format!(r#"{counters},"metadata":{{"owner":"{}"}},"status":"ready""#, '\u{e9}');
        assert_eq!(current.assert_status(200).text, format!("{{{listed},{rest}}}"));
        let list = get_as(&app, &root, "databases/").await;
        let expected = format!(r#"{{"has_next":false,"next_page":2,"databases":[{{{listed}}}]}}"#);
        assert_eq!(list.assert_status(200).text, expected);
    }

    async fn what_is_not_said_has_a_default(app: TestApp) {
        let root = app.provision(ROOT).await;
        let null = json!({ "session_id_type": null, "metadata": null });
        for (name, more) in [("plain", json!({})), ("null", null)] {
            let mut body = database(name);
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let id = post_as(&app, &root, "databases/", body).await.assert_status(200).text_at("id");
            let bound = app.bound(&root, json!({ "db_id": id })).await;
            let current = get_as(&app, &bound, "databases/current/").await;
            assert_eq!(current.text_at("session_id_type"), "uuid");
            assert_eq!(
                (current.field("metadata"), current.text_at("description")),
                (&json!({}), String::new())
            );
        }
    }

    async fn a_name_is_taken_once_in_an_organization(app: TestApp) {
        let root = app.provision(ROOT).await;
        let stranger = app.provision("stranger@example.com").await;
        let (bound, _) = bound_to_new(&app, &root, "shop").await;
        for name in ["shop", " shop "] {
            assert_duplicated_database(&post_as(&app, &root, "databases/", database(name)).await, "shop");
        }
        post_as(&app, &root, "databases/", database("Shop")).await.assert_status(200);
        post_as(&app, &stranger, "databases/", database("shop")).await.assert_status(200);
        assert_nothing_said(&delete_as(&app, &bound, "databases/current/", json!(null)).await, 204);
        post_as(&app, &root, "databases/", database("shop")).await.assert_status(200);
    }

    async fn of_many_who_want_a_name_one_gets_it(engine: Engine) {
        let app = unlimited(engine).await;
        let root = app.provision(ROOT).await;
        let answers = concurrently(20, |_| {
            let request = app.post("/v1/databases/").bearer(&root.access_token).json(&database("shop"));
            async move { request.send().await }
        })
        .await;
        let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(made.len(), 1);
        for answer in refused {
            assert_duplicated_database(answer, "shop");
        }
    }

    async fn what_is_missing_or_wrong_of_a_new_database_is_named(app: TestApp) {
        let root = app.provision(ROOT).await;
        let before = row_counts(&app).await;
        let all = ["description", "item_id_type", "name", "user_id_type"];
        let null = json!({ "name": null, "description": null, "item_id_type": null, "user_id_type": null });
        for body in [json!({}), null] {
            assert_eq!(faulty(&post_as(&app, &root, "databases/", body).await), all);
        }
        let mut wrong = vec![
            ("name", json!("")),
            ("name", json!(" ")),
            ("name", json!("a\nb")),
            ("name", json!("a\0b")),
            ("name", json!("x".repeat(129))),
            ("name", json!(7)),
            ("description", json!(7)),
            ("description", json!("a\0b")),
            ("description", json!("x".repeat(4_097))),
            ("metadata", json!([])),
            ("metadata", json!("text")),
            ("metadata", json!({ "a": "\0" })),
            ("metadata", json!({ "a": "x".repeat(65_536) })),
        ];
        for field in ["item_id_type", "user_id_type", "session_id_type"] {
            for kind in
                ["", "int", "int7", "uint128", "UUID", "hex", "hex0", "hex65", "bytes", "urlsafe-1", "text"]
            {
                wrong.push((field, json!(kind)));
            }
            wrong.push((field, json!(32)));
        }
        for (field, value) in wrong {
            let mut body = database("shop");
            body[field] = value.clone();
            assert_eq!(faulty(&post_as(&app, &root, "databases/", body).await), [field], "{value}");
        }
        assert_eq!(row_counts(&app).await, before);
        let mut longest = database(&"\u{e9}".repeat(128));
        longest["description"] = json!("\u{e9}".repeat(4_096));
        post_as(&app, &root, "databases/", longest).await.assert_status(200);
    }

    async fn databases_are_listed_page_by_page_oldest_first(app: TestApp) {
        let root = app.provision(ROOT).await;
        let stranger = app.provision("stranger@example.com").await;
        let program = app.add_service(&root, "program", "backend").await;
        assert!(names(&app, &root, "").await.is_empty());
        app.add_database(&stranger, "theirs").await;
        for name in ["e", "d", "c", "b", "a"] {
            // All at the same moment: the order is still the one in which they came.
            app.add_database(&root, name).await;
        }
        for who in [&root, &program] {
            assert_eq!(names(&app, who, "").await, ["e", "d", "c", "b", "a"]);
            for (query, expected, has_next, next_page) in [
                ("?amt=2", vec!["e", "d"], true, 2),
                ("?amt=2&page=1", vec!["e", "d"], true, 2),
                ("?page=2&amt=2", vec!["c", "b"], true, 3),
                ("?amt=2&page=3", vec!["a"], false, 4),
                ("?amt=2&page=4", vec![], false, 5),
                ("?amt=5", vec!["e", "d", "c", "b", "a"], false, 2),
                ("?amt=256&page=4294967295", vec![], false, 4_294_967_295_i64),
                ("?other=1", vec!["e", "d", "c", "b", "a"], false, 2),
            ] {
                assert_eq!(names(&app, who, query).await, expected, "{query}");
                let answer = get_as(&app, who, &format!("databases/{query}")).await;
                assert_eq!(answer.field("has_next"), has_next, "{query}");
                assert_eq!(answer.field("next_page"), next_page, "{query}");
            }
        }
        assert_eq!(names(&app, &stranger, "").await, ["theirs"]);
    }

    async fn sixty_four_databases_are_on_a_page(engine: Engine) {
        let app = unlimited(engine).await;
        let root = app.provision(ROOT).await;
        for number in 0..65 {
            app.add_database(&root, &format!("{number}")).await;
        }
        let answer = get_as(&app, &root, "databases/").await;
        assert_eq!(answer.field("databases").as_array().unwrap().len(), 64);
        assert_eq!((answer.field("has_next"), answer.field("next_page")), (&json!(true), &json!(2)));
        assert_eq!(names(&app, &root, "?page=2").await, ["64"]);
    }

    async fn pages_that_cannot_be_are_refused(app: TestApp) {
        let root = app.provision(ROOT).await;
        for (query, fields) in [
            ("amt=0", vec!["amt"]),
            ("amt=257", vec!["amt"]),
            ("amt=-1", vec!["amt"]),
            ("amt=x", vec!["amt"]),
            ("amt=", vec!["amt"]),
            ("amt=1.5", vec!["amt"]),
            ("amt=99999999999999999999", vec!["amt"]),
            ("page=0", vec!["page"]),
            ("page=-1", vec!["page"]),
            ("page=4294967296", vec!["page"]),
            ("page=x&amt=x", vec!["amt", "page"]),
        ] {
            assert_eq!(faulty(&get_as(&app, &root, &format!("databases/?{query}")).await), fields, "{query}");
        }
        let twice = get_as(&app, &root, "databases/?amt=1&amt=2").await;
        assert_wrong_data(&twice, 400, "WRONG_DATA_TYPE");
    }

    async fn every_role_sees_the_database_it_is_bound_to(app: TestApp) {
        let root = app.provision(ROOT).await;
        let (bound, db) = bound_to_new(&app, &root, "shop").await;
        let mut everybody = vec![bound];
        for role in ["manager", "backend", "frontend", "demo_viewer"] {
            let program = app.add_service(&root, role, role).await;
            everybody.push(app.bound(&program, json!({ "db_id": db })).await);
        }
        for who in everybody {
            assert_eq!(get_as(&app, &who, "databases/current/").await.assert_status(200).text_at("id"), db);
            let status = get_as(&app, &who, "databases/current/status/").await;
            assert_eq!(status.assert_status(200).text, r#"{"status":"ready"}"#);
        }
    }

    async fn a_token_without_a_database_has_none_selected(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_database(&root, "shop").await;
        let before = row_counts(&app).await;
        assert_none_selected(&get_as(&app, &root, "databases/current/").await);
        assert_none_selected(&get_as(&app, &root, "databases/current/status/").await);
        assert_none_selected(&patch_as(&app, &root, "databases/current/", json!({})).await);
        assert_none_selected(&delete_as(&app, &root, "databases/current/", json!(null)).await);
        assert_none_selected(
            &post_as(&app, &root, &format!("sessions/{UUID}/resolve/"), json!({ "user_id": 7 })).await,
        );
        assert_none_selected(&post_as(&app, &root, "resolved-sessions/", json!({})).await);
        assert_eq!(row_counts(&app).await, before);
    }

    async fn description_and_metadata_are_changed_and_what_is_absent_stays(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, "program", "backend").await;
        let (root, db) = bound_to_new(&app, &root, "shop").await;
        let program = app.bound(&program, json!({ "db_id": db })).await;
        let (other, _) = bound_to_new(&app, &root, "other").await;
        for (who, body, metadata, description) in [
            (&root, json!({ "description": "new" }), json!({}), "new"),
            (
                &program,
                json!({ "metadata": { "a": { "b": 1, "c": [1] } } }),
                json!({ "a": { "b": 1, "c": [1] } }),
                "new",
            ),
            // Merged as RFC 7396 says.
            (
                &root,
                json!({ "metadata": { "a": { "b": null, "c": [2] }, "d": 1 } }),
                json!({ "a": { "c": [2] }, "d": 1 }),
                "new",
            ),
            // With `preserve`, nothing goes and arrays grow.
            (
                &root,
                json!({ "metadata": { "a": { "c": [3] }, "d": null }, "preserve": true, "description": "" }),
                json!({ "a": { "c": [2, 3] }, "d": 1 }),
                "",
            ),
            (
                &root,
                json!({ "metadata": { "d": null }, "preserve": false }),
                json!({ "a": { "c": [2, 3] } }),
                "",
            ),
            (
                &root,
                json!({ "metadata": null, "description": null, "preserve": null }),
                json!({ "a": { "c": [2, 3] } }),
                "",
            ),
            (&root, json!({}), json!({ "a": { "c": [2, 3] } }), ""),
        ] {
            let answer = patch_as(&app, who, "databases/current/", body).await;
            assert_eq!(answer.assert_status(200).text, "{}");
            assert_eq!(documents(&app, &root).await, (metadata, description.to_owned()));
        }
        let current = get_as(&app, &root, "databases/current/").await;
        assert_eq!(
            (current.text_at("name"), current.text_at("item_id_type")),
            ("shop".into(), "uuid".into())
        );
        assert_eq!(documents(&app, &other).await, (json!({}), "of a test".to_owned()));
    }

    async fn what_is_wrong_of_a_change_is_named_and_nothing_is_changed(app: TestApp) {
        let root = app.provision(ROOT).await;
        let (root, _) = bound_to_new(&app, &root, "shop").await;
        let half = json!({ "metadata": { "first": "x".repeat(40_000) } });
        patch_as(&app, &root, "databases/current/", half).await.assert_status(200);
        let before = documents(&app, &root).await;
        for (field, body) in [
            ("description", json!({ "description": 7 })),
            ("description", json!({ "description": "a\0b", "metadata": {} })),
            ("description", json!({ "description": "x".repeat(4_097) })),
            ("metadata", json!({ "metadata": [], "description": "new" })),
            ("metadata", json!({ "metadata": { "a\0": 1 } })),
            ("metadata", json!({ "metadata": { "a": "x".repeat(65_536) } })),
            // Each is small enough, and both together are not.
            ("metadata", json!({ "metadata": { "second": "x".repeat(40_000) }, "description": "new" })),
            ("metadata", json!({ "metadata": { "second": "x".repeat(40_000) }, "preserve": true })),
            ("preserve", json!({ "preserve": 1 })),
            // What is given with a database stays; ignored, it would be believed to be changed.
            ("name", json!({ "name": "another", "description": "new" })),
            ("item_id_type", json!({ "item_id_type": "hex1", "description": "new" })),
            ("id", json!({ "id": "mine", "description": "new" })),
        ] {
            assert_eq!(faulty(&patch_as(&app, &root, "databases/current/", body).await), [field]);
            assert_eq!(documents(&app, &root).await, before);
        }
    }

    async fn changes_at_once_are_all_merged(engine: Engine) {
        let app = unlimited(engine).await;
        let root = app.provision(ROOT).await;
        let (root, _) = bound_to_new(&app, &root, "shop").await;
        let answers = concurrently(20, |number| {
            let body = json!({ "metadata": { format!("{number}"): number } });
            let request = app.patch("/v1/databases/current/").bearer(&root.access_token).json(&body);
            async move { request.send().await }
        })
        .await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        assert_eq!(documents(&app, &root).await.0.as_object().unwrap().len(), 20);
    }

    async fn a_deleted_database_is_gone_with_everything_in_it(app: TestApp) {
        let root = app.provision(ROOT).await;
        let (bound, db) = bound_to_new(&app, &root, "shop").await;
        let (other, _) = bound_to_new(&app, &root, "other").await;
        for who in [&bound, &other] {
            let resolve =
                post_as(&app, who, &format!("sessions/{UUID}/resolve/"), json!({ "user_id": 7 })).await;
            resolve.assert_status(200);
        }
        assert_nothing_said(&delete_as(&app, &bound, "databases/current/", json!(null)).await, 204);
        assert_eq!(names(&app, &root, "").await, ["other"]);

        assert_no_database(&get_as(&app, &bound, "databases/current/").await, &db);
        assert_no_database(&get_as(&app, &bound, "databases/current/status/").await, &db);
        assert_no_database(&patch_as(&app, &bound, "databases/current/", json!({})).await, &db);
        assert_no_database(&delete_as(&app, &bound, "databases/current/", json!(null)).await, &db);
        let resolve =
            post_as(&app, &bound, &format!("sessions/{UUID}/resolve/"), json!({ "user_id": 7 })).await;
        assert_no_database(&resolve, &db);
        assert_no_database(&post_as(&app, &bound, "resolved-sessions/", json!({})).await, &db);
        // A new one of that name is another one.
        app.add_database(&root, "shop").await;
        assert_no_database(&get_as(&app, &bound, "databases/current/").await, &db);
        get_as(&app, &other, "databases/current/").await.assert_status(200);
        // What is in it goes little by little, when no request can still be under way in it.
        app.advance(Duration::from_secs(3_601));
        while app.kernel().prune().await.unwrap() > 0 {}
        assert_eq!(app.sql_count("select count(*) from resolved_sessions").await, 1);
        assert_eq!(app.sql_count("select count(*) from databases").await, 2);
    }

    async fn a_database_is_not_deleted_by_a_broken_request(app: TestApp) {
        let root = app.provision(ROOT).await;
        let (bound, db) = bound_to_new(&app, &root, "shop").await;
        let request = app.delete("/v1/databases/current/").bearer(&bound.access_token);
        let answer = request.body("application/json", "{\"really\"").send().await;
        assert_wrong_data(&answer, 400, "WRONG_DATA_TYPE");
        assert_eq!(get_as(&app, &bound, "databases/current/").await.assert_status(200).text_at("id"), db);
    }

    async fn of_many_who_delete_a_database_one_does(engine: Engine) {
        let app = unlimited(engine).await;
        let root = app.provision(ROOT).await;
        let (bound, db) = bound_to_new(&app, &root, "shop").await;
        let answers = concurrently(10, |_| {
            let request = app.delete("/v1/databases/current/").bearer(&bound.access_token);
            async move { request.send().await }
        })
        .await;
        let (deleted, late): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 204);
        assert_eq!(deleted.len(), 1);
        for answer in late {
            assert_no_database(answer, &db);
        }
    }

    async fn a_database_is_pending_for_as_long_as_the_operator_says(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            settings.database_preparation = Duration::from_secs(60);
        });
        let app = app.start().await;
        let root = app.provision(ROOT).await;
        let (bound, _) = bound_to_new(&app, &root, "shop").await;
        let is = async |expected: &str| {
            let status = get_as(&app, &bound, "databases/current/status/").await;
            assert_eq!(status.assert_status(200).body, json!({ "status": expected }));
            let current = get_as(&app, &bound, "databases/current/").await;
            assert_eq!(current.assert_status(200).text_at("status"), expected);
            let login = app.log_in("individual", ROOT, json!({ "db_name": "shop" })).await;
            assert_eq!(login.assert_status(200).text_at("database.status"), expected);
            let body = json!({ "refresh_token": bound.refresh_token });
            let refreshed = app.post("/v1/login/refresh-token/").json(&body).send().await;
            assert_eq!(refreshed.assert_status(200).text_at("database.status"), expected);
        };
        is("pending").await;
        app.advance(59 * SECOND);
        // A change does not start it anew.
        patch_as(&app, &bound, "databases/current/", json!({ "description": "x" })).await.assert_status(200);
        is("pending").await;
        app.advance(SECOND);
        is("ready").await;
    }
}

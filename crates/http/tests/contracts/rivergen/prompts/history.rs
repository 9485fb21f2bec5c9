//! Saved questions: listed, changed, deleted, and their history.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, on_both_engines};

use super::script::{ADA, Script, ask, ask_saved, delete, get, member, owner, patch, signed_in};

const DAY: Duration = Duration::from_secs(24 * 3_600);

on_both_engines! {
    async fn questions_are_listed_searched_sorted_and_paged(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        for text in ["Beta orders", "alpha 50%", "boom"] {
            ask_saved(&app, &ada, text).await;
            app.advance(DAY);
        }
        let names = async |query: &str| {
            let answer = get(&app, &ada, &format!("prompts{query}")).await;
            let items = answer.assert_status(200).field("data.items").as_array().unwrap().clone();
            items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("").await, ["boom", "alpha 50%", "Beta orders"]);
        assert_eq!(names("?sort_by=name&sort_order=asc").await, ["alpha 50%", "Beta orders", "boom"]);
        assert_eq!(names("?search=0%25").await, ["alpha 50%"]);
        assert_eq!(names("?search=%25%25").await, Vec::<String>::new());
        assert_eq!(names("?status=failed").await, ["boom"]);
        assert_eq!(names("?page=2&page_size=2").await, ["Beta orders"]);
        assert_eq!(names("?workspace_id=999999").await, Vec::<String>::new());
        let answer = get(&app, &ada, "prompts?page_size=2").await;
        assert_eq!(
            answer.field("data.pagination"),
            &json!({ "page": 1, "page_size": 2, "total_items": 3, "total_pages": 2, "has_next": true, "has_previous": false })
        );
        for wrong in ["page=0", "page_size=x", "status=odd", "sort_by=odd", "sort_order=up", "workspace_id=x"] {
            get(&app, &ada, &format!("prompts?{wrong}")).await.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn a_question_is_read_changed_and_deleted(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = ask_saved(&app, &ada, "orders").await;
        let read = get(&app, &ada, &format!("prompts/{number}")).await;
        let data = read.assert_status(200).field("data");
        assert_eq!((&data["name"], &data["status"], &data["tags"]), (&json!("orders"), &json!("completed"), &json!(["a"])));
        assert_eq!(data["generated_query"]["query_text"], "select n, name from orders where quick = $1");
        assert_eq!((&data["generated_query"]["id"], &data["ai_model_used"]), (&data["generated_query_id"], &json!("builtin")));
        assert_eq!(data["metadata"], json!({}));
        let path = format!("prompts/{number}");
        let changed = patch(&app, &ada, &path, &json!({ "name": null, "tags": ["b"], "metadata": { "x": 1 } })).await;
        let data = changed.assert_status(200).field("data");
        assert_eq!((&data["name"], &data["tags"], &data["metadata"]), (&Value::Null, &json!(["b"]), &json!({ "x": 1 })));
        // What is left out stays.
        assert_eq!(patch(&app, &ada, &path, &json!({})).await.field("data.tags"), &json!(["b"]));
        for wrong in [json!({ "tags": null }), json!({ "metadata": [] }), json!({ "name": 7 })] {
            patch(&app, &ada, &path, &wrong).await.assert_error(422, "VALIDATION_ERROR");
        }
        patch(&app, &ada, "prompts/x", &json!({})).await.assert_error(422, "VALIDATION_ERROR");
        get(&app, &ada, "prompts/x").await.assert_error(422, "VALIDATION_ERROR");
        delete(&app, &ada, "prompts/x").await.assert_error(422, "VALIDATION_ERROR");
        let deleted = delete(&app, &ada, &path).await;
        assert_eq!(deleted.assert_status(200).field("data.prompt_id"), &json!(number));
        get(&app, &ada, &path).await.assert_error(404, "NOT_FOUND");
        delete(&app, &ada, &path).await.assert_error(404, "NOT_FOUND");
        patch(&app, &ada, &path, &json!({})).await.assert_error(404, "NOT_FOUND");
        app.advance(31 * DAY);
        while app.kernel().prune().await.unwrap() > 0 {}
        assert_eq!(app.sql_count("select count(*) from prompts").await, 0);
    }

    async fn a_history_is_filtered_sorted_and_cleared(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        let old = ask_saved(&app, &ada, "old orders").await;
        app.advance(10 * DAY);
        let failed = ask_saved(&app, &ada, "boom").await;
        let other = json!({ "prompt_text": "clinic", "selected_data_source_ids": [2], "save_prompt": true });
        let clinic = ask(&app, &ada, &other).await["prompt_id"].as_i64().unwrap();
        let numbers = async |query: &str| {
            let answer = get(&app, &ada, &format!("prompts/history{query}")).await;
            let items = answer.assert_status(200).field("data.items").as_array().unwrap().clone();
            items.iter().map(|item| item["id"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(numbers("").await, [clinic, failed, old]);
        assert_eq!(numbers("?time_period=last_7_days").await, [clinic, failed]);
        assert_eq!(numbers("?data_source_id=2").await, [clinic]);
        assert_eq!(numbers("?status=failed").await, [failed]);
        assert_eq!(numbers("?search=OLD").await, [old]);
        assert_eq!(numbers("?sort_by=timestamp&sort_order=asc").await, [old, failed, clinic]);
        assert_eq!(numbers("?sort_by=status&sort_order=desc").await[0], failed);
        for wrong in ["time_period=ever", "sort_by=odd", "user_id=x", "data_source_id=x", "page=0"] {
            get(&app, &ada, &format!("prompts/history?{wrong}")).await.assert_error(422, "VALIDATION_ERROR");
        }
        let cleared = delete(&app, &ada, "prompts/history/clear?time_period=last_7_days").await;
        assert_eq!(cleared.assert_status(200).text_at("message"), "Successfully cleared 2 prompt(s) from history");
        assert_eq!(cleared.field("data.filters_applied.time_period"), "last_7_days");
        assert_eq!(cleared.field("data.filters_applied.user_id").to_string(), ada.user_id);
        assert_eq!(numbers("").await, [old]);
        delete(&app, &ada, "prompts/history/clear?time_period=odd").await.assert_error(422, "VALIDATION_ERROR");
    }

    async fn administrators_see_and_clear_others_histories_and_others_do_not(engine: Engine) {
        let app = Script::new().start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        let cleo = owner(&app, "cleo@example.com").await;
        ask_saved(&app, &bob, "orders").await;
        ask_saved(&app, &cleo, "orders").await;
        let of = |who: &tidegate_testkit::Person| format!("prompts/history?user_id={}", who.user_id);
        let clear = |who: &tidegate_testkit::Person| format!("prompts/history/clear?user_id={}", who.user_id);
        assert_eq!(get(&app, &ada, &of(&bob)).await.assert_status(200).field("data.pagination.total_items"), &json!(1));
        assert_eq!(get(&app, &bob, &of(&bob)).await.assert_status(200).field("data.pagination.total_items"), &json!(1));
        get(&app, &bob, &of(&ada)).await.assert_error(403, "FORBIDDEN");
        delete(&app, &bob, &clear(&ada)).await.assert_error(403, "FORBIDDEN");
        // Of other organizations there is nobody.
        get(&app, &ada, &of(&cleo)).await.assert_error(404, "NOT_FOUND");
        delete(&app, &ada, &clear(&cleo)).await.assert_error(404, "NOT_FOUND");
        assert_eq!(delete(&app, &ada, &clear(&bob)).await.assert_status(200).field("data.deleted_count"), &json!(1));
        assert_eq!(app.sql_count("select count(*) from prompts where deleted_at is null").await, 1);
    }
}

//! Questions are asked and answered.

use serde_json::{Value, json};
use tidegate_domain::ContractId;
use tidegate_domain::limit::Limit;
use tidegate_domain::quota::Quotas;
use tidegate_testkit::{Engine, on_both_engines};

use super::script::{ADA, Script, ask, get, member, owner, post, question, saved, signed_in};

on_both_engines! {
    async fn a_question_is_answered_with_its_reading_and_its_first_rows(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        let answer = post(&app, &ada, "prompts/execute", &question("Count the orders")).await;
        answer.assert_status(200);
        assert_eq!(answer.text_at("message"), "Prompt executed successfully");
        let data = answer.field("data");
        assert_eq!(data["status"], "completed");
        assert_eq!((&data["ai_processing_status"], &data["query_execution_status"]), (&json!("completed"), &json!("completed")));
        assert_eq!((&data["progress_percentage"], &data["prompt_id"]), (&json!(100), &Value::Null));
        assert_eq!(data["generated_query_text"], "select n, name from orders where quick = $1");
        assert_eq!(data["generated_query_parameters"], json!([7]));
        assert_eq!((&data["ai_model_used"], &data["rows_returned"]), (&json!("builtin"), &json!(3)));
        assert_eq!(data["ai_response_metadata"]["explanation"], "orders, counted");
        assert_eq!(data["columns"], json!([{ "name": "n", "type": "integer" }, { "name": "name", "type": "string" }]));
        assert_eq!(data["result_preview"][0], json!({ "n": 1, "name": "name, \"1\"" }));
        assert_eq!(data["chart_suggestion"], json!({ "mark": "bar" }));
        let number = data["execution_id"].as_i64().unwrap();
        for path in [format!("prompts/executions/{number}"), format!("prompts/executions/{number}/status")] {
            assert_eq!(get(&app, &ada, &path).await.assert_status(200).field("data"), data, "{path}");
        }
        // Rows are stored for nobody to read.
        assert_eq!(app.sql_count("select count(*) from prompt_executions where question like '%name, %'").await, 0);
        assert_eq!(app.sql_count("select count(*) from prompt_executions where preview is not null").await, 1);
    }

    async fn what_was_shown_under_other_policies_is_not_shown_again(engine: Engine) {
        let script = Script::new();
        let app = script.start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = ask(&app, &ada, &question("orders")).await["execution_id"].clone();
        script.change_policies();
        let answer = get(&app, &ada, &format!("prompts/executions/{number}")).await;
        let data = answer.assert_status(200).field("data");
        assert_eq!((&data["result_preview"], &data["preview_withheld"]), (&json!([]), &json!(true)));
        assert_eq!((&data["chart_suggestion"], &data["rows_returned"]), (&Value::Null, &json!(3)));
        assert!(!answer.text.contains("name, "), "{}", answer.text);
    }

    async fn a_question_that_is_not_understood_says_which_words_and_what_could_be_asked(engine: Engine) {
        let script = Script::new();
        let app = script.start(engine).await;
        let ada = owner(&app, ADA).await;
        let data = ask(&app, &ada, &question("How is the weather?")).await;
        assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!("not_understood")));
        assert_eq!(data["ai_response_metadata"]["not_understood"], json!(["weather"]));
        assert_eq!(data["ai_response_metadata"]["suggestions"], json!(["How many orders are there?"]));
        assert_eq!((&data["query_execution_status"], &data["generated_query_text"]), (&Value::Null, &Value::Null));
        // A failure of the query is told with its code; so is a policy that denies.
        let data = ask(&app, &ada, &question("boom")).await;
        assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!("evaluation_failed")));
        assert_eq!((&data["ai_processing_status"], &data["query_execution_status"]), (&json!("completed"), &json!("failed")));
        let data = ask(&app, &ada, &question("denied")).await;
        assert_eq!(data["error_code"], "policy_denied");
        let nothing = json!({ "prompt_text": "orders", "selected_data_source_ids": [1], "selected_schema_names": ["empty"] });
        assert_eq!(ask(&app, &ada, &nothing).await["error_code"], "unknown_relation");
        assert_eq!(ask(&app, &ada, &question("none")).await["result_preview"], json!([]));
        let many = ask(&app, &ada, &question("many")).await;
        assert_eq!((&many["rows_returned"], many["result_preview"].as_array().unwrap().len()), (&json!(250), 100));
    }

    async fn what_is_wrong_with_a_question_is_named(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        let with = |field: &str, value: Value| {
            let mut body = question("orders");
            body[field] = value;
            body
        };
        for (field, value) in [
            ("prompt_text", json!("")),
            ("prompt_text", json!(" \n ")),
            ("prompt_text", json!(7)),
            ("prompt_text", json!("a\u{0}b")),
            ("prompt_text", json!("x".repeat(20_001))),
            ("selected_data_source_ids", json!([])),
            ("selected_data_source_ids", json!(["1"])),
            ("selected_data_source_ids", json!((0..21).collect::<Vec<_>>())),
            ("selected_schema_names", json!(["x".repeat(513)])),
            ("workspace_id", json!("one")),
            ("save_prompt", json!("yes")),
            ("tags", json!([""])),
            ("name", json!("x".repeat(256))),
        ] {
            let answer = post(&app, &ada, "prompts/execute", &with(field, value.clone())).await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert!(answer.text.contains(field), "{field} {value}: {}", answer.text);
        }
        let answer = post(&app, &ada, "prompts/execute", &with("ai_model", json!("gpt-4"))).await;
        answer.assert_error(400, "BAD_REQUEST");
        assert!(answer.text.contains("builtin"), "{}", answer.text);
        for (field, value) in [
            ("selected_data_source_ids", json!([1, 999_999])),
            ("workspace_id", json!(999_999)),
            ("prompt_id", json!(999_999)),
        ] {
            post(&app, &ada, "prompts/execute", &with(field, value)).await.assert_error(404, "NOT_FOUND");
        }
        assert_eq!(app.sql_count("select count(*) from prompt_executions").await, 0);
        // Every script of the world is text.
        for text in ["Сколько заказов? orders", "注文はいくつ", "كم عدد الطلبات", "🦀🦀", "'; drop table prompts; --"] {
            assert_eq!(ask(&app, &ada, &question(text)).await["status"], "completed", "{text}");
        }
    }

    async fn questions_are_saved_and_asked_again(engine: Engine) {
        let app = Script::new()
            .builder(engine)
            .settings(|settings| settings.quotas = Quotas { prompts: 1, ..Quotas::default() })
            .start()
            .await;
        let ada = owner(&app, ADA).await;
        let first = ask(&app, &ada, &saved("orders")).await;
        let number = first["prompt_id"].as_i64().unwrap();
        post(&app, &ada, "prompts/execute", &saved("more")).await.assert_error(409, "CONFLICT");
        let again = json!({ "prompt_text": "orders", "selected_data_source_ids": [1], "prompt_id": number });
        assert_eq!(ask(&app, &ada, &again).await["prompt_id"], number);
        let list = get(&app, &ada, &format!("prompts/{number}/executions")).await;
        assert_eq!(list.assert_status(200).field("data.pagination.total_items"), &json!(2));
        assert_eq!(list.field("data.items.0.user_id").to_string(), ada.user_id);
        assert_eq!(list.field("data.items.1.id"), &first["execution_id"]);
        let none = get(&app, &ada, &format!("prompts/{number}/executions?status=failed")).await;
        assert_eq!(none.field("data.items"), &json!([]));
        get(&app, &ada, &format!("prompts/{number}/executions?status=odd")).await.assert_error(422, "VALIDATION_ERROR");
        get(&app, &ada, "prompts/999999/executions").await.assert_error(404, "NOT_FOUND");
    }

    async fn nobody_sees_anothers_questions_not_even_in_one_organization(engine: Engine) {
        let app = Script::new().start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        let cleo = owner(&app, "cleo@example.com").await;
        let mine = ask(&app, &ada, &saved("orders")).await;
        let (prompt, execution) = (mine["prompt_id"].clone(), mine["execution_id"].clone());
        for other in [&bob, &cleo] {
            for path in [
                format!("prompts/{prompt}"),
                format!("prompts/{prompt}/executions"),
                format!("prompts/{prompt}/analytics"),
                format!("prompts/executions/{execution}"),
                format!("prompts/executions/{execution}/status"),
                format!("prompts/executions/{execution}/result"),
                format!("prompts/executions/{execution}/events"),
                format!("queries/{execution}"),
                format!("queries/{execution}/result"),
            ] {
                get(&app, other, &path).await.assert_error(404, "NOT_FOUND");
            }
            for path in [format!("prompts/executions/{execution}/cancel"), format!("queries/{execution}/cancel")] {
                post(&app, other, &path, &json!({})).await.assert_error(404, "NOT_FOUND");
            }
            for path in ["prompts", "prompts/history", "queries"] {
                assert_eq!(get(&app, other, path).await.field("data.items"), &json!([]), "{path}");
            }
        }
    }

    async fn a_body_that_is_no_object_is_told_apart(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = crate::rivergen::prompts::script::ask_saved(&app, &ada, "orders").await;
        for path in ["prompts/execute", "queries/execute", "prompt-templates"] {
            for body in ["[]", "{", "7"] {
                let request = crate::rivergen::prompts::script::request(&app, &ada, axum::http::Method::POST, path);
                request.body("application/json", body).send().await.assert_error(400, "BAD_REQUEST");
            }
        }
        let path = format!("prompts/{number}");
        let request = crate::rivergen::prompts::script::request(&app, &ada, axum::http::Method::PATCH, &path);
        request.body("application/json", "[]").send().await.assert_error(400, "BAD_REQUEST");
    }

    async fn a_limit_on_all_requests_is_told_in_the_words_of_the_modules_of_data(engine: Engine) {
        let app = Script::new()
            .builder(engine)
            .settings(|settings| {
                let profile = settings.contracts.of_mut(ContractId::RIVERGEN).unwrap();
                profile.limits.anonymous_requests = Some(Limit::new(1, 60));
            })
            .start()
            .await;
        let routes = crate::routes::all();
        let is_own = |path: &str| path.starts_with("/api/v1/prompt") || path.starts_with("/api/v1/queries");
        let own: Vec<_> = routes.iter().filter(|route| is_own(&route.path)).collect();
        assert_eq!(own.len(), 26);
        own[0].request(&app.client()).send().await;
        for route in own {
            let answer = route.request(&app.client()).send().await;
            route.assert_refused(&answer, (429, "TOO_MANY_REQUESTS"), "one request too many");
            assert_eq!(answer.header("retry-after"), "60", "{}", route.name());
        }
    }

    async fn a_viewer_asks_and_reads(engine: Engine) {
        let app = Script::new().start(engine).await;
        let manager = app.provision(ADA).await;
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        assert_eq!(ask(&app, &vera, &question("orders")).await["status"], "completed");
    }
}

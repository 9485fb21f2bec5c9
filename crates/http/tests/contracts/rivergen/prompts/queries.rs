//! Queries in SQL.

use serde_json::{Value, json};
use tidegate_testkit::{Engine, on_both_engines};

use super::script::{ADA, SHOP, Script, ask, get, owner, post, question};

fn query(sql: &str) -> Value {
    json!({ "sql": sql, "selected_data_source_ids": [SHOP] })
}

on_both_engines! {
    async fn a_query_runs_with_its_values_bound(engine: Engine) {
        let script = Script::new();
        let app = script.start(engine).await;
        let ada = owner(&app, ADA).await;
        let hostile = "x' or 1=1; drop table orders";
        let body = json!({
            "sql": "select n from orders where note = $1 and total > $2 and open = $3 and gone is not distinct from $4",
            "selected_data_source_ids": [SHOP],
            "parameters": [hostile, 1.5, true, null],
        });
        let answer = post(&app, &ada, "queries/execute", &body).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Query executed successfully");
        let data = answer.field("data");
        assert_eq!((&data["status"], &data["rows_returned"], &data["prompt_id"]), (&json!("completed"), &json!(3), &Value::Null));
        assert_eq!((&data["ai_model_used"], &data["ai_response_metadata"]), (&Value::Null, &Value::Null));
        let (sql, parameters) = script.ran().pop().unwrap();
        assert!(!sql.contains("drop"), "{sql}");
        assert_eq!(parameters, [json!(hostile), json!(1.5), json!(true), Value::Null]);
        let number = data["execution_id"].clone();
        assert_eq!(get(&app, &ada, &format!("queries/{number}")).await.assert_status(200).field("data"), data);
    }

    async fn what_the_gate_refuses_has_failed_with_its_code(engine: Engine) {
        let script = Script::new();
        let app = script.start(engine).await;
        let ada = owner(&app, ADA).await;
        for (sql, code) in [
            ("drop table orders", "statement_not_allowed"),
            ("select 1; delete from orders", "statement_not_allowed"),
            ("select 1 -- and more", "statement_not_allowed"),
            ("select * from payroll", "unknown_relation"),
            ("select * from nowhere", "unknown_relation"),
            ("select no_column from orders", "unknown_column"),
            ("select boom", "evaluation_failed"),
        ] {
            let answer = post(&app, &ada, "queries/execute", &query(sql)).await;
            let data = answer.assert_status(200).field("data");
            assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!(code)), "{sql}");
        }
        // What is forbidden and what is not there are told alike.
        let told = async |sql: &str| {
            let data = post(&app, &ada, "queries/execute", &query(sql)).await.field("data").clone();
            (data["error_code"].clone(), data["error_message"].clone())
        };
        assert_eq!(told("select * from payroll").await, told("select * from nowhere").await);
    }

    async fn what_is_wrong_with_a_query_is_named(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        for (field, value) in [
            ("sql", json!("")),
            ("sql", json!("  ")),
            ("sql", json!("select '\u{0}'")),
            ("sql", json!("é".repeat(25_000))),
            ("sql", json!(1)),
            ("parameters", json!([[1]])),
            ("parameters", json!([{ "a": 1 }])),
            ("parameters", json!({ "a": 1 })),
            ("parameters", json!(vec![0; 101])),
            ("selected_data_source_ids", json!([])),
        ] {
            let mut body = query("select 1");
            body[field] = value;
            let answer = post(&app, &ada, "queries/execute", &body).await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert!(answer.text.contains(field), "{field}: {}", answer.text);
        }
        let unseen = json!({ "sql": "select 1", "selected_data_source_ids": [999_999] });
        post(&app, &ada, "queries/execute", &unseen).await.assert_error(404, "NOT_FOUND");
        get(&app, &ada, "queries/999999").await.assert_error(404, "NOT_FOUND");
        get(&app, &ada, "queries/x").await.assert_error(422, "VALIDATION_ERROR");
    }

    async fn what_ran_is_listed_by_kind_and_state(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        post(&app, &ada, "queries/execute", &query("select 1")).await.assert_status(200);
        post(&app, &ada, "queries/execute", &query("select boom")).await.assert_status(200);
        ask(&app, &ada, &question("orders")).await;
        let kinds = async |query: &str| {
            let answer = get(&app, &ada, &format!("queries{query}")).await;
            let items = answer.assert_status(200).field("data.items").as_array().unwrap().clone();
            items.iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(kinds("").await, ["prompt", "sql", "sql"]);
        assert_eq!(kinds("?kind=sql&status=failed").await, ["sql"]);
        assert_eq!(kinds("?page=2&page_size=2").await, ["sql"]);
        for wrong in ["kind=odd", "status=odd", "page=0"] {
            get(&app, &ada, &format!("queries?{wrong}")).await.assert_error(422, "VALIDATION_ERROR");
        }
    }
}

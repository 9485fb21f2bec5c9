//! What goes wrong with questions, queries and templates, with nothing in the place of the engine.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use super::governed::{employees, run};
use super::script::{get, post};
use crate::rivergen::data_sources::wire::{ADA, Server, builder, created, owner, run_jobs, start};

/// What became of a query, however long it takes.
pub(super) async fn over(app: &TestApp, who: &Person, data: Value) -> Value {
    let path = format!("queries/{}", data["execution_id"]);
    let mut data = data;
    while data["status"] == "processing" {
        tokio::time::sleep(Duration::from_millis(20)).await;
        data = get(app, who, &path).await.assert_status(200).field("data").clone();
    }
    data
}

on_both_engines! {
    async fn a_query_that_fails_says_why_and_shows_no_row(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        for (sql, code) in [
            ("select id from", "syntax"),
            ("select nothing from emp", "unknown_column"),
            ("select * from nothing", "unknown_relation"),
            ("select id + note from emp", "type_mismatch"),
            ("select 1 / (id - id) as x from emp", "evaluation_failed"),
            ("select cast('2025-02-30' as date) as x from emp", "evaluation_failed"),
            ("select cast(note as bigint) as x from emp", "evaluation_failed"),
            ("select 1; select 2", "statement_not_allowed"),
            ("delete from emp", "statement_not_allowed"),
        ] {
            let data = run(&app, &ada, source, sql).await;
            assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!(code)), "{sql}: {data}");
            assert_eq!((&data["result_preview"], &data["rows_returned"]), (&json!([]), &json!(null)), "{sql}");
            let told = data["error_message"].as_str().unwrap();
            assert!(!told.contains("fine") && !told.contains("SECRET"), "{sql}: {told}");
            get(&app, &ada, &format!("queries/{}/result", data["execution_id"])).await.assert_error(409, "CONFLICT");
        }
    }

    async fn a_source_whose_tables_are_not_known_is_told(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        server.database.sql("create table n (id bigint primary key); insert into n values (1)").await;
        let source = created(&app, &ada, &server.body()).await;
        let data = run(&app, &ada, source, "select id from n").await;
        assert_eq!(data["error_code"], "unknown_relation", "{data}");
        assert!(data["error_message"].as_str().unwrap().contains("are not known yet"), "{data}");
        // It is about to be tested, and then about to be discovered: not so where that came to nothing.
        let told = async || {
            app.advance(Duration::from_secs(3));
            let data = run(&app, &ada, source, "select id from n").await;
            data["error_message"].as_str().unwrap_or_default().to_owned()
        };
        let soon = "are not known yet: its schema is being discovered: ask again in a moment.";
        assert!(told().await.contains(soon), "{}", told().await);
        app.kernel().run_job("data source tests").await.unwrap();
        assert!(told().await.contains(soon), "{}", told().await);
        app.sql("delete from jobs where name = 'data source discoveries'").await;
        assert!(told().await.contains("are not known yet: its schema was not discovered."), "{}", told().await);
        app.post(&format!("/api/v1/data-sources/{source}/test")).bearer(&ada.access_token).send().await.assert_status(200);
        run_jobs(&app).await;
        let data = run(&app, &ada, source, "select id from n").await;
        assert_eq!(data["status"], "completed", "{data}");
        let data = run(&app, &ada, source, "select id from m").await;
        assert!(!data["error_message"].as_str().unwrap().contains("are not known yet"), "{data}");
    }

    async fn a_result_may_have_no_row_and_a_million_and_no_more(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        server.database.sql("create table n (id bigint primary key); insert into n select * from generate_series(1, 1000)").await;
        let source = created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        let none = run(&app, &ada, source, "select id from n where id > 1000").await;
        assert_eq!((&none["status"], &none["rows_returned"]), (&json!("completed"), &json!(0)), "{none}");
        assert_eq!((&none["result_preview"], &none["chart_suggestion"]), (&json!([]), &json!(null)));
        assert_eq!(none["columns"][0]["name"], "id");
        let million = run(&app, &ada, source, "select a.id from n a cross join n b").await;
        let million = over(&app, &ada, million).await;
        assert_eq!((&million["status"], &million["rows_returned"]), (&json!("completed"), &json!(1_000_000)), "{million}");
        assert_eq!(million["result_preview"].as_array().unwrap().len(), 100);
        let more = run(&app, &ada, source, "select a.id from n a cross join n b union all select id from n").await;
        assert_eq!(over(&app, &ada, more).await["error_code"], "limit_rows");
    }

    async fn what_has_no_end_ends_with_the_code_of_its_limit_and_others_are_served(engine: Engine) {
        // Whose requests wait for nothing.
        let app = builder(engine).prompts(|prompts| prompts.answer_within = Duration::from_millis(1)).start().await;
        let server = Server::start().await;
        let ada = owner(&app, ADA).await;
        server
            .database
            .sql("create table n (id bigint primary key, t text); insert into n select i, repeat('x', 1000) from generate_series(1, 1000) i")
            .await;
        let source = created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        let limit = json!({
            "name": "Soon", "type": "query_limit", "data_source_ids": [source],
            "rules": [{ "rule_name": "r", "rule_type": "limit_query", "rule_config": { "max_execution_time_seconds": 3 } }],
        });
        let memory = ("select array_agg(a.t) as x from n a cross join n b cross join n c", "limit_memory");
        let time = ("select count(*) as n from n a cross join n b cross join n c cross join n d cross join n e", "limit_time");
        for (sql, code) in [memory, time] {
            if code == "limit_time" {
                post(&app, &ada, "policies", &limit).await.assert_status(201);
            }
            let begun = run(&app, &ada, source, sql).await;
            assert_eq!(begun["status"], "processing", "{begun}");
            let light = over(&app, &ada, run(&app, &ada, source, "select count(*) as n from n").await).await;
            assert_eq!(light["result_preview"], json!([{ "n": 1_000 }]), "{light}");
            let ended = over(&app, &ada, begun).await;
            assert_eq!((&ended["status"], &ended["error_code"]), (&json!("failed"), &json!(code)), "{ended}");
            // Its place is free.
            let light = over(&app, &ada, run(&app, &ada, source, "select max(id) as n from n").await).await;
            assert_eq!(light["result_preview"], json!([{ "n": 1_000 }]), "{light}");
        }
    }

    async fn a_question_that_is_too_long_to_be_one_is_not_read(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let long = "how many emp are there? ".repeat(100 * 1_024 / 24);
        for (field, path) in [("prompt_text", "prompts/execute"), ("sql", "queries/execute")] {
            let answer = post(&app, &ada, path, &json!({ field: long, "selected_data_source_ids": [source] })).await;
            assert!([413, 422].contains(&answer.status), "{path}: {}", answer.text);
            assert!(!answer.text.contains("there?"), "{path}: {}", answer.text);
        }
        // As long as one may be.
        let text = format!("How many emp are there{}?", " please".repeat(300));
        let data = post(&app, &ada, "prompts/execute", &json!({ "prompt_text": text, "selected_data_source_ids": [source] })).await;
        assert!(["completed", "failed"].contains(&data.assert_status(200).text_at("data.status").as_str()), "{}", data.text);
        assert_eq!(app.sql_count("select count(*) from prompt_executions").await, 1);
    }

    async fn system_templates_are_governed_like_any_query(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let all = get(&app, &ada, "prompt-templates?is_system_template=true").await;
        for item in all.assert_status(200).field("data.items").as_array().unwrap() {
            for column in ["id", "ssn", "note"] {
                let body = json!({ "selected_data_source_ids": [source], "parameters": { "table": "emp", "column": column } });
                let answer = post(&app, &ada, &format!("prompt-templates/{}/execute", item["id"]), &body).await;
                let data = answer.assert_status(200).field("data").clone();
                assert_eq!(data["status"], "completed", "{} {column}: {data}", item["name"]);
                assert!(!answer.text.contains("SECRET") && !answer.text.contains("123-45"), "{}", answer.text);
                if item["name"] == "Row count" {
                    assert_eq!(data["result_preview"], json!([{ "row_count": 2 }]));
                }
                if item["name"] == "Duplicates" && column == "note" {
                    assert_eq!(data["result_preview"], json!([{ "note": "fine", "occurrences": 2 }]));
                }
            }
        }
    }
}

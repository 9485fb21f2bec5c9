//! The whole way, with nothing in its place: a data source, a policy, the engine, and the built-in planner.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use super::script::{get, post};
use crate::rivergen::data_sources::wire::{ADA, Server, created, member, owner, run_jobs, signed_in, start};

/// A table of employees; only those of the caller's region are theirs to see, and `ssn` is masked.
pub(super) async fn employees(app: &TestApp, who: &Person, server: &Server) -> i64 {
    server
        .database
        .sql(
            "create table emp (id bigint primary key, region text, ssn text, note text);
             insert into emp values (1, 'EU', '123-45-6789', 'fine'), (2, 'US', '987-65-4321', 'SECRET-2'),
                (3, 'EU', '111-22-3333', 'fine')",
        )
        .await;
    let number = created(app, who, &server.body()).await;
    run_jobs(app).await;
    for (kind, rule, config) in [
        ("row_level_security", "filter_rows", json!({ "table": "emp", "condition": "region = 'EU'" })),
        ("data_masking", "mask_column", json!({ "table": "emp", "column": "ssn", "masking_type": "null" })),
    ] {
        let body = json!({
            "name": kind, "type": kind, "data_source_ids": [number],
            "rules": [{ "rule_name": "r", "rule_type": rule, "rule_config": config }],
        });
        post(app, who, "policies", &body).await.assert_status(201);
    }
    number
}

pub(super) async fn run(app: &TestApp, who: &Person, source: i64, sql: &str) -> Value {
    let body = json!({ "sql": sql, "selected_data_source_ids": [source] });
    post(app, who, "queries/execute", &body).await.assert_status(200).field("data").clone()
}

on_both_engines! {
    async fn a_query_sees_what_the_policies_leave_on_every_way_out(engine: Engine) {
        let (app, server) = (start(engine).await, Server::alone().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let data = run(&app, &ada, source, "select id, ssn, note from emp order by id").await;
        assert_eq!(data["status"], "completed", "{data}");
        assert_eq!(
            data["result_preview"],
            json!([{ "id": 1, "ssn": null, "note": "fine" }, { "id": 3, "ssn": null, "note": "fine" }])
        );
        let number = data["execution_id"].clone();
        for path in [
            format!("queries/{number}"),
            format!("queries/{number}/result"),
            format!("queries/{number}/result?format=csv"),
            format!("prompts/executions/{number}/events"),
            "prompts/analytics/query-analytics".to_owned(),
            "queries".to_owned(),
        ] {
            let answer = get(&app, &ada, &path).await;
            answer.assert_status(200);
            assert!(!answer.text.contains("SECRET") && !answer.text.contains("987-65"), "{path}: {}", answer.text);
        }
        assert_eq!(run(&app, &ada, source, "select count(*) as n from emp").await["result_preview"], json!([{ "n": 2 }]));
        for refused in ["drop table emp", "select 1; select 2", "explain select * from emp"] {
            assert_eq!(run(&app, &ada, source, refused).await["status"], "failed", "{refused}");
        }
    }

    async fn a_policy_made_later_holds_for_what_was_shown_before(engine: Engine) {
        let (app, server) = (start(engine).await, Server::alone().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let number = run(&app, &ada, source, "select note from emp where id = 1").await["execution_id"].clone();
        let shown = get(&app, &ada, &format!("queries/{number}")).await;
        assert_eq!(shown.field("data.result_preview"), &json!([{ "note": "fine" }]));
        let body = json!({
            "name": "Notes", "type": "data_masking", "data_source_ids": [source],
            "rules": [{ "rule_name": "r", "rule_type": "mask_column",
                "rule_config": { "table": "emp", "column": "note", "masking_type": "null" } }],
        });
        post(&app, &ada, "policies", &body).await.assert_status(201);
        let withheld = get(&app, &ada, &format!("queries/{number}")).await;
        assert_eq!(withheld.field("data.preview_withheld"), &json!(true), "{}", withheld.text);
        let again = get(&app, &ada, &format!("queries/{number}/result")).await;
        assert_eq!(again.body, json!([{ "note": null }]));
    }

    async fn a_question_in_words_is_answered_of_the_persons_rows(engine: Engine) {
        let (app, server) = (start(engine).await, Server::alone().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        let body = json!({ "prompt_text": "How many emp are there?", "selected_data_source_ids": [source] });
        for who in [&ada, &vera] {
            let data = post(&app, who, "prompts/execute", &body).await.assert_status(200).field("data").clone();
            assert_eq!((&data["status"], &data["ai_model_used"]), (&json!("completed"), &json!("builtin")), "{data}");
            let row = data["result_preview"][0].as_object().unwrap();
            assert_eq!(row.values().next().unwrap(), &json!(2), "{data}");
        }
        // A table that is not theirs is one that is not there.
        let other = owner(&app, "cleo@example.com").await;
        post(&app, &other, "prompts/execute", &body).await.assert_error(404, "NOT_FOUND");
    }

    async fn results_that_are_downloaded_count_against_limits_of_queries(engine: Engine) {
        let (app, server) = (start(engine).await, Server::alone().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let body = json!({
            "name": "Few", "type": "query_limit", "data_source_ids": [source],
            "rules": [{ "rule_name": "r", "rule_type": "limit_query", "rule_config": { "max_queries_per_hour": 3 } }],
        });
        post(&app, &ada, "policies", &body).await.assert_status(201);
        let number = run(&app, &ada, source, "select id from emp").await["execution_id"].clone();
        let path = format!("queries/{number}/result");
        for _ in 0..2 {
            assert_eq!(get(&app, &ada, &path).await.assert_status(200).body, json!([{ "id": 1 }, { "id": 3 }]));
        }
        get(&app, &ada, &path).await.assert_error(403, "FORBIDDEN");
        assert_eq!(run(&app, &ada, source, "select id from emp").await["status"], "failed");
        // Nobody else's are counted, and not those of an hour ago.
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        assert_eq!(run(&app, &vera, source, "select id from emp").await["status"], "completed");
        app.advance(Duration::from_secs(3_601));
        let ada = signed_in(&app, ADA).await;
        get(&app, &ada, &path).await.assert_status(200);
    }

    async fn a_query_without_a_workspace_runs_in_the_callers_own(engine: Engine) {
        let (app, server) = (start(engine).await, Server::alone().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let body = json!({
            "name": "Somewhere", "type": "row_level_security", "data_source_ids": [source],
            "rules": [{ "rule_name": "r", "rule_type": "filter_rows",
                "rule_config": { "table": "emp", "condition": "id <> current_user_workspace_id or region = 'EU'" } }],
        });
        post(&app, &ada, "policies", &body).await.assert_status(201);
        // Who is nowhere lacks the attribute, which would deny the table.
        let data = run(&app, &ada, source, "select id from emp order by id").await;
        assert_eq!(data["result_preview"], json!([{ "id": 1 }, { "id": 3 }]), "{data}");
        let shown = get(&app, &ada, &format!("queries/{}", data["execution_id"])).await;
        assert_eq!(shown.field("data.result_preview"), &data["result_preview"], "{}", shown.text);
        let question = json!({ "prompt_text": "How many emp are there?", "selected_data_source_ids": [source] });
        let asked = post(&app, &ada, "prompts/execute", &question).await.assert_status(200).field("data").clone();
        assert_eq!(asked["status"], "completed", "{asked}");
    }
}

//! What happens to data sources, policies and people while a query reads, and between a query and its result.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_kernel::Call;
use tidegate_prompts::ports::QueryCode;
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use super::bad_input::over;
use super::governed::{employees_of, run, statement};
use super::line::Line;
use super::script::{delete, get, patch, post};
use crate::rivergen::data_sources::wire::{
    ADA, Server, builder, created, member, owner, run_jobs, signed_in, start,
};

const IDS: &str = "select id from emp order by id";

/// The application whose requests wait for nothing.
async fn hasty(engine: Engine) -> TestApp {
    builder(engine).prompts(|prompts| prompts.answer_within = Duration::from_millis(1)).start().await
}

/// A query of `who` that waits for the server's answer.
async fn reading(app: &TestApp, who: &Person, source: i64, line: &Line) -> Value {
    line.hold();
    let begun = run(app, who, source, IDS).await;
    assert_eq!(begun["status"], "processing", "{begun}");
    line.waits().await;
    begun
}

/// A policy for the data source.
async fn policy(app: &TestApp, who: &Person, source: i64, (kind, rule, config): (&str, &str, Value)) {
    let body = json!({
        "name": "Later", "type": kind, "data_source_ids": [source],
        "rules": [{ "rule_name": "r", "rule_type": rule, "rule_config": config }],
    });
    post(app, who, "policies", &body).await.assert_status(201);
}

on_both_engines! {
    async fn a_source_that_is_away_is_told_and_comes_back(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let line = Line::to(&server).await;
        let source = employees_of(&app, &ada, &server, &line.body(&server)).await;
        let shown = json!([{ "id": 1 }, { "id": 3 }]);
        let number = run(&app, &ada, source, IDS).await["execution_id"].clone();
        let templates = get(&app, &ada, "prompt-templates?is_system_template=true").await;
        let templates = templates.field("data.items").as_array().unwrap().clone();
        let count = templates.iter().find(|one| one["name"] == "Row count").unwrap()["id"].clone();
        line.cut();
        for (path, mut body) in [
            ("queries/execute".to_owned(), json!({ "sql": IDS })),
            ("prompts/execute".to_owned(), json!({ "prompt_text": "How many emp are there?" })),
            (format!("prompt-templates/{count}/execute"), json!({ "parameters": { "table": "emp" } })),
        ] {
            body["selected_data_source_ids"] = json!([source]);
            let data = post(&app, &ada, &path, &body).await.assert_status(200).field("data").clone();
            let data = over(&app, &ada, data).await;
            assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!("source_unavailable")), "{path}: {data}");
            assert_eq!((&data["result_preview"], &data["rows_returned"]), (&json!([]), &Value::Null), "{path}: {data}");
            let told = data["error_message"].as_str().unwrap();
            assert!(told.starts_with("The data source sales does not answer"), "{path}: {told}");
            assert!(!told.contains("127.0.0.1") && !told.contains("emp"), "{path}: {told}");
        }
        // What was shown before is shown again: it is not read anew. The whole result is.
        let path = format!("queries/{number}");
        assert_eq!(get(&app, &ada, &path).await.field("data.result_preview"), &shown);
        get(&app, &ada, &format!("{path}/result")).await.assert_error(503, "SERVICE_UNAVAILABLE");
        assert_eq!(app.sql_count("select count(*) from prompt_executions where lease_until is not null").await, 0);
        line.open();
        assert_eq!(run(&app, &ada, source, IDS).await["result_preview"], shown);
        assert_eq!(get(&app, &ada, &format!("{path}/result")).await.assert_status(200).body, shown);
    }

    async fn a_source_that_refuses_a_query_is_not_said_to_be_away(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees_of(&app, &ada, &server, &server.body()).await;
        let sql = "select id, note from emp order by id";
        assert_eq!(run(&app, &ada, source, sql).await["status"], "completed");
        for change in ["alter table emp rename column note to remark", "drop table emp"] {
            server.database.sql(change).await;
            let data = run(&app, &ada, source, sql).await;
            assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!("source_unavailable")), "{change}: {data}");
            let told = data["error_message"].as_str().unwrap();
            assert!(told.starts_with("The data source sales refused the query: a table or a column"), "{change}: {told}");
            assert!(told.contains("Its schema has to be discovered again: POST /api/v1/data-sources/"), "{change}: {told}");
            assert!(!told.contains("note") && !told.contains("emp"), "{change}: {told}");
        }
    }

    // The server answers, and refuses the password: it was said not to answer.
    async fn a_source_that_does_not_let_the_server_in_is_told_as_its_test_tells_it(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees_of(&app, &ada, &server, &server.body()).await;
        let wrong = json!({ "password": "wrong" });
        patch(&app, &ada, &format!("data-sources/{source}/credentials"), &wrong).await.assert_status(200);
        let data = run(&app, &ada, source, IDS).await;
        assert_eq!(data["error_code"], "source_unavailable", "{data}");
        let told = data["error_message"].as_str().unwrap();
        let expected = "The data source sales does not let this server in (AUTHENTICATION_ERROR).";
        assert_eq!(told, format!("{expected} POST /api/v1/data-sources/{source}/test says why."));
        let tested = post(&app, &ada, &format!("data-sources/{source}/test"), &json!({})).await;
        assert_eq!(tested.assert_status(200).field("data.error_code"), "AUTHENTICATION_ERROR", "{}", tested.text);
    }

    // What was known was answered again and again, with the same failure of each query after it, and what was gone was gone without a word.
    async fn after_a_query_that_finds_tables_changed_a_discovery_asks_and_says_what_is_gone(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees_of(&app, &ada, &server, &server.body()).await;
        let discover = async || {
            let found = post(&app, &ada, &format!("data-sources/{source}/discover-schema"), &json!({})).await;
            found.assert_status(200).field("data").clone()
        };
        let sql = "select id, note from emp order by id";
        assert_eq!(run(&app, &ada, source, sql).await["status"], "completed");
        let before = discover().await;
        server.database.sql("alter table emp drop column note; drop table people").await;
        assert_eq!(discover().await, before, "what is known is answered");
        let data = run(&app, &ada, source, sql).await;
        let told = data["error_message"].as_str().unwrap_or_else(|| panic!("{data}"));
        let advice = format!("POST /api/v1/data-sources/{source}/discover-schema?refresh=true.");
        assert!(told.ends_with(&advice), "{told}");
        let asked = discover().await;
        let gone = "Gone since the last discovery: table public.people, column public.emp.note. If it should be there, grant select on it \
                    to the data source's user, and discover again (over HTTP with ?refresh=true).";
        assert_eq!(asked["warnings"], json!([gone]), "{asked}");
        // It is known again, and is answered as before.
        server.database.sql("create table another (id bigint primary key)").await;
        assert_eq!(discover().await["total_tables"], asked["total_tables"]);
    }

    async fn a_result_that_fails_by_now_says_so_in_place_of_half_a_file(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees_of(&app, &ada, &server, &server.body()).await;
        let data = run(&app, &ada, source, "select 10 / (id - 5) as x from emp order by x").await;
        assert_eq!(data["status"], "completed", "{data}");
        server.database.sql("insert into emp values (5, 'EU', '-', 'fine')").await;
        for format in ["json", "csv", "parquet"] {
            let path = format!("queries/{}/result?format={format}", data["execution_id"]);
            let refused = get(&app, &ada, &path).await;
            refused.assert_error(400, "BAD_REQUEST");
            assert_eq!(refused.header("content-disposition"), "");
        }
    }

    async fn a_source_that_does_not_answer_is_called_off_or_left_and_holds_nobody_up(engine: Engine) {
        let (app, server) = (hasty(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let line = Line::to(&server).await;
        let silent = employees_of(&app, &ada, &server, &line.body(&server)).await;
        let sound = created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        policy(&app, &ada, silent, ("query_limit", "limit_query", json!({ "max_execution_time_seconds": 5 }))).await;
        let called_off = reading(&app, &ada, silent, &line).await;
        let late = run(&app, &ada, silent, IDS).await;
        let light = over(&app, &ada, run(&app, &ada, sound, "select count(*) as n from emp").await).await;
        assert_eq!(light["result_preview"], json!([{ "n": 3 }]), "{light}");
        let cancel = format!("queries/{}/cancel", called_off["execution_id"]);
        let cancelled = post(&app, &ada, &cancel, &json!({})).await;
        assert_eq!(cancelled.assert_status(200).field("data.status"), "cancelled");
        let late = over(&app, &ada, late).await;
        assert_eq!((&late["status"], &late["error_code"]), (&json!("failed"), &json!("limit_time")), "{late}");
        assert_eq!(app.sql_count("select count(*) from prompt_executions where lease_until is not null").await, 0);
        line.open();
        let again = over(&app, &ada, run(&app, &ada, silent, IDS).await).await;
        assert_eq!(again["status"], "completed", "{again}");
    }

    async fn a_policy_that_is_made_while_a_query_reads_keeps_its_rows_back(engine: Engine) {
        let (app, server) = (hasty(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let line = Line::to(&server).await;
        let source = employees_of(&app, &ada, &server, &line.body(&server)).await;
        let begun = reading(&app, &ada, source, &line).await;
        policy(&app, &ada, source, ("access_control", "deny_access", json!({ "table": "emp" }))).await;
        line.open();
        let data = over(&app, &ada, begun).await;
        assert!(["completed", "failed"].contains(&data["status"].as_str().unwrap()), "{data}");
        assert_eq!(data["result_preview"], json!([]), "{data}");
        let result = get(&app, &ada, &format!("queries/{}/result", data["execution_id"])).await;
        assert!((400..500).contains(&result.status), "{}", result.text);
        // Between two looks at one result, too: it is read under the rules of the second one.
        assert_eq!(over(&app, &ada, run(&app, &ada, source, IDS).await).await["status"], "failed");
    }

    async fn a_result_is_of_the_rules_that_hold_when_it_is_read(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees_of(&app, &ada, &server, &server.body()).await;
        let data = run(&app, &ada, source, "select id, note from emp order by id").await;
        let path = format!("queries/{}/result?format=jsonl", data["execution_id"]);
        assert_eq!(get(&app, &ada, &path).await.text.lines().count(), 2);
        policy(&app, &ada, source, ("row_level_security", "filter_rows", json!({ "table": "emp", "condition": "id > 1" }))).await;
        assert_eq!(get(&app, &ada, &path).await.text.lines().count(), 1);
    }

    async fn rows_on_their_way_are_of_the_rules_that_hold_when_they_are_shown(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees_of(&app, &ada, &server, &server.body()).await;
        server.database.sql("insert into emp select n, 'EU', '-', 'fine' from generate_series(10, 60000) n").await;
        let actor = app.kernel().authenticate(&ada.access_token).await.unwrap();
        let call = Call::to_postgres(app.kernel().settings(), [127, 0, 0, 1].into(), "psql".to_owned());
        let begin = async || {
            let asked = statement("select id, note from emp", source);
            let mut rows = app.prompts().stream(&call, &actor, asked).await.unwrap();
            assert!(rows.next().await.unwrap().is_some(), "the first of many");
            rows
        };
        let (mut one, mut other) = (begin().await, begin().await);
        // What is decided of others has no part in them.
        let body = json!({
            "name": "Viewers", "type": "access_control", "role_ids": [4],
            "rules": [{ "rule_name": "r", "rule_type": "deny_access", "rule_config": { "table": "emp" } }],
        });
        post(&app, &ada, "policies", &body).await.assert_status(201);
        one.holds().await.unwrap();
        assert!(other.next().await.unwrap().is_some());
        policy(&app, &ada, source, ("data_masking", "mask_column", json!({ "table": "emp", "column": "note", "masking_type": "null" }))).await;
        // Rows that were taken and wait, and the next ones.
        for failure in [one.holds().await.unwrap_err(), other.next().await.unwrap_err()] {
            assert_eq!(failure.code, QueryCode::PolicyDenied, "{failure:?}");
        }
        for rows in [&mut one, &mut other] {
            assert!(rows.next().await.unwrap().is_none(), "it is over");
            let told = get(&app, &ada, &format!("queries/{}", rows.number)).await;
            let data = told.field("data");
            assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!("policy_denied")), "{data}");
        }
        // A token that was withdrawn reads on no more than a person who was.
        let mut last = begin().await;
        app.post("/api/v1/auth/logout").bearer(&ada.access_token).send().await.assert_status(204);
        app.advance(Duration::from_secs(2));
        assert_eq!(last.holds().await.unwrap_err().code, QueryCode::PolicyDenied);
    }

    async fn whoever_loses_their_place_while_a_query_reads_gets_no_rows(engine: Engine) {
        let (app, server) = (hasty(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let line = Line::to(&server).await;
        let source = employees_of(&app, &ada, &server, &line.body(&server)).await;
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        let begun = reading(&app, &vera, source, &line).await;
        let gone = json!({ "email": "vera@example.com" });
        let removed = app.delete("/v1/accounts/individual/").bearer(&manager.access_token).json(&gone).send().await;
        assert!((200..300).contains(&removed.status), "{}", removed.text);
        line.open();
        for path in [format!("queries/{}", begun["execution_id"]), format!("queries/{}/result", begun["execution_id"])] {
            let answer = get(&app, &vera, &path).await;
            assert!([401, 403, 404].contains(&answer.status), "{path}: {}", answer.text);
        }
        // Her query has ended, and holds nobody up.
        assert_eq!(over(&app, &ada, run(&app, &ada, source, IDS).await).await["status"], "completed");
    }

    async fn a_source_that_is_deleted_while_a_query_reads_leaves_a_clean_end(engine: Engine) {
        let (app, server) = (hasty(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let line = Line::to(&server).await;
        let source = employees_of(&app, &ada, &server, &line.body(&server)).await;
        let begun = reading(&app, &ada, source, &line).await;
        delete(&app, &ada, &format!("data-sources/{source}")).await.assert_status(200);
        line.open();
        let data = over(&app, &ada, begun).await;
        match data["status"].as_str().unwrap() {
            // It had begun with a source that was there.
            "completed" => assert_eq!(data["rows_returned"], 2, "{data}"),
            "failed" => assert!(["source_unavailable", "unknown_relation", "policy_denied"].contains(&data["error_code"].as_str().unwrap()), "{data}"),
            other => panic!("{other}: {data}"),
        }
        let result = get(&app, &ada, &format!("queries/{}/result", data["execution_id"])).await;
        assert!((400..500).contains(&result.status), "{}", result.text);
        let body = json!({ "sql": IDS, "selected_data_source_ids": [source] });
        post(&app, &ada, "queries/execute", &body).await.assert_error(404, "NOT_FOUND");
        assert_eq!(app.sql_count("select count(*) from prompt_executions where lease_until is not null").await, 0);
    }
}

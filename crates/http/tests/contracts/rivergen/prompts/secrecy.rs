//! What policies hide stands nowhere: in no answer, not in the log, not among the metrics, and not in the store.

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tidegate_testkit::{Engine, on_both_engines};

use super::governed::{employees, run};
use super::script::{get, post};
use crate::rivergen::data_sources::wire::{ADA, Server, owner, run_jobs, start};
use crate::secrets::{everything_stored, hexadecimal, leak};
use crate::watch::Log;

/// Of the hidden row, and of what masks cover in the others.
const HIDDEN: [&str; 4] = ["SECRET-2", "987-65-4321", "123-45-6789", "111-22-3333"];

/// Statements that would tell something if what they fail on, sort by or compare were hidden rows or raw values.
const STATEMENTS: [&str; 12] = [
    "select * from emp",
    "select ssn, count(*) from emp group by ssn",
    "select max(ssn) as a, min(note) as b from emp",
    "select note from emp order by ssn desc limit 1",
    "select cast(note as bigint) as x from emp",
    "select cast(ssn as bigint) as x from emp",
    "select 1 / (id - 2) as x from emp",
    "select id from emp where cast(note as date) > date '2020-01-01'",
    "select array_agg(note) as notes from emp where ssn is null",
    "select a.note from emp a join emp b on a.ssn = b.ssn",
    "select no_such_column from emp",
    "select region, string_agg(note, ',') as notes from emp group by region having count(*) / (count(*) - 2) > 0",
];

on_both_engines! {
    async fn values_that_policies_hide_are_nowhere(engine: Engine) {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // A test is a process of its own.
        metrics::set_global_recorder(recorder).unwrap();
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        // Not before: the story's own statements have the rows.
        let log = Log::listen();
        run_jobs(&app).await;

        let mut answers = Vec::new();
        let of_source = |mut body: serde_json::Value| {
            body["selected_data_source_ids"] = json!([source]);
            body
        };
        for sql in STATEMENTS {
            let data = run(&app, &ada, source, sql).await;
            let number = data["execution_id"].clone();
            answers.push(data.to_string());
            for path in ["", "/result", "/result?format=csv", "/result?format=jsonl", "/result?format=arrow"] {
                answers.push(get(&app, &ada, &format!("queries/{number}{path}")).await.text);
            }
            answers.push(get(&app, &ada, &format!("prompts/executions/{number}/events")).await.text);
            let simulated = of_source(json!({ "attributes": { "role": "owner" }, "sql": sql }));
            answers.push(post(&app, &ada, "policies/simulate", &simulated).await.text);
        }
        for text in ["How many emp are there?", "Which emp has the highest ssn?", "Show the notes of emp", "number of emp per note"] {
            let question = of_source(json!({ "prompt_text": text, "save_prompt": true, "name": text }));
            answers.push(post(&app, &ada, "prompts/execute", &question).await.text);
        }
        let templates = get(&app, &ada, "prompt-templates?is_system_template=true").await;
        for item in templates.field("data.items").as_array().unwrap() {
            let body = of_source(json!({ "parameters": { "table": "emp", "column": "note" } }));
            answers.push(post(&app, &ada, &format!("prompt-templates/{}/execute", item["id"]), &body).await.text);
        }
        answers.push(post(&app, &ada, &format!("data-sources/{source}/test"), &json!({ "test_query": "select note from emp where id = 2" })).await.text);
        for path in ["", "/schemas", "/health"] {
            answers.push(get(&app, &ada, &format!("data-sources/{source}{path}")).await.text);
        }
        for path in ["queries", "prompts", "prompts/history", "prompts/analytics/query-analytics", "policies", "data-sources/metrics"] {
            answers.push(get(&app, &ada, path).await.text);
        }
        for item in get(&app, &ada, "policies").await.field("data.items").as_array().unwrap() {
            answers.push(get(&app, &ada, &format!("policies/{}/evaluations", item["id"])).await.text);
        }

        let hidden = HIDDEN.map(str::to_owned);
        for answer in &answers {
            assert_eq!(leak(answer, &hidden), None, "in an answer: {answer}");
        }
        assert!(answers.iter().any(|answer| answer.contains("fine")), "what is visible is answered");
        for line in log.lines() {
            assert_eq!(leak(&line, &hidden), None, "in the log: {line}");
        }
        let metrics = handle.render();
        assert!(metrics.contains("queries") || metrics.contains("http"), "{metrics}");
        assert_eq!(leak(&metrics, &hidden), None, "{metrics}");
        let bytes: Vec<String> = hidden.iter().map(|text| hexadecimal(text)).collect();
        for (place, text) in everything_stored(&app).await {
            assert_eq!(leak(&text, &hidden), None, "in {place}: {text}");
            assert_eq!(leak(&text, &bytes), None, "in the bytes of {place}: {text}");
        }
    }
}

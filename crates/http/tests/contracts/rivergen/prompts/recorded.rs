//! What policies decide for real queries is on record: whose query it was, which, from where, and what came of it, also of one that was refused.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Engine, Person, TestApp, eventually, on_both_engines};

use super::governed::{employees, run};
use super::script::{get, post};
use crate::rivergen::data_sources::wire::{ADA, Server, member, owner, signed_in, start};
use crate::rivergen::wire::IP;

/// A policy for viewers alone.
async fn for_viewers(app: &TestApp, who: &Person, kind: &str, rule: &str, config: Value) -> i64 {
    let body = json!({
        "name": kind, "type": kind, "role_ids": [4],
        "rules": [{ "rule_name": "r", "rule_type": rule, "rule_config": config }],
    });
    post(app, who, "policies", &body).await.assert_status(201).field("data.id").as_i64().unwrap()
}

/// What a policy decided for a query, once it is written: when the query is over.
async fn decided(app: &TestApp, who: &Person, policy: i64, query: &Value) -> Vec<Value> {
    let path = format!("policies/{policy}/evaluations?query_id={query}");
    eventually("the record of the query", async || {
        let found: Answer = get(app, who, &path).await;
        let items = found.assert_status(200).field("data.items").as_array()?.clone();
        (!items.is_empty()).then_some(items)
    })
    .await
}

on_both_engines! {
    async fn a_record_names_the_query_and_the_client(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let policies = get(&app, &ada, "policies").await;
        let all = policies.field("data.items").as_array().unwrap();
        let masks = all.iter().find(|one| one["type"] == "data_masking").unwrap()["id"].as_i64().unwrap();
        let first = run(&app, &ada, source, "select ssn from emp").await["execution_id"].clone();
        let second = run(&app, &ada, source, "select id, ssn from emp where id = 1").await["execution_id"].clone();
        for (query, rows) in [(&first, 2), (&second, 1)] {
            let items = decided(&app, &ada, masks, query).await;
            let [item] = items.as_slice() else { panic!("{items:?}") };
            assert_eq!((&item["query_id"], &item["ip_address"]), (query, &json!(IP)), "{item}");
            assert_eq!(item["evaluation_details"], json!({ "rows_returned": rows, "columns_masked": ["ssn"] }));
            assert_eq!(item["data_source_id"], json!(source), "{item}");
        }
        // A download is the same query once more.
        get(&app, &ada, &format!("queries/{first}/result")).await.assert_status(200);
        eventually("the record of the download", async || {
            (decided(&app, &ada, masks, &first).await.len() == 2).then_some(())
        })
        .await;
    }

    async fn a_query_that_is_denied_is_on_record_and_told_nothing(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let denial = for_viewers(&app, &ada, "access_control", "deny_access", json!({ "table": "emp" })).await;
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        let denied = run(&app, &vera, source, "select count(*) from EMP").await;
        let absent = run(&app, &vera, source, "select count(*) from EMQ").await;
        assert_eq!((&denied["status"], &denied["error_code"]), (&json!("failed"), &json!("unknown_relation")));
        let message = |data: &Value| data["error_message"].as_str().unwrap().to_lowercase().replace("emq", "emp");
        assert_eq!(message(&denied), message(&absent), "what is denied is as what is not there");
        let items = decided(&app, &ada, denial, &denied["execution_id"]).await;
        let [item] = items.as_slice() else { panic!("{items:?}") };
        assert_eq!((&item["evaluation_result"], &item["action_taken"]), (&json!("denied"), &json!("blocked")), "{item}");
        assert_eq!(item["evaluation_details"], json!({ "reason": "deny_rule" }));
        assert_eq!(item["user_id"].to_string(), vera.user_id);
        // It was the only one, and is not theirs to see.
        let path = format!("policies/{denial}/evaluations");
        assert_eq!(get(&app, &ada, &path).await.field("data.pagination.total_items"), &json!(1));
        get(&app, &vera, &path).await.assert_error(403, "FORBIDDEN");
        assert_eq!(run(&app, &ada, source, "select id from emp").await["status"], "completed");
    }

    async fn a_query_beyond_the_number_that_a_policy_allows_is_on_record(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let few = for_viewers(&app, &ada, "query_limit", "limit_query", json!({ "max_queries_per_hour": 1 })).await;
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        for (result, details) in [
            ("modified", json!({ "rows_returned": 2, "limit_applied": 1, "max_queries_per_hour": 1 })),
            ("denied", json!({ "reason": "queries_used_up", "limit_applied": 1, "max_queries_per_hour": 1 })),
        ] {
            let query = run(&app, &vera, source, "select id from emp").await["execution_id"].clone();
            let items = decided(&app, &ada, few, &query).await;
            let [item] = items.as_slice() else { panic!("{items:?}") };
            assert_eq!((&item["evaluation_result"], &item["action_taken"]), (&json!(result), &json!("limited_query")), "{item}");
            assert_eq!(item["evaluation_details"], details);
        }
    }

    // A lookup for each column of text; they are one record of the table.
    async fn values_that_a_question_looks_up_are_on_record(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let policies = get(&app, &ada, "policies").await;
        let all = policies.field("data.items").as_array().unwrap();
        let filter = all.iter().find(|one| one["type"] == "row_level_security").unwrap()["id"].as_i64().unwrap();
        let body = json!({ "prompt_text": "How many emp are there?", "selected_data_source_ids": [source] });
        let data = post(&app, &ada, "prompts/execute", &body).await.assert_status(200).field("data").clone();
        assert_eq!(data["status"], "completed", "{data}");
        let items = eventually("the records of the question", async || {
            let items = decided(&app, &ada, filter, &data["execution_id"]).await;
            (items.len() == 2).then_some(items)
        })
        .await;
        let (lookups, answers): (Vec<Value>, Vec<Value>) =
            items.into_iter().partition(|item| item["metadata"]["purpose"] == "value_lookup");
        let ([lookup], [answer]) = (lookups.as_slice(), answers.as_slice()) else { panic!("{lookups:?} {answers:?}") };
        assert!(answer["metadata"].get("purpose").is_none(), "{answer}");
        assert_eq!(
            (&lookup["evaluation_result"], &lookup["action_taken"], &lookup["ip_address"]),
            (&json!("modified"), &json!("filtered_rows"), &json!(IP)),
            "{lookup}"
        );
        assert!(lookup["metadata"]["pushed_down"].as_array().unwrap().len() > 1, "{lookup}");
    }
}

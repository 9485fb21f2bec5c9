//! What policies decided is written down by whoever runs queries, and read by administrators.

use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::{Map, json};
use tidegate_kernel::Fault;
use tidegate_policies::evaluations::Evaluated;
use tidegate_policy::{Column, ColumnType, Relation};
use tidegate_testkit::{Engine, TestApp, on_both_engines, on_one_engine};

use super::wire::{ADA, asker, created, filter, get, number_of, owner, policy, post, start};

fn customers() -> Relation {
    Relation {
        source: 7,
        schema: Some("public".to_owned()),
        table: "customers".to_owned(),
        columns: vec![Column::new("user_region", ColumnType::Text), Column::new("ssn", ColumnType::Text)],
    }
}

/// Has the owner read the customers, as an engine does.
async fn read(app: &TestApp, rows: u64) {
    read_from(app, rows, "192.0.2.1").await.unwrap();
}

/// The same from an address.
async fn read_from(app: &TestApp, rows: u64, ip: &str) -> Result<(), Fault> {
    read_while(app, rows, ip, async {}).await
}

/// The same, where something happens before it is written down.
async fn read_while(
    app: &TestApp,
    rows: u64,
    ip: &str,
    meanwhile: impl Future<Output = ()>,
) -> Result<(), Fault> {
    let asker = asker(app, ADA).await;
    let governance = app.policies().governance(&asker).await.unwrap().unwrap();
    let relation = customers();
    let resolved = governance.resolve(&relation, None, app.kernel().now());
    let evaluated = Evaluated {
        organization: asker.organization,
        user: governance.subject().user.unwrap(),
        query: Some(12),
        relation: &relation,
        resolved: &resolved,
        rows_returned: Some(rows),
        is_refused: false,
        rows_filtered: None,
        ip,
        metadata: Map::new(),
    };
    meanwhile.await;
    let records = app.policies().records_of(&[evaluated]).unwrap();
    app.policies().write_records(records).await
}

on_both_engines! {
    async fn what_was_decided_is_listed_newest_first_and_filtered(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let mut masks = policy("Masks", "data_masking", "mask_column", json!({ "table": "customers", "column": "ssn", "masking_type": "null" }));
        masks["role_ids"] = json!([1]);
        let number = created(&app, &ada, &masks).await;
        read(&app, 3).await;
        let between = app.kernel().now().plus(Duration::from_secs(30)).iso_seconds();
        app.advance(Duration::from_secs(60));
        read(&app, 4).await;
        let answer = get(&app, &ada, &format!("/{number}/evaluations")).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Policy evaluations retrieved successfully");
        let items = answer.field("data.items").as_array().unwrap();
        assert_eq!(items.len(), 2);
        let newest = &items[0];
        assert_eq!(newest["evaluation_details"], json!({ "rows_returned": 4, "columns_masked": ["ssn"] }));
        assert_eq!((&newest["evaluation_result"], &newest["action_taken"]), (&json!("modified"), &json!("masked_data")));
        assert_eq!((&newest["policy_id"], &newest["policy_version"], &newest["data_source_id"]), (&json!(number), &json!(1), &json!(7)));
        assert_eq!((&newest["query_id"], &newest["relation"], &newest["ip_address"]), (&json!(12), &json!("public.customers"), &json!("192.0.2.1")));
        assert_eq!(newest["user_id"], json!(number_of(&app, ADA).await));
        assert!(newest["policy_rule_id"].is_i64() && newest["dataset_id"].is_null());
        let pagination = json!({
            "page": 1, "page_size": 20, "total_items": 2, "total_pages": 1, "has_next": false, "has_previous": false,
        });
        assert_eq!(answer.field("data.pagination"), &pagination);
        let count = async |query: &str| {
            let answer = get(&app, &ada, &format!("/{number}/evaluations?{query}")).await;
            answer.assert_status(200).field("data.items").as_array().unwrap().len()
        };
        assert_eq!(count(&format!("end_date={between}")).await, 1);
        assert_eq!(count(&format!("start_date={between}")).await, 1);
        assert_eq!(count(&format!("start_date={between}&end_date={between}")).await, 0);
        assert_eq!(count("start_date=2999-01-01T00:00:00%2B02:00").await, 0);
        assert_eq!(count("user_id=999999").await, 0);
        assert_eq!(count("query_id=12").await, 2);
        assert_eq!(count("page=2&page_size=1").await, 1);
        for query in ["start_date=yesterday", "end_date=2024-01-01", "start_date=2024-01-01T00:00:00"] {
            get(&app, &ada, &format!("/{number}/evaluations?{query}")).await.assert_error(400, "BAD_REQUEST");
        }
        for query in ["user_id=x", "page=0"] {
            get(&app, &ada, &format!("/{number}/evaluations?{query}")).await.assert_error(422, "VALIDATION_ERROR");
        }
        get(&app, &ada, "/999999/evaluations").await.assert_error(404, "NOT_FOUND");
    }

    async fn what_many_queries_leave_at_once_is_all_there(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let mut body = filter("P");
        body["role_ids"] = json!([1]);
        let number = created(&app, &ada, &body).await;
        // PostgreSQL keeps no such text, and all rows of a statement with it.
        let refused = read_from(&app, 1, "\0");
        let (_, refused) = join(join_all((0..40).map(|rows| read(&app, rows))), refused).await;
        let kept = if engine == Engine::Postgres { 40 } else { 41 };
        assert_eq!(refused.is_ok(), kept == 41);
        let answer = get(&app, &ada, &format!("/{number}/evaluations?page_size=100")).await;
        assert_eq!(answer.assert_status(200).field("data.pagination.total_items"), &json!(kept));
    }

    async fn a_denial_says_why_and_names_the_attributes_that_were_read(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let mut body = filter("P");
        body["role_ids"] = json!([1]);
        let number = created(&app, &ada, &body).await;
        read(&app, 0).await;
        let answer = get(&app, &ada, &format!("/{number}/evaluations")).await;
        let item = answer.field("data.items.0");
        assert_eq!((&item["evaluation_result"], &item["action_taken"]), (&json!("denied"), &json!("blocked")), "{item}");
        assert_eq!(item["evaluation_details"]["reason"], "missing_attribute");
        let rule = json!({ "rules": [{ "rule_name": "R", "rule_type": "filter_rows", "rule_config": { "table": "customers", "condition": "user_region = current_user_email" } }] });
        crate::rivergen::policies::wire::patch(&app, &ada, &format!("/{number}"), &rule).await.assert_status(200);
        read(&app, 1).await;
        let answer = get(&app, &ada, &format!("/{number}/evaluations")).await;
        let item = answer.field("data.items.0");
        assert_eq!((&item["action_taken"], &item["policy_version"]), (&json!("filtered_rows"), &json!(2)), "{item}");
        assert_eq!(item["evaluation_details"]["attributes"], json!({ "email": ADA }));
    }

    async fn what_was_decided_is_kept_for_a_while(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let mut body = policy("P", "query_limit", "limit_query", json!({ "max_rows": 5 }));
        body["role_ids"] = json!([1]);
        post(&app, &ada, "", &body).await.assert_status(201);
        read(&app, 1).await;
        assert_eq!(app.sql_count("select count(*) from policy_evaluations where details like '%\"max_rows\":5%'").await, 1);
        app.advance(Duration::from_secs(31 * 24 * 3_600));
        while app.kernel().prune().await.unwrap() > 0 {}
        assert_eq!(app.sql_count("select count(*) from policy_evaluations").await, 0);
    }
}

on_one_engine! { Engine::Postgres;
    async fn what_was_decided_is_kept_though_the_server_has_closed_all_connections(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let mut body = policy("P", "query_limit", "limit_query", json!({ "max_rows": 5 }));
        body["role_ids"] = json!([1]);
        post(&app, &ada, "", &body).await.assert_status(201);
        let closed = async {
            let all = "select count(pg_terminate_backend(pid, 60000)) from pg_stat_activity
                       where datname = current_database() and pid <> pg_backend_pid()";
            assert!(app.sql_count(all).await > 0);
        };
        read_while(&app, 1, "192.0.2.1", closed).await.unwrap();
        assert_eq!(app.sql_count("select count(*) from policy_evaluations").await, 1);
    }
}

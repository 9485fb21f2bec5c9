//! What somebody would see.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use super::wire::{
    ADA, Server, created, employees, member, number_of, owner, policy, post, signed_in, start,
};

/// A policy of everybody.
fn everybodys(kind: &str, rule: &str, config: Value) -> Value {
    let mut body = policy(rule, kind, rule, config);
    body["role_ids"] = json!([1, 2, 3, 4, 5]);
    body
}

/// An access token of somebody's, with those scopes alone.
async fn token(app: &TestApp, who: &Person, scopes: &[&str]) -> String {
    let body = json!({ "name": scopes.join(" "), "scopes": scopes, "expires_in_days": 30 });
    let made = app.post("/api/v1/auth/tokens").bearer(&who.access_token).json(&body).send().await;
    made.assert_status(201).text_at("data.token")
}

on_both_engines! {
    async fn a_table_is_shown_as_its_policies_leave_it(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        created(&app, &ada, &everybodys("row_level_security", "filter_rows", json!({ "table": "emp", "condition": "region = current_user_region" }))).await;
        let masks = created(&app, &ada, &everybodys("data_masking", "mask_column", json!({ "table": "emp", "column": "ssn", "masking_type": "partial", "visible_suffix": 4 }))).await;
        created(&app, &ada, &everybodys("access_control", "deny_access", json!({ "table": "emp", "columns": ["salary"] }))).await;
        created(&app, &ada, &everybodys("query_limit", "limit_query", json!({ "max_rows": 50 }))).await;
        let body = json!({ "attributes": { "role": "viewer", "region": "O'Brien" }, "data_source_id": source, "table": "emp" });
        let answer = post(&app, &ada, "/simulate", &body).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Policies simulated successfully");
        let data = answer.field("data");
        assert_eq!((&data["decision"], &data["row_filter"]), (&json!("allowed"), &json!("\"region\" = 'O''Brien'")), "{data}");
        assert_eq!((&data["hidden_columns"], &data["limits"]["max_rows"]), (&json!(["salary"]), &json!(50)));
        assert_eq!(data["attributes"], json!({ "region": "O'Brien" }));
        let columns = data["columns"].as_array().unwrap();
        let ssn = columns.iter().find(|column| column["name"] == "ssn").unwrap();
        assert_eq!((&ssn["mask"], &ssn["policy_id"], &ssn["type"]), (&json!("partial"), &json!(masks), &json!("text")));
        assert!(columns.iter().all(|column| column["name"] != "salary"));
        assert_eq!(data["policies"].as_array().unwrap().len(), 4);
        assert!(data["rows"].is_null());
        // The owner has no region: a missing attribute denies.
        let mine = json!({ "user_id": number_of(&app, ADA).await, "data_source_id": source, "table": "emp" });
        let denied = post(&app, &ada, "/simulate", &mine).await;
        let data = denied.assert_status(200).field("data");
        assert_eq!((&data["decision"], &data["reason"], &data["reason_detail"]), (&json!("denied"), &json!("missing_attribute"), &json!("region")));
        assert_eq!((&data["columns"], &data["row_filter"]), (&json!([]), &Value::Null));
        let noted = app
            .database
            .sql_texts("select cast(metadata as text) from audit_events where action = 'policy.simulated'")
            .await;
        assert_eq!(noted.len(), 2);
        assert!(noted.iter().all(|text| !text.contains("O'Brien")), "{noted:?}");
        // A rule that allows it on another day: it is a Monday.
        let tuesdays = json!({ "table": "emp", "time_window": { "start": "09:00", "end": "17:00", "days": ["tue"] } });
        let allows = created(&app, &ada, &everybodys("access_control", "allow_access", tuesdays)).await;
        let denied = post(&app, &ada, "/simulate", &body).await;
        let data = denied.assert_status(200).field("data");
        assert_eq!((&data["decision"], &data["reason"]), (&json!("denied"), &json!("not_allowed_now")), "{data}");
        let when = data["reason_detail"].as_str().unwrap();
        assert!(when.starts_with("allowed tue 09:00-17:00 UTC; it is mon "), "{when}");
        let had_parts = data["policies"].as_array().unwrap();
        assert!(had_parts.iter().any(|part| part["policy_id"] == json!(allows) && part["effect"] == "denied"), "{data}");
    }

    async fn a_query_shows_what_that_person_would_be_shown(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let filters = created(&app, &ada, &everybodys("row_level_security", "filter_rows", json!({ "table": "emp", "condition": "region = current_user_region" }))).await;
        created(&app, &ada, &everybodys("data_masking", "mask_column", json!({ "table": "emp", "column": "ssn", "masking_type": "partial", "visible_suffix": 4 }))).await;
        created(&app, &ada, &everybodys("access_control", "deny_access", json!({ "table": "emp", "columns": ["salary"] }))).await;
        created(&app, &ada, &everybodys("query_limit", "limit_query", json!({ "max_queries_per_hour": 1 }))).await;
        let body = |region: &str, sql: &str| json!({
            "attributes": { "role": "viewer", "region": region }, "sql": sql, "selected_data_source_ids": [source],
        });
        // More often than the limit allows: a simulation counts against nobody's.
        for (region, expected) in [
            ("EU", json!([{ "id": 1, "ssn": "*******6789" }])),
            ("US", json!([{ "id": 2, "ssn": "******" }])),
            ("O'Brien", json!([])),
        ] {
            let answer = post(&app, &ada, "/simulate", &body(region, "select id, ssn from emp order by id")).await;
            let data = answer.assert_status(200).field("data");
            assert_eq!((&data["rows"], &data["decision"]), (&expected, &Value::Null), "{region}");
            assert_eq!((&data["columns"][0]["name"], &data["columns"][1]["type"]), (&json!("id"), &json!("string")));
            // Also where no row is left: which policies had a part in that.
            let parts = data["policies"].as_array().unwrap();
            assert!(parts.iter().any(|part| part["policy_id"] == json!(filters) && part["effect"] == "filtered_rows"), "{data}");
            assert_eq!((parts.len(), &data["attributes"]), (4, &json!({ "region": region })), "{data}");
        }
        for (sql, code) in [
            ("select salary from emp", "unknown_column"),
            ("select 1 from nowhere", "unknown_relation"),
            ("drop table emp", "statement_not_allowed"),
            ("select", "syntax"),
        ] {
            let failed = post(&app, &ada, "/simulate", &body("EU", sql)).await;
            failed.assert_error(400, "BAD_REQUEST");
            assert!(failed.text_at("error.message").to_lowercase().starts_with(&format!("{code}: ")), "{sql}: {}", failed.text);
            assert!(!failed.text.contains("hidden"), "{}", failed.text);
        }
        // The owner has no region: to them the table is not there.
        let mine = json!({ "user_id": number_of(&app, ADA).await, "sql": "select id from emp", "selected_data_source_ids": [source] });
        let denied = post(&app, &ada, "/simulate", &mine).await;
        denied.assert_error(400, "BAD_REQUEST");
        assert!(denied.text_at("error.message").to_lowercase().starts_with("unknown_relation: "), "{}", denied.text);
        let why = format!("policy {filters} denies sales.public.emp: missing_attribute (region).");
        assert!(denied.text_at("error.message").contains(&why), "{}", denied.text);
        assert_eq!(app.sql_count("select count(*) from prompt_executions").await, 0);
        assert_eq!(app.sql_count("select count(*) from policy_evaluations").await, 0);
        assert_eq!(app.sql_count("select count(*) from audit_events where action = 'policy.simulated'").await, 8);
        let noted = app
            .database
            .sql_texts("select cast(metadata as text) from audit_events where action = 'policy.simulated'")
            .await;
        assert!(noted.iter().any(|text| text.contains("select 1 from nowhere")), "{noted:?}");
    }

    async fn a_token_for_policies_alone_is_shown_no_rows(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let table = json!({ "attributes": {}, "data_source_id": source, "table": "emp" });
        let query = json!({ "attributes": {}, "sql": "select id from emp", "selected_data_source_ids": [source] });
        for (scopes, status) in [(vec!["policies:write"], 403), (vec!["policies:write", "data:query"], 403), (vec!["policies:write", "data:query", "data:read"], 200)] {
            let person = Person { access_token: token(&app, &ada, &scopes).await, ..ada.clone() };
            post(&app, &person, "/simulate", &table).await.assert_status(200);
            let answer = post(&app, &person, "/simulate", &query).await;
            assert_eq!(answer.status, status, "{scopes:?}: {}", answer.text);
            assert_eq!(answer.text.contains("\"rows\":[{\"id\":1}"), status == 200, "{}", answer.text);
        }
    }

    async fn a_member_is_simulated_in_workspaces_of_theirs(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let viewer = "viewer@example.com";
        member(&app, &manager, viewer, "demo_viewer").await;
        let source = employees(&app, &ada, &server).await;
        created(&app, &ada, &everybodys("row_level_security", "filter_rows", json!({ "table": "emp", "condition": "id = current_user_workspace_id" }))).await;
        let workspace = app.sql_count("select min(number) from workspaces").await;
        let body = json!({ "user_id": number_of(&app, viewer).await, "workspace_id": workspace, "data_source_id": source, "table": "emp" });
        let answer = post(&app, &ada, "/simulate", &body).await;
        assert_eq!(answer.assert_status(200).field("data.row_filter"), &json!(format!("\"id\" = {workspace}")));
        // A workspace that is not theirs counts as none, as for their own queries. What changes behind its back the server knows two seconds later.
        app.sql("delete from membership_workspaces where membership_id in (select id from memberships where role = 'viewer')").await;
        app.advance(Duration::from_secs(3));
        let answer = post(&app, &ada, "/simulate", &body).await;
        assert_eq!(answer.assert_status(200).text_at("data.reason_detail"), "workspace_id");
    }

    async fn of_tables_that_differ_in_capitals_the_one_that_is_written_so_is_shown(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        server.database.sql("create table \"EMP\" (code text)").await;
        let source = employees(&app, &ada, &server).await;
        for (table, column) in [("EMP", "code"), ("emp", "id")] {
            let body = json!({ "attributes": {}, "data_source_id": source, "table": table });
            let answer = post(&app, &ada, "/simulate", &body).await;
            assert_eq!(answer.assert_status(200).field("data.columns.0.name"), &json!(column));
        }
    }

    async fn nobody_and_nothing_are_not_simulated(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let (ada, eve) = (owner(&app, ADA).await, owner(&app, "eve@example.com").await);
        let source = employees(&app, &ada, &server).await;
        let me = number_of(&app, ADA).await;
        for body in [
            json!({}),
            json!({ "user_id": me }),
            json!({ "attributes": {}, "data_source_id": source }),
            json!({ "user_id": me, "attributes": {}, "data_source_id": source, "table": "emp" }),
            json!({ "attributes": {}, "data_source_id": source, "table": "emp", "sql": "select 1" }),
            json!({ "attributes": {}, "sql": "select 1" }),
            json!([]),
        ] {
            post(&app, &ada, "/simulate", &body).await.assert_error(400, "BAD_REQUEST");
        }
        for body in [
            json!({ "user_id": 999_999, "data_source_id": source, "table": "emp" }),
            json!({ "attributes": {}, "data_source_id": 999_999, "table": "emp" }),
            json!({ "attributes": {}, "data_source_id": source, "table": "nowhere" }),
            json!({ "attributes": {}, "data_source_id": source, "schema": "nowhere", "table": "emp" }),
            json!({ "attributes": {}, "workspace_id": 999_999, "data_source_id": source, "table": "emp" }),
            json!({ "attributes": {}, "sql": "select 1", "selected_data_source_ids": [source, 999_999] }),
        ] {
            post(&app, &ada, "/simulate", &body).await.assert_error(404, "NOT_FOUND");
        }
        for body in [json!({ "user_id": "x" }), json!({ "attributes": [] }),
            json!({ "attributes": { "a\u{0}": 1 } }),
            json!({ "attributes": { "a": ["\u{0}"] } }),
            json!({ "attributes": { "x".repeat(129): 1 } }), json!({ "sql": "x".repeat(32_769) }), json!({ "table": 5 })] {
            post(&app, &ada, "/simulate", &body).await.assert_error(422, "VALIDATION_ERROR");
        }
        let mine = json!({ "user_id": me, "data_source_id": source, "table": "emp" });
        post(&app, &eve, "/simulate", &mine).await.assert_error(404, "NOT_FOUND");
    }
}

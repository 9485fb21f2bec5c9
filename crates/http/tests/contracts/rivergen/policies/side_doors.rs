//! Nothing of a data source is given around its policies.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_testkit::{Answer, Engine, Person, TestApp, on_both_engines};

use super::wire::{ADA, Server, created, employees, member, policy, signed_in, start};
use crate::rivergen::data_sources::wire::created as created_source;

const SOURCES: &str = "/api/v1/data-sources";

async fn ask(app: &TestApp, who: &Person, source: i64, query: Option<&str>) -> Answer {
    let request =
        app.client().request(Method::POST, &format!("{SOURCES}/{source}/test")).bearer(&who.access_token);
    match query {
        Some(query) => request.json(&json!({ "test_query": query })).send().await,
        None => request.send().await,
    }
}

async fn file_url(app: &TestApp, who: &Person, source: i64) -> Answer {
    app.get(&format!("{SOURCES}/{source}/file-url")).bearer(&who.access_token).send().await
}

async fn change(app: &TestApp, who: &Person, source: i64, body: &Value) -> Answer {
    let request = app.client().request(Method::PATCH, &format!("{SOURCES}/{source}"));
    request.bearer(&who.access_token).json(body).send().await
}

/// The number of rows that is told of the employees.
async fn row_count(app: &TestApp, who: &Person, source: i64, schema: &str) -> Value {
    let path = format!("{SOURCES}/{source}/schemas?schema_name={schema}&table_name=emp");
    let answer = app.get(&path).bearer(&who.access_token).send().await;
    let schemas = answer.assert_status(200).field("data.schemas").as_array().unwrap().clone();
    let mut tables = schemas.iter().flat_map(|schema| schema["tables"].as_array().unwrap());
    tables.next().unwrap()["row_count"].clone()
}

on_both_engines! {
    async fn who_is_under_a_policy_asks_by_queries_alone(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let developer = member(&app, &manager, "developer@example.com", "backend").await;
        let source = employees(&app, &ada, &server).await;
        server.database.sql("analyze emp").await;
        let refresh = format!("{SOURCES}/{source}/discover-schema?refresh=true");
        app.post(&refresh).bearer(&ada.access_token).send().await.assert_status(200);
        let schema = server.schema.as_str();
        let raw = format!("select ssn from {schema}.emp where id = 1");
        let raw = raw.as_str();
        let before = ask(&app, &developer, source, Some(raw)).await;
        assert_eq!(before.field("data.test_query_result"), &json!("123-45-6789"), "{}", before.text);
        assert_eq!(row_count(&app, &developer, source, schema).await, json!(2));
        file_url(&app, &developer, source).await.assert_error(404, "NOT_FOUND");
        let mut body = policy("Masks", "data_masking", "mask_column", json!({ "table": "emp", "column": "ssn", "masking_type": "null" }));
        body["role_ids"] = json!([3]);
        created(&app, &ada, &body).await;
        let after = ask(&app, &developer, source, Some(raw)).await;
        after.assert_error(403, "FORBIDDEN");
        assert!(!after.text.contains("123-45-6789"));
        file_url(&app, &developer, source).await.assert_error(403, "FORBIDDEN");
        assert_eq!(row_count(&app, &developer, source, schema).await, Value::Null);
        // Whether it answers is nothing of its rows.
        let plain = ask(&app, &developer, source, None).await;
        assert_eq!((plain.field("data.status"), plain.field("data.test_query_result")), (&json!("active"), &Value::Null));
        assert_ne!(ask(&app, &ada, source, None).await.field("data.test_query_result"), &Value::Null);
        // Others are not under it.
        assert_eq!(ask(&app, &ada, source, Some(raw)).await.field("data.test_query_result"), &json!("123-45-6789"));
        assert_eq!(row_count(&app, &ada, source, schema).await, json!(2));
    }

    async fn what_a_discovery_counts_is_what_the_caller_may_know_of(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let developer = member(&app, &manager, "developer@example.com", "backend").await;
        let source = employees(&app, &ada, &server).await;
        let counts = async |who: &Person, refresh: bool| {
            let path = format!("{SOURCES}/{source}/discover-schema?refresh={refresh}");
            let answer = app.post(&path).bearer(&who.access_token).send().await;
            let data = answer.assert_status(200).field("data");
            (data["total_tables"].as_i64().unwrap(), data["total_columns"].as_i64().unwrap())
        };
        let (tables, columns) = counts(&developer, true).await;
        assert_eq!(counts(&ada, false).await, (tables, columns));
        for config in [json!({ "table": "people" }), json!({ "table": "emp", "columns": ["ssn"] })] {
            let mut body = policy("Denied", "access_control", "deny_access", config);
            body["role_ids"] = json!([3]);
            created(&app, &ada, &body).await;
        }
        for refresh in [false, true] {
            // The table has one column.
            assert_eq!(counts(&developer, refresh).await, (tables - 1, columns - 2), "{refresh}");
            assert_eq!(counts(&ada, refresh).await, (tables, columns), "{refresh}");
        }
    }

    // Rules are about names: whom they govern does not choose the tables and columns that have them.
    async fn who_is_under_a_policy_does_not_change_how_its_source_is_read(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let developer = member(&app, &manager, "developer@example.com", "backend").await;
        let (source, own) = (employees(&app, &ada, &server).await, created_source(&app, &developer, &server.body()).await);
        let schema = json!({ "schema_name": server.schema });
        let mut body = policy("Masks", "data_masking", "mask_column", json!({ "table": "emp", "column": "ssn", "masking_type": "null" }));
        body["role_ids"] = json!([3]);
        let number = created(&app, &ada, &body).await;
        for body in [
            schema.clone(),
            json!({ "database_name": "elsewhere" }),
            json!({ "metadata": { "unfit_values": "null" } }),
        ] {
            let refused = change(&app, &developer, source, &body).await;
            refused.assert_error(403, "FORBIDDEN");
            assert!(refused.text.contains("olicies decide"), "{}", refused.text);
        }
        let harmless = json!({ "description": "Mine to describe", "query_timeout": 60, "metadata": { "note": "hers" } });
        change(&app, &developer, source, &harmless).await.assert_status(200);
        // Who made a source knows what opens it; administrators write policies; others are under none.
        change(&app, &developer, own, &schema).await.assert_status(200);
        change(&app, &ada, source, &schema).await.assert_status(200);
        let delete = app.client().request(Method::DELETE, &format!("/api/v1/policies/{number}"));
        delete.bearer(&ada.access_token).send().await.assert_status(200);
        change(&app, &developer, source, &json!({ "schema_name": null })).await.assert_status(200);
    }
}

//! The twelve endpoints, one after the other.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_domain::quota::Quotas;
use tidegate_testkit::{Engine, on_both_engines};

use super::wire::{
    ADA, Server, builder, create, created, delete, get, owner, patch, post, request, run_jobs, start, status,
};

on_both_engines! {
    async fn a_data_source_is_made_tested_and_discovered(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let answer = create(&app, &ada, &server.body()).await;
        answer.assert_status(201);
        assert_eq!(answer.text_at("message"), "Data source created successfully");
        let data = answer.field("data");
        for (name, value) in server.body().as_object().unwrap() {
            if name != "credentials" {
                assert_eq!(data[name], *value, "{name}");
            }
        }
        assert_eq!((data["status"].as_str(), data["slug"].as_str()), (Some("testing"), Some("sales")));
        assert_eq!((&data["connection_pool_size"], &data["query_timeout"]), (&json!(5), &json!(300)));
        assert_eq!((&data["schema_auto_refresh"], &data["schema_refresh_interval"]), (&json!(true), &json!(3_600)));
        assert!(data["last_tested_at"].is_null() && data["workspace_id"].is_i64() && data["organization_id"].is_i64());
        assert!(!answer.text.contains(&server.password()) && data.get("credentials").is_none(), "{}", answer.text);
        let number = data["id"].as_i64().unwrap();
        // Nothing has been asked of it yet.
        let never = get(&app, &ada, &format!("/{number}/schemas")).await;
        never.assert_status(200);
        assert_eq!((never.field("data.last_discovered_at"), never.field("data.schemas")), (&Value::Null, &json!([])));
        run_jobs(&app).await;
        let found = get(&app, &ada, &format!("/{number}")).await;
        assert_eq!(found.assert_status(200).text_at("data.status"), "active", "{}", found.text);
        assert_eq!(found.text_at("message"), "Data source retrieved successfully");
        assert!(found.field("data.last_successful_connection_at").is_string());
        assert!(found.field("data.schema_discovered_at").is_string());
    }

    async fn what_was_discovered_is_read_from_the_cache(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        let path = format!("/{number}/schemas?schema_name={}", server.schema);
        let answer = get(&app, &ada, &path).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Schema information retrieved successfully");
        assert_eq!(answer.field("data.schemas").as_array().unwrap().len(), 1, "{}", answer.text);
        let tables = answer.field("data.schemas.0.tables").as_array().unwrap();
        let names: Vec<&str> = tables.iter().map(|table| table["table_name"].as_str().unwrap()).collect();
        assert_eq!(names, ["orders", "people", "recent"]);
        assert_eq!((&tables[0]["table_type"], &tables[2]["table_type"]), (&json!("BASE TABLE"), &json!("VIEW")));
        let columns = &tables[0]["columns"];
        assert_eq!(columns[0]["column_name"], "id");
        assert_eq!((&columns[0]["is_primary_key"], &columns[0]["is_nullable"]), (&json!(true), &json!(false)));
        assert_eq!((&columns[0]["column_position"], &columns[2]["column_name"]), (&json!(1), &json!("; drop")));
        assert!(columns[1]["default_value"].as_str().unwrap().contains("none"), "{columns}");
        // One table, without columns.
        let answer = get(&app, &ada, &format!("{path}&table_name=people&include_columns=false")).await;
        let tables = answer.assert_status(200).field("data.schemas.0.tables");
        assert_eq!(tables.as_array().unwrap().len(), 1);
        assert!(tables[0].get("columns").is_none(), "{tables}");
        let answer = get(&app, &ada, &format!("/{number}/schemas?schema_name=nowhere")).await;
        assert_eq!(answer.assert_status(200).field("data.schemas"), &json!([]));
        get(&app, &ada, &format!("/{number}/schemas?include_columns=maybe")).await
            .assert_error(422, "VALIDATION_ERROR");
    }

    async fn a_discovery_counts_and_refreshes_one_schema_or_all(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        let path = format!("/{number}/discover-schema?schema_name={}", server.schema);
        let cached = post(&app, &ada, &path).await;
        assert_eq!(cached.assert_status(200).text_at("message"), "Schema discovery completed");
        let expected = json!([{ "schema_name": server.schema, "tables_count": 2, "views_count": 1 }]);
        assert_eq!(cached.field("data.schemas_discovered"), &expected);
        assert_eq!((cached.field("data.total_tables"), cached.field("data.total_columns")), (&json!(2), &json!(5)));
        assert!(cached.field("data.discovery_duration_ms").is_i64());
        let all = get(&app, &ada, &format!("/{number}/schemas?include_columns=false")).await;
        let schemas = all.field("data.schemas").as_array().unwrap().len();
        server.database.sql("create table late (id bigint)").await;
        assert_eq!(post(&app, &ada, &path).await.field("data.total_tables"), &json!(2), "the cache answers");
        app.advance(std::time::Duration::from_secs(10));
        let refreshed = post(&app, &ada, &format!("{path}&refresh=true")).await;
        assert_eq!(refreshed.assert_status(200).field("data.total_tables"), &json!(3));
        // The other schemas are as they were.
        let all = get(&app, &ada, &format!("/{number}/schemas?include_columns=false")).await;
        assert_eq!(all.field("data.schemas").as_array().unwrap().len(), schemas);
        post(&app, &ada, &format!("/{number}/discover-schema?refresh=perhaps")).await
            .assert_error(422, "VALIDATION_ERROR");
    }

    // To know one schema is not to know all.
    async fn a_discovery_of_one_schema_is_not_taken_for_all(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        let one = post(&app, &ada, &format!("/{number}/discover-schema?schema_name={}", server.schema)).await;
        assert_eq!(one.assert_status(200).field("data.total_tables"), &json!(2), "{}", one.text);
        let known = get(&app, &ada, &format!("/{number}/schemas?include_columns=false")).await;
        assert_eq!(known.field("data.schemas").as_array().unwrap().len(), 1);
        assert!(known.field("data.last_discovered_at").is_string(), "{}", known.text);
        assert!(get(&app, &ada, &format!("/{number}")).await.field("data.schema_discovered_at").is_null());
        // The first success discovers the rest, as ever.
        server.database.sql("create table late (id bigint)").await;
        run_jobs(&app).await;
        assert!(get(&app, &ada, &format!("/{number}")).await.field("data.schema_discovered_at").is_string());
        let all = post(&app, &ada, &format!("/{number}/discover-schema")).await;
        let found = all.field("data.schemas_discovered").as_array().unwrap();
        let found = found.iter().find(|schema| schema["schema_name"] == json!(server.schema)).unwrap();
        assert_eq!(found["tables_count"], json!(3), "{}", all.text);
    }

    async fn a_schema_that_is_not_there_or_has_nothing_is_told_by_test_and_discovery(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        server.database.sql("create schema bare").await;
        let number = created(&app, &ada, &server.body_with(json!({ "schema_name": "publik" }))).await;
        let (test, discover) = (format!("/{number}/test"), format!("/{number}/discover-schema?refresh=true"));
        run_jobs(&app).await;
        let said = "There is no schema \"publik\" that the user of the data source may use.";
        let shown = get(&app, &ada, &format!("/{number}")).await;
        assert_eq!(shown.assert_status(200).field("data.status"), &json!("failed"), "{}", shown.text);
        // What there is, whoever tests it is told; why it failed reads also whom policies keep names from.
        assert_eq!(shown.text_at("data.failure_reason"), said);
        let tested = post(&app, &ada, &test).await;
        assert_eq!(tested.assert_status(200).field("data.error_code"), &json!("CONNECTION_ERROR"), "{}", tested.text);
        let told = tested.text_at("data.error_message");
        assert!(told.starts_with(&format!("{said} There are: public")) && told.contains("bare"), "{told}");
        let refused = post(&app, &ada, &discover).await;
        refused.assert_error(400, "BAD_REQUEST");
        assert_eq!(refused.text_at("error.message"), format!("CONNECTION_ERROR: {said}"));
        // One that is there, and has no table.
        let change = |schema: &str| json!({ "schema_name": schema });
        patch(&app, &ada, &format!("/{number}"), &change("bare")).await.assert_status(200);
        run_jobs(&app).await;
        let found = post(&app, &ada, &discover).await;
        assert_eq!(found.assert_status(200).field("data.total_tables"), &json!(0), "{}", found.text);
        let warned = found.text_at("data.warnings.0");
        assert!(warned.starts_with("No table or view was found that the user of the data source may read."), "{warned}");
        assert!(warned.contains("schema_name \"bare\". There are: bare, public"), "{warned}");
        let tested = post(&app, &ada, &test).await;
        assert_eq!(tested.assert_status(200).field("data.status"), &json!("active"), "{}", tested.text);
        assert!(tested.text_at("data.warnings.0").ends_with("schema_name \"bare\"."), "{}", tested.text);
        // Nothing is said where there is something, unless another schema is asked for.
        patch(&app, &ada, &format!("/{number}"), &change("public")).await.assert_status(200);
        run_jobs(&app).await;
        for answer in [post(&app, &ada, &test).await, post(&app, &ada, &discover).await] {
            assert_eq!(answer.assert_status(200).field("data").get("warnings"), None, "{}", answer.text);
        }
        let other = post(&app, &ada, &format!("{discover}&schema_name=nowhere")).await;
        assert!(other.assert_status(200).text_at("data.warnings.0").contains("schema_name \"nowhere\""), "{}", other.text);
    }

    async fn a_test_answers_200_in_both_outcomes_and_is_noted(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        let path = format!("/{number}/test");
        let answer = post(&app, &ada, &path).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Connection test completed");
        let data = answer.field("data");
        assert_eq!((&data["status"], &data["connection_successful"]), (&json!("active"), &json!(true)), "{data}");
        assert_eq!((&data["test_query_result"], &data["ssh_tunnel_established"]), (&json!("1"), &json!(false)));
        assert!(data["database_version"].as_str().unwrap().starts_with("PostgreSQL "), "{data}");
        assert!(data["response_time_ms"].is_i64() && data["error_code"].is_null() && data["error_message"].is_null());
        let asked = request(&app, &ada, Method::POST, &path)
            .json(&json!({ "test_query": "select 40 + 2", "timeout_seconds": 5 })).send().await;
        assert_eq!(asked.field("data.test_query_result"), &json!("42"), "{}", asked.text);
        // What is no read is not run.
        for query in ["drop table people", "select 1; drop table people", "delete from people", "select pg_sleep(60)"] {
            let refused = request(&app, &ada, Method::POST, &path)
                .json(&json!({ "test_query": query })).send().await;
            refused.assert_status(200);
            assert_eq!(refused.field("data.error_code"), &json!("QUERY_ERROR"), "{query}: {}", refused.text);
            assert_eq!(refused.field("data.connection_successful"), &json!(false), "{query}: {}", refused.text);
        }
        // Nor what the server itself refuses, or never ends. None of it says anything of the source.
        let endless = "select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b";
        for (query, code) in [("select no_such_column", "QUERY_ERROR"), (endless, "TIMEOUT_ERROR")] {
            let failed = request(&app, &ada, Method::POST, &path)
                .json(&json!({ "test_query": query, "timeout_seconds": 1 })).send().await;
            assert_eq!(failed.assert_status(200).field("data.error_code"), &json!(code), "{query}: {}", failed.text);
        }
        let shown = get(&app, &ada, &format!("/{number}")).await;
        assert_eq!((shown.field("data.status"), shown.field("data.failure_count")), (&json!("active"), &json!(0)));
        assert!(shown.field("data.failure_reason").is_null(), "{}", shown.text);
        let health = get(&app, &ada, &format!("/{number}/health")).await;
        assert_eq!(health.field("data.uptime_percentage"), &json!(100.0), "{}", health.text);
        let wrong = json!({ "credentials": { "password": "wrong" }, "name": "Wrong" });
        let other = created(&app, &ada, &server.body_with(wrong)).await;
        let failed = post(&app, &ada, &format!("/{other}/test")).await;
        let data = failed.assert_status(200).field("data");
        assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!("AUTHENTICATION_ERROR")), "{data}");
        assert!(data["response_time_ms"].is_null() && data["test_query_result"].is_null());
        assert!(data["database_version"].is_null() && data["error_message"].is_string());
        assert_eq!(status(&app, &ada, other).await, "failed");
        let shown = get(&app, &ada, &format!("/{other}")).await;
        assert_eq!(shown.field("data.failure_count"), &json!(1));
        assert!(shown.field("data.failure_reason").is_string() && shown.field("data.last_failed_connection_at").is_string());
    }

    async fn health_tells_how_a_source_did(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        let path = format!("/{number}/health");
        let none = get(&app, &ada, &path).await;
        assert_eq!(none.assert_status(200).text_at("message"), "Health status retrieved successfully");
        assert_eq!((none.field("data.last_health_check"), none.field("data.health_history")), (&Value::Null, &json!([])));
        assert!(none.field("data.avg_response_time_ms").is_null());
        for _ in 0..3 {
            app.advance(std::time::Duration::from_secs(1));
            post(&app, &ada, &format!("/{number}/test")).await.assert_status(200);
        }
        patch(&app, &ada, &format!("/{number}/credentials"), &json!({ "password": "wrong" })).await.assert_status(200);
        app.advance(std::time::Duration::from_secs(1));
        post(&app, &ada, &format!("/{number}/test")).await.assert_status(200);
        let answer = get(&app, &ada, &format!("{path}?limit=2")).await;
        let data = answer.assert_status(200).field("data");
        assert_eq!((&data["current_status"], &data["uptime_percentage"]), (&json!("failed"), &json!(75.0)), "{data}");
        assert_eq!(data["health_history"].as_array().unwrap().len(), 2);
        assert_eq!(data["health_history"][0]["status"], "failed");
        assert_eq!(data["health_history"][1]["status"], "active");
        assert_eq!(data["last_health_check"], data["health_history"][0]);
        assert_eq!(data["failure_count_24h"], 1);
        assert!(data["last_failure_at"].is_string() && data["max_response_time_ms"].is_i64());
        for query in ["limit=0", "limit=101", "limit=x"] {
            get(&app, &ada, &format!("{path}?{query}")).await.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn metrics_are_true_for_the_organization(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let (ada, bob) = (owner(&app, ADA).await, owner(&app, "bob@example.com").await);
        let number = created(&app, &ada, &server.body()).await;
        post(&app, &ada, &format!("/{number}/test")).await.assert_status(200);
        post(&app, &ada, &format!("/{number}/test")).await.assert_status(200);
        let answer = get(&app, &ada, "/metrics").await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Connection metrics retrieved successfully");
        let data = answer.field("data");
        assert_eq!((&data["queries"]["total_executed"], &data["queries"]["successful"]), (&json!(2), &json!(2)), "{data}");
        assert_eq!((&data["queries"]["failed"], &data["pools"]["postgresql"]["size"]), (&json!(0), &json!(5)));
        let cache = &data["cache"];
        assert_eq!((&cache["connection_managers"], &cache["cache_misses"]), (&json!(1), &json!(1)), "{data}");
        assert!(cache["cache_hits"].as_i64().unwrap() >= 1);
        assert_eq!((&data["connection_limits"]["max_connections"], &data["ssh_tunnels"]["total"]), (&json!(100), &json!(0)));
        let breaker = json!({ "state": "closed", "failure_count": 0, "last_failure": null });
        assert_eq!(data["circuit_breakers"]["postgresql_sales"], breaker);
        let others = get(&app, &bob, "/metrics").await;
        assert_eq!(others.field("data.queries.total_executed"), &json!(0));
        assert_eq!((others.field("data.circuit_breakers"), others.field("data.pools")), (&json!({}), &json!({})));
    }

    async fn lists_are_filtered_searched_sorted_and_paged(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        for (name, description) in [("Bees", "100% honey"), ("ants", "Large"), ("Crabs", "sea_side"), ("Bees", "More")] {
            app.advance(std::time::Duration::from_secs(1));
            created(&app, &ada, &server.body_with(json!({ "name": name, "description": description }))).await;
        }
        let names = |answer: &tidegate_testkit::Answer| -> Vec<String> {
            let items = answer.assert_status(200).field("data.items").as_array().unwrap().clone();
            items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        let answer = get(&app, &ada, "").await;
        assert_eq!(names(&answer), ["Bees", "Crabs", "ants", "Bees"]);
        assert_eq!(answer.text_at("message"), "Data sources retrieved successfully");
        let pagination = json!({
            "page": 1, "page_size": 20, "total_items": 4, "total_pages": 1, "has_next": false, "has_previous": false,
        });
        assert_eq!(answer.field("data.pagination"), &pagination);
        let slugs: Vec<&str> =
            answer.field("data.items").as_array().unwrap().iter().map(|item| item["slug"].as_str().unwrap()).collect();
        assert_eq!(slugs, ["bees_2", "crabs", "ants", "bees"], "unique in their workspace");
        assert!(answer.field("data.items.0.connection_timeout").is_null(), "a list has the fields of a list");
        for (query, expected) in [
            ("?sort_by=name&sort_order=asc", &["ants", "Bees", "Bees", "Crabs"][..]),
            ("?sort_by=id&sort_order=asc", &["Bees", "ants", "Crabs", "Bees"]),
            ("?page=2&page_size=3", &["Bees"]),
            ("?page=9&page_size=3", &[]),
            ("?search=BEE", &["Bees", "Bees"]),
            ("?search=100%25", &["Bees"]),
            ("?search=_", &["Crabs"]),
            ("?type=postgresql&status_filter=testing", &["Bees", "Crabs", "ants", "Bees"]),
            ("?type=mysql", &[]),
            ("?status_filter=failed", &[]),
            ("?workspace_id=999999", &[]),
        ] {
            assert_eq!(names(&get(&app, &ada, query).await), expected, "{query}");
        }
        let page = get(&app, &ada, "?page=2&page_size=1").await;
        let field = |name: &str| page.field(&format!("data.pagination.{name}")).clone();
        assert_eq!((field("has_next"), field("has_previous"), field("total_pages")), (json!(true), json!(true), json!(4)));
        assert_eq!(get(&app, &ada, "?page_size=1000").await.field("data.pagination.page_size"), &json!(100));
        // Any field of the items.
        for field in answer.field("data.items.0").as_object().unwrap().keys() {
            assert_eq!(names(&get(&app, &ada, &format!("?sort_by={field}")).await).len(), 4, "{field}");
        }
        get(&app, &ada, "?sort_by=credentials").await.assert_error(400, "BAD_REQUEST");
        for query in ["page=0", "page_size=0", "page=x", "sort_order=up", "status_filter=gone", "workspace_id=x"] {
            get(&app, &ada, &format!("?{query}")).await.assert_error(422, "VALIDATION_ERROR");
        }
        let unknown = get(&app, &ada, "?type=postgres").await;
        unknown.assert_error(422, "VALIDATION_ERROR");
        assert!(unknown.text.contains("postgresql"), "{}", unknown.text);
    }

    async fn only_what_is_named_is_changed(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        let path = format!("/{number}");
        app.advance(std::time::Duration::from_secs(5));
        let answer = patch(&app, &ada, &path, &json!({ "description": null, "tags": ["a", "a", "b"] })).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Data source updated successfully");
        let data = answer.field("data");
        assert_eq!((&data["description"], &data["tags"], &data["name"]), (&Value::Null, &json!(["a", "b"]), &json!("Sales")));
        // It is reached as before: what is known of it stays.
        assert_eq!(data["status"], "active");
        assert!(data["schema_discovered_at"].is_string() && data["updated_by_user_id"].is_i64());
        assert_ne!(data["updated_at"], data["created_at"]);
        let renamed = patch(&app, &ada, &path, &json!({ "name": "Shop (EU)" })).await;
        assert_eq!(renamed.assert_status(200).text_at("data.slug"), "shop_eu");
        let moved = patch(&app, &ada, &path, &json!({ "connection_timeout": 4 })).await;
        let data = moved.assert_status(200).field("data");
        assert_eq!((&data["status"], &data["schema_discovered_at"]), (&json!("testing"), &Value::Null), "{data}");
        assert_eq!(get(&app, &ada, &format!("{path}/schemas")).await.field("data.schemas"), &json!([]));
        assert_eq!(get(&app, &ada, "/metrics").await.field("data.cache.connection_managers"), &json!(0));
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
        for fields in [
            json!({ "name": null }), json!({ "name": " " }), json!({ "connection_pool_size": null }),
            json!({ "connection_pool_size": 0 }), json!({ "port": 70_000 }), json!({ "tags": null }),
            json!({ "schema_refresh_interval": 1 }), json!({ "host": 7 }),
        ] {
            patch(&app, &ada, &path, &fields).await.assert_error(422, "VALIDATION_ERROR");
        }
        let missing = patch(&app, &ada, &path, &json!({ "host": null })).await;
        missing.assert_error(400, "BAD_REQUEST");
        assert!(missing.text.contains("host"), "{}", missing.text);
        // What cannot be changed here is not.
        let kept = patch(&app, &ada, &path, &json!({ "type": "mysql", "status": "inactive", "workspace_id": 9 })).await;
        assert_eq!(kept.assert_status(200).text_at("data.type"), "postgresql");
    }

    async fn a_deleted_source_is_gone_for_everybody(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        let answer = delete(&app, &ada, &format!("/{number}")).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Data source deleted successfully");
        assert_eq!(answer.field("data.data_source_id"), &json!(number));
        assert!(answer.field("data.deleted_at").is_string());
        for rest in ["", "/health", "/schemas", "/file-url"] {
            get(&app, &ada, &format!("/{number}{rest}")).await.assert_error(404, "NOT_FOUND");
        }
        for rest in ["/test", "/discover-schema"] {
            post(&app, &ada, &format!("/{number}{rest}")).await.assert_error(404, "NOT_FOUND");
        }
        delete(&app, &ada, &format!("/{number}")).await.assert_error(404, "NOT_FOUND");
        assert_eq!(app.sql_count("select count(*) from data_sources").await, 1, "it can be restored");
        let call = tidegate_kernel::Call::from_cli(tidegate_http::contract_profiles().of_installation());
        app.catalog().restore_data_source(&call, number).await.unwrap();
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
        delete(&app, &ada, &format!("/{number}")).await.assert_status(200);
        // Its slug is free again.
        let other = created(&app, &ada, &server.body()).await;
        delete(&app, &ada, &format!("/{other}?force=true")).await.assert_status(200);
        assert_eq!(app.sql_count("select count(*) from data_sources").await, 1);
        delete(&app, &ada, &format!("/{other}?force=maybe")).await.assert_error(422, "VALIDATION_ERROR");
        app.advance(std::time::Duration::from_secs(31 * 24 * 3_600));
        app.kernel().prune().await.unwrap();
        for table in ["data_sources", "data_source_checks", "data_schemas"] {
            assert_eq!(app.sql_count(&format!("select count(*) from {table}")).await, 0, "{table}");
        }
        while app.kernel().prune().await.unwrap() > 0 {}
        assert_eq!(app.sql_count("select count(*) from data_tables").await, 0);
        assert_eq!(app.sql_count("select count(*) from data_generations").await, 0);
    }

    async fn an_organization_has_as_many_as_it_may(engine: Engine) {
        let app = builder(engine)
            .settings(|settings| settings.quotas = Quotas { data_sources: 1, ..Quotas::default() })
            .start()
            .await;
        let (server, ada) = (Server::start().await, owner(&app, ADA).await);
        let number = created(&app, &ada, &server.body()).await;
        create(&app, &ada, &server.body()).await.assert_error(409, "CONFLICT");
        assert_eq!(app.sql_count("select count(*) from data_sources").await, 1);
        delete(&app, &ada, &format!("/{number}")).await.assert_status(200);
        created(&app, &ada, &server.body()).await;
    }
}

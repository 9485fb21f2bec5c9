//! Data sources of files, and where these are.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Engine, TestApp, TestDatabase, TestFiles, on_both_engines};

use super::wire::{ADA, Server, builder, create, created, get, owner, post, run_jobs, status};

const OBJECT: &str = "organizations/1/files/1/shop.sqlite";

/// An application with one object: an SQLite database with a table.
async fn with_file(engine: Engine) -> (TestApp, Arc<TestFiles>, TestDatabase) {
    let database = TestDatabase::empty(Engine::Sqlite).await;
    // Opening it makes the file.
    database.open().await.close().await;
    database.sql("create table goods (id integer primary key, name text not null)").await;
    let files = Arc::new(TestFiles::default());
    files.add(OBJECT, &database.sqlite_file());
    let app = builder(engine).source_files(files.clone()).start().await;
    (app, files, database)
}

fn body() -> serde_json::Value {
    json!({ "name": "Goods", "type": "sqlite", "file_path": OBJECT })
}

// Its time ends while the store of this server is held up: that says nothing of the source.
#[tokio::test]
async fn a_discovery_whose_tables_cannot_be_written_is_no_failure_of_its_source() {
    let (app, _files, _database) = with_file(Engine::Postgres).await;
    let ada = owner(&app, ADA).await;
    let body = json!({ "name": "Goods", "type": "sqlite", "file_path": OBJECT, "query_timeout": 2, "max_retries": 0 });
    let number = created(&app, &ada, &body).await;
    run_jobs(&app).await;
    assert_eq!(status(&app, &ada, number).await, "active");
    let held = app.database.hold("lock table data_generations in exclusive mode").await;
    let failed = post(&app, &ada, &format!("/{number}/discover-schema?refresh=true")).await;
    drop(held);
    failed.assert_status(500);
    assert_eq!(status(&app, &ada, number).await, "active");
}

on_both_engines! {
    async fn a_file_is_tested_discovered_and_fetched(engine: Engine) {
        let (app, files, _database) = with_file(engine).await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &body()).await;
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
        let schemas = get(&app, &ada, &format!("/{number}/schemas")).await;
        assert_eq!(schemas.field("data.schemas.0.tables.0.table_name"), &json!("goods"), "{}", schemas.text);
        let answer = get(&app, &ada, &format!("/{number}/file-url")).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Presigned URL generated successfully");
        assert_eq!(answer.field("data.expires_in_seconds"), &json!(3_600));
        assert!(answer.text_at("data.url").contains("shop.sqlite?expires=3600"));
        let answer = get(&app, &ada, &format!("/{number}/file-url?expires_seconds=604800")).await;
        assert_eq!(answer.assert_status(200).field("data.expires_in_seconds"), &json!(604_800));
        for query in ["0", "604801", "x", "-1"] {
            let answer = get(&app, &ada, &format!("/{number}/file-url?expires_seconds={query}")).await;
            answer.assert_error(422, "VALIDATION_ERROR");
        }
        // The file goes: the source says so, and its URL is no longer made.
        files.remove(OBJECT);
        assert_eq!(get(&app, &ada, &format!("/{number}/health")).await.field("data.current_status"), &json!("failed"));
        get(&app, &ada, &format!("/{number}/file-url")).await.assert_error(404, "NOT_FOUND");
        let tested = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(tested.assert_status(200).field("data.error_code"), &json!("FILE_NOT_FOUND"));
    }

    // The server has a copy open, from which it answers.
    async fn a_store_that_does_not_answer_has_lost_no_file(engine: Engine) {
        let (app, files, _database) = with_file(engine).await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &body()).await;
        run_jobs(&app).await;
        files.hang();
        let tested = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(tested.assert_status(200).field("data.status"), &json!("active"), "{}", tested.text);
        post(&app, &ada, &format!("/{number}/discover-schema?refresh=true")).await.assert_status(200);
        assert_eq!(status(&app, &ada, number).await, "active");
    }

    async fn a_schema_of_a_source_that_has_none_is_told_to_be_read_by_nobody(engine: Engine) {
        let (app, _files, _database) = with_file(engine).await;
        let ada = owner(&app, ADA).await;
        let mut body = body();
        body["schema_name"] = json!("shop");
        let number = created(&app, &ada, &body).await;
        let tested = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(tested.assert_status(200).field("data.status"), &json!("active"), "{}", tested.text);
        let told = "schema_name \"shop\" is not read: data sources of type sqlite have no such setting.";
        assert_eq!(tested.field("data.warnings"), &json!([told]));
    }

    async fn a_file_is_not_asked_again_for_a_table_that_it_has_not(engine: Engine) {
        let (app, _files, _database) = with_file(engine).await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &body()).await;
        run_jobs(&app).await;
        let discovered_at = async || {
            let found = post(&app, &ada, &format!("/{number}/discover-schema")).await;
            found.assert_status(200).text_at("data.discovered_at")
        };
        let before = discovered_at().await;
        app.advance(Duration::from_secs(61));
        let asked = json!({ "sql": "select id from late", "selected_data_source_ids": [number] });
        let request = app.post("/api/v1/queries/execute").bearer(&ada.access_token);
        let unknown = request.json(&asked).send().await;
        assert_eq!(unknown.assert_status(200).text_at("data.error_code"), "unknown_relation");
        assert!(!unknown.text_at("data.error_message").contains("known of"), "{}", unknown.text);
        assert_eq!(discovered_at().await, before);
    }

    async fn a_file_of_another_tenant_and_one_that_is_not_there_are_the_same(engine: Engine) {
        let (app, _files, _database) = with_file(engine).await;
        let (ada, eve) = (owner(&app, ADA).await, owner(&app, "eve@example.com").await);
        created(&app, &ada, &body()).await;
        let stolen = create(&app, &eve, &body()).await;
        stolen.assert_error(404, "NOT_FOUND");
        for path in ["nowhere.csv", "../../etc/passwd", "/etc/passwd", "organizations/1/files/1/../1/shop.sqlite"] {
            let answer = create(&app, &eve, &json!({ "name": "x", "type": "csv", "file_path": path })).await;
            answer.assert_error(404, "NOT_FOUND");
            assert_eq!(answer.field("error.message"), stolen.field("error.message"));
        }
    }

    async fn ten_thousand_tables_are_discovered_and_read(engine: Engine) {
        let (app, _files, database) = with_file(engine).await;
        let tables: String =
            (0..10_000).map(|number| format!("create table t{number} (id integer primary key, name text);")).collect();
        database.sql(&format!("begin; {tables} commit")).await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &body()).await;
        let found = post(&app, &ada, &format!("/{number}/discover-schema")).await;
        assert_eq!(found.assert_status(200).field("data.total_tables"), &json!(10_001), "{}", found.text);
        assert_eq!(found.field("data.total_columns"), &json!(20_002));
        let answer = get(&app, &ada, &format!("/{number}/schemas")).await;
        let tables = answer.assert_status(200).field("data.schemas.0.tables").as_array().unwrap();
        assert_eq!((tables.len(), tables[10_000]["columns"].as_array().unwrap().len()), (10_001, 2));
        assert_eq!(answer.text_at("message"), "Schema information retrieved successfully");
        let one = get(&app, &ada, &format!("/{number}/schemas?table_name=t7777")).await;
        assert_eq!(one.field("data.schemas.0.tables").as_array().unwrap().len(), 1);
    }

    // The last table is of a module that is not there: those before it are found, and some are written, when the discovery fails.
    async fn of_a_discovery_that_fails_half_way_nothing_is_seen_and_nothing_stays(engine: Engine) {
        let (app, _files, database) = with_file(engine).await;
        let tables: String = (0..300).map(|number| format!("create table t{number} (id integer);")).collect();
        database.sql(&format!("{tables} pragma wal_checkpoint(truncate)")).await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &body()).await;
        run_jobs(&app).await;
        let written = "select count(*) from data_tables";
        assert_eq!(app.sql_count(written).await, 301);
        database
            .sql(
                "pragma writable_schema = on;
                 insert into sqlite_schema (type, name, tbl_name, rootpage, sql)
                    values ('table', 'zz', 'zz', 0, 'create virtual table zz using absent(x)');
                 pragma wal_checkpoint(truncate)",
            )
            .await;
        let failed = post(&app, &ada, &format!("/{number}/discover-schema?refresh=true")).await;
        failed.assert_error(400, "BAD_REQUEST");
        assert_eq!(app.sql_count(written).await, 301 + 256, "they are written as they are found");
        let answer = get(&app, &ada, &format!("/{number}/schemas")).await;
        let seen = answer.assert_status(200).field("data.schemas.0.tables").as_array().unwrap();
        assert_eq!(seen.len(), 301);
        app.advance(Duration::from_secs(901));
        while app.kernel().prune().await.unwrap() > 0 {}
        assert_eq!(app.sql_count(written).await, 301);
        assert_eq!(app.sql_count("select count(*) from data_generations").await, 1);
    }

    async fn a_source_without_a_file_has_no_url(engine: Engine) {
        let (app, _files, _database) = with_file(engine).await;
        let (server, ada) = (Server::start().await, owner(&app, ADA).await);
        let number = created(&app, &ada, &server.body()).await;
        get(&app, &ada, &format!("/{number}/file-url")).await.assert_error(404, "NOT_FOUND");
        // Nor does a database have one, or a file a connection string.
        let answer = create(&app, &ada, &server.body_with(json!({ "file_path": OBJECT }))).await;
        answer.assert_error(400, "BAD_REQUEST");
        let string = json!({ "name": "x", "type": "sqlite", "file_path": OBJECT, "connection_string": "sqlite:///etc/x" });
        create(&app, &ada, &string).await.assert_error(400, "BAD_REQUEST");
    }
}

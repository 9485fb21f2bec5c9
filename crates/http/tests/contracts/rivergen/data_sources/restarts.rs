//! What becomes of work whose node ends in the middle of it: the job's lease runs out, and another node does it. And what is told while the
//! store cannot be read.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tidegate_testkit::{Engine, Node, TestApp, on_both_engines};

use super::wire::{ADA, PATH, Server, created, owner, request, run_jobs, start};

const TESTS: &str = "data source tests";
const DISCOVERIES: &str = "data source discoveries";
const SCHEDULE: &str = "data source schedule";

/// As if the node that does it had just died: the job is begun, and its lease has not run out.
async fn cut_off(app: &TestApp, job: &str) {
    let now = app.now().micros();
    let begun = app
        .sql(&format!(
            "update jobs set state = 'running', claims = claims + 1, attempts = attempts + 1,
                leased_until = {now} + 30000000 where name = '{job}'"
        ))
        .await;
    assert_eq!(begun, 1, "{job}");
}

/// Does what is due of a job on a node; how many there were.
async fn done_by(node: &Node, job: &str) -> usize {
    let outcomes = node.kernel.run_job(job).await.unwrap();
    for outcome in &outcomes {
        assert_eq!(*outcome, Ok(()), "{job}");
    }
    outcomes.len()
}

/// The tables that everybody sees, past the tokens: these stories take longer than one lives.
async fn tables(app: &TestApp, server: &Server) -> Vec<String> {
    let schema = &server.schema;
    app.database
        .sql_texts(&format!(
            "select t.name from data_tables t join data_schemas s
                on s.generation_id = t.generation_id and s.name = t.schema_name
             where t.schema_name = '{schema}' order by t.name"
        ))
        .await
}

on_both_engines! {
    // Half of the tables are written when the node dies. Nobody sees them, another node discovers all, and the half is removed.
    async fn a_discovery_that_was_cut_off_is_made_by_another_node(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        created(&app, &ada, &server.body()).await;
        app.kernel().run_job(TESTS).await.unwrap();
        cut_off(&app, DISCOVERIES).await;
        let (half, now) = (app.database.sql_uuid(uuid::Uuid::from_u128(7)), app.now().micros());
        app.sql(&format!(
            "insert into data_generations (id, source_id, created_at) select {half}, id, {now} from data_sources;
             insert into data_tables (generation_id, schema_name, place, name, kind, columns)
                values ({half}, '{}', 0, 'half', 'BASE TABLE', '[]')",
            server.schema
        ))
        .await;
        let other = app.another_node().await;
        assert_eq!(done_by(&other, DISCOVERIES).await, 0, "its node may still be at it");
        assert_eq!(tables(&app, &server).await, Vec::<String>::new());
        app.advance(Duration::from_secs(31));
        assert_eq!(done_by(&other, DISCOVERIES).await, 1);
        assert_eq!(tables(&app, &server).await, ["orders", "people", "recent"]);
        app.advance(Duration::from_secs(3_601));
        while app.kernel().prune().await.unwrap() > 0 {}
        assert_eq!(app.sql_count("select count(*) from data_tables where name = 'half'").await, 0);
        assert_eq!(app.sql_count("select count(*) from data_generations").await, 1);
        assert_eq!(tables(&app, &server).await.len(), 3);
    }

    // Until it is made, what was known is shown. Even if the job itself is lost, the source's time comes again.
    async fn a_refresh_that_was_cut_off_is_made_by_another_node(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        created(&app, &ada, &server.body_with(json!({ "schema_refresh_interval": 600 }))).await;
        run_jobs(&app).await;
        let other = app.another_node().await;
        server.database.sql("create table late (id bigint)").await;
        app.advance(Duration::from_secs(601));
        assert_eq!(done_by(&other, SCHEDULE).await, 1);
        cut_off(&app, DISCOVERIES).await;
        assert_eq!(done_by(&other, DISCOVERIES).await, 0);
        assert_eq!(tables(&app, &server).await, ["orders", "people", "recent"]);
        app.advance(Duration::from_secs(31));
        assert_eq!(done_by(&other, DISCOVERIES).await, 1);
        assert_eq!(tables(&app, &server).await, ["late", "orders", "people", "recent"]);

        server.database.sql("create table later (id bigint)").await;
        app.advance(Duration::from_secs(601));
        assert_eq!(done_by(&other, SCHEDULE).await, 1);
        app.sql(&format!("delete from jobs where name = '{DISCOVERIES}'")).await;
        app.advance(Duration::from_secs(301));
        assert_eq!(done_by(&other, SCHEDULE).await, 1);
        assert_eq!(done_by(&other, DISCOVERIES).await, 1);
        assert_eq!(tables(&app, &server).await, ["late", "later", "orders", "people", "recent"]);
    }

    // The node that hands on what is due, and then the one that checks a source's health.
    async fn a_check_that_was_cut_off_is_made_by_another_node(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        app.kernel().run_job(SCHEDULE).await.unwrap();
        let other = app.another_node().await;
        let checks = async || app.sql_count("select count(*) from data_source_checks").await;
        assert_eq!(checks().await, 1);
        app.advance(Duration::from_secs(300));
        cut_off(&app, SCHEDULE).await;
        assert_eq!(done_by(&other, SCHEDULE).await, 0);
        app.advance(Duration::from_secs(31));
        assert_eq!(done_by(&other, SCHEDULE).await, 1);
        cut_off(&app, TESTS).await;
        assert_eq!((done_by(&other, TESTS).await, checks().await), (0, 1));
        app.advance(Duration::from_secs(31));
        assert_eq!((done_by(&other, TESTS).await, checks().await), (1, 2));
        assert_eq!(app.sql_count("select count(*) from data_sources where status = 'active'").await, 1);
    }

    async fn what_the_store_cannot_do_is_told(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        app.sql("alter table data_sources rename to lost_sources").await;
        let one = format!("/{number}");
        for (method, path, body) in [
            (Method::GET, String::new(), None),
            (Method::POST, String::new(), Some(server.body())),
            (Method::GET, "/metrics".to_owned(), None),
            (Method::GET, one.clone(), None),
            (Method::PATCH, one.clone(), Some(json!({ "name": "x" }))),
            (Method::DELETE, one.clone(), None),
            (Method::PATCH, format!("{one}/credentials"), Some(json!({ "password": "x" }))),
            (Method::POST, format!("{one}/test"), None),
            (Method::POST, format!("{one}/discover-schema"), None),
            (Method::GET, format!("{one}/schemas"), None),
            (Method::GET, format!("{one}/health"), None),
            (Method::GET, format!("{one}/file-url"), None),
        ] {
            let asked = format!("{method} {PATH}{path}");
            let made = request(&app, &ada, method, &path);
            let made = if let Some(body) = body { made.json(&body) } else { made };
            let answer = made.send().await;
            assert_eq!((answer.status, answer.code()), (500, "INTERNAL_SERVER_ERROR"), "{asked}: {}", answer.text);
            assert!(!answer.text.contains("data_sources"), "{asked}: {}", answer.text);
        }
    }
}

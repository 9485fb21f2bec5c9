//! What happens to data sources by itself.

use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::wire::{
    ADA, Server, at_port, builder, created, get, owner, patch, post, run_jobs, server, start, status,
};

/// Hands on what is due, and does it.
async fn schedule(app: &TestApp) -> usize {
    for outcome in app.kernel().run_job("data source schedule").await.unwrap() {
        outcome.unwrap();
    }
    let tested = app.kernel().run_job("data source tests").await.unwrap().len();
    app.kernel().run_job("data source discoveries").await.unwrap();
    tested
}

async fn checks(app: &TestApp) -> i64 {
    app.sql_count("select count(*) from data_source_checks").await
}

on_both_engines! {
    async fn a_source_is_checked_every_five_minutes_by_one_node(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        assert_eq!((checks(&app).await, schedule(&app).await), (1, 0));
        let other = app.another_node().await;
        for round in 2..5 {
            app.advance(Duration::from_secs(300));
            // Both look; one of them does it.
            schedule(&app).await;
            other.kernel.run_job("data source schedule").await.unwrap();
            other.kernel.run_job("data source tests").await.unwrap();
            assert_eq!(checks(&app).await, round);
        }
        app.advance(Duration::from_secs(299));
        assert_eq!(schedule(&app).await, 0);
        // What is kept is kept for a week.
        app.advance(Duration::from_secs(8 * 24 * 3_600));
        app.kernel().prune().await.unwrap();
        assert_eq!(checks(&app).await, 0);
    }

    async fn tables_are_discovered_again_as_the_source_says(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body_with(json!({ "schema_refresh_interval": 600 }))).await;
        let fixed = server.body_with(json!({ "schema_auto_refresh": false, "name": "Fixed" }));
        let fixed = created(&app, &ada, &fixed).await;
        run_jobs(&app).await;
        server.database.sql("create table late (id bigint)").await;
        let tables = async |number: i64| {
            let path = format!("/{number}/schemas?schema_name={}", server.schema);
            get(&app, &ada, &path).await.field("data.schemas.0.tables").as_array().unwrap().len()
        };
        app.advance(Duration::from_secs(300));
        schedule(&app).await;
        assert_eq!((tables(number).await, tables(fixed).await), (3, 3));
        app.advance(Duration::from_secs(301));
        schedule(&app).await;
        schedule(&app).await;
        assert_eq!((tables(number).await, tables(fixed).await), (4, 3));
        // What was there before may be on its way to a client for a while, however old it is; then it is removed.
        app.sql("update data_generations set created_at = 0").await;
        while app.kernel().prune().await.unwrap() > 0 {}
        assert_eq!(app.sql_count("select count(*) from data_generations").await, 3);
        app.advance(Duration::from_secs(901));
        while app.kernel().prune().await.unwrap() > 0 {}
        assert_eq!(app.sql_count("select count(*) from data_generations").await, 2);
    }

    async fn a_source_that_keeps_failing_is_left_alone_for_a_minute(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let port = server(|stream| async move { drop(stream) }).await;
        let number = created(&app, &ada, &at_port(port)).await;
        let state = async || get(&app, &ada, "/metrics").await.field("data.circuit_breakers.postgresql_odd").clone();
        for failures in 1..=5 {
            assert_eq!(state().await["state"], "closed");
            post(&app, &ada, &format!("/{number}/test")).await.assert_status(200);
            assert_eq!(state().await["failure_count"], failures);
        }
        assert_eq!(state().await["state"], "open");
        assert!(state().await["last_failure"].is_string());
        let refused = post(&app, &ada, &format!("/{number}/discover-schema")).await;
        refused.assert_error(400, "BAD_REQUEST");
        assert_eq!(refused.header("retry-after"), "60");
        app.advance(Duration::from_secs(60));
        assert_eq!(state().await["state"], "half_open");
        // One attempt is let through, and fails: it is open again.
        let failed = post(&app, &ada, &format!("/{number}/discover-schema")).await;
        assert!(failed.text.contains("CONNECTION_ERROR"), "{}", failed.text);
        assert_eq!(state().await["state"], "open");
        assert_eq!(get(&app, &ada, "/metrics").await.field("data.queries.failed"), &json!(6));
    }

    async fn a_source_that_fails_for_a_week_is_inactive_until_somebody_tests_it(engine: Engine) {
        let (app, server) = (builder(engine).data(|data| data.give_up_after = 3).start().await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let wrong = server.body_with(json!({ "credentials": { "password": "wrong" } }));
        let number = created(&app, &ada, &wrong).await;
        run_jobs(&app).await;
        for expected in ["failed", "inactive"] {
            app.advance(Duration::from_secs(300));
            assert_eq!(schedule(&app).await, 1);
            assert_eq!(status(&app, &ada, number).await, expected);
        }
        app.advance(Duration::from_secs(300));
        assert_eq!(schedule(&app).await, 0);
        patch(&app, &ada, &format!("/{number}/credentials"), &json!({ "password": server.password() })).await;
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
    }

    async fn an_operator_pauses_a_source_and_lets_it_go_on(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        let call = tidegate_kernel::Call::from_cli(tidegate_http::contract_profiles().of_installation());
        app.catalog().pause_data_source(&call, number, true).await.unwrap();
        app.advance(Duration::from_secs(300));
        assert_eq!(schedule(&app).await, 0);
        post(&app, &ada, &format!("/{number}/test")).await.assert_status(200);
        assert_eq!(status(&app, &ada, number).await, "maintenance");
        app.catalog().pause_data_source(&call, number, false).await.unwrap();
        assert_eq!(status(&app, &ada, number).await, "testing");
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
    }

    // Its node dies in the middle of the test: the job's lease runs out, and another node does it.
    async fn a_test_that_was_cut_off_is_made_by_another_node(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        let now = app.now().micros();
        app.sql(&format!(
            "update jobs set state = 'running', claims = claims + 1, attempts = attempts + 1,
                leased_until = {now} + 30000000 where name = 'data source tests'"
        ))
        .await;
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "testing");
        app.advance(Duration::from_secs(31));
        let other = app.another_node().await;
        other.kernel.run_job("data source tests").await.unwrap();
        assert_eq!(status(&app, &ada, number).await, "active");
    }

    // Even if the job itself is lost, the next check finds the source.
    async fn nothing_stays_in_testing(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        app.sql("delete from jobs where name = 'data source tests'").await;
        app.advance(Duration::from_secs(301));
        schedule(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
    }

    async fn connections_that_nobody_uses_are_closed_here_and_on_other_nodes(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        let other = app.another_node().await;
        let open = async |client: &tidegate_testkit::Client| {
            let answer = client.get("/api/v1/data-sources/metrics").bearer(&ada.access_token).send().await;
            answer.field("data.cache.connection_managers").as_i64().unwrap()
        };
        let test = format!("/api/v1/data-sources/{number}/test");
        other.client().post(&test).bearer(&ada.access_token).send().await.assert_status(200);
        post(&app, &ada, &format!("/{number}/test")).await.assert_status(200);
        assert_eq!((open(&app.client()).await, open(&other.client()).await), (1, 1));
        other.catalog.close_unused().await.unwrap();
        assert_eq!(open(&other.client()).await, 1, "it is of the present version, and was used");
        patch(&app, &ada, &format!("/{number}"), &json!({ "query_timeout": 9 })).await.assert_status(200);
        assert_eq!(open(&app.client()).await, 0);
        other.catalog.close_unused().await.unwrap();
        assert_eq!(open(&other.client()).await, 0);
        post(&app, &ada, &format!("/{number}/test")).await.assert_status(200);
        app.advance(Duration::from_secs(300));
        app.catalog().close_unused().await.unwrap();
        assert_eq!(open(&app.client()).await, 0);
    }
}

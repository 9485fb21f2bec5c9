//! What a query reads of data sources is remembered for a moment, and forgotten when it changes. The clock stands still: nothing is too old.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use super::governed::{employees, run};
use super::script::{get, post};
use crate::rivergen::data_sources::wire::{
    self, ADA, Server, created, member, owner, run_jobs, signed_in, start,
};
use crate::statements::trip;
use crate::watch::Log;

const COUNT: &str = "select count(*) as n from emp";

/// The status of a query that is asked, or of its refusal.
async fn asked(app: &TestApp, who: &Person, source: i64) -> u16 {
    let body = json!({ "sql": COUNT, "selected_data_source_ids": [source] });
    post(app, who, "queries/execute", &body).await.status
}

async fn preview(app: &TestApp, who: &Person, source: i64, sql: &str) -> Value {
    run(app, who, source, sql).await["result_preview"].clone()
}

/// What a query adds to, in the order in which everybody does.
const SUMS: &str = "insert prompt_usage + insert prompt_organization_usage + insert prompt_source_usage + \
    insert prompt_organization_source_usage + insert prompt_question_usage + insert prompt_organization_question_usage";

on_both_engines! {
    async fn a_query_asked_again_costs_the_store_what_was_reviewed(engine: Engine) {
        let log = Log::listen();
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        app.catch_up().await;
        run(&app, &ada, source, COUNT).await;
        app.catch_up().await;
        let before = log.lines().len();
        assert_eq!(run(&app, &ada, source, COUNT).await["status"], "completed");
        let trips = log.lines()[before..].iter().filter_map(|line| trip(line)).collect::<Vec<_>>();
        // What policies decided is written with the end.
        let (ended, at_sqlite) = (
            format!("insert policy_evaluations + update prompt_executions + {SUMS}"),
            format!("insert policy_evaluations + {SUMS} + update prompt_executions"),
        );
        let expected = match engine {
            Engine::Sqlite => vec![
                "select sessions",
                "insert prompt_executions",
                at_sqlite.as_str(),
            ],
            Engine::Postgres => vec![
                "select sessions",
                "update organizations + insert prompt_executions",
                ended.as_str(),
            ],
        };
        assert_eq!(trips, expected);
    }

    async fn an_answer_is_what_is_kept_of_it(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        for (path, name, text) in [
            ("queries/execute", "sql", "select id, ssn from emp order by id"),
            ("queries/execute", "sql", "select id from nowhere"),
            ("prompts/execute", "prompt_text", "How many emp are there?"),
            ("prompts/execute", "prompt_text", "xyzzy"),
        ] {
            let body = json!({ name: text, "selected_data_source_ids": [source] });
            let answer = post(&app, &ada, path, &body).await;
            let data = answer.assert_status(200).field("data");
            let kept = get(&app, &ada, &format!("prompts/executions/{}", data["execution_id"])).await;
            assert_eq!(kept.assert_status(200).field("data"), data, "{text}");
        }
    }

    async fn tables_that_are_discovered_are_there_for_the_next_query(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        assert_eq!(preview(&app, &ada, source, COUNT).await, json!([{ "n": 2 }]));
        // What was discovered within a minute is not asked for again.
        app.advance(Duration::from_secs(61));
        server.database.sql("create table late (id bigint primary key); insert into late values (7)").await;
        let unknown = run(&app, &ada, source, "select id from late").await;
        assert_eq!(unknown["error_code"], "unknown_relation", "{unknown}");
        let told = unknown["error_message"].as_str().unwrap();
        let discover = format!("/{source}/discover-schema?refresh=true");
        let since = format!("Tables are known of sales ({source}) as of ");
        assert!(told.contains(&since) && told.contains(&format!("POST /api/v1/data-sources{discover}")), "{told}");
        // Whoever may not discover is told as before.
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        let unknown = run(&app, &vera, source, "select id from late").await;
        let told = unknown["error_message"].as_str().unwrap_or_else(|| panic!("{unknown}"));
        assert!(told.starts_with("There is no relation ") && !told.contains("known of"), "{told}");
        // The source is asked without being told so: what was known was answered.
        wire::post(&app, &ada, &format!("/{source}/discover-schema")).await.assert_status(200);
        assert_eq!(preview(&app, &ada, source, "select id from late").await, json!([{ "id": 7 }]));
        server.database.sql("drop table late").await;
        wire::post(&app, &ada, &discover).await.assert_status(200);
        let unknown = run(&app, &ada, source, "select id from late").await;
        assert_eq!(unknown["error_code"], "unknown_relation", "{unknown}");
    }

    // It may have been a slip, of whoever may query: others have what is known nevertheless.
    async fn a_relation_that_is_not_known_has_the_next_discovery_ask_once_and_fails_none(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        let path = format!("/{source}/discover-schema");
        let tables = async || {
            let found = wire::post(&app, &ada, &path).await;
            found.assert_status(200).field("data.total_tables").as_i64().unwrap()
        };
        let slip = async || {
            let unknown = run(&app, &vera, source, "select id from nowhere").await;
            assert_eq!(unknown["error_code"], "unknown_relation", "{unknown}");
        };
        let (minute, before) = (Duration::from_secs(61), tables().await);
        app.advance(minute);
        server.database.sql("create table one (id bigint primary key)").await;
        assert_eq!(tables().await, before, "what is known is answered");
        slip().await;
        assert_eq!(tables().await, before + 1, "a viewer's query is enough");
        server.database.sql("create table two (id bigint primary key)").await;
        slip().await;
        assert_eq!(tables().await, before + 1, "what was discovered just now is not doubted");
        // A discovery of one schema asks for all that was doubted, too.
        app.advance(minute);
        slip().await;
        let one = format!("{path}?refresh=true&schema_name={}", server.schema);
        wire::post(&app, &ada, &one).await.assert_status(200);
        server.database.sql("create table three (id bigint primary key)").await;
        assert_eq!(tables().await, before + 2, "what is known is answered");
        app.advance(minute);
        slip().await;
        let wrong = json!({ "password": "wrong" });
        wire::patch(&app, &ada, &format!("/{source}/credentials"), &wrong).await.assert_status(200);
        assert_eq!(tables().await, before + 2, "where the source cannot be asked, what is known is answered");
        wire::post(&app, &ada, &format!("{path}?refresh=true")).await.assert_error(400, "BAD_REQUEST");
    }

    async fn a_column_that_is_discovered_is_there_for_the_next_query(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        assert_eq!(preview(&app, &ada, source, COUNT).await, json!([{ "n": 2 }]));
        server.database.sql("alter table emp add column y3 integer default 7").await;
        app.advance(Duration::from_secs(1));
        wire::post(&app, &ada, &format!("/{source}/discover-schema?refresh=true")).await.assert_status(200);
        assert_eq!(preview(&app, &ada, source, "select distinct y3 from emp").await, json!([{ "y3": 7 }]));
    }

    async fn a_data_source_that_is_changed_or_deleted_is_so_for_the_next_query(engine: Engine) {
        let (app, server, another) = (start(engine).await, Server::start().await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        another
            .database
            .sql("create table emp (id bigint primary key, region text, ssn text, note text); insert into emp values (9, 'EU', '', '')")
            .await;
        assert_eq!(preview(&app, &ada, source, COUNT).await, json!([{ "n": 2 }]));
        let change = json!({ "database_name": another.body()["database_name"] });
        wire::patch(&app, &ada, &format!("/{source}"), &change).await.assert_status(200);
        run_jobs(&app).await;
        assert_eq!(preview(&app, &ada, source, "select id from emp").await, json!([{ "id": 9 }]));
        wire::delete(&app, &ada, &format!("/{source}")).await.assert_status(200);
        assert_eq!(asked(&app, &ada, source).await, 404);
        // A number that was nobody's is found when it is somebody's.
        assert_eq!(asked(&app, &ada, source + 1).await, 404);
        assert_eq!(created(&app, &ada, &another.body_with(json!({ "name": "Next" }))).await, source + 1);
        assert_eq!(asked(&app, &ada, source + 1).await, 200);
    }

    async fn who_loses_a_workspace_asks_its_data_sources_no_more(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        assert_eq!(asked(&app, &vera, source).await, 200);
        app.sql("delete from membership_workspaces where membership_id in (select id from memberships where role = 'viewer')").await;
        // What changes behind its back the server knows two seconds later.
        app.advance(Duration::from_secs(3));
        assert_eq!((asked(&app, &vera, source).await, asked(&app, &ada, source).await), (404, 200));
    }
}

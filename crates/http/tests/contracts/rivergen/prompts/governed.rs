//! The whole way, with nothing in its place: a data source, a policy, the engine, and the built-in planner.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_kernel::{Call, Refused};
use tidegate_prompts::executions::ExecutionKind;
use tidegate_prompts::executions::start::{Asked, NewExecution};
use tidegate_prompts::ports::QueryCode;
use tidegate_testkit::{Client, Engine, Person, TestApp, concurrently, eventually, on_both_engines};

use super::script::{delete, get, patch, post};
use crate::rivergen::data_sources::wire::{
    ADA, Server, builder, created, member, owner, run_jobs, signed_in, start,
};

/// A table of employees; only those of the caller's region are theirs to see, and `ssn` is masked.
pub(super) async fn employees(app: &TestApp, who: &Person, server: &Server) -> i64 {
    employees_of(app, who, server, &server.body()).await
}

/// The same, where the data source is made by that body.
pub(super) async fn employees_of(app: &TestApp, who: &Person, server: &Server, body: &Value) -> i64 {
    server
        .database
        .sql(
            "create table emp (id bigint primary key, region text, ssn text, note text);
             insert into emp values (1, 'EU', '123-45-6789', 'fine'), (2, 'US', '987-65-4321', 'SECRET-2'),
                (3, 'EU', '111-22-3333', 'fine')",
        )
        .await;
    let number = created(app, who, body).await;
    run_jobs(app).await;
    for (kind, rule, config) in [
        ("row_level_security", "filter_rows", json!({ "table": "emp", "condition": "region = 'EU'" })),
        ("data_masking", "mask_column", json!({ "table": "emp", "column": "ssn", "masking_type": "null" })),
    ] {
        let body = json!({
            "name": kind, "type": kind, "data_source_ids": [number],
            "rules": [{ "rule_name": "r", "rule_type": rule, "rule_config": config }],
        });
        post(app, who, "policies", &body).await.assert_status(201);
    }
    number
}

pub(super) async fn run(app: &TestApp, who: &Person, source: i64, sql: &str) -> Value {
    let body = json!({ "sql": sql, "selected_data_source_ids": [source] });
    post(app, who, "queries/execute", &body).await.assert_status(200).field("data").clone()
}

/// A server that waits for the end of a query however long it takes.
async fn patient(engine: Engine) -> TestApp {
    builder(engine).prompts(|prompts| prompts.answer_within = Duration::from_secs(300)).start().await
}

/// A statement about a data source, as a PostgreSQL client asks it.
pub(super) fn statement(sql: &str, source: i64) -> NewExecution {
    NewExecution {
        kind: ExecutionKind::Sql,
        asked: Asked::Sql(sql.to_owned(), Vec::new()),
        workspace: None,
        sources: vec![source],
        schemas: Vec::new(),
        save: None,
        again: None,
        template: None,
        model: None,
        waits: false,
    }
}

on_both_engines! {
    async fn a_query_sees_what_the_policies_leave_on_every_way_out(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let data = run(&app, &ada, source, "select id, ssn, note from emp order by id").await;
        assert_eq!(data["status"], "completed", "{data}");
        assert_eq!(
            data["result_preview"],
            json!([{ "id": 1, "ssn": null, "note": "fine" }, { "id": 3, "ssn": null, "note": "fine" }])
        );
        let number = data["execution_id"].clone();
        for path in [
            format!("queries/{number}"),
            format!("queries/{number}/result"),
            format!("queries/{number}/result?format=csv"),
            format!("prompts/executions/{number}/events"),
            "prompts/analytics/query-analytics".to_owned(),
            "queries".to_owned(),
        ] {
            let answer = get(&app, &ada, &path).await;
            answer.assert_status(200);
            assert!(!answer.text.contains("SECRET") && !answer.text.contains("987-65"), "{path}: {}", answer.text);
        }
        assert_eq!(run(&app, &ada, source, "select count(*) as n from emp").await["result_preview"], json!([{ "n": 2 }]));
        for refused in ["drop table emp", "select 1; select 2", "explain select * from emp"] {
            assert_eq!(run(&app, &ada, source, refused).await["status"], "failed", "{refused}");
        }
    }

    async fn a_policy_made_later_holds_for_what_was_shown_before(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let number = run(&app, &ada, source, "select note from emp where id = 1").await["execution_id"].clone();
        let shown = get(&app, &ada, &format!("queries/{number}")).await;
        assert_eq!(shown.field("data.result_preview"), &json!([{ "note": "fine" }]));
        let body = json!({
            "name": "Notes", "type": "data_masking", "data_source_ids": [source],
            "rules": [{ "rule_name": "r", "rule_type": "mask_column",
                "rule_config": { "table": "emp", "column": "note", "masking_type": "null" } }],
        });
        post(&app, &ada, "policies", &body).await.assert_status(201);
        let withheld = get(&app, &ada, &format!("queries/{number}")).await;
        assert_eq!(withheld.field("data.preview_withheld"), &json!(true), "{}", withheld.text);
        let again = get(&app, &ada, &format!("queries/{number}/result")).await;
        assert_eq!(again.body, json!([{ "note": null }]));
    }

    async fn a_preview_is_shown_for_as_long_as_no_policy_changes(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        for number in 0..8 {
            let body = json!({
                "name": format!("Few {number}"), "type": "query_limit", "data_source_ids": [source],
                "rules": [{ "rule_name": "r", "rule_type": "limit_query", "rule_config": { "max_queries_per_hour": 100 } }],
            });
            post(&app, &ada, "policies", &body).await.assert_status(201);
        }
        let number = run(&app, &ada, source, "select id from emp order by id").await["execution_id"].clone();
        // Policies are read anew after some seconds, and by each node for itself.
        let other = app.another_node().await;
        for _ in 0..3 {
            app.advance(Duration::from_secs(10));
            for node in [app.client(), other.client()] {
                let path = format!("/api/v1/queries/{number}");
                let shown = node.get(&path).bearer(&ada.access_token).send().await;
                assert_eq!(shown.field("data.result_preview"), &json!([{ "id": 1 }, { "id": 3 }]), "{}", shown.text);
            }
        }
    }

    async fn a_question_in_words_is_answered_of_the_persons_rows(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        let body = json!({ "prompt_text": "How many emp are there?", "selected_data_source_ids": [source] });
        for who in [&ada, &vera] {
            let data = post(&app, who, "prompts/execute", &body).await.assert_status(200).field("data").clone();
            assert_eq!((&data["status"], &data["ai_model_used"]), (&json!("completed"), &json!("builtin")), "{data}");
            let row = data["result_preview"][0].as_object().unwrap();
            assert_eq!(row.values().next().unwrap(), &json!(2), "{data}");
        }
        // A table that is not theirs is one that is not there.
        let other = owner(&app, "cleo@example.com").await;
        post(&app, &other, "prompts/execute", &body).await.assert_error(404, "NOT_FOUND");
    }

    async fn names_of_a_glossary_are_understood_as_far_as_they_are_seen(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let glossary = json!({ "staff": "emp", "territory": "public.emp.region", "wages": "payroll.amount" });
        let body = server.body_with(json!({ "metadata": { "glossary": glossary } }));
        let source = employees_of(&app, &ada, &server, &body).await;
        let ask = async |text: &str| {
            let body = json!({ "prompt_text": text, "selected_data_source_ids": [source] });
            post(&app, &ada, "prompts/execute", &body).await.assert_status(200).field("data").clone()
        };
        let data = ask("How many staff are there?").await;
        assert_eq!(data["result_preview"], json!([{ "count": 2 }]), "{data}");
        let data = ask("number of staff per territory").await;
        assert_eq!(data["result_preview"], json!([{ "region": "EU", "count": 2 }]), "{data}");
        // What it names is not there, or not theirs to see: a word like any other.
        let data = ask("How many wages are there?").await;
        assert_eq!(data["ai_response_metadata"]["not_understood"], json!(["wages"]), "{data}");
    }

    async fn a_question_about_what_is_denied_has_the_answer_of_one_about_nothing(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        server.database.sql("create table payroll (id bigint primary key, wage text); insert into payroll values (1, 'quillon')").await;
        let source = employees(&app, &ada, &server).await;
        let ask = async |text: &str| {
            let body = json!({ "prompt_text": text, "selected_data_source_ids": [source] });
            post(&app, &ada, "prompts/execute", &body).await.assert_status(200).field("data").clone()
        };
        assert_eq!(ask("How many payroll are there?").await["result_preview"], json!([{ "count": 1 }]));
        let denied = json!({
            "name": "Denied", "type": "access_control", "data_source_ids": [source],
            "rules": [{ "rule_name": "r", "rule_type": "deny_access", "rule_config": { "table": "payroll" } }],
        });
        post(&app, &ada, "policies", &denied).await.assert_status(201);
        for (question, word) in [
            ("How many WORD are there?", "payroll"),
            ("number of emp per WORD", "wage"),
            ("WORD of emp 1", "wage"),
            ("emp with WORD notes", "quillon"),
            ("emp without WORD", "payroll"),
        ] {
            let told = async |word: &str| {
                let data = ask(&question.replace("WORD", word)).await;
                ["status", "error_code", "error_message", "generated_query_text", "ai_response_metadata"]
                    .map(|name| data[name].to_string().replace(word, "WORD"))
            };
            let (hidden, nothing) = (told(word).await, told("unicorn").await);
            assert_eq!(hidden, nothing, "{question}");
            assert!(hidden[2].contains("WORD"), "{question}: {hidden:?}");
        }
    }

    async fn results_that_are_downloaded_count_against_limits_of_queries(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let body = json!({
            "name": "Few", "type": "query_limit", "data_source_ids": [source],
            "rules": [{ "rule_name": "r", "rule_type": "limit_query", "rule_config": { "max_queries_per_hour": 3 } }],
        });
        post(&app, &ada, "policies", &body).await.assert_status(201);
        let number = run(&app, &ada, source, "select id from emp").await["execution_id"].clone();
        let path = format!("queries/{number}/result");
        for _ in 0..2 {
            assert_eq!(get(&app, &ada, &path).await.assert_status(200).body, json!([{ "id": 1 }, { "id": 3 }]));
        }
        get(&app, &ada, &path).await.assert_error(403, "FORBIDDEN");
        let refused = run(&app, &ada, source, "select id from emp").await;
        assert_eq!(refused["status"], "failed");
        // What is told is when one may: an hour after them, and not a moment before.
        let again = app.kernel().now().plus(Duration::from_secs(3_601)).iso_seconds();
        let message = refused["error_message"].as_str().unwrap();
        assert!(message.starts_with("You may run 3 queries within an hour, "), "{message}");
        assert!(message.ends_with(&format!(": ask again at {again}.")), "{message}");
        // Nobody else's are counted, and not those of an hour ago.
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        assert_eq!(run(&app, &vera, source, "select id from emp").await["status"], "completed");
        app.advance(Duration::from_secs(3_601));
        let ada = signed_in(&app, ADA).await;
        get(&app, &ada, &path).await.assert_status(200);
    }

    async fn as_many_queries_run_on_all_nodes_together_as_a_policy_allows(engine: Engine) {
        const ALLOWED: usize = 5;
        let roomy = builder(engine).data(|data| data.at_once_per_organization = 32).prompts(|prompts| {
            prompts.at_once_per_person = 32;
            prompts.at_once_per_organization = 32;
            prompts.answer_within = Duration::from_secs(300);
        });
        let (app, server) = (roomy.start().await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let limit = json!({
            "name": "Few", "type": "query_limit", "data_source_ids": [source],
            "rules": [{ "rule_name": "r", "rule_type": "limit_query", "rule_config": { "max_queries_per_hour": ALLOWED } }],
        });
        post(&app, &ada, "policies", &limit).await.assert_status(201);
        let others = [app.another_node().await, app.another_node().await];
        let nodes = [app.client(), others[0].client(), others[1].client()];
        let body = json!({ "sql": "select id from emp order by id", "selected_data_source_ids": [source] });
        let answers = concurrently(4 * nodes.len(), |number| {
            let asked = nodes[number % nodes.len()].post("/api/v1/queries/execute").bearer(&ada.access_token);
            let asked = asked.json(&body);
            async move { asked.send().await }
        })
        .await;
        let mut completed = Vec::new();
        for answer in &answers {
            let data = answer.assert_status(200).field("data");
            if data["status"] == "completed" {
                assert_eq!(data["result_preview"], json!([{ "id": 1 }, { "id": 3 }]), "{data}");
                completed.push(data["execution_id"].as_i64().unwrap());
            } else {
                assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!("policy_denied")), "{data}");
            }
        }
        assert_eq!(completed.len(), ALLOWED, "no more, and no fewer because so many came at once");
        // Whole results are among them, on each node.
        for node in &nodes {
            let path = format!("/api/v1/queries/{}/result", completed[0]);
            node.get(&path).bearer(&ada.access_token).send().await.assert_error(403, "FORBIDDEN");
        }
    }

    async fn queries_that_a_database_client_begins_at_once_have_their_places(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let limit = json!({
            "name": "One", "type": "query_limit", "data_source_ids": [source],
            "rules": [{ "rule_name": "r", "rule_type": "limit_query", "rule_config": { "max_queries_per_hour": 1 } }],
        });
        post(&app, &ada, "policies", &limit).await.assert_status(201);
        let actor = app.kernel().authenticate(&ada.access_token).await.unwrap();
        let call = Call::to_postgres(app.kernel().settings(), [127, 0, 0, 1].into(), "psql".to_owned());
        let asked = || statement("select id from emp", source);
        let mut rows = app.prompts().stream(&call, &actor, asked()).await.unwrap();
        while rows.next().await.unwrap().is_some() {}
        // The clock stands still: both were asked at the same instant.
        let refused = app.prompts().stream(&call, &actor, asked()).await.err().unwrap();
        assert!(matches!(&refused, Refused::Rule(failure) if failure.code == QueryCode::PolicyDenied), "{refused:?}");
    }

    async fn administrators_see_what_was_left_to_a_source_and_others_do_not(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let policies = get(&app, &ada, "policies").await;
        let filter = policies.field("data.items").as_array().unwrap().iter().find(|one| one["type"] == "row_level_security");
        let path = format!("policies/{}/evaluations", filter.unwrap()["id"]);
        let vera = member(&app, &manager, "vera@example.com", "demo_viewer").await;
        let data = run(&app, &vera, source, "select note from emp where id > 2").await;
        assert_eq!(data["status"], "completed", "{data}");
        let pushed = eventually("the record of the query", async || {
            let found = get(&app, &ada, &path).await;
            let item = found.assert_status(200).field("data.items").as_array()?.first()?.clone();
            Some(item["metadata"]["pushed_down"].clone())
        })
        .await;
        let reading = &pushed[0];
        assert_eq!(reading["columns"], json!(["id", "region", "note"]), "{pushed}");
        let filters = reading["filters"].as_array().unwrap();
        assert!(filters.contains(&json!("id > ?")), "{pushed}");
        // Whoever asked is told nothing of it: not what a condition reads that they do not see, nor where it is applied.
        get(&app, &vera, &path).await.assert_error(403, "FORBIDDEN");
        let number = data["execution_id"].clone();
        for path in [format!("queries/{number}"), format!("queries/{number}/result"), "queries".to_owned(),
            format!("prompts/executions/{number}/events")] {
            let shown = get(&app, &vera, &path).await;
            for word in ["pushed", "region"] {
                assert!(!shown.text.contains(word), "{path}: {}", shown.text);
            }
        }
        // The server chooses the first rows of those that the policy leaves.
        let data = run(&app, &vera, source, "select note from emp order by id desc limit 1").await;
        assert_eq!(data["result_preview"], json!([{ "note": "fine" }]), "{data}");
        let reading = eventually("the record of the second query", async || {
            let found = get(&app, &ada, &path).await;
            let items = found.assert_status(200).field("data.items").as_array()?;
            let mut readings = items.iter().map(|item| &item["metadata"]["pushed_down"][0]);
            readings.find(|reading| reading["limit"] == 1).cloned()
        })
        .await;
        assert_eq!(reading["order"], json!(["id desc"]), "{reading}");
    }

    async fn a_query_without_a_workspace_runs_in_the_callers_own(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let body = json!({
            "name": "Somewhere", "type": "row_level_security", "data_source_ids": [source],
            "rules": [{ "rule_name": "r", "rule_type": "filter_rows",
                "rule_config": { "table": "emp", "condition": "id <> current_user_workspace_id or region = 'EU'" } }],
        });
        post(&app, &ada, "policies", &body).await.assert_status(201);
        // Who is nowhere lacks the attribute, which would deny the table.
        let data = run(&app, &ada, source, "select id from emp order by id").await;
        assert_eq!(data["result_preview"], json!([{ "id": 1 }, { "id": 3 }]), "{data}");
        let shown = get(&app, &ada, &format!("queries/{}", data["execution_id"])).await;
        assert_eq!(shown.field("data.result_preview"), &data["result_preview"], "{}", shown.text);
        let question = json!({ "prompt_text": "How many emp are there?", "selected_data_source_ids": [source] });
        let asked = post(&app, &ada, "prompts/execute", &question).await.assert_status(200).field("data").clone();
        assert_eq!(asked["status"], "completed", "{asked}");
    }

    async fn a_policy_that_changes_holds_for_the_next_query_on_every_node(engine: Engine) {
        let (app, server) = (patient(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let others = [app.another_node().await, app.another_node().await];
        let nodes = [app.client(), others[0].client(), others[1].client()];
        let sql = "select a.id as id, b.note as note from emp a join emp b on b.id = a.id order by a.id";
        let body = json!({ "sql": sql, "selected_data_source_ids": [source] });
        let seen = async |node: &Client| {
            let answer = node.post("/api/v1/queries/execute").bearer(&ada.access_token).json(&body).send().await;
            answer.assert_status(200).field("data.result_preview").clone()
        };
        let row = |id: i64| json!({ "id": id, "note": if id == 2 { "SECRET-2" } else { "fine" } });
        let (european, american) = (json!([row(1), row(3)]), json!([row(2)]));
        for node in &nodes {
            assert_eq!(seen(node).await, european);
        }
        let policies = get(&app, &ada, "policies").await;
        let items = policies.field("data.items").as_array().unwrap();
        let filter = items.iter().find(|item| item["type"] == "row_level_security").unwrap();
        let path = format!("policies/{}", filter["id"]);
        let rule = |condition: &str| json!({ "rules": [{ "rule_name": "r", "rule_type": "filter_rows",
            "rule_config": { "table": "emp", "condition": condition } }] });
        let all = json!([row(1), row(2), row(3)]);
        for (change, expected) in [
            (rule("region = 'US'"), &american),
            (json!({ "is_active": false }), &all),
            (json!({ "is_active": true }), &american),
            (rule("region = 'EU'"), &european),
        ] {
            patch(&app, &ada, &path, &change).await.assert_status(200);
            assert_eq!(seen(&nodes[0]).await, *expected, "at once where it was changed: {change}");
            app.advance(Duration::from_secs(3));
            for node in &nodes {
                assert_eq!(seen(node).await, *expected, "{change}");
            }
        }
        delete(&app, &ada, &path).await.assert_status(200);
        assert_eq!(seen(&nodes[0]).await, all);
    }

    async fn a_query_under_many_policies_leaves_a_record_of_each(engine: Engine) {
        const FILTERS: i64 = 33;
        let (app, server) = (patient(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        for number in 0..FILTERS {
            let body = json!({
                "name": format!("Filter {number}"), "type": "row_level_security", "data_source_ids": [source],
                "rules": [{ "rule_name": "r", "rule_type": "filter_rows",
                    "rule_config": { "table": "emp", "condition": format!("note <> 'x{number}'") } }],
            });
            post(&app, &ada, "policies", &body).await.assert_status(201);
        }
        let data = run(&app, &ada, source, "select e.id from emp e join people p on p.id = e.id or true").await;
        assert_eq!((&data["status"], &data["rows_returned"]), (&json!("completed"), &json!(0)), "{data}");
        // Two that there were, and of the table that none is about a record all the same.
        let expected = FILTERS + 3;
        eventually("the records of the query", async || {
            (app.sql_count("select count(*) from policy_evaluations").await == expected).then_some(())
        })
        .await;
        for (which, count) in [
            ("policy_number is null and relation = 'public.people' and result = 'allowed'", 1),
            ("policy_number is null", 1),
            ("relation = 'public.emp' and action = 'masked_data'", 1),
            ("relation = 'public.emp' and action = 'filtered_rows'", FILTERS + 1),
        ] {
            let found = app.sql_count(&format!("select count(*) from policy_evaluations where {which}")).await;
            assert_eq!(found, count, "{which}");
        }
        let different = "select count(distinct policy_number) from policy_evaluations";
        assert_eq!(app.sql_count(different).await, FILTERS + 2);
    }

    async fn tables_are_found_however_many_pages_of_them_there_are(engine: Engine) {
        let (app, server) = (patient(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        // A hundred are read at a time.
        let mut expected = Vec::new();
        for count in [99, 100, 101, 200] {
            let tables: String = (1..=count).map(|n| format!("create table of_{count}.t{n} (id bigint); ")).collect();
            server.database.sql(&format!("create schema of_{count}; {tables}")).await;
            expected.push(json!({ "name": format!("of_{count}"), "n": count }));
        }
        let source = created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        let sql = "select table_schema as name, count(*) as n from information_schema.tables
            where table_schema like 'of_%' group by table_schema order by n";
        assert_eq!(run(&app, &ada, source, sql).await["result_preview"], json!(expected));
    }
}

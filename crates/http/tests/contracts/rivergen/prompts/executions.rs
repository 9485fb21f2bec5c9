//! Executions go on, are called off, end with their server, and give their results.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, TestApp, concurrently, eventually, on_both_engines};

use super::script::{ADA, Script, ask, get, owner, post, question, saved};

/// The application whose requests wait for nothing.
async fn hasty(script: &Script, engine: Engine) -> TestApp {
    let hasty = |prompts: &mut tidegate_prompts::PromptSettings| {
        prompts.answer_within = Duration::from_millis(1);
        prompts.at_once_per_person = 2;
    };
    script.builder(engine).prompts(hasty).start().await
}

/// Until it is over.
async fn over(app: &TestApp, who: &tidegate_testkit::Person, number: &Value) -> Value {
    for _ in 0..500 {
        let data = get(app, who, &format!("prompts/executions/{number}")).await.field("data").clone();
        if data["status"] != "processing" {
            return data;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it goes on and on");
}

on_both_engines! {
    async fn what_takes_long_goes_on_and_is_asked_for_again(engine: Engine) {
        let script = Script::new();
        let app = hasty(&script, engine).await;
        let ada = owner(&app, ADA).await;
        let answer = post(&app, &ada, "prompts/execute", &saved("slow")).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Prompt execution started");
        let data = answer.field("data");
        assert_eq!((&data["status"], &data.get("result_preview")), (&json!("processing"), &None));
        assert!(data["progress_percentage"].as_i64().unwrap() < 100);
        let number = data["execution_id"].clone();
        assert_eq!(get(&app, &ada, "prompts").await.field("data.items.0.status"), "processing");
        for format in ["prompts/executions", "queries"] {
            get(&app, &ada, &format!("{format}/{number}/result")).await.assert_error(409, "CONFLICT");
        }
        script.release();
        assert_eq!(over(&app, &ada, &number).await["status"], "completed");
        assert_eq!(get(&app, &ada, "prompts").await.field("data.items.0.status"), "completed");
    }

    async fn as_many_run_at_once_on_all_nodes_together_as_one_person_may(engine: Engine) {
        let script = Script::new();
        let app = hasty(&script, engine).await;
        let ada = owner(&app, ADA).await;
        let others = [app.another_node().await, app.another_node().await];
        let nodes = [app.client(), others[0].client(), others[1].client()];
        let answers = concurrently(3 * nodes.len(), |number| {
            let asked = nodes[number % nodes.len()].post("/api/v1/prompts/execute").bearer(&ada.access_token);
            let asked = asked.json(&question("slow"));
            async move { asked.send().await }
        })
        .await;
        let (begun, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(begun.len(), 2, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        for answer in refused {
            answer.assert_status(429);
        }
        for _ in 0..begun.len() {
            script.release();
        }
        for answer in begun {
            assert_eq!(over(&app, &ada, answer.field("data.execution_id")).await["status"], "completed");
        }
        let after = nodes[1].post("/api/v1/prompts/execute").bearer(&ada.access_token);
        after.json(&question("orders")).send().await.assert_status(200);
    }

    // A statement counts what was committed when it began, and that may be before another execution did.
    async fn who_waits_for_another_execution_to_begin_counts_it(engine: Engine) {
        let script = Script::new();
        let app = hasty(&script, engine).await;
        let ada = owner(&app, ADA).await;
        let number = ask(&app, &ada, &question("slow")).await["execution_id"].clone();
        // Elsewhere a second one begins, which makes as many as one person may have.
        let columns = "organization_id, workspace_id, account_id, account_number, kind, question, parameters, sources, schemas,
            status, ai_status, progress, lease_until, started_at, expires_at";
        let begins = format!(
            "update organizations set updated_at = updated_at;
             insert into prompt_executions ({columns}) select {columns} from prompt_executions where number = {number}"
        );
        let Some(held) = app.database.hold(&begins).await else { return };
        let waiting = "select count(*) from pg_stat_activity
            where application_name = current_database() and wait_event_type = 'Lock'";
        let asked = question("orders");
        let (refused, ()) = tokio::join!(post(&app, &ada, "prompts/execute", &asked), async {
            eventually("somebody who waits", async || (app.sql_count(waiting).await > 0).then_some(())).await;
            held.commit().await;
        });
        refused.assert_error(429, "TOO_MANY_REQUESTS");
        let running = "select count(*) from prompt_executions where lease_until is not null";
        assert_eq!(app.sql_count(running).await, 2);
    }

    async fn an_execution_is_called_off_once(engine: Engine) {
        let script = Script::new();
        let app = hasty(&script, engine).await;
        let ada = owner(&app, ADA).await;
        for path in ["prompts/executions", "queries"] {
            let number = ask(&app, &ada, &question("slow")).await["execution_id"].clone();
            let answer = post(&app, &ada, &format!("{path}/{number}/cancel"), &json!({})).await;
            assert_eq!(answer.assert_status(200).field("data.status"), "cancelled");
            post(&app, &ada, &format!("{path}/{number}/cancel"), &json!({})).await.assert_error(409, "CONFLICT");
            assert_eq!(over(&app, &ada, &number).await["error_code"], "cancelled");
            post(&app, &ada, &format!("{path}/999999/cancel"), &json!({})).await.assert_error(404, "NOT_FOUND");
        }
        // Their places are free: two more run, which is as many as one person may.
        for _ in 0..2 {
            ask(&app, &ada, &question("slow")).await;
        }
        let refused = post(&app, &ada, "prompts/execute", &question("slow")).await;
        refused.assert_error(429, "TOO_MANY_REQUESTS");
        assert_eq!(refused.header("retry-after"), "5");
        assert_eq!(app.sql_count("select count(*) from prompt_executions where lease_until is not null").await, 2);
    }

    async fn a_full_server_refuses_and_recovers(engine: Engine) {
        let script = Script::new();
        let small = |prompts: &mut tidegate_prompts::PromptSettings| {
            prompts.answer_within = Duration::from_millis(1);
            prompts.at_once = 1;
        };
        let app = script.builder(engine).prompts(small).start().await;
        let (ada, bob) = (owner(&app, ADA).await, owner(&app, "bob@example.com").await);
        let number = ask(&app, &ada, &question("slow")).await["execution_id"].clone();
        let template = get(&app, &bob, "prompt-templates?is_system_template=true").await.field("data.items.0.id").clone();
        let run = json!({ "selected_data_source_ids": [1], "parameters": { "table": "orders" } });
        let query = json!({ "sql": "select 1", "selected_data_source_ids": [1] });
        for (path, body) in [
            ("prompts/execute".to_owned(), question("orders")),
            ("queries/execute".to_owned(), query),
            (format!("prompt-templates/{template}/execute"), run),
        ] {
            post(&app, &bob, &path, &body).await.assert_error(503, "SERVICE_UNAVAILABLE");
        }
        script.release();
        over(&app, &ada, &number).await;
        let number = ask(&app, &bob, &question("orders")).await["execution_id"].clone();
        assert_eq!(over(&app, &bob, &number).await["status"], "completed");
    }

    async fn an_execution_whose_server_is_gone_has_failed_and_says_so(engine: Engine) {
        let script = Script::new();
        let app = hasty(&script, engine).await;
        let ada = owner(&app, ADA).await;
        let number = ask(&app, &ada, &saved("slow")).await["execution_id"].clone();
        // As long as its node says that it runs, it does.
        app.advance(Duration::from_secs(29));
        app.prompts().renew_leases().await.unwrap();
        app.advance(Duration::from_secs(29));
        app.kernel().run_job("lost prompts").await.unwrap();
        assert_eq!(get(&app, &ada, &format!("queries/{number}")).await.field("data.status"), "processing");
        app.advance(Duration::from_secs(10));
        for outcome in app.kernel().run_job("lost prompts").await.unwrap() {
            outcome.unwrap();
        }
        let data = get(&app, &ada, &format!("queries/{number}")).await.field("data").clone();
        assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!("interrupted")));
        assert_eq!(get(&app, &ada, "prompts").await.field("data.items.0.status"), "failed");
        // What its node finds later changes nothing, and it learns that it is over.
        app.prompts().renew_leases().await.unwrap();
        script.release();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(get(&app, &ada, &format!("queries/{number}")).await.field("data.status"), "failed");
        assert_eq!(app.sql_count("select executions from prompt_usage").await, 1);
    }

    // To delete an account that has much takes long, and one of its executions may still run: those of others go on.
    async fn an_execution_that_another_unit_has_keeps_no_other_from_being_held(engine: Engine) {
        let script = Script::new();
        let app = hasty(&script, engine).await;
        let (ada, bob) = (owner(&app, ADA).await, owner(&app, "bob@example.com").await);
        let deleted = ask(&app, &ada, &question("slow")).await["execution_id"].clone();
        let other = ask(&app, &bob, &question("slow")).await["execution_id"].clone();
        let leases = "select count(distinct lease_until) from prompt_executions where lease_until is not null";
        assert_eq!(app.sql_count(leases).await, 1);
        app.advance(Duration::from_secs(20));
        let Some(held) = app.database.hold(&format!("delete from prompt_executions where number = {deleted}")).await else {
            return;
        };
        app.prompts().renew_leases().await.unwrap();
        assert_eq!(app.sql_count(leases).await, 2, "one was renewed");
        held.release().await;
        // Nobody called it off meanwhile.
        app.prompts().renew_leases().await.unwrap();
        assert_eq!(app.sql_count(leases).await, 1);
        script.release();
        script.release();
        for (who, number) in [(&ada, &deleted), (&bob, &other)] {
            assert_eq!(over(&app, who, number).await["status"], "completed");
        }
    }

    async fn another_node_tells_and_calls_off(engine: Engine) {
        let script = Script::new();
        let app = hasty(&script, engine).await;
        let ada = owner(&app, ADA).await;
        let number = ask(&app, &ada, &question("slow")).await["execution_id"].clone();
        let other = app.another_node().await;
        let path = format!("/api/v1/prompts/executions/{number}");
        let seen = other.client().get(&path).bearer(&ada.access_token).send().await;
        assert_eq!(seen.assert_status(200).field("data.status"), "processing");
        let cancelled = other.client().post(&format!("{path}/cancel")).bearer(&ada.access_token).send().await;
        cancelled.assert_status(200);
        app.prompts().renew_leases().await.unwrap();
        assert_eq!(over(&app, &ada, &number).await["status"], "cancelled");
    }

    async fn a_result_is_a_file_of_each_format_and_governed_anew(engine: Engine) {
        let script = Script::new();
        let app = script.start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = ask(&app, &ada, &question("many orders")).await["execution_id"].clone();
        let ran = script.ran().len();
        for (format, media_type) in [
            ("json", "application/json"),
            ("csv", "text/csv; charset=utf-8"),
            ("jsonl", "application/x-ndjson"),
            ("arrow", "application/vnd.apache.arrow.stream"),
            ("parquet", "application/vnd.apache.parquet"),
        ] {
            for path in ["prompts/executions", "queries"] {
                let answer = get(&app, &ada, &format!("{path}/{number}/result?format={format}")).await;
                answer.assert_status(200);
                assert_eq!(answer.header("content-type"), media_type);
                assert_eq!(answer.header("content-disposition"), format!("attachment; filename=\"result-{number}.{format}\""));
                match format {
                    "json" => assert_eq!(answer.body.as_array().unwrap().len(), 250),
                    "csv" => assert!(answer.text.starts_with("n,name\n1,\"name, \"\"1\"\"\"\n"), "{:.80}", answer.text),
                    "jsonl" => assert_eq!(answer.text.lines().count(), 250),
                    "parquet" => assert!(answer.text.starts_with("PAR1")),
                    _ => assert!(!answer.text.is_empty()),
                }
            }
        }
        // Each ran the query anew.
        assert_eq!(script.ran().len(), ran + 10);
        get(&app, &ada, &format!("queries/{number}/result?format=xml")).await.assert_error(422, "VALIDATION_ERROR");
        get(&app, &ada, "queries/999999/result").await.assert_error(404, "NOT_FOUND");
    }

    async fn a_result_that_is_denied_by_now_is_refused(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = ask(&app, &ada, &question("orders")).await["execution_id"].clone();
        for (word, status, code) in [
            ("denied", 403, "FORBIDDEN"),
            ("down", 503, "SERVICE_UNAVAILABLE"),
            ("boom", 400, "BAD_REQUEST"),
        ] {
            app.sql(&format!("update prompt_executions set sql = 'select {word}'")).await;
            for path in ["prompts/executions", "queries"] {
                get(&app, &ada, &format!("{path}/{number}/result")).await.assert_error(status, code);
            }
        }
    }

    async fn numbers_are_numbers(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        for path in [
            "prompts/executions/x",
            "prompts/executions/x/status",
            "prompts/executions/x/result",
            "prompts/executions/x/events",
            "queries/x/result",
            "prompt-templates/x",
        ] {
            get(&app, &ada, path).await.assert_error(422, "VALIDATION_ERROR");
        }
        for path in ["prompts/executions/x/cancel", "queries/x/cancel"] {
            post(&app, &ada, path, &json!({})).await.assert_error(422, "VALIDATION_ERROR");
        }
        crate::rivergen::prompts::script::delete(&app, &ada, "prompt-templates/x").await.assert_error(422, "VALIDATION_ERROR");
        // Beyond what a number can be.
        get(&app, &ada, "prompts/executions/99999999999999999999").await.assert_error(422, "VALIDATION_ERROR");
    }

    async fn progress_comes_as_events(engine: Engine) {
        let script = Script::new();
        let app = hasty(&script, engine).await;
        let ada = owner(&app, ADA).await;
        let number = ask(&app, &ada, &question("slow")).await["execution_id"].clone();
        let later = script.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            later.release();
        });
        let events = get(&app, &ada, &format!("prompts/executions/{number}/events")).await;
        events.assert_status(200);
        assert_eq!(events.header("content-type"), "text/event-stream");
        assert!(events.text.starts_with("event: progress\ndata: {"), "{}", events.text);
        let last = events.text.trim_end().rsplit("\n\n").next().unwrap();
        assert!(last.starts_with("event: completed\ndata: {") && last.contains("\"result_preview\":[{"), "{last}");
        get(&app, &ada, "prompts/executions/999999/events").await.assert_error(404, "NOT_FOUND");
    }

    async fn executions_are_removed_when_their_time_is_over_and_their_sums_stay(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        ask(&app, &ada, &question("orders")).await;
        app.advance(Duration::from_secs(91 * 24 * 3_600));
        while app.kernel().prune().await.unwrap() > 0 {}
        assert_eq!(app.sql_count("select count(*) from prompt_executions").await, 0);
        assert_eq!(app.sql_count("select count(*) from prompt_usage").await, 1);
    }
}

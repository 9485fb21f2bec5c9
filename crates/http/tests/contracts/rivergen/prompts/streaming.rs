//! Answers of models that come as they are written, also from endpoints that misbehave midway.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tidegate_prompts::settings::ModelSettings;
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::models::{Says, Step, Stub, end, event, piece, sql, with, written};
use super::script::{ADA, Script, ask, get, owner, post, question, request};

const GOOD: &str = "select n from orders where total > $1";

/// An answer, streamed in pieces of a few letters.
fn streamed(text: &str) -> Says {
    let letters: Vec<char> = text.chars().collect();
    let mut steps: Vec<Step> =
        letters.chunks(7).map(|some| piece(&some.iter().collect::<String>())).collect();
    steps.extend(end());
    Says::Events(steps)
}

/// The application with one model, changed.
async fn start(
    script: &Script,
    engine: Engine,
    stub: &Stub,
    change: impl Fn(&mut ModelSettings) + 'static,
) -> TestApp {
    with(script, engine, &[stub])
        .prompts(|prompts| prompts.models.values_mut().for_each(change))
        .start()
        .await
}

/// Reads events until one of that name; answers it and all before.
async fn until(body: &mut Body, name: &str) -> Vec<(String, Value)> {
    let (mut text, mut events) = (String::new(), Vec::new());
    loop {
        while let Some((event, rest)) = text.split_once("\n\n") {
            if let Some((called, data)) = event.split_once('\n') {
                let called = called.strip_prefix("event: ").unwrap().to_owned();
                let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                events.push((called, data));
            }
            text = rest.to_owned();
            if events.last().is_some_and(|(called, _)| called == name) {
                assert!(text.is_empty(), "each event is a frame of its own: {text}");
                return events;
            }
        }
        let frame = body.frame().await.unwrap_or_else(|| panic!("no {name} after {events:?}")).unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
}

on_both_engines! {
    async fn an_answer_is_read_as_it_is_written(engine: Engine) {
        let (script, stub) = (Script::new(), Stub::start(vec![streamed(&written(GOOD))]).await);
        let app = start(&script, engine, &stub, |_| {}).await;
        let ada = owner(&app, ADA).await;
        let data = ask(&app, &ada, &question("orders over 5")).await;
        assert_eq!((&data["status"], &data["ai_request_id"]), (&json!("completed"), &json!("chatcmpl-7")), "{data}");
        assert_eq!(data["ai_response_metadata"]["tokens_used"], 1_100);
        assert_eq!(script.ran(), [(GOOD.to_owned(), vec![json!(5)])]);
        let asked = stub.asked()[0].clone();
        assert_eq!((&asked["stream"], &asked["stream_options"]["include_usage"]), (&json!(true), &json!(true)));
        assert_eq!(app.sql_count("select micros from model_spend").await, 2_000);
    }

    async fn an_endpoint_that_knows_no_stream_is_not_asked_for_one(engine: Engine) {
        let (script, stub) = (Script::new(), Stub::start(vec![sql(GOOD)]).await);
        let app = start(&script, engine, &stub, |model| model.stream = false).await;
        let ada = owner(&app, ADA).await;
        assert_eq!(ask(&app, &ada, &question("orders")).await["status"], "completed");
        let asked = stub.asked()[0].clone();
        assert_eq!((&asked["stream"], asked.get("stream_options")), (&json!(false), None));
    }

    async fn what_was_not_counted_is_paid_as_it_is_guessed(engine: Engine) {
        let steps = vec![piece(&written(GOOD)), Step::Send("data: [DONE]\n\n".to_owned())];
        let stub = Stub::start(vec![Says::Events(steps)]).await;
        let app = start(&Script::new(), engine, &stub, |_| {}).await;
        let ada = owner(&app, ADA).await;
        let data = ask(&app, &ada, &question("orders")).await;
        assert_eq!(data["status"], "completed");
        let tokens = data["ai_response_metadata"]["tokens_used"].as_i64().unwrap();
        assert!(tokens > i64::try_from(written(GOOD).len() / 3).unwrap(), "{tokens}");
        assert_eq!(app.sql_count("select input_tokens + output_tokens from model_spend").await, tokens);
    }

    async fn the_explanation_is_told_while_it_is_written_and_sql_is_not(engine: Engine) {
        let beginning = vec![
            piece("{\"confidence\": 0.8, \"sql\": \"select n from orders where total > $1\", \"explanation\": \"Orders "),
            Step::Wait,
            piece("that are \\\"large\\\""),
            Step::Wait,
            piece(".\", \"parameters\": [5], \"refusal\": null}"),
        ];
        let stub = Stub::start(vec![Says::Events([beginning, end()].concat())]).await;
        let app = start(&Script::new(), engine, &stub, |model| model.timeout = Duration::from_secs(600)).await;
        let ada = owner(&app, ADA).await;
        let asked = request(&app, &ada, Method::POST, "prompts/execute").header("prefer", "respond-async");
        let answer = asked.json(&question("orders over 5")).send().await;
        assert_eq!(answer.assert_status(200).field("data.status"), "processing");
        let number = answer.field("data.execution_id").clone();
        let path = format!("prompts/executions/{number}/events");
        let mut body = request(&app, &ada, Method::GET, &path).open().await.into_body();
        let first = until(&mut body, "explanation").await;
        assert_eq!(first.last().unwrap().1, json!({ "attempt": 1, "text": "Orders " }));
        // Somebody else has no such execution, and who comes later is told all of it.
        let bob = owner(&app, "bob@example.com").await;
        get(&app, &bob, &path).await.assert_error(404, "NOT_FOUND");
        stub.go_on();
        let second = until(&mut body, "explanation").await;
        assert_eq!(second.last().unwrap().1, json!({ "attempt": 1, "text": "that are \"large\"" }));
        let mut late = request(&app, &ada, Method::GET, &path).open().await.into_body();
        let all = until(&mut late, "explanation").await;
        assert_eq!(all.last().unwrap().1["text"], "Orders that are \"large\"");
        stub.go_on();
        let rest = until(&mut body, "completed").await;
        let last = &rest.last().unwrap().1;
        assert_eq!(last["ai_response_metadata"]["explanation"], "Orders that are \"large\".");
        assert_eq!(last["generated_query_text"], GOOD);
        for (name, data) in first.iter().chain(&second).chain(&all) {
            assert!(!data.to_string().contains("select"), "{name}: {data}");
        }
    }

    async fn another_node_tells_what_was_written_down(engine: Engine) {
        let beginning = vec![
            piece("{\"explanation\": \"Orders "),
            Step::Wait,
            piece("that are \\\"large\\\""),
            Step::Wait,
            piece(&format!(".\", \"sql\": \"{GOOD}\", \"parameters\": [5]}}")),
        ];
        let stub = Stub::start(vec![Says::Events([beginning, end()].concat())]).await;
        let app = start(&Script::new(), engine, &stub, |model| model.timeout = Duration::from_secs(600)).await;
        let ada = owner(&app, ADA).await;
        let other = app.another_node().await;
        let asked = request(&app, &ada, Method::POST, "prompts/execute").header("prefer", "respond-async");
        let number = asked.json(&question("orders over 5")).send().await.field("data.execution_id").clone();
        let path = format!("prompts/executions/{number}/events");
        let mut here = request(&app, &ada, Method::GET, &path).open().await.into_body();
        let there = other.client().request(Method::GET, &format!("/api/v1/{path}")).bearer(&ada.access_token);
        let mut there = there.open().await.into_body();
        until(&mut here, "explanation").await;
        app.prompts().renew_leases().await.unwrap();
        let first = until(&mut there, "explanation").await;
        assert_eq!(first.last().unwrap().1, json!({ "attempt": 1, "text": "Orders " }));
        stub.go_on();
        until(&mut here, "explanation").await;
        app.prompts().renew_leases().await.unwrap();
        let second = until(&mut there, "explanation").await;
        assert_eq!(second.last().unwrap().1, json!({ "attempt": 1, "text": "that are \"large\"" }));
        stub.go_on();
        let last = until(&mut there, "completed").await;
        assert_eq!(last.last().unwrap().1["ai_response_metadata"]["explanation"], "Orders that are \"large\".");
        assert_eq!(app.sql_count("select count(*) from prompt_executions where draft is not null").await, 0);
    }

    async fn each_attempt_begins_anew(engine: Engine) {
        let refused = json!({ "sql": "drop table orders", "parameters": [], "explanation": "All is dropped.", "confidence": 1, "refusal": null });
        let stub = Stub::start(vec![
            streamed(&refused.to_string()),
            Says::Events([vec![Step::Wait, piece("{\"explanation\": \"Orders"), Step::Wait, piece(&format!("\", \"sql\": \"{GOOD}\", \"parameters\": [5]}}"))], end()].concat()),
        ]).await;
        let app = start(&Script::new(), engine, &stub, |model| model.timeout = Duration::from_secs(600)).await;
        let ada = owner(&app, ADA).await;
        let asked = request(&app, &ada, Method::POST, "prompts/execute").header("prefer", "respond-async");
        let number = asked.json(&question("orders")).send().await.field("data.execution_id").clone();
        let mut body = request(&app, &ada, Method::GET, &format!("prompts/executions/{number}/events")).open().await.into_body();
        until(&mut body, "progress").await;
        stub.go_on();
        let told = loop {
            let (_, data) = until(&mut body, "explanation").await.pop().unwrap();
            if data["attempt"] == 2 {
                break data;
            }
        };
        assert_eq!(told["text"], "Orders");
        stub.go_on();
        let last = until(&mut body, "completed").await;
        assert!(!last.last().unwrap().1.to_string().contains("drop"));
    }

    async fn an_answer_that_breaks_off_is_asked_for_again_and_paid(engine: Engine) {
        let whole = written(GOOD);
        let (half, _) = whole.split_at(whole.len() / 2);
        for broken in [
            // Half an answer, and half a piece.
            vec![piece(half)],
            vec![piece(half), Step::Send("data: {\"choices\": [{\"ind".to_owned())],
            vec![piece(half), Step::Send("data: {\"choices\": [{\"ind\n\n".to_owned())],
            vec![piece(half), event(&json!({ "error": { "message": "planted provider text", "code": 500 } }))],
            vec![piece(half), Step::Break],
            vec![Step::Send("<html>planted provider text</html>".to_owned())],
        ] {
            let script = Script::new();
            let stub = Stub::start(vec![Says::Events(broken), streamed(&whole)]).await;
            let app = start(&script, engine, &stub, |_| {}).await;
            let ada = owner(&app, ADA).await;
            let data = ask(&app, &ada, &question("orders")).await;
            assert_eq!((&data["status"], stub.asked().len()), (&json!("completed"), 2), "{data}");
            assert_eq!(script.ran().len(), 1);
            assert!(!data.to_string().contains("planted"), "{data}");
            assert!(app.sql_count("select micros from model_spend").await > 2_000);
        }
    }

    async fn an_answer_whose_end_is_missing_is_whole_all_the_same(engine: Engine) {
        let finish = event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }));
        for last in [None, Some(Step::Break), Some(Step::Silence)] {
            let steps = [piece(&written(GOOD)), finish.clone()].into_iter().chain(last).collect();
            let stub = Stub::start(vec![Says::Events(steps)]).await;
            let quick = |model: &mut ModelSettings| {
                (model.timeout, model.idle_timeout) = (Duration::from_secs(60), Duration::from_millis(700));
            };
            let app = start(&Script::new(), engine, &stub, quick).await;
            let ada = owner(&app, ADA).await;
            let data = ask(&app, &ada, &question("orders")).await;
            assert_eq!((&data["status"], stub.asked().len()), (&json!("completed"), 1), "{data}");
        }
    }

    async fn what_goes_on_without_an_end_is_left(engine: Engine) {
        let huge = Step::Send(format!("data: {}", "x".repeat(70_000)));
        let much = vec![Step::Send(format!(": {}\n", "x".repeat(1_000))); 100];
        for (steps, idle) in [
            (vec![piece("{"), Step::Chatter], 600_000),
            (vec![piece("{"), Step::Silence], 50),
            (vec![Step::Silence], 50),
            (vec![huge, Step::Silence], 600_000),
            ([much, vec![Step::Silence]].concat(), 600_000),
        ] {
            let script = Script::new();
            let stub = Stub::start(vec![Says::Events(steps)]).await;
            let brief = move |model: &mut ModelSettings| {
                model.retries = 0;
                model.idle_timeout = Duration::from_millis(idle);
                // The fewer tokens it may have, the fewer bytes.
                model.max_output_tokens = 1;
            };
            let app = start(&script, engine, &stub, brief).await;
            let ada = owner(&app, ADA).await;
            let data = ask(&app, &ada, &question("orders")).await;
            assert_eq!(data["error_code"], "model_unavailable", "{data}");
            assert!(script.ran().is_empty());
            stub.closed().await;
        }
    }

    async fn whoever_calls_an_execution_off_ends_the_answer(engine: Engine) {
        let stub = Stub::start(vec![Says::Events(vec![piece("{\"explanation\": \"Orders"), Step::Chatter])]).await;
        let patient = |model: &mut ModelSettings| model.timeout = Duration::from_secs(600);
        let app = start(&Script::new(), engine, &stub, patient).await;
        let ada = owner(&app, ADA).await;
        let asked = request(&app, &ada, Method::POST, "prompts/execute").header("prefer", "respond-async");
        let number = asked.json(&question("orders")).send().await.field("data.execution_id").clone();
        let mut body = request(&app, &ada, Method::GET, &format!("prompts/executions/{number}/events")).open().await.into_body();
        until(&mut body, "explanation").await;
        post(&app, &ada, &format!("prompts/executions/{number}/cancel"), &json!({})).await.assert_status(200);
        stub.closed().await;
        until(&mut body, "cancelled").await;
    }
}

//! Models that write SQL, also ones that misbehave.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post as posted;
use futures_util::stream;
use serde_json::{Value, json};
use tidegate_prompts::PromptSettings;
use tidegate_prompts::settings::{ModelClass, ModelSettings};
use tidegate_testkit::{Builder, Engine, on_both_engines};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::script::{ADA, Script, ask, owner, question};

/// What the stub answers.
#[derive(Clone)]
pub(super) enum Says {
    /// This text, as an answer.
    Text(String),
    /// This body.
    Body(Value),
    /// This status, with a header.
    Status(u16),
    /// Nothing, for long.
    Nothing,
    /// Events, as they are written.
    Events(Vec<Step>),
}

/// A step of an answer that is streamed. After the last one the answer ends.
#[derive(Clone)]
pub(super) enum Step {
    /// These bytes.
    Send(String),
    /// It waits until it is let go on.
    Wait,
    /// It sends comments without an end.
    Chatter,
    /// It sends nothing any more.
    Silence,
    /// It breaks the connection.
    Break,
}

/// A part of an answer, as an event.
pub(super) fn piece(text: &str) -> Step {
    event(&json!({
        "id": "chatcmpl-7",
        "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }],
    }))
}

pub(super) fn event(data: &Value) -> Step {
    Step::Send(format!("data: {data}\n\n"))
}

/// The end of an answer, with what it costs.
pub(super) fn end() -> Vec<Step> {
    vec![
        event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] })),
        event(&json!({ "choices": [], "usage": { "prompt_tokens": 1_000, "completion_tokens": 100 } })),
        Step::Send("data: [DONE]\n\n".to_owned()),
    ]
}

/// SQL, as a model says it.
pub(super) fn sql(text: &str) -> Says {
    Says::Text(written(text))
}

/// SQL, as a model writes it.
pub(super) fn written(sql: &str) -> String {
    json!({ "sql": sql, "parameters": [5], "explanation": "So.", "confidence": 0.8, "refusal": null })
        .to_string()
}

/// A model.
#[derive(Clone)]
pub(super) struct Stub {
    answers: Arc<Mutex<VecDeque<Says>>>,
    asked: Arc<Mutex<Vec<Value>>>,
    /// Streamed answers that wait go on with one of these.
    gate: Arc<Semaphore>,
    /// One for each streamed answer that is over, or that nobody reads any more.
    closed: Arc<Semaphore>,
    port: u16,
}

/// A streamed answer.
struct Streamed {
    steps: std::vec::IntoIter<Step>,
    gate: Arc<Semaphore>,
    closed: Arc<Semaphore>,
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.closed.add_permits(1);
    }
}

impl Streamed {
    async fn next(&mut self) -> Option<Result<String, std::io::Error>> {
        loop {
            match self.steps.as_slice().first()? {
                Step::Send(text) => {
                    let text = text.clone();
                    self.steps.next();
                    return Some(Ok(text));
                }
                Step::Wait => {
                    self.gate.acquire().await.unwrap().forget();
                    self.steps.next();
                }
                Step::Chatter => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    return Some(Ok(": here\n\n".to_owned()));
                }
                Step::Silence => std::future::pending().await,
                Step::Break => {
                    // What was said before is sent while this waits.
                    tokio::task::yield_now().await;
                    return Some(Err(std::io::Error::other("broken")));
                }
            }
        }
    }
}

async fn answer(State(stub): State<Stub>, body: String) -> Response {
    stub.asked.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    let next = stub.answers.lock().unwrap().pop_front().unwrap_or(Says::Status(500));
    let completion = |text: String| {
        json!({
            "id": "chatcmpl-7",
            "choices": [{ "message": { "role": "assistant", "content": text } }],
            "usage": { "prompt_tokens": 1_000, "completion_tokens": 100 },
        })
    };
    match next {
        Says::Text(text) => axum::Json(completion(text)).into_response(),
        Says::Body(body) => axum::Json(body).into_response(),
        Says::Status(status) => {
            (StatusCode::from_u16(status).unwrap(), [("retry-after", "0")], "planted provider text")
                .into_response()
        }
        Says::Events(steps) => {
            let streamed =
                Streamed { steps: steps.into_iter(), gate: stub.gate.clone(), closed: stub.closed.clone() };
            let body =
                stream::unfold(
                    streamed,
                    |mut streamed| async move { Some((streamed.next().await?, streamed)) },
                );
            ([("content-type", "text/event-stream; charset=utf-8")], Body::from_stream(body)).into_response()
        }
        Says::Nothing => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            StatusCode::OK.into_response()
        }
    }
}

impl Stub {
    pub(super) async fn start(answers: Vec<Says>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stub = Self {
            answers: Arc::new(Mutex::new(answers.into())),
            asked: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            closed: Arc::new(Semaphore::new(0)),
            port,
        };
        let router = Router::new().route("/v1/chat/completions", posted(answer)).with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        stub
    }

    pub(super) fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    /// Lets an answer that waits go on.
    pub(super) fn go_on(&self) {
        self.gate.add_permits(1);
    }

    /// Until a streamed answer is over, or nobody reads it any more.
    pub(super) async fn closed(&self) {
        self.closed.acquire().await.unwrap().forget();
    }

    fn settings(&self) -> ModelSettings {
        ModelSettings {
            base_url: format!("http://127.0.0.1:{}/v1", self.port),
            model: "stub-1".to_owned(),
            timeout: Duration::from_secs(1),
            input_price: 1.0,
            output_price: 10.0,
            ..ModelSettings::default()
        }
    }
}

/// An application whose usual model is the first; the others stand in for it.
pub(super) fn with(script: &Script, engine: Engine, stubs: &[&Stub]) -> Builder {
    modelled(script.builder(engine), stubs)
}

/// The same of any application.
pub(super) fn modelled(builder: Builder, stubs: &[&Stub]) -> Builder {
    let names: Vec<String> = (0..stubs.len()).map(|place| format!("model-{place}")).collect();
    let change = |prompts: &mut PromptSettings| {
        for (name, stub) in names.iter().zip(stubs) {
            let fallback = if *name == names[0] { names[1..].to_vec() } else { Vec::new() };
            prompts.models.insert(name.clone(), ModelSettings { fallback, ..stub.settings() });
        }
        prompts.default_model = names[0].clone();
    };
    builder.prompts(change)
}

const GOOD: &str = "select n from orders where total > $1";

on_both_engines! {
    async fn a_model_answers_with_sql_that_passes_the_gate(engine: Engine) {
        let (script, stub) = (Script::new(), Stub::start(vec![sql(GOOD)]).await);
        let app = with(&script, engine, &[&stub]).start().await;
        let ada = owner(&app, ADA).await;
        let data = ask(&app, &ada, &question("orders over 5")).await;
        assert_eq!((&data["status"], &data["ai_model_used"]), (&json!("completed"), &json!("model-0")));
        assert_eq!((&data["ai_request_id"], &data["generated_query_text"]), (&json!("chatcmpl-7"), &json!(GOOD)));
        assert_eq!(data["ai_response_metadata"]["tokens_used"], 1_100);
        assert_eq!(data["ai_response_metadata"]["explanation"], "So.");
        assert_eq!(script.ran(), [(GOOD.to_owned(), vec![json!(5)])]);
        // It is shown names and types, and no rows.
        let asked = stub.asked()[0].clone();
        assert_eq!((&asked["model"], &asked["response_format"]["type"]), (&json!("stub-1"), &json!("json_schema")));
        let told = asked["messages"].to_string();
        assert!(told.contains("orders") && told.contains("numeric") && !told.contains("name, "), "{told}");
        assert_eq!(app.sql_count("select micros from model_spend").await, 2_000);
    }

    async fn a_model_is_chosen_by_its_name_or_its_class(engine: Engine) {
        let stub = Stub::start(vec![sql(GOOD), sql(GOOD)]).await;
        let script = Script::new();
        let app = script
            .builder(engine)
            .prompts(|prompts| {
                let model = ModelSettings { class: ModelClass::Fast, ..stub.settings() };
                prompts.models.insert("quick".to_owned(), model);
            })
            .start()
            .await;
        let ada = owner(&app, ADA).await;
        let by = |model: &str| {
            let mut body = question("orders");
            body["ai_model"] = json!(model);
            body
        };
        assert_eq!(ask(&app, &ada, &by("quick")).await["ai_model_used"], "quick");
        assert_eq!(ask(&app, &ada, &by("fast")).await["ai_model_used"], "quick");
        assert_eq!(ask(&app, &ada, &by("builtin")).await["ai_model_used"], "builtin");
        assert_eq!(ask(&app, &ada, &question("orders")).await["ai_model_used"], "builtin");
    }

    async fn a_model_corrects_itself_twice_and_no_more(engine: Engine) {
        let wrong = || sql("select no_column from orders");
        let stub = Stub::start(vec![wrong(), sql("select * from nowhere"), sql(GOOD), wrong(), wrong(), wrong(), sql(GOOD)]).await;
        let script = Script::new();
        let app = with(&script, engine, &[&stub]).start().await;
        let ada = owner(&app, ADA).await;
        assert_eq!(ask(&app, &ada, &question("orders")).await["status"], "completed");
        let second = stub.asked()[2]["messages"].to_string();
        // Our codes and nearest names; nothing of the engine.
        assert!(second.contains("unknown_column") && second.contains("unknown_relation") && second.contains("orders"));
        let data = ask(&app, &ada, &question("orders")).await;
        assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!("unknown_column")));
        assert_eq!(data["ai_response_metadata"]["tokens_used"], 3_300);
        assert_eq!(stub.asked().len(), 6);
    }

    async fn an_overloaded_model_is_asked_again_and_a_dead_one_is_replaced(engine: Engine) {
        let first = Stub::start(vec![Says::Status(429), Says::Status(503), sql(GOOD), Says::Status(401)]).await;
        let second = Stub::start(vec![sql(GOOD)]).await;
        let script = Script::new();
        let app = with(&script, engine, &[&first, &second]).start().await;
        let ada = owner(&app, ADA).await;
        assert_eq!(ask(&app, &ada, &question("orders")).await["ai_model_used"], "model-0");
        assert_eq!(ask(&app, &ada, &question("orders")).await["ai_model_used"], "model-1");
        assert_eq!((first.asked().len(), second.asked().len()), (4, 1));
        // Nobody is left.
        let data = ask(&app, &ada, &question("orders")).await;
        assert_eq!(data["error_code"], "model_unavailable");
        assert!(!data.to_string().contains("planted"), "{data}");
    }

    async fn a_slow_model_is_not_waited_for(engine: Engine) {
        let stub = Stub::start(vec![Says::Nothing]).await;
        let script = Script::new();
        let builder = with(&script, engine, &[&stub]).prompts(|prompts| {
            prompts.models.values_mut().for_each(|model| model.retries = 0);
        });
        let app = builder.start().await;
        let ada = owner(&app, ADA).await;
        assert_eq!(ask(&app, &ada, &question("orders")).await["error_code"], "model_unavailable");
        // What was set aside for it is given back.
        assert_eq!(app.sql_count("select micros from model_spend").await, 0);
    }

    async fn nonsense_is_refused_and_never_runs(engine: Engine) {
        let tool = json!({ "choices": [{ "message": { "content": null, "tool_calls": [{ "function": { "name": "drop" } }] } }] });
        for (says, code) in [
            (Says::Text("I would rather not.".to_owned()), "model_refused"),
            (Says::Text("{".repeat(5_000)), "model_refused"),
            (Says::Body(tool), "model_refused"),
            (Says::Body(json!([])), "model_refused"),
            (Says::Body(json!({ "choices": "none" })), "model_refused"),
            (sql("drop table orders"), "statement_not_allowed"),
            (sql("select 1; select 2"), "statement_not_allowed"),
            (sql("select 1 -- all of it"), "statement_not_allowed"),
            (sql("select * from payroll"), "unknown_relation"),
        ] {
            let script = Script::new();
            let stub = Stub::start(vec![says.clone(), says.clone(), says]).await;
            let app = with(&script, engine, &[&stub]).start().await;
            let ada = owner(&app, ADA).await;
            let data = ask(&app, &ada, &question("orders")).await;
            assert_eq!((&data["status"], &data["error_code"]), (&json!("failed"), &json!(code)));
            assert!(script.ran().is_empty() && data["result_preview"] == json!([]), "{data}");
        }
        let refusal = json!({ "sql": "", "parameters": [], "explanation": "", "confidence": 0, "refusal": "No prices there." });
        let stub = Stub::start(vec![Says::Text(refusal.to_string())]).await;
        let app = with(&Script::new(), engine, &[&stub]).start().await;
        let ada = owner(&app, ADA).await;
        let data = ask(&app, &ada, &question("prices")).await;
        assert_eq!((&data["error_code"], stub.asked().len()), (&json!("not_understood"), 1));
        assert_eq!(data["ai_response_metadata"]["explanation"], "No prices there.");
    }

    async fn an_organization_spends_what_it_may_in_a_month(engine: Engine) {
        let stub = Stub::start(vec![sql(GOOD), sql(GOOD), sql(GOOD)]).await;
        let script = Script::new();
        // What is set aside for an answer is 1,024 tokens at 10 a million, and the question.
        let builder = with(&script, engine, &[&stub]).prompts(|prompts| prompts.monthly_spend_per_organization = 0.0118);
        let app = builder.start().await;
        let (ada, bob) = (owner(&app, ADA).await, owner(&app, "bob@example.com").await);
        assert_eq!(ask(&app, &ada, &question("orders")).await["status"], "completed");
        assert_eq!(ask(&app, &ada, &question("orders")).await["error_code"], "spend_limit");
        // Another organization has its own.
        assert_eq!(ask(&app, &bob, &question("orders")).await["status"], "completed");
        app.advance(Duration::from_secs(32 * 24 * 3_600));
        let ada = crate::rivergen::prompts::script::signed_in(&app, ADA).await;
        assert_eq!(ask(&app, &ada, &question("orders")).await["status"], "completed");
    }
}

//! What policies decided of a query is written with the end of its execution.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tidegate_kernel::Fault;
use tidegate_prompts::ports::{Recorded, Records, Unit};
use tidegate_testkit::{Engine, Person, TestApp, eventually, on_both_engines};

use super::script::{ADA, SHOP, Script, get, owner, post};

/// A row of a table of which these stories use nothing else.
const ROW: &str = "insert into model_spend (organization_id, month, micros, input_tokens, output_tokens)
    select id, 0, 0, 0, 0 from organizations order by id limit 1";
/// One that no table takes.
const NO_ROW: &str = "insert into model_spend (organization_id, month, micros, input_tokens, output_tokens)
    select id, null, 0, 0, 0 from organizations order by id limit 1";
const ROWS: &str = "select count(*) from model_spend where month = 0";

/// The records of a query.
#[derive(Clone)]
struct Row {
    sql: &'static str,
    /// How often it was told that they are written.
    written: Arc<AtomicUsize>,
}

impl Row {
    fn new(sql: &'static str) -> Self {
        Self { sql, written: Arc::default() }
    }

    fn written(&self) -> usize {
        self.written.load(Ordering::SeqCst)
    }
}

impl Recorded for Row {
    fn take(&self) -> Option<Box<dyn Records>> {
        Some(Box::new(self.clone()))
    }
}

#[async_trait]
impl Records for Row {
    fn is_one_statement(&self) -> bool {
        true
    }

    async fn put_off(&self, unit: &mut Unit) -> Result<(), Fault> {
        unit.put_off(self.sql).await?;
        Ok(())
    }

    fn written(self: Box<Self>) {
        self.written.fetch_add(1, Ordering::SeqCst);
    }
}

/// Asks a query, and answers what there is to tell.
async fn asked(app: &TestApp, who: &Person, sql: &str) -> Value {
    let body = json!({ "sql": sql, "selected_data_source_ids": [SHOP] });
    post(app, who, "queries/execute", &body).await.assert_status(200).field("data").clone()
}

/// What becomes of it.
async fn over(app: &TestApp, who: &Person, data: &Value) -> Value {
    let path = format!("queries/{}", data["execution_id"]);
    eventually("the end of the query", async || {
        let data = get(app, who, &path).await.assert_status(200).field("data").clone();
        (data["status"] != "processing").then_some(data)
    })
    .await
}

on_both_engines! {
    async fn records_are_there_with_the_answer(engine: Engine) {
        let script = Script::new();
        let app = script.start(engine).await;
        let ada = owner(&app, ADA).await;
        let row = Row::new(ROW);
        script.record(&row);
        assert_eq!(asked(&app, &ada, "select n from orders").await["status"], "completed");
        assert_eq!((row.written(), app.sql_count(ROWS).await), (1, 1));
    }

    async fn records_of_a_query_that_fails_are_there_with_the_answer(engine: Engine) {
        let script = Script::new();
        let app = script.start(engine).await;
        let ada = owner(&app, ADA).await;
        let row = Row::new(ROW);
        script.record(&row);
        assert_eq!(asked(&app, &ada, "select boom from orders").await["status"], "failed");
        assert_eq!((row.written(), app.sql_count(ROWS).await), (1, 1));
    }

    async fn records_of_a_query_that_was_called_off_are_written_all_the_same(engine: Engine) {
        let script = Script::new();
        let hasty = |prompts: &mut tidegate_prompts::PromptSettings| prompts.answer_within = Duration::from_millis(1);
        let app = script.builder(engine).prompts(hasty).start().await;
        let ada = owner(&app, ADA).await;
        let row = Row::new(ROW);
        script.record(&row);
        let data = asked(&app, &ada, "select slow from orders").await;
        eventually("the beginning of the query", async || (script.ran().len() == 1).then_some(())).await;
        let path = format!("queries/{}/cancel", data["execution_id"]);
        post(&app, &ada, &path, &json!({})).await.assert_status(200);
        eventually("its records", async || (row.written() == 1).then_some(())).await;
        assert_eq!(app.sql_count(ROWS).await, 1);
        assert_eq!(over(&app, &ada, &data).await["status"], "cancelled");
    }

    async fn records_that_cannot_be_written_keep_no_end_from_being_written(engine: Engine) {
        let script = Script::new();
        let app = script.start(engine).await;
        let ada = owner(&app, ADA).await;
        let row = Row::new(NO_ROW);
        script.record(&row);
        let data = asked(&app, &ada, "select n from orders").await;
        assert_eq!(over(&app, &ada, &data).await["status"], "completed");
        assert_eq!((row.written(), app.sql_count(ROWS).await), (0, 0));
    }
}

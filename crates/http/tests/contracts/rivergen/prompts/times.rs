//! Questions about time, with nothing in its place: a file, SQLite and PostgreSQL, as discovery finds them, and the built-in planner.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, Person, TestApp, TestDatabase, TestFiles, on_both_engines};

use super::script::ask;
use crate::rivergen::data_sources::wire::{ADA, Server, builder, created, owner, run_jobs, start};

/// Today is Monday, 2026-01-05. One order has no date, where the source allows it.
const ORDERS: &str = "(1, 1, '2025-11-20', 10), (2, 1, '2025-12-01', 20), (3, 2, '2025-12-31', 30), \
                      (4, 2, '2026-01-01', 40), (5, 1, '2026-01-05', 50)";

/// Questions about those orders, and their rows.
const QUESTIONS: [(&str, &[&[&str]]); 14] = [
    ("orders per month", &[&["2025-11-01", "1"], &["2025-12-01", "2"], &["2026-01-01", "2"]]),
    ("orders per month by placed_on", &[&["2025-11-01", "1"], &["2025-12-01", "2"], &["2026-01-01", "2"]]),
    ("orders per month of placed_on", &[&["2025-11-01", "1"], &["2025-12-01", "2"], &["2026-01-01", "2"]]),
    (
        "number of orders per week",
        &[&["2025-11-17", "1"], &["2025-12-01", "1"], &["2025-12-29", "2"], &["2026-01-05", "1"]],
    ),
    ("orders per day in December 2025", &[&["2025-12-01", "1"], &["2025-12-31", "1"]]),
    ("monthly total amount", &[&["2025-11-01", "10"], &["2025-12-01", "50"], &["2026-01-01", "90"]]),
    (
        "monthly total amount by placed_on",
        &[&["2025-11-01", "10"], &["2025-12-01", "50"], &["2026-01-01", "90"]],
    ),
    ("average amount per quarter", &[&["2025-10-01", "20"], &["2026-01-01", "45"]]),
    ("total amount last month", &[&["50"]]),
    ("how many orders in December 2025?", &[&["2"]]),
    ("how many orders in March 2026?", &[&["0"]]),
    ("how many orders in the last 7 days?", &[&["3"]]),
    ("how many orders since December?", &[&["4"]]),
    ("orders placed in December 2025 per month", &[&["2025-12-01", "2"]]),
];

/// Rows of a result in the order of its columns, numbers as they are written shortest.
fn rows(data: &Value) -> Vec<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_f64().unwrap().to_string(),
        other => other.to_string(),
    };
    let columns = data["columns"].as_array().unwrap();
    let row =
        |row: &Value| columns.iter().map(|column| text(&row[column["name"].as_str().unwrap()])).collect();
    data["result_preview"].as_array().unwrap().iter().map(row).collect()
}

async fn asked(app: &TestApp, who: &Person, source: i64, question: &str) -> Value {
    ask(app, who, &json!({ "prompt_text": question, "selected_data_source_ids": [source] })).await
}

async fn answers(app: &TestApp, who: &Person, source: i64, question: &str, expected: &[&[&str]]) {
    let data = asked(app, who, source, question).await;
    assert_eq!(data["status"], "completed", "{question}: {data}");
    assert_eq!(rows(&data), expected, "{question}: {data}");
}

async fn answers_all(app: &TestApp, who: &Person, source: i64) {
    for (question, expected) in QUESTIONS {
        answers(app, who, source, question, expected).await;
    }
    let largest = asked(app, who, source, "largest order").await;
    assert_eq!(
        (&largest["status"], &largest["result_preview"][0]["amount"]),
        (&json!("completed"), &json!(50)),
        "{largest}"
    );
}

/// A refusal that names what may be meant, whose first suggestion is answered.
async fn asks_back(app: &TestApp, who: &Person, source: i64, question: &str, message: &str, next: &str) {
    let data = asked(app, who, source, question).await;
    assert_eq!(
        (&data["status"], &data["error_code"]),
        (&json!("failed"), &json!("not_understood")),
        "{data}"
    );
    assert_eq!(data["error_message"], message, "{data}");
    assert_eq!(data["ai_response_metadata"]["suggestions"][0], next, "{data}");
    for suggestion in data["ai_response_metadata"]["suggestions"].as_array().unwrap() {
        let suggestion = suggestion.as_str().unwrap();
        let data = asked(app, who, source, suggestion).await;
        assert_eq!(data["status"], "completed", "{suggestion}: {data}");
    }
    // Only words that were typed.
    for word in data["ai_response_metadata"]["not_understood"].as_array().unwrap() {
        assert!(question.contains(word.as_str().unwrap()), "{data}");
    }
}

/// Files beside a database of the test, which goes with them.
pub(super) struct Files {
    objects: Arc<TestFiles>,
    database: TestDatabase,
}

impl Files {
    pub(super) async fn new() -> Self {
        let database = TestDatabase::empty(Engine::Sqlite).await;
        // Opening it makes the file.
        database.open().await.close().await;
        Self { objects: Arc::new(TestFiles::default()), database }
    }

    pub(super) async fn app(&self, engine: Engine) -> TestApp {
        builder(engine).source_files(self.objects.clone()).start().await
    }

    pub(super) async fn csv(&self, app: &TestApp, who: &Person, name: &str, content: &str) -> i64 {
        let file = self.database.sqlite_file().with_file_name(format!("{name}.csv"));
        std::fs::write(&file, content).unwrap();
        let object = format!("organizations/1/files/1/{name}.csv");
        self.objects.add(&object, &file);
        let number = created(app, who, &json!({ "name": name, "type": "csv", "file_path": object })).await;
        run_jobs(app).await;
        number
    }

    async fn sqlite(&self, app: &TestApp, who: &Person, statements: &str) -> i64 {
        self.database.sql(statements).await;
        let object = "organizations/1/files/1/shop.sqlite";
        self.objects.add(object, &self.database.sqlite_file());
        let number =
            created(app, who, &json!({ "name": "Shop", "type": "sqlite", "file_path": object })).await;
        run_jobs(app).await;
        number
    }
}

on_both_engines! {
    async fn times_of_a_file_are_understood(engine: Engine) {
        let files = Files::new().await;
        let app = files.app(engine).await;
        let ada = owner(&app, ADA).await;
        let orders = "order_id,customer,placed_on,amount\n1,Ada,2025-11-20,10\n2,Ada,2025-12-01,20\n3,Bob,2025-12-31,30\n\
                      4,Bob,2026-01-01,40\n5,Ada,2026-01-05,50\n6,Bob,,5\n";
        let source = files.csv(&app, &ada, "orders", orders).await;
        answers_all(&app, &ada, source).await;
        // What is assumed is told.
        let data = asked(&app, &ada, source, "orders per month").await;
        let told = data["ai_response_metadata"]["explanation"].as_str().unwrap();
        assert!(told.contains("the date is placed_on; rows without placed_on are left out"), "{told}");
        let visits = "visit_id,seen_at\n1,2025-12-31T23:30:00\n2,2026-01-01T00:00:00\n";
        let source = files.csv(&app, &ada, "visits", visits).await;
        answers(&app, &ada, source, "visits per month", &[&["2025-12-01", "1"], &["2026-01-01", "1"]]).await;
        answers(&app, &ada, source, "how many visits last month?", &[&["1"]]).await;
    }

    async fn a_question_about_a_file_that_cannot_be_read_is_told_why(engine: Engine) {
        let files = Files::new().await;
        let app = files.app(engine).await;
        let ada = owner(&app, ADA).await;
        let source = files.csv(&app, &ada, "orders", "").await;
        let data = asked(&app, &ada, source, "how many orders last month?").await;
        assert_eq!(data["error_code"], "unknown_relation", "{data}");
        let message = data["error_message"].as_str().unwrap();
        assert!(message.contains(" failed: The file is empty"), "{message}");
    }

    async fn two_dates_that_rows_may_lack_are_asked_back(engine: Engine) {
        let files = Files::new().await;
        let app = files.app(engine).await;
        let ada = owner(&app, ADA).await;
        let parcels = "parcel_id,placed_on,shipped_on,weight,amount\n1,2025-11-20,2025-12-01,2,10\n2,2025-12-01,,3,20\n";
        let source = files.csv(&app, &ada, "parcels", parcels).await;
        let (can, say) = ("can mean placed_on or shipped_on; say for example", "placed_on");
        for (question, words, next) in [
            ("parcels per month", "month", format!("parcels per month of {say}")),
            ("monthly total amount", "monthly", format!("monthly total amount by {say}")),
            ("how many parcels in December 2025", "in December 2025", format!("how many parcels {say} in December 2025")),
        ] {
            let message = format!("\"{words}\" {can} \"{next}\".");
            asks_back(&app, &ada, source, question, &message, &next).await;
        }
        let named: [(&str, &[&[&str]]); 3] = [
            ("parcels per month by shipped_on", &[&["2025-12-01", "1"]]),
            ("monthly total amount by placed_on", &[&["2025-11-01", "10"], &["2025-12-01", "20"]]),
            ("how many parcels shipped in December 2025?", &[&["1"]]),
        ];
        for (question, expected) in named {
            answers(&app, &ada, source, question, expected).await;
        }
        // Two amounts: neither is guessed, and no word is told that nobody typed.
        let message = "The words are known, but not what they ask together: \"largest\" does not fit.";
        asks_back(&app, &ada, source, "largest parcel", message, "largest parcel by weight").await;
    }

    async fn times_of_sqlite_are_understood_though_its_types_are_only_declared(engine: Engine) {
        let files = Files::new().await;
        let app = files.app(engine).await;
        let ada = owner(&app, ADA).await;
        let source = files
            .sqlite(
                &app,
                &ada,
                &format!(
                    "create table customers (id integer primary key, name text);
                     create table orders (id integer primary key, customer_id integer references customers, placed_on date, amount integer);
                     create table order_items (id integer primary key, order_id integer references orders (id), pieces integer);
                     create table visits (id integer primary key, seen_at timestamp not null);
                     insert into customers values (1, 'Ada'), (2, 'Bob');
                     insert into orders values {ORDERS}, (6, 1, null, 5);
                     insert into order_items values (1, 1, 7), (2, 3, 8);
                     insert into visits values (1, '2025-12-31 23:30:00'), (2, '2026-01-01 00:00:00')"
                ),
            )
            .await;
        answers_all(&app, &ada, source).await;
        // The key of a reference without a column; rows without a date count where no time is asked for.
        answers(&app, &ada, source, "total amount per customer", &[&["1", "Ada", "85"], &["2", "Bob", "70"]]).await;
        answers(&app, &ada, source, "visits per month", &[&["2025-12-01", "1"], &["2026-01-01", "1"]]).await;
        answers(&app, &ada, source, "how many visits in December 2025?", &[&["1"]]).await;
        answers(&app, &ada, source, "how many visits in January 2026?", &[&["1"]]).await;
    }

    async fn times_of_postgresql_are_understood(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        server
            .database
            .sql(&format!(
                "drop view recent; drop table orders;
                 create table customers (id bigint primary key, name text not null);
                 create table orders (id bigint primary key, customer_id bigint not null references customers, placed_on date not null,
                     shipped_on date, amount bigint not null);
                 create table order_items (id bigint primary key, order_id bigint not null references orders, pieces bigint not null);
                 create table visits (id bigint primary key, seen_at timestamp not null);
                 create table calls (id bigint primary key, rung_at timestamptz not null);
                 insert into customers values (1, 'Ada'), (2, 'Bob');
                 insert into orders (id, customer_id, placed_on, amount) values {ORDERS};
                 insert into order_items values (1, 1, 7), (2, 3, 8);
                 insert into visits values (1, '2025-12-31 23:30:00'), (2, '2026-01-01 00:00:00');
                 insert into calls values (1, '2025-12-31 23:30:00Z'), (2, '2026-01-01 00:30:00+01')"
            ))
            .await;
        let source = created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        answers_all(&app, &ada, source).await;
        answers(&app, &ada, source, "total amount per customer", &[&["1", "Ada", "80"], &["2", "Bob", "70"]]).await;
        answers(&app, &ada, source, "visits per month", &[&["2025-12-01", "1"], &["2026-01-01", "1"]]).await;
        answers(&app, &ada, source, "calls per month", &[&["2025-12-01", "2"]]).await;
        answers(&app, &ada, source, "how many calls last month?", &[&["2"]]).await;
        // A day for items is that of their order.
        answers(&app, &ada, source, "number of order items per month", &[&["2025-11-01", "1"], &["2025-12-01", "1"]]).await;
    }
}
